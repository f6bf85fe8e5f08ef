//! Verifying a registration (WebAuthn Level 3 §7.1), up to but without the attestation statement.

use serde::{Deserialize, Serialize};

use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::limits::Limits;
use crate::webauthn::authenticator_data::AuthenticatorData;
use crate::webauthn::cbor::Reader;
use crate::webauthn::client_data::{Ceremony, ClientData};
use crate::webauthn::{Bytes, CredentialType, StrippedExtensionResults, UserVerification, cose_key};

/// `RegistrationResponseJSON` (§5.1, "toJSON"). Unknown and redundant members (`publicKey`, `authenticatorData`, …) are
/// ignored: only what the authenticator and client signed counts. Extension results are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationResponse {
    /// The credential id.
    pub id: Bytes,
    /// The credential id again.
    pub raw_id: Bytes,
    /// What the authenticator answered.
    pub response: AttestationResponse,
    /// `platform` or `cross-platform`, as the client reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_attachment: Option<String>,
    /// Always empty here.
    #[serde(default)]
    pub client_extension_results: StrippedExtensionResults,
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: CredentialType,
    /// CareKey's own member, from the authenticator embedded in an iOS app: see [`crate::attestation::app_attest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_attest: Option<AppAttestEvidence>,
}

/// What an App Attest key says about a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppAttestEvidence {
    /// Name of the App Attest key: SHA-256 of its public key.
    pub key_id: Bytes,
    /// The attestation object of the App Attest key, the first time that it is shown to this issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Bytes>,
    /// Its assertion for this registration.
    pub assertion: Bytes,
}

/// `AuthenticatorAttestationResponseJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationResponse {
    /// The client data.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: Bytes,
    /// The attestation object.
    #[serde(rename = "attestationObject")]
    pub attestation_object: Bytes,
    /// How the client can reach the authenticator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transports: Vec<String>,
}

/// What the relying party knows and demands.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationExpectation<'a> {
    /// The challenge, as bytes.
    pub challenge: &'a [u8],
    /// The allowed origins: exact strings.
    pub origins: &'a [String],
    /// The RP ID.
    pub rp_id: &'a str,
    /// Whether UV is demanded.
    pub user_verification: UserVerification,
    /// The algorithms that were offered (`pubKeyCredParams`).
    pub algorithms: &'a [SignatureAlgorithm],
}

/// The attestation that came with a registration: parsed, not yet judged (see [`crate::attestation`]).
#[derive(Clone, PartialEq, Eq)]
pub struct UnverifiedAttestation {
    /// The attestation statement format (`fmt`).
    pub format: String,
    /// The statement (`attStmt`), one well-formed CBOR map.
    pub statement: Vec<u8>,
    /// The authenticator data that the statement is about.
    pub authenticator_data: Vec<u8>,
    /// SHA-256 of the client data.
    pub client_data_hash: [u8; 32],
}

impl std::fmt::Debug for UnverifiedAttestation {
    // The statement identifies the device: never into logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnverifiedAttestation").field("format", &self.format).finish_non_exhaustive()
    }
}

/// A registration that passed every check of [`verify`]; the attestation is still to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedRegistration {
    /// The credential id. The caller refuses one it has seen before (§7.1 step 26).
    pub credential_id: Vec<u8>,
    /// The credential's public key.
    pub public_key: PublicKey,
    /// The model that the authenticator claims; proven only by its attestation.
    pub aaguid: [u8; 16],
    /// The origin, one of those allowed.
    pub origin: String,
    /// The UV flag.
    pub user_verified: bool,
    /// The BE flag.
    pub backup_eligible: bool,
    /// The BS flag.
    pub backup_state: bool,
    /// The signature counter.
    pub sign_count: u32,
    /// What came as attestation.
    pub attestation: UnverifiedAttestation,
}

/// The three members of an attestation object (§6.5.4).
pub(crate) struct AttestationObject<'a> {
    pub(crate) format: &'a str,
    pub(crate) statement: &'a [u8],
    pub(crate) authenticator_data: &'a [u8],
}

