//! The published vectors of vc-di-eddsa and vc-di-ecdsa, for the suites that sign whole documents: every intermediate
//! value is reproduced, every signature verified, and Ed25519's made again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "support/vectors.rs"]
mod vectors;

use carekey_core::UnixTime;
use carekey_core::did::DidUrl;
use carekey_core::encoding::{multibase, sha256};
use carekey_core::format::data_integrity::{
    Contexts, ControllerPolicy, Cryptosuite, Evidence, Expectation, ProofOptions, ProofPurpose,
    UnverifiedProof, create_proof, jsonld, rdfc, verify_proofs,
};
use carekey_core::key::{Signer, SoftwareKey};
use serde_json::{Map, Value};
use vectors::Vectors;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn expectation() -> Expectation<'static> {
    Expectation {
        controller: ControllerPolicy::Any,
        ..Expectation::credential(UnixTime::from_secs(1_790_000_000))
    }
}

fn verify(document: &Value) -> usize {
    let mut evidence = Evidence::new();
    evidence.add_offline(document).unwrap();
    let verified = verify_proofs(document, &evidence, &expectation(), &Contexts::bundled().unwrap()).unwrap();
    assert!(verified.document().get("proof").is_none());
    verified.proofs().len()
}

/// One folder of a suite: `signed`, `canonDoc`, `canonProof`, hashes and signature with a common ending.
fn suite(vectors: &Vectors, folder: &str, ending: &str, signed: &str, unsigned: &str) {
    let file = |name: &str| format!("{folder}/{name}{ending}.txt");
    let trimmed = |name: &str| vectors.text(&file(name)).trim().to_owned();
    let document = vectors.json(&format!("{folder}/{signed}{ending}.json"));
    let proof = UnverifiedProof::parse(&document["proof"]).unwrap();
    let mut config: Map<String, Value> = document["proof"].as_object().unwrap().clone();
    let value = config.remove("proofValue").unwrap();
    let mut unsecured = document.clone();
    unsecured.as_object_mut().unwrap().remove("proof");
    assert_eq!(unsecured, vectors.json(unsigned));
    let published = vectors.json(&format!("{folder}/proofConfig{ending}.json"));
    let mut with_context = config.clone();
    with_context.insert("@context".into(), document["@context"].clone());
    assert_eq!(published, Value::Object(with_context));

    let key = carekey_core::did::resolver::resolve_offline(proof.verification_method.did()).unwrap();
    let key = key.verification_key(&proof.verification_method, proof.purpose.relationship()).unwrap();
    let hash = proof.cryptosuite.hash_algorithm(&key).unwrap();
    let data = proof.cryptosuite.hash_data(hash, &unsecured, &config, &Contexts::bundled().unwrap()).unwrap();
    assert_eq!(data.canonical_document.trim_end(), trimmed("canonDoc"), "{folder}");
    assert_eq!(data.canonical_proof.trim_end(), trimmed("proofCanon"), "{folder}");
    assert_eq!(hex(&data.document_hash), trimmed("docHash"));
    assert_eq!(hex(&data.proof_hash), trimmed("proofHash"));
    assert_eq!(hex(&data.to_signed()), trimmed("combinedHash"));
    assert_eq!(value, trimmed("sigBTC58"));
    let signature = multibase::decode(value.as_str().unwrap(), 96).unwrap();
    assert_eq!(hex(&signature), trimmed("sigHex"));
    key.verify(&data.to_signed(), &signature).unwrap();
    assert_eq!(verify(&document), 1);
}

fn ed25519(pair: &Value) -> (SoftwareKey, DidUrl) {
    let secret = multibase::decode(pair["privateKeyMultibase"].as_str().unwrap(), 64).unwrap();
    let key = SoftwareKey::from_ed25519_seed(&secret[2..].try_into().unwrap()).unwrap();
    let did = carekey_core::did::key::encode(key.public_key()).unwrap();
    assert_eq!(did.method_specific_id(), pair["publicKeyMultibase"]);
    let url = did.with_fragment(did.method_specific_id()).unwrap();
    (key, url)
}

