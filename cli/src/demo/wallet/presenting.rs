//! A request on the wallet's page: review, choice, one confirmation, answer.

use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::credential::CredentialFormat;
use carekey_core::encoding::base64url;
use carekey_core::error::{Error, Result};
use carekey_core::holder::StoredCredential;
use carekey_core::holder::presentation::{
    self, Candidate, Choice, PreparedPresentation, PresentationContext, PresentationReview,
    PresentationRules, QueryReview, Selection,
};
use carekey_core::protocol::openid4vp::signed_request::VerifierAuthentication;
use carekey_core::secret::Secret;
use carekey_core::webauthn::assertion::AuthenticationResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::activity::{Entry, What};
use super::keys::SoftwareKeys;
use super::words::{self, visible};
use super::{RP_ID, Wallet};

/// A request that is open on the page.
pub(super) enum Open {
    /// The person looks at it.
    Reviewed(Box<PresentationReview>),
    /// The person has chosen and is being asked to confirm.
    Prepared { prepared: Box<PreparedPresentation>, leaving: Leaving },
}

/// What would leave, for the log.
#[derive(Clone)]
pub(super) struct Leaving {
    verifier: String,
    purpose: String,
    names: Vec<String>,
    claims: Vec<String>,
}

#[derive(Serialize)]
struct QueryView {
    id: String,
    name: String,
    required: bool,
    candidates: Vec<CandidateView>,
}

#[derive(Serialize)]
struct CandidateView {
    credential_id: String,
    headline: String,
    name: String,
    issuer: String,
    issuer_trusted: bool,
    issued_at: i64,
    format: Option<CredentialFormat>,
    format_text: Option<&'static str>,
    /// Nothing of it can be kept back.
    leaves_whole: bool,
    /// The verifier asks for a stronger binding than the issuer gave this credential: it will refuse.
    too_weak: bool,
    claims: Vec<ClaimView>,
}

#[derive(Serialize)]
struct ClaimView {
    path: Value,
    label: String,
    values: Vec<String>,
    required: bool,
    technical: bool,
}

/// What the page sends back per query: the credential, and the claims that may leave.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chosen {
    credential_id: String,
    claims: Vec<Value>,
}

impl Wallet {
    fn presentation_context<'a>(&'a self, keys: &'a SoftwareKeys) -> PresentationContext<'a> {
        PresentationContext {
            http: &*self.http,
            dids: &*self.dids,
            keys,
            trust: &self.verifiers,
            rules: PresentationRules::none(),
            rp_id: RP_ID,
            origin: self.own.origin(),
            clock: &*self.clock,
            random: &*self.random,
        }
    }

    /// The name that this wallet's own list has for a verifier, else what the request proves about it.
    fn verifier_name(&self, review: &PresentationReview) -> String {
        let listed =
            review.verifier.trusted && review.verifier.authentication == VerifierAuthentication::Certificate;
        if listed { self.portal_name.clone() } else { review.verifier.name.clone() }
    }

    /// Opens a request link.
    pub(super) async fn open_request(&self, session: &str, link: &str) -> Result<Value> {
        let credentials = self.credentials(session).await?;
        let keys = self.keys(session);
        let review = presentation::review(link, &credentials, &self.presentation_context(&keys)).await?;
        let name = self.random.token(16);
        let view = json!({
            "kind": "request",
            "session": name,
            "verifier": {
                "name": self.verifier_name(&review),
                "id": visible(review.client_id()),
                "trusted": review.verifier.trusted,
                "how": authentication_words(&review),
            },
            "purpose": review.purpose.clone().unwrap_or_else(|| "The verifier does not say what for.".into()),
            "step_up_text": step_up_words(&review),
            "encrypted": review.encrypted,
            "can_answer": review.answerable,
            "queries": review.queries.iter().map(|query| query_view(query, &review, &credentials)).collect::<Vec<_>>(),
        });
        self.requests.put(name, session, Open::Reviewed(Box::new(review)), self.clock.now());
        Ok(view)
    }

