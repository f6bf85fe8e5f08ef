//! Android Key Attestation as the WebAuthn format `android-key` (WebAuthn Level 3 §8.4,
//! <https://source.android.com/docs/security/features/keystore/attestation>), judged without anybody's backend.
//!
//! [`verify`] accepts only a key of which secure hardware says that **every use needs a biometric**, made by a
//! registered app on a phone with a locked boot loader and the maker's system. What it cannot know: which biometric, and
//! that the key dies when a finger is added (`setInvalidatedByBiometricEnrollment` has no attestation tag).

pub mod description;
pub mod status;

use serde::{Deserialize, Serialize};

use self::description::{
    ApplicationId, AuthorizationList, BootState, EXTENSION, KeyDescription, SecurityLevel,
};
use self::status::StatusList;
use super::level::{AssuranceLevel, KeyProtection};
use super::packed::Statement;
use crate::clock::UnixTime;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::webauthn::cose_key::algorithm_from_cose;
use crate::webauthn::registration::VerifiedRegistration;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// Google's root since 2016, RSA: <https://android.googleapis.com/attestation/root>.
const GOOGLE_RSA: &str = include_str!("roots/google-rsa.pem");
/// Google's root in use since 2026, P-384: as above.
const GOOGLE_P384: &str = include_str!("roots/google-p384.pem");

/// The origin of an Android app in client data starts with this.
const APK_KEY_HASH: &str = "android:apk-key-hash:";

const PURPOSE_SIGN: u64 = 2;
const ORIGIN_GENERATED: u64 = 0;
const AUTH_PIN: u64 = 1;
const AUTH_BIOMETRIC: u64 = 2;

/// Both roots that Google has published.
///
/// # Errors
/// None in practice: a test reads them.
pub fn google_roots() -> Result<Vec<TrustAnchor>> {
    TrustAnchor::from_pem(format!("{GOOGLE_RSA}{GOOGLE_P384}").as_bytes())
}

/// What attestations of Android keys are judged by.
#[derive(Debug, Clone)]
pub struct AndroidTrust {
    /// The roots.
    pub roots: Vec<TrustAnchor>,
    /// The revocation list.
    pub status: StatusList,
}

/// An Android app that may make keys for a wallet's RP ID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AndroidApp {
    /// Name of the package.
    pub package: String,
    /// SHA-256 of the certificates that may sign it, base64url: the current and the next one.
    pub signing_digests: Vec<String>,
}

/// What an issuer demands of phones, besides what [`verify`] always demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AndroidPolicy {
    /// Oldest month of security patches, `YYYYMM`.
    pub min_patch_level: Option<u32>,
    /// Whether a key that takes the PIN or password as well is taken, as [`AssuranceLevel::BiometricCapable`].
    pub accept_pin: bool,
}

/// What the hardware says about a key, verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AndroidKey {
    /// [`AssuranceLevel::BiometricAttested`], or by policy [`AssuranceLevel::BiometricCapable`].
    pub level: AssuranceLevel,
    /// StrongBox or a TEE.
    pub protection: KeyProtection,
}

