//! The verifier's side of a step-up: fully offline, one error code per check.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use crate::binding::claim::{ClientKind, WebauthnBinding};
use crate::binding::report::Report;
use crate::binding::statement::PresentationStatement;
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::webauthn::assertion::{self, Assertion, AssertionExpectation, VerifiedAssertion};
use crate::webauthn::{Bytes, UserVerification};

/// Name of the key-binding JWT's claim that holds a [`WebauthnAssertion`].
pub const WEBAUTHN_ASSERTION: &str = "webauthn_assertion";

/// Name of the key-binding JWT's claim with the factors that the wallet asserts (shape of EUDI TS12).
pub const AUTHENTICATION_FACTORS: &str = "authentication_factors";

const MAX_FACTORS: usize = 8;

/// The assertion inside the key-binding JWT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebauthnAssertion {
    /// The credential id; a hint only, nothing depends on it.
    pub id: Bytes,
    /// The authenticator data as signed.
    pub authenticator_data: Bytes,
    /// The client data as signed.
    pub client_data_json: Bytes,
    /// The signature.
    pub signature: Bytes,
}

/// What was presented, **already verified**: the credential by its issuer's key, status and times, the key-binding JWT by
/// the credential's `cnf` key.
#[derive(Clone, Copy)]
pub struct StepUpInput<'a> {
    /// The claims of the key-binding JWT.
    pub kb_claims: &'a Map<String, Value>,
    /// The credential's claim `webauthn_binding`, when it was disclosed.
    pub binding: Option<&'a Value>,
    /// RFC 7638 thumbprint of the credential's `cnf` key.
    pub hk_jkt: &'a str,
    /// `sd_hash` as the verifier computed it over what it received.
    pub content_hash: &'a str,
}

impl fmt::Debug for StepUpInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepUpInput").field("disclosed", &self.binding.is_some()).finish_non_exhaustive()
    }
}

/// What the verifier holds itself.
#[derive(Debug, Clone, Copy)]
pub struct StepUpExpectation<'a> {
    /// Its own client id.
    pub audience: &'a str,
    /// The nonce that it sent, taken from its store by this response.
    pub nonce: &'a str,
    /// SHA-256 hashes (base64url) of the `transaction_data` strings **that it sent**, in that order; empty for none.
    pub transaction_data_hashes: &'a [String],
    /// The time of the check.
    pub now: UnixTime,
    /// The signature counter last seen of this key, where the verifier remembers it.
    pub previous_sign_count: Option<u32>,
}

/// What the verifier accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUpPolicy {
    /// The lowest level.
    pub min_level: AssuranceLevel,
    /// The lowest key protection; [`KeyProtection::Unknown`] asks for none.
    pub min_key_protection: KeyProtection,
    /// The longest life of the key-binding JWT, seconds.
    pub max_age: u32,
    /// How far the clocks may differ, seconds.
    pub clock_skew: u32,
    /// How old the issuer's grading may be, seconds; `None`: as old as the credential.
    pub max_evaluation_age: Option<u32>,
}

impl StepUpPolicy {
    /// A policy for `min_level`: 120 seconds, 60 seconds of skew, no demand on key protection or age of the grading.
    pub const fn new(min_level: AssuranceLevel) -> Self {
        Self {
            min_level,
            min_key_protection: KeyProtection::Unknown,
            max_age: 120,
            clock_skew: 60,
            max_evaluation_age: None,
        }
    }
}

/// Something a risk engine may want to know; never a failure by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepUpWarning {
    /// The signature counter did not grow: the key may have been cloned.
    SignatureCounterNotIncreased,
    /// Reserved bits of the flags were set.
    ReservedFlagsSet,
    /// The key is backed up: more than one device may hold it.
    KeyIsBackedUp,
}

/// The fresh user verification: what the issuer established about the key, and when it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepUp {
    /// The issuer-signed level.
    pub level: AssuranceLevel,
    /// Where the key lives, issuer-signed.
    pub key_protection: KeyProtection,
    /// The trait that every use needs, issuer-signed, only where proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// The certified level of the biometric component, issuer-signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_level: Option<u16>,
    /// What made the client data.
    pub client: ClientKind,
    /// The time that the person's approval names (`iat` of the key-binding JWT).
    pub at: UnixTime,
}

/// The result of [`verify_step_up`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifiedStepUp {
    /// Always true: the holder key signed this presentation.
    pub holder_bound: bool,
    /// The step-up.
    pub step_up: StepUp,
    /// What the wallet says about factors (`authentication_factors`): its own word, no evidence.
    pub wallet_asserted_factors: Vec<Map<String, Value>>,
    /// Risk signals.
    pub warnings: Vec<StepUpWarning>,
    /// The signature counter, for those who remember it; zero means "not kept".
    pub sign_count: u32,
}

