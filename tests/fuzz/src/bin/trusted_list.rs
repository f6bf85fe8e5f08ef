//! Lists of trusted entities, signed by an operator whom everybody knows.
#![no_main]

use carekey_core::limits::Limits;
use carekey_core::trust::trusted_list::UnverifiedTrustedList;
use carekey_core::x509::TrustAnchor;
use carekey_fuzz::{LATER, OPERATOR, signed_by_operator};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let compact = signed_by_operator("JOSE", data);
    let Ok(list) = UnverifiedTrustedList::parse(&compact, &Limits::DEFAULT) else { return };
    let operator = TrustAnchor::from_der(OPERATOR).expect("a certificate");
    let Ok(list) = list.verify(&[operator], LATER, None) else { return };
    assert!(list.issued_at() <= LATER && LATER < list.next_update());
    let types: Vec<String> =
        list.entities().iter().flat_map(|entity| &entity.services).map(|one| one.service_type.clone()).collect();
    let _ = list.certificates(&types).count();
});
