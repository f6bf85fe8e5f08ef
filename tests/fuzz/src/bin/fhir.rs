//! FHIR resources on their way to claims.
#![no_main]

use carekey_core::UnixTime;
use carekey_core::encoding::json;
use carekey_core::health::DatasetKind;
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = json::parse(data, &Limits::DEFAULT) else { return };
    for kind in DatasetKind::ALL {
        let _ = kind.extract(&value, UnixTime::from_secs(1_795_348_800));
    }
});
