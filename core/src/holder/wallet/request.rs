//! What a request asks for, in words for a person.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use url::Url;

use super::held::WhenUsedUp;
use super::words;
use crate::attestation::level::AssuranceLevel;
use crate::binding::transaction::visible;
use crate::clock::UnixTime;
use crate::holder::presentation::{
    Candidate, ClaimReview, PresentationReview, QueryReview, RegistrationState,
};
use crate::holder::{CredentialDisplay, StoredCredential};
use crate::protocol::openid4vp::signed_request::VerifierAuthentication;
use crate::protocol::openid4vp::transaction_types::Transaction;
use crate::trust::registration::Registration;

/// What the person should know before they agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestWarning {
    /// No trust rule of this wallet names the verifier.
    VerifierNotTrusted,
    /// Nobody has checked who asks: only the address of the answer is known.
    VerifierNotAuthenticated,
    /// The verifier does not say what for.
    NoPurpose,
    /// A required claim that a fitting credential holds is a key that lets verifiers recognise the person.
    Recognisable,
    /// The verifier wants a stronger binding than any fitting credential has: it will refuse.
    LevelTooLow,
    /// The verifier shows no registration, though this wallet knows registrars.
    NotRegistered,
    /// The verifier shows a registration that does not count: of an unknown registrar, out of date, or of somebody else.
    RegistrationInvalid,
    /// The verifier asks for more than its registration says: see [`RequestDetails::beyond_registration`].
    AsksBeyondRegistration,
    /// A fitting credential has only a copy that was shown before: those who see it can tell that it was the same person.
    CopyShownBefore,
}

/// What a registrar wrote down about the verifier. All texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationDetails {
    /// The verifier's registered name.
    pub name: String,
    /// The registrar, by its certificate.
    pub registrar: String,
    /// For what it registered, in the person's language where there is one.
    pub purpose: Option<String>,
    /// Address of its privacy policy.
    pub privacy_policy: Option<String>,
    /// When the registration ends.
    pub expires_at: Option<UnixTime>,
}

/// Something that the answer approves beside what it shows: to be shown in full. All texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDetails {
    /// What it is.
    pub title: String,
    /// Label and value of each of its parts.
    pub lines: Vec<TransactionLine>,
}

/// One part of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionLine {
    /// Its name.
    pub label: String,
    /// Its value.
    pub value: String,
}

/// A request, for a person. All texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestDetails {
    /// Who asks.
    pub verifier_name: String,
    /// Its client identifier.
    pub client_id: String,
    /// How it was authenticated.
    pub authentication: VerifierAuthentication,
    /// Whether a trust rule of this wallet names it.
    pub trusted: bool,
    /// What for, in the verifier's words, in full.
    pub purpose: Option<String>,
    /// The binding level that the verifier wants confirmed now, where it wants one.
    pub step_up: Option<AssuranceLevel>,
    /// Whether the answer travels encrypted to the verifier beyond the transport.
    pub encrypted: bool,
    /// Whether what the wallet holds can answer.
    pub answerable: bool,
    /// What the answer approves: of the types that the app registered. A request with any other is refused.
    pub transactions: Vec<TransactionDetails>,
    /// What a registrar wrote down about the verifier, where one that the wallet knows did.
    pub registration: Option<RegistrationDetails>,
    /// What is asked for beyond the registration, claim by claim, whether or not the wallet holds it.
    pub beyond_registration: Vec<String>,
    /// What the person should know.
    pub warnings: Vec<RequestWarning>,
}

/// One query of the request, with what can answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryChoice {
    /// Its id.
    pub query_id: String,
    /// Whether every answer has it; otherwise it depends on what else is chosen.
    pub required: bool,
    /// Whether several credentials may answer it.
    pub multiple: bool,
    /// What fits; empty where the wallet holds nothing that does.
    pub candidates: Vec<CandidateChoice>,
}

/// A credential that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateChoice {
    /// The wallet's id of the credential.
    pub credential_id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// Who issued it.
    pub issuer_name: String,
    /// Whether the wallet knows the issuer.
    pub issuer_trusted: bool,
    /// Whether its binding is as strong as the verifier wants.
    pub level_suffices: bool,
    /// Whether its only copy was shown before: those who see it can tell that it was the same person.
    pub shown_before: bool,
    /// Exactly the claims that would leave.
    pub claims: Vec<ClaimChoice>,
}

/// One claim that would leave. `Debug` hides the values.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimChoice {
    /// Where it is, a JSON array: for [`PresentationSession::choice`].
    pub path: String,
    /// Its name.
    pub label: String,
    /// Its values, one line each.
    pub values: Vec<String>,
    /// Whether the person may keep it.
    pub optional: bool,
    /// Whether it says something about keys, not about the person.
    pub technical: bool,
    /// Whether the verifier asks for it without having registered that.
    pub beyond_registration: bool,
}

impl fmt::Debug for ClaimChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimChoice").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the verifier said to the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationOutcome {
    /// Whether it took it.
    pub accepted: bool,
    /// Its error code, where it refused and named one.
    pub code: Option<String>,
    /// Where the person's browser goes next. It holds a one-time code: open it at once, keep it nowhere.
    pub redirect_uri: Option<Url>,
    /// Of a request that came over the Digital Credentials API: what to hand to the platform, JSON with `protocol` and
    /// `data`.
    pub platform_response: Option<String>,
    /// Credentials whose last single-use copy went with this answer.
    pub used_up: Vec<UsedUp>,
}

