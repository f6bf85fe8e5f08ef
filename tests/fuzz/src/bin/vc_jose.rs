//! VC-JOSE-COSE: the first byte chooses the envelope (JWT, SD-JWT, COSE; credential or presentation) or a data: URL.
#![no_main]

use carekey_core::format::vc_jose::envelope::Enveloped;
use carekey_core::format::vc_jose::verify::UnverifiedEnvelope;
use carekey_core::format::vc_jose::{Content, EnvelopeType, Mechanism};
use carekey_core::key::Signer as _;
use carekey_core::key::SoftwareKey;
use carekey_core::limits::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let content = if choice & 1 == 0 { Content::Credential } else { Content::Presentation };
    let mechanism = match choice % 8 / 2 {
        0 => Mechanism::Jwt,
        1 => Mechanism::SdJwt,
        2 => Mechanism::Cose,
        _ => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            if let Ok(enveloped) = Enveloped::from_data_url(text) {
                let again = Enveloped::from_data_url(&enveloped.to_data_url());
                assert_eq!(again.as_ref(), Ok(&enveloped));
                let _ = enveloped.open(&Limits::DEFAULT);
            }
            return;
        }
    };
    let kind = EnvelopeType { content, mechanism };
    let Ok(read) = UnverifiedEnvelope::parse(kind, data, &Limits::DEFAULT) else { return };
    let key = SoftwareKey::from_p256_scalar(&[1; 32]).expect("a scalar of the curve");
    let _ = read.verify(key.public_key());
});
