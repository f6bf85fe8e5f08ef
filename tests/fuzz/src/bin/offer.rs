//! Credential offers (OpenID4VCI 1.0, section 4.1): the link, and the offer itself.
#![no_main]

use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::offer::{CredentialOffer, OfferLink};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = OfferLink::parse(text, &Limits::DEFAULT);
    }
    if let Ok(offer) = CredentialOffer::parse(data, &Limits::DEFAULT) {
        let link =
            offer.link_by_value("openid-credential-offer://").expect("an offer that was read can be sent");
        // The link of a large offer may be beyond the limits.
        if let Ok(OfferLink::ByValue(again)) = OfferLink::parse(&link, &Limits::DEFAULT) {
            assert_eq!(again, offer);
        }
    }
});
