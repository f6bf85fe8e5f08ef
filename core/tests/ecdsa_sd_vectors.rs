//! The published vectors of ecdsa-sd-2023: every intermediate value is reproduced, every signature verified, and what a
//! holder derives is byte for byte what was published.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "support/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;

use carekey_core::UnixTime;
use carekey_core::encoding::multibase;
use carekey_core::format::data_integrity::ecdsa_sd::{self, BaseSecrets, ProofValue};
use carekey_core::format::data_integrity::rdfc::{self, HashAlgorithm};
use carekey_core::format::data_integrity::selective::{BaseData, Disclosure, Labelling, canonical_proof};
use carekey_core::format::data_integrity::{
    Contexts, ControllerPolicy, Cryptosuite, Evidence, Expectation, Presentation, ProofOptions, ProofPurpose,
    derive, jsonld, verify_base_proofs, verify_proofs,
};
use carekey_core::key::{PublicKey, Signer, SoftwareKey};
use carekey_core::random::SystemRandom;
use serde_json::{Value, json};
use vectors::Vectors;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> [u8; 32] {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

fn multikey(key: &PublicKey) -> String {
    carekey_core::did::key::encode_multikey(key).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

/// `{"dataType": "Map", "value": [[key, value]]}` as the vectors write a map.
fn map(value: &Value) -> Vec<(Value, Value)> {
    let value = if value.is_array() { value } else { &value["value"] };
    serde_json::from_value(value.clone()).unwrap()
}

fn indexed<'a>(lines: impl IntoIterator<Item = (usize, &'a str)>) -> Vec<(Value, Value)> {
    lines.into_iter().map(|(index, line)| (index.into(), line.into())).collect()
}

fn key(secret: &Value) -> SoftwareKey {
    let bytes = multibase::decode(secret.as_str().unwrap(), 34).unwrap();
    SoftwareKey::from_p256_scalar(&bytes[2..].try_into().unwrap()).unwrap()
}

