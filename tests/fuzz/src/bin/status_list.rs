//! Token Status List: the token and the compressed list in it.
#![no_main]

use carekey_core::encoding::base64url;
use carekey_core::limits::Limits;
use carekey_core::status::token_status_list::{EntryBits, StatusList, UnverifiedStatusListToken};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = UnverifiedStatusListToken::parse(text, &Limits::DEFAULT);
    }
    for bits in [1, 2, 4, 8] {
        let bits = EntryBits::new(bits).expect("allowed by the draft");
        let Ok(list) = StatusList::from_lst(bits, &base64url::encode(data), &Limits::DEFAULT) else {
            continue;
        };
        let last = u64::try_from(list.len()).expect("fits").saturating_sub(1);
        assert_eq!(list.is_empty(), list.get(last).is_err());
        assert!(list.get(last + 1).is_err());
    }
});
