//! The data model of credentials and presentations, 1.1 and 2.0.
#![no_main]

use carekey_core::credential::data_model;
use carekey_core::encoding::json;
use carekey_core::format::vc_jose::Content;
use carekey_core::format::vc_jose::envelope::Enveloped;
use carekey_core::limits::Limits;
use carekey_fuzz::NOW;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(document) = json::parse(data, &Limits::DEFAULT) else { return };
    if data_model::check_credential(&document).is_ok() {
        // A sound credential has a version and readable times.
        assert!(data_model::version(&document).is_ok());
        assert!(data_model::validity(&document).is_ok());
        let _ = data_model::check_time(&document, NOW, 60);
    }
    let _ = data_model::check_presentation(&document);
    let _ = data_model::check_known_members(&document);
    for content in [Content::Credential, Content::Presentation] {
        let _ = Enveloped::from_value(&document, content);
    }
});
