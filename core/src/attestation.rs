//! Attestation: what evidence about an authenticator is worth (WebAuthn Level 3 §7.1 steps 21–24, §8).
//!
//! [`grade`] judges the attestation of a registration and gives its place on the [`level`] ladder. Carried formats:
//! `none`; `packed` ([`packed`]), graded by FIDO metadata ([`metadata`]); `android-key` ([`android_key`]); and Apple's
//! App Attest beside `none` ([`app_attest`]). A format that is not carried, or for which the issuer has no roots or the
//! wallet no registered app, proves nothing here: such a key gets what its UV flag proves, [`AssuranceLevel::Uv`], unless
//! the policy refuses it. What can be judged and falls short is refused, never graded lower in silence.
//!
//! Beside these stand a wallet provider's statements: about holder keys ([`key_attestation`]) and about the wallet
//! ([`wallet_attestation`]), by providers that the operator names ([`wallet_provider`]).

pub mod android_key;
pub mod app_attest;
pub mod key_attestation;
pub mod level;
pub mod metadata;
pub mod packed;
pub mod wallet_attestation;
pub mod wallet_provider;

use serde::{Deserialize, Serialize};

use crate::attestation::android_key::{AndroidApp, AndroidPolicy, AndroidTrust};
use crate::attestation::app_attest::{AppAttestExpectation, AppAttestKey, ApplePolicy};
use crate::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use crate::attestation::metadata::{MetadataEntry, VerifiedMetadata};
use crate::attestation::packed::PackedAttestation;
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::webauthn::registration::{AppAttestEvidence, VerifiedRegistration};
use crate::x509::TrustAnchor;

/// What an issuer does with attestations that it cannot judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnjudgedAttestation {
    /// Grade the key by its UV flag alone, as if no attestation had come.
    #[default]
    AsNone,
    /// Refuse the registration (`attestation_format`).
    Refuse,
}

/// How an issuer grades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GradingPolicy {
    /// What to do with formats that are not carried.
    pub unjudged: UnjudgedAttestation,
    /// What is demanded of Android phones.
    pub android: AndroidPolicy,
    /// What is demanded of Apple's devices.
    pub apple: ApplePolicy,
}

/// What attestations are judged by: roots, metadata and lists that the operator loaded. Empty: nothing is judged.
#[derive(Debug, Clone, Default)]
pub struct AttestationTrust {
    /// FIDO metadata, verified. Once it is out of date (a server may run for months) it still refuses models, and no
    /// longer lifts any above [`AssuranceLevel::Uv`].
    pub metadata: Option<VerifiedMetadata>,
    /// Roots and revocation list of Android keys.
    pub android: Option<AndroidTrust>,
    /// Roots of App Attest.
    pub apple: Vec<TrustAnchor>,
}

/// The apps that may make keys for a wallet's RP ID.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalletApps {
    /// On Android.
    pub android: Vec<AndroidApp>,
    /// On Apple's systems: App IDs, `<team>.<bundle identifier>`.
    pub apple: Vec<String>,
}

/// App Attest evidence, and what is known of its key.
#[derive(Debug, Clone, Copy)]
pub struct AppAttestInput<'a> {
    /// What came.
    pub evidence: &'a AppAttestEvidence,
    /// The key, when it was attested before.
    pub known: Option<&'a AppAttestKey>,
}

/// What [`grade`] judges a registration by.
#[derive(Debug, Clone, Copy)]
pub struct Grading<'a> {
    /// Roots, metadata, lists.
    pub trust: &'a AttestationTrust,
    /// The apps of the wallet whose key it is.
    pub apps: &'a WalletApps,
    /// Evidence of App Attest, where some came.
    pub app_attest: Option<AppAttestInput<'a>>,
    /// The policy.
    pub policy: &'a GradingPolicy,
    /// The time of the check.
    pub now: UnixTime,
    /// Sizes.
    pub limits: &'a Limits,
}

/// What came as attestation and how far it could be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttestationKind {
    /// `none`.
    None,
    /// `packed`, signed by the key itself: proves possession only.
    SelfSigned,
    /// `packed`, well signed, but by a model that no metadata names.
    UnknownModel,
    /// `packed`, well signed, but the metadata for its model is out of date: it may only refuse.
    StaleMetadata,
    /// A format that is not carried.
    Unjudged,
    /// `packed`, chained to a root of the metadata for its model.
    Metadata,
    /// `android-key`, chained to a root of Google.
    AndroidKey,
    /// `none`, vouched for by an App Attest key.
    AppAttest,
}

/// The place of a key on the ladder, and what else was established.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grade {
    /// The level.
    pub level: AssuranceLevel,
    /// Where the key lives.
    pub key_protection: KeyProtection,
    /// The BE flag.
    pub backup_eligible: bool,
    /// The trait that every use needs, where metadata proves it.
    pub modality: Option<Modality>,
    /// The certified level of the biometric component, where metadata names it.
    pub cert_level: Option<u16>,
    /// What the grade rests on.
    pub attestation: AttestationKind,
    /// The App Attest key with its new counter, to be kept under its key id.
    pub app_attest: Option<AppAttestKey>,
}