impl VerifiedStepUp {
    /// A suggestion for OpenID Connect's `amr` (RFC 8176): `hwk` only with evidence of hardware, a trait only where the
    /// issuer attested that every use needs it.
    pub fn amr(&self) -> Vec<&'static str> {
        let mut amr = vec!["pop"];
        if self.step_up.key_protection.satisfies(KeyProtection::Tee) {
            amr.push("hwk");
        }
        amr.extend(["user", "mfa"]);
        if self.step_up.level == AssuranceLevel::BiometricAttested {
            amr.extend(self.step_up.modality.and_then(Modality::amr));
        }
        amr
    }
}

/// The claims of the key-binding JWT that matter here.
struct KeyBinding {
    iat: UnixTime,
    exp: UnixTime,
    factors: Vec<Map<String, Value>>,
}

/// Verifies a step-up: steps 3 to 9 of the design, after the checks of steps 1 and 2 that bind the key-binding JWT to this
/// verifier's request (repeated here, so that nothing depends on the caller's having made them).
///
/// Call it whenever step-up was asked for: a missing binding or assertion is an error, never "continue without".
/// Each check adds a line to `report`. Errors, first failure wins:
///
/// | step | codes |
/// | --- | --- |
/// | 1 | `kb_audience_mismatch` `kb_nonce_mismatch` `kb_times` `kb_lifetime` `kb_not_yet_valid` `kb_expired` `kb_content_mismatch` |
/// | 2 | `kb_transaction_data_mismatch` |
/// | 3 | `binding_missing` `webauthn_binding` `level_too_low` `key_protection_too_low` `binding_evaluation_stale` |
/// | 4, 5 | `assertion_missing` `webauthn_assertion` `client_data_size` `client_data` `client_data_type` `challenge_mismatch` `origin_not_allowed` `cross_origin` `top_origin` |
/// | 6 | `authenticator_data_size` `authenticator_data` `cbor` `rp_id_mismatch` `user_not_present` `user_not_verified` `backup_flags` `backup_eligibility_changed` `unexpected_attested_data` |
/// | 7 | `assertion_signature` |
///
/// Step 8 (counter) only warns; step 9 is the result.
pub fn verify_step_up(
    input: &StepUpInput<'_>,
    expected: &StepUpExpectation<'_>,
    policy: &StepUpPolicy,
    limits: &Limits,
    report: &mut Report,
) -> Result<VerifiedStepUp> {
    // Step 1: the key-binding JWT answers this request, now, about this content.
    let kb = report.record(
        "step_up_request",
        "The answer was made for this request, just now.",
        check_key_binding(input, expected, policy),
    )?;
    // Step 2: the person approved exactly what was asked.
    report.record(
        "step_up_transaction",
        "The approval names exactly the transaction that was asked for.",
        check_transaction_data(input.kb_claims, expected.transaction_data_hashes),
    )?;
    // Step 3: the issuer's word about the second key.
    let binding = report.record(
        "step_up_level",
        "The issuer graded the second key at the level that is asked for, or above.",
        check_binding(input.binding, expected.now, policy),
    )?;
    // Step 4: the challenge, from what the verifier holds.
    let statement = PresentationStatement {
        aud: expected.audience,
        content_hash: input.content_hash,
        exp: kb.exp,
        hk_jkt: input.hk_jkt,
        iat: kb.iat,
        nonce: expected.nonce,
        txn: expected.transaction_data_hashes,
    };
    // Steps 5 to 7: the assertion.
    let verified = report.record(
        "step_up_assertion",
        "The second key signed this presentation after verifying its user.",
        check_assertion(input.kb_claims, &binding, &statement, limits),
    )?;
    // Step 8: risk signals. Step 9: the result.
    Ok(VerifiedStepUp {
        holder_bound: true,
        warnings: warnings(&verified, expected.previous_sign_count),
        sign_count: verified.sign_count,
        step_up: StepUp {
            level: binding.level,
            key_protection: binding.key_protection,
            modality: binding.modality,
            cert_level: binding.cert_level,
            client: binding.client,
            at: kb.iat,
        },
        wallet_asserted_factors: kb.factors,
    })
}

