//! A presentation of one credential, read and verified: a VP with the holder's Data Integrity proof, or a `vp+jwt`.

use std::fmt;

use serde_json::{Map, Value};

use super::credential::{UnverifiedW3cVc, VerifiedW3cVc, check_contexts, only_proof};
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::credential::data_model;
use crate::credential::issuer_key::IssuerKey;
use crate::did::DidUrl;
use crate::encoding::{base64url, canonical_json, json, sha256};
use crate::error::{Error, Result};
use crate::format::data_integrity::{
    Contexts, Evidence, Expectation, ProofPurpose, UnverifiedProof, verify_proofs,
};
use crate::format::sd_jwt_vc::key_binding::{
    KeyBindingCheck, TransactionDataHashes, check_times, check_transaction_data,
};
use crate::format::sd_jwt_vc::verify::Timing;
use crate::format::vc_jose::envelope::Enveloped;
use crate::format::vc_jose::verify::UnverifiedEnvelope;
use crate::format::vc_jose::{Content, EnvelopeType, Mechanism};
use crate::jose::jwt;
use crate::key::PublicKey;
use crate::limits::Limits;

/// Member of a presentation that holds the WebAuthn assertion.
pub const WEBAUTHN_ASSERTION: &str = "webauthnAssertion";
/// Members of a presentation that have the meaning and the names of claims of a key-binding JWT.
const STATEMENTS: [&str; 3] =
    ["transaction_data_hashes", "transaction_data_hashes_alg", "authentication_factors"];

pub(super) const VP_JWT: EnvelopeType =
    EnvelopeType { content: Content::Presentation, mechanism: Mechanism::Jwt };

#[derive(Clone)]
enum Secured {
    Proof(Box<UnverifiedProof>),
    Jwt(Box<UnverifiedEnvelope>),
}

/// A presentation of one credential that was read but not verified. `Debug` shows no claims.
#[derive(Clone)]
pub struct UnverifiedW3cVp {
    document: Map<String, Value>,
    credential: UnverifiedW3cVc,
    secured: Secured,
}

impl UnverifiedW3cVp {
    /// Reads a presentation of a credential of this format.
    ///
    /// [`Error::Malformed`] `vp_credentials` (not exactly one credential of this format), `w3c_context`, `w3c_proofs`;
    /// [`Error::Untrusted`] `vp_proof_missing`; codes of [`data_model::check_presentation`],
    /// [`UnverifiedEnvelope::parse`] and [`UnverifiedW3cVc::parse`].
    pub fn parse(format: CredentialFormat, text: &str, limits: &Limits) -> Result<Self> {
        if text.len() > limits.token_bytes {
            return Err(Error::malformed("token_too_large", "the presentation is longer than allowed"));
        }
        match format {
            CredentialFormat::LdpVc => Self::of_document(json::parse(text.as_bytes(), limits)?),
            CredentialFormat::JwtVcJson => Self::of_jwt(text, limits),
            CredentialFormat::DcSdJwt => {
                Err(Error::unsupported("credential_format", "an SD-JWT VC is no W3C credential"))
            }
        }
    }

    fn of_document(document: Value) -> Result<Self> {
        check_contexts(&document, Some("verifiableCredential"))?;
        let credential = only_credential(&document)?;
        data_model::check_presentation(&document)?;
        if data_model::is_enveloped(credential) {
            return Err(credentials("an enveloped credential is not one of ldp_vc"));
        }
        let credential = UnverifiedW3cVc::of_document(credential.clone(), credential.to_string())?;
        if document.get("proof").is_none() {
            let detail = "the holder's proof on the presentation is missing";
            return Err(Error::untrusted("vp_proof_missing", detail));
        }
        let secured = Secured::Proof(Box::new(only_proof(&document)?));
        Ok(Self { document: members(document)?, credential, secured })
    }

    fn of_jwt(text: &str, limits: &Limits) -> Result<Self> {
        let envelope = UnverifiedEnvelope::parse(VP_JWT, text.as_bytes(), limits)?;
        let document = Value::Object(envelope.document().clone());
        data_model::check_presentation(&document)?;
        let enveloped = Enveloped::from_value(only_credential(&document)?, Content::Credential)
            .map_err(|_| credentials("the credential is not in the envelope of a JWT"))?;
        let inner = std::str::from_utf8(enveloped.data())
            .ok()
            .filter(|_| enveloped.kind().mechanism == Mechanism::Jwt);
        let inner = inner.ok_or_else(|| credentials("the credential is not in the envelope of a JWT"))?;
        let credential = UnverifiedW3cVc::parse(CredentialFormat::JwtVcJson, inner, limits)?;
        Ok(Self { document: members(document)?, credential, secured: Secured::Jwt(Box::new(envelope)) })
    }

    /// The credential, as claimed.
    pub const fn credential(&self) -> &UnverifiedW3cVc {
        &self.credential
    }

