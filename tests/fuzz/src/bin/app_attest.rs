//! App Attest: attestation objects and assertions.
#![no_main]

use carekey_core::attestation::app_attest::{
    AppAttestExpectation, AppAttestKey, ApplePolicy, apple_roots, verify_assertion, verify_attestation,
};
use carekey_core::jose::jwk::Jwk;
use carekey_core::limits::Limits;
use carekey_core::x509::TrustAnchor;
use std::sync::LazyLock;

static ROOTS: LazyLock<Vec<TrustAnchor>> = LazyLock::new(|| apple_roots().unwrap_or_default());
static KEY: LazyLock<AppAttestKey> = LazyLock::new(|| {
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"UjUk8kFppXozEcuCaaOnpWHduE8XRtTTHrWupIO72Jo","y":"SsVkUwV-X4ABZz-CkBkTm45m_orjvfVNJbd4087rN6E"}"#;
    let Ok(public_key) = serde_json::from_str::<Jwk>(jwk) else { std::process::abort() };
    AppAttestKey { public_key, app_id: "team.app".to_owned(), counter: 0 }
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let app_ids = [KEY.app_id.clone()];
    let expected = AppAttestExpectation {
        roots: &ROOTS,
        app_ids: &app_ids,
        policy: ApplePolicy::default(),
        now: carekey_fuzz::NOW,
    };
    assert!(verify_attestation(data, &[0; 32], &[0; 32], &expected, &Limits::DEFAULT).is_err());
    assert!(verify_assertion(data, &KEY, &[0; 32], &app_ids).is_err(), "nobody signs with that key");
});
