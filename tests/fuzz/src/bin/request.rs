//! Authorization requests: links, request objects, their parameters and transaction data (OpenID4VP 1.0, section 5).
#![no_main]

use carekey_core::encoding::json;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::link::RequestLink;
use carekey_core::protocol::openid4vp::request::AuthorizationRequest;
use carekey_core::protocol::openid4vp::signed_request::UnverifiedRequest;
use carekey_core::protocol::openid4vp::transaction_data::TransactionData;
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = &Limits::DEFAULT;
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = UnverifiedRequest::parse(text, limits);
        if let Ok(link) = RequestLink::parse(text, limits) {
            // What was understood is written so that it is understood again.
            let again = RequestLink::parse(&link.to_link("openid4vp://"), limits);
            assert_eq!(again.expect("a link that was read can be read again"), link);
        }
    }
    let Ok(serde_json::Value::Object(claims)) = json::parse(data, limits) else { return };
    let Ok(request) = AuthorizationRequest::from_claims(&claims) else { return };
    let again = AuthorizationRequest::from_claims(&request.to_claims());
    let again = again.expect("a request that was read can be read again");
    assert_eq!(again.to_claims(), request.to_claims());
    let _ = TransactionData::parse_all(&request.transaction_data, &request.dcql_query, &TransactionTypes::NONE, limits);
});
