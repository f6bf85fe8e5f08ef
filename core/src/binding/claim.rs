//! The issuer-signed claims of the binding.

use serde::{Deserialize, Serialize};

use crate::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::credential::claims::ClaimPath;
use crate::error::{Error, Result};
use crate::format::w3c::binding::{CONFIDENCE_METHOD, EVIDENCE};
use crate::jose::jwk::Jwk;

/// Name of the selectively disclosable claim that holds a [`WebauthnBinding`].
pub const WEBAUTHN_BINDING: &str = "webauthn_binding";

/// Name of the selectively disclosable claim that holds the level alone, without AK.
pub const BIOMETRIC_BINDING_LEVEL: &str = "biometric_binding_level";

/// Origins that one binding may list.
pub const MAX_ORIGINS: usize = 8;

/// The claims that a verifier asks for when it wants to see the binding, in credentials of this format.
pub fn binding_paths(format: CredentialFormat) -> Vec<ClaimPath> {
    let names: &[&str] = if format.is_w3c() { &[CONFIDENCE_METHOD, EVIDENCE] } else { &[WEBAUTHN_BINDING] };
    names.iter().map(|name| ClaimPath::member(name)).collect()
}

/// Whether one of these paths asks for AK.
pub fn asks_for_binding<'a>(
    format: CredentialFormat,
    mut paths: impl Iterator<Item = &'a ClaimPath>,
) -> bool {
    let key = if format.is_w3c() { CONFIDENCE_METHOD } else { WEBAUTHN_BINDING };
    paths.any(|path| path.elements().first() == Some(&key.into()))
}

/// Whether a claim says something about keys, not about the person.
pub fn is_technical(format: CredentialFormat, path: &ClaimPath) -> bool {
    let names: &[&str] = match format.is_w3c() {
        true => &[CONFIDENCE_METHOD, EVIDENCE],
        false => &[WEBAUTHN_BINDING, BIOMETRIC_BINDING_LEVEL],
    };
    names.iter().any(|name| path.elements().first() == Some(&(*name).into()))
}

/// Which kind of client made the client data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// An app with an embedded authenticator: origin and RP ID are its own word, trust rests on its attestation.
    App,
    /// A browser or the platform's passkey client, which enforces origin and RP ID.
    Browser,
}

/// The demand on user verification that the binding carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UvDemand {
    /// Every assertion needs the UV flag.
    Required,
}

/// The value of `webauthn_binding`: AK, where it may be used, and what the issuer established about it.
///
/// It never names the model, AAGUID or certificates of the authenticator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebauthnBinding {
    /// AK.
    pub jwk: Jwk,
    /// The RP ID that AK belongs to.
    pub rp_id: String,
    /// The origins from which an assertion may come: exact strings.
    pub origins: Vec<String>,
    /// What made the client data.
    pub client: ClientKind,
    /// Always `required`.
    pub uv: UvDemand,
    /// The BE flag at enrolment.
    pub backup_eligible: bool,
    /// The level on the ladder.
    pub level: AssuranceLevel,
    /// Where AK lives.
    pub key_protection: KeyProtection,
    /// The trait that every use needs, only where metadata proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// The certified level of the biometric component (FIDO `biometricStatusReports`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_level: Option<u16>,
    /// When the issuer graded AK.
    pub evaluated_at: UnixTime,
    /// The grading policy, with its version.
    pub policy: String,
}

impl WebauthnBinding {
    /// Reads the claim of a **verified** credential. Unknown members are ignored. Error: `webauthn_binding`.
    pub fn from_claim(value: &serde_json::Value) -> Result<Self> {
        let bad = |detail: &'static str| Error::malformed("webauthn_binding", detail);
        let binding =
            Self::deserialize(value).map_err(|_| bad("the claim webauthn_binding has the wrong shape"))?;
        if binding.origins.is_empty() || binding.origins.len() > MAX_ORIGINS {
            return Err(bad("the claim webauthn_binding lists no origin or too many"));
        }
        if binding.backup_eligible && binding.level.above_uv() {
            return Err(bad("the claim webauthn_binding gives a key that may be backed up a level above uv"));
        }
        Ok(binding)
    }

    /// The claim's value, for the issuer.
    pub fn to_claim(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self)
            .map_err(|_| Error::misuse("webauthn_binding", "the binding does not serialize"))
    }
}
