#!/bin/sh
# Builds the library for iOS, its simulators and macOS, and puts them into one XCFramework. Needs a Mac with Xcode and the
# five targets of rustup.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
name=carekey_wallet_ffiFFI
library=libcarekey_wallet_ffi.a

[ "$(uname)" = Darwin ] || {
    echo "an XCFramework is made on a Mac" >&2
    exit 1
}

cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
for triple in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin; do
    cargo rustc --locked --package carekey-wallet-ffi --lib --crate-type staticlib --profile mobile --target "$triple"
done

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/simulator" "$out/macos"
lipo -create "$target/aarch64-apple-ios-sim/mobile/$library" "$target/x86_64-apple-ios/mobile/$library" \
    -output "$out/simulator/$library"
lipo -create "$target/aarch64-apple-darwin/mobile/$library" "$target/x86_64-apple-darwin/mobile/$library" \
    -output "$out/macos/$library"

rm -rf "$here/$name.xcframework"
xcodebuild -create-xcframework \
    -library "$target/aarch64-apple-ios/mobile/$library" -headers "$here/include" \
    -library "$out/simulator/$library" -headers "$here/include" \
    -library "$out/macos/$library" -headers "$here/include" \
    -output "$here/$name.xcframework"
(cd "$here" && ditto -c -k --keepParent "$name.xcframework" "$name.xcframework.zip" && shasum -a 256 "$name.xcframework.zip")