/// Verifies an `android-key` attestation of `registration` and judges the key; `apps` are those registered for the RP ID.
///
/// Errors, first failure wins:
/// * the statement and the key: those of [`packed`](super::packed), `android_key_public_key`;
/// * the chain: `android_key_extension_missing`, `android_key_extension_misplaced`, `android_key_extension_repeated`;
///   `attestation_untrusted`, `x509_expired`, `x509_not_yet_valid`; `android_status_stale`, `android_key_revoked`;
/// * the key: `android_key_description`, `android_key_challenge`, `android_key_security_level`, `android_key_purpose`,
///   `android_key_all_applications`, `android_key_origin`, `android_key_no_auth_required`, `android_key_auth_timeout`,
///   `android_key_user_auth_type`;
/// * the phone: `android_key_root_of_trust`, `android_key_device_unlocked`, `android_key_boot_state`,
///   `android_key_patch_level`;
/// * the app: `android_key_application`, `android_key_package`, `android_key_signing_digest`,
///   `android_key_origin_digest`.
pub fn verify(
    registration: &VerifiedRegistration,
    trust: &AndroidTrust,
    apps: &[AndroidApp],
    now: UnixTime,
    policy: &AndroidPolicy,
    limits: &Limits,
) -> Result<AndroidKey> {
    let chain = check_statement(registration, limits)?;
    let extension = only_extension(&chain)?;
    chain.verify(&trust.roots, now).map_err(|error| match error {
        Error::NotCurrent { .. } => error,
        other => Error::untrusted(
            "attestation_untrusted",
            format!("the attestation does not chain to a root of Google: {}", other.detail()),
        ),
    })?;
    trust.status.check(chain.certificates(), now)?;
    let description = KeyDescription::parse(extension)?;
    if description.challenge != registration.attestation.client_data_hash {
        return Err(Error::untrusted("android_key_challenge", "the key was attested for something else"));
    }
    let protection = protection(&description)?;
    let level = check_key(&description, policy)?;
    check_phone(&description.hardware_enforced, policy)?;
    check_app(&description, apps, &registration.origin)?;
    Ok(AndroidKey { level, protection })
}

/// §8.4: the signature by the new key, whose certificate is the leaf.
fn check_statement(registration: &VerifiedRegistration, limits: &Limits) -> Result<UnverifiedChain> {
    let attestation = &registration.attestation;
    let statement = Statement::read(&attestation.statement)?;
    let Some(x5c) = &statement.x5c else {
        return Err(Error::malformed("attestation_statement", "an android-key attestation without x5c"));
    };
    let chain = UnverifiedChain::from_der(x5c, limits)?;
    if algorithm_from_cose(statement.alg)? != registration.public_key.algorithm() {
        let detail = "the attestation's algorithm does not fit its key";
        return Err(Error::untrusted("attestation_algorithm", detail));
    }
    if chain.leaf_public_key()? != registration.public_key {
        return Err(Error::untrusted("android_key_public_key", "the certificate belongs to another key"));
    }
    let message = [&attestation.authenticator_data[..], &attestation.client_data_hash].concat();
    registration.public_key.verify_der(&message, statement.sig).map_err(|_| {
        Error::untrusted("attestation_signature", "the attestation's signature does not verify")
    })?;
    Ok(chain)
}

/// The extension of the leaf, if no other certificate has one. A key that may sign certificates could otherwise stand
/// for a made-up key below it.
fn only_extension(chain: &UnverifiedChain) -> Result<&[u8]> {
    let above = chain.certificates().skip(1).any(|certificate| certificate.extension(EXTENSION).is_some());
    match (chain.leaf().extension(EXTENSION), above) {
        (Some(extension), false) => Ok(&extension.value),
        (Some(_), true) => Err(Error::untrusted(
            "android_key_extension_repeated",
            "more than one certificate describes a key",
        )),
        (None, true) => {
            Err(Error::untrusted("android_key_extension_misplaced", "the described key is not the leaf's"))
        }
        (None, false) => {
            Err(Error::untrusted("android_key_extension_missing", "no certificate describes the key"))
        }
    }
}

/// Both the attestation and the key come from secure hardware; the weaker of both counts.
fn protection(description: &KeyDescription) -> Result<KeyProtection> {
    match (description.attestation_level, description.key_level) {
        (SecurityLevel::StrongBox, SecurityLevel::StrongBox) => Ok(KeyProtection::Strongbox),
        (SecurityLevel::Software, _) | (_, SecurityLevel::Software) => Err(Error::refused(
            "android_key_security_level",
            "the key or its attestation is made by software",
        )),
        _ => Ok(KeyProtection::Tee),
    }
}

