//! JSON Web Keys.
#![no_main]

use carekey_core::encoding::json;
use carekey_core::jose::jwk::Jwk;
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, &Limits::DEFAULT) else { return };
    let Ok(jwk) = Jwk::from_value(&value) else { return };
    if let Ok(key) = jwk.public_key() {
        assert_eq!(Jwk::from_key(&key).thumbprint(), jwk.thumbprint());
    }
});
