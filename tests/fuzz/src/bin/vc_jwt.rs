//! Credentials and presentations as JWTs in the way of VCDM 1.1: the text as it is, and as a payload that is well signed.
#![no_main]

use carekey_core::format::vc_jose::Content;
use carekey_core::format::vc_jwt::UnverifiedVcJwt;
use carekey_core::jose::jws;
use carekey_core::key::Signer as _;
use carekey_core::limits::Limits;
use carekey_fuzz::{NOW, key};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let signed = jws::sign(serde_json::Map::new(), data, &key(1)).ok();
    let text = std::str::from_utf8(data).ok().map(str::to_owned);
    for compact in [signed, text].into_iter().flatten() {
        for content in [Content::Credential, Content::Presentation] {
            let Ok(read) = UnverifiedVcJwt::parse(content, &compact, &Limits::DEFAULT) else { continue };
            let _ = (read.signer(), read.key_id());
            let Ok(verified) = read.verify(key(1).public_key()) else { continue };
            let _ = verified.check_time(NOW, 60);
        }
    }
});
