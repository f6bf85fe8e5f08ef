//! What wallets answer with in W3C formats: credentials and presentations with proofs and as JWTs.
#![no_main]

use carekey_core::credential::CredentialFormat;
use carekey_core::format::w3c::credential::UnverifiedW3cVc;
use carekey_core::format::w3c::presentation::UnverifiedW3cVp;
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for format in [CredentialFormat::LdpVc, CredentialFormat::JwtVcJson] {
        if let Ok(read) = UnverifiedW3cVc::parse(format, text, &Limits::DEFAULT) {
            assert_eq!(read.format(), format);
            let _ = (read.holder(), read.webauthn_binding(), read.issuer_key_reference());
        }
        if let Ok(read) = UnverifiedW3cVp::parse(format, text, &Limits::DEFAULT) {
            let _ = (read.credential().holder(), read.claimed_audience(), read.transaction_data_hashes());
        }
    }
});
