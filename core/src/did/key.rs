//! `did:key` and Multikey (W3C-CCG did:key method; Controlled Identifiers 1.0 section 2.2.2): the identifier is the key.
//!
//! Keys of X25519, secp256k1 and BLS12-381 G2 have a document too, although no signature of theirs is verified by
//! [`PublicKey`]: the first is for key agreement, the last for BBS.

use aws_lc_rs::signature::{ECDSA_P256K1_SHA256_ASN1, ParsedPublicKey};

use super::document::{DidDocument, KeyMaterial, VerificationMethod};
use super::{Did, resolver};
use crate::encoding::multibase;
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm, bbs};

/// Multicodec prefixes (as varints) of the keys that this crate carries.
const PREFIXES: [(SignatureAlgorithm, [u8; 2]); 4] = [
    (SignatureAlgorithm::EdDsa, [0xed, 0x01]),
    (SignatureAlgorithm::Es256, [0x80, 0x24]),
    (SignatureAlgorithm::Es384, [0x81, 0x24]),
    (SignatureAlgorithm::Es512, [0x82, 0x24]),
];

/// Prefix and compressed P-521 point.
const MAX_BYTES: usize = 2 + 67;
/// Prefix and compressed point of BLS12-381 G2, the longest key of all.
const MAX_DOCUMENT_BYTES: usize = 2 + 96;

/// Keys that have a document, but are no [`PublicKey`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentKey {
    X25519,
    Secp256k1,
    Bls12381G2,
}

const DOCUMENT_PREFIXES: [(DocumentKey, [u8; 2]); 3] = [
    (DocumentKey::X25519, [0xec, 0x01]),
    (DocumentKey::Secp256k1, [0xe7, 0x01]),
    (DocumentKey::Bls12381G2, [0xeb, 0x01]),
];

/// `key` as `publicKeyMultibase`: multicodec prefix and compressed point, in base58btc.
///
/// [`Error::Unsupported`] `multikey` for RSA.
pub fn encode_multikey(key: &PublicKey) -> Result<String> {
    let prefix = PREFIXES.iter().find(|(algorithm, _)| *algorithm == key.algorithm());
    let (_, prefix) = prefix.ok_or_else(unsupported)?;
    Ok(multibase::encode_base58btc(&[&prefix[..], &key.to_sec1_compressed()].concat()))
}

/// The key of a `publicKeyMultibase`.
///
/// [`Error::Malformed`] `multibase` or `public_key` (points must be compressed), [`Error::Unsupported`] `multikey` for
/// another type of key.
pub fn decode_multikey(text: &str) -> Result<PublicKey> {
    let bytes = multibase::decode(text, MAX_BYTES)?;
    let (prefix, key) = bytes.split_first_chunk().ok_or_else(unsupported)?;
    let algorithm = PREFIXES.iter().find(|(_, known)| known == prefix).ok_or_else(unsupported)?.0;
    match algorithm {
        SignatureAlgorithm::EdDsa => PublicKey::from_ed25519(key),
        _ if key.first() == Some(&4) => {
            Err(Error::malformed("public_key", "the point of a Multikey must be compressed"))
        }
        ecdsa => PublicKey::from_sec1(ecdsa, key),
    }
}

fn unsupported() -> Error {
    Error::unsupported("multikey", "this type of key is not supported")
}

/// The `did:key` of `key`; [`Error::Unsupported`] `multikey` for RSA.
pub fn encode(key: &PublicKey) -> Result<Did> {
    Did::parse(&format!("did:key:{}", encode_multikey(key)?))
}

/// The `did:key` of a BBS key: `did:key:zUC7…`.
pub fn encode_bbs(key: &bbs::PublicKey) -> Result<Did> {
    Did::parse(&format!("did:key:{}", key.to_multikey()))
}

/// The document of a `did:key`: one key, named by its own encoding, for authentication and assertion; of X25519 for key
/// agreement.
///
/// Key agreement is not derived from Ed25519. Errors of [`decode_multikey`]; [`Error::Malformed`] `did_key` when the
/// identifier is not the one canonical encoding of its key; [`Error::Unsupported`] `did_method`. A key of BLS12-381 is
/// checked for its form only: whether it is a point of the subgroup is found out by whoever verifies with it.
pub fn resolve(did: &Did) -> Result<DidDocument> {
    resolver::require_method(did, "key")?;
    let text = did.method_specific_id();
    if let Some(key) = document_key(text)? {
        let name = did.with_fragment(text)?;
        let method = VerificationMethod {
            controller: did.clone(),
            id: name.clone(),
            type_: "Multikey".into(),
            material: KeyMaterial::Multibase(text.to_owned()),
        };
        let mut document = DidDocument::for_signing(did.clone(), vec![method]);
        if key == DocumentKey::X25519 {
            document.key_agreement = vec![name];
            document.authentication.clear();
            document.assertion_method.clear();
        }
        return Ok(document);
    }
    let key = decode_multikey(text)?;
    if encode(&key)? != *did {
        return Err(not_canonical());
    }
    let method = VerificationMethod::multikey(did.with_fragment(text)?, &key)?;
    Ok(DidDocument::for_signing(did.clone(), vec![method]))
}

