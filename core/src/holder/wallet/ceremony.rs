//! The one WebAuthn ceremony of an issuance or presentation: by the authenticator embedded here over a key of the device
//! (S1), or by the platform's passkeys and security keys (S2, S3).

use super::keys::DeviceKeys;
use super::platform::{AuthRequirement, KeyEvidence, PasskeyClient};
use crate::authenticator::ceremony::{Evidence, NewRegistration, UnsignedAssertion};
use crate::encoding::{base64url, json};
use crate::error::{Error, Result};
use crate::holder::{HolderKeys, KeyPurpose, SignItem};
use crate::limits::Limits;
use crate::webauthn::Bytes;
use crate::webauthn::assertion::AuthenticationResponse;
use crate::webauthn::options::{CreationOptions, RequestOptions};
use crate::webauthn::registration::{AppAttestEvidence, RegistrationResponse};

/// Where the WebAuthn keys of new credentials live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthenticatorSource {
    /// In the device's key store, behind the authenticator embedded here (S1).
    #[default]
    Embedded,
    /// In the platform's passkeys or a security key (S2, S3).
    Passkey,
}

/// The device's name of the key behind a WebAuthn credential id.
pub(super) fn alias(credential_id: &str) -> String {
    format!("ak.{credential_id}")
}

/// [`alias`] of a credential id in bytes.
pub(super) fn alias_of(credential_id: &[u8]) -> String {
    alias(&base64url::encode(credential_id))
}

/// Makes AK in the device's key store under that credential id and registers it. A key that the person did not confirm
/// is forgotten.
pub(super) async fn register_embedded(
    options: &CreationOptions,
    origin: &str,
    credential_id: &[u8; 16],
    keys: &DeviceKeys<'_>,
) -> Result<RegistrationResponse> {
    let registered = make_and_sign(options, origin, credential_id, keys).await;
    if registered.is_err() {
        let _ = keys.delete(&alias_of(credential_id)).await;
    }
    registered
}

async fn make_and_sign(
    options: &CreationOptions,
    origin: &str,
    credential_id: &[u8; 16],
    keys: &DeviceKeys<'_>,
) -> Result<RegistrationResponse> {
    let begun = NewRegistration::begin(options, origin, credential_id)?;
    let alias = alias_of(credential_id);
    let auth = AuthRequirement::BiometricEveryUse { current_set_only: true };
    let challenge = begun.client_data_hash().to_vec();
    let (key, info) = keys.make(alias.clone(), KeyPurpose::AuthenticatorKey, auth, challenge).await?;
    let unsigned = begun.with_key(&key)?;
    // The flags say that the person was verified: so AK signs, whether or not the format has a place for it.
    let signature = sign(keys, alias, unsigned.message()).await?;
    key.verify_der(&unsigned.message(), &signature)?;
    Ok(unsigned.finish(match info.evidence {
        KeyEvidence::None => Evidence::None,
        KeyEvidence::AndroidKey { chain_der } => Evidence::AndroidKey { signature, chain: chain_der },
        KeyEvidence::AppleAppAttest { attestation, assertion, key_id } => {
            Evidence::AppAttest(AppAttestEvidence {
                key_id: Bytes(key_id),
                attestation: attestation.map(Bytes),
                assertion: Bytes(assertion),
            })
        }
    }))
}

/// Signs an assertion with an AK of the device's key store.
pub(super) async fn assert_embedded(
    options: &RequestOptions,
    origin: &str,
    keys: &DeviceKeys<'_>,
) -> Result<AuthenticationResponse> {
    let [descriptor] = options.allow_credentials.as_slice() else {
        return Err(Error::misuse("authenticator_no_key", "the ceremony names no key of this device"));
    };
    let unsigned = UnsignedAssertion::begin(options, origin, &descriptor.id.0)?;
    let alias = alias_of(&descriptor.id.0);
    let signature = sign(keys, alias, unsigned.message()).await?;
    Ok(unsigned.finish(signature))
}

async fn sign(keys: &DeviceKeys<'_>, alias: String, message: Vec<u8>) -> Result<Vec<u8>> {
    let mut signed = keys.sign_der(vec![SignItem { alias, message }]).await?;
    signed.pop().ok_or_else(|| {
        Error::misuse("holder_key_signatures", "the key store returned another number of signatures")
    })
}

/// Registers a passkey.
pub(super) async fn register_passkey(
    options: &CreationOptions,
    passkeys: &dyn PasskeyClient,
) -> Result<RegistrationResponse> {
    let answer = passkeys.create(&to_json(options)?).await?;
    json::parse_as(answer.as_bytes(), &Limits::DEFAULT)
}

/// Asks a passkey.
pub(super) async fn assert_passkey(
    options: &RequestOptions,
    passkeys: &dyn PasskeyClient,
) -> Result<AuthenticationResponse> {
    let answer = passkeys.get(&to_json(options)?).await?;
    json::parse_as(answer.as_bytes(), &Limits::DEFAULT)
}

pub(super) fn to_json<T: serde::Serialize>(options: &T) -> Result<String> {
    serde_json::to_string(options)
        .map_err(|_| Error::misuse("webauthn_options", "the options do not serialize"))
}
