//! Apple App Attest: that a genuine app on a genuine device made a key and asked for a credential
//! (<https://developer.apple.com/documentation/devicecheck/validating-apps-that-connect-to-your-server>).
//!
//! The authenticator embedded in an iOS app has no attestation format of its own: its registrations come as `none`, with
//! [`AppAttestEvidence`] beside them. An App Attest key, made by the app for this issuer, is attested once
//! ([`verify_attestation`]) and signs an assertion for every enrolment ([`verify_assertion`]). Both commit to
//! [`client_data_hash`], and with it to AK, HK and the issuer's nonce. Apple does not attest that AK needs a biometric
//! (`.biometryCurrentSet`): the attested app says so, hence
//! [`AssuranceLevel::BiometricAppAsserted`](super::level::AssuranceLevel::BiometricAppAsserted) and no more.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::encoding::der::Reader as DerReader;
use crate::encoding::sha256;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::key::PublicKey;
use crate::limits::Limits;
use crate::webauthn::authenticator_data::AuthenticatorData;
use crate::webauthn::cbor::Reader;
use crate::webauthn::cose_key;
use crate::webauthn::registration::{AppAttestEvidence, AttestationObject};
use crate::x509::{TrustAnchor, UnverifiedChain};

/// Apple's root for App Attest: <https://www.apple.com/certificateauthority/Apple_App_Attestation_Root_CA.pem>.
const APPLE_ROOT: &str = include_str!("roots/apple-app-attest.pem");

/// The extension of the leaf that holds the nonce.
const NONCE_EXTENSION: &str = "1.2.840.113635.100.8.2";

const FORMAT: &str = "apple-appattest";
const PRODUCTION: [u8; 16] = *b"appattest\0\0\0\0\0\0\0";
const DEVELOPMENT: [u8; 16] = *b"appattestdevelop";

/// Separates what App Attest keys sign here from every other use.
const DOMAIN: &[u8] = b"biometric-binding/v1/app-attest\0";

/// The root that Apple has published.
///
/// # Errors
/// None in practice: a test reads it.
pub fn apple_roots() -> Result<Vec<TrustAnchor>> {
    TrustAnchor::from_pem(APPLE_ROOT.as_bytes())
}

/// `clientDataHash` of attestation and assertion: `SHA-256(domain ‖ 0x00 ‖ SHA-256(clientDataJSON) ‖ AK)`, AK as
/// uncompressed point. The WebAuthn client data holds the challenge of the enrolment statement: HK, nonce, issuer, RP ID.
pub fn client_data_hash(webauthn_client_data_hash: &[u8; 32], ak: &PublicKey) -> [u8; 32] {
    sha256(&[DOMAIN, webauthn_client_data_hash, &ak.to_sec1_uncompressed()].concat())
}

/// What an issuer demands of App Attest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApplePolicy {
    /// Whether keys of the development environment are taken. Never in production.
    pub allow_development: bool,
}

/// An App Attest key that was attested, with the counter of its last assertion: what the issuer keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppAttestKey {
    /// The key.
    pub public_key: Jwk,
    /// The app: team and bundle identifier.
    pub app_id: String,
    /// The counter.
    pub counter: u32,
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("app_attest", detail)
}

/// Judges the evidence of one enrolment: the attestation, or the key that is `known` from before, and the assertion.
/// The result is to be kept, under [`AppAttestEvidence::key_id`], in place of `known`.
///
/// # Errors
/// `app_attest_key_unknown` without attestation and known key; those of [`verify_attestation`] and
/// [`verify_assertion`].
pub fn verify(
    evidence: &AppAttestEvidence,
    known: Option<&AppAttestKey>,
    client_data_hash: &[u8; 32],
    expected: &AppAttestExpectation<'_>,
    limits: &Limits,
) -> Result<AppAttestKey> {
    let mut key = match (known, &evidence.attestation) {
        // What was attested before stays so; a repeated attestation says nothing new.
        (Some(known), _) => known.clone(),
        (None, Some(attestation)) => {
            verify_attestation(&attestation.0, &evidence.key_id.0, client_data_hash, expected, limits)?
        }
        (None, None) => {
            let detail = "the app's key was never attested here; send its attestation";
            return Err(Error::refused("app_attest_key_unknown", detail));
        }
    };
    key.counter = verify_assertion(&evidence.assertion.0, &key, client_data_hash, expected.app_ids)?;
    Ok(key)
}

