//! `carekey jose-cose`: secures and verifies single documents by VC-JOSE-COSE, the way the W3C test suite
//! vc-jose-cose asks for it.

use std::fs;
use std::path::{Path, PathBuf};

use carekey_core::credential::claims::{ClaimPath, PathElement};
use carekey_core::credential::data_model;
use carekey_core::encoding::json;
use carekey_core::format::sd_jwt_vc::issue::DisclosureFrame;
use carekey_core::format::vc_jose::envelope::decode;
use carekey_core::format::vc_jose::issue::{self, IssueInput};
use carekey_core::format::vc_jose::verify::UnverifiedEnvelope;
use carekey_core::format::vc_jose::{Content, EnvelopeType, Mechanism};
use carekey_core::jose::jwk::{self, Jwk};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::{Error, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::servers::Failure;

const LIMITS: &Limits = &Limits::DEFAULT;

#[derive(Debug, Subcommand)]
pub(crate) enum JoseCose {
    /// Secure a credential or presentation.
    Issue {
        #[command(flatten)]
        files: Files,
        /// Claims that are selectively disclosable, as a JSON list of paths such as `credentialSubject.names[0]`.
        #[arg(long, value_name = "JSON")]
        sd: Option<String>,
    },
    /// Verify a secured credential or presentation: its signature and its form, not its times.
    Verify {
        #[command(flatten)]
        files: Files,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The document as JSON, or the secured one as text (COSE as base64).
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// A JsonWebKey verification method with publicKeyJwk and, to issue, secretKeyJwk.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// credential_ or presentation_ with jose, sdjwt or cose.
    #[arg(long)]
    feature: String,
    /// Where the outcome goes: `{"result", "data"}`.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// What the output file says.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Secured document or, after verifying, the document itself.
    Success(String),
    /// The document was refused; why.
    Failure(String),
    /// A feature that nobody knows.
    Indeterminate(String),
    /// A file could not be read.
    Error(String),
}

/// Runs the command; an error only when the outcome could not be written, or a file not be read.
pub(crate) fn run(command: &JoseCose) -> Result<(), Failure> {
    let (files, outcome) = match command {
        JoseCose::Issue { files, sd } => {
            (files, outcome(files, |kind, text, key| secure(kind, text, key, sd.as_deref())))
        }
        JoseCose::Verify { files } => (files, outcome(files, verify)),
    };
    let (result, data) = match &outcome {
        Outcome::Success(data) => ("success", data),
        Outcome::Failure(why) => ("failure", why),
        Outcome::Indeterminate(why) => ("indeterminate", why),
        Outcome::Error(why) => ("error", why),
    };
    fs::write(&files.output, json!({"result": result, "data": data}).to_string())
        .map_err(|error| Failure::new(format!("{}: {error}", files.output.display())))?;
    match outcome {
        Outcome::Error(why) => Err(Failure::new(why)),
        _ => Ok(()),
    }
}

fn outcome(files: &Files, work: impl FnOnce(EnvelopeType, &str, &Value) -> Result<String>) -> Outcome {
    let Some(kind) = feature(&files.feature) else {
        return Outcome::Indeterminate(format!("the feature {} is not known", files.feature));
    };
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let (input, key) = match (read(&files.input), read(&files.key)) {
        (Ok(input), Ok(key)) => (input, key),
        (Err(why), _) | (_, Err(why)) => return Outcome::Error(why),
    };
    let key = match json::parse(key.as_bytes(), LIMITS) {
        Ok(key) => key,
        Err(error) => return Outcome::Error(format!("{}: {error}", files.key.display())),
    };
    match work(kind, input.trim(), &key) {
        Ok(data) => Outcome::Success(data),
        Err(error) => Outcome::Failure(error.to_string()),
    }
}

fn feature(name: &str) -> Option<EnvelopeType> {
    let (content, mechanism) = name.split_once('_')?;
    let content = match content {
        "credential" => Content::Credential,
        "presentation" => Content::Presentation,
        _ => return None,
    };
    let mechanism = match mechanism {
        "jose" => Mechanism::Jwt,
        "sdjwt" => Mechanism::SdJwt,
        "cose" => Mechanism::Cose,
        _ => return None,
    };
    Some(EnvelopeType { content, mechanism })
}

fn secure(kind: EnvelopeType, text: &str, method: &Value, sd: Option<&str>) -> Result<String> {
    let document = json::parse(text.as_bytes(), LIMITS)?;
    data_model::check_known_members(&document)?;
    let document = document.as_object().ok_or_else(|| usage("the document is not an object"))?;
    let key = jwk::private_key(method.get("secretKeyJwk").ok_or_else(|| usage("secretKeyJwk is missing"))?)?;
    let key_id = method.get("id").and_then(Value::as_str);
    let input = IssueInput { document, key_id, claims: Map::new() };
    match kind.mechanism {
        Mechanism::Jwt => issue::jwt(kind.content, &input, &key),
        Mechanism::SdJwt => issue::sd_jwt(kind.content, &input, &frame(sd)?, &key, &SystemRandom),
        Mechanism::Cose => {
            let message = issue::cose(kind.content, &input, &key)?;
            Ok(carekey_core::encoding::base64::encode(&message))
        }
    }
}

fn verify(kind: EnvelopeType, text: &str, method: &Value) -> Result<String> {
    let key = Jwk::from_value(method.get("publicKeyJwk").ok_or_else(|| usage("publicKeyJwk is missing"))?)?;
    let key = key.public_key()?;
    let data = match kind.mechanism {
        Mechanism::Cose => decode(text)?,
        Mechanism::Jwt | Mechanism::SdJwt => text.as_bytes().to_vec(),
    };
    let verified = UnverifiedEnvelope::parse(kind, &data, LIMITS)?.verify(&key)?;
    Ok(verified.document().to_string())
}

fn frame(sd: Option<&str>) -> Result<DisclosureFrame> {
    let Some(sd) = sd else { return Ok(DisclosureFrame::new()) };
    let paths: Vec<String> = json::parse_as(sd.as_bytes(), LIMITS)?;
    paths.iter().try_fold(DisclosureFrame::new(), |frame, path| Ok(frame.selective(&claim_path(path)?)))
}

/// `credentialSubject.phoneNumbers[0].number`.
fn claim_path(text: &str) -> Result<ClaimPath> {
    let wrong = || usage("a path is made of names with dots between, and indexes in brackets");
    let mut elements = Vec::new();
    for part in text.split('.') {
        let mut pieces = part.split('[');
        let name = pieces.next().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        elements.push(PathElement::from(name));
        for piece in pieces {
            let digits = piece.strip_suffix(']').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            let index = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
            elements.push(PathElement::Index(index));
        }
    }
    ClaimPath::new(elements)
}

fn usage(detail: &'static str) -> Error {
    Error::misuse("jose_cose_usage", detail)
}

#[cfg(test)]
mod tests {
    use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};

    use super::*;

    fn method(algorithm: SignatureAlgorithm) -> Value {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let public = Jwk::from_key(key.public_key()).to_value();
        let mut secret = public.clone();
        let d = key.to_private_bytes().unwrap();
        secret["d"] = carekey_core::encoding::base64url::encode(d.expose()).into();
        json!({
            "id": "https://example.issuer/vc-jose-cose#key-1",
            "type": "JsonWebKey",
            "publicKeyJwk": public,
            "secretKeyJwk": secret
        })
    }

    fn credential() -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiableCredential"],
            "issuer": "https://example.issuer/vc-jose-cose",
            "credentialSubject": {"id": "did:example:1", "phoneNumbers": ["1", "2"]}
        })
    }

    fn presentation() -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": "VerifiablePresentation",
            "holder": "https://example.issuer/vc-jose-cose",
            "verifiableCredential": [{
                "@context": "https://www.w3.org/ns/credentials/v2",
                "type": "EnvelopedVerifiableCredential",
                "id": "data:application/vc+jwt,eyJ.eyJ.AA"
            }]
        })
    }

    /// Runs the command on files, and returns the outcome.
    fn command(verb: &str, input: &str, key: &Value, feature: &str, sd: Option<&str>) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("input"), input).unwrap();
        fs::write(file("key"), key.to_string()).unwrap();
        let files = Files {
            input: file("input"),
            key: file("key"),
            feature: feature.to_owned(),
            output: file("output"),
        };
        let command = match verb {
            "issue" => JoseCose::Issue { files, sd: sd.map(str::to_owned) },
            _ => JoseCose::Verify { files },
        };
        run(&command).unwrap();
        let output: Value = serde_json::from_slice(&fs::read(file("output")).unwrap()).unwrap();
        let text = |name: &str| output[name].as_str().unwrap().to_owned();
        (text("result"), text("data"))
    }

    #[test]
    fn every_feature_with_every_key() {
        for algorithm in [
            SignatureAlgorithm::Es256,
            SignatureAlgorithm::Es384,
            SignatureAlgorithm::Es512,
            SignatureAlgorithm::EdDsa,
        ] {
            let key = method(algorithm);
            for (content, document, sd) in [
                (
                    "credential",
                    credential(),
                    r#"["credentialSubject.id", "credentialSubject.phoneNumbers[0]"]"#,
                ),
                ("presentation", presentation(), r#"["holder", "verifiableCredential[0]"]"#),
            ] {
                for mechanism in ["jose", "sdjwt", "cose"] {
                    let feature = format!("{content}_{mechanism}");
                    let (result, data) = command("issue", &document.to_string(), &key, &feature, Some(sd));
                    assert_eq!(result, "success", "{feature} {data}");
                    let (result, read) = command("verify", &data, &key, &feature, None);
                    assert_eq!(result, "success", "{feature} {read}");
                    assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), document);
                    let other = method(algorithm);
                    assert_eq!(command("verify", &data, &other, &feature, None).0, "failure");
                }
            }
        }
    }

    #[test]
    fn refusals() {
        let key = method(SignatureAlgorithm::Es256);
        let mut unknown = credential();
        unknown["badExtension"] = json!({"huh": "what?"});
        let (result, why) = command("issue", &unknown.to_string(), &key, "credential_jose", None);
        assert_eq!(result, "failure");
        assert!(why.contains("vc_unknown_member"), "{why}");
        let plain = credential().to_string();
        for feature in ["credential_jose", "credential_sdjwt", "credential_cose"] {
            assert_eq!(command("verify", &plain, &key, feature, None).0, "failure");
        }
        assert_eq!(command("issue", &plain, &key, "presentation_jose", None).0, "failure");
        assert_eq!(command("issue", "{", &key, "credential_jose", None).0, "failure");
        assert_eq!(command("verify", "not base64!", &key, "credential_cose", None).0, "failure");
        assert_eq!(command("issue", &plain, &key, "credential_sdjwt", Some(r#"["a["]"#)).0, "failure");
        assert_eq!(command("issue", &plain, &key, "credential_sdjwt", Some(r#"["type"]"#)).0, "failure");
        assert_eq!(command("issue", &plain, &key, "credential_paper", None).0, "indeterminate");
        assert_eq!(command("issue", &plain, &json!({}), "credential_jose", None).0, "failure");
        let mut mixed = key.clone();
        mixed["secretKeyJwk"]["d"] = method(SignatureAlgorithm::Es256)["secretKeyJwk"]["d"].clone();
        assert_eq!(command("issue", &plain, &mixed, "credential_jose", None).0, "failure");
    }

    #[test]
    fn files_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            input: folder.path().join("absent"),
            key: folder.path().join("absent"),
            feature: "credential_jose".into(),
            output: folder.path().join("output"),
        };
        assert!(run(&JoseCose::Verify { files }).is_err());
        let output: Value = serde_json::from_slice(&fs::read(folder.path().join("output")).unwrap()).unwrap();
        assert_eq!(output["result"], "error");
    }

    #[test]
    fn paths() {
        let path = claim_path("credentialSubject.phoneNumbers[0]").unwrap();
        assert_eq!(serde_json::to_value(&path).unwrap(), json!(["credentialSubject", "phoneNumbers", 0]));
        for bad in ["", ".", "a.", "a[", "a[]", "a[x]", "a[-1]", "[0]", "a[0]b"] {
            assert!(claim_path(bad).is_err(), "{bad}");
        }
    }
}
