//! What an Android phone writes about a key, and the revocation list of such phones.
#![no_main]

use carekey_core::attestation::android_key::description::KeyDescription;
use carekey_core::attestation::android_key::status::StatusList;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(description) = KeyDescription::parse(data) {
        assert!(description.challenge.len() <= data.len());
    }
    let _ = StatusList::parse(data, carekey_fuzz::NOW);
});
