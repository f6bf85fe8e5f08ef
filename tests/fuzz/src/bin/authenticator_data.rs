//! WebAuthn authenticator data (Level 3, section 6.1) and COSE keys.
#![no_main]

use carekey_core::limits::Limits;
use carekey_core::webauthn::authenticator_data::AuthenticatorData;
use carekey_core::webauthn::cose_key;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(parsed) = AuthenticatorData::parse(data, &Limits::DEFAULT)
        && let Some(attested) = parsed.attested
    {
        let _ = cose_key::parse(attested.cose_key);
    }
    if let Ok(key) = cose_key::parse(data) {
        let encoded = cose_key::encode(&key).expect("a key that was read can be written");
        assert_eq!(cose_key::parse(&encoded), Ok(key));
    }
});
