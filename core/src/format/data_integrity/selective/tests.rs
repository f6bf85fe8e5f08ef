//! What selective disclosure refuses, and that no bit of it can change.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::clock::UnixTime;
use crate::did::DidUrl;
use crate::encoding::multibase;
use crate::format::data_integrity::ecdsa_sd::{BaseSecrets, DerivedProof, ProofValue, add_base_proof};
use crate::format::data_integrity::{
    ControllerPolicy, Cryptosuite, Evidence, Expectation, Presentation, ProofOptions, ProofPurpose,
    add_proof, verify_base_proofs, verify_proofs,
};
use crate::key::{SignatureAlgorithm, Signer, SoftwareKey};
use crate::limits::Limits;
use crate::random::SystemRandom;

fn credential() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", {"@vocab": "https://example.org/terms#"}],
        "type": ["VerifiableCredential"],
        "issuer": "https://issuer.example/",
        "credentialSubject": {
            "member": "ABCDEFG1",
            "plans": [{"label": "Bronze-x"}, {"label": "Silver-x"}, {"label": "Golden-x"}]
        }
    })
}

struct World {
    key: SoftwareKey,
    contexts: Contexts,
}

impl World {
    fn new(algorithm: SignatureAlgorithm) -> Self {
        Self { key: SoftwareKey::generate(algorithm).unwrap(), contexts: Contexts::bundled().unwrap() }
    }

    fn method(&self) -> DidUrl {
        let did = crate::did::key::encode(self.key.public_key()).unwrap();
        did.with_fragment(did.method_specific_id()).unwrap()
    }

    fn options(&self) -> ProofOptions {
        ProofOptions::new(Cryptosuite::EcdsaSd2023, self.method(), ProofPurpose::AssertionMethod)
    }

    fn try_base(&self, document: &Value, pointers: &[&str]) -> Result<Value> {
        let mut document = document.clone();
        let secrets = BaseSecrets::generate(&SystemRandom)?;
        add_base_proof(&mut document, &self.options(), pointers, &self.key, &secrets, &self.contexts)?;
        Ok(document)
    }

    fn base(&self) -> Value {
        self.try_base(&credential(), &DEFAULT_MANDATORY_POINTERS).unwrap()
    }

