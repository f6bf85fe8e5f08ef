//! One credential secured or verified: what scripts around other libraries call.
//!
//! A JSON object on standard input, `{"do": "issue" | "derive" | "verify", "format": …, …}`, and the answer on standard
//! output: `{"ok": …}` or `{"refused": <error code>}`. Formats are the cryptosuites of Data Integrity, `dc+sd-jwt` and
//! `vc+cose`. Every key is made for the call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)] // a tool of the tests

use std::io::Read as _;

use carekey_core::clock::{Clock as _, SystemClock};
use carekey_core::credential::claims::ClaimPath;
use carekey_core::credential::issuer_key::IssuerKey;
use carekey_core::credential::validity::Validity;
use carekey_core::encoding::{base64, json};
use carekey_core::error::{Error, Result};
use carekey_core::format::data_integrity::Cryptosuite;
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::issue::{DisclosureFrame, IssueInput, IssuerKeyHeader, issue};
use carekey_core::format::sd_jwt_vc::key_binding::{KeyBindingCheck, KeyBindingInput};
use carekey_core::format::sd_jwt_vc::verify::{Timing, UnverifiedSdJwtVc};
use carekey_core::format::vc_jose;
use carekey_core::format::vc_jose::verify::UnverifiedEnvelope;
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_tests::securing::{Issuer, present, verify};
use serde_json::{Map, Value, json};

const ISS: &str = "https://issuer.example";
const VCT: &str = "https://issuer.example/vct/identity";
const AUDIENCE: &str = "https://verifier.example";
const NONCE: &str = "n-0S6_WzA2Mj";

fn main() {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).unwrap();
    let answer = match json::parse(&text, &Limits::DEFAULT).and_then(|request| answer(&request)) {
        Ok(value) => json!({"ok": value}),
        Err(error) => json!({"refused": error.code()}),
    };
    println!("{answer}");
}

fn answer(request: &Value) -> Result<Value> {
    match (text(request, "do")?, text(request, "format")?) {
        ("issue", "dc+sd-jwt") => issue_sd_jwt(request),
        ("verify", "dc+sd-jwt") => verify_sd_jwt(request),
        ("issue", "vc+cose") => issue_cose(request),
        ("verify", "vc+cose") => verify_cose(request),
        ("issue", suite) => {
            Issuer::new(Cryptosuite::parse(suite)?, algorithm(request)?, now())?.issue(&request["document"])
        }
        ("derive", _) => {
            let pointers: Vec<String> = json::from_value(request["pointers"].clone())?;
            present(&request["document"], &pointers)
        }
        _ => Ok(verify(&request["document"], request["base"] == true, now())?.document().clone()),
    }
}

fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str> {
    request
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| Error::misuse("securing_request", name.to_owned()))
}

fn algorithm(request: &Value) -> Result<SignatureAlgorithm> {
    request
        .get("alg")
        .and_then(Value::as_str)
        .map_or(Ok(SignatureAlgorithm::Es256), SignatureAlgorithm::parse)
}

fn now() -> carekey_core::UnixTime {
    SystemClock.now()
}

/// A credential, and a presentation of all that it hides but `email`.
fn issue_sd_jwt(request: &Value) -> Result<Value> {
    let [issuer, holder] =
        [SoftwareKey::generate(algorithm(request)?)?, SoftwareKey::generate(SignatureAlgorithm::Es256)?];
    let path = |text: &str| json::parse_as::<ClaimPath>(text.as_bytes(), &Limits::DEFAULT);
    let shown = [
        path(r#"["given_name"]"#)?,
        path(r#"["address"]"#)?,
        path(r#"["address","country"]"#)?,
        path(r#"["nationalities",0]"#)?,
    ];
    let frame = DisclosureFrame::of(shown.iter().chain([&path(r#"["email"]"#)?])).decoys(None, 2);
    let input = IssueInput {
        vct: VCT,
        iss: Some(ISS),
        validity: Validity { issued_at: Some(now()), not_before: None, expires_at: Some(now().plus(3600)) },
        holder_key: Some(holder.public_key()),
        status: None,
        vct_integrity: None,
        aka_vcts: &[],
        claims: request["document"].as_object().cloned().unwrap_or_default(),
        frame: &frame,
        key_header: IssuerKeyHeader::Kid("key-1".to_owned()),
        digest_algorithm: DigestAlgorithm::Sha256,
    };
    let credential = issue(input, &issuer, &SystemRandom)?;
    let binding = KeyBindingInput {
        audience: AUDIENCE,
        nonce: NONCE,
        issued_at: now(),
        expires_at: None,
        transaction_data: None,
        extra: Map::new(),
    };
    let presentation = UnverifiedSdJwtVc::parse(&credential, &Limits::DEFAULT)?.present(&shown)?;
    let presentation = presentation.bind(SignatureAlgorithm::Es256, binding)?.sign(&holder)?;
    Ok(json!({
        "credential": credential,
        "presentation": presentation,
        "issuer_jwk": Jwk::from_key(issuer.public_key()).to_value(),
        "audience": AUDIENCE,
        "nonce": NONCE
    }))
}

/// The claims of a presentation that is bound to [`AUDIENCE`] and [`NONCE`].
fn verify_sd_jwt(request: &Value) -> Result<Value> {
    let key = Jwk::from_value(&request["issuer_jwk"])?.public_key()?;
    let check = KeyBindingCheck {
        audience: AUDIENCE,
        nonce: NONCE,
        max_age: 60,
        transaction_data: &[],
        transaction_data_algorithms: &[],
    };
    let read = UnverifiedSdJwtVc::parse(text(request, "document")?, &Limits::DEFAULT)?;
    let timing = Timing { now: now(), skew: 60 };
    let verified = read.verify_presentation(&IssuerKey::pinned(key, ISS), timing, &check)?;
    Ok(verified.credential().claims().clone().into())
}

fn cose() -> vc_jose::EnvelopeType {
    vc_jose::EnvelopeType { content: vc_jose::Content::Credential, mechanism: vc_jose::Mechanism::Cose }
}

fn issue_cose(request: &Value) -> Result<Value> {
    let key = SoftwareKey::generate(algorithm(request)?)?;
    let document = request["document"].as_object().cloned().unwrap_or_default();
    let input = vc_jose::issue::IssueInput { document: &document, key_id: Some("key-1"), claims: Map::new() };
    let message = vc_jose::issue::cose(vc_jose::Content::Credential, &input, &key)?;
    Ok(json!({
        "message": base64::encode(&message),
        "issuer_jwk": Jwk::from_key(key.public_key()).to_value()
    }))
}

fn verify_cose(request: &Value) -> Result<Value> {
    let key = Jwk::from_value(&request["issuer_jwk"])?.public_key()?;
    let message = base64::decode(text(request, "document")?)?;
    Ok(UnverifiedEnvelope::parse(cose(), &message, &Limits::DEFAULT)?.verify(&key)?.document().clone())
}
