//! W3C credentials: issuing, deriving and verifying, from the JSON text on, with warm contexts and parsed keys; beside
//! them `ssi` and, where it is installed, Digital Bazaar's library for Node on the same credentials.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use blstrs::{Bls12, G1Affine, G2Affine, G2Prepared};
use carekey_core::encoding::{json, multibase, sha256};
use carekey_core::format::data_integrity::contexts::CREDENTIALS_V2;
use carekey_core::format::data_integrity::{
    Contexts, Cryptosuite, Evidence, Expectation, Presentation, derive, ecdsa_sd, verify_base_proofs,
    verify_proofs,
};
use carekey_core::format::vc_jose::verify::UnverifiedEnvelope;
use carekey_core::format::vc_jose::{Content, EnvelopeType, Mechanism, issue};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_tests::securing::{Issuer, NOW};
use criterion::Criterion;
use group::prime::PrimeCurveAffine as _;
use pairing::{MillerLoopResult as _, MultiMillerLoop as _};
use serde_json::{Map, Value, json};

const SUITES: [(&str, Cryptosuite, SignatureAlgorithm); 6] = [
    ("eddsa_rdfc", Cryptosuite::EddsaRdfc2022, SignatureAlgorithm::EdDsa),
    ("ecdsa_rdfc", Cryptosuite::EcdsaRdfc2019, SignatureAlgorithm::Es256),
    ("eddsa_jcs", Cryptosuite::EddsaJcs2022, SignatureAlgorithm::EdDsa),
    ("ecdsa_jcs", Cryptosuite::EcdsaJcs2019, SignatureAlgorithm::Es256),
    ("ecdsa_sd", Cryptosuite::EcdsaSd2023, SignatureAlgorithm::Es256),
    ("bbs", Cryptosuite::Bbs2023, SignatureAlgorithm::Es256),
];
/// What a holder shows: everything.
const POINTERS: [&str; 1] = [""];

/// As large as the published examples, or with 100 claims in ten groups.
fn credential(large: bool) -> Value {
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
        "issuer": "did:example:issuer",
        "validFrom": "2023-01-01T00:00:00Z",
        "credentialSubject": subject
    })
}

/// What the table at the end says of one run.
#[derive(Default)]
pub struct Measured {
    /// How many signatures the derived ecdsa-sd-2023 proof of the small credential has.
    pub signatures: usize,
    /// Microseconds of Digital Bazaar's library by benchmark.
    pub digitalbazaar: BTreeMap<String, f64>,
}

pub fn run(criterion: &mut Criterion) -> Measured {
    let kilobyte = [7; 1024];
    criterion.bench_function("bare/sha256_1k", |b| b.iter(|| sha256(black_box(&kilobyte))));
    two_pairings(criterion);
    let contexts = Contexts::bundled().unwrap();
    let mut measured = Measured::default();
    for (name, suite, algorithm) in SUITES {
        let issuer = Issuer::new(suite, algorithm, NOW).unwrap();
        for (size, large) in [("", false), ("_100", true)] {
            let unsigned = credential(large);
            criterion.bench_function(&format!("{name}/issue{size}"), |b| {
                b.iter(|| issuer.issue(black_box(&unsigned)).unwrap());
            });
            let mut signed = issuer.issue(&unsigned).unwrap();
            if suite.is_selective() {
                let show = |base: &Value| {
                    derive(base, &POINTERS, &Presentation::new(&SystemRandom), &contexts).unwrap()
                };
                verify(criterion, &format!("{name}/verify_base{size}"), &signed, true, &contexts);
                criterion
                    .bench_function(&format!("{name}/derive{size}"), |b| b.iter(|| show(black_box(&signed))));
                signed = show(&signed);
                if suite == Cryptosuite::EcdsaSd2023 && !large {
                    measured.signatures = signatures(&signed);
                }
            }
            verify(criterion, &format!("{name}/verify{size}"), &signed, false, &contexts);
        }
    }
    jwt(criterion);
    #[cfg(feature = "oracles")]
    ssi(criterion);
    measured.digitalbazaar = digitalbazaar().unwrap_or_default();
    measured
}

fn verify(criterion: &mut Criterion, name: &str, signed: &Value, base: bool, contexts: &Contexts) {
    let mut evidence = Evidence::new();
    evidence.add_offline(signed).unwrap();
    let (text, check) = (signed.to_string(), if base { verify_base_proofs } else { verify_proofs });
    criterion.bench_function(name, |b| {
        b.iter(|| {
            let document = json::parse(black_box(text.as_bytes()), &Limits::DEFAULT).unwrap();
            check(&document, &evidence, &Expectation::credential(NOW), contexts).unwrap()
        });
    });
}

/// What checking one equation between two pairings costs at least, with blst.
fn two_pairings(criterion: &mut Criterion) {
    let (one, two) = (G1Affine::generator(), G2Prepared::from(G2Affine::generator()));
    let minus = -one;
    criterion.bench_function("bare/two_pairings", |b| {
        b.iter(|| {
            let product = Bls12::multi_miller_loop(&[(black_box(&one), &two), (&minus, &two)]);
            assert!(bool::from(group::Group::is_identity(&product.final_exponentiation())));
        });
    });
}

