//! What the verifier learned: verified claims and the list of checks, or a refusal with a code from a closed list.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use crate::binding::claim::ClientKind;
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::trust::{TrustBasis, TrustedBy};

/// One check and how it went, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The credential query that it is about; absent for checks of the whole response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Stable name of the check.
    pub id: String,
    /// Whether it passed.
    pub passed: bool,
    /// What holds, or why it does not, in words; never a claim value.
    pub detail: String,
    /// The code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A response that passed every check. Made only by [`verify`](super::verify). `Debug` hides the claims.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifiedPresentation {
    /// The credentials, in the order of their queries' ids.
    pub credentials: Vec<VerifiedCredential>,
    /// The assurance level of this response: the step-up's; without one, `none`.
    pub level: AssuranceLevel,
    /// The fresh user verification, where one was demanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<StepUpOutcome>,
    /// Every check, in order.
    pub checks: Vec<Check>,
}

/// One verified credential.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifiedCredential {
    /// The credential query that it answers.
    pub query_id: String,
    /// Its format.
    pub format: CredentialFormat,
    /// Its type: `vct`, or the expanded type of a W3C credential.
    pub vct: String,
    /// Its issuer.
    pub issuer: String,
    /// Why the issuer's key is trusted.
    pub trusted_by: TrustedBy,
    /// The trust anchor that this rests on.
    pub trust: TrustBasis,
    /// When it was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<UnixTime>,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixTime>,
    /// Whether the status list was looked up (policy may allow it not to be).
    pub status_checked: bool,
    /// Whether the holder proved the key that the credential names; `false` only where the query did without, and then
    /// whoever sent it may have got it from somebody else.
    pub holder_bound: bool,
    /// The disclosed claims, without the technical ones.
    pub claims: Map<String, Value>,
}

impl fmt::Debug for VerifiedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCredential")
            .field("query_id", &self.query_id)
            .field("vct", &self.vct)
            .field("issuer", &self.issuer)
            .field("claims", &self.claims.len())
            .finish_non_exhaustive()
    }
}

/// The fresh user verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepUpOutcome {
    /// The credential query whose presentation carries it.
    pub query_id: String,
    /// The issuer-signed level.
    pub level: AssuranceLevel,
    /// Where the second key lives, issuer-signed.
    pub key_protection: KeyProtection,
    /// The trait that every use needs, where proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// What made the client data.
    pub client: ClientKind,
    /// The time of the approval.
    pub at: UnixTime,
    /// What the wallet says about factors: its own word.
    pub wallet_asserted_factors: Vec<Map<String, Value>>,
    /// Risk signals, by their stable names.
    pub warnings: Vec<String>,
    /// Suggested `amr` values (RFC 8176) for a session.
    pub amr: Vec<String>,
}

