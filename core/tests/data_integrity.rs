//! Proofs of our own: issued and verified with every suite and key, refused for each thing that can be wrong with them,
//! and refused after every single-bit flip that changes what is signed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use carekey_core::did::DidUrl;
use carekey_core::encoding::json;
use carekey_core::format::data_integrity::contexts::{CREDENTIALS_V1, CREDENTIALS_V2, DATA_INTEGRITY_V2};
use carekey_core::format::data_integrity::{
    Contexts, ControllerPolicy, Cryptosuite, Evidence, Expectation, ProofOptions, ProofPurpose,
    VerifiedDocument, add_proof, verify_proofs,
};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::{Result, UnixTime};
use serde_json::{Value, json};

use Cryptosuite::{EcdsaJcs2019, EcdsaRdfc2019, EddsaJcs2022, EddsaRdfc2022};
use SignatureAlgorithm::{EdDsa, Es256, Es384, Es512};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const COMBINATIONS: [(Cryptosuite, SignatureAlgorithm); 6] = [
    (EddsaRdfc2022, EdDsa),
    (EddsaJcs2022, EdDsa),
    (EcdsaRdfc2019, Es256),
    (EcdsaRdfc2019, Es384),
    (EcdsaJcs2019, Es256),
    (EcdsaJcs2019, Es384),
];

struct Party {
    key: SoftwareKey,
    method: DidUrl,
    contexts: Contexts,
}

impl Party {
    fn new(algorithm: SignatureAlgorithm) -> Self {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let did = carekey_core::did::key::encode(key.public_key()).unwrap();
        let method = did.with_fragment(did.method_specific_id()).unwrap();
        Self { key, method, contexts: Contexts::bundled().unwrap() }
    }

    fn did(&self) -> &str {
        self.method.did().as_str()
    }

    fn credential(&self) -> Value {
        json!({
            "@context": [CREDENTIALS_V2, "https://www.w3.org/ns/credentials/examples/v2"],
            "type": ["VerifiableCredential", "ExampleCredential"],
            "issuer": {"id": self.did(), "name": "Nemocnice"},
            "validFrom": "2026-01-01T00:00:00Z",
            "credentialSubject": {"familyName": "Žofie", "height": 1.75, "visits": 3, "address": {"city": "Brno"}}
        })
    }

    fn presentation(&self, credential: Value) -> Value {
        json!({
            "@context": [CREDENTIALS_V2],
            "type": ["VerifiablePresentation"],
            "holder": self.did(),
            "verifiableCredential": [credential]
        })
    }

    fn options(&self, suite: Cryptosuite) -> ProofOptions {
        ProofOptions {
            created: Some(NOW),
            ..ProofOptions::new(suite, self.method.clone(), ProofPurpose::AssertionMethod)
        }
    }

    fn sign(&self, mut document: Value, options: &ProofOptions) -> Value {
        add_proof(&mut document, options, &self.key, &self.contexts).unwrap();
        document
    }

    fn verify(&self, document: &Value) -> Result<VerifiedDocument> {
        self.verify_as(document, &Expectation::credential(NOW))
    }

    fn verify_as(&self, document: &Value, expected: &Expectation<'_>) -> Result<VerifiedDocument> {
        let mut evidence = Evidence::new();
        evidence.add_offline(document)?;
        verify_proofs(document, &evidence, expected, &self.contexts)
    }

    fn code(&self, document: &Value) -> &'static str {
        self.verify(document).map_or_else(|error| error.code(), |_| "ok")
    }
}

#[test]
fn every_suite_and_key_signs_and_verifies() {
    for (suite, algorithm) in COMBINATIONS {
        let party = Party::new(algorithm);
        let signed = party.sign(party.credential(), &party.options(suite));
        let verified = party.verify(&signed).unwrap();
        assert_eq!(verified.document(), &party.credential());
        assert_eq!(verified.proofs()[0].cryptosuite, suite);
        assert_eq!(verified.proofs()[0].created, Some(NOW));
        // A presentation of it, with the same key.
        let options = ProofOptions {
            purpose: ProofPurpose::Authentication,
            domain: vec!["verifier.example".into()],
            challenge: Some("c-1".into()),
            ..party.options(suite)
        };
        let presentation = party.sign(party.presentation(signed), &options);
        let expected = Expectation::presentation(NOW, "verifier.example", "c-1");
        party.verify_as(&presentation, &expected).unwrap();
        // What is nested is signed too.
        let mut changed = presentation.clone();
        changed["verifiableCredential"][0]["credentialSubject"]["visits"] = json!(4);
        assert_eq!(party.verify_as(&changed, &expected).unwrap_err().code(), "proof_signature");
    }
}

