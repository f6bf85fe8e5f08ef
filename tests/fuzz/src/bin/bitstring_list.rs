//! Bitstring Status List: the encoded list, entries, and the credential around the list.
#![no_main]

use carekey_core::encoding::json;
use carekey_core::limits::Limits;
use carekey_core::status::bitstring_status_list::{Bitstring, StatusEntry, StatusList, StatusSize};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let one = StatusSize::new(1).expect("allowed");
    if let Ok(bits) = Bitstring::decode(text, &Limits::DEFAULT) {
        let len = bits.len_bits();
        assert!(len == 0 || bits.get(len - 1, one).is_ok());
        assert!(bits.get(len, one).is_err());
        let again = Bitstring::decode(&bits.encode(), &Limits::DEFAULT).expect("its own form");
        assert_eq!(again.as_bytes(), bits.as_bytes());
    }
    let Ok(value) = json::parse(data, &Limits::DEFAULT) else { return };
    let Ok(entries) = StatusEntry::of_credential(&value) else { return };
    let list = StatusList::from_verified_credential(&value, &Limits::DEFAULT);
    for entry in &entries {
        assert!(entry.to_value().is_ok());
        if let Ok(list) = &list {
            let _ = list.status(entry);
        }
    }
});
