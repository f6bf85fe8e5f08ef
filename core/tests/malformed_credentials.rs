//! Malformed credentials as text, and the error that each ends in: one table for JSON, data model, JSON-LD and proofs
//! with Data Integrity, one for tokens. None may take long, whatever its size.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::disallowed_methods)] // how long it takes is part of the test

use std::time::{Duration, Instant};

use carekey_core::credential::data_model;
use carekey_core::did::key;
use carekey_core::encoding::{base64url, json};
use carekey_core::format::data_integrity::{
    Contexts, Cryptosuite, Evidence, Expectation, ProofOptions, ProofPurpose, add_proof, verify_proofs,
};
use carekey_core::format::vc_jose::verify::UnverifiedEnvelope;
use carekey_core::format::vc_jose::{Content, EnvelopeType, Mechanism};
use carekey_core::key::{SignatureAlgorithm, Signer as _, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::{Result, UnixTime};
use serde_json::{Value, json};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
/// In a debug build, on a busy machine; most take a millisecond.
const LONGEST: Duration = Duration::from_secs(5);

fn signed(suite: Cryptosuite) -> Value {
    let issuer = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
    let did = key::encode(issuer.public_key()).unwrap();
    let mut document = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "type": ["VerifiableCredential"],
        "issuer": did.as_str(),
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:a", "name": "A", "height": 7}
    });
    let method = did.with_fragment(did.method_specific_id()).unwrap();
    let options = ProofOptions::new(suite, method, ProofPurpose::AssertionMethod);
    add_proof(&mut document, &options, &issuer, &Contexts::bundled().unwrap()).unwrap();
    document
}

/// What a verifier does with the text of a credential.
fn read(text: &[u8], contexts: &Contexts) -> Result<()> {
    let document = json::parse(text, &Limits::DEFAULT)?;
    data_model::check_credential(&document)?;
    let mut evidence = Evidence::new();
    evidence.add_offline(&document)?;
    verify_proofs(&document, &evidence, &Expectation::credential(NOW), contexts).map(drop)
}

/// What went otherwise than expected.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn check(&mut self, name: &str, expected: &str, run: impl FnOnce() -> Result<()>) {
        let start = Instant::now();
        let found = run().map_or_else(|error| error.code(), |()| "ok");
        if found != expected {
            self.0.push(format!("{name}: {found}, not {expected}"));
        }
        if start.elapsed() > LONGEST {
            self.0.push(format!("{name}: {:?}", start.elapsed()));
        }
    }
}

/// Nodes that all refer to each other: to name them by what they refer to takes factorial work.
fn clique(size: usize) -> Value {
    let nodes = (0..size).map(|node| {
        let others: Vec<Value> = (0..size)
            .filter(|other| *other != node)
            .map(|other| json!({"id": format!("_:n{other}")}))
            .collect();
        json!({"id": format!("_:n{node}"), "knows": others})
    });
    nodes.collect()
}

