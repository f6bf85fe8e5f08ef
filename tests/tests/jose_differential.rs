//! josekit and ours read each other's JWEs, and refuse the same ones.
#![cfg(feature = "openssl-oracles")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use carekey_core::encoding::base64url;
use carekey_core::jose::jwe::{self, ContentEncryption, Curve, JweDecryptionKey, KeyManagement, PartyInfo};
use carekey_core::limits::Limits;
use josekit::jwe::alg::ecdh_es::{EcdhEsJweAlgorithm, EcdhEsJweDecrypter, EcdhEsJweEncrypter};
use josekit::jwe::{self as theirs, JweHeader};
use josekit::jwk::Jwk;
use serde_json::{Value, json};

const PAYLOAD: &[u8] = br#"{"vp_token":{"patient":["eyJ~"]}}"#;

/// The same key for both libraries.
struct Pair {
    ours: JweDecryptionKey,
    public: carekey_core::jose::jwk::Jwk,
    encrypter: EcdhEsJweEncrypter,
    decrypter: EcdhEsJweDecrypter,
}

fn pair(curve: Curve, alg: KeyManagement) -> Pair {
    let ours = JweDecryptionKey::generate_on(curve).unwrap().for_algorithm(alg);
    let public = ours.jwk("key-1");
    let mut private: Value = public.to_value();
    private["d"] = json!(base64url::encode(ours.to_bytes().unwrap().expose()));
    let read = |jwk: &Value| Jwk::from_bytes(jwk.to_string()).unwrap();
    let algorithm = match alg {
        KeyManagement::EcdhEs => EcdhEsJweAlgorithm::EcdhEs,
        KeyManagement::EcdhEsA128Kw => EcdhEsJweAlgorithm::EcdhEsA128kw,
        KeyManagement::EcdhEsA256Kw => EcdhEsJweAlgorithm::EcdhEsA256kw,
    };
    Pair {
        encrypter: algorithm.encrypter_from_jwk(&read(&public.to_value())).unwrap(),
        decrypter: algorithm.decrypter_from_jwk(&read(&private)).unwrap(),
        ours,
        public,
    }
}

fn theirs_encrypts(pair: &Pair, enc: ContentEncryption, parties: &PartyInfo) -> String {
    let mut header = JweHeader::new();
    header.set_content_encryption(enc.as_str());
    if let Some(apu) = &parties.apu {
        header.set_agreement_partyuinfo(apu);
    }
    if let Some(apv) = &parties.apv {
        header.set_agreement_partyvinfo(apv);
    }
    theirs::serialize_compact(PAYLOAD, &header, &pair.encrypter).unwrap()
}

#[test]
fn each_reads_the_other() {
    let parties = PartyInfo { apu: Some(b"wallet".to_vec()), apv: Some(b"verifier nonce".to_vec()) };
    let mut count = 0;
    for curve in [Curve::P256, Curve::X25519] {
        for alg in KeyManagement::ALL {
            let pair = pair(curve, alg);
            for enc in ContentEncryption::ALL {
                for parties in [&PartyInfo::default(), &parties] {
                    let jwe = theirs_encrypts(&pair, enc, parties);
                    let (header, payload) = jwe::decrypt(&jwe, &pair.ours, &Limits::DEFAULT).unwrap();
                    assert_eq!((payload.as_slice(), header.alg, header.enc), (PAYLOAD, alg, enc));
                    assert_eq!(&header.parties, parties);

                    let jwe = jwe::encrypt(PAYLOAD, &pair.public, enc, parties).unwrap();
                    let (payload, header) = theirs::deserialize_compact(&jwe, &pair.decrypter).unwrap();
                    assert_eq!((payload.as_slice(), header.key_id()), (PAYLOAD, Some("key-1")));
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 48);
}

#[test]
fn both_refuse_what_was_changed() {
    for curve in [Curve::P256, Curve::X25519] {
        for alg in KeyManagement::ALL {
            let pair = pair(curve, alg);
            for enc in ContentEncryption::ALL {
                let jwe = jwe::encrypt(PAYLOAD, &pair.public, enc, &PartyInfo::default()).unwrap();
                let parts: Vec<String> = jwe.split('.').map(Into::into).collect();
                for at in (1..5).filter(|at| !parts[*at].is_empty()) {
                    let mut changed = parts.clone();
                    let mut bytes = base64url::decode(&parts[at]).unwrap();
                    bytes[0] ^= 1;
                    changed[at] = base64url::encode(&bytes);
                    let changed = changed.join(".");
                    assert!(jwe::decrypt(&changed, &pair.ours, &Limits::DEFAULT).is_err());
                    assert!(theirs::deserialize_compact(&changed, &pair.decrypter).is_err());
                }
            }
        }
    }
}

/// What josekit would unpack, ours never decrypts.
#[test]
fn compression_of_the_other_is_refused() {
    let pair = pair(Curve::P256, KeyManagement::EcdhEs);
    let mut header = JweHeader::new();
    header.set_content_encryption("A128GCM");
    header.set_compression("DEF");
    let jwe = theirs::serialize_compact(&vec![0; 1 << 20], &header, &pair.encrypter).unwrap();
    assert!(jwe.len() < 4096);
    assert_eq!(jwe::decrypt(&jwe, &pair.ours, &Limits::DEFAULT).unwrap_err().code(), "jwe_zip");
}
