//! One credential, read and verified.

use std::fmt;

use serde_json::{Map, Value};

use super::binding;
use crate::credential::CredentialFormat;
use crate::credential::data_model;
use crate::credential::issuer_key::{IssuerKey, IssuerKeyReference};
use crate::credential::validity::Validity;
use crate::did::resolver::resolve_offline;
use crate::did::{Did, DidUrl};
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::format::data_integrity::jsonld::expanded_types;
use crate::format::data_integrity::{
    Contexts, Cryptosuite, Evidence, Expectation, ProofPurpose, UnverifiedProof, verify_base_proofs,
    verify_proofs,
};
use crate::format::sd_jwt_vc::verify::Timing;
use crate::format::vc_jose::verify::UnverifiedEnvelope;
use crate::format::vc_jose::{Content, EnvelopeType, Mechanism};
use crate::key::PublicKey;
use crate::limits::Limits;
use crate::status::bitstring_status_list::StatusEntry;

/// The base type of every credential.
pub const BASE_TYPE: &str = "https://www.w3.org/2018/credentials#VerifiableCredential";

#[derive(Clone)]
enum Secured {
    Proof(Box<UnverifiedProof>),
    Jwt(Box<UnverifiedEnvelope>),
}

/// A W3C credential that was read but not verified. `Debug` shows no claims.
#[derive(Clone)]
pub struct UnverifiedW3cVc {
    /// As it was received: the JSON with its proof, or the compact JWT.
    pub(super) text: String,
    document: Map<String, Value>,
    types: Vec<String>,
    secured: Secured,
}

impl UnverifiedW3cVc {
    /// Reads a credential of this format.
    ///
    /// [`Error::Malformed`]: the codes of [`data_model::check_credential`], `w3c_proofs` (not exactly one proof),
    /// `w3c_context` (contexts elsewhere than at the top, or not named by URL), and of parsing; [`Error::Unsupported`]
    /// `credential_format` for a format that is not of W3C, `w3c_version` (older than VCDM 2.0),
    /// `jsonld_context_unknown`; codes of [`UnverifiedProof::of`] and [`UnverifiedEnvelope::parse`].
    pub fn parse(format: CredentialFormat, text: &str, limits: &Limits) -> Result<Self> {
        if text.len() > limits.token_bytes {
            return Err(Error::malformed("token_too_large", "the credential is longer than allowed"));
        }
        match format {
            CredentialFormat::LdpVc => {
                Self::of_document(json::parse(text.as_bytes(), limits)?, text.to_owned())
            }
            CredentialFormat::JwtVcJson => {
                let kind = EnvelopeType { content: Content::Credential, mechanism: Mechanism::Jwt };
                let envelope = UnverifiedEnvelope::parse(kind, text.as_bytes(), limits)?;
                let document = envelope.document().clone();
                Self::new(document, text.to_owned(), Secured::Jwt(Box::new(envelope)))
            }
            CredentialFormat::DcSdJwt => {
                Err(Error::unsupported("credential_format", "an SD-JWT VC is no W3C credential"))
            }
        }
    }

    pub(super) fn of_document(document: Value, text: String) -> Result<Self> {
        check_contexts(&document, None)?;
        let proof = only_proof(&document)?;
        let Value::Object(document) = document else {
            return Err(Error::malformed("vc_shape", "the credential is no JSON object"));
        };
        Self::new(document, text, Secured::Proof(Box::new(proof)))
    }

    fn new(document: Map<String, Value>, text: String, secured: Secured) -> Result<Self> {
        let value = Value::Object(document);
        data_model::check_credential(&value)?;
        if data_model::version(&value)? != data_model::Version::V2 {
            return Err(Error::unsupported("w3c_version", "only credentials of VCDM 2.0 are carried"));
        }
        let types = match expanded_types(&value, Contexts::shared()?) {
            // A JWT needs no JSON-LD processing: where a context is not known here, types stay as they are.
            Err(error) if error.code() == "jsonld_context_unknown" && matches!(secured, Secured::Jwt(_)) => {
                strings(value.get("type"))
            }
            types => types?,
        };
        let Value::Object(document) = value else {
            return Err(Error::malformed("vc_shape", "no JSON object"));
        };
        Ok(Self { text, document, types, secured })
    }

    /// The format.
    pub const fn format(&self) -> CredentialFormat {
        match self.secured {
            Secured::Proof(_) => CredentialFormat::LdpVc,
            Secured::Jwt(_) => CredentialFormat::JwtVcJson,
        }
    }

