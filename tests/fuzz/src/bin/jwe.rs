//! JWE: the encrypted responses of wallets, read with a key that never changes.
#![no_main]

use carekey_core::jose::jwe::{self, JweDecryptionKey};
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key = JweDecryptionKey::from_bytes(&[7; 32]).expect("a scalar of the curve");
    let _ = jwe::decrypt(text, &key, &Limits::DEFAULT);
});
