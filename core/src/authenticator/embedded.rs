//! Client data, authenticator data and attestation objects, byte by byte.

use std::sync::Arc;

use serde::Serialize;

use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm, Signer, SoftwareKey};
use crate::webauthn::authenticator_data::Flags;
use crate::webauthn::cbor::Writer;
use crate::webauthn::cose_key;

/// A key of the platform that signs WebAuthn data, usable only after its user's verification.
pub trait AuthenticatorKey: Send + Sync {
    /// The public key.
    fn public_key(&self) -> &PublicKey;

    /// The signature over `message` as WebAuthn has it: DER for ECDSA. The platform hashes.
    ///
    /// [`Error::Refused`] when the person declined.
    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>>;
}

impl AuthenticatorKey for SoftwareKey {
    fn public_key(&self) -> &PublicKey {
        Signer::public_key(self)
    }

    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>> {
        Self::sign_der(self, message)
    }
}

/// How a registration is attested.
#[derive(Clone, Default)]
pub enum AttestationSource {
    /// Not at all (`none`).
    #[default]
    None,
    /// `packed`, signed by the new key itself.
    SelfSigned,
    /// `packed`, signed by an attestation key.
    Packed {
        /// The attestation key.
        key: Arc<dyn AuthenticatorKey>,
        /// Its certificate chain in DER, leaf first.
        chain: Vec<Vec<u8>>,
    },
}

impl std::fmt::Debug for AttestationSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::SelfSigned => "SelfSigned",
            Self::Packed { .. } => "Packed",
        })
    }
}

/// `CollectedClientData` (§5.8.1); members in the order of §5.8.1.1.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientDataMembers<'a> {
    /// `webauthn.create` or `webauthn.get`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The challenge, base64url.
    pub challenge: &'a str,
    /// The origin.
    pub origin: &'a str,
    /// Whether the ceremony runs in a frame of another origin.
    pub cross_origin: bool,
    /// The top-level origin, when it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_origin: Option<&'a str>,
}

impl ClientDataMembers<'_> {
    /// `clientDataJSON`.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|_| Error::misuse("client_data", "the client data does not serialize"))
    }
}

/// Authenticator data of an assertion: RP ID hash, flags, counter.
pub fn assertion_data(rp_id: &str, flags: Flags, sign_count: u32) -> Vec<u8> {
    let mut data = Vec::with_capacity(37);
    data.extend_from_slice(&sha256(rp_id.as_bytes()));
    data.push(flags.byte());
    data.extend_from_slice(&sign_count.to_be_bytes());
    data
}

/// Authenticator data of a registration: as above, with the attested credential data.
///
/// Error: `credential_id_length` above 65,535 bytes, `cose_algorithm` for a key that is not ECDSA.
pub fn registration_data(
    rp_id: &str,
    flags: Flags,
    sign_count: u32,
    aaguid: &[u8; 16],
    credential_id: &[u8],
    key: &PublicKey,
) -> Result<Vec<u8>> {
    let length = u16::try_from(credential_id.len())
        .map_err(|_| Error::misuse("credential_id_length", "the credential id is too long"))?;
    let mut data = assertion_data(rp_id, Flags::from_byte(flags.byte() | 0x40), sign_count);
    data.extend_from_slice(aaguid);
    data.extend_from_slice(&length.to_be_bytes());
    data.extend_from_slice(credential_id);
    data.extend_from_slice(&cose_key::encode(key)?);
    Ok(data)
}

/// What the key signs in both ceremonies: authenticator data and SHA-256 of the client data.
pub fn signed_message(authenticator_data: &[u8], client_data_json: &[u8]) -> Vec<u8> {
    [authenticator_data, &sha256(client_data_json)].concat()
}

/// The attestation object of a registration (§6.5.4) by `key`.
pub fn attestation_object(
    source: &AttestationSource,
    key: &dyn AuthenticatorKey,
    authenticator_data: &[u8],
    client_data_json: &[u8],
) -> Result<Vec<u8>> {
    let (signer, chain): (&dyn AuthenticatorKey, &[Vec<u8>]) = match source {
        AttestationSource::None => return Ok(none_object(authenticator_data)),
        AttestationSource::SelfSigned => (key, &[]),
        AttestationSource::Packed { key, chain } => (&**key, chain),
    };
    let signature = signer.sign_der(&signed_message(authenticator_data, client_data_json))?;
    Ok(signed_object("packed", signer.public_key().algorithm(), &signature, chain, authenticator_data))
}

/// An attestation object of format `none` (§8.7).
pub fn none_object(authenticator_data: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.map(3).text("fmt").text("none").text("attStmt").map(0);
    writer.text("authData").bytes(authenticator_data);
    writer.finish()
}

/// An attestation object of format `android-key` (§8.4): `signature` by the new ES256 key, whose certificate is the
/// first of `chain`.
pub fn android_key_object(signature: &[u8], chain: &[Vec<u8>], authenticator_data: &[u8]) -> Vec<u8> {
    signed_object("android-key", SignatureAlgorithm::Es256, signature, chain, authenticator_data)
}

/// The statement that `packed` and `android-key` share: `alg`, `sig`, and `x5c` unless self-signed.
fn signed_object(
    format: &str,
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    chain: &[Vec<u8>],
    authenticator_data: &[u8],
) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.map(3).text("fmt").text(format).text("attStmt").map(if chain.is_empty() { 2 } else { 3 });
    writer.text("alg").int(cose_key::cose_algorithm(algorithm));
    writer.text("sig").bytes(signature);
    if !chain.is_empty() {
        writer.text("x5c").array(chain.len());
        for certificate in chain {
            writer.bytes(certificate);
        }
    }
    writer.text("authData").bytes(authenticator_data);
    writer.finish()
}

/// The challenge as client data has it.
pub fn challenge_text(challenge: &[u8]) -> String {
    base64url::encode(challenge)
}
