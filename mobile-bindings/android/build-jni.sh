#!/bin/sh
# Builds the library for Android phones into wallet/src/main/jniLibs, stripped, with load segments aligned for pages of
# 16 KiB (Android 15). Needs the Android NDK (ANDROID_NDK_HOME), cargo-ndk and the three targets of rustup.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out="$here/wallet/src/main/jniLibs"

: "${ANDROID_NDK_HOME:?set ANDROID_NDK_HOME to the folder of the NDK}"
cargo ndk --version >/dev/null 2>&1 || {
    echo "cargo-ndk is missing: cargo install cargo-ndk" >&2
    exit 1
}

cd "$root"
RUSTFLAGS="${RUSTFLAGS:-} -C link-arg=-Wl,-z,max-page-size=16384" \
    cargo ndk --platform 30 --target arm64-v8a --target armeabi-v7a --target x86_64 --output-dir "$out" \
    build --locked --package carekey-wallet-ffi --lib --profile mobile

# Every load segment of every library is aligned to 16 KiB or more.
readelf=$(find "$ANDROID_NDK_HOME" -name llvm-readelf -type f | head -n 1)
for library in "$out"/*/libcarekey_wallet_ffi.so; do
    smallest=$("${readelf:-readelf}" -lW "$library" | awk '$1 == "LOAD" { print $NF }' | sort -u | head -n 1)
    case $smallest in
        0x4000 | 0x10000) echo "$library: segments aligned to $smallest" ;;
        *)
            echo "$library: segments aligned to $smallest, not to pages of 16 KiB" >&2
            exit 1
            ;;
    esac
done