/// What the issuer knows and demands.
#[derive(Debug, Clone, Copy)]
pub struct AppAttestExpectation<'a> {
    /// The roots.
    pub roots: &'a [TrustAnchor],
    /// The App IDs (team and bundle identifier) registered for the RP ID.
    pub app_ids: &'a [String],
    /// The policy.
    pub policy: ApplePolicy,
    /// The time of the check: a leaf lives three days.
    pub now: UnixTime,
}

/// Verifies an attestation object of key `key_id` over `client_data_hash`, in the order of Apple's guide.
///
/// # Errors
/// `app_attest` (form), `attestation_untrusted`, `x509_expired`, `x509_not_yet_valid`, `app_attest_nonce`,
/// `app_attest_key_id`, `app_attest_app_id`, `app_attest_counter`, `app_attest_environment`, `app_attest_public_key`.
pub fn verify_attestation(
    object: &[u8],
    key_id: &[u8],
    client_data_hash: &[u8],
    expected: &AppAttestExpectation<'_>,
    limits: &Limits,
) -> Result<AppAttestKey> {
    let object = AttestationObject::parse(object, limits)?;
    if object.format != FORMAT {
        return Err(malformed("the attestation object is not of format apple-appattest"));
    }
    // Step 1: the certificates.
    let x5c = certificates(object.statement)?;
    let chain = UnverifiedChain::from_der(&x5c, limits)?;
    chain.verify(expected.roots, expected.now).map_err(|error| match error {
        Error::NotCurrent { .. } => error,
        other => Error::untrusted(
            "attestation_untrusted",
            format!("the attestation does not chain to Apple's root: {}", other.detail()),
        ),
    })?;
    // Steps 2-4: the nonce.
    let nonce = sha256(&[object.authenticator_data, client_data_hash].concat());
    let extension = chain.leaf().extension(NONCE_EXTENSION);
    let stated = extension.ok_or_else(|| malformed("the certificate holds no nonce"))?;
    if nonce_of(&stated.value)? != nonce {
        return Err(Error::untrusted("app_attest_nonce", "the app's key was attested for something else"));
    }
    // Step 5: the key's name.
    let public_key = chain.leaf_public_key()?;
    let named = |name: &[u8]| sha256(&public_key.to_sec1_uncompressed()) == name;
    // Steps 6-9: the authenticator data.
    let data = AuthenticatorData::parse(object.authenticator_data, limits)?;
    let attested = data.attested.ok_or_else(|| malformed("an attestation without its key"))?;
    if !named(key_id) || attested.credential_id != key_id {
        return Err(Error::untrusted("app_attest_key_id", "the attestation belongs to another key"));
    }
    if cose_key::parse(attested.cose_key)? != public_key {
        return Err(Error::untrusted("app_attest_public_key", "the certificate belongs to another key"));
    }
    let app_id = registered(expected.app_ids, &data.rp_id_hash)?;
    if data.sign_count != 0 {
        return Err(Error::untrusted("app_attest_counter", "the key was used before its attestation"));
    }
    if attested.aaguid != PRODUCTION && !(attested.aaguid == DEVELOPMENT && expected.policy.allow_development)
    {
        let detail = "the app does not run in Apple's production environment";
        return Err(Error::refused("app_attest_environment", detail));
    }
    Ok(AppAttestKey { public_key: Jwk::from_key(&public_key), app_id: app_id.to_owned(), counter: 0 })
}