    fn derived(&self, pointers: &[&str]) -> Value {
        derive(&self.base(), pointers, &self.contexts).unwrap()
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

fn derive<S: AsRef<str>>(document: &Value, pointers: &[S], contexts: &Contexts) -> Result<Value> {
    super::super::derive(document, pointers, &Presentation::new(&SystemRandom), contexts)
}

pub(in super::super) fn bytes_of(document: &Value) -> Vec<u8> {
    multibase::decode(document["proof"]["proofValue"].as_str().unwrap(), 1 << 20).unwrap()
}

pub(in super::super) fn with_bytes(document: &Value, bytes: &[u8]) -> Value {
    let mut document = document.clone();
    document["proof"]["proofValue"] = multibase::encode_base64url(bytes).into();
    document
}

fn changed(document: &Value, change: impl FnOnce(&mut DerivedProof)) -> Value {
    let ProofValue::Derived(mut proof) = ProofValue::parse(&bytes_of(document)).unwrap() else {
        panic!("not derived")
    };
    change(&mut proof);
    with_bytes(document, &proof.to_bytes().unwrap())
}

#[test]
fn discloses_what_was_chosen() {
    let world = World::new(SignatureAlgorithm::Es256);
    let base = world.base();
    world.verify(&base, true).unwrap();
    let shown = derive(&base, &["/credentialSubject/plans/1"], &world.contexts).unwrap();
    world.verify(&shown, false).unwrap();
    let text = shown.to_string() + &String::from_utf8_lossy(&bytes_of(&shown));
    assert!(text.contains("Silver-x") && text.contains("https://issuer.example/"));
    assert!(!["ABCDEFG1", "Bronze", "Golden"].iter().any(|hidden| text.contains(hidden)));
    // Only what is mandatory; everything; several array items in any order; nothing mandatory.
    for pointers in [&[][..], &[""], &["/credentialSubject/plans/2", "/credentialSubject/plans/0/label"]] {
        world.verify(&derive(&base, pointers, &world.contexts).unwrap(), false).unwrap();
    }
    let free = world.try_base(&credential(), &[]).unwrap();
    world.verify(&derive(&free, &["/credentialSubject/member"], &world.contexts).unwrap(), false).unwrap();
    assert_eq!(derive::<&str>(&free, &[], &world.contexts).unwrap_err().code(), "sd_nothing");
    // Other proofs of the set stay behind.
    let mut set = base;
    let options = ProofOptions { cryptosuite: Cryptosuite::EcdsaRdfc2019, ..world.options() };
    add_proof(&mut set, &options, &world.key, &world.contexts).unwrap();
    world.verify(&set, true).unwrap();
    assert_eq!(world.code(&set), "proof_base");
    world.verify(&derive(&set, &["/credentialSubject"], &world.contexts).unwrap(), false).unwrap();
}

#[test]
fn symmetric_nodes_are_disclosed() {
    // Two subjects that look the same once their difference is hidden.
    let world = World::new(SignatureAlgorithm::Es256);
    let mut document = credential();
    document["credentialSubject"] = json!([
        {"a": 1, "b": {"c": 2, "d": {"e": 5}}},
        {"a": 1, "b": {"c": 3, "d": {"e": 5}}},
        {"a": 1, "b": {"c": 4, "d": {"e": 5}}}
    ]);
    let base = world.try_base(&document, &["/issuer", "/credentialSubject/1/b/d/e"]).unwrap();
    world.verify(&base, true).unwrap();
    for pointers in [
        &["/credentialSubject/0/a", "/credentialSubject/2/a"][..],
        &["/credentialSubject/0/b/d", "/credentialSubject/2/b/d", "/credentialSubject/1/a"],
        &["/credentialSubject/2/b/c"],
    ] {
        world.verify(&derive(&base, pointers, &world.contexts).unwrap(), false).unwrap();
    }
}

#[test]
fn refuses_at_issuance_and_derivation() {
    let world = World::new(SignatureAlgorithm::Es256);
    let code = |document: &Value, pointers: &[&str]| world.try_base(document, pointers).unwrap_err().code();
    assert_eq!(code(&credential(), &["issuer"]), "sd_pointer");
    assert_eq!(code(&credential(), &["/nobody"]), "sd_pointer_missing");
    let mut language = credential();
    language["credentialSubject"]["word"] = json!({"@value": "Wort", "@language": "de"});
    assert_eq!(code(&language, &["/credentialSubject/word/@value"]), "sd_pointer_statement");
    let mut list = credential();
    list["credentialSubject"]["steps"] = json!({"@list": [1, 2]});
    assert_eq!(code(&list, &["/issuer"]), "sd_blank_node");
    let mut label = credential();
    label["credentialSubject"]["friend"] = json!([{"id": "_:x", "n": 1}, {"id": "_:x", "m": 1}]);
    assert_eq!(code(&label, &["/issuer"]), "sd_blank_node");
    // A blank node identifier of one object only is no obstacle.
    label["credentialSubject"]["friend"] = json!({"id": "_:x", "n": 1});
    let base = world.try_base(&label, &["/issuer"]).unwrap();
    let shown = derive(&base, &["/credentialSubject/friend/n"], &world.contexts).unwrap();
    world.verify(&shown, false).unwrap();
    let mut chain = credential();
    let options = ProofOptions { previous_proof: vec!["urn:p".into()], ..world.options() };
    let secrets = BaseSecrets::generate(&SystemRandom).unwrap();
    let add = |document: &mut Value, options: &ProofOptions, key: &SoftwareKey| {
        add_base_proof(document, options, &["/issuer"], key, &secrets, &world.contexts).unwrap_err().code()
    };
    assert_eq!(add(&mut chain, &options, &world.key), "proof_options");
    let other = ProofOptions { cryptosuite: Cryptosuite::EcdsaRdfc2019, ..world.options() };
    assert_eq!(add(&mut chain, &other, &world.key), "proof_options");
    let key = SoftwareKey::generate(SignatureAlgorithm::Es384).unwrap();
    assert_eq!(add(&mut chain, &world.options(), &key), "proof_key_type");
    assert_eq!(BaseSecrets::new([0; 32], key).unwrap_err().code(), "proof_options");
    let whole = add_proof(&mut chain, &world.options(), &world.key, &world.contexts);
    assert_eq!(whole.unwrap_err().code(), "proof_suite_selective");

    let code = |document: &Value| derive(document, &["/issuer"], &world.contexts).unwrap_err().code();
    let base = world.base();
    assert_eq!(code(&credential()), "proof_missing");
    let derived = derive(&base, &["/credentialSubject"], &world.contexts).unwrap();
    assert_eq!(code(&derived), "proof_base_missing");
    assert_eq!(world.verify(&derived, true).unwrap_err().code(), "proof_base_missing");
    let mut two = base.clone();
    two["proof"] = json!([base["proof"], base["proof"]]);
    assert_eq!(code(&two), "proof_base_missing");
    let mut more = base.clone();
    more["credentialSubject"]["more"] = json!("x");
    assert_eq!(code(&more), "sd_indexes");
    let gone = derive(&base, &["/credentialSubject/plans/3"], &world.contexts);
    assert_eq!(gone.unwrap_err().code(), "sd_pointer_missing");
}

#[test]
fn refuses_at_verification() {
    let world = World::new(SignatureAlgorithm::Es256);
    let base = world.base();
    assert_eq!(world.code(&base), "proof_base");
    let derived = derive(&base, &["/credentialSubject/plans"], &world.contexts).unwrap();
    world.verify(&derived, false).unwrap();
    let code = |change: fn(&mut DerivedProof)| world.code(&changed(&derived, change));
    assert_eq!(code(|proof| proof.base_signature = proof.signatures[0]), "proof_signature");
    assert_eq!(code(|proof| proof.signatures.swap(0, 1)), "proof_signature");
    assert_eq!(code(|proof| proof.signatures.truncate(1)), "sd_indexes");
    assert_eq!(code(|proof| proof.signatures.push([1; 64])), "sd_indexes");
    assert_eq!(code(|proof| proof.mandatory.push(999)), "sd_indexes");
    assert_eq!(code(|proof| proof.mandatory.swap(0, 1)), "sd_indexes");
    assert_eq!(code(|proof| proof.mandatory.push(*proof.mandatory.last().unwrap())), "sd_indexes");
    assert_eq!(code(|proof| drop(proof.labels.pop_first())), "sd_labels");
    let label = format!("u{}", base64url::encode(&[7; 32]));
    let mut more = BTreeMap::from([(99, label)]);
    let extra = changed(&derived, |proof| proof.labels.append(&mut more));
    assert_eq!(world.code(&extra), "sd_labels");
    let same = |proof: &mut DerivedProof| {
        let first = proof.labels[&0].clone();
        proof.labels.insert(1, first);
    };
    assert_eq!(code(same), "sd_labels");
    let swapped = |proof: &mut DerivedProof| {
        let (first, second) = (proof.labels[&0].clone(), proof.labels[&1].clone());
        proof.labels.extend([(0, second), (1, first)]);
    };
    assert_eq!(code(swapped), "proof_signature");

    // A statement of another credential by the same issuer, with its signature and its key.
    let other = world.derived(&["/credentialSubject/plans"]);
    let ProofValue::Derived(foreign) = ProofValue::parse(&bytes_of(&other)).unwrap() else { panic!("base") };
    let mixed = changed(&derived, |proof| proof.signatures.clone_from(&foreign.signatures));
    assert_eq!(world.code(&mixed), "proof_signature");
    let mixed = changed(&derived, |proof| proof.proof_key = foreign.proof_key.clone());
    assert_eq!(world.code(&mixed), "proof_signature");

    let mut document = derived.clone();
    document["issuer"] = "https://other.example/".into();
    assert_eq!(world.code(&document), "proof_signature");
    let mut document = derived.clone();
    document["credentialSubject"]["plans"].as_array_mut().unwrap().swap(0, 2);
    world.verify(&document, false).unwrap(); // the order of a set is not a statement
    document["credentialSubject"]["plans"].as_array_mut().unwrap().pop();
    assert!(matches!(world.code(&document), "sd_labels" | "sd_indexes"));
    let mut document = derived.clone();
    document["proof"]["created"] = "2020-01-01T00:00:00Z".into();
    assert_eq!(world.code(&document), "proof_signature");
    document["proof"]["previousProof"] = "urn:p".into();
    assert_eq!(world.code(&document), "proof_previous_selective");
    let mut document = derived.clone();
    document["proof"]["@context"] = json!(["https://www.w3.org/ns/credentials/v2"]);
    assert_eq!(world.code(&document), "proof_context");
    let mut document = derived.clone();
    document["proof"]["proofValue"] = multibase::encode_base58btc(&bytes_of(&derived)).into();
    assert_eq!(world.code(&document), "proof_value");
    // Another issuer's key, of the right type and of others.
    for (algorithm, expected) in [
        (SignatureAlgorithm::Es256, "proof_signature"),
        (SignatureAlgorithm::Es384, "proof_key_type"),
        (SignatureAlgorithm::EdDsa, "proof_key_type"),
    ] {
        let mut document = derived.clone();
        document["proof"]["verificationMethod"] = World::new(algorithm).method().to_string().into();
        assert_eq!(world.code(&document), expected);
    }
}

#[test]
fn refuses_values() {
    let world = World::new(SignatureAlgorithm::Es256);
    let base = world.base();
    let derived = derive(&base, &["/credentialSubject/plans"], &world.contexts).unwrap();
    let (base, derived) = (bytes_of(&base), bytes_of(&derived));
    let refused = |bytes: &[u8]| assert_eq!(ProofValue::parse(bytes).unwrap_err().code(), "proof_value");
    for value in [&base, &derived] {
        for len in 0..value.len() {
            refused(&value[..len]);
        }
        refused(&[value.as_slice(), &[0]].concat());
        let edit = |at: usize, old: &[u8], new: &[u8]| {
            assert_eq!(&value[at..at + old.len()], old);
            refused(&[&value[..at], new, &value[at + old.len()..]].concat());
        };
        edit(0, &[0xd9], &[0xd8]); // another tag
        edit(2, &value[2..3], &[2]); // another header
        edit(3, &[0x85], &[0x84]); // four elements
        edit(3, &[0x85], &[0x98, 5]); // not the shortest form
        edit(3, &[0x85], &[0x9f]); // indefinite length
        edit(4, &[0x58, 64], &[0x58, 63]); // a short signature
        edit(4, &[0x58, 64], &[0x59, 0, 64]); // not the shortest form
        edit(4, &[0x58, 64], &[0xd8, 64, 0x58, 64]); // a tag
        edit(4, &[0x58], &[0x78]); // text
        edit(70, &[0x58, 35, 0x80, 0x24], &[0x58, 35, 0x81, 0x24]); // another kind of key
        edit(70, &[0x58, 35, 0x80, 0x24], &[0x58, 34, 0x80, 0x24]); // a short key
        edit(74, &value[74..75], &[4]); // a key that is no compressed point
    }
    // A label of 31 bytes, a label twice, a negative number, a negative index.
    let label =
        |number: &[u8], len: usize| [number, &[0x58, u8::try_from(len).unwrap()], &vec![9; len]].concat();
    let head = [&derived[..107], &[0x80]].concat();
    for (labels, indexes, good) in [
        ([&[0xa1][..], &label(&[0], 32)].concat(), vec![0x81, 0], true),
        ([&[0xa1][..], &label(&[0], 31)].concat(), vec![0x81, 0], false),
        ([&[0xa2][..], &label(&[0], 32), &label(&[0], 32)].concat(), vec![0x81, 0], false),
        ([&[0xa1][..], &label(&[0x20], 32)].concat(), vec![0x81, 0], false),
        ([&[0xa1][..], &label(&[0], 32)].concat(), vec![0x81, 0x20], false),
        ([&[0xa1][..], &label(&[0x18, 0], 32)].concat(), vec![0x81, 0], false),
    ] {
        let value = [head.clone(), labels, indexes].concat();
        assert_eq!(ProofValue::parse(&value).is_ok(), good);
    }
}

/// Flips every bit of the document's text and asserts that what still reads as another document is refused; within
/// `proofValue`, whose bits are flipped apart, only the ends. Returns how many other documents there were.
pub(in super::super) fn flip_text(document: &Value, verify: impl Fn(&Value) -> Result<()>) -> usize {
    let text = serde_json::to_vec(document).unwrap();
    let value = document["proof"]["proofValue"].as_str().unwrap();
    let start = std::str::from_utf8(&text).unwrap().find(value).unwrap();
    let within = start + 6..start + value.len() - 6;
    let mut other_documents = 0;
    for bit in (0..text.len() * 8).filter(|bit| !within.contains(&(bit / 8))) {
        let mut flipped = text.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(read) = crate::encoding::json::parse(&flipped, &Limits::DEFAULT) else { continue };
        if read != *document {
            other_documents += 1;
            assert!(verify(&read).is_err(), "bit {bit}: {}", String::from_utf8_lossy(&flipped));
        }
    }
    other_documents
}

fn flip_value(world: &World, document: &Value, base: bool) {
    let value = bytes_of(document);
    for bit in 0..value.len() * 8 {
        let mut flipped = value.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(world.verify(&with_bytes(document, &flipped), base).is_err(), "bit {bit}");
    }
}

#[test]
fn no_bit_can_change() {
    let world = World::new(SignatureAlgorithm::Es256);
    let base = world.base();
    let derived = derive(&base, &["/credentialSubject/member"], &world.contexts).unwrap();
    for (document, is_base) in [(&base, true), (&derived, false)] {
        world.verify(document, is_base).unwrap();
        flip_value(&world, document, is_base);
        let others = flip_text(document, |read| world.verify(read, is_base));
        assert!(others > 1000);
        println!(
            "{} flips of the value, {others} other documents, all refused",
            bytes_of(document).len() * 8
        );
    }
}
