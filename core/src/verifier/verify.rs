//! The judge: OpenID4VP 1.0 section 8.6 and the step-up of the biometric binding, as one pure function.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::evidence::{Evidence, SourceEvidence, StatusEvidence, UnverifiedPresentation};
use super::outcome::{Check, Refusal, RefusalCode, StepUpOutcome, VerifiedCredential, VerifiedPresentation};
use super::request::{StepUpCarrier, StepUpDemand};
use crate::attestation::level::{AssuranceLevel, KeyProtection};
use crate::binding::claim::{BIOMETRIC_BINDING_LEVEL, WEBAUTHN_BINDING};
use crate::binding::report::Report;
use crate::binding::verify::{
    StepUpExpectation, StepUpInput, StepUpPolicy, WEBAUTHN_ASSERTION, verify_step_up,
};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::format::any::{StatusNamed, UnverifiedPresented, VerifiedPresented};
use crate::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use crate::format::sd_jwt_vc::key_binding::{KeyBindingCheck, TransactionDataHashes};
use crate::format::sd_jwt_vc::verify::Timing;
use crate::jose::jwk::Jwk;
use crate::limits::Limits;
use crate::protocol::openid4vp::dcql::{CredentialQuery, CredentialSource};
use crate::protocol::openid4vp::transaction_data::is_step_up;
use crate::status::bitstring_status_list::{StatusEntry, StatusList, StatusPurpose};
use crate::status::token_status_list::Status;
use crate::trust::{KnownAuthorities, TrustedIssuer};

/// What a verifier accepts, beside what the request itself demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Seconds that clocks may differ.
    pub clock_skew: u32,
    /// Seconds that a key-binding JWT may be old.
    pub key_binding_max_age: u32,
    /// Seconds that a copy of a status list may be old, whatever the list allows; 0: fetched for this presentation.
    pub status_max_age: u64,
    /// Whether a credential is accepted although its status list cannot be had.
    pub accept_unknown_status: bool,
    /// Whether every credential must name a status list.
    pub require_status: bool,
    /// The lowest protection of the second key in a step-up.
    pub min_key_protection: KeyProtection,
    /// Seconds that the issuer's grading of the second key may be old; `None`: as old as the credential.
    pub max_evaluation_age: Option<u32>,
    /// Copies of trusted lists and federations, for queries that name one.
    pub authorities: KnownAuthorities,
    /// Bounds of what is parsed.
    pub limits: Limits,
}

impl Default for Policy {
    /// 60 seconds of skew, five minutes for the holder's proof, status lists at most five minutes old and required where
    /// named.
    fn default() -> Self {
        Self {
            clock_skew: 60,
            key_binding_max_age: 300,
            status_max_age: 300,
            accept_unknown_status: false,
            require_status: false,
            min_key_protection: KeyProtection::Unknown,
            max_evaluation_age: None,
            authorities: KnownAuthorities::NONE,
            limits: Limits::DEFAULT,
        }
    }
}

/// Judges a response: every check in a fixed order, the first failure refuses.
///
/// That the nonce is used once is for the caller to ensure, by the transaction that writes the outcome.
pub fn verify(
    presentation: UnverifiedPresentation,
    evidence: &Evidence<'_>,
    policy: &Policy,
) -> Result<VerifiedPresentation, Refusal> {
    let mut judge = Judge { evidence, policy, checks: Vec::new(), credential: None };
    match judge.response(presentation) {
        Ok((credentials, step_up)) => Ok(VerifiedPresentation {
            credentials,
            level: step_up.as_ref().map_or(AssuranceLevel::None, |step_up| step_up.level),
            step_up,
            checks: judge.checks,
        }),
        Err(error) => Err(Refusal {
            code: RefusalCode::of(&error),
            detail: error.detail().to_owned(),
            checks: judge.checks,
        }),
    }
}

struct Judge<'a> {
    evidence: &'a Evidence<'a>,
    policy: &'a Policy,
    checks: Vec<Check>,
    /// The credential query that is being judged.
    credential: Option<String>,
}

/// A presentation that passed the checks of its own.
struct Passed {
    query_id: String,
    bound: VerifiedPresented,
    transaction_data: Vec<String>,
}

