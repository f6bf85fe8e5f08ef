//! What bbs-2023 refuses, and that no bit of it can change.

use serde_json::{Value, json};

use super::*;
use crate::clock::UnixTime;
use crate::did::{Did, DidUrl};
use crate::format::data_integrity::selective::DEFAULT_MANDATORY_POINTERS;
use crate::format::data_integrity::selective::tests::{bytes_of, flip_text, with_bytes};
use crate::format::data_integrity::{
    ControllerPolicy, Evidence, Expectation, ProofPurpose, add_proof, verify_base_proofs, verify_proofs,
};
use crate::key::{SignatureAlgorithm, Signer, SoftwareKey};
use crate::random::SystemRandom;

fn credential() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", {"@vocab": "https://example.org/terms#"}],
        "type": ["VerifiableCredential"],
        "issuer": "https://issuer.example/",
        "credentialSubject": {"member": "ABCDEFG1", "plans": [{"label": "Bronze-x"}, {"label": "Silver-x"}]}
    })
}

struct World {
    key: SecretKey,
    contexts: Contexts,
}

impl World {
    fn new() -> Self {
        Self { key: SecretKey::generate(&SystemRandom).unwrap(), contexts: Contexts::bundled().unwrap() }
    }

    fn method(&self) -> DidUrl {
        let name = self.key.public_key().to_multikey();
        assert!(name.starts_with("zUC7"));
        Did::parse(&format!("did:key:{name}")).unwrap().with_fragment(&name).unwrap()
    }

    fn options(&self) -> ProofOptions {
        ProofOptions::new(Cryptosuite::Bbs2023, self.method(), ProofPurpose::AssertionMethod)
    }

    fn base(&self) -> Value {
        let mut document = credential();
        let pointers = DEFAULT_MANDATORY_POINTERS;
        add_base_proof(&mut document, &self.options(), &pointers, &self.key, &[7; 32], &self.contexts)
            .unwrap();
        document
    }

    fn derive(&self, base: &Value, pointers: &[&str], header: &[u8]) -> Result<Value> {
        let presentation = Presentation { header, ..Presentation::new(&SystemRandom) };
        super::super::derive(base, pointers, &presentation, &self.contexts)
    }

    fn verify(&self, document: &Value, base: bool) -> Result<()> {
        let mut evidence = Evidence::new();
        evidence.add_offline(document)?;
        let expected = Expectation {
            controller: ControllerPolicy::Any,
            ..Expectation::credential(UnixTime::from_secs(1_790_000_000))
        };
        let verify = if base { verify_base_proofs } else { verify_proofs };
        verify(document, &evidence, &expected, &self.contexts).map(drop)
    }

    fn code(&self, document: &Value) -> &'static str {
        self.verify(document, false).unwrap_err().code()
    }
}

fn changed(document: &Value, change: impl FnOnce(&mut DerivedProof)) -> Value {
    let ProofValue::Derived(mut proof) = ProofValue::parse(&bytes_of(document)).unwrap() else {
        panic!("not derived")
    };
    change(&mut proof);
    with_bytes(document, &proof.to_bytes())
}

#[test]
fn discloses_what_was_chosen() {
    let world = World::new();
    let base = world.base();
    world.verify(&base, true).unwrap();
    for pointers in [&[][..], &[""], &["/credentialSubject/plans/1"], &["/credentialSubject/member"]] {
        world.verify(&world.derive(&base, pointers, b"nonce").unwrap(), false).unwrap();
    }
    let shown = world.derive(&base, &["/credentialSubject/plans/1"], b"").unwrap();
    let text = shown.to_string() + &String::from_utf8_lossy(&bytes_of(&shown));
    assert!(text.contains("Silver-x") && text.contains("https://issuer.example/"));
    assert!(!["ABCDEFG1", "Bronze"].iter().any(|hidden| text.contains(hidden)));
    // Shown twice, nothing but the disclosed itself is the same: neither signature nor label key.
    let again = world.derive(&base, &["/credentialSubject/plans/1"], b"").unwrap();
    let (one, two, base) = (bytes_of(&shown), bytes_of(&again), bytes_of(&base));
    let windows = |bytes: &[u8]| bytes.windows(16).map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert!(
        !windows(&one).iter().any(|window| windows(&two).contains(window) || windows(&base).contains(window))
    );
}