#[test]
fn keys_of_another_type_are_refused() {
    for (suite, algorithm) in
        [(EddsaRdfc2022, Es256), (EddsaJcs2022, Es384), (EcdsaRdfc2019, EdDsa), (EcdsaJcs2019, Es512)]
    {
        let party = Party::new(algorithm);
        let mut document = party.credential();
        let error = add_proof(&mut document, &party.options(suite), &party.key, &party.contexts).unwrap_err();
        assert_eq!(error.code(), "proof_key_type");
        assert_eq!(document.get("proof"), None);
        let fitting = COMBINATIONS.iter().find(|(other, _)| *other == suite).unwrap().1;
        let other = Party::new(fitting);
        let mut signed = other.sign(party.credential(), &other.options(suite));
        signed["proof"]["verificationMethod"] = party.method.to_string().into();
        assert_eq!(party.code(&signed), "proof_key_type");
    }
}

#[test]
fn refusals() {
    let other = Party::new(EdDsa);
    for (suite, algorithm) in COMBINATIONS {
        let party = Party::new(algorithm);
        let signed = party.sign(party.credential(), &party.options(suite));
        let with = |member: &str, value: Value| {
            let mut changed = signed.clone();
            match value {
                Value::Null => drop(changed["proof"].as_object_mut().unwrap().remove(member)),
                value => changed["proof"][member] = value,
            }
            changed
        };
        let value = signed["proof"]["proofValue"].as_str().unwrap();
        let raw = carekey_core::encoding::multibase::decode(value, 96).unwrap();
        let z = |bytes: &[u8]| json!(carekey_core::encoding::multibase::encode_base58btc(bytes));
        for (document, expected) in [
            (with("type", json!("Ed25519Signature2020")), "proof_type"),
            (with("type", json!(["DataIntegrityProof"])), "proof_member"),
            (with("type", Value::Null), "proof_member"),
            (with("cryptosuite", Value::Null), "proof_member"),
            (with("cryptosuite", json!("eddsa-2022")), "proof_cryptosuite"),
            (with("cryptosuite", json!(7)), "proof_member"),
            (with("proofPurpose", Value::Null), "proof_member"),
            (with("proofPurpose", json!("authentication")), "proof_purpose_mismatch"),
            (with("proofPurpose", json!("keyAgreement")), "proof_purpose"),
            (with("verificationMethod", Value::Null), "proof_member"),
            (with("verificationMethod", json!(party.did())), "did_url"),
            (with("verificationMethod", json!("https://a.example/key")), "proof_method"),
            (with("verificationMethod", json!(format!("{}#other", party.did()))), "proof_method_unknown"),
            (with("verificationMethod", json!("did:web:a.example#key")), "proof_controller"),
            (with("created", json!("yesterday")), "date_time"),
            (with("created", json!("2026-09-21T14:13:21Z")), "proof_signature"),
            (with("created", json!("2026-09-21T14:14:21Z")), "proof_created_in_future"),
            (with("created", Value::Null), "proof_signature"),
            (with("expires", json!("2026-09-21T14:12:00Z")), "proof_expired"),
            (with("expires", json!("2036-01-01")), "date_time"),
            (with("expires", json!("2036-01-01T00:00:00Z")), "proof_signature"),
            (with("domain", json!("a.example")), "proof_signature"),
            (with("domain", json!([7])), "proof_member"),
            (with("domain", json!([])), "proof_member"),
            (with("challenge", json!("c")), "proof_signature"),
            (with("challenge", json!(7)), "proof_member"),
            (with("nonce", json!("n")), "proof_signature"),
            (with("id", json!("urn:uuid:1")), "proof_signature"),
            (with("id", json!("relative")), "proof_member"),
            (with("previousProof", json!("urn:uuid:1")), "proof_previous_missing"),
            (with("previousProof", json!(["urn:uuid:1"])), "proof_previous_missing"),
            (with("previousProof", json!([])), "proof_member"),
            (with("proofValue", Value::Null), "proof_member"),
            (with("proofValue", json!("")), "proof_value"),
            (with("proofValue", json!(&value[1..])), "proof_value"),
            (
                with("proofValue", json!(carekey_core::encoding::multibase::encode_base64url(&raw))),
                "proof_value",
            ),
            (with("proofValue", json!(format!("{value}0"))), "proof_value"),
            (with("proofValue", json!(format!(" {value}"))), "proof_value"),
            (with("proofValue", z(&[raw.as_slice(), &[0; 33]].concat())), "proof_value"),
            (with("proofValue", z(&raw[1..])), "proof_signature"),
            (
                with("proofValue", z(&[raw.as_slice(), &[0]].concat())),
                if algorithm == Es384 { "proof_value" } else { "proof_signature" },
            ),
            (with("proofValue", z(&vec![0; raw.len()])), "proof_signature"),
            (with("@context", json!("https://w3id.org/security/data-integrity/v2")), "proof_context"),
        ] {
            assert_eq!(party.code(&document), expected, "{} {}", suite.as_str(), document["proof"]);
        }
        // The example vocabulary defines every term; without it, an unknown one is an error before any signature.
        assert_eq!(party.code(&with("unknown", json!("x"))), "proof_signature");
        let mut plain = party.credential();
        plain["@context"] = json!([CREDENTIALS_V2]);
        plain["type"] = json!(["VerifiableCredential"]);
        plain["credentialSubject"] = json!({"id": "urn:a", "name": "x"});
        let mut plain = party.sign(plain, &party.options(suite));
        plain["proof"]["unknown"] = json!("x");
        let expected = if suite.is_jcs() { "proof_signature" } else { "jsonld_undefined_term" };
        assert_eq!(party.code(&plain), expected);

        let of = |proof: Value| {
            let mut changed = signed.clone();
            changed["proof"] = proof;
            changed
        };
        let proof = signed["proof"].clone();
        let named = |id: &str| {
            party.sign(party.credential(), &ProofOptions { id: Some(id.into()), ..party.options(suite) })
        };
        let twice = named("urn:uuid:1")["proof"].clone();
        for (document, expected) in [
            (party.credential(), "proof_missing"),
            (of(json!([])), "proof_missing"),
            (of(json!("x")), "proof_member"),
            (of(json!(null)), "proof_member"),
            (of(json!(["x"])), "proof_member"),
            (of(json!([[proof]])), "proof_member"),
            (of(json!(vec![proof.clone(); 17])), "proof_too_many"),
            (of(json!([twice, twice])), "proof_id_twice"),
        ] {
            assert_eq!(party.code(&document), expected);
        }
        // Another's proof beside the issuer's must hold too; alone it is not the issuer's.
        let mut both = signed.clone();
        add_proof(&mut both, &other.options(EddsaRdfc2022), &other.key, &other.contexts).unwrap();
        assert_eq!(party.verify(&both).unwrap().proofs().len(), 2);
        let mut broken = both.clone();
        broken["proof"][1]["created"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(party.code(&broken), "proof_signature");
        let foreign = other.sign(party.credential(), &other.options(EddsaRdfc2022));
        assert_eq!(party.code(&foreign), "proof_controller");
        let any = Expectation { controller: ControllerPolicy::Any, ..Expectation::credential(NOW) };
        party.verify_as(&foreign, &any).unwrap();
        // Without evidence nothing holds.
        let error = verify_proofs(&signed, &Evidence::new(), &any, &party.contexts).unwrap_err();
        assert_eq!(error.code(), "proof_method_unknown");
    }
}

#[test]
fn presentations_are_for_one_verifier_and_one_challenge() {
    let party = Party::new(EdDsa);
    let credential = party.sign(party.credential(), &party.options(EddsaRdfc2022));
    let options = |domain: &[&str], challenge: Option<&str>| ProofOptions {
        purpose: ProofPurpose::Authentication,
        domain: domain.iter().map(|text| (*text).to_owned()).collect(),
        challenge: challenge.map(str::to_owned),
        ..party.options(EddsaRdfc2022)
    };
    let expected = Expectation::presentation(NOW, "a.example", "c");
    for (domain, challenge, code) in [
        (&["a.example"][..], Some("c"), "ok"),
        (&["b.example"], Some("c"), "proof_domain"),
        (&["a.example", "b.example"], Some("c"), "proof_domain"),
        (&[], Some("c"), "proof_domain"),
        (&["a.example"], Some("d"), "proof_challenge"),
        (&["a.example"], None, "proof_challenge"),
    ] {
        let signed = party.sign(party.presentation(credential.clone()), &options(domain, challenge));
        let found = party.verify_as(&signed, &expected).map_or_else(|error| error.code(), |_| "ok");
        assert_eq!(found, code, "{domain:?} {challenge:?}");
    }
    // A credential's proof is none of a presentation, and the holder must be who signs.
    assert_eq!(party.verify_as(&credential, &expected).unwrap_err().code(), "proof_purpose_mismatch");
    let mut presentation = party.presentation(credential);
    presentation["holder"] = json!({"id": "did:web:b.example"});
    let signed = party.sign(presentation, &options(&["a.example"], Some("c")));
    assert_eq!(party.verify_as(&signed, &expected).unwrap_err().code(), "proof_controller");
}

#[test]
fn chains_hold_together() {
    let (issuer, notary) = (Party::new(EdDsa), Party::new(Es256));
    let first = ProofOptions { id: Some("urn:uuid:1".into()), ..issuer.options(EddsaRdfc2022) };
    let second = ProofOptions { id: Some("urn:uuid:2".into()), ..issuer.options(EddsaJcs2022) };
    let third = ProofOptions {
        previous_proof: vec!["urn:uuid:1".into(), "urn:uuid:2".into()],
        ..notary.options(EcdsaRdfc2019)
    };
    let mut document = issuer.sign(issuer.sign(issuer.credential(), &first), &second);
    add_proof(&mut document, &third, &notary.key, &notary.contexts).unwrap();
    assert_eq!(issuer.verify(&document).unwrap().proofs().len(), 3);
    // The chained proof cannot lose, exchange or change what it depends on.
    let without = |index: usize| {
        let mut changed = document.clone();
        changed["proof"].as_array_mut().unwrap().remove(index);
        changed
    };
    assert_eq!(issuer.code(&without(0)), "proof_previous_missing");
    assert_eq!(issuer.code(&without(1)), "proof_previous_missing");
    assert_eq!(issuer.code(&without(2)), "ok");
    let mut exchanged = document.clone();
    let again = issuer.sign(issuer.credential(), &ProofOptions { created: Some(NOW.plus(1)), ..first });
    exchanged["proof"][0] = again["proof"].clone();
    assert_eq!(issuer.code(&exchanged), "proof_signature");
    let mut stripped = document.clone();
    stripped["proof"][2].as_object_mut().unwrap().remove("previousProof");
    assert_eq!(issuer.code(&stripped), "proof_signature");
    // Nobody can sign over a proof that is not there.
    let missing = ProofOptions { previous_proof: vec!["urn:uuid:3".into()], ..notary.options(EcdsaRdfc2019) };
    let error = add_proof(&mut document, &missing, &notary.key, &notary.contexts).unwrap_err();
    assert_eq!(error.code(), "proof_options");
}

#[test]
fn contexts_are_signed() {
    for (suite, algorithm) in [(EddsaRdfc2022, EdDsa), (EddsaJcs2022, EdDsa)] {
        let party = Party::new(algorithm);
        let signed = party.sign(party.credential(), &party.options(suite));
        // A context that changes nothing: the RDF suites sign statements, and these stay the same. JCS takes contexts
        // after those of the proof, and hands the document back without them.
        let mut longer = signed.clone();
        longer["@context"].as_array_mut().unwrap().push("https://w3id.org/security/multikey/v1".into());
        let verified = party.verify(&longer).unwrap();
        if suite.is_jcs() {
            assert_eq!(verified.document(), &party.credential());
        }
        let mut before = signed.clone();
        before["@context"].as_array_mut().unwrap().remove(1);
        assert_ne!(party.code(&before), "ok");
        // A document of VCDM 1.1 gets the context that defines proofs, which is signed then.
        let mut old = party.credential();
        old["@context"] = json!([CREDENTIALS_V1, "https://www.w3.org/ns/credentials/examples/v2"]);
        old["issuer"] = party.did().into();
        old.as_object_mut().unwrap().remove("validFrom");
        let signed = party.sign(old, &party.options(suite));
        assert_eq!(signed["@context"][2], DATA_INTEGRITY_V2);
        party.verify(&signed).unwrap();
    }
    // The JCS suites sign JSON without contexts as well.
    let party = Party::new(Es256);
    let plain = json!({"issuer": party.did(), "anything": [1, {"x": null}]});
    let signed = party.sign(plain, &party.options(EcdsaJcs2019));
    party.verify(&signed).unwrap();
}

/// Flips every bit of the text of `signed` and returns how many flips were made and tolerated.
///
/// Tolerated is the one thing that is not signed: the case of a language tag, which has no meaning (BCP 47), with the
/// suites that sign statements.
fn flip_every_bit(party: &Party, signed: &Value, expected: &Expectation<'_>) -> (usize, usize) {
    let mut evidence = Evidence::new();
    evidence.add_offline(signed).unwrap();
    let mut text = signed.to_string().into_bytes();
    let check = |text: &[u8]| {
        let document = json::parse(text, &Limits::DEFAULT)?;
        verify_proofs(&document, &evidence, expected, &party.contexts)
    };
    let is_jcs = check(&text).unwrap().proofs()[0].cryptosuite.is_jcs();
    let mut tolerated = 0;
    for at in 0..text.len() {
        for bit in 0..8 {
            text[at] ^= 1 << bit;
            if check(&text).is_ok() {
                let around = String::from_utf8_lossy(&text[at - 16..=at + 1]).into_owned();
                assert!(!is_jcs && around.to_lowercase().contains("@language\":\"c"), "{around}");
                tolerated += 1;
            }
            text[at] ^= 1 << bit;
        }
    }
    (text.len() * 8, tolerated)
}

#[test]
fn every_bit_flip_of_a_credential_is_refused() {
    let (mut flips, mut tolerated) = (0, 0);
    for (suite, algorithm) in COMBINATIONS {
        let party = Party::new(algorithm);
        let mut credential = party.credential();
        credential["name"] = json!({"@value": "Průkaz", "@language": "cs"});
        let signed = party.sign(credential, &party.options(suite));
        let found = flip_every_bit(&party, &signed, &Expectation::credential(NOW));
        (flips, tolerated) = (flips + found.0, tolerated + found.1);
    }
    println!("{flips} flips, {tolerated} of them change nothing that is signed");
    assert_eq!(tolerated, 6);
}

/// The presentation's proof covers the credential in it too, with its proof: no flip in either is tolerated.
#[test]
fn every_bit_flip_of_a_presentation_is_refused() {
    let mut flips = 0;
    for (suite, algorithm) in COMBINATIONS {
        let party = Party::new(algorithm);
        let credential = json!({
            "@context": CREDENTIALS_V2, "type": "VerifiableCredential", "issuer": party.did(),
            "credentialSubject": {"id": "urn:a", "name": "Ž"}
        });
        let credential = party.sign(credential, &party.options(suite));
        let options = ProofOptions {
            purpose: ProofPurpose::Authentication,
            domain: vec!["v.example".into()],
            challenge: Some("c".into()),
            ..party.options(suite)
        };
        let signed = party.sign(party.presentation(credential), &options);
        let expected = Expectation::presentation(NOW, "v.example", "c");
        let (made, tolerated) = flip_every_bit(&party, &signed, &expected);
        assert_eq!(tolerated, 0);
        flips += made;
    }
    println!("{flips} flips, all refused");
}

#[test]
fn verifies_on_a_small_stack() {
    let test = || {
        let party = Party::new(EdDsa);
        let mut credential = party.credential();
        let mut inner = json!({"leaf": "x"});
        for _ in 0..12 {
            inner = json!({"inner": inner});
        }
        credential["credentialSubject"]["outer"] = inner;
        let signed = party.sign(credential, &party.options(EddsaRdfc2022));
        let text = signed.to_string();
        assert!(json::parse(text.as_bytes(), &Limits::DEFAULT).is_ok());
        party.verify(&signed).unwrap();
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap().join().unwrap();
}
