//! Multibase, and the keys in it: of `did:key`, and of BBS.
#![no_main]

use carekey_core::did::key;
use carekey_core::encoding::multibase;
use carekey_core::key::bbs::PublicKey;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let encoded = [multibase::encode_base58btc(data), multibase::encode_base64url(data)];
    for text in &encoded[usize::from(data.len() > 512)..] {
        assert_eq!(multibase::decode(text, data.len()).as_deref(), Ok(data));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(bytes) = multibase::decode(text, 96) {
        // Each encoding has one form.
        let again = [multibase::encode_base58btc(&bytes), multibase::encode_base64url(&bytes)];
        assert!(again.iter().any(|again| again == text));
    }
    if let Ok(key) = key::decode_multikey(text) {
        assert_eq!(key::encode_multikey(&key).as_deref(), Ok(text));
    }
    if let Ok(key) = PublicKey::from_multikey(text) {
        assert_eq!(key.to_multikey(), text);
    }
});
