//! WebAuthn client data (Level 3, section 5.8.1).
#![no_main]

use carekey_core::limits::Limits;
use carekey_core::webauthn::client_data::{Ceremony, ClientData};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(client_data) = ClientData::parse(data, &Limits::DEFAULT) else { return };
    let passes =
        client_data.check(Ceremony::Assertion, "c2Vl", &["https://wallet.example".to_owned()]).is_ok();
    // What passes says so itself.
    assert!(!passes || (client_data.kind == "webauthn.get" && !client_data.cross_origin));
});
