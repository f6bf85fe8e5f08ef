//! Authorization responses, as a form and as the content of a JWE (OpenID4VP 1.0, section 8).
#![no_main]

use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::protocol::openid4vp::response::{FormResponse, UnverifiedResponse};
use carekey_core::verifier::UnverifiedPresentation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = &Limits::DEFAULT;
    let query = serde_json::json!({"credentials": [
        {"id": "patient", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:t"]}, "multiple": true}]});
    let query = DcqlQuery::parse(&query).expect("a good query");
    let form = FormResponse::parse(data, limits).ok().and_then(|form| match form {
        FormResponse::Plain(response) => Some(response),
        FormResponse::Encrypted(_) => None,
    });
    for response in form.into_iter().chain(UnverifiedResponse::from_decrypted(data, limits)) {
        if let UnverifiedResponse::VpToken { vp_token, .. } = response {
            let _ = UnverifiedPresentation::parse(&vp_token, &query, limits);
        }
    }
});
