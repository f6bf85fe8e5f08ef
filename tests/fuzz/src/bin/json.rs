//! Strict JSON and its canonical form.
#![no_main]

use carekey_core::encoding::{canonical_json, json};
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, &Limits::DEFAULT) else { return };
    // What is canonical parses again, to the same canonical bytes.
    if let Ok(canonical) = canonical_json::to_vec(&value) {
        let again = json::parse(&canonical, &Limits::DEFAULT).expect("canonical JSON is JSON");
        match canonical_json::to_vec(&again) {
            Ok(second) => assert_eq!(second, canonical),
            // 1e18 becomes an integer of 19 digits, which is refused when it comes as one.
            Err(error) => assert_eq!(error.code(), "json_number_precision"),
        }
    }
});