    /// Takes the person's choice; returns the options of the one ceremony.
    pub(super) async fn prepare_request(
        &self,
        session: &str,
        name: &str,
        chosen: BTreeMap<String, Chosen>,
    ) -> Result<Value> {
        let credentials = self.credentials(session).await?;
        let review = match self.requests.take(name, session, self.clock.now())? {
            Open::Reviewed(review) => review,
            // the prompt was closed and the person tries again: the first choice is over
            Open::Prepared { .. } => return Err(gone()),
        };
        let (selection, leaving) = match selection(&review, &self.verifier_name(&review), &chosen) {
            Ok(selected) => selected,
            Err(error) => {
                self.requests.put(name.to_owned(), session, Open::Reviewed(review), self.clock.now());
                return Err(error);
            }
        };
        let keys = self.keys(session);
        let again = review.clone();
        let prepared =
            presentation::prepare(*review, &selection, &credentials, &self.presentation_context(&keys));
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.requests.put(name.to_owned(), session, Open::Reviewed(again), self.clock.now());
                return Err(error);
            }
        };
        self.ask_for_prf(&mut prepared.request_options).await?;
        let options = serde_json::to_value(&prepared.request_options)
            .map_err(|_| Error::misuse("webauthn_options", "the options do not serialize"))?;
        // the review stays, so that a closed prompt can be tried again
        let now = self.clock.now();
        self.requests.put(
            format!("{name}.prepared"),
            session,
            Open::Prepared { prepared: Box::new(prepared), leaving },
            now,
        );
        self.requests.put(name.to_owned(), session, Open::Reviewed(again), now);
        Ok(json!({ "options": options }))
    }

    /// Takes the authenticator's answer and sends.
    pub(super) async fn finish_request(
        &self,
        session: &str,
        name: &str,
        ceremony: &AuthenticationResponse,
        prf: Option<Secret<Vec<u8>>>,
    ) -> Result<Value> {
        let credentials = self.credentials(session).await?;
        let now = self.clock.now();
        let Open::Prepared { prepared, leaving } =
            self.requests.take(&format!("{name}.prepared"), session, now)?
        else {
            return Err(gone());
        };
        let keys = self.keys(session);
        let context = self.presentation_context(&keys);
        let delivery = presentation::finish(*prepared, ceremony, &credentials, &context).await?;
        let _ = self.requests.take(name, session, now);
        self.take_prf(session, &base64url::encode(&ceremony.id.0), prf.as_ref()).await?;
        let (kind, verb) =
            if delivery.accepted { (What::Sent, "shown") } else { (What::Refused, "shown, but refused") };
        let entry = Entry {
            at: now,
            kind,
            title: format!("{} {verb}", leaving.names.join(" and ")),
            party: leaving.verifier,
            purpose: Some(leaving.purpose),
            claims: leaving.claims.clone(),
        };
        self.note(session, &entry).await?;
        Ok(json!({
            "accepted": delivery.accepted,
            "code": delivery.code,
            "reason": delivery.code.as_deref().map(refusal_words),
            "redirect_uri": delivery.redirect_uri,
            "claims": leaving.claims,
        }))
    }

    /// Tells the verifier that the person said no.
    pub(super) async fn decline_request(&self, session: &str, name: &str) -> Result<()> {
        let now = self.clock.now();
        let Open::Reviewed(review) = self.requests.take(name, session, now)? else { return Err(gone()) };
        let _ = self.requests.take(&format!("{name}.prepared"), session, now);
        let keys = self.keys(session);
        presentation::decline(&review, &self.presentation_context(&keys)).await?;
        let entry = Entry {
            at: now,
            kind: What::Declined,
            title: "Request declined".into(),
            party: self.verifier_name(&review),
            purpose: review.purpose,
            claims: Vec::new(),
        };
        self.note(session, &entry).await
    }
}

fn gone() -> Error {
    Error::refused("transaction_gone", "this is not open any more: please open the link again")
}

fn query_view(
    query: &QueryReview,
    review: &PresentationReview,
    credentials: &[StoredCredential],
) -> QueryView {
    let step_up = review.step_up.as_ref().filter(|step_up| step_up.credential_ids.contains(&query.id));
    let wanted = step_up.map_or(AssuranceLevel::None, |step_up| step_up.min_level);
    let candidates: Vec<_> =
        query.candidates.iter().map(|candidate| candidate_view(candidate, wanted, credentials)).collect();
    QueryView {
        id: query.id.clone(),
        name: candidates.first().map_or_else(|| query.id.clone(), |candidate| candidate.name.clone()),
        required: query.required,
        candidates,
    }
}