fn check_key_binding(
    input: &StepUpInput<'_>,
    expected: &StepUpExpectation<'_>,
    policy: &StepUpPolicy,
) -> Result<KeyBinding> {
    let claims = input.kb_claims;
    let is = |name: &str, value: &str| claims.get(name).and_then(Value::as_str) == Some(value);
    if !is("aud", expected.audience) {
        return Err(Error::untrusted(
            "kb_audience_mismatch",
            "the key-binding JWT was made for another verifier",
        ));
    }
    if !is("nonce", expected.nonce) {
        return Err(Error::untrusted(
            "kb_nonce_mismatch",
            "the key-binding JWT was made for another request",
        ));
    }
    let time = |name: &str| {
        claims.get(name).and_then(Value::as_i64).map(UnixTime::from_secs).ok_or_else(|| {
            Error::malformed(
                "kb_times",
                "a step-up needs whole seconds in iat and exp of the key-binding JWT",
            )
        })
    };
    let (iat, exp) = (time("iat")?, time("exp")?);
    let life = exp.since(iat);
    if life <= 0 || life > i64::from(policy.max_age) {
        return Err(Error::refused(
            "kb_lifetime",
            "the key-binding JWT lives longer than the verifier allows",
        ));
    }
    let (now, skew) = (expected.now, i64::from(policy.clock_skew));
    if iat > now.plus(skew) {
        return Err(Error::not_current(
            "kb_not_yet_valid",
            "the key-binding JWT comes from the future",
            now,
            iat,
        ));
    }
    if now > exp.plus(skew) {
        return Err(Error::not_current("kb_expired", "the key-binding JWT has expired", now, exp));
    }
    if !is("sd_hash", input.content_hash) {
        return Err(Error::untrusted(
            "kb_content_mismatch",
            "the key-binding JWT was made for other disclosures",
        ));
    }
    let factors = match claims.get(AUTHENTICATION_FACTORS) {
        Some(Value::Array(list)) => {
            list.iter().take(MAX_FACTORS).filter_map(Value::as_object).cloned().collect()
        }
        _ => Vec::new(),
    };
    Ok(KeyBinding { iat, exp, factors })
}

fn check_transaction_data(claims: &Map<String, Value>, sent: &[String]) -> Result<()> {
    let alg_fits =
        claims.get("transaction_data_hashes_alg").is_none_or(|alg| alg.as_str() == Some("sha-256"));
    let same = match claims.get("transaction_data_hashes") {
        None => sent.is_empty(),
        Some(Value::Array(hashes)) => {
            hashes.len() == sent.len() && hashes.iter().zip(sent).all(|(a, b)| a.as_str() == Some(b))
        }
        Some(_) => false,
    };
    if alg_fits && same {
        Ok(())
    } else {
        Err(Error::untrusted(
            "kb_transaction_data_mismatch",
            "the key-binding JWT does not name the transaction data that was sent",
        ))
    }
}

fn check_binding(claim: Option<&Value>, now: UnixTime, policy: &StepUpPolicy) -> Result<WebauthnBinding> {
    let claim = claim.ok_or_else(|| {
        Error::refused("binding_missing", "step-up was asked for, but the credential shows no second key")
    })?;
    let binding = WebauthnBinding::from_claim(claim)?;
    if !binding.level.satisfies(policy.min_level) {
        return Err(Error::refused("level_too_low", "the second key's level is below the one asked for"));
    }
    if !binding.key_protection.satisfies(policy.min_key_protection) {
        return Err(Error::refused(
            "key_protection_too_low",
            "the second key's protection is not the one asked for",
        ));
    }
    if let Some(max) = policy.max_evaluation_age {
        let limit = binding.evaluated_at.plus(i64::from(max));
        if now > limit {
            return Err(Error::not_current(
                "binding_evaluation_stale",
                "the issuer graded the second key too long ago",
                now,
                limit,
            ));
        }
    }
    Ok(binding)
}

fn check_assertion(
    claims: &Map<String, Value>,
    binding: &WebauthnBinding,
    statement: &PresentationStatement<'_>,
    limits: &Limits,
) -> Result<VerifiedAssertion> {
    let claim = claims.get(WEBAUTHN_ASSERTION).ok_or_else(|| {
        Error::refused("assertion_missing", "step-up was asked for, but no assertion came with the answer")
    })?;
    let presented = WebauthnAssertion::deserialize(claim).map_err(|_| {
        Error::malformed("webauthn_assertion", "the claim webauthn_assertion has the wrong shape")
    })?;
    let public_key = binding
        .jwk
        .public_key()
        .map_err(|_| Error::malformed("webauthn_binding", "the second key is not a valid public key"))?;
    assertion::verify(
        Assertion {
            client_data_json: &presented.client_data_json.0,
            authenticator_data: &presented.authenticator_data.0,
            signature: &presented.signature.0,
        },
        &AssertionExpectation {
            challenge: &statement.challenge()?,
            origins: &binding.origins,
            rp_id: &binding.rp_id,
            public_key: &public_key,
            backup_eligible: binding.backup_eligible,
            user_verification: UserVerification::Required,
        },
        limits,
    )
}

fn warnings(verified: &VerifiedAssertion, previous: Option<u32>) -> Vec<StepUpWarning> {
    let counter = previous.is_some_and(|previous| {
        (previous != 0 || verified.sign_count != 0) && verified.sign_count <= previous
    });
    [
        (counter, StepUpWarning::SignatureCounterNotIncreased),
        (verified.reserved_flags, StepUpWarning::ReservedFlagsSet),
        (verified.backup_state, StepUpWarning::KeyIsBackedUp),
    ]
    .into_iter()
    .filter_map(|(raised, warning)| raised.then_some(warning))
    .collect()
}