#[test]
fn credentials_with_proofs() {
    let contexts = Contexts::bundled().unwrap();
    let (mut differences, mut count) = (Differences::default(), 0);
    for suite in [Cryptosuite::EddsaRdfc2022, Cryptosuite::EddsaJcs2022] {
        let good = signed(suite);
        let text = good.to_string();
        differences.check("as signed", "ok", || read(text.as_bytes(), &contexts));
        let replaced = |from: &str, to: &str| {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text.replace(from, to)
        };
        let height = |to: &str| replaced("\"height\":7", &format!("\"height\":{to}"));
        let with = |pointer: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed.to_string()
        };
        let subject = |value: Value| with("/credentialSubject", value);
        let nested = |open: &str, close: &str, depth: usize| {
            height(&[open.repeat(depth), "7".into(), close.repeat(depth)].concat())
        };
        let is_jcs = suite.is_jcs();
        let either = |jcs: &'static str, rdf: &'static str| if is_jcs { jcs } else { rdf };
        let table = [
            // JSON
            ("nothing", String::new(), "json_syntax"),
            ("no JSON", "eyJhbGciOiJFUzI1NiJ9.e30.AA".into(), "json_syntax"),
            ("cut off", text[..text.len() - 1].into(), "json_syntax"),
            ("two documents", text.repeat(2), "json_syntax"),
            ("a byte order mark", format!("\u{feff}{text}"), "json_syntax"),
            ("a comment", format!("/* */{text}"), "json_syntax"),
            ("a comma too many", replaced("\"height\":7", "\"height\":7,"), "json_syntax"),
            ("half a surrogate pair", height(r#""\ud800""#), "json_syntax"),
            ("a control character", height("\"\u{1}\""), "json_syntax"),
            ("duplicate key", replaced("\"height\":7", "\"height\":7,\"height\":8"), "json_duplicate_member"),
            (
                "duplicate key, same value",
                replaced("\"height\":7", "\"height\":7,\"height\":7"),
                "json_duplicate_member",
            ),
            (
                "duplicate key, escaped",
                replaced("\"height\":7", r#""height":7,"h\u0065ight":8"#),
                "json_duplicate_member",
            ),
            (
                "two proofs under one key",
                text.replace("\"proof\":", "\"proof\":{},\"proof\":"),
                "json_duplicate_member",
            ),
            (
                "two issuers",
                text.replace("\"issuer\":", "\"issuer\":\"did:example:b\",\"issuer\":"),
                "json_duplicate_member",
            ),
            ("infinite", height("1e400"), "json_syntax"),
            ("minus infinite", height("-1e400"), "json_syntax"),
            ("not a number", height("NaN"), "json_syntax"),
            ("hexadecimal", height("0x7"), "json_syntax"),
            ("a leading zero", height("07"), "json_syntax"),
            ("huge integer", height("123456789012345678901234567890"), "proof_signature"),
            ("a number of 100,000 digits", height(&"7".repeat(100_000)), "json_syntax"),
            ("an exponent of 100,000 digits", height(&format!("1e{}", "9".repeat(100_000))), "json_syntax"),
            ("a tiny number", height("1e-400"), "proof_signature"),
            ("arrays too deep", nested("[", "]", 40), "json_too_deep"),
            ("objects too deep", nested("{\"a\":", "}", 40), "json_too_deep"),
            ("100,000 arrays deep", nested("[", "]", 100_000), "json_too_deep"),
            ("20,000 members", height(&format!("[{}7]", "7,".repeat(20_000))), "json_too_many"),
            ("a megabyte", height(&format!("\"{}\"", "7".repeat(1 << 20))), "json_too_large"),
            // Data model
            ("an array", format!("[{text}]"), "vc_shape"),
            ("null", "null".into(), "vc_shape"),
            ("no context", with("/@context", json!([])), "vc_context"),
            ("another context first", with("/@context/0", json!("https://example.org/")), "vc_context"),
            ("no type", with("/type", json!(["Other"])), "vc_type"),
            ("issuer null", with("/issuer", json!(null)), "vc_issuer"),
            ("issuer no URL", with("/issuer", json!("me")), "vc_issuer"),
            ("no subject", subject(json!([])), "vc_shape"),
            ("subject a string", subject(json!("did:example:a")), "vc_subject"),
            ("no time", with("/validFrom", json!("yesterday")), "vc_time"),
            ("30 February", with("/validFrom", json!("2026-02-30T00:00:00Z")), "vc_time"),
            // JSON-LD; the JCS suites sign JSON as it is
            (
                "context that nobody knows",
                with("/@context/1", json!("https://example.org/c")),
                either("proof_context", "jsonld_context_unknown"),
            ),
            ("context that is a number", with("/@context/1", json!(7)), "vc_context"),
            (
                "context that redefines a term",
                with("/@context/1", json!({"@vocab": "urn:v#", "name": "urn:n"})),
                either("proof_context", "jsonld_protected"),
            ),
            (
                "a term without meaning",
                with("/@context/1", json!({"height": null})),
                either("proof_context", "jsonld_undefined_term"),
            ),
            ("relative id", with("/credentialSubject/id", json!("../a")), "vc_id"),
            ("null value", height("null"), either("proof_signature", "jsonld_null")),
            (
                "value object with a type and a language",
                height(r#"{"@value":"7","@type":"urn:t","@language":"cs"}"#),
                either("proof_signature", "jsonld_shape"),
            ),
            (
                "a poison graph",
                subject(json!({"id": "did:example:a", "knows": clique(12)})),
                either("proof_signature", "rdf_too_complex"),
            ),
            (
                "a larger poison graph",
                subject(json!({"id": "did:example:a", "knows": clique(60)})),
                either("proof_signature", "rdf_too_complex"),
            ),
            // Proofs
            ("proof null", with("/proof", json!(null)), "vc_shape"),
            ("proof empty", with("/proof", json!([])), "vc_shape"),
            ("proof without type", with("/proof", json!({})), "vc_type"),
            ("17 proofs", with("/proof", json!(vec![good["proof"].clone(); 17])), "proof_too_many"),
            ("older suite", with("/proof/type", json!("Ed25519Signature2020")), "proof_type"),
            ("unknown suite", with("/proof/cryptosuite", json!("eddsa-2022")), "proof_cryptosuite"),
            (
                "key not of a DID",
                with("/proof/verificationMethod", json!("https://example.org/k")),
                "proof_method",
            ),
            (
                "key of another DID method",
                with("/proof/verificationMethod", json!("did:web:example.org#k")),
                "proof_controller",
            ),
            ("did:key of no key", with("/proof/verificationMethod", json!("did:key:zzz#zzz")), "multikey"),
            ("proofValue empty", with("/proof/proofValue", json!("")), "proof_value"),
            ("proofValue in hexadecimal", with("/proof/proofValue", json!("f00")), "proof_value"),
            ("proofValue with 0", with("/proof/proofValue", json!("z0")), "proof_value"),
            (
                "proofValue of 100,000 characters",
                with("/proof/proofValue", json!(format!("z{}", "1".repeat(100_000)))),
                "proof_value",
            ),
            ("proofValue of another length", with("/proof/proofValue", json!("z11")), "proof_signature"),
            ("proofValue a number", with("/proof/proofValue", json!(7)), "proof_member"),
        ];
        for (name, text, expected) in &table {
            differences
                .check(&format!("{} {name}", suite.as_str()), expected, || read(text.as_bytes(), &contexts));
            count += 1;
        }
        differences.check("not UTF-8", "json_syntax", || read(b"{\"a\":\"\xff\"}", &contexts));
    }
    assert!(differences.0.is_empty(), "{}", differences.0.join("\n"));
    println!("{count} malformed credentials refused");
}

#[test]
fn tokens() {
    let issuer = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let header = base64url::encode(br#"{"alg":"ES256","typ":"vc+jwt"}"#);
    let body = |text: &str| {
        format!("{header}.{}.{}", base64url::encode(text.as_bytes()), base64url::encode(&[1; 64]))
    };
    let head =
        |text: &str| format!("{}.e30.{}", base64url::encode(text.as_bytes()), base64url::encode(&[1; 64]));
    let deep = "[".repeat(100_000);
    let jwt = EnvelopeType { content: Content::Credential, mechanism: Mechanism::Jwt };
    let cose = EnvelopeType { content: Content::Credential, mechanism: Mechanism::Cose };
    let sd_jwt = EnvelopeType { content: Content::Credential, mechanism: Mechanism::SdJwt };
    let table: [(&str, EnvelopeType, Vec<u8>, &str); 24] = [
        ("empty", jwt, Vec::new(), "jws"),
        ("two parts", jwt, format!("{header}.e30").into(), "jws"),
        ("four parts", jwt, format!("{header}.e30.AA.AA").into(), "jws"),
        ("not UTF-8", jwt, vec![0xff; 9], "json_syntax"),
        ("no base64url", jwt, b"e*.e30.AA".to_vec(), "base64url"),
        ("padded", jwt, format!("{header}=.e30.AA").into(), "base64url"),
        ("header no JSON", jwt, head("{").into(), "json_syntax"),
        ("header twice alg", jwt, head(r#"{"alg":"ES256","alg":"none"}"#).into(), "json_duplicate_member"),
        ("header deep", jwt, head(&deep).into(), "json_too_deep"),
        ("alg none", jwt, head(r#"{"alg":"none","typ":"vc+jwt"}"#).into(), "alg_none"),
        ("alg HS256", jwt, head(r#"{"alg":"HS256","typ":"vc+jwt"}"#).into(), "alg_unsupported"),
        ("crit", jwt, head(r#"{"alg":"ES256","typ":"vc+jwt","crit":["x"],"x":1}"#).into(), "jws_crit"),
        ("typ of a presentation", jwt, head(r#"{"alg":"ES256","typ":"vp+jwt"}"#).into(), "vc_jose_typ"),
        ("payload an array", jwt, body("[]").into(), "jwt_claims"),
        ("payload deep", jwt, body(&deep).into(), "json_too_deep"),
        ("payload with a key twice", jwt, body(r#"{"a":1,"a":1}"#).into(), "json_duplicate_member"),
        ("payload infinite", jwt, body(r#"{"a":1e400}"#).into(), "json_syntax"),
        ("nobody signed it", jwt, body(r#"{"a":1}"#).into(), "signature_invalid"),
        ("too large", jwt, vec![b'a'; 300 * 1024], "token_too_large"),
        ("SD-JWT without ~", sd_jwt, body("{}").into(), "sd_jwt"),
        ("COSE empty", cose, Vec::new(), "cbor"),
        ("COSE of indefinite length", cose, vec![0x9f, 0xff], "cbor"),
        ("COSE deep", cose, vec![0x81; 100_000], "cose_sign1"),
        (
            "COSE that says it is huge",
            cose,
            vec![0x84, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            "cbor",
        ),
    ];
    let mut differences = Differences::default();
    for (name, kind, data, expected) in table {
        differences.check(name, expected, || {
            UnverifiedEnvelope::parse(kind, &data, &Limits::DEFAULT)?.verify(issuer.public_key()).map(drop)
        });
    }
    assert!(differences.0.is_empty(), "{}", differences.0.join("\n"));
}
