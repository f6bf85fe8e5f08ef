//! The holder engine: what a wallet does with offers and requests, without screen, network or key store of its own.
//!
//! Two phases everywhere, so that a browser page and a native app can use the same engine: *review* says in plain data
//! what is offered or asked; *prepare* does everything up to the one WebAuthn ceremony and returns its options; *finish*
//! takes the authenticator's answer and completes. State between the phases is a serialisable value.

pub mod dids;
pub mod http;
pub mod issuance;
pub mod presentation;
pub mod wallet;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::key::PublicKey;

pub use crate::protocol::openid4vci::metadata::LogoReference;
pub use http::{HttpClient, HttpRequest, HttpResponse, Method};

/// What a holder key will be used for; lets the key store choose protection and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPurpose {
    /// HK: key proofs at issuance and key-binding JWTs at presentation, ES256.
    HolderKey,
    /// The key that access tokens of one issuance are bound to (DPoP, RFC 9449), ES256; needs no user.
    TokenBinding,
    /// AK: WebAuthn registrations and assertions of the authenticator embedded in the wallet; never through
    /// [`HolderKeys`].
    AuthenticatorKey,
}

/// A holder key (HK) as the engine sees it: a name and the public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderKeyInfo {
    /// The key store's name of the key; opaque to the engine.
    pub alias: String,
    /// The public key, P-256.
    pub public_key: PublicKey,
}

/// One message to sign with one holder key. `Debug` hides the message.
#[derive(Clone, PartialEq, Eq)]
pub struct SignItem {
    /// Which key.
    pub alias: String,
    /// The JWS signing input.
    pub message: Vec<u8>,
}

impl fmt::Debug for SignItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignItem({}, {} bytes)", self.alias, self.message.len())
    }
}

/// The wallet's store of holder keys. WebAuthn keys (AK) are never here: they sign only assertions.
#[async_trait]
pub trait HolderKeys: Send + Sync {
    /// Makes a fresh ES256 key.
    ///
    /// # Errors
    /// When the key store refuses.
    async fn generate(&self, purpose: KeyPurpose) -> Result<HolderKeyInfo>;

    /// Signs all `items` in one go (one user prompt at most), in order; each signature is ES256 `r || s`, 64 bytes.
    ///
    /// # Errors
    /// When a key is missing or its use was refused; then nothing was signed.
    async fn sign(&self, items: Vec<SignItem>) -> Result<Vec<Vec<u8>>>;

    /// Forgets a key for ever; an unknown alias is not an error.
    ///
    /// # Errors
    /// When the key store refuses.
    async fn delete(&self, alias: &str) -> Result<()>;
}

/// Whether it was the person's or the device's no to a prompt: the same thing can be tried again, with the same keys.
pub(crate) fn is_persons_no(error: &Error) -> bool {
    matches!(error.code(), "user_cancelled" | "biometry_lockout" | "biometry_not_enrolled")
}

/// The WebAuthn credential (AK) that an issuer bound into a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticatorKey {
    /// WebAuthn credential id, base64url: what goes into `allowCredentials`.
    pub credential_id: String,
    /// The RP ID it was registered under.
    pub rp_id: String,
    /// RFC 7638 thumbprint of its public key, base64url.
    pub jkt: String,
    /// Transports the authenticator named, for `allowCredentials`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transports: Vec<String>,
}

/// How a credential is shown, taken from the issuer's `credential_metadata`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialDisplay {
    /// Name of the kind of credential.
    pub name: String,
    /// One sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// CSS colour of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_color: Option<String>,
    /// CSS colour of the text on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_color: Option<String>,
    /// Where the issuer's picture of it is: for fetching once, when it is collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<LogoReference>,
    /// Claims in the issuer's order, with their names for people; of W3C credentials those of the subject without that
    /// prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimLabel>,
}