#[test]
fn refuses() {
    let world = World::new();
    let base = world.base();
    assert_eq!(world.code(&base), "proof_base");
    let derived = world.derive(&base, &["/credentialSubject/plans"], b"nonce").unwrap();
    world.verify(&derived, false).unwrap();
    assert_eq!(world.verify(&derived, true).unwrap_err().code(), "proof_base_missing");
    assert_eq!(world.derive(&derived, &["/issuer"], b"").unwrap_err().code(), "proof_base_missing");
    let long = world.derive(&base, &["/issuer"], &[0; 1025]).unwrap_err();
    assert_eq!(long.code(), "bbs_presentation_header");

    let code = |change: fn(&mut DerivedProof)| world.code(&changed(&derived, change));
    assert_eq!(code(|proof| proof.presentation_header.push(0)), "proof_signature");
    assert_eq!(code(|proof| proof.selective.truncate(1)), "sd_indexes");
    assert_eq!(code(|proof| proof.selective.swap(0, 1)), "sd_indexes");
    assert_eq!(code(|proof| *proof.selective.last_mut().unwrap() = 900), "sd_indexes");
    assert_eq!(code(|proof| proof.mandatory.push(900)), "sd_indexes");
    assert_eq!(code(|proof| proof.mandatory.swap(0, 1)), "sd_indexes");
    assert_eq!(code(|proof| proof.labels.retain(|from, _| *from > 0)), "sd_labels");
    assert_eq!(code(|proof| proof.labels.extend([(0, proof.labels[&1])])), "sd_labels");
    assert_eq!(code(|proof| proof.labels.extend([(0, 77)])), "proof_signature");

    let other = World::new();
    let foreign = other.derive(&other.base(), &["/credentialSubject/plans"], b"nonce").unwrap();
    let ProofValue::Derived(foreign) = ProofValue::parse(&bytes_of(&foreign)).unwrap() else { panic!() };
    assert_eq!(world.code(&changed(&derived, |proof| proof.proof = foreign.proof)), "proof_signature");
    let mut document = derived.clone();
    document["issuer"] = "https://other.example/".into();
    assert_eq!(world.code(&document), "proof_signature");
    let mut document = derived.clone();
    document["credentialSubject"]["plans"][0]["label"] = "Golden".into();
    assert_eq!(world.code(&document), "proof_signature");
    let mut document = derived.clone();
    document["proof"]["verificationMethod"] = other.method().to_string().into();
    assert_eq!(world.code(&document), "proof_signature");
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let did = crate::did::key::encode(key.public_key()).unwrap();
    let method = did.with_fragment(did.method_specific_id()).unwrap();
    document["proof"]["verificationMethod"] = method.to_string().into();
    assert_eq!(world.code(&document), "proof_key_type");
    document["proof"]["previousProof"] = "urn:p".into();
    assert_eq!(world.code(&document), "proof_previous_selective");

    let mut chain = credential();
    let add = |document: &mut Value, options: &ProofOptions| {
        add_base_proof(document, options, &["/issuer"], &world.key, &[0; 32], &world.contexts)
            .unwrap_err()
            .code()
    };
    let options = ProofOptions { previous_proof: vec!["urn:p".into()], ..world.options() };
    assert_eq!(add(&mut chain, &options), "proof_options");
    let options = ProofOptions { cryptosuite: Cryptosuite::EcdsaSd2023, ..world.options() };
    assert_eq!(add(&mut chain, &options), "proof_options");
    assert!(add_proof(&mut chain, &world.options(), &key, &world.contexts).is_err());
}

#[test]
fn refuses_values() {
    let world = World::new();
    let base = world.base();
    let derived = world.derive(&base, &["/credentialSubject/plans"], b"nonce").unwrap();
    for value in [bytes_of(&base), bytes_of(&derived)] {
        let refused = |bytes: &[u8]| assert_eq!(ProofValue::parse(bytes).unwrap_err().code(), "proof_value");
        for len in 0..value.len() {
            refused(&value[..len]);
        }
        refused(&[value.as_slice(), &[0]].concat());
        // The headers of the features at risk, of ecdsa-sd-2023, and of nothing.
        for header in [0, 1, 4, 5, 6, 7, 8, 9] {
            refused(&[&[0xd9, 0x5d, header], &value[3..]].concat());
        }
        for array in [&[0x84][..], &[0x86], &[0x98, 5], &[0x9f]] {
            refused(&[&value[..3], array, &value[4..]].concat());
        }
    }
}

#[test]
fn no_bit_can_change() {
    let world = World::new();
    let base = world.base();
    let derived = world.derive(&base, &["/credentialSubject/member"], b"n").unwrap();
    for (document, is_base) in [(&base, true), (&derived, false)] {
        world.verify(document, is_base).unwrap();
        let value = bytes_of(document);
        let mut tolerated = 0;
        let hmac_key =
            3 + 1 + (2 + 80) + (2 + 64) + (2 + 96) + 2..3 + 1 + (2 + 80) + (2 + 64) + (2 + 96) + 2 + 32;
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = with_bytes(document, &flipped);
            if world.verify(&flipped, is_base).is_ok() {
                // Only the order of the labels is signed, not the key that it comes from: a key that gives the same
                // order is as good.
                assert!(is_base && hmac_key.contains(&(bit / 8)), "bit {bit}");
                tolerated += 1;
                let derived = world.derive(&flipped, &["/credentialSubject/plans/0"], b"").unwrap();
                world.verify(&derived, false).unwrap();
            }
        }
        let others = flip_text(document, |read| world.verify(read, is_base));
        assert!(others > 1000);
        println!("{} flips of the value, {tolerated} harmless; {others} other documents", value.len() * 8);
    }
}