/// The checks that [`UnverifiedPresented::verify`] makes at once, in its order: name, words, and the codes of
/// their failures.
const HOLDER_CHECKS: [(&str, &str, &[&str]); 6] = [
    (
        "issuer_signature",
        "The issuer signed exactly these claims.",
        &["issuer_mismatch", "alg_mismatch", "credential_signature_invalid", "proof_base"],
    ),
    (
        "credential_time",
        "The credential is within its period of validity.",
        &[
            "credential_expired",
            "credential_not_yet_valid",
            "credential_issued_in_future",
            "issuer_certificate_expired",
        ],
    ),
    (
        "holder_signature",
        "The answer is signed by the key that the issuer bound the credential to.",
        &[
            "holder_key_missing",
            "kb_jwt_signature_invalid",
            "sd_jwt_vc_cnf",
            "jwk",
            "did_method",
            "w3c_subject",
            "vp_holder",
            "vp_signature_invalid",
            "proof_purpose_mismatch",
        ],
    ),
    (
        "answer_time",
        "The answer was made just now.",
        &[
            "kb_jwt_in_future",
            "kb_jwt_stale",
            "kb_jwt_expired",
            "kb_jwt_not_yet_valid",
            "vp_in_future",
            "vp_stale",
            "vp_expired",
            "vp_not_yet_valid",
            "vp_times",
        ],
    ),
    (
        "answer_for_this_request",
        "The answer was made for this request of this verifier, and covers exactly these claims.",
        &[
            "kb_jwt_nonce",
            "kb_jwt_audience",
            "kb_jwt_sd_hash",
            "jwt_claim",
            "jwt_claim_missing",
            "vp_nonce",
            "vp_audience",
        ],
    ),
    (
        "transaction_data",
        "The holder approved exactly the transaction data that was sent.",
        &["kb_jwt_transaction_data", "kb_jwt_claims", "sd_alg_unknown", "vp_transaction_data", "vp_claims"],
    ),
];

/// How many of [`HOLDER_CHECKS`] are about the issuer's part.
const ISSUER_CHECKS: usize = 2;