fn run(vectors: &Vectors, folder: &str, unsigned: &str, mandatory: &str, selective: &str) {
    let file = |name: &str| vectors.json(&format!("ecdsa-sd-2023/{folder}/{name}.json"));
    let contexts = Contexts::bundled().unwrap();
    let keys = vectors.json("ecdsa-sd-2023/SDKeyMaterial.json");
    let issuer = key(&keys["baseKeyPair"]["secretKeyMultibase"]);
    let proof_key = key(&keys["proofKeyPair"]["secretKeyMultibase"]);
    assert_eq!(multikey(issuer.public_key()), keys["baseKeyPair"]["publicKeyMultibase"]);
    assert_eq!(multikey(proof_key.public_key()), keys["proofKeyPair"]["publicKeyMultibase"]);
    let hmac_key = unhex(keys["hmacKeyString"].as_str().unwrap());
    let signed = file("addSignedSDBase");
    let mut document = signed.clone();
    document.as_object_mut().unwrap().remove("proof");
    let mut published = vectors.json(unsigned);
    if folder == "prc" {
        // The published input has other words here than everything that was made from it.
        assert_eq!(published["description"], "Government of Utopia Permanent Resident Card.");
        published["description"] = document["description"].clone();
    }
    assert_eq!(document, published);
    let (mandatory, selective) = (strings(&vectors.json(mandatory)), strings(&vectors.json(selective)));

    // Base proof: transformation and hashes.
    let canonical = rdfc::canonicalize(
        &jsonld::to_quads(&document, &contexts).unwrap(),
        HashAlgorithm::Sha256,
        &rdfc::Limits::DEFAULT,
    )
    .unwrap();
    assert_eq!(json!(canonical.lines), file("addBaseDocCanon"));
    let mut config = file("addProofConfig").as_object().unwrap().clone();
    assert_eq!(config.remove("@context").as_ref(), document.get("@context"));
    let text = vectors.text(&format!("ecdsa-sd-2023/{folder}/addProofConfigCanon.txt"));
    assert_eq!(canonical_proof(&document, &config, &contexts).unwrap().trim_end(), text.trim_end());
    let labelling = (Labelling::Hmac, &hmac_key);
    let data = BaseData::of(&document, &config, labelling, &mandatory, &contexts).unwrap();
    assert_eq!(json!(data.statements.lines), file("addBaseDocHMACCanon"));
    let lines = || data.statements.lines.iter().map(String::as_str).enumerate();
    let transform = file("addBaseTransform");
    assert_eq!(json!(mandatory), transform["mandatoryPointers"]);
    assert_eq!(hex(&hmac_key), transform["hmacKeyString"].as_str().unwrap().to_lowercase());
    assert_eq!(
        map(&transform["mandatory"]),
        indexed(lines().filter(|(index, _)| data.mandatory.contains(index)))
    );
    assert_eq!(
        map(&transform["nonMandatory"]),
        indexed(lines().filter(|(index, _)| !data.mandatory.contains(index)))
    );
    let values = file("addPointerValues");
    for (pointer, value) in mandatory.iter().zip(values.as_array().unwrap()) {
        assert_eq!(value["pointer"], *pointer);
        assert_eq!(document.pointer(pointer), value.get("value"));
    }
    let hashes = file("addHashData");
    assert_eq!(hex(&data.proof_hash), hashes["proofHash"]);
    assert_eq!(hex(&data.mandatory_hash), hashes["mandatoryHash"]);

    // The published base proof, and one of our own that differs in its signatures only.
    let mut evidence = Evidence::new();
    evidence.add_offline(&signed).unwrap();
    let expected = Expectation {
        controller: ControllerPolicy::Any,
        ..Expectation::credential(UnixTime::from_secs(1_790_000_000))
    };
    let verified = verify_base_proofs(&signed, &evidence, &expected, &contexts).unwrap();
    assert_eq!(verified.document(), &document);
    let parse = |document: &Value| {
        let value = document["proof"]["proofValue"].as_str().unwrap();
        let bytes = multibase::decode(value, 1 << 16).unwrap();
        (ProofValue::parse(&bytes).unwrap(), bytes)
    };
    let (ProofValue::Base(base), bytes) = parse(&signed) else { panic!("not a base proof") };
    assert_eq!(base.to_bytes(), bytes);
    let (raw, recovered) = (file("addRawBaseSignatureInfo"), file("derivedRecoveredBaseData"));
    let signatures: Vec<String> = base.signatures.iter().map(|signature| hex(signature)).collect();
    for (info, key_member) in [(&raw, "publicKey"), (&recovered, "proofPublicKey")] {
        assert_eq!(info["baseSignature"], hex(&base.base_signature));
        assert_eq!(info["signatures"], json!(signatures));
        assert_eq!(info["mandatoryPointers"], json!(base.mandatory_pointers));
        assert_eq!(info[key_member], multikey(&base.proof_key));
    }
    assert_eq!(recovered["hmacKey"], hex(&base.hmac_key));
    let method = carekey_core::did::DidUrl::parse(config["verificationMethod"].as_str().unwrap()).unwrap();
    let options = ProofOptions {
        created: Some(carekey_core::encoding::date_time::parse(config["created"].as_str().unwrap()).unwrap()),
        ..ProofOptions::new(Cryptosuite::EcdsaSd2023, method, ProofPurpose::AssertionMethod)
    };
    let mut own = document.clone();
    let secrets = BaseSecrets::new(hmac_key, proof_key).unwrap();
    ecdsa_sd::add_base_proof(&mut own, &options, &mandatory, &issuer, &secrets, &contexts).unwrap();
    verify_base_proofs(&own, &evidence, &expected, &contexts).unwrap();
    let (ProofValue::Base(mut again), _) = parse(&own) else { panic!("not a base proof") };
    assert_ne!(again.base_signature, base.base_signature); // ECDSA draws a nonce
    again.base_signature = base.base_signature;
    again.signatures.clone_from(&base.signatures);
    assert_eq!(again, base);
    own["proof"]["proofValue"] = signed["proof"]["proofValue"].clone();
    assert_eq!(own, signed);

    // Disclosure.
    let disclosure = Disclosure::of(&document, labelling, &mandatory, &selective, &contexts).unwrap();
    let indexes = file("derivedGroupIndexes");
    assert_eq!(json!(disclosure.combined), indexes["combinedIndexes"]);
    assert_eq!(json!(disclosure.mandatory), indexes["mandatoryIndexes"]);
    assert_eq!(json!(disclosure.selective), indexes["selectiveIndexes"]);
    let rest: Vec<usize> = lines().map(|(i, _)| i).filter(|i| !disclosure.mandatory.contains(i)).collect();
    assert_eq!(json!(rest), indexes["nonMandatoryIndexes"]);
    assert_eq!(
        json!(disclosure.mandatory_positions()),
        file("derivedAdjMandatoryIndexes")["adjMandatoryIndexes"]
    );
    let filtered = file("derivedAdjSignatures");
    assert_eq!(json!(disclosure.selective_positions()), filtered["adjSignatureIndexes"]);
    let groups = file("derivedAllGroupData");
    assert_eq!(groups["nquads"], json!(disclosure.statements.lines));
    for (name, group) in [
        ("mandatory", &disclosure.mandatory),
        ("selective", &disclosure.selective),
        ("combined", &disclosure.combined),
    ] {
        let published = &groups["groups"][name];
        assert_eq!(map(&published["matching"]), indexed(lines().filter(|(index, _)| group.contains(index))));
        assert_eq!(
            map(&published["nonMatching"]),
            indexed(lines().filter(|(index, _)| !group.contains(index)))
        );
    }
    // Labels of the whole document: the published map goes from names within JSON, ours from nodes; the same set.
    let mut all: Vec<String> =
        map(&groups["labelMap"]).into_iter().map(|(_, label)| label.as_str().unwrap().into()).collect();
    all.sort();
    let in_lines = |label: &String| disclosure.statements.lines.concat().contains(label.as_str());
    assert!(all.iter().all(in_lines));
    assert_eq!(all.len(), canonical.labels.len());
    assert_eq!(disclosure.document, file("derivedUnsignedReveal"));

    // The derived document, made and verified.
    let revealed = file("derivedRevealDocument");
    assert_eq!(derive(&signed, &selective, &Presentation::new(&SystemRandom), &contexts).unwrap(), revealed);
    let verified = verify_proofs(&revealed, &evidence, &expected, &contexts).unwrap();
    assert_eq!(verified.document(), &disclosure.document);
    let (ProofValue::Derived(derived), bytes) = parse(&revealed) else { panic!("not derived") };
    assert_eq!(derived.to_bytes().unwrap(), bytes);
    let signatures: Vec<String> = derived.signatures.iter().map(|signature| hex(signature)).collect();
    assert_eq!(json!(signatures), filtered["filteredSignatures"]);
    let labels: BTreeMap<String, String> =
        derived.labels.iter().map(|(number, label)| (format!("c14n{number}"), label.clone())).collect();
    for name in ["derivedDisclosureData", "verifyDerivedProofValue"] {
        let published = file(name);
        assert_eq!(published["baseSignature"], hex(&derived.base_signature));
        assert_eq!(published["publicKey"], multikey(&derived.proof_key));
        assert_eq!(published["signatures"], json!(signatures));
        assert_eq!(published["mandatoryIndexes"], json!(derived.mandatory));
        let pairs = map(&published["labelMap"]);
        assert_eq!(pairs.len(), labels.len());
        assert!(pairs.iter().all(|(from, to)| labels[from.as_str().unwrap()] == to.as_str().unwrap()));
    }
    let disclosed: Vec<&str> =
        lines().filter(|(i, _)| disclosure.combined.contains(i)).map(|(_, line)| line).collect();
    assert_eq!(file("verifyNQuads"), json!(disclosed));
    let verify = file("verifyCreateVerifyData");
    assert_eq!(verify["proofHash"], hex(&data.proof_hash));
    assert_eq!(verify["mandatoryHash"], hex(&data.mandatory_hash));
    assert_eq!(verify["baseSignature"], hex(&derived.base_signature));
    assert_eq!(verify["publicKey"], multikey(&derived.proof_key));
    assert_eq!(verify["signatures"], json!(signatures));
    let others: Vec<&str> = lines()
        .filter(|(i, _)| disclosure.combined.contains(i) && !disclosure.mandatory.contains(i))
        .map(|(_, line)| line)
        .collect();
    assert_eq!(verify["nonMandatory"], json!(others));

    // Neither the document nor the proof holds a text that was not disclosed.
    let (shown, hidden) = (disclosed.concat(), data.statements.lines.concat());
    let output = serde_json::to_string(&revealed).unwrap() + &String::from_utf8_lossy(&bytes);
    let mut secret = 0;
    for text in hidden.split('"').skip(1).step_by(2).filter(|text| !shown.contains(text)) {
        assert!(!output.contains(text), "{text}");
        secret += 1;
    }
    assert!(secret > 3);
}

#[test]
fn ecdsa_sd_2023() {
    let Some(vectors) = Vectors::new("vc-di-ecdsa") else { return };
    run(&vectors, "prc", "prCredUnsigned.json", "prCredMandatory.json", "prCredSelective.json");
    run(&vectors, "employ", "employmentAuth.json", "employMandatory.json", "employSelective.json");
    let whole = [
        "ecdsa-jcs-2019-p256",
        "ecdsa-jcs-2019-p384",
        "ecdsa-rdfc-2019-p256",
        "ecdsa-rdfc-2019-p384",
        "p256KeyPair.json",
        "p384KeyPair.json",
        "unsigned.json",
    ];
    vectors.count(47, &whole);
}
