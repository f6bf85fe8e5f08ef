//! Key attestations (OpenID4VCI 1.0 Appendix D): a wallet provider's word about the storage of holder keys and what they
//! ask of their user. They come in the header of `jwt` key proofs, or as key proofs of type `attestation`.

use serde_json::{Map, Value};

use super::level::{AssuranceLevel, KeyProtection};
use super::wallet_provider::{
    self, ProviderBasis, WalletProvider, key_storage_level, user_authentication_level,
};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::key::{PublicKey, SignatureAlgorithm, Signer};
use crate::limits::Limits;

/// `typ` of the JWT.
pub const TYP: &str = "key-attestation+jwt";

/// Most keys and values that are read.
const MAX_KEYS: usize = 64;
const MAX_VALUES: usize = 16;

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::malformed("key_attestation", detail)
}

/// What a wallet provider states.
#[derive(Debug, Clone, Copy)]
pub struct KeyAttestation<'a> {
    /// The keys, at least one.
    pub keys: &'a [PublicKey],
    /// `key_storage`; empty: not stated.
    pub key_storage: &'a [String],
    /// `user_authentication`; empty: not stated.
    pub user_authentication: &'a [String],
    /// `certification`: URL of the certification of the key storage.
    pub certification: Option<&'a str>,
    /// The issuer's nonce.
    pub nonce: Option<&'a str>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`; needed beside a `jwt` proof.
    pub expires_at: Option<UnixTime>,
    /// `status`, as in credentials.
    pub status: Option<&'a Value>,
}

/// Signs a key attestation; `header` names the provider's key: `x5c` or `kid`.
///
/// # Errors
/// `key_attestation_keys` without a key; those of [`Signer::sign`].
pub fn sign(
    attestation: &KeyAttestation<'_>,
    header: Map<String, Value>,
    signer: &dyn Signer,
) -> Result<String> {
    if attestation.keys.is_empty() {
        return Err(Error::misuse("key_attestation_keys", "a key attestation is about at least one key"));
    }
    let mut claims = Map::new();
    claims.insert("iat".into(), attestation.issued_at.as_secs().into());
    if let Some(exp) = attestation.expires_at {
        claims.insert("exp".into(), exp.as_secs().into());
    }
    let keys = attestation.keys.iter().map(|key| Jwk::from_key(key).to_value()).collect();
    claims.insert("attested_keys".into(), Value::Array(keys));
    for (name, values) in
        [("key_storage", attestation.key_storage), ("user_authentication", attestation.user_authentication)]
    {
        if !values.is_empty() {
            claims.insert(name.into(), values.into());
        }
    }
    for (name, text) in [("certification", attestation.certification), ("nonce", attestation.nonce)] {
        claims.extend(text.map(|text| (name.to_owned(), Value::from(text))));
    }
    claims.extend(attestation.status.map(|status| ("status".to_owned(), status.clone())));
    jwt::sign(TYP, header, &claims, signer)
}

/// What the issuer knows and demands.
#[derive(Debug, Clone, Copy)]
pub struct KeyAttestationExpectation<'a> {
    /// The providers whose word counts.
    pub providers: &'a [WalletProvider],
    /// The algorithms that are taken.
    pub algorithms: &'a [SignatureAlgorithm],
    /// Whether `exp` must be there: beside a `jwt` proof.
    pub expiry_required: bool,
    /// Oldest `iat`, seconds.
    pub max_age: i64,
    /// How far ahead the provider's clock may be, seconds.
    pub skew: i64,
    /// The time of the check.
    pub now: UnixTime,
}

/// A key attestation by a trusted provider, current. Its nonce and status are for the caller.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VerifiedKeyAttestation {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// `key_storage`.
    pub key_storage: Vec<String>,
    /// `user_authentication`.
    pub user_authentication: Vec<String>,
    /// `certification`.
    pub certification: Option<String>,
    /// The nonce: the caller takes it once, as that of a key proof.
    pub nonce: Option<String>,
    /// `exp`.
    pub expires_at: Option<UnixTime>,
    /// `status`, unread.
    pub status: Option<Value>,
    /// The provider's name, as the operator or the trusted list calls it.
    pub provider: String,
    /// The anchor that the verdict rests on.
    pub basis: ProviderBasis,
}