impl Judge<'_> {
    fn record<T>(&mut self, id: &'static str, words: &'static str, result: Result<T>) -> Result<T> {
        let (detail, code) = match &result {
            Ok(_) => (words, None),
            Err(error) => (error.detail(), Some(RefusalCode::of(error).as_str().to_owned())),
        };
        let (credential, passed) = (self.credential.clone(), code.is_none());
        self.checks.push(Check { credential, id: id.to_owned(), passed, detail: detail.to_owned(), code });
        result
    }

    fn response(
        &mut self,
        presentation: UnverifiedPresentation,
    ) -> Result<(Vec<VerifiedCredential>, Option<StepUpOutcome>)> {
        let evidence = self.evidence;
        let UnverifiedPresentation { entries } = presentation;
        if entries.len() != evidence.sources.len() {
            return Err(Error::misuse("evidence_count", "there must be evidence for each presentation"));
        }
        // Section 8.6 step 2: each presentation by itself.
        let (mut passed, mut credentials) = (Vec::new(), Vec::new());
        for ((query_id, credential), source) in entries.into_iter().zip(&evidence.sources) {
            self.credential = Some(query_id.clone());
            let (one, verified) = self.presentation(query_id, credential, source)?;
            passed.push(one);
            credentials.push(verified);
        }
        self.credential = None;
        // Step 3: all of them together.
        let answered = passed.iter().map(|one| one.query_id.as_str());
        let complete = evidence.request.query.check_answered(answered);
        self.record("complete", "Everything that was asked for is there.", complete)?;
        if !evidence.request.transaction_data.is_empty() {
            // Each by one of the credentials that it names (section 5.1).
            let approved = |entry: &String| passed.iter().any(|one| one.transaction_data.contains(entry));
            let all = match evidence.request.transaction_data.iter().all(approved) {
                true => Ok(()),
                false => Err(Error::refused("transaction_data_missing", "transaction data was not approved")),
            };
            self.record("transaction_approved", "All transaction data was approved.", all)?;
        }
        let step_up = match &evidence.request.step_up {
            None => None,
            Some(demand) => Some(self.step_up(demand, &passed)?),
        };
        Ok((credentials, step_up))
    }

    fn presentation(
        &mut self,
        query_id: String,
        credential: UnverifiedPresented,
        source: &SourceEvidence,
    ) -> Result<(Passed, VerifiedCredential)> {
        let request = self.evidence.request;
        let missing =
            || Error::malformed("presentation_not_asked", "the response answers a query that was not asked");
        let query = request.query.credential(&query_id).ok_or_else(missing)?;

        let right_type = match query.accepts(credential.format(), &credential.types()) {
            true => Ok(()),
            false => {
                Err(Error::refused("credential_type", "the credential is of another type than was asked for"))
            }
        };
        self.record("credential_type", "The credential is of a type that was asked for.", right_type)?;

        let issuer = source.issuer.as_deref().map_err(Clone::clone);
        let words = "The issuer is trusted for this type of credential.";
        let issuer: &TrustedIssuer = self.record("issuer_trusted", words, issuer)?;

        if let Some(result) = self.authority(query, &credential) {
            self.record(
                "trusted_authority",
                "The issuer belongs to an authority that was asked for.",
                result,
            )?;
        }
        let format = credential.format();
        let (bound, transaction_data) = self.bound(query, credential, issuer)?;
        let words = "The issuer has neither revoked nor suspended the credential.";
        let status = self.status(&bound, &source.status);
        let status_checked = match status {
            Ok(true) => self.record("status", words, Ok(true))?,
            Ok(false) if matches!(source.status, StatusEvidence::NotNamed) => {
                self.record("status", "The issuer publishes no status for this credential.", Ok(false))?
            }
            other => {
                self.record("status", "The status is not known; this verifier's policy accepts that.", other)?
            }
        };
        let satisfied = query.check_satisfied(bound.claims());
        self.record("claims", "All claims that were asked for are disclosed.", satisfied)?;

        let validity = bound.validity();
        let verified = VerifiedCredential {
            query_id: query_id.clone(),
            format,
            vct: bound.own_types().first().copied().unwrap_or_default().to_owned(),
            issuer: bound.issuer().to_owned(),
            trusted_by: issuer.trusted_by(),
            trust: issuer.basis().clone(),
            issued_at: validity.issued_at.or(validity.not_before),
            expires_at: validity.expires_at,
            status_checked,
            holder_bound: bound.is_holder_bound(),
            claims: without_technical(&bound.subject()),
        };
        Ok((Passed { query_id, bound, transaction_data }, verified))
    }

    /// The verifier's own look at `trusted_authorities`; `None` where the query has none.
    fn authority(&self, query: &CredentialQuery, credential: &UnverifiedPresented) -> Option<Result<()>> {
        if !query.names_authorities() {
            return None;
        }
        let key = credential.issuer_key_reference().ok();
        let source = CredentialSource::of(key.as_ref(), credential.iss());
        Some(match query.accepts_source(source, &self.policy.authorities, self.evidence.now) {
            true => Ok(()),
            false => Err(Error::untrusted(
                "authority_mismatch",
                "the issuer belongs to no authority that was asked for",
            )),
        })
    }

    /// The credential with the holder's proof, and the transaction data that it approves; without proof only where the
    /// query does without (section 5.3).
    fn bound(
        &mut self,
        query: &CredentialQuery,
        credential: UnverifiedPresented,
        issuer: &TrustedIssuer,
    ) -> Result<(VerifiedPresented, Vec<String>)> {
        let now = self.evidence.now;
        let timing = Timing { now, skew: i64::from(self.policy.clock_skew) };
        let current = issuer.check_current(now);
        if !credential.has_holder_proof() {
            if query.requires_holder_binding() {
                let missing = Err(Error::untrusted(
                    "kb_jwt_missing",
                    "the holder's proof (key-binding JWT) is missing",
                ));
                return self.record("holder_signature", "", missing);
            }
            let result = current.and_then(|()| credential.verify_unbound(issuer.issuer_key(), timing));
            return Ok((self.holder_checks(result, ISSUER_CHECKS, &[])?, Vec::new()));
        }
        let transaction_data = self.claimed_transactions(query.id(), credential.transaction_data_hashes())?;
        let audiences = self.evidence.request.audiences();
        let claimed = credential.claimed_audience();
        let audience =
            audiences.iter().find(|own| Some(own.as_str()) == claimed).or_else(|| audiences.first());
        let check = KeyBindingCheck {
            audience: audience.map_or("", String::as_str),
            nonce: &self.evidence.request.nonce,
            max_age: i64::from(self.policy.key_binding_max_age),
            transaction_data: &transaction_data,
            transaction_data_algorithms: &[],
        };
        let result = current.and_then(|()| credential.verify(issuer.issuer_key(), timing, &check));
        Ok((self.holder_checks(result, HOLDER_CHECKS.len(), &transaction_data)?, transaction_data))
    }

    /// The entries sent for a query whose hashes the holder's proof states: exactly these it must state, in this order.
    fn claimed_transactions(&self, query_id: &str, hashes: Option<&Value>) -> Result<Vec<String>> {
        let mut entries = self.evidence.request.transaction_data_for(query_id)?;
        let hashes = match hashes {
            None => return Ok(Vec::new()),
            // A list without hashes approves nothing, and is not well-formed: compared with everything it fails.
            Some(Value::Array(hashes)) if hashes.is_empty() => return Ok(entries),
            Some(hashes) => hashes,
        };
        let stated = |entry: &String| {
            let own = TransactionDataHashes::new(&[entry], DigestAlgorithm::Sha256);
            let mut stated = hashes.as_array().into_iter().flatten().filter_map(Value::as_str);
            stated.any(|hash| own.hashes().iter().any(|own| own == hash))
        };
        entries.retain(stated);
        Ok(entries)
    }

    /// Notes the first `count` of [`HOLDER_CHECKS`] up to the one that failed.
    fn holder_checks<T>(
        &mut self,
        result: Result<T>,
        count: usize,
        transaction_data: &[String],
    ) -> Result<T> {
        let failed = result.as_ref().err().map(|error| {
            HOLDER_CHECKS.iter().position(|(_, _, codes)| codes.contains(&error.code())).unwrap_or_default()
        });
        for (id, words, _) in HOLDER_CHECKS.iter().take(failed.unwrap_or(count)) {
            if *id != "transaction_data" || !transaction_data.is_empty() {
                self.record(id, words, Ok(()))?;
            }
        }
        match (result, failed.and_then(|at| HOLDER_CHECKS.get(at))) {
            (Ok(verified), _) => Ok(verified),
            (Err(error), failed) => {
                self.record(failed.map_or("holder_signature", |(id, _, _)| id), "", Err(error))
            }
        }
    }

    /// Whether the status was looked up and allows the credential.
    fn status(&self, bound: &VerifiedPresented, evidence: &StatusEvidence) -> Result<bool> {
        let now = self.evidence.now;
        let named = bound.status()?;
        if named == StatusNamed::Nowhere {
            return match self.policy.require_status {
                false => Ok(false),
                true => Err(Error::refused("status_missing", "the credential names no status list")),
            };
        }
        let (reference, list, fetched_at) = match (&named, evidence) {
            (StatusNamed::Token(reference), StatusEvidence::List { list, fetched_at }) => {
                (reference, list, *fetched_at)
            }
            (StatusNamed::Bitstring(entries), StatusEvidence::Bitstrings { lists, fetched_at }) => {
                return self.bitstrings(entries, lists, *fetched_at);
            }
            _ if self.policy.accept_unknown_status => return Ok(false),
            _ => {
                return Err(Error::refused(
                    "status_unavailable",
                    "no current status list of the issuer could be had",
                ));
            }
        };
        let fresh = list.check_fresh(fetched_at, self.policy.status_max_age.max(1), now).is_ok()
            && list.uri() == reference.uri;
        match (fresh, self.policy.accept_unknown_status) {
            (true, _) => {}
            (false, true) => return Ok(false),
            (false, false) => {
                return Err(Error::refused("status_unavailable", "the copy of the status list is too old"));
            }
        }
        match list.status_at(reference.idx)? {
            Status::Valid => Ok(true),
            Status::Revoked => {
                Err(Error::refused("credential_revoked", "the issuer has revoked the credential"))
            }
            Status::Suspended => {
                Err(Error::refused("credential_suspended", "the issuer has suspended the credential"))
            }
            Status::Other(_) => Err(Error::refused(
                "credential_status_other",
                "the issuer gives the credential an unknown status",
            )),
        }
    }

    /// As [`Self::status`], for the entries of a W3C credential: none of them may forbid.
    fn bitstrings(
        &self,
        entries: &[StatusEntry],
        lists: &[Arc<StatusList>],
        fetched_at: UnixTime,
    ) -> Result<bool> {
        let now = self.evidence.now;
        let max_age = i64::try_from(self.policy.status_max_age.max(1)).unwrap_or(i64::MAX);
        let fresh = |list: &StatusList| {
            let until = list.cache_until(fetched_at, max_age).min(fetched_at.plus(max_age));
            list.check_current(now).is_ok() && now <= until
        };
        if entries.len() != lists.len() || !lists.iter().all(|list| fresh(list)) {
            return match self.policy.accept_unknown_status {
                true => Ok(false),
                false => {
                    Err(Error::refused("status_unavailable", "a copy of a status list is missing or too old"))
                }
            };
        }
        for (entry, list) in entries.iter().zip(lists) {
            let outcome = list.status(entry).map_err(|error| match error.code() {
                "bitstring_range" => {
                    Error::untrusted("status_index_out_of_range", "the list has no such entry")
                }
                _ => Error::refused("status_unavailable", error.detail().to_owned()),
            })?;
            if outcome.forbids_acceptance() {
                return Err(match outcome.purpose {
                    StatusPurpose::Revocation => {
                        Error::refused("credential_revoked", "the issuer has revoked the credential")
                    }
                    StatusPurpose::Suspension => {
                        Error::refused("credential_suspended", "the issuer has suspended the credential")
                    }
                    _ => Error::refused(
                        "credential_status_other",
                        "the issuer gives the credential an unknown status",
                    ),
                });
            }
        }
        Ok(true)
    }

    fn step_up(&mut self, demand: &StepUpDemand, passed: &[Passed]) -> Result<StepUpOutcome> {
        let request = self.evidence.request;
        let may_carry = request.step_up_queries();
        let bound = passed.iter().filter(|one| one.bound.is_holder_bound());
        let mut candidates = bound.filter(|one| may_carry.contains(&one.query_id));
        let carries = |one: &&Passed| one.bound.statements().contains_key(WEBAUTHN_ASSERTION);
        let found = candidates.clone().find(carries).or_else(|| candidates.next());
        let missing =
            Error::refused("step_up_missing", "no credential that could carry the step-up was presented");
        let carrier = match found {
            Some(carrier) => carrier,
            None => return self.record("step_up_request", "", Err(missing)),
        };
        self.credential = Some(carrier.query_id.clone());
        let bound = &carrier.bound;
        // Another credential's approval does not count: the second key must have signed what was asked.
        let mut approved = carrier.transaction_data.iter();
        let approves = approved.any(|entry| is_step_up(entry, &self.policy.limits).unwrap_or_default());
        if demand.carrier == StepUpCarrier::TransactionData && !approves {
            let unbound = Err(Error::untrusted(
                "kb_transaction_data_mismatch",
                "the credential with the step-up does not approve the transaction that asked for it",
            ));
            return self.record("step_up_transaction", "", unbound);
        }
        let holder_key = bound.holder_key().ok_or_else(|| {
            Error::untrusted("holder_key_missing", "the credential names no key of its holder")
        })?;
        let (hk_jkt, binding) = (Jwk::from_key(holder_key).thumbprint(), bound.webauthn_binding());
        let input = StepUpInput {
            kb_claims: bound.statements(),
            binding: binding.as_ref(),
            hk_jkt: &hk_jkt,
            content_hash: bound.content_hash(),
        };
        // The audience of the holder's proof, which was found to be one of this request's.
        let audience = bound.statements().get("aud").and_then(Value::as_str).unwrap_or_default();
        let expected = StepUpExpectation {
            audience,
            nonce: &request.nonce,
            transaction_data_hashes: bound.transaction_data().map_or(&[], |data| data.hashes()),
            now: self.evidence.now,
            previous_sign_count: None,
        };
        let policy = StepUpPolicy {
            min_level: demand.min_level,
            min_key_protection: self.policy.min_key_protection,
            max_age: demand.max_age,
            clock_skew: self.policy.clock_skew,
            max_evaluation_age: self.policy.max_evaluation_age,
        };
        let mut report = Report::default();
        let result = verify_step_up(&input, &expected, &policy, &self.policy.limits, &mut report);
        for check in report.checks {
            self.checks.push(Check {
                credential: self.credential.clone(),
                id: check.id.to_owned(),
                passed: check.passed,
                detail: check.detail.into_owned(),
                code: check.code.map(str::to_owned),
            });
        }
        self.credential = None;
        let verified = result?;
        Ok(StepUpOutcome {
            query_id: carrier.query_id.clone(),
            level: verified.step_up.level,
            key_protection: verified.step_up.key_protection,
            modality: verified.step_up.modality,
            client: verified.step_up.client,
            at: verified.step_up.at,
            amr: verified.amr().into_iter().map(str::to_owned).collect(),
            warnings: verified.warnings.iter().filter_map(name).collect(),
            wallet_asserted_factors: verified.wallet_asserted_factors,
        })
    }
}

/// The stable name of an enum without content.
fn name(value: impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// Claims that say something about the person, not about the credential.
fn without_technical(claims: &Map<String, Value>) -> Map<String, Value> {
    const TECHNICAL: [&str; 12] = [
        "iss",
        "iat",
        "nbf",
        "exp",
        "cnf",
        "vct",
        "vct#integrity",
        "aka_vcts",
        "status",
        "_sd_alg",
        WEBAUTHN_BINDING,
        BIOMETRIC_BINDING_LEVEL,
    ];
    let personal = claims.iter().filter(|(name, _)| !TECHNICAL.contains(&name.as_str()));
    personal.map(|(name, value)| (name.clone(), value.clone())).collect()
}
