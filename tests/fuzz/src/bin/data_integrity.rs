//! Data Integrity: JSON-LD, canonical datasets and proofs.
#![no_main]

use std::sync::OnceLock;

use carekey_core::encoding::json;
use carekey_core::format::data_integrity::{Contexts, Evidence, Expectation, jsonld, rdfc, verify_proofs};
use carekey_core::limits::Limits;
use carekey_fuzz::NOW;

fn contexts() -> &'static Contexts {
    static CONTEXTS: OnceLock<Contexts> = OnceLock::new();
    CONTEXTS.get_or_init(|| Contexts::bundled().expect("bundled contexts parse"))
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(document) = json::parse(data, &Limits::DEFAULT) else { return };
    if let Ok(quads) = jsonld::to_quads(&document, contexts()) {
        let limits = rdfc::Limits { work: 500, ..rdfc::Limits::DEFAULT };
        if let Ok(canonical) = rdfc::canonicalize(&quads, rdfc::HashAlgorithm::Sha256, &limits) {
            assert!(
                canonical.lines.iter().all(|line| line.ends_with(" .\n") && line.matches('\n').count() == 1)
            );
            let mut reversed = quads;
            reversed.reverse();
            let again = rdfc::canonicalize(&reversed, rdfc::HashAlgorithm::Sha256, &limits);
            assert_eq!(again.map(|again| again.lines), Ok(canonical.lines));
        }
    }
    let mut evidence = Evidence::new();
    let _ = evidence.add_offline(&document);
    let _ = verify_proofs(&document, &evidence, &Expectation::credential(NOW), contexts());
});