/// The options that make a published proof again.
fn options(config: &Value, method: DidUrl) -> ProofOptions {
    let suite = Cryptosuite::parse(config["cryptosuite"].as_str().unwrap()).unwrap();
    assert_eq!(config["verificationMethod"], method.to_string());
    let created = config["created"].as_str().unwrap();
    let previous = match &config["previousProof"] {
        Value::Null => Vec::new(),
        Value::String(one) => vec![one.clone()],
        many => many.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
    };
    ProofOptions {
        created: Some(carekey_core::encoding::date_time::parse(created).unwrap()),
        id: config["id"].as_str().map(str::to_owned),
        previous_proof: previous,
        ..ProofOptions::new(suite, method, ProofPurpose::AssertionMethod)
    }
}

#[test]
fn eddsa() {
    let Some(vectors) = Vectors::new("vc-di-eddsa") else { return };
    suite(&vectors, "eddsa-rdfc-2022", "DataInt", "signed", "unsigned.json");
    suite(&vectors, "eddsa-rdfc-2022/employ", "DataInt", "signed", "employmentAuth.json");
    suite(&vectors, "eddsa-jcs-2022", "JCS", "signed", "unsigned.json");
    // Ed25519 is deterministic: the same key makes the same proofs.
    let (key, method) = ed25519(&vectors.json("keyPair.json"));
    for (file, unsigned) in [
        ("eddsa-rdfc-2022/signedDataInt.json", "unsigned.json"),
        ("eddsa-rdfc-2022/employ/signedDataInt.json", "employmentAuth.json"),
        ("eddsa-jcs-2022/signedJCS.json", "unsigned.json"),
    ] {
        let published = vectors.json(file)["proof"].clone();
        let options = options(&published, method.clone());
        let mut document = vectors.json(unsigned);
        let contexts = Contexts::bundled().unwrap();
        let (proof, _) = create_proof(&mut document, &options, &key, &contexts).unwrap();
        assert_eq!(proof, published);
    }
    proof_sets_and_chains(&vectors);
    before_data_integrity(&vectors);
    vectors.count(55, &[]);
}

/// The folder of `Ed25519Signature2020`, a suite from before Data Integrity 1.0: core reproduces what it signs, and leaves
/// its proofs to the verifier's feature `foreign-suites` (`tests/tests/foreign_suites.rs`).
fn before_data_integrity(vectors: &Vectors) {
    let trimmed = |name: &str| vectors.text(&format!("Ed25519Signature2020/{name}.txt")).trim().to_owned();
    let mut document = vectors.json("Ed25519Signature2020/signedEdSig.json");
    assert_eq!(UnverifiedProof::of(&document).unwrap_err().code(), "proof_type");
    let proof = document.as_object_mut().unwrap().remove("proof").unwrap();
    let mut unsigned = vectors.json("unsigned.json");
    unsigned["@context"] = document["@context"].clone();
    assert_eq!(document, unsigned);
    let config = vectors.json("Ed25519Signature2020/proofConfigEdSig.json");
    let contexts = Contexts::bundled().unwrap();
    let canonical = |document: &Value| {
        let quads = jsonld::to_quads(document, &contexts).unwrap();
        rdfc::canonicalize(&quads, rdfc::HashAlgorithm::Sha256, &rdfc::Limits::DEFAULT).unwrap().to_text()
    };
    let (of_document, of_proof) = (canonical(&document), canonical(&config));
    assert_eq!(of_document.trim_end(), trimmed("canonDocEdSig"));
    assert_eq!(of_proof.trim_end(), trimmed("proofCanonEdSig"));
    let [document_hash, proof_hash] = [of_document, of_proof].map(|text| sha256(text.as_bytes()));
    assert_eq!(hex(&document_hash), trimmed("docHashEdSig"));
    assert_eq!(hex(&proof_hash), trimmed("proofHashEdSig"));
    let combined = [proof_hash, document_hash].concat();
    assert_eq!(hex(&combined), trimmed("combinedHashEdSig"));
    assert_eq!(proof["proofValue"], trimmed("sigBTC58EdSig"));
    let signature = multibase::decode(proof["proofValue"].as_str().unwrap(), 64).unwrap();
    assert_eq!(hex(&signature), trimmed("sigHexEdSig"));
    let (key, _) = ed25519(&vectors.json("keyPair.json"));
    key.public_key().verify(&combined, &signature).unwrap();
}

