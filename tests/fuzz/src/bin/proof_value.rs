//! The values of proofs that disclose selectively, BBS proofs within them, and JSON Pointers.
#![no_main]

use carekey_core::format::data_integrity::selective::Pointers;
use carekey_core::format::data_integrity::{bbs, ecdsa_sd};
use serde_json::{Value, json};

fn document() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:a", "type": "T", "": 1, "a/b": {"~": [1, {"x": null}, [2, 3]]},
        "list": [{"id": "_:b", "n": 0}, {"id": "urn:b", "n": 1}]
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Both encodings are strict: what reads is written the same.
    match ecdsa_sd::ProofValue::parse(data) {
        Ok(ecdsa_sd::ProofValue::Base(value)) => assert_eq!(value.to_bytes(), data),
        Ok(ecdsa_sd::ProofValue::Derived(value)) => assert_eq!(value.to_bytes().as_deref(), Ok(data)),
        Err(_) => {}
    }
    match bbs::ProofValue::parse(data) {
        Ok(bbs::ProofValue::Base(value)) => assert_eq!(value.to_bytes(), data),
        Ok(bbs::ProofValue::Derived(value)) => assert_eq!(value.to_bytes(), data),
        Err(_) => {}
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let document = document();
    let lines: Vec<&str> = text.lines().collect();
    let Ok(pointers) = Pointers::parse(&lines) else { return };
    if let Ok(part) = pointers.select(&document) {
        // Each pointer leads to the same in the whole, and selecting from all of it gives all of it.
        assert!(lines.iter().all(|line| document.pointer(line).is_some()));
        assert!(!lines.contains(&"") || part == document);
    }
});
