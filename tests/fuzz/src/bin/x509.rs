//! Certificates out of `x5c`.
#![no_main]

use carekey_core::limits::Limits;
use carekey_core::x509::{Certificate, UnverifiedChain};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Certificate::from_der(data);
    if let Ok(chain) = UnverifiedChain::from_der(&[data], &Limits::DEFAULT) {
        let _ = chain.leaf_public_key();
        assert!(chain.verify(&[], carekey_fuzz::NOW).is_err(), "no anchor, no trust");
    }
});
