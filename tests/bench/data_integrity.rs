//! Data Integrity: issuing and verifying, from the JSON text on, with warm contexts and parsed keys.

use std::hint::black_box;

use carekey_core::UnixTime;
use carekey_core::encoding::{json, sha256};
use carekey_core::format::data_integrity::contexts::CREDENTIALS_V2;
use carekey_core::format::data_integrity::{
    Contexts, Cryptosuite, Evidence, Expectation, ProofOptions, ProofPurpose, add_proof, verify_proofs,
};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use criterion::Criterion;
use serde_json::{Map, Value, json};

const SUITES: [(&str, Cryptosuite, SignatureAlgorithm); 4] = [
    ("eddsa_rdfc", Cryptosuite::EddsaRdfc2022, SignatureAlgorithm::EdDsa),
    ("ecdsa_rdfc", Cryptosuite::EcdsaRdfc2019, SignatureAlgorithm::Es256),
    ("eddsa_jcs", Cryptosuite::EddsaJcs2022, SignatureAlgorithm::EdDsa),
    ("ecdsa_jcs", Cryptosuite::EcdsaJcs2019, SignatureAlgorithm::Es256),
];
const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

/// As large as the published examples, or with 100 claims in ten groups.
fn credential(issuer: &str, large: bool) -> Value {
    let mut subject = json!({"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"});
    if large {
        for group in 0..10 {
            let claims: Map<String, Value> =
                (0..10).map(|n| (format!("claim{group}x{n}"), format!("value {n}").into())).collect();
            subject[format!("group{group}")] = claims.into();
        }
    }
    json!({
        "@context": [CREDENTIALS_V2, "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "AlumniCredential"],
        "name": "Alumni Credential",
        "description": "A minimum viable example of an Alumni Credential.",
        "issuer": issuer,
        "validFrom": "2023-01-01T00:00:00Z",
        "credentialSubject": subject
    })
}

pub fn run(criterion: &mut Criterion) {
    let kilobyte = [7; 1024];
    criterion.bench_function("bare/sha256_1k", |b| b.iter(|| sha256(black_box(&kilobyte))));
    let contexts = Contexts::bundled().unwrap();
    for (name, suite, algorithm) in SUITES {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let did = carekey_core::did::key::encode(key.public_key()).unwrap();
        let method = did.with_fragment(did.method_specific_id()).unwrap();
        let options = ProofOptions {
            created: Some(NOW),
            ..ProofOptions::new(suite, method, ProofPurpose::AssertionMethod)
        };
        for (size, large) in [("", false), ("_100", true)] {
            let unsigned = credential(did.as_str(), large);
            criterion.bench_function(&format!("{name}/issue{size}"), |b| {
                b.iter(|| {
                    let mut document = black_box(&unsigned).clone();
                    add_proof(&mut document, &options, &key, &contexts).unwrap();
                    document
                });
            });
            let mut signed = unsigned;
            add_proof(&mut signed, &options, &key, &contexts).unwrap();
            let mut evidence = Evidence::new();
            evidence.add_offline(&signed).unwrap();
            let text = signed.to_string();
            criterion.bench_function(&format!("{name}/verify{size}"), |b| {
                b.iter(|| {
                    let document = json::parse(black_box(text.as_bytes()), &Limits::DEFAULT).unwrap();
                    verify_proofs(&document, &evidence, &Expectation::credential(NOW), &contexts).unwrap()
                });
            });
        }
    }
}

/// What each suite is held against: bare verifications and hashes of the same run.
pub const AIMS: [(&str, &str, f64, &str); 4] = [
    ("eddsa_rdfc/verify", "bare/ed25519", 5.0, " (aim: at most 3.5)"),
    ("ecdsa_rdfc/verify", "bare/p256", 5.0, " (aim: at most 2.4)"),
    ("eddsa_jcs/verify", "bare/ed25519", 2.0, " (aim: at most 1.8)"),
    ("ecdsa_jcs/verify", "bare/p256", 2.0, ""),
];

/// Names of the benchmarks without an aim.
pub fn others() -> impl Iterator<Item = String> {
    SUITES.into_iter().flat_map(|(name, ..)| {
        ["issue", "issue_100", "verify_100"].map(|operation| format!("{name}/{operation}"))
    })
}