/// How many ECDSA verifications a derived proof takes: the base signature and one for each statement shown.
fn signatures(derived: &Value) -> usize {
    let value = multibase::decode(derived["proof"]["proofValue"].as_str().unwrap(), 1 << 16).unwrap();
    match ecdsa_sd::ProofValue::parse(&value).unwrap() {
        ecdsa_sd::ProofValue::Derived(proof) => proof.signatures.len() + 1,
        ecdsa_sd::ProofValue::Base(_) => panic!("not derived"),
    }
}

fn jwt(criterion: &mut Criterion) {
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let kind = EnvelopeType { content: Content::Credential, mechanism: Mechanism::Jwt };
    for (size, large) in [("", false), ("_100", true)] {
        let document = credential(large).as_object().unwrap().clone();
        let secure = || {
            let input = issue::IssueInput { document: &document, key_id: Some("key-1"), claims: Map::new() };
            issue::jwt(Content::Credential, &input, &key).unwrap()
        };
        criterion.bench_function(&format!("vc_jwt/issue{size}"), |b| b.iter(secure));
        let text = secure();
        criterion.bench_function(&format!("vc_jwt/verify{size}"), |b| {
            b.iter(|| {
                let read =
                    UnverifiedEnvelope::parse(kind, black_box(text.as_bytes()), &Limits::DEFAULT).unwrap();
                read.verify(key.public_key()).unwrap()
            });
        });
    }
}

#[cfg(feature = "oracles")]
fn ssi(criterion: &mut Criterion) {
    use carekey_tests::ssi::securing::{SUITES, Securing};
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ssi = Securing::default();
    for (index, name) in [(0, "eddsa_rdfc"), (1, "ecdsa_rdfc"), (3, "ecdsa_sd")] {
        let (suite, key) = SUITES[index];
        let key = key();
        for (size, large) in [("", false), ("_100", true)] {
            // `ssi` does not verify its own ecdsa-sd-2023 proofs over nested objects.
            if large && name == "ecdsa_sd" {
                continue;
            }
            let unsigned = credential(large);
            criterion.bench_function(&format!("ssi_{name}/issue{size}"), |b| {
                b.iter(|| runtime.block_on(ssi.issue(suite, &key, black_box(&unsigned))));
            });
            let mut signed = runtime.block_on(ssi.issue(suite, &key, &unsigned));
            if name == "ecdsa_sd" {
                signed =
                    runtime.block_on(ssi.derive(&signed, &["/issuer", "/validFrom", "/credentialSubject"]));
            }
            let text = signed.to_string();
            criterion.bench_function(&format!("ssi_{name}/verify{size}"), |b| {
                b.iter(|| assert!(runtime.block_on(ssi.verify(black_box(&text)))));
            });
        }
    }
}

/// Digital Bazaar's library, on both credentials; `None` where it is not installed.
fn digitalbazaar() -> Option<BTreeMap<String, f64>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign");
    if !folder.join("node_modules").exists() {
        println!("digitalbazaar: not installed (cargo xtask bench installs it)");
        return None;
    }
    let credentials = json!({"": credential(false), "_100": credential(true)});
    let output = Command::new("node")
        .arg("bench.mjs")
        .arg(credentials.to_string())
        .current_dir(&folder)
        .output()
        .ok()?;
    if !output.status.success() {
        println!("digitalbazaar: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    serde_json::from_slice(&output.stdout).ok()
}

/// What each suite is held against: bare operations and hashes of the same run.
pub const AIMS: [(&str, &str, f64, f64, &str); 7] = [
    ("eddsa_rdfc/verify", "bare/ed25519", 1.0, 5.0, "at most 3.5"),
    ("ecdsa_rdfc/verify", "bare/p256", 1.0, 5.0, "at most 2.4"),
    ("eddsa_jcs/verify", "bare/ed25519", 1.0, 2.0, "at most 1.8"),
    ("ecdsa_jcs/verify", "bare/p256", 1.0, 2.0, "none"),
    ("ecdsa_sd/verify", "bare/p256", 26.0, 10.0, "at most 1.25"),
    ("bbs/verify", "bare/two_pairings", 1.0, 0.0, "at most 5"),
    ("vc_jwt/verify", "bare/p256", 1.0, 1.0, "at most 1.25"),
];

/// Names of the benchmarks without an aim.
pub fn others() -> impl Iterator<Item = String> {
    let whole = ["issue", "issue_100", "verify_100"];
    let selective =
        ["issue", "issue_100", "verify_base", "verify_base_100", "derive", "derive_100", "verify_100"];
    let suites = SUITES.into_iter().flat_map(move |(name, suite, _)| {
        let operations: &[&str] = if suite.is_selective() { &selective } else { &whole };
        operations.iter().map(move |operation| format!("{name}/{operation}")).collect::<Vec<_>>()
    });
    suites.chain(whole.map(|operation| format!("vc_jwt/{operation}")))
}
