//! DCQL queries (OpenID4VP 1.0, section 6).
#![no_main]

use carekey_core::encoding::json;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, &Limits::DEFAULT) else { return };
    let Ok(query) = DcqlQuery::parse(&value) else { return };
    // What was understood is written so that it is understood again.
    let again = DcqlQuery::parse(&query.to_value()).expect("a query that was read can be read again");
    assert_eq!(again.to_value(), query.to_value());
});
