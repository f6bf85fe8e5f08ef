//! A proof's members, read strictly (Data Integrity 1.0 section 2.1).

use std::fmt;

use serde_json::{Map, Value};

use super::cryptosuite::Cryptosuite;
use super::selective::MAX_PROOF_VALUE;
use crate::clock::UnixTime;
use crate::did::{DidUrl, VerificationPurpose};
use crate::encoding::{date_time, multibase};
use crate::error::{Error, Result};

/// The type of every proof that names a cryptosuite.
pub const PROOF_TYPE: &str = "DataIntegrityProof";
/// Proofs of one document.
pub const MAX_PROOFS: usize = 16;
/// The longest signature: P-384.
const MAX_SIGNATURE: usize = 96;

/// Why a proof was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProofPurpose {
    /// To make claims: credentials.
    AssertionMethod,
    /// To show who one is: presentations.
    Authentication,
}

impl ProofPurpose {
    /// The value of `proofPurpose`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssertionMethod => "assertionMethod",
            Self::Authentication => "authentication",
        }
    }

    /// The verification relationship that the key must have in its controller's document.
    pub const fn relationship(self) -> VerificationPurpose {
        match self {
            Self::AssertionMethod => VerificationPurpose::AssertionMethod,
            Self::Authentication => VerificationPurpose::Authentication,
        }
    }
}

/// A proof as it was read; nothing about it is verified.
#[derive(Clone, PartialEq)]
pub struct UnverifiedProof {
    /// Its name, for proofs that depend on it.
    pub id: Option<String>,
    /// Its cryptosuite.
    pub cryptosuite: Cryptosuite,
    /// When it was made, as it says.
    pub created: Option<UnixTime>,
    /// When it ends.
    pub expires: Option<UnixTime>,
    /// The key.
    pub verification_method: DidUrl,
    /// What it is for.
    pub purpose: ProofPurpose,
    /// For whom it was made.
    pub domain: Vec<String>,
    /// The verifier's challenge.
    pub challenge: Option<String>,
    /// The names of the proofs that it depends on.
    pub previous_proof: Vec<String>,
    /// All members but `proofValue`.
    pub(super) config: Map<String, Value>,
    pub(super) signature: Vec<u8>,
}

impl fmt::Debug for UnverifiedProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedProof")
            .field("cryptosuite", &self.cryptosuite)
            .field("verification_method", &self.verification_method)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

impl UnverifiedProof {
    /// Reads one proof.
    ///
    /// [`Error::Unsupported`] `proof_type`, `proof_cryptosuite`, `proof_purpose`, `proof_method` (the key is not named by
    /// a DID URL); [`Error::Malformed`] `proof_member` for another member that is missing or malformed, `proof_value`,
    /// `date_time`.
    pub fn parse(value: &Value) -> Result<Self> {
        let members = value.as_object().ok_or_else(|| member("proof"))?;
        match members.get("type") {
            Some(Value::String(type_)) if type_ == PROOF_TYPE => {}
            Some(Value::String(_)) => {
                return Err(Error::unsupported("proof_type", "the proof is not a DataIntegrityProof"));
            }
            _ => return Err(member("type")),
        }
        let text = |name: &'static str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(member(name)),
        };
        let required = |name: &'static str| text(name)?.ok_or_else(|| member(name));
        let time = |name| text(name)?.map(date_time::parse).transpose();
        let purpose = match required("proofPurpose")? {
            "assertionMethod" => ProofPurpose::AssertionMethod,
            "authentication" => ProofPurpose::Authentication,
            _ => return Err(Error::unsupported("proof_purpose", "this proof purpose is not supported")),
        };
        let method = required("verificationMethod")?;
        if !method.starts_with("did:") {
            return Err(Error::unsupported("proof_method", "the proof's key is not named by a DID URL"));
        }
        let id = text("id")?;
        if id.is_some_and(|id| !super::jsonld::is_absolute_iri(id)) {
            return Err(member("id"));
        }
        let cryptosuite = Cryptosuite::parse(required("cryptosuite")?)?;
        let mut config = members.clone();
        config.remove("proofValue");
        Ok(Self {
            id: id.map(str::to_owned),
            cryptosuite,
            created: time("created")?,
            expires: time("expires")?,
            verification_method: DidUrl::parse(method)?,
            purpose,
            domain: strings(members, "domain")?,
            challenge: text("challenge")?.map(str::to_owned),
            previous_proof: strings(members, "previousProof")?,
            config,
            signature: signature(required("proofValue")?, cryptosuite.is_selective())?,
        })
    }

    /// Reads the proof or proofs of a document; the document itself comes back without them.
    ///
    /// [`Error::Malformed`] `proof_missing`, `proof_too_many`, `proof_id_twice`; errors of [`Self::parse`].
    pub fn of(document: &Value) -> Result<Vec<Self>> {
        let proofs = proof_values(document)?.iter().map(Self::parse).collect::<Result<Vec<_>>>()?;
        for (index, proof) in proofs.iter().enumerate() {
            let twice = |other: &Self| other.id.is_some() && other.id == proof.id;
            if proofs.iter().take(index).any(twice) {
                return Err(Error::malformed("proof_id_twice", "two proofs have the same id"));
            }
        }
        Ok(proofs)
    }
}

/// The values of `proof`, at least one.
pub(super) fn proof_values(document: &Value) -> Result<&[Value]> {
    let proofs: &[Value] = match document.get("proof") {
        Some(Value::Array(proofs)) => proofs,
        Some(proof @ Value::Object(_)) => std::slice::from_ref(proof),
        Some(_) => return Err(member("proof")),
        None => &[],
    };
    match proofs.len() {
        0 => Err(Error::malformed("proof_missing", "the document has no proof")),
        1..=MAX_PROOFS => Ok(proofs),
        _ => Err(Error::malformed("proof_too_many", "the document has too many proofs")),
    }
}

/// A string, or an array of strings.
fn strings(members: &Map<String, Value>, name: &'static str) -> Result<Vec<String>> {
    let values: &[Value] = match members.get(name) {
        None => &[],
        Some(Value::Array(values)) if !values.is_empty() => values,
        Some(single @ Value::String(_)) => std::slice::from_ref(single),
        Some(_) => return Err(member(name)),
    };
    values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(|| member(name))).collect()
}

/// `proofValue`: base58btc with its prefix, or base64url where parts can be disclosed (EdDSA and ECDSA suites, section 3).
fn signature(text: &str, is_selective: bool) -> Result<Vec<u8>> {
    let malformed =
        || Error::malformed("proof_value", "proofValue is not in the encoding of its cryptosuite");
    let (prefix, max) = if is_selective { ('u', MAX_PROOF_VALUE) } else { ('z', MAX_SIGNATURE) };
    if !text.starts_with(prefix) {
        return Err(malformed());
    }
    multibase::decode(text, max).map_err(|_| malformed())
}

fn member(name: &'static str) -> Error {
    Error::malformed("proof_member", format!("the proof's member \"{name}\" is missing or malformed"))
}