/// The type of a key that only has a document, its form checked; `None` for every other.
fn document_key(text: &str) -> Result<Option<DocumentKey>> {
    let bytes = multibase::decode(text, MAX_DOCUMENT_BYTES)?;
    let Some((prefix, key)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let Some((kind, _)) = DOCUMENT_PREFIXES.iter().find(|(_, known)| known == prefix) else {
        return Ok(None);
    };
    let fits = match kind {
        DocumentKey::X25519 => key.len() == 32,
        DocumentKey::Secp256k1 => {
            key.len() == 33 && ParsedPublicKey::new(&ECDSA_P256K1_SHA256_ASN1, key).is_ok()
        }
        // Compressed, and not the point at infinity.
        DocumentKey::Bls12381G2 => key.len() == 96 && key.first().is_some_and(|first| first & 0xc0 == 0x80),
    };
    if !fits {
        return Err(Error::malformed("public_key", "not a public key of the type that its prefix names"));
    }
    if multibase::encode_base58btc(&bytes) != text {
        return Err(not_canonical());
    }
    Ok(Some(*kind))
}

fn not_canonical() -> Error {
    Error::malformed("did_key", "not the canonical did:key of its key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::VerificationPurpose;
    use crate::key::{Signer, SoftwareKey};

    /// From the did:key method's own examples, and the Data Integrity vectors.
    const KNOWN: [(&str, SignatureAlgorithm); 6] = [
        ("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", SignatureAlgorithm::EdDsa),
        ("did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2", SignatureAlgorithm::EdDsa),
        ("did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", SignatureAlgorithm::Es256),
        ("did:key:zDnaepBuvsQ8cpsWrVKw8fbpGpvPeNSjVPTWoq6cRqaYzBKVP", SignatureAlgorithm::Es256),
        (
            "did:key:z82Lm1MpAkeJcix9K8TMiLd5NMAhnwkjjCBeWHXyu3U4oT2MVJJKXkcVBgjGhnLBn2Kaau9",
            SignatureAlgorithm::Es384,
        ),
        (
            "did:key:z2J9gaYxrKVpdoG9A4gRnmpnRCcxU6agDtFVVBVdn1JedouoZN7SzcyREXXzWgt3gGiwpoHq7K68X4m32D8HgzG8wv3sY5j7",
            SignatureAlgorithm::Es512,
        ),
    ];

    #[test]
    fn known_answers() {
        for (text, algorithm) in KNOWN {
            let did = Did::parse(text).unwrap();
            let document = resolve(&did).unwrap();
            let name = did.with_fragment(did.method_specific_id()).unwrap();
            let key = document.verification_key(&name, VerificationPurpose::AssertionMethod).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(encode(&key).unwrap(), did);
            assert!(document.verification_key(&name, VerificationPurpose::KeyAgreement).is_err());
        }
    }

    /// From the did:key method's own examples: documents of keys that are not carried as [`PublicKey`].
    #[test]
    fn documents_only() {
        use VerificationPurpose::{AssertionMethod, Authentication, KeyAgreement};
        for (id, purposes) in [
            ("z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F", &[KeyAgreement][..]),
            ("z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc", &[KeyAgreement]),
            ("zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme", &[AssertionMethod, Authentication]),
            (
                "zUC7K4ndUaGZgV7Cp2yJy6JtMoUHY6u7tkcSYUvPrEidqBmLCTLmi6d5WvwnUqejscAkERJ3bfjEiSYtdPkRSE8kSa11hFBr4sTgnbZ95SJj19PN2jdvJjyzpSZgxkyyxNnBNnY",
                &[AssertionMethod, Authentication],
            ),
        ] {
            let did = Did::parse(&format!("did:key:{id}")).unwrap();
            let document = resolve(&did).unwrap();
            let name = did.with_fragment(id).unwrap();
            for purpose in [KeyAgreement, AssertionMethod, Authentication] {
                let method = document.verification_method(&name, purpose);
                assert_eq!(method.is_ok(), purposes.contains(&purpose), "{id}");
            }
            let method = document.verification_method(&name, purposes[0]).unwrap();
            assert_eq!(method.material, KeyMaterial::Multibase(id.into()));
            assert!(method.public_key().is_err(), "{id}");
        }
        let code = |prefix: [u8; 2], key: &[u8]| {
            let text = multibase::encode_base58btc(&[&prefix[..], key].concat());
            resolve(&Did::parse(&format!("did:key:{text}")).unwrap()).unwrap_err().code()
        };
        assert_eq!(code([0xec, 0x01], &[7; 31]), "public_key");
        assert_eq!(code([0xe7, 0x01], &[2; 32]), "public_key");
        assert_eq!(code([0xe7, 0x01], &[&[2][..], &[0xff; 32]].concat()), "public_key");
        assert_eq!(code([0xeb, 0x01], &[0x80; 48]), "public_key");
        assert_eq!(code([0xeb, 0x01], &[0xc0; 96]), "public_key");
        assert_eq!(code([0xeb, 0x01], &[0x20; 96]), "public_key");
        let other_base = multibase::encode_base64url(&[&[0xec, 0x01][..], &[7; 32]].concat());
        let did = Did::parse(&format!("did:key:{other_base}")).unwrap();
        assert_eq!(resolve(&did).unwrap_err().code(), "did_key");
    }

    #[test]
    fn vectors_of_data_integrity() {
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors"));
        if !folder.exists() {
            println!("skipped: {} absent", folder.display());
            return;
        }
        let pair = |file: &str| {
            let text = std::fs::read(folder.join(file)).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let member = |a: &str, b: &str| json.get(a).or(json.get(b)).unwrap().as_str().unwrap().to_owned();
            let secret = member("secretKeyMultibase", "privateKeyMultibase");
            let secret = multibase::decode(&secret, 128).unwrap()[2..].to_vec();
            (decode_multikey(&member("publicKeyMultibase", "publicKeyMultibase")).unwrap(), secret)
        };
        let (p256, scalar) = pair("vc-di-ecdsa/p256KeyPair.json");
        assert_eq!(*SoftwareKey::from_p256_scalar(&scalar.try_into().unwrap()).unwrap().public_key(), p256);
        let (ed, seed) = pair("vc-di-eddsa/keyPair.json");
        assert_eq!(*SoftwareKey::from_ed25519_seed(&seed.try_into().unwrap()).unwrap().public_key(), ed);
        let (p384, _) = pair("vc-di-ecdsa/p384KeyPair.json");
        assert_eq!(p384.algorithm(), SignatureAlgorithm::Es384);
        // Every did:key that the two folders mention resolves.
        let mut found = std::collections::BTreeSet::new();
        let mut folders = vec![folder.join("vc-di-ecdsa"), folder.join("vc-di-eddsa")];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let keys = text.split("did:key:").skip(1);
                found.extend(
                    keys.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()),
                );
            }
        }
        for key in &found {
            resolve(&Did::parse(&format!("did:key:{key}")).unwrap()).unwrap();
        }
        assert_eq!(found.len(), 9);
    }

    #[test]
    fn refuses() {
        let code = |text: &str| resolve(&Did::parse(text).unwrap()).unwrap_err().code();
        assert_eq!(code("did:web:a.example"), "did_method");
        assert_eq!(code("did:key:x"), "multibase");
        assert_eq!(code("did:key:z"), "multikey");
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let did = |prefix: &[u8], key: &[u8], base: fn(&[u8]) -> String| {
            format!("did:key:{}", base(&[prefix, key].concat()))
        };
        let point = key.public_key().to_sec1_uncompressed();
        let compressed = key.public_key().to_sec1_compressed();
        let z = multibase::encode_base58btc;
        assert_eq!(code(&did(&[0x80, 0x24], &point, z)), "public_key");
        assert_eq!(code(&did(&[0x81, 0x24], &compressed, z)), "public_key");
        assert_eq!(code(&did(&[0x80, 0x24], &compressed, multibase::encode_base64url)), "did_key");
        assert_eq!(code(&did(&[0xed, 0x01], &[0; 32], z)), "public_key");
        assert_eq!(code(&did(&[0x80, 0x24], &[&[2][..], &[0xff; 32]].concat(), z)), "public_key");
        assert_eq!(code(&format!("did:key:z{}", "2".repeat(200))), "multibase");
    }
}
