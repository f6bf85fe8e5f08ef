//! Securing a credential or presentation (VC-JOSE-COSE section 3).

use serde_json::{Map, Value};

use super::verify::{check_document, check_replicated};
use super::{Content, EnvelopeType, Mechanism, cose, require_algorithm};
use crate::error::{Error, Result};
use crate::format::sd_jwt_vc::disclosure::{DigestAlgorithm, SD_ALG};
use crate::format::sd_jwt_vc::issue::{self as sd_jwt, DisclosureFrame};
use crate::jose::jws;
use crate::key::Signer;
use crate::limits::Limits;
use crate::random::Random;

/// Members that verification needs, and that therefore stay visible (section 3.2.1), with the claims that decide for how
/// long and for whom a token counts.
pub const NEVER_SELECTIVE: [&str; 12] = [
    "@context",
    "type",
    "validFrom",
    "validUntil",
    "credentialStatus",
    "credentialSchema",
    "relatedResource",
    "iss",
    "iat",
    "exp",
    "nbf",
    "cnf",
];

/// What to secure.
#[derive(Clone)]
pub struct IssueInput<'a> {
    /// The credential or presentation.
    pub document: &'a Map<String, Value>,
    /// `kid`: the verification method; required when it is a DID URL, or the issuer a URL and `iss` absent (section 4.1).
    pub key_id: Option<&'a str>,
    /// Claims beside the document (`iat`, `exp`, `aud`, `nonce`, `cnf`, …), for JWT and SD-JWT only.
    pub claims: Map<String, Value>,
}

impl IssueInput<'_> {
    /// The payload: the document as it is, then the claims.
    fn payload(&self, content: Content) -> Result<Map<String, Value>> {
        if self.claims.keys().any(|name| self.document.contains_key(name)) {
            return Err(Error::misuse("vc_jose_claim", "a claim repeats a member of the document"));
        }
        let mut payload = self.document.clone();
        payload.extend(self.claims.clone());
        check_replicated(&payload, content)?;
        check_document(&payload, content)?;
        Ok(payload)
    }

    fn header(&self, kind: EnvelopeType, signer: &dyn Signer) -> Map<String, Value> {
        let mut header = Map::new();
        header.insert("alg".into(), signer.public_key().algorithm().as_str().into());
        header.insert("typ".into(), kind.typ().into());
        header.insert("cty".into(), kind.content.as_str().into());
        header.extend(self.key_id.map(|key_id| ("kid".to_owned(), key_id.into())));
        header
    }
}

/// Secures `input` as a compact JWT.
///
/// [`Error::Misuse`] `vc_jose_claim` when a claim repeats a member of the document; [`Error::Unsupported`]
/// `alg_unsupported` for another key than ECDSA and Ed25519; whatever a verifier would say of the document
/// ([`super::verify::UnverifiedEnvelope::verify`]); errors of the signer.
pub fn jwt(content: Content, input: &IssueInput<'_>, signer: &dyn Signer) -> Result<String> {
    require_algorithm(signer.public_key().algorithm())?;
    let kind = EnvelopeType { content, mechanism: Mechanism::Jwt };
    let payload = Value::Object(input.payload(content)?).to_string();
    let signing_input = jws::signing_input(&input.header(kind, signer), payload.as_bytes())?;
    let signature = signer.sign(signing_input.as_bytes())?;
    Ok(jws::assemble(signing_input, &signature))
}

/// Secures `input` as an SD-JWT with all of its disclosures; `frame` says what is selectively disclosable.
///
/// Errors as [`jwt`]; besides [`Error::Misuse`] `vc_jose_never_selective` when the frame hides or reaches into one of
/// [`NEVER_SELECTIVE`], `sd_jwt_reserved_name`, `sd_jwt_too_deep`.
pub fn sd_jwt(
    content: Content,
    input: &IssueInput<'_>,
    frame: &DisclosureFrame,
    signer: &dyn Signer,
    random: &dyn Random,
) -> Result<String> {
    require_algorithm(signer.public_key().algorithm())?;
    if NEVER_SELECTIVE.iter().any(|name| frame.touches(name)) {
        let detail = "the frame hides a member that verification needs";
        return Err(Error::misuse("vc_jose_never_selective", detail));
    }
    let payload = input.payload(content)?;
    // One level for the root and one for the array of a disclosure.
    let depth = Limits::DEFAULT.json_depth.saturating_sub(2);
    payload.iter().try_for_each(|(name, value)| sd_jwt::check_claim(name, value, depth))?;
    let algorithm = DigestAlgorithm::default();
    let (mut payload, disclosures) = sd_jwt::conceal(payload, frame, algorithm, random);
    if !disclosures.is_empty() {
        payload.insert(SD_ALG.to_owned(), algorithm.as_str().into());
    }
    let kind = EnvelopeType { content, mechanism: Mechanism::SdJwt };
    let payload = Value::Object(payload).to_string();
    let signing_input = jws::signing_input(&input.header(kind, signer), payload.as_bytes())?;
    let signature = signer.sign(signing_input.as_bytes())?;
    Ok(sd_jwt::assemble(signing_input, &disclosures, &signature))
}

/// Secures `input` as a tagged COSE_Sign1 message.
///
/// Errors as [`jwt`]; `vc_jose_claim` also when there are claims, which have no place in the payload of COSE.
pub fn cose(content: Content, input: &IssueInput<'_>, signer: &dyn Signer) -> Result<Vec<u8>> {
    require_algorithm(signer.public_key().algorithm())?;
    if !input.claims.is_empty() {
        return Err(Error::misuse("vc_jose_claim", "claims beside the document have no place in COSE"));
    }
    let payload = Value::Object(input.payload(content)?).to_string();
    let kind = EnvelopeType { content, mechanism: Mechanism::Cose };
    cose::sign(payload.as_bytes(), kind, input.key_id, signer)
}
