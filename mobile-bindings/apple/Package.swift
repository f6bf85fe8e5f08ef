// swift-tools-version: 5.9
import PackageDescription

let package = Package(
    name: "CareKeyWallet",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "CareKeyWallet", targets: ["CareKeyWallet", "CareKeyWalletFFI"]),
    ],
    targets: [
        // Made by build-xcframework.sh.
        .binaryTarget(name: "carekey_wallet_ffiFFI", path: "carekey_wallet_ffiFFI.xcframework"),
        // Generated.
        .target(name: "CareKeyWalletFFI", dependencies: ["carekey_wallet_ffiFFI"]),
        // What the library asks of the device.
        .target(name: "CareKeyWallet", dependencies: ["CareKeyWalletFFI"]),
    ]
)
