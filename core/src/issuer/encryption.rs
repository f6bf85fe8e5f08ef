//! Encrypted credential requests and responses (OpenID4VCI 1.0 section 10), also of the deferred credential endpoint.
//!
//! Refusals are never encrypted. What the response is to be encrypted to is tried before anything is issued.

use std::borrow::Cow;

use super::Issuer;
use super::client_attestation::Demand;
use crate::error::{Error, Result};
use crate::jose::jwe::{ContentEncryption, JweDecryptionKey, KeyManagement, UnverifiedJwe};
use crate::protocol::openid4vci::credential::{ErrorCode, Issuance, Refusal, ResponseEncryptionRequest};
use crate::protocol::openid4vci::metadata::{RequestEncryption, ResponseEncryption};

/// The body of a request to the credential or the deferred credential endpoint.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// `application/json`
    Plain(&'a [u8]),
    /// `application/jwt`: a compact JWE to a key of the metadata.
    Encrypted(&'a [u8]),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was issued or deferred.
    pub issuance: Issuance,
    /// The same, encrypted as the wallet wanted: the whole body, as `application/jwt`.
    pub encrypted: Option<String>,
}

impl Issuer {
    /// The issuer with this key for encrypted requests instead of a fresh one: it must outlast restarts, and be the same
    /// for all instances that serve one address.
    #[must_use]
    pub fn with_request_key(mut self, key: JweDecryptionKey) -> Self {
        self.request_key = key;
        self
    }

    fn request_key_id(&self) -> String {
        self.request_key.jwk("").thumbprint()
    }

    /// `credential_request_encryption` of the metadata.
    pub(super) fn request_encryption(&self) -> Option<RequestEncryption> {
        let demand = self.settings.request_encryption;
        (demand != Demand::Off).then(|| RequestEncryption {
            jwks: vec![self.request_key.jwk(&self.request_key_id()).to_value()].into(),
            enc_values_supported: ContentEncryption::GCM.map(|enc| enc.as_str().to_owned()).into(),
            zip_values_supported: Vec::new(),
            encryption_required: demand == Demand::Required,
        })
    }

    /// `credential_response_encryption` of the metadata.
    pub(super) fn response_encryption(&self) -> Option<ResponseEncryption> {
        let demand = self.settings.response_encryption;
        (demand != Demand::Off).then(|| ResponseEncryption {
            alg_values_supported: KeyManagement::ALL.map(|alg| alg.as_str().to_owned()).into(),
            enc_values_supported: ContentEncryption::GCM.map(|enc| enc.as_str().to_owned()).into(),
            zip_values_supported: Vec::new(),
            encryption_required: demand == Demand::Required,
        })
    }

    /// The JSON of a request.
    ///
    /// # Errors
    /// `invalid_encryption_parameters`: `request_encryption_required`, `request_encryption` (encrypted although the
    /// metadata offers no key, with another key or content encryption), and the codes of [`UnverifiedJwe`].
    pub(super) fn open<'a>(&self, message: Message<'a>) -> Result<Cow<'a, [u8]>, Refusal> {
        let invalid = ErrorCode::InvalidEncryptionParameters.refuse();
        let bad = |detail: &'static str| invalid(Error::unsupported("request_encryption", detail));
        let demand = self.settings.request_encryption;
        let jwe = match (message, demand) {
            (Message::Plain(_), Demand::Required) => {
                let detail = "this issuer takes encrypted requests only, as its metadata says";
                return Err(invalid(Error::refused("request_encryption_required", detail)));
            }
            (Message::Plain(body), _) => return Ok(Cow::Borrowed(body)),
            (Message::Encrypted(_), Demand::Off) => {
                return Err(bad("this issuer takes no encrypted requests, as its metadata says"));
            }
            (Message::Encrypted(jwe), _) => jwe,
        };
        let compact = std::str::from_utf8(jwe).map_err(|_| bad("the encrypted request is no text"))?;
        let jwe = UnverifiedJwe::parse(compact.trim(), &self.limits).map_err(&invalid)?;
        if jwe.header().kid.as_deref() != Some(&self.request_key_id()) {
            return Err(bad("kid names no key of the metadata"));
        }
        if !ContentEncryption::GCM.contains(&jwe.header().enc) {
            return Err(bad("enc is not one of the metadata"));
        }
        jwe.decrypt(&self.request_key).map(Cow::Owned).map_err(&invalid)
    }

    /// Whether the answer is to be encrypted, and how: judged before anything is issued.
    ///
    /// # Errors
    /// `invalid_encryption_parameters`: `response_encryption_required`, `response_encryption` (not offered, asked for in
    /// the clear, another content encryption).
    pub(super) fn check_response_encryption(
        &self,
        message: Message<'_>,
        wanted: Option<&ResponseEncryptionRequest>,
    ) -> Result<(), Refusal> {
        let invalid = ErrorCode::InvalidEncryptionParameters.refuse();
        let bad = |detail: &'static str| Err(invalid(Error::unsupported("response_encryption", detail)));
        match (wanted, self.settings.response_encryption) {
            (None, Demand::Required) => {
                let detail = "this issuer gives encrypted responses only, as its metadata says";
                Err(invalid(Error::refused("response_encryption_required", detail)))
            }
            (None, _) => Ok(()),
            (Some(_), Demand::Off) => bad("this issuer encrypts no responses, as its metadata says"),
            (Some(_), _) if matches!(message, Message::Plain(_)) => bad(
                "a key for the response comes in an encrypted request only: it could be swapped otherwise",
            ),
            (Some(wanted), _) if !ContentEncryption::GCM.contains(&wanted.enc) => {
                bad("enc is not one of the metadata")
            }
            (Some(_), _) => Ok(()),
        }
    }
}

impl Answer {
    /// The answer, encrypted where that was wanted.
    pub(super) fn new(
        issuance: Issuance,
        encryption: Option<&ResponseEncryptionRequest>,
    ) -> Result<Self, Refusal> {
        let encrypt = |encryption: &ResponseEncryptionRequest| encryption.encrypt(&issuance.to_value());
        let encrypted = encryption.map(encrypt).transpose().map_err(ErrorCode::ServerError.refuse())?;
        Ok(Self { issuance, encrypted })
    }
}