fn check_key(description: &KeyDescription, policy: &AndroidPolicy) -> Result<AssuranceLevel> {
    let (hardware, software) = (&description.hardware_enforced, &description.software_enforced);
    let either = |found: fn(&AuthorizationList) -> bool| found(hardware) || found(software);
    if hardware.purposes != [PURPOSE_SIGN] {
        return Err(Error::refused("android_key_purpose", "the key may do something else than sign"));
    }
    if either(|list| list.all_applications) {
        return Err(Error::refused("android_key_all_applications", "every app may use the key"));
    }
    if hardware.origin != Some(ORIGIN_GENERATED) {
        return Err(Error::refused("android_key_origin", "the key was not generated in the key store"));
    }
    if either(|list| list.no_auth_required) {
        let detail = "the key can be used without authentication of its user";
        return Err(Error::refused("android_key_no_auth_required", detail));
    }
    if either(|list| list.auth_timeout.is_some()) {
        let detail = "one authentication opens the key for a while, not for one use";
        return Err(Error::refused("android_key_auth_timeout", detail));
    }
    match hardware.user_auth_type {
        Some(AUTH_BIOMETRIC) => Ok(AssuranceLevel::BiometricAttested),
        Some(kinds) if kinds == AUTH_BIOMETRIC | AUTH_PIN && policy.accept_pin => {
            Ok(AssuranceLevel::BiometricCapable)
        }
        _ => {
            let detail = "the hardware does not demand a biometric and nothing else for every use";
            Err(Error::refused("android_key_user_auth_type", detail))
        }
    }
}

fn check_phone(hardware: &AuthorizationList, policy: &AndroidPolicy) -> Result<()> {
    let Some(root) = hardware.root_of_trust else {
        return Err(Error::refused("android_key_root_of_trust", "nothing is said about the phone's boot"));
    };
    if !root.device_locked {
        return Err(Error::refused("android_key_device_unlocked", "the phone's boot loader is unlocked"));
    }
    if root.boot_state != BootState::Verified {
        return Err(Error::refused("android_key_boot_state", "the phone does not run its maker's system"));
    }
    let Some(oldest) = policy.min_patch_level.map(u64::from) else { return Ok(()) };
    // Vendor and boot image carry a day behind the month, and are not stated by every phone.
    let system = hardware.os_patch_level.is_some_and(|month| month >= oldest);
    let parts = [hardware.vendor_patch_level, hardware.boot_patch_level];
    if system && parts.into_iter().flatten().all(|day| day / 100 >= oldest) {
        Ok(())
    } else {
        Err(Error::refused("android_key_patch_level", "the phone's security patches are too old"))
    }
}

fn check_app(description: &KeyDescription, apps: &[AndroidApp], origin: &str) -> Result<()> {
    let lists = [&description.software_enforced, &description.hardware_enforced];
    let mut stated = lists.into_iter().filter_map(|list| list.application_id.as_ref());
    let (Some(ApplicationId { packages, signing_digests }), None) = (stated.next(), stated.next()) else {
        return Err(Error::refused("android_key_application", "it is not stated which app made the key"));
    };
    // Apps of one user id share their keys, so each of them must be registered.
    let registered = |package: &String| apps.iter().find(|app| app.package == *package);
    let makers = packages.iter().map(registered).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty());
    let Some(makers) = makers else {
        return Err(Error::refused("android_key_package", "the key was made by another app"));
    };
    let digests: Vec<String> = signing_digests.iter().map(|digest| base64url::encode(digest)).collect();
    let signs = |app: &&AndroidApp| digests.iter().all(|digest| app.signing_digests.contains(digest));
    if digests.is_empty() || !makers.iter().all(signs) {
        return Err(Error::refused("android_key_signing_digest", "the app is signed by another key"));
    }
    match origin.strip_prefix(APK_KEY_HASH) {
        Some(digest) if !digests.iter().any(|stated| stated == digest) => {
            let detail = "the origin names another signing key than the attestation";
            Err(Error::untrusted("android_key_origin_digest", detail))
        }
        _ => Ok(()),
    }
}
