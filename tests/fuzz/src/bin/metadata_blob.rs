//! FIDO metadata, signed by an operator whom everybody knows.
#![no_main]

use carekey_core::attestation::metadata::{MetadataBlob, MetadataExpectation};
use carekey_core::x509::TrustAnchor;
use carekey_fuzz::{LATER, OPERATOR, signed_by_operator};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let blob = signed_by_operator("JWT", data);
    let operator = TrustAnchor::from_der(OPERATOR).expect("a certificate");
    let expected = MetadataExpectation {
        anchors: &[operator],
        signer_dns_name: Some("operator.example"),
        previous_number: None,
        now: LATER,
        grace: 0,
    };
    let Ok(metadata) = MetadataBlob::verify(&blob, &expected) else { return };
    assert!(LATER <= metadata.usable_until());
    if let Some(entry) = metadata.entry(&[0xca; 16]) {
        let _ = entry.fatal_status();
    }
});
