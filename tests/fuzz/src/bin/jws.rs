//! Compact JWS and JWT: request objects, key proofs, status list tokens and metadata arrive in this form.
#![no_main]

use carekey_core::jose::{jws::UnverifiedJws, jwt::UnverifiedJwt};
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = UnverifiedJws::parse(text, &Limits::DEFAULT);
    let _ = UnverifiedJwt::parse(text, &Limits::DEFAULT);
});
