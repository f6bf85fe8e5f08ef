//! The options of both ceremonies in their JSON forms (WebAuthn Level 3 §5.4, §5.5: `…OptionsJSON`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key::SignatureAlgorithm;
use crate::webauthn::cose_key::cose_algorithm;
use crate::webauthn::{Bytes, CredentialType};

/// `PublicKeyCredentialCreationOptionsJSON`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    /// The relying party.
    pub rp: RelyingParty,
    /// The account.
    pub user: User,
    /// The challenge.
    pub challenge: Bytes,
    /// The algorithms offered, best first.
    pub pub_key_cred_params: Vec<CredentialParameter>,
    /// Milliseconds the client may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Keys that must not be on the same authenticator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_credentials: Vec<CredentialDescriptor>,
    /// Demands on the authenticator.
    #[serde(default)]
    pub authenticator_selection: AuthenticatorSelection,
    /// `none`, `indirect`, `direct` or `enterprise`.
    #[serde(default = "none")]
    pub attestation: String,
    /// Extension inputs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
}

/// `PublicKeyCredentialRequestOptionsJSON`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    /// The challenge.
    pub challenge: Bytes,
    /// Milliseconds the client may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// The RP ID.
    pub rp_id: String,
    /// The keys that may answer; empty means any discoverable one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_credentials: Vec<CredentialDescriptor>,
    /// `required`, `preferred` or `discouraged`.
    #[serde(default = "preferred")]
    pub user_verification: String,
    /// Extension inputs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
}

fn none() -> String {
    "none".to_owned()
}

fn preferred() -> String {
    "preferred".to_owned()
}

/// `PublicKeyCredentialRpEntity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelyingParty {
    /// The RP ID.
    pub id: String,
    /// Its name for people.
    pub name: String,
}

/// `PublicKeyCredentialUserEntityJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user handle: random, at most 64 bytes, no personal data.
    pub id: Bytes,
    /// What the authenticator shows in lists.
    pub name: String,
    /// A name for people.
    pub display_name: String,
}

/// `PublicKeyCredentialParameters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialParameter {
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: CredentialType,
    /// The COSE algorithm.
    pub alg: i64,
}

/// `PublicKeyCredentialDescriptorJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialDescriptor {
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: CredentialType,
    /// The credential id.
    pub id: Bytes,
    /// How the client can reach the authenticator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transports: Vec<String>,
}

/// `AuthenticatorSelectionCriteria`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorSelection {
    /// `platform` or `cross-platform`; absent: either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_attachment: Option<String>,
    /// `required`, `preferred` or `discouraged`.
    #[serde(default = "preferred")]
    pub resident_key: String,
    /// `required`, `preferred` or `discouraged`.
    #[serde(default = "preferred")]
    pub user_verification: String,
}

impl Default for AuthenticatorSelection {
    fn default() -> Self {
        Self { authenticator_attachment: None, resident_key: preferred(), user_verification: preferred() }
    }
}

const REQUIRED: &str = "required";

impl CreationOptions {
    /// The options of an enrolment: ES256, user verification required, attestation `direct`.
    pub fn enrolment(rp: RelyingParty, user: User, challenge: [u8; 32]) -> Self {
        let alg = cose_algorithm(SignatureAlgorithm::Es256);
        Self {
            rp,
            user,
            challenge: Bytes(challenge.to_vec()),
            pub_key_cred_params: vec![CredentialParameter { kind: CredentialType::PublicKey, alg }],
            timeout: None,
            exclude_credentials: Vec::new(),
            authenticator_selection: AuthenticatorSelection {
                user_verification: REQUIRED.to_owned(),
                ..AuthenticatorSelection::default()
            },
            attestation: "direct".to_owned(),
            extensions: Map::new(),
        }
    }
}

impl RequestOptions {
    /// The options of a step-up: exactly that key, user verification required.
    pub fn step_up(rp_id: &str, credential_id: &[u8], challenge: [u8; 32]) -> Self {
        Self {
            challenge: Bytes(challenge.to_vec()),
            timeout: None,
            rp_id: rp_id.to_owned(),
            allow_credentials: vec![CredentialDescriptor {
                kind: CredentialType::PublicKey,
                id: Bytes(credential_id.to_vec()),
                transports: Vec::new(),
            }],
            user_verification: REQUIRED.to_owned(),
            extensions: Map::new(),
        }
    }
}