/// Grades a verified registration.
///
/// Errors: those of [`packed::verify`], [`android_key::verify`] and [`app_attest::verify`]; `attestation_statement` for a
/// `none` with content; `attestation_format` by policy; `attestation_untrusted` when the chain does not end at a root of
/// the model's metadata; `authenticator_status` when the model is revoked or broken (newest status report, or any
/// revocation); `attestation_backup_eligible` for a key of a phone's hardware that claims to be backed up.
pub fn grade(registration: &VerifiedRegistration, grading: &Grading<'_>) -> Result<Grade> {
    let Grading { trust, apps, policy, now, limits, .. } = *grading;
    let metadata = trust.metadata.as_ref();
    let entry = metadata.and_then(|m| m.entry(&registration.aaguid));
    // A model that is known to be broken is refused even where its AAGUID is only claimed.
    if let Some(status) = entry.and_then(MetadataEntry::fatal_status) {
        return Err(Error::refused(
            "authenticator_status",
            format!("this model of authenticator is not accepted any more ({})", status.as_str()),
        ));
    }
    let kind = match registration.attestation.format.as_str() {
        "none" => match none(registration)? {
            kind if apps.apple.is_empty() || trust.apple.is_empty() => kind,
            kind => match &grading.app_attest {
                Some(input) => return app_attested(registration, input, grading),
                None => kind,
            },
        },
        "android-key" if let (Some(android), false) = (&trust.android, apps.android.is_empty()) => {
            let key =
                android_key::verify(registration, android, &apps.android, now, &policy.android, limits)?;
            return in_hardware(registration, key.level, key.protection, AttestationKind::AndroidKey);
        }
        "packed" => match packed::verify(registration, limits)? {
            PackedAttestation::SelfSigned => AttestationKind::SelfSigned,
            PackedAttestation::Certified(chain) => match entry {
                None => AttestationKind::UnknownModel,
                Some(_) if metadata.is_none_or(|m| now > m.usable_until()) => AttestationKind::StaleMetadata,
                Some(entry) => {
                    chain.verify(&entry.roots, now).map_err(|e| {
                        Error::untrusted(
                            "attestation_untrusted",
                            format!("the attestation does not chain to a root of its model: {}", e.detail()),
                        )
                    })?;
                    AttestationKind::Metadata
                }
            },
        },
        _ if policy.unjudged == UnjudgedAttestation::AsNone => AttestationKind::Unjudged,
        _ => return Err(Error::unsupported("attestation_format", "the attestation format is not carried")),
    };
    Ok(match (kind, entry) {
        (AttestationKind::Metadata, Some(entry)) => by_metadata(registration, entry),
        _ => by_flags(registration, kind),
    })
}

fn none(registration: &VerifiedRegistration) -> Result<AttestationKind> {
    // §8.7: the statement is an empty map.
    if registration.attestation.statement == [0xa0] {
        Ok(AttestationKind::None)
    } else {
        Err(Error::malformed("attestation_statement", "an attestation of format none has content"))
    }
}

/// A key that an attested app vouches for.
fn app_attested(
    registration: &VerifiedRegistration,
    input: &AppAttestInput<'_>,
    grading: &Grading<'_>,
) -> Result<Grade> {
    let hash =
        app_attest::client_data_hash(&registration.attestation.client_data_hash, &registration.public_key);
    let expected = AppAttestExpectation {
        roots: &grading.trust.apple,
        app_ids: &grading.apps.apple,
        policy: grading.policy.apple,
        now: grading.now,
    };
    let key = app_attest::verify(input.evidence, input.known, &hash, &expected, grading.limits)?;
    let level = AssuranceLevel::BiometricAppAsserted;
    let grade = in_hardware(registration, level, KeyProtection::SecureEnclave, AttestationKind::AppAttest)?;
    Ok(Grade { app_attest: Some(key), ..grade })
}

/// A key that cannot leave the phone's hardware and reaches `level` if its user was verified now.
fn in_hardware(
    registration: &VerifiedRegistration,
    level: AssuranceLevel,
    key_protection: KeyProtection,
    kind: AttestationKind,
) -> Result<Grade> {
    let flags = by_flags(registration, kind);
    if flags.backup_eligible {
        let detail = "a key of the phone's hardware cannot be backed up";
        return Err(Error::refused("attestation_backup_eligible", detail));
    }
    let level = if flags.level == AssuranceLevel::Uv { level } else { flags.level };
    Ok(Grade { level, key_protection, ..flags })
}

/// What the flags alone prove.
fn by_flags(registration: &VerifiedRegistration, attestation: AttestationKind) -> Grade {
    Grade {
        level: if registration.user_verified { AssuranceLevel::Uv } else { AssuranceLevel::None },
        key_protection: KeyProtection::Unknown,
        backup_eligible: registration.backup_eligible,
        modality: None,
        cert_level: None,
        attestation,
        app_attest: None,
    }
}

/// What the flags prove of a model whose properties are known.
fn by_metadata(registration: &VerifiedRegistration, entry: &MetadataEntry) -> Grade {
    let flags = by_flags(registration, AttestationKind::Metadata);
    // Levels above `uv` need user verification now, and a key that cannot leave its authenticator.
    let above = flags.level == AssuranceLevel::Uv && !flags.backup_eligible;
    let level = if above { entry.level() } else { flags.level };
    let modality = if level == AssuranceLevel::BiometricAttested { entry.modality() } else { None };
    let cert_level = if level.above_uv() { entry.cert_level(modality) } else { None };
    Grade { level, key_protection: entry.key_protection(), modality, cert_level, ..flags }
}
