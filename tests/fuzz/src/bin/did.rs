//! DIDs, DID URLs, what the offline methods resolve to, and documents.
#![no_main]

use carekey_core::did::resolver::resolve_offline;
use carekey_core::did::{Did, DidUrl, web};
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(did) = Did::parse("did:web:hospital.example") {
        let _ = web::document(&did, data, &Limits::DEFAULT);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = DidUrl::parse(text);
    let Ok(did) = Did::parse(text) else { return };
    if let Ok(document) = resolve_offline(&did) {
        assert_eq!(document.id, did);
    }
    let _ = web::document_url(&did);
});
