//! The published vectors of ecdsa-sd-2023: every intermediate value is reproduced, every signature verified, and what a
//! holder derives is byte for byte what was published.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "support/selective_vectors.rs"]
mod selective_vectors;
#[path = "support/vectors.rs"]
mod vectors;

use std::collections::{BTreeMap, BTreeSet};

use carekey_core::encoding::multibase;
use carekey_core::format::data_integrity::ecdsa_sd::{self, BaseSecrets, ProofValue};
use carekey_core::format::data_integrity::selective::Labelling;
use carekey_core::format::data_integrity::{
    Cryptosuite, Presentation, derive, verify_base_proofs, verify_proofs,
};
use carekey_core::key::{PublicKey, Signer, SoftwareKey};
use carekey_core::random::SystemRandom;
use selective_vectors::{Folder, expectation, hex, map, numbered, unhex};
use serde_json::{Value, json};
use vectors::Vectors;

fn multikey(key: &PublicKey) -> String {
    carekey_core::did::key::encode_multikey(key).unwrap()
}

fn key(secret: &Value) -> SoftwareKey {
    let bytes = multibase::decode(secret.as_str().unwrap(), 34).unwrap();
    SoftwareKey::from_p256_scalar(&bytes[2..].try_into().unwrap()).unwrap()
}

fn parse(document: &Value) -> (ProofValue, Vec<u8>) {
    let bytes = multibase::decode(document["proof"]["proofValue"].as_str().unwrap(), 1 << 16).unwrap();
    (ProofValue::parse(&bytes).unwrap(), bytes)
}

fn run(vectors: &Vectors, name: &str, files: [&str; 3]) {
    let folder = Folder { vectors, path: format!("ecdsa-sd-2023/{name}/") };
    let file = |name: &str| folder.file(name);
    let keys = vectors.json("ecdsa-sd-2023/SDKeyMaterial.json");
    let issuer = key(&keys["baseKeyPair"]["secretKeyMultibase"]);
    let proof_key = key(&keys["proofKeyPair"]["secretKeyMultibase"]);
    assert_eq!(multikey(issuer.public_key()), keys["baseKeyPair"]["publicKeyMultibase"]);
    assert_eq!(multikey(proof_key.public_key()), keys["proofKeyPair"]["publicKeyMultibase"]);
    let hmac_key: [u8; 32] = unhex(&keys["hmacKeyString"]).try_into().unwrap();
    let mend = |published: &mut Value, document: &Value| {
        if name == "prc" {
            // The published input has other words here than everything that was made from it.
            assert_eq!(published["description"], "Government of Utopia Permanent Resident Card.");
            published["description"] = document["description"].clone();
        }
    };
    let made = folder.transformed(Cryptosuite::EcdsaSd2023, (Labelling::Hmac, hmac_key), files, mend);
    let published = file("addBaseTransform")["hmacKeyString"].as_str().unwrap().to_lowercase();
    assert_eq!(hex(&hmac_key), published);
    let values = file("addPointerValues");
    for (pointer, value) in made.mandatory.iter().zip(values.as_array().unwrap()) {
        assert_eq!(value["pointer"], *pointer);
        assert_eq!(made.document.pointer(pointer), value.get("value"));
    }

    // The published base proof, and one of our own that differs in its signatures only.
    let (ProofValue::Base(base), bytes) = parse(&made.signed) else { panic!("not a base proof") };
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
    let mut own = made.document.clone();
    let secrets = BaseSecrets::new(hmac_key, proof_key).unwrap();
    ecdsa_sd::add_base_proof(&mut own, &made.options, &made.mandatory, &issuer, &secrets, &made.contexts)
        .unwrap();
    verify_base_proofs(&own, &made.evidence, &expectation(), &made.contexts).unwrap();
    let (ProofValue::Base(mut again), _) = parse(&own) else { panic!("not a base proof") };
    assert_ne!(again.base_signature, base.base_signature); // ECDSA draws a nonce
    again.base_signature = base.base_signature;
    again.signatures.clone_from(&base.signatures);
    assert_eq!(again, base);
    own["proof"]["proofValue"] = made.signed["proof"]["proofValue"].clone();
    assert_eq!(own, made.signed);

    // Disclosure.
    let disclosure = made.disclosed(&folder);
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
        assert_eq!(map(&published["matching"]), numbered(&made.data, |index| group.contains(index)));
        assert_eq!(map(&published["nonMatching"]), numbered(&made.data, |index| !group.contains(index)));
    }
    // Labels of the whole document: the published map goes from names within JSON, ours from nodes; the same set.
    let mut all: Vec<String> =
        map(&groups["labelMap"]).into_iter().map(|(_, label)| label.as_str().unwrap().into()).collect();
    all.sort();
    let in_lines = |label: &String| disclosure.statements.lines.concat().contains(label.as_str());
    assert!(all.iter().all(in_lines));
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());

    // The derived document, made and verified.
    let revealed = file("derivedRevealDocument");
    let ours = derive(&made.signed, &made.selective, &Presentation::new(&SystemRandom), &made.contexts);
    assert_eq!(ours.unwrap(), revealed);
    let verified = verify_proofs(&revealed, &made.evidence, &expectation(), &made.contexts).unwrap();
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
    assert_eq!(file("verifyNQuads"), json!(made.shown(&disclosure)));
    let verify = file("verifyCreateVerifyData");
    assert_eq!(verify["proofHash"], hex(&made.data.proof_hash));
    assert_eq!(verify["mandatoryHash"], hex(&made.data.mandatory_hash));
    assert_eq!(verify["baseSignature"], hex(&derived.base_signature));
    assert_eq!(verify["publicKey"], multikey(&derived.proof_key));
    assert_eq!(verify["signatures"], json!(signatures));
    let others: Vec<Value> = numbered(&made.data, |index| {
        disclosure.combined.contains(index) && !disclosure.mandatory.contains(index)
    })
    .into_iter()
    .map(|(_, line)| line)
    .collect();
    assert_eq!(verify["nonMandatory"], json!(others));
    made.assert_nothing_else_left(&disclosure, &revealed, &bytes);
}

#[test]
fn ecdsa_sd_2023() {
    let Some(vectors) = Vectors::new("vc-di-ecdsa") else { return };
    run(&vectors, "prc", ["prCredUnsigned.json", "prCredMandatory.json", "prCredSelective.json"]);
    run(&vectors, "employ", ["employmentAuth.json", "employMandatory.json", "employSelective.json"]);
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
