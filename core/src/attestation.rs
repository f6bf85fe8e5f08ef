//! Attestation: what evidence about an authenticator is worth (WebAuthn Level 3 §7.1 steps 21–24, §8).
//!
//! [`grade`] judges the attestation of a registration and gives its place on the [`level`] ladder. Carried formats:
//! `none` and `packed` ([`packed`]), the latter graded by FIDO metadata ([`metadata`]). A format that is not carried
//! proves nothing here, so such a key gets what its UV flag proves: [`AssuranceLevel::Uv`], unless the policy refuses it.

pub mod level;
pub mod metadata;
pub mod packed;

use serde::Serialize;

use crate::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use crate::attestation::metadata::{MetadataEntry, VerifiedMetadata};
use crate::attestation::packed::PackedAttestation;
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::webauthn::registration::VerifiedRegistration;

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
}

/// Grades a verified registration. `metadata` is the operator's FIDO metadata; once it is out of date (a server may run
/// for months) it still refuses models, and no longer lifts any above [`AssuranceLevel::Uv`].
///
/// Errors: those of [`packed::verify`]; `attestation_statement` for a `none` with content; `attestation_format` by
/// policy; `attestation_untrusted` when the chain does not end at a root of the model's metadata;
/// `authenticator_status` when the model is revoked or broken (newest status report, or any revocation).
pub fn grade(
    registration: &VerifiedRegistration,
    metadata: Option<&VerifiedMetadata>,
    now: UnixTime,
    policy: &GradingPolicy,
    limits: &Limits,
) -> Result<Grade> {
    let entry = metadata.and_then(|m| m.entry(&registration.aaguid));
    // A model that is known to be broken is refused even where its AAGUID is only claimed.
    if let Some(status) = entry.and_then(MetadataEntry::fatal_status) {
        return Err(Error::refused(
            "authenticator_status",
            format!("this model of authenticator is not accepted any more ({})", status.as_str()),
        ));
    }
    let kind = match registration.attestation.format.as_str() {
        "none" => none(registration)?,
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

/// What the flags alone prove.
fn by_flags(registration: &VerifiedRegistration, attestation: AttestationKind) -> Grade {
    Grade {
        level: if registration.user_verified { AssuranceLevel::Uv } else { AssuranceLevel::None },
        key_protection: KeyProtection::Unknown,
        backup_eligible: registration.backup_eligible,
        modality: None,
        cert_level: None,
        attestation,
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
