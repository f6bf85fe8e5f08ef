//! What is linked into an app: no TLS stack, no OpenSSL, no server, no runtime, no store engine.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

#[test]
fn the_library_holds_no_network_and_no_server_code() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "carekey-wallet-ffi", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--target", "all", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"carekey-core") && names.contains(&"uniffi_core"), "{tree}");
    for absent in [
        "axum",
        "askama",
        "boring",
        "carekey-service",
        "carekey-storage",
        "h2",
        "hyper",
        "native-tls",
        "openssl",
        "openssl-sys",
        "reqwest",
        "ring",
        "rustls",
        "s2n-tls",
        "sled",
        "tokio",
        "tower",
        "uniffi_bindgen",
    ] {
        assert!(!names.contains(&absent), "{absent} is in the wallet library");
    }
}