fn proof_sets_and_chains(vectors: &Vectors) {
    let file = |name: &str| vectors.json(&format!("proof-set-chain/{name}.json"));
    let pairs = file("multiKeyPairs");
    let contexts = Contexts::bundled().unwrap();
    let mut document = file("unsigned");
    let steps = [
        ("keyPair1", "proofSetConfig1", "proofSetConfigSigned1", "signedProofSet1"),
        ("keyPair2", "proofSetConfig2", "proofSetConfigSigned2", "signedProofSet2"),
        ("keyPair3", "proofChainConfig1", "proofChainConfigSigned1", "signedProofChain1"),
        ("keyPair4", "proofChainConfig2", "proofChainConfigSigned2", "signedProofChain2"),
    ];
    for (number, (pair, config, signed, whole)) in steps.into_iter().enumerate() {
        let (key, method) = ed25519(&pairs[pair]);
        let options = options(&file(config), method);
        let (proof, _) = create_proof(&mut document, &options, &key, &contexts).unwrap();
        assert_eq!(proof, file(signed));
        let mut proofs = match document["proof"].take() {
            Value::Null => Vec::new(),
            Value::Array(proofs) => proofs,
            one => vec![one],
        };
        proofs.push(proof);
        document["proof"] = if number == 0 { proofs.remove(0) } else { proofs.into() };
        assert_eq!(document, file(whole));
        assert_eq!(verify(&document), number + 1);
    }
    // What the chained proofs sign: the document with the proofs before.
    for (temporary, chain, names) in
        [("proofChainTempDoc1", "signedProofChain1", 2), ("proofChainTempDoc2", "signedProofChain2", 1)]
    {
        let temporary = file(temporary);
        assert_eq!(temporary["proof"].as_array().unwrap().len(), names);
        let chain = file(chain);
        let proof = chain["proof"].as_array().unwrap().last().unwrap();
        let parsed = UnverifiedProof::parse(proof).unwrap();
        let mut config = proof.as_object().unwrap().clone();
        let value = config.remove("proofValue").unwrap();
        let key = carekey_core::did::resolver::resolve_offline(parsed.verification_method.did()).unwrap();
        let key = key.verification_key(&parsed.verification_method, parsed.purpose.relationship()).unwrap();
        let hash = parsed.cryptosuite.hash_algorithm(&key).unwrap();
        let data = parsed.cryptosuite.hash_data(hash, &temporary, &config, &contexts).unwrap();
        let signature = multibase::decode(value.as_str().unwrap(), 64).unwrap();
        key.verify(&data.to_signed(), &signature).unwrap();
    }
}

#[test]
fn ecdsa() {
    let Some(vectors) = Vectors::new("vc-di-ecdsa") else { return };
    suite(&vectors, "ecdsa-rdfc-2019-p256", "ECDSAP256", "signed", "unsigned.json");
    suite(&vectors, "ecdsa-rdfc-2019-p256/employ", "ECDSAP256", "signed", "employmentAuth.json");
    suite(&vectors, "ecdsa-rdfc-2019-p384", "ECDSAP384", "signed", "unsigned.json");
    suite(&vectors, "ecdsa-rdfc-2019-p384/employ", "ECDSAP384", "signed", "employmentAuth.json");
    suite(&vectors, "ecdsa-jcs-2019-p256", "JCSECDSAP256", "signed", "unsigned.json");
    suite(&vectors, "ecdsa-jcs-2019-p384", "JCSECDSAP384", "signed", "unsigned.json");
    for (pair, folder) in [
        ("p256KeyPair.json", "ecdsa-jcs-2019-p256/signedJCSECDSAP256.json"),
        ("p384KeyPair.json", "ecdsa-jcs-2019-p384/signedJCSECDSAP384.json"),
    ] {
        let key = vectors.json(pair);
        let method = vectors.json(folder)["proof"]["verificationMethod"].clone();
        assert!(method.as_str().unwrap().ends_with(key["publicKeyMultibase"].as_str().unwrap()));
    }
    // Selective disclosure has tests of its own.
    let selective = [
        "ecdsa-sd-2023",
        "employMandatory.json",
        "employSelective.json",
        "prCredMandatory.json",
        "prCredSelective.json",
        "prCredUnsigned.json",
    ];
    vectors.count(58, &selective);
}