impl<'a> AttestationObject<'a> {
    pub(crate) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        if bytes.len() > limits.attestation_object_bytes {
            return Err(Error::malformed("attestation_object_size", "the attestation object is too large"));
        }
        Self::read(bytes).map_err(|e| {
            Error::malformed("attestation_object", format!("the attestation object: {}", e.detail()))
        })
    }

    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let (mut format, mut statement, mut data) = (None, None, None);
        for _ in 0..reader.map()? {
            let fresh = match reader.text()? {
                "fmt" => format.replace(reader.text()?).is_none(),
                "attStmt" if reader.peek_major()? == 5 => statement.replace(reader.skip()?).is_none(),
                "authData" => data.replace(reader.bytes()?).is_none(),
                _ => false,
            };
            if !fresh {
                return Err(Error::malformed(
                    "attestation_object",
                    "an unknown, repeated or wrongly typed member",
                ));
            }
        }
        reader.finish()?;
        match (format, statement, data) {
            (Some(format), Some(statement), Some(authenticator_data)) if format.len() <= 32 => {
                Ok(Self { format, statement, authenticator_data })
            }
            _ => Err(Error::malformed("attestation_object", "fmt, attStmt or authData is missing")),
        }
    }
}

/// Verifies a registration: §7.1 steps 5–20, in order. Steps 1–4 are the client's; 21–24 (attestation) are
/// [`crate::attestation::grade`]; 26–27 (known credential ids, storing) are the caller's.
///
/// Errors, first failure wins: those of [`ClientData::parse`] and [`ClientData::check`], `attestation_object_size`,
/// `attestation_object`, those of [`AuthenticatorData::parse`] and [`AuthenticatorData::check`], `attested_data_missing`,
/// `credential_id_mismatch`, `cose_key`, `cose_algorithm`, `algorithm_not_offered`.
pub fn verify(
    response: &RegistrationResponse,
    expected: &RegistrationExpectation<'_>,
    limits: &Limits,
) -> Result<VerifiedRegistration> {
    // Steps 5-11: client data.
    let client_data_json = &response.response.client_data_json.0;
    let client_data = ClientData::parse(client_data_json, limits)?;
    client_data.check(Ceremony::Registration, &base64url::encode(expected.challenge), expected.origins)?;
    // Step 12: hash; step 13: attestation object.
    let client_data_hash = sha256(client_data_json);
    let object = AttestationObject::parse(&response.response.attestation_object.0, limits)?;
    let data = AuthenticatorData::parse(object.authenticator_data, limits)?;
    // Steps 14-18: RP ID, UP, UV, BE and BS.
    data.check(&sha256(expected.rp_id.as_bytes()), expected.user_verification)?;
    let attested = data.attested.ok_or_else(|| {
        Error::malformed("attested_data_missing", "a registration without attested credential data")
    })?;
    if response.id != response.raw_id || response.raw_id.0 != attested.credential_id {
        return Err(Error::untrusted(
            "credential_id_mismatch",
            "the credential id differs from the attested one",
        ));
    }
    // Step 20: the algorithm is one of those offered.
    let public_key = cose_key::parse(attested.cose_key)?;
    if !expected.algorithms.contains(&public_key.algorithm()) {
        return Err(Error::refused("algorithm_not_offered", "the key's algorithm was not offered"));
    }
    Ok(VerifiedRegistration {
        credential_id: attested.credential_id.to_vec(),
        public_key,
        aaguid: attested.aaguid,
        origin: client_data.origin,
        user_verified: data.flags.user_verified(),
        backup_eligible: data.flags.backup_eligible(),
        backup_state: data.flags.backup_state(),
        sign_count: data.sign_count,
        attestation: UnverifiedAttestation {
            format: object.format.to_owned(),
            statement: object.statement.to_vec(),
            authenticator_data: object.authenticator_data.to_vec(),
            client_data_hash,
        },
    })
}