    /// The credential's members, as claimed; a Data Integrity proof included.
    pub const fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The types, expanded, the base type included.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// `issuer`, as claimed: the text or its `id`.
    pub fn issuer(&self) -> &str {
        let issuer = self.document.get("issuer");
        issuer.and_then(|issuer| issuer.as_str().or_else(|| issuer.get("id")?.as_str())).unwrap_or_default()
    }

    /// Where the issuer's key is found: the proof's verification method, or what the JWT's header says.
    ///
    /// Errors of [`IssuerKeyReference::of`].
    pub fn issuer_key_reference(&self) -> Result<IssuerKeyReference> {
        match &self.secured {
            Secured::Proof(proof) => Ok(IssuerKeyReference::Did(proof.verification_method.clone())),
            Secured::Jwt(envelope) => envelope.issuer_key_reference(),
        }
    }

    /// Whether the holder can disclose a part: it has a base proof of `ecdsa-sd-2023`.
    pub fn is_selective(&self) -> bool {
        matches!(&self.secured, Secured::Proof(proof) if proof.cryptosuite.is_selective())
    }

    /// The entries of `credentialStatus`; errors of [`StatusEntry::of_credential`].
    pub fn status_entries(&self) -> Result<Vec<StatusEntry>> {
        match self.document.get("credentialStatus") {
            None => Ok(Vec::new()),
            Some(_) => StatusEntry::of_credential(&Value::Object(self.document.clone())),
        }
    }

    /// The one subject. [`Error::Malformed`] `w3c_subject` when there are several.
    pub fn subject(&self) -> Result<&Map<String, Value>> {
        let subject = match self.document.get("credentialSubject") {
            Some(Value::Array(subjects)) => match subjects.as_slice() {
                [one] => one.as_object(),
                _ => None,
            },
            Some(subject) => subject.as_object(),
            None => None,
        };
        subject.ok_or_else(|| Error::malformed("w3c_subject", "the credential has not exactly one subject"))
    }

    /// The holder: the subject's DID, with the key that presents for it.
    ///
    /// [`Error::Untrusted`] `holder_key_missing` when the subject is not named by a DID; [`Error::Unsupported`]
    /// `did_method` when that is neither `did:jwk` nor `did:key`, which show their key themselves; `w3c_subject`.
    pub fn holder(&self) -> Result<(DidUrl, PublicKey)> {
        let missing = || {
            Error::untrusted(
                "holder_key_missing",
                "the credential names no key of its holder (subject's DID)",
            )
        };
        let id = self.subject()?.get("id").and_then(Value::as_str).ok_or_else(missing)?;
        let document = resolve_offline(&Did::parse(id).map_err(|_| missing())?)?;
        let method = document.authentication.first().ok_or_else(missing)?.clone();
        let key = document.verification_key(&method, ProofPurpose::Authentication.relationship())?;
        Ok((method, key))
    }

    /// What the claim `webauthn_binding` would say: see [`binding::of_credential`].
    pub fn webauthn_binding(&self) -> Option<Value> {
        binding::of_credential(&self.document)
    }

    /// `validFrom` and `validUntil`, and the claims of the JWT.
    fn validity(&self) -> Result<Validity> {
        let stated = data_model::validity(&Value::Object(self.document.clone()))?;
        Ok(match &self.secured {
            Secured::Proof(_) => stated,
            Secured::Jwt(_) => {
                let claims = Validity::from_claims(&self.document)?;
                Validity {
                    issued_at: claims.issued_at,
                    not_before: stated.not_before.max(claims.not_before),
                    expires_at: [stated.expires_at, claims.expires_at].into_iter().flatten().min(),
                }
            }
        })
    }

    /// Verifies the credential as its issuer hands it to the holder: of a selective one, the base proof.
    ///
    /// [`Error::Untrusted`] `credential_signature_invalid`, `issuer_mismatch`, `alg_mismatch`; [`Error::NotCurrent`]
    /// `credential_expired`, `credential_not_yet_valid`, `credential_issued_in_future`; other codes of
    /// [`verify_proofs`] and [`UnverifiedEnvelope::verify`].
    pub fn verify_issued(self, issuer: &IssuerKey, timing: Timing) -> Result<VerifiedW3cVc> {
        let base = self.is_selective();
        self.verify(issuer, timing, base)
    }

