//! Wallet providers: whose word about wallets and their keys an issuer takes.

use super::level::{AssuranceLevel, KeyProtection};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::jwt::{UnverifiedJwt, VerifiedJwt};
use crate::key::PublicKey;
use crate::limits::Limits;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// One provider: anchors of its certificates, keys that are pinned by themselves, or both.
#[derive(Debug, Clone, Default)]
pub struct WalletProvider {
    /// Name for people and records.
    pub name: String,
    /// What its certificates (`x5c`) must lead to.
    pub anchors: Vec<TrustAnchor>,
    /// Its keys, found by `kid` where that is present.
    pub keys: Vec<Jwk>,
    /// Operator and number of the trusted list that names it, where one does.
    pub list: Option<String>,
}

/// What a verdict about a wallet or its keys rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderBasis {
    /// Subject of the certificate that is the trust anchor, or the `kid` or thumbprint (RFC 7638) of the pinned key.
    pub anchor: String,
    /// SHA-256 of the anchor's certificate, hexadecimal.
    pub sha256: Option<String>,
    /// Operator and number of the trusted list that names the provider.
    pub list: Option<String>,
}

impl WalletProvider {
    /// The key that `jwt` names, if it is this provider's, and what that rests on. A key without `kid` fits every header
    /// without `x5c`.
    fn key(
        &self,
        jwt: &UnverifiedJwt,
        now: UnixTime,
        limits: &Limits,
    ) -> Result<Option<(PublicKey, ProviderBasis)>> {
        let header = jwt.header();
        let basis = |anchor, sha256| ProviderBasis { anchor, sha256, list: self.list.clone() };
        if let Some(x5c) = &header.x5c {
            let chain = UnverifiedChain::parse(x5c, limits)?;
            return match chain.verify(&self.anchors, now) {
                Ok(verified) => {
                    let sha256 = data_encoding::HEXLOWER.encode(&verified.anchor_sha256());
                    let basis = basis(verified.anchor_subject().to_owned(), Some(sha256));
                    Ok(Some((verified.leaf_key().clone(), basis)))
                }
                Err(error) if error.code() == "x509_untrusted" => Ok(None),
                Err(error) => Err(error),
            };
        }
        let named = |key: &&Jwk| key.kid.is_none() || key.kid == header.kid;
        let Some(key) = self.keys.iter().find(named) else { return Ok(None) };
        let anchor = key.kid.clone().unwrap_or_else(|| key.thumbprint());
        Ok(Some((key.public_key()?, basis(anchor, None))))
    }
}

/// Verifies `jwt` by the first of `providers` whose key it names; gives that provider's name and what the verdict rests on.
///
/// # Errors
/// `wallet_provider_unknown`, `signature_invalid`, and those of [`UnverifiedChain::verify`].
pub(super) fn verify<'a>(
    jwt: &UnverifiedJwt,
    providers: &'a [WalletProvider],
    now: UnixTime,
    limits: &Limits,
) -> Result<(VerifiedJwt, &'a str, ProviderBasis)> {
    let mut fault =
        Error::untrusted("wallet_provider_unknown", "signed by no wallet provider that is trusted");
    for provider in providers {
        match provider.key(jwt, now, limits) {
            Ok(None) => {}
            Ok(Some((key, basis))) => match jwt.clone().verify(&key) {
                Ok(verified) => return Ok((verified, &provider.name, basis)),
                Err(error) => fault = error,
            },
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

/// Names of the levels in `key_storage` and `user_authentication` (OpenID4VCI 1.0 Appendix D.2 allows values beside
/// its own): this project's, from the ladder. Values `iso_18045_*` state resistance against attacks; software must not
/// choose them by itself, so they are only read and compared, never derived.
pub const KEY_STORAGE: &str = "urn:carekey:key-storage:";
/// As [`KEY_STORAGE`], for the user's authentication.
pub const USER_AUTHENTICATION: &str = "urn:carekey:user-authentication:";

/// The value of `key_storage` for a protection.
pub fn key_storage_value(protection: KeyProtection) -> String {
    let name = match protection {
        KeyProtection::Strongbox => "strongbox",
        KeyProtection::Tee => "tee",
        KeyProtection::SecureEnclave => "secure_enclave",
        KeyProtection::FidoHardware => "fido_hardware",
        KeyProtection::Software => "software",
        KeyProtection::Unknown => "unknown",
    };
    format!("{KEY_STORAGE}{name}")
}

/// The protection that a value of `key_storage` names; [`KeyProtection::Unknown`] for every foreign one.
pub fn key_storage_level(value: &str) -> KeyProtection {
    const ALL: [KeyProtection; 5] = [
        KeyProtection::Strongbox,
        KeyProtection::Tee,
        KeyProtection::SecureEnclave,
        KeyProtection::FidoHardware,
        KeyProtection::Software,
    ];
    ALL.into_iter().find(|level| key_storage_value(*level) == value).unwrap_or_default()
}

/// The value of `user_authentication` for a level.
pub fn user_authentication_value(level: AssuranceLevel) -> String {
    format!("{USER_AUTHENTICATION}{}", level.as_str())
}

/// The level that a value of `user_authentication` names. Of `iso_18045_*` it is known that the user is authenticated,
/// not how: [`AssuranceLevel::Uv`].
pub fn user_authentication_level(value: &str) -> AssuranceLevel {
    if value.starts_with("iso_18045_") {
        return AssuranceLevel::Uv;
    }
    let named = |level: &AssuranceLevel| user_authentication_value(*level) == value;
    AssuranceLevel::ALL.into_iter().find(named).unwrap_or_default()
}