/// Verifies a key attestation.
///
/// # Errors
/// Those of the JWT parser; `key_attestation` (form), `jws_typ`, `key_attestation_algorithm`, `wallet_provider_unknown`,
/// `signature_invalid`, those of certificate chains, `token_expired`, `token_not_yet_valid`, `key_attestation_stale`,
/// `key_attestation_future`.
pub fn verify(
    compact: &str,
    expected: &KeyAttestationExpectation<'_>,
    limits: &Limits,
) -> Result<VerifiedKeyAttestation> {
    let jwt = UnverifiedJwt::parse(compact, limits)?;
    jwt.header().require_typ(TYP)?;
    if !expected.algorithms.contains(&jwt.header().alg) {
        let detail = "the key attestation is signed with an algorithm that is not taken";
        return Err(Error::unsupported("key_attestation_algorithm", detail));
    }
    let (verified, provider, basis) =
        wallet_provider::verify(&jwt, expected.providers, expected.now, limits)?;
    let claims = verified.claims();
    jwt::check_times(claims, expected.now, expected.skew)?;
    let issued_at = jwt::required_time(claims, "iat")?;
    let (oldest, newest) = (expected.now.plus(-expected.max_age), expected.now.plus(expected.skew));
    if issued_at < oldest {
        let detail = "the key attestation is too old";
        return Err(Error::not_current("key_attestation_stale", detail, expected.now, oldest));
    }
    if issued_at > newest {
        let detail = "the key attestation is from the future";
        return Err(Error::not_current("key_attestation_future", detail, expected.now, newest));
    }
    let expires_at = jwt::time(claims, "exp")?;
    if expected.expiry_required && expires_at.is_none() {
        return Err(malformed("exp is missing"));
    }
    Ok(VerifiedKeyAttestation {
        keys: attested_keys(claims)?,
        key_storage: values(claims, "key_storage")?,
        user_authentication: values(claims, "user_authentication")?,
        certification: jwt::text(claims, "certification")?.map(str::to_owned),
        nonce: jwt::text(claims, "nonce")?.map(str::to_owned),
        expires_at,
        status: claims.get("status").cloned(),
        provider: provider.to_owned(),
        basis,
    })
}

fn attested_keys(claims: &jwt::Claims) -> Result<Vec<PublicKey>> {
    let keys = claims.get("attested_keys").and_then(Value::as_array);
    let keys = keys.filter(|keys| !keys.is_empty() && keys.len() <= MAX_KEYS);
    let keys = keys.ok_or_else(|| malformed("attested_keys is missing, empty or too long"))?;
    let key = |value| Jwk::from_value(value).and_then(|jwk| jwk.public_key());
    keys.iter()
        .map(|value| key(value).map_err(|error| malformed(format!("an attested key: {}", error.detail()))))
        .collect()
}

/// A non-empty array of strings, or nothing.
fn values(claims: &jwt::Claims, name: &'static str) -> Result<Vec<String>> {
    let Some(value) = claims.get(name) else { return Ok(Vec::new()) };
    let all = value.as_array().filter(|all| !all.is_empty() && all.len() <= MAX_VALUES);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all: Option<Vec<String>> = all.and_then(|all| all.iter().map(text).collect());
    all.ok_or_else(|| malformed(format!("{name} is no array of strings")))
}

/// `key_attestations_required` of a credential configuration (OpenID4VCI 1.0 section 12.2.4): for each member that is
/// not empty, one of its values must be stated.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct KeyAttestationsRequired {
    /// Accepted values of `key_storage`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_storage: Vec<String>,
    /// Accepted values of `user_authentication`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_authentication: Vec<String>,
}

impl VerifiedKeyAttestation {
    /// Demands that `key` is one of the attested keys: [`Error::Untrusted`] `key_attestation_key`.
    pub fn check_key(&self, key: &PublicKey) -> Result<()> {
        if self.keys.contains(key) {
            Ok(())
        } else {
            Err(Error::untrusted("key_attestation_key", "the key attestation is about other keys"))
        }
    }

    /// Demands what a credential configuration requires.
    ///
    /// # Errors
    /// `key_attestation_storage`, `key_attestation_user_authentication`.
    pub fn check_required(&self, required: &KeyAttestationsRequired) -> Result<()> {
        let meets = |stated: &[String], accepted: &[String]| {
            accepted.is_empty() || stated.iter().any(|value| accepted.contains(value))
        };
        if !meets(&self.key_storage, &required.key_storage) {
            let detail = "the keys are not stored as this credential needs it";
            return Err(Error::refused("key_attestation_storage", detail));
        }
        if !meets(&self.user_authentication, &required.user_authentication) {
            let detail = "the keys do not ask of their user what this credential needs";
            return Err(Error::refused("key_attestation_user_authentication", detail));
        }
        Ok(())
    }

    /// The best protection that is stated in the words of the ladder.
    pub fn protection(&self) -> KeyProtection {
        let stated = || self.key_storage.iter().map(|value| key_storage_level(value));
        let best = |level: &KeyProtection| stated().all(|other| level.satisfies(other));
        stated().find(best).unwrap_or_default()
    }

    /// The best level of user authentication that is stated. It is the provider's word, not the hardware's: never
    /// [`AssuranceLevel::BiometricAttested`].
    pub fn level(&self) -> AssuranceLevel {
        let stated = || self.user_authentication.iter().map(|value| user_authentication_level(value));
        let best = |level: &AssuranceLevel| stated().all(|other| level.satisfies(other));
        match stated().find(best).unwrap_or_default() {
            AssuranceLevel::BiometricAttested => AssuranceLevel::BiometricAppAsserted,
            level => level,
        }
    }
}