/// The same fields as [`VerifiedPresentation`], for the verifier's own record of it.
#[derive(Deserialize)]
struct Recorded {
    credentials: Vec<RecordedCredential>,
    level: AssuranceLevel,
    step_up: Option<StepUpOutcome>,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct RecordedCredential {
    query_id: String,
    /// Absent in records of the time when there was one format.
    #[serde(default = "sd_jwt_vc")]
    format: CredentialFormat,
    vct: String,
    issuer: String,
    trusted_by: TrustedBy,
    /// Records of earlier versions do not say it.
    #[serde(default)]
    trust: TrustBasis,
    issued_at: Option<UnixTime>,
    expires_at: Option<UnixTime>,
    status_checked: bool,
    #[serde(default)]
    holder_bound: bool,
    claims: Map<String, Value>,
}

fn sd_jwt_vc() -> CredentialFormat {
    CredentialFormat::DcSdJwt
}

impl VerifiedPresentation {
    /// Reads back what this verifier itself wrote (by `Serialize`) into its own sealed store; never for anything that
    /// came from outside. Error: `outcome_record`.
    pub fn from_own_record(record: &[u8]) -> Result<Self> {
        let recorded: Recorded = serde_json::from_slice(record)
            .map_err(|_| Error::unavailable("outcome_record", "the record of an outcome is unreadable"))?;
        let credential = |one: RecordedCredential| VerifiedCredential {
            query_id: one.query_id,
            format: one.format,
            vct: one.vct,
            issuer: one.issuer,
            trusted_by: one.trusted_by,
            trust: one.trust,
            issued_at: one.issued_at,
            expires_at: one.expires_at,
            status_checked: one.status_checked,
            holder_bound: one.holder_bound,
            claims: one.claims,
        };
        Ok(Self {
            credentials: recorded.credentials.into_iter().map(credential).collect(),
            level: recorded.level,
            step_up: recorded.step_up,
            checks: recorded.checks,
        })
    }
}

/// Why a response was refused, with the checks up to and including the failed one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The code.
    pub code: RefusalCode,
    /// One sentence for people.
    pub detail: String,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One of a closed list of reasons: a refusal never shows another code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefusalCode(&'static str);

macro_rules! codes {
    ($($group:ident: $($code:literal)*;)*) => {
        $(const $group: &[&str] = &[$($code),*];)*
    };
}

codes! {
    // The response as such: nothing ties it to this request yet.
    RESPONSE:
        "response_form" "response_encryption" "response_not_encrypted" "state_mismatch" "request_unknown"
        "request_expired" "response_replayed" "response_mode_mismatch" "session_mismatch" "presentation_not_asked"
        "presentation_count" "presentation_malformed" "vp_credentials" "w3c_context" "w3c_proofs" "w3c_version"
        "jsonld_context_unknown" "jsonld_undefined_term";
    // The credential or the holder's proof does not hold: whoever sent it may be anybody.
    UNBOUND:
        "credential_type" "issuer_untrusted" "issuer_certificate" "issuer_certificate_expired" "issuer_federation" "issuer_san_mismatch"
        "issuer_did_mismatch" "issuer_key_unknown" "issuer_key_unavailable" "issuer_key_reference" "issuer_mismatch" "alg_none" "alg_mismatch" "alg_unsupported"
        "credential_signature_invalid" "authority_mismatch" "holder_key_missing" "kb_jwt_missing" "kb_jwt_signature_invalid" "kb_jwt_claims"
        "kb_jwt_nonce" "kb_jwt_audience" "kb_jwt_sd_hash" "kb_jwt_stale" "kb_jwt_in_future" "kb_jwt_expired"
        "kb_jwt_not_yet_valid" "kb_jwt_transaction_data" "w3c_subject" "proof_base" "proof_purpose_mismatch"
        "proof_cryptosuite" "vp_proof_missing" "vp_holder" "vp_signature_invalid" "vp_nonce" "vp_audience" "vp_stale"
        "vp_in_future" "vp_expired" "vp_not_yet_valid" "vp_times" "vp_claims" "vp_transaction_data";
    // A credential of a trusted issuer was presented for this request, and it does not suffice: final.
    FINAL:
        "credential_expired" "credential_not_yet_valid" "credential_issued_in_future" "credential_revoked"
        "credential_suspended" "credential_status_other" "status_missing" "status_unavailable"
        "status_index_out_of_range" "status_mechanism" "claim_absent" "claim_value" "claim_path_type" "credentials_missing"
        "transaction_data_missing" "kb_audience_mismatch" "kb_nonce_mismatch" "kb_times" "kb_lifetime"
        "kb_not_yet_valid" "kb_expired" "kb_content_mismatch" "kb_transaction_data_mismatch" "binding_missing"
        "webauthn_binding" "level_too_low" "key_protection_too_low" "binding_evaluation_stale" "assertion_missing"
        "webauthn_assertion" "client_data_size" "client_data" "client_data_type" "challenge_mismatch"
        "origin_not_allowed" "cross_origin" "top_origin" "authenticator_data_size" "authenticator_data" "cbor"
        "rp_id_mismatch" "user_not_present" "user_not_verified" "backup_flags" "backup_eligibility_changed"
        "unexpected_attested_data" "assertion_signature" "step_up_missing";
}

impl RefusalCode {
    /// Whatever is wrong with the form of a presentation in a way that has no code of its own here.
    pub const MALFORMED: Self = Self("presentation_malformed");

    /// Every code.
    pub fn all() -> impl Iterator<Item = Self> {
        [RESPONSE, UNBOUND, FINAL].into_iter().flatten().map(|code| Self(code))
    }

    /// The code of this name, if it is on the list.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|code| code.0 == name)
    }

    /// The code for an error of core.
    pub fn of(error: &Error) -> Self {
        let code = error.code();
        Self::named(code).unwrap_or_else(|| match code {
            _ if code.starts_with("x509_") => Self("issuer_certificate"),
            _ if code.starts_with("federation_") => Self("issuer_federation"),
            _ if code.starts_with("jwe") => Self("response_encryption"),
            _ => Self::MALFORMED,
        })
    }

    /// The code.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether the request is closed by this refusal. Others leave it as it was: they show nothing about the person
    /// whom the request was for.
    pub fn is_final(self) -> bool {
        FINAL.contains(&self.0)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for RefusalCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for RefusalCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| serde::de::Error::custom("not a refusal code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_closed_and_has_no_doubles() {
        let all: Vec<_> = RefusalCode::all().map(RefusalCode::as_str).collect();
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
        assert_eq!(RefusalCode::of(&Error::malformed("something_new", "x")), RefusalCode::MALFORMED);
        assert_eq!(RefusalCode::of(&Error::untrusted("x509_signature", "x")).as_str(), "issuer_certificate");
        assert!(RefusalCode::named("credential_revoked").unwrap().is_final());
        assert!(!RefusalCode::named("kb_jwt_nonce").unwrap().is_final());
        assert!(serde_json::from_str::<RefusalCode>("\"no_such\"").is_err());
    }
}
