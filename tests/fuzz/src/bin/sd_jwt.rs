//! SD-JWT VC: parsing, processing of disclosures, selection, and the issuer's part of verification.
#![no_main]

use carekey_core::format::sd_jwt_vc::verify::UnverifiedSdJwtVc;
use carekey_core::limits::Limits;
use carekey_fuzz::{TIMING, credential, issuer_key};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // As it is, and as disclosures behind a signed credential.
    for compact in [text.to_owned(), format!("{}{text}", credential())] {
        let Ok(parsed) = UnverifiedSdJwtVc::parse(&compact, &Limits::DEFAULT) else { continue };
        let _ = parsed.issuer_key_reference();
        let _ = parsed.status_reference();
        let _ = parsed.present(&[]);
        if let Ok(verified) = parsed.verify_credential(issuer_key(), TIMING) {
            assert!(compact.starts_with(credential().split('~').next().unwrap_or_default()));
            assert_eq!(verified.issuer(), carekey_fuzz::ISS);
        }
    }
});