impl CredentialDisplay {
    /// The issuer's name for the claim at `path`, if it gave one. `null` in the issuer's path matches any index. A path
    /// into the subject of a W3C credential is that of the claim in the subject.
    pub fn label(&self, path: &[Value]) -> Option<&str> {
        let path = match path {
            [first, rest @ ..] if first == "credentialSubject" && !rest.is_empty() => rest,
            path => path,
        };
        self.claims.iter().find(|label| label.matches(path)).map(|label| label.name.as_str())
    }
}

/// One claim's name for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimLabel {
    /// OpenID4VCI claims path pointer: strings, indexes and null.
    pub path: Vec<Value>,
    /// The name.
    pub name: String,
}

impl ClaimLabel {
    fn matches(&self, path: &[Value]) -> bool {
        self.path.len() == path.len()
            && self.path.iter().zip(path).all(|(mine, theirs)| {
                mine == theirs || (mine.is_null() && (theirs.is_null() || theirs.is_u64()))
            })
    }
}

/// A credential in the wallet. `Debug` shows no claim: the credential itself is hidden.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCredential {
    /// The wallet's own identifier, random.
    pub id: String,
    /// Its format.
    pub format: CredentialFormat,
    /// The credential as issued: of SD-JWT VC the issuer's JWT and all disclosures, of `ldp_vc` the JSON text.
    pub credential: String,
    /// Credential type: `vct`, or the expanded type of a W3C credential.
    pub vct: String,
    /// The issuer's name of the configuration it came from.
    pub configuration_id: String,
    /// Alias of the holder key that the credential is bound to.
    pub hk_alias: String,
    /// The same for all copies of one credential that were issued together, each with a holder key of its own: whoever
    /// shows a copy to one verifier only cannot be recognised by two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// The WebAuthn credential bound into it, when the issuer did bind one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ak: Option<AuthenticatorKey>,
    /// Its issuer: `iss` or `issuer`.
    pub issuer: String,
    /// OpenID4VCI credential issuer identifier that it was collected from.
    pub credential_issuer: String,
    /// The issuer's name for people, as its metadata says.
    pub issuer_name: String,
    /// Whether the signing key chains to a trust anchor of this wallet; `false` means "unknown issuer".
    pub issuer_trusted: bool,
    /// How to show it.
    pub display: CredentialDisplay,
    /// When the wallet stored it.
    pub issued_at: UnixTime,
    /// `exp`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixTime>,
}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredential")
            .field("id", &self.id)
            .field("vct", &self.vct)
            .finish_non_exhaustive()
    }
}

/// Who the wallet is towards issuers and authenticators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletIdentity {
    /// OAuth client identifier under which issuers know this wallet.
    pub client_id: String,
    /// WebAuthn RP ID of the wallet.
    pub rp_id: String,
    /// Name that the authenticator's prompt shows.
    pub rp_name: String,
    /// Account name that the authenticator's prompt shows.
    pub user_name: String,
    /// Display name of the same account.
    pub user_display_name: String,
    /// WebAuthn user handle, 1 to 64 bytes, the same for the life of the wallet, base64url; random, says nothing.
    pub user_handle: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Records of the time when a format was any text, and there was one.
    #[test]
    fn records_of_earlier_wallets_are_read() {
        let record = json!({
            "id": "a", "format": "dc+sd-jwt", "credential": "eyJ~", "vct": "urn:t", "configuration_id": "c",
            "hk_alias": "k", "issuer": "i", "credential_issuer": "i", "issuer_name": "I", "issuer_trusted": true,
            "display": { "name": "N" }, "issued_at": 1,
        });
        let read: StoredCredential = serde_json::from_value(record.clone()).unwrap();
        assert_eq!(read.format, CredentialFormat::DcSdJwt);
        assert_eq!(serde_json::to_value(&read).unwrap(), record);
    }

    #[test]
    fn labels_of_w3c_claims() {
        let label = ClaimLabel { path: vec!["given_name".into()], name: "Given names".into() };
        let display = CredentialDisplay { claims: vec![label], ..CredentialDisplay::default() };
        for path in [&["given_name".into()][..], &["credentialSubject".into(), "given_name".into()]] {
            assert_eq!(display.label(path), Some("Given names"));
        }
        assert_eq!(display.label(&["credentialSubject".into()]), None);
    }
}