    /// Verifies the credential as a holder presents it: of a selective one, the derived proof. Errors as
    /// [`Self::verify_issued`].
    pub(super) fn verify_presented(self, issuer: &IssuerKey, timing: Timing) -> Result<VerifiedW3cVc> {
        self.verify(issuer, timing, false)
    }

    fn verify(self, issuer: &IssuerKey, timing: Timing, base: bool) -> Result<VerifiedW3cVc> {
        issuer.require(Some(self.issuer()))?;
        match &self.secured {
            Secured::Proof(proof) => {
                let mut evidence = Evidence::new();
                let purpose = ProofPurpose::AssertionMethod;
                evidence.add_key(proof.verification_method.clone(), purpose, issuer.key().clone());
                let expected = Expectation { skew: timing.skew, ..Expectation::credential(timing.now) };
                let document = Value::Object(self.document.clone());
                let verify = if base { verify_base_proofs } else { verify_proofs };
                verify(&document, &evidence, &expected, Contexts::shared()?).map_err(as_credential)?;
            }
            Secured::Jwt(envelope) => {
                UnverifiedEnvelope::clone(envelope).verify(issuer.key()).map_err(as_credential)?;
            }
        }
        let validity = self.validity()?;
        validity.check(timing.now, timing.skew)?;
        Ok(VerifiedW3cVc { read: self, validity })
    }
}

impl fmt::Debug for UnverifiedW3cVc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedW3cVc").field("types", &self.types).finish_non_exhaustive()
    }
}

/// A W3C credential that its issuer signed and that is within its time. Its status was **not** checked.
#[derive(Debug, Clone)]
pub struct VerifiedW3cVc {
    read: UnverifiedW3cVc,
    validity: Validity,
}

impl VerifiedW3cVc {
    /// What was verified.
    pub const fn credential(&self) -> &UnverifiedW3cVc {
        &self.read
    }

    /// When it counts.
    pub const fn validity(&self) -> Validity {
        self.validity
    }
}

/// Contexts by URL and at the top only: whoever could define terms inside the document could let the same signed
/// statements read as other JSON.
///
/// `apart`: a member that is checked by itself.
pub(super) fn check_contexts(document: &Value, apart: Option<&str>) -> Result<()> {
    let refused = |detail| Err(Error::malformed("w3c_context", detail));
    let members = match document {
        Value::Object(members) => members,
        _ => return refused("the document is no JSON object"),
    };
    let by_url = members
        .get("@context")
        .and_then(Value::as_array)
        .is_some_and(|urls| urls.iter().all(Value::is_string));
    if !by_url {
        return refused("contexts must be named by URL");
    }
    let mut inner: Vec<&Value> = members
        .iter()
        .filter(|(name, _)| *name != "@context" && Some(name.as_str()) != apart)
        .map(|(_, value)| value)
        .collect();
    while let Some(value) = inner.pop() {
        match value {
            Value::Object(members) if members.contains_key("@context") => {
                return refused("contexts must stand at the top of the document only");
            }
            Value::Object(members) => inner.extend(members.values()),
            Value::Array(items) => inner.extend(items),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn only_proof(document: &Value) -> Result<UnverifiedProof> {
    let mut proofs = UnverifiedProof::of(document)?;
    match (proofs.pop(), proofs.is_empty()) {
        (Some(proof), true) if proof.cryptosuite != Cryptosuite::Bbs2023 => Ok(proof),
        (Some(_), true) => Err(Error::unsupported("proof_cryptosuite", "bbs-2023 is not carried here")),
        _ => Err(Error::malformed("w3c_proofs", "there must be exactly one proof")),
    }
}

/// An error about the issuer's signature under the code that it has for every format.
fn as_credential(error: Error) -> Error {
    match error {
        Error::Untrusted { code: "proof_signature" | "signature_invalid", detail } => {
            Error::Untrusted { code: "credential_signature_invalid", detail }
        }
        Error::Untrusted { code: "proof_controller" | "vc_jose_iss", detail } => {
            Error::Untrusted { code: "issuer_mismatch", detail }
        }
        Error::Untrusted { code: "proof_key_type", detail } => {
            Error::Untrusted { code: "alg_mismatch", detail }
        }
        Error::NotCurrent { code: "proof_expired", detail, now, limit } => {
            Error::NotCurrent { code: "credential_expired", detail, now, limit }
        }
        Error::NotCurrent { code: "proof_created_in_future", detail, now, limit } => {
            Error::NotCurrent { code: "credential_issued_in_future", detail, now, limit }
        }
        other => other,
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