/// Verifies an assertion by `key` over `client_data_hash` and returns its counter.
///
/// # Errors
/// `app_attest` (form), `app_attest_signature`, `app_attest_app_id` (also when the app is no longer registered),
/// `app_attest_counter`.
pub fn verify_assertion(
    assertion: &[u8],
    key: &AppAttestKey,
    client_data_hash: &[u8; 32],
    app_ids: &[String],
) -> Result<u32> {
    let (signature, data) = assertion_members(assertion)
        .map_err(|error| Error::malformed("app_attest", format!("the assertion: {}", error.detail())))?;
    // Read by hand: Apple sets the flag for attested data although there is none.
    let (rp_id_hash, rest) = data.split_first_chunk::<32>().ok_or_else(|| malformed("too short"))?;
    let [_flags, counter @ ..] = rest else { return Err(malformed("too short")) };
    let counter: [u8; 4] = counter.try_into().map_err(|_| malformed("authenticator data of another size"))?;
    let nonce = sha256(&[data, client_data_hash].concat());
    key.public_key.public_key()?.verify_der(&nonce, signature).map_err(|_| {
        Error::untrusted("app_attest_signature", "the signature of the app's key does not verify")
    })?;
    if registered(app_ids, rp_id_hash)? != key.app_id {
        return Err(Error::untrusted("app_attest_app_id", "the app's key belongs to another app"));
    }
    let counter = u32::from_be_bytes(counter);
    if counter <= key.counter {
        return Err(Error::refused("app_attest_counter", "the counter of the app's key did not grow"));
    }
    Ok(counter)
}

/// The App ID whose hash it is.
fn registered<'a>(app_ids: &'a [String], hash: &[u8; 32]) -> Result<&'a str> {
    let found = app_ids.iter().find(|id| sha256(id.as_bytes()) == *hash);
    found.map(String::as_str).ok_or_else(|| {
        Error::refused("app_attest_app_id", "the app is not one that is registered for this wallet")
    })
}

/// `x5c` of the statement; the receipt, for Apple's fraud risk service, is not used.
fn certificates(statement: &[u8]) -> Result<Vec<&[u8]>> {
    let mut reader = Reader::new(statement);
    let (mut x5c, mut receipt) = (None, None);
    for _ in 0..reader.map()? {
        let fresh = match reader.text()? {
            "x5c" => {
                let count = reader.array()?;
                x5c.replace((0..count).map(|_| reader.bytes()).collect::<Result<Vec<_>>>()?).is_none()
            }
            "receipt" => receipt.replace(reader.bytes()?).is_none(),
            _ => false,
        };
        if !fresh {
            return Err(malformed("an unknown or repeated member of the statement"));
        }
    }
    reader.finish()?;
    x5c.ok_or_else(|| malformed("the statement has no certificates"))
}

fn assertion_members(assertion: &[u8]) -> Result<(&[u8], &[u8])> {
    let mut reader = Reader::new(assertion);
    let (mut signature, mut data) = (None, None);
    for _ in 0..reader.map()? {
        let fresh = match reader.text()? {
            "signature" => signature.replace(reader.bytes()?).is_none(),
            "authenticatorData" => data.replace(reader.bytes()?).is_none(),
            _ => false,
        };
        if !fresh {
            return Err(malformed("an unknown or repeated member"));
        }
    }
    reader.finish()?;
    signature.zip(data).ok_or_else(|| malformed("signature or authenticatorData is missing"))
}

/// `SEQUENCE { [1] EXPLICIT OCTET STRING }`.
fn nonce_of(extension: &[u8]) -> Result<&[u8]> {
    let read = || {
        let mut outer = DerReader::new(extension);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let (tag, mut value) = fields.tagged()?;
        fields.finish()?;
        let nonce = value.octets()?;
        value.finish()?;
        if tag == 1 { Ok(nonce) } else { Err(malformed("another tag than 1")) }
    };
    read().map_err(|error: Error| Error::malformed("app_attest", format!("the nonce: {}", error.detail())))
}
