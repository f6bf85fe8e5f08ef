//! The issuer's side of an enrolment: AK is real, fresh, bound to HK, and graded.

use crate::attestation::app_attest::AppAttestKey;
use crate::attestation::level::AssuranceLevel;
use crate::attestation::{
    AppAttestInput, AttestationTrust, Grade, Grading, GradingPolicy, WalletApps, grade,
};
use crate::binding::claim::{ClientKind, MAX_ORIGINS, UvDemand, WebauthnBinding};
use crate::binding::report::Report;
use crate::binding::statement::EnrolmentStatement;
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::key::SignatureAlgorithm;
use crate::limits::Limits;
use crate::webauthn::UserVerification;
use crate::webauthn::registration::{
    self, RegistrationExpectation, RegistrationResponse, UnverifiedAttestation, VerifiedRegistration,
};

/// Name of the credential request's member: an array of `RegistrationResponseJSON`, one for each holder key.
pub const WEBAUTHN_REGISTRATIONS: &str = "webauthn_registrations";

/// Name of the key proof's claim in which HK names AK: its RFC 7638 thumbprint.
pub const AK_JKT: &str = "ak_jkt";

/// A wallet that the issuer has registered: what its keys may claim to belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletRegistration {
    /// The wallet's client id.
    pub client_id: String,
    /// The RP ID of its presentation keys.
    pub rp_id: String,
    /// Its origins: exact strings, at most [`MAX_ORIGINS`].
    pub origins: Vec<String>,
    /// What makes its client data.
    pub client: ClientKind,
    /// The apps that may attest its keys.
    pub apps: WalletApps,
}

/// What arrived with a credential request whose nonce was taken and whose key proof **has been verified**.
#[derive(Debug, Clone, Copy)]
pub struct EnrolmentInput<'a> {
    /// The registration of AK.
    pub registration: &'a RegistrationResponse,
    /// RFC 7638 thumbprint of HK, which signed the key proof.
    pub hk_jkt: &'a str,
    /// The claim `ak_jkt` of the key proof.
    pub ak_jkt: Option<&'a str>,
    /// The nonce of the key proof, taken by this request.
    pub c_nonce: &'a str,
    /// The wallet's client id (`iss` of the key proof, or the authenticated client).
    pub client_id: &'a str,
    /// What the issuer keeps about the App Attest key that the registration names.
    pub known_app: Option<&'a AppAttestKey>,
}

/// How an issuer enrols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentPolicy {
    /// The lowest level that is enrolled.
    pub min_level: AssuranceLevel,
    /// The policy's URI with its version, for the claim.
    pub uri: String,
    /// How attestations are graded.
    pub grading: GradingPolicy,
}

/// An enrolment that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedEnrolment {
    /// The claim to sign into the credential.
    pub binding: WebauthnBinding,
    /// The grade, for the audit record.
    pub grade: Grade,
    /// AK's credential id: the issuer refuses one that it has seen before.
    pub credential_id: Vec<u8>,
    /// The model that the authenticator claims, for the audit record only: never into a credential.
    pub aaguid: [u8; 16],
    /// The raw attestation, for the audit record only, with a period of retention: it identifies the device.
    pub attestation: UnverifiedAttestation,
}

/// Verifies an enrolment: checks 2 (as far as it concerns AK) to 5 of the design, in order. The nonce (check 1), the rest
/// of the key proof, and whether the credential id was seen before are the caller's.
///
/// Each check adds a line to `report`. Errors, first failure wins: `wallet_unknown`; those of [`registration::verify`];
/// `ak_jkt_missing`, `ak_jkt_mismatch`; those of [`grade`]; `enrolment_level_too_low`.
#[allow(clippy::too_many_arguments)] // each is supplied by another party
pub fn verify_enrolment(
    input: &EnrolmentInput<'_>,
    issuer: &str,
    wallet: &WalletRegistration,
    policy: &EnrolmentPolicy,
    trust: &AttestationTrust,
    now: UnixTime,
    limits: &Limits,
    report: &mut Report,
) -> Result<VerifiedEnrolment> {
    report.record(
        "enrolment_wallet",
        "The wallet is one that the issuer knows.",
        check_wallet(input, wallet),
    )?;
    let registration = report.record(
        "enrolment_registration",
        "A new key was made for this request, with its user verified.",
        check_registration(input, issuer, wallet, limits),
    )?;
    let jwk = Jwk::from_key(&registration.public_key);
    report.record(
        "enrolment_keys",
        "The holder key and the second key name each other.",
        check_ak_jkt(input.ak_jkt, &jwk),
    )?;
    let app_attest = input.registration.app_attest.as_ref();
    let grading = Grading {
        trust,
        apps: &wallet.apps,
        app_attest: app_attest.map(|evidence| AppAttestInput { evidence, known: input.known_app }),
        policy: &policy.grading,
        now,
        limits,
    };
    let graded = grade(&registration, &grading).and_then(|grade| {
        if grade.level.satisfies(policy.min_level) {
            Ok(grade)
        } else {
            Err(Error::refused(
                "enrolment_level_too_low",
                "the authenticator does not reach the level that is needed",
            ))
        }
    });
    let grade =
        report.record("enrolment_grade", "The authenticator reaches the level that is needed.", graded)?;
    let binding = WebauthnBinding {
        jwk,
        rp_id: wallet.rp_id.clone(),
        origins: wallet.origins.clone(),
        client: wallet.client,
        uv: UvDemand::Required,
        backup_eligible: grade.backup_eligible,
        level: grade.level,
        key_protection: grade.key_protection,
        modality: grade.modality,
        cert_level: grade.cert_level,
        evaluated_at: now,
        policy: policy.uri.clone(),
    };
    Ok(VerifiedEnrolment {
        binding,
        grade,
        credential_id: registration.credential_id,
        aaguid: registration.aaguid,
        attestation: registration.attestation,
    })
}

fn check_wallet(input: &EnrolmentInput<'_>, wallet: &WalletRegistration) -> Result<()> {
    if wallet.origins.is_empty() || wallet.origins.len() > MAX_ORIGINS {
        return Err(Error::misuse("wallet_origins", "a wallet is registered with one to eight origins"));
    }
    if input.client_id == wallet.client_id {
        Ok(())
    } else {
        Err(Error::refused("wallet_unknown", "the issuer does not know this wallet"))
    }
}

fn check_registration(
    input: &EnrolmentInput<'_>,
    issuer: &str,
    wallet: &WalletRegistration,
    limits: &Limits,
) -> Result<VerifiedRegistration> {
    let statement = EnrolmentStatement {
        c_nonce: input.c_nonce,
        client_id: input.client_id,
        hk_jkt: input.hk_jkt,
        iss: issuer,
        rp_id: &wallet.rp_id,
    };
    let expected = RegistrationExpectation {
        challenge: &statement.challenge()?,
        origins: &wallet.origins,
        rp_id: &wallet.rp_id,
        user_verification: UserVerification::Required,
        algorithms: &[SignatureAlgorithm::Es256],
    };
    registration::verify(input.registration, &expected, limits)
}

fn check_ak_jkt(claimed: Option<&str>, jwk: &Jwk) -> Result<()> {
    match claimed {
        None => Err(Error::untrusted("ak_jkt_missing", "the key proof does not name the second key")),
        Some(thumbprint) if thumbprint == jwk.thumbprint() => Ok(()),
        Some(_) => Err(Error::untrusted("ak_jkt_mismatch", "the key proof names another second key")),
    }
}
