#!/bin/sh
# Writes the Kotlin, Swift and Python sources of the wallet library.
#
#   mobile-bindings/generate.sh           writes them over those in the repository
#   mobile-bindings/generate.sh --check   says what differs, and changes nothing
#
# The generator has the version of the library's scaffolding; no formatter is needed or used.
set -eu
cd "$(dirname "$0")/.."

cargo build --quiet --package carekey-wallet-ffi --features bindgen
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
case $(uname -s) in
    Darwin) library=$target/debug/libcarekey_wallet_ffi.dylib ;;
    *) library=$target/debug/libcarekey_wallet_ffi.so ;;
esac

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
for language in kotlin swift python; do
    "$target/debug/uniffi-bindgen" generate --no-format --metadata-no-deps --language "$language" \
        --out-dir "$made/$language" "$library" > /dev/null
done
# Generated lines may end in blanks; the repository's do not.
find "$made" -type f -exec sed -i.bak 's/[[:space:]]*$//' {} +
find "$made" -name '*.bak' -delete

changed=0
# place FILE FOLDER [NAME]
place() {
    to=mobile-bindings/$2/${3:-$(basename "$1")}
    if [ "${check:-}" ]; then
        diff -u "$to" "$made/$1" || changed=1
    else
        mkdir -p "$(dirname "$to")"
        cp "$made/$1" "$to"
    fi
}

[ "${1:-}" = --check ] && check=1
place kotlin/health/carekey/wallet/carekey_wallet_ffi.kt jvm/src/main/kotlin/health/carekey/wallet
place python/carekey_wallet_ffi.py python/carekey_wallet
place swift/CareKeyWalletFFI.swift apple/Sources/CareKeyWalletFFI
place swift/carekey_wallet_ffiFFI.h apple/include
place swift/carekey_wallet_ffiFFI.modulemap apple/include module.modulemap
if [ "$changed" = 1 ]; then
    echo "the generated sources are old: run mobile-bindings/generate.sh" >&2
    exit 1
fi