    /// The hashes of the transaction data that the holder approves, as claimed.
    pub fn transaction_data_hashes(&self) -> Option<&Value> {
        self.document.get("transaction_data_hashes")
    }

    /// For whom the holder made it, as claimed: `aud`, or `domain` of the proof.
    pub fn claimed_audience(&self) -> Option<&str> {
        let domain = || self.document.get("proof").and_then(|proof| proof.get("domain"));
        self.document.get("aud").or_else(domain)?.as_str()
    }

    /// Verifies the credential by its issuer's key, and the presentation by the key of the credential's subject.
    ///
    /// Errors of [`UnverifiedW3cVc::verify_issued`] and [`UnverifiedW3cVc::holder`]; [`Error::Untrusted`] `vp_holder`
    /// (signed in somebody else's name), `vp_signature_invalid`, `vp_nonce`, `vp_audience`, `vp_transaction_data`,
    /// `proof_purpose_mismatch`, `proof_base` (a base proof, which shows all); [`Error::NotCurrent`] `vp_stale`,
    /// `vp_in_future`, `vp_expired`, `vp_not_yet_valid`; [`Error::Malformed`] `vp_times`, `vp_claims`.
    pub fn verify(
        self,
        issuer: &IssuerKey,
        timing: Timing,
        check: &KeyBindingCheck<'_>,
    ) -> Result<VerifiedW3cVp> {
        let credential = self.credential.verify_presented(issuer, timing)?;
        let (method, holder_key) = credential.credential().holder()?;
        let mut statements = match &self.secured {
            Secured::Proof(proof) => by_proof(&self.document, proof, &method, &holder_key, timing, check)?,
            Secured::Jwt(envelope) => by_jwt(envelope, &method, &holder_key, timing, check)?,
        };
        let content_hash = content_hash(&self.document)?;
        statements.insert("sd_hash".into(), content_hash.as_str().into());
        for name in STATEMENTS {
            statements.extend(self.document.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        if let Some(assertion) = self.document.get(WEBAUTHN_ASSERTION) {
            statements.insert("webauthn_assertion".into(), assertion.clone());
        }
        let transaction_data = check_transaction_data(&statements, check).map_err(as_presentation)?;
        Ok(VerifiedW3cVp { credential, holder_key, statements, transaction_data, content_hash })
    }
}

impl fmt::Debug for UnverifiedW3cVp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedW3cVp").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// The Data Integrity proof of the holder: purpose `authentication`, `challenge` the nonce, `domain` the audience.
fn by_proof(
    document: &Map<String, Value>,
    proof: &UnverifiedProof,
    method: &DidUrl,
    key: &PublicKey,
    timing: Timing,
    check: &KeyBindingCheck<'_>,
) -> Result<Map<String, Value>> {
    if proof.verification_method.did() != method.did() {
        return Err(other_holder());
    }
    let mut evidence = Evidence::new();
    evidence.add_key(method.clone(), ProofPurpose::Authentication, key.clone());
    let expected = Expectation {
        skew: timing.skew,
        ..Expectation::presentation(timing.now, check.audience, check.nonce)
    };
    let document = Value::Object(document.clone());
    verify_proofs(&document, &evidence, &expected, Contexts::shared()?).map_err(as_presentation)?;
    let times = "a holder's proof needs `created`";
    let created = proof.created.ok_or_else(|| Error::malformed("vp_times", times))?;
    check_times(created, proof.expires, None, timing, check.max_age).map_err(as_presentation)?;
    Ok(statements(check, created, proof.expires))
}

fn by_jwt(
    envelope: &UnverifiedEnvelope,
    method: &DidUrl,
    key: &PublicKey,
    timing: Timing,
    check: &KeyBindingCheck<'_>,
) -> Result<Map<String, Value>> {
    let named = envelope.key_id().map(|kid| kid.split_once('#').map_or(kid, |(did, _)| did));
    let named = named.filter(|did| !did.is_empty());
    let did = method.did().as_str();
    if envelope.signer().is_some_and(|holder| holder != did) || named.is_some_and(|named| named != did) {
        return Err(other_holder());
    }
    let claims = envelope.document();
    UnverifiedEnvelope::clone(envelope).verify(key).map_err(as_presentation)?;
    let issued_at = jwt::required_time(claims, "iat").map_err(|_| no_time())?;
    let expires_at = jwt::time(claims, "exp").map_err(|_| no_time())?;
    let not_before = jwt::time(claims, "nbf").map_err(|_| no_time())?;
    check_times(issued_at, expires_at, not_before, timing, check.max_age).map_err(as_presentation)?;
    let is = |name: &str, value: &str| match claims.get(name) {
        Some(Value::String(text)) => text == value,
        // RFC 7519 section 4.1.3: a list of one means the same.
        Some(Value::Array(items)) if name == "aud" => items.iter().eq([value]),
        _ => false,
    };
    if !is("nonce", check.nonce) {
        return Err(Error::untrusted("vp_nonce", "the presentation answers another request (nonce)"));
    }
    if !is("aud", check.audience) {
        return Err(Error::untrusted("vp_audience", "the presentation was made for another verifier"));
    }
    Ok(statements(check, issued_at, expires_at))
}

/// What the holder signed, in the names of a key-binding JWT: audience and nonce were compared before.
fn statements(
    check: &KeyBindingCheck<'_>,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("aud".into(), check.audience.into());
    claims.insert("nonce".into(), check.nonce.into());
    claims.insert("iat".into(), issued_at.as_secs().into());
    claims.extend(expires_at.map(|time| ("exp".to_owned(), time.as_secs().into())));
    claims
}

/// Digest of everything that the holder signs but the assertion: SHA-256 over the JCS form of the presentation without
/// `proof` and `webauthnAssertion` (biometric binding, "W3C VP").
pub(super) fn content_hash(presentation: &Map<String, Value>) -> Result<String> {
    let content: Map<String, Value> = presentation
        .iter()
        .filter(|(name, _)| !["proof", WEBAUTHN_ASSERTION].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Ok(base64url::encode(&sha256(&canonical_json::object_to_vec(&content)?)))
}

/// A presentation whose credential its issuer signed, and which the credential's holder made for this verifier and
/// request.
#[derive(Clone)]
pub struct VerifiedW3cVp {
    credential: VerifiedW3cVc,
    holder_key: PublicKey,
    statements: Map<String, Value>,
    transaction_data: Option<TransactionDataHashes>,
    content_hash: String,
}

impl VerifiedW3cVp {
    /// The credential.
    pub const fn credential(&self) -> &VerifiedW3cVc {
        &self.credential
    }

    /// HK: the key of the subject's DID.
    pub const fn holder_key(&self) -> &PublicKey {
        &self.holder_key
    }

    /// What the holder signed, in the names of the claims of a key-binding JWT.
    pub const fn statements(&self) -> &Map<String, Value> {
        &self.statements
    }

    /// The transaction data that was approved, if any was sent.
    pub const fn transaction_data(&self) -> Option<&TransactionDataHashes> {
        self.transaction_data.as_ref()
    }

    /// What the WebAuthn assertion commits to.
    pub fn content_hash(&self) -> &str {
        &self.content_hash
    }
}

impl fmt::Debug for VerifiedW3cVp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedW3cVp").field("credential", &self.credential).finish_non_exhaustive()
    }
}

fn only_credential(document: &Value) -> Result<&Value> {
    let one = match document.get("verifiableCredential") {
        Some(Value::Array(items)) if items.len() == 1 => items.first(),
        Some(one @ Value::Object(_)) => Some(one),
        _ => None,
    };
    one.filter(|one| one.is_object())
        .ok_or_else(|| credentials("a presentation holds exactly one credential"))
}

fn members(document: Value) -> Result<Map<String, Value>> {
    match document {
        Value::Object(members) => Ok(members),
        _ => Err(Error::malformed("vc_shape", "the presentation is no JSON object")),
    }
}

fn credentials(detail: &'static str) -> Error {
    Error::malformed("vp_credentials", detail)
}

fn other_holder() -> Error {
    Error::untrusted(
        "vp_holder",
        "the presentation is signed in the name of another than the credential's holder",
    )
}

fn no_time() -> Error {
    Error::malformed("vp_times", "iat, and exp and nbf if there, must be numbers of seconds")
}

/// An error about the holder's signature under the code of presentations.
fn as_presentation(error: Error) -> Error {
    let code = match error.code() {
        "proof_signature" | "signature_invalid" | "proof_key_type" | "alg_mismatch" => "vp_signature_invalid",
        "proof_controller" | "proof_method_unknown" | "vc_jose_iss" => "vp_holder",
        "proof_challenge" => "vp_nonce",
        "proof_domain" => "vp_audience",
        "proof_expired" | "kb_jwt_expired" => "vp_expired",
        "proof_created_in_future" | "kb_jwt_in_future" => "vp_in_future",
        "kb_jwt_stale" => "vp_stale",
        "kb_jwt_not_yet_valid" => "vp_not_yet_valid",
        "kb_jwt_transaction_data" => "vp_transaction_data",
        "kb_jwt_claims" | "jwt_claim" => "vp_claims",
        _ => return error,
    };
    match error {
        Error::NotCurrent { detail, now, limit, .. } => {
            // The words of key binding fit but for its name.
            let detail = detail.replace("Key Binding JWT", "presentation").into();
            Error::NotCurrent { code, detail, now, limit }
        }
        Error::Malformed { detail, .. } => Error::Malformed { code, detail },
        Error::Untrusted { detail, .. } => Error::Untrusted { code, detail },
        other => other,
    }
}