fn candidate_view(
    candidate: &Candidate,
    wanted: AssuranceLevel,
    credentials: &[StoredCredential],
) -> CandidateView {
    let stored = credentials.iter().find(|one| one.id == candidate.credential_id);
    let claims = stored.and_then(|one| words::read(one).ok());
    let headline = stored.zip(claims.as_ref()).map(|(one, claims)| words::headline(one, claims));
    let level = claims.as_ref().map(words::assurance).unwrap_or_default();
    CandidateView {
        credential_id: candidate.credential_id.clone(),
        headline: headline.unwrap_or_else(|| visible(&candidate.display.name)),
        name: visible(&candidate.display.name),
        issuer: visible(&candidate.issuer_name),
        issuer_trusted: candidate.issuer_trusted,
        issued_at: stored.map_or(0, |one| one.issued_at.as_secs()),
        format: stored.map(|one| one.format),
        format_text: stored.map(|one| words::format(one.format)),
        leaves_whole: stored.is_some_and(words::leaves_whole),
        too_weak: !level.satisfies(wanted),
        claims: candidate
            .claims
            .iter()
            .map(|claim| {
                let pointer: Vec<Value> = claim.path.clone().into();
                ClaimView {
                    label: words::label(&candidate.display, &pointer),
                    values: claim.values.iter().flat_map(words::lines).collect(),
                    required: !claim.optional,
                    technical: claim.technical,
                    path: Value::Array(pointer),
                }
            })
            .collect(),
    }
}

/// The engine's selection from the page's: optional claims that were not ticked stay.
fn selection(
    review: &PresentationReview,
    verifier: &str,
    chosen: &BTreeMap<String, Chosen>,
) -> Result<(Selection, Leaving)> {
    let unknown =
        || Error::misuse("selection_candidate", "a chosen credential is no candidate for its query");
    let mut choices = Vec::new();
    let mut leaving = Leaving {
        verifier: verifier.to_owned(),
        purpose: review.purpose.clone().unwrap_or_default(),
        names: Vec::new(),
        claims: Vec::new(),
    };
    for (query_id, chosen) in chosen {
        let candidate = review
            .queries
            .iter()
            .find(|query| query.id == *query_id)
            .and_then(|query| query.candidates.iter().find(|one| one.credential_id == chosen.credential_id))
            .ok_or_else(unknown)?;
        let mut leave_out = Vec::new();
        for claim in &candidate.claims {
            let pointer: Vec<Value> = claim.path.clone().into();
            if claim.optional && !chosen.claims.contains(&Value::Array(pointer.clone())) {
                leave_out.push(claim.path.clone());
            } else {
                leaving.claims.push(words::label(&candidate.display, &pointer));
            }
        }
        leaving.names.push(visible(&candidate.display.name));
        choices.push(Choice {
            query_id: query_id.clone(),
            credential_id: chosen.credential_id.clone(),
            leave_out,
        });
    }
    Ok((Selection { choices }, leaving))
}

fn step_up_words(review: &PresentationReview) -> String {
    match &review.step_up {
        Some(step_up) => format!(
            "They want proof that it is you, now: {}. The confirmation counts for {} seconds and for nothing else.",
            match step_up.min_level.as_str() {
                "uv" => "your device checks you by PIN, fingerprint or face",
                "biometric_capable" => "by an authenticator that can check a fingerprint or face",
                "biometric_app_asserted" => "by fingerprint or face, as the app says",
                "biometric_attested" => "by fingerprint or face, as proven by the hardware",
                _ => "your device checks you",
            },
            step_up.max_age
        ),
        None => "They do not ask for proof that it is you. This wallet asks you nevertheless, before anything leaves.".into(),
    }
}

fn refusal_words(code: &str) -> String {
    match code {
        "credential_revoked" => "The hospital has revoked this credential.".into(),
        "credential_suspended" => "The hospital has suspended this credential.".into(),
        "credential_expired" => "This credential has expired.".into(),
        "level_too_low" => "They ask for a stronger binding than this credential has.".into(),
        "request_expired" => "The request has expired. Please ask for a new one.".into(),
        "response_replayed" => "This request was answered already.".into(),
        other => format!("The reason is: {}.", other.replace('_', " ")),
    }
}

fn authentication_words(review: &PresentationReview) -> String {
    match review.verifier.authentication {
        VerifierAuthentication::Certificate => format!(
            "The request is signed. Its certificate names {} and was made by an authority that this wallet trusts.",
            visible(&review.verifier.name)
        ),
        VerifierAuthentication::Did => {
            "The request is signed with a key of the identifier below.".to_owned()
                + if review.verifier.trusted { "" } else { " This wallet does not know who that is." }
        }
        VerifierAuthentication::Attestation => format!(
            "The request is signed. Somebody whom this wallet trusts for it attests that the key is that of {}.",
            visible(&review.verifier.name)
        ),
        VerifierAuthentication::Federation => format!(
            "The request is signed. {} belongs to a federation that this wallet trusts, which vouches for the key.",
            visible(&review.verifier.name)
        ),
        VerifierAuthentication::Origin => format!(
            "The request is not signed. Your browser says that it comes from {}.",
            visible(&review.verifier.name)
        ),
        VerifierAuthentication::None => {
            "The request is not signed. All that is known is the address that the answer would go to."
                .to_owned()
        }
    }
}