/// A credential whose last single-use copy was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// The wallet's id of the credential.
    pub credential_id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// What comes now.
    pub then: WhenUsedUp,
}

pub(super) fn levels(credentials: &[StoredCredential]) -> BTreeMap<&str, AssuranceLevel> {
    let level = |one| words::claims_of(one).map(|claims| words::level_of(&claims)).unwrap_or_default();
    credentials.iter().map(|one| (one.id.as_str(), level(one))).collect()
}

pub(super) fn query_choice(
    query: &QueryReview,
    review: &PresentationReview,
    levels: &BTreeMap<&str, AssuranceLevel>,
    shown_before: &[&str],
) -> QueryChoice {
    let step_up = review.step_up.as_ref().filter(|step_up| step_up.credential_ids.contains(&query.id));
    let wanted = step_up.map_or(AssuranceLevel::None, |step_up| step_up.min_level);
    let candidate = |one: &Candidate| CandidateChoice {
        credential_id: one.credential_id.clone(),
        name: visible(&one.display.name),
        issuer_name: visible(&one.issuer_name),
        issuer_trusted: one.issuer_trusted,
        level_suffices: levels.get(one.credential_id.as_str()).copied().unwrap_or_default().satisfies(wanted),
        shown_before: shown_before.contains(&one.credential_id.as_str()),
        claims: one.claims.iter().map(|claim| claim_choice(one, claim)).collect(),
    };
    QueryChoice {
        query_id: query.id.clone(),
        required: query.required,
        multiple: query.multiple,
        candidates: query.candidates.iter().map(candidate).collect(),
    }
}

fn claim_choice(candidate: &Candidate, claim: &ClaimReview) -> ClaimChoice {
    let pointer: Vec<Value> = claim.path.clone().into();
    ClaimChoice {
        label: words::label(&candidate.display, &pointer),
        values: claim.values.iter().flat_map(words::lines).collect(),
        optional: claim.optional,
        technical: claim.technical,
        beyond_registration: claim.beyond_registration,
        path: Value::Array(pointer).to_string(),
    }
}

pub(super) fn request_details(
    review: &PresentationReview,
    choices: &[QueryChoice],
    locale: &str,
) -> RequestDetails {
    let registration = &review.registration;
    let mut details = RequestDetails {
        verifier_name: visible(&review.verifier.name),
        client_id: visible(review.client_id()),
        authentication: review.verifier.authentication,
        trusted: review.verifier.trusted,
        purpose: review.purpose.clone(),
        step_up: review.step_up.as_ref().map(|step_up| step_up.min_level),
        encrypted: review.encrypted,
        answerable: review.answerable,
        transactions: review.transactions.iter().map(transaction).collect(),
        registration: registration.registrations.first().map(|one| registration_details(one, locale)),
        beyond_registration: review.queries.iter().flat_map(beyond).collect(),
        warnings: Vec::new(),
    };
    let candidates = || choices.iter().flat_map(|query| &query.candidates);
    let recognisable =
        candidates().any(|one| one.claims.iter().any(|claim| claim.technical && !claim.optional));
    let too_low = details.step_up.is_some() && !candidates().any(|one| one.level_suffices);
    let warnings = [
        (!details.trusted, RequestWarning::VerifierNotTrusted),
        (details.authentication == VerifierAuthentication::None, RequestWarning::VerifierNotAuthenticated),
        (details.purpose.is_none(), RequestWarning::NoPurpose),
        (recognisable, RequestWarning::Recognisable),
        (too_low && details.answerable, RequestWarning::LevelTooLow),
        (registration.state == RegistrationState::Missing, RequestWarning::NotRegistered),
        (registration.state == RegistrationState::Invalid, RequestWarning::RegistrationInvalid),
        (!details.beyond_registration.is_empty(), RequestWarning::AsksBeyondRegistration),
        (candidates().any(|one| one.shown_before), RequestWarning::CopyShownBefore),
    ];
    details.warnings =
        warnings.into_iter().filter(|(applies, _)| *applies).map(|(_, warning)| warning).collect();
    details
}

fn transaction(transaction: &Transaction) -> TransactionDetails {
    let line =
        |(label, value): &(String, String)| TransactionLine { label: visible(label), value: value.clone() };
    TransactionDetails {
        title: visible(&transaction.title),
        lines: transaction.lines.iter().map(line).collect(),
    }
}

fn registration_details(registration: &Registration, locale: &str) -> RegistrationDetails {
    let language = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let purposes = &registration.purposes;
    let own = purposes.iter().find(|(tag, _)| language(tag) == language(locale)).or(purposes.first());
    RegistrationDetails {
        name: visible(&registration.name),
        registrar: visible(&registration.registrar),
        purpose: own.map(|(_, text)| visible(text)),
        privacy_policy: registration.privacy_policy.as_deref().map(visible),
        expires_at: registration.expires_at,
    }
}

/// What a query asks for beyond the registration, by the names that the issuer of a fitting credential gives.
fn beyond(query: &QueryReview) -> Vec<String> {
    let nameless = CredentialDisplay::default();
    let display = query.candidates.first().map_or(&nameless, |candidate| &candidate.display);
    let name = |path: &crate::credential::claims::ClaimPath| {
        let pointer: Vec<Value> = path.clone().into();
        words::label(display, &pointer)
    };
    let mut names: Vec<String> = query.beyond_registration.iter().map(name).collect();
    if query.type_beyond_registration && names.is_empty() {
        names.push(visible(&query.id));
    }
    names
}
