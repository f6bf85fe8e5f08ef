//! Verifying an assertion (WebAuthn Level 3 §7.2).

use serde::{Deserialize, Serialize};

use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::key::PublicKey;
use crate::limits::Limits;
use crate::webauthn::authenticator_data::AuthenticatorData;
use crate::webauthn::client_data::{Ceremony, ClientData};
use crate::webauthn::{Bytes, CredentialType, StrippedExtensionResults, UserVerification};

/// `AuthenticationResponseJSON` (§5.1, "toJSON"). Unknown members are ignored; extension results are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationResponse {
    /// The credential id.
    pub id: Bytes,
    /// The credential id again.
    pub raw_id: Bytes,
    /// What the authenticator answered.
    pub response: AssertionResponse,
    /// `platform` or `cross-platform`, as the client reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator_attachment: Option<String>,
    /// Always empty here.
    #[serde(default)]
    pub client_extension_results: StrippedExtensionResults,
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: CredentialType,
}

/// `AuthenticatorAssertionResponseJSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssertionResponse {
    /// The client data as signed.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: Bytes,
    /// The authenticator data as signed.
    #[serde(rename = "authenticatorData")]
    pub authenticator_data: Bytes,
    /// The signature over authenticator data and hash of the client data.
    pub signature: Bytes,
    /// The user handle, for discoverable keys.
    #[serde(rename = "userHandle", default, skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<Bytes>,
}

/// The signed parts of an assertion, wherever they came from.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// The client data as signed.
    pub client_data_json: &'a [u8],
    /// The authenticator data as signed.
    pub authenticator_data: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

impl AuthenticationResponse {
    /// The signed parts. `id` and `rawId` must agree (`credential_id_mismatch`).
    pub fn assertion(&self) -> Result<Assertion<'_>> {
        if self.id != self.raw_id {
            return Err(Error::malformed("credential_id_mismatch", "id and rawId differ"));
        }
        Ok(Assertion {
            client_data_json: &self.response.client_data_json.0,
            authenticator_data: &self.response.authenticator_data.0,
            signature: &self.response.signature.0,
        })
    }
}

/// What the relying party knows and demands.
#[derive(Debug, Clone, Copy)]
pub struct AssertionExpectation<'a> {
    /// The challenge, as bytes.
    pub challenge: &'a [u8],
    /// The allowed origins: exact strings.
    pub origins: &'a [String],
    /// The RP ID.
    pub rp_id: &'a str,
    /// The credential's public key, from registration.
    pub public_key: &'a PublicKey,
    /// The BE flag at registration; it never changes (§6.1.3).
    pub backup_eligible: bool,
    /// Whether UV is demanded.
    pub user_verification: UserVerification,
}

/// An assertion that passed every check of [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedAssertion {
    /// The origin, one of those allowed.
    pub origin: String,
    /// The UV flag.
    pub user_verified: bool,
    /// The BS flag.
    pub backup_state: bool,
    /// The signature counter: a risk signal for the caller (§7.2 step 22); zero means "not kept".
    pub sign_count: u32,
    /// Whether reserved flag bits were set: a note, no fault.
    pub reserved_flags: bool,
}

/// Verifies an assertion: §7.2 steps 9–21, in order. Steps 1–8 (which key belongs to the account) and 22 (the counter's
/// history) are the caller's, who knows both.
///
/// Errors, first failure wins: those of [`ClientData::parse`] and [`ClientData::check`], of [`AuthenticatorData::parse`]
/// and [`AuthenticatorData::check`], then `backup_eligibility_changed`, `unexpected_attested_data` and
/// `assertion_signature`.
pub fn verify(
    assertion: Assertion<'_>,
    expected: &AssertionExpectation<'_>,
    limits: &Limits,
) -> Result<VerifiedAssertion> {
    // Steps 9-13: client data.
    let client_data = ClientData::parse(assertion.client_data_json, limits)?;
    client_data.check(Ceremony::Assertion, &base64url::encode(expected.challenge), expected.origins)?;
    // Steps 14-18: authenticator data.
    let data = AuthenticatorData::parse(assertion.authenticator_data, limits)?;
    data.check(&sha256(expected.rp_id.as_bytes()), expected.user_verification)?;
    // Step 19: backup eligibility never changes.
    if data.flags.backup_eligible() != expected.backup_eligible {
        return Err(Error::untrusted(
            "backup_eligibility_changed",
            "the key's backup eligibility differs from its registration",
        ));
    }
    if data.attested.is_some() {
        return Err(Error::untrusted("unexpected_attested_data", "attested credential data in an assertion"));
    }
    // Steps 20-21: signature.
    let message = [assertion.authenticator_data, &sha256(assertion.client_data_json)].concat();
    expected.public_key.verify_der(&message, assertion.signature).map_err(|_| {
        Error::untrusted("assertion_signature", "the assertion's signature does not verify under the key")
    })?;
    Ok(VerifiedAssertion {
        origin: client_data.origin,
        user_verified: data.flags.user_verified(),
        backup_state: data.flags.backup_state(),
        sign_count: data.sign_count,
        reserved_flags: data.flags.reserved(),
    })
}
