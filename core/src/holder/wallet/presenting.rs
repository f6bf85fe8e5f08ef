//! A request, from the link to the answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::lock::Mutex;
use serde_json::Value;
use url::Url;

use super::activity::{self, Activity, ActivityKind};
use super::ceremony;
use super::held::{CREDENTIAL, Held};
use super::keys::DeviceKeys;
use super::platform::{LogLevel, Prompt};
use super::{Party, Wallet, WalletError, device, words};
use crate::attestation::level::AssuranceLevel;
use crate::binding::transaction::visible;
use crate::credential::claims::ClaimPath;
use crate::error::{Error, Result};
use crate::holder::StoredCredential;
use crate::holder::presentation::{
    self, Candidate, Choice, Delivery, PresentationContext, PresentationReview, PresentationRules,
    QueryReview, Selection,
};
use crate::protocol::openid4vp::signed_request::VerifierAuthentication;
use crate::vault::records::{Batch, Records};
use crate::webauthn::assertion::AuthenticationResponse;

fn verifier(error: Error) -> WalletError {
    WalletError::of(Party::Verifier, error)
}

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
}

/// A request that the person looks at.
pub struct PresentationSession {
    wallet: Arc<Wallet>,
    review: PresentationReview,
    details: RequestDetails,
    choices: Vec<QueryChoice>,
    over: Mutex<bool>,
}

impl fmt::Debug for PresentationSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentationSession")
            .field("client_id", &self.details.client_id)
            .finish_non_exhaustive()
    }
}

impl Wallet {
    /// Opens a request link, authenticates the verifier and finds what fits. Nothing about the person leaves; a request
    /// that nobody could answer in principle is answered with its error code.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; what the request and the connection have to say (codes of [`presentation::review`]).
    pub async fn begin_presentation(
        self: &Arc<Self>,
        request_link: &str,
    ) -> Result<PresentationSession, WalletError> {
        let records = self.records()?;
        let held = self.all_held(&records).await.map_err(device)?;
        let credentials = showable(&held);
        let keys = self.device_keys(true, None);
        let review =
            presentation::review(request_link, &credentials, &self.presentation_context(&keys)).await;
        let review = review.map_err(verifier)?;
        let levels = levels(&credentials);
        let choices: Vec<_> =
            review.queries.iter().map(|query| query_choice(query, &review, &levels)).collect();
        Ok(PresentationSession {
            wallet: Arc::clone(self),
            details: request_details(&review, &choices),
            choices,
            review,
            over: Mutex::new(false),
        })
    }

    fn presentation_context<'a>(&'a self, keys: &'a DeviceKeys<'a>) -> PresentationContext<'a> {
        PresentationContext {
            http: &*self.platform.http,
            dids: &*self.platform.dids,
            keys,
            trust: &self.config.verifiers,
            rules: PresentationRules::none(),
            rp_id: &self.config.rp_id,
            origin: &self.config.origin,
            clock: &*self.platform.clock,
            random: self.random(),
        }
    }
}

fn showable(held: &[(String, Held)]) -> Vec<StoredCredential> {
    held.iter().filter_map(|(id, held)| held.showable(id)).collect()
}

fn levels(credentials: &[StoredCredential]) -> BTreeMap<&str, AssuranceLevel> {
    let level = |one| words::claims_of(one).map(|claims| words::level_of(&claims)).unwrap_or_default();
    credentials.iter().map(|one| (one.id.as_str(), level(one))).collect()
}

fn query_choice(
    query: &QueryReview,
    review: &PresentationReview,
    levels: &BTreeMap<&str, AssuranceLevel>,
) -> QueryChoice {
    let step_up = review.step_up.as_ref().filter(|step_up| step_up.credential_ids.contains(&query.id));
    let wanted = step_up.map_or(AssuranceLevel::None, |step_up| step_up.min_level);
    let candidate = |one: &Candidate| CandidateChoice {
        credential_id: one.credential_id.clone(),
        name: visible(&one.display.name),
        issuer_name: visible(&one.issuer_name),
        issuer_trusted: one.issuer_trusted,
        level_suffices: levels.get(one.credential_id.as_str()).copied().unwrap_or_default().satisfies(wanted),
        claims: one.claims.iter().map(|claim| claim_choice(one, claim)).collect(),
    };
    QueryChoice {
        query_id: query.id.clone(),
        required: query.required,
        multiple: query.multiple,
        candidates: query.candidates.iter().map(candidate).collect(),
    }
}

fn claim_choice(candidate: &Candidate, claim: &presentation::ClaimReview) -> ClaimChoice {
    let pointer: Vec<Value> = claim.path.clone().into();
    ClaimChoice {
        label: words::label(&candidate.display, &pointer),
        values: claim.values.iter().flat_map(words::lines).collect(),
        optional: claim.optional,
        technical: claim.technical,
        path: Value::Array(pointer).to_string(),
    }
}

fn request_details(review: &PresentationReview, choices: &[QueryChoice]) -> RequestDetails {
    let mut details = RequestDetails {
        verifier_name: visible(&review.verifier.name),
        client_id: visible(review.client_id()),
        authentication: review.verifier.authentication,
        trusted: review.verifier.trusted,
        purpose: review.purpose.clone(),
        step_up: review.step_up.as_ref().map(|step_up| step_up.min_level),
        encrypted: review.encrypted,
        answerable: review.answerable,
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
    ];
    details.warnings =
        warnings.into_iter().filter(|(applies, _)| *applies).map(|(_, warning)| warning).collect();
    details
}

impl PresentationSession {
    /// Who asks, and what for.
    pub fn details(&self) -> &RequestDetails {
        &self.details
    }

    /// What is asked for, with what fits.
    pub fn choices(&self) -> &[QueryChoice] {
        &self.choices
    }

    /// The smallest usual answer; `None` where nothing fits.
    pub fn default_selection(&self) -> Option<Selection> {
        self.review.default_selection()
    }

    /// One credential for one query, without the optional claims at `leave_out` (paths of [`ClaimChoice::path`]).
    ///
    /// # Errors
    /// `selection_candidate` for a path that is no candidate's.
    pub fn choice(
        &self,
        query_id: &str,
        credential_id: &str,
        leave_out: &[String],
    ) -> Result<Choice, WalletError> {
        let query = self.review.queries.iter().find(|query| query.id == query_id);
        let candidates = query.into_iter().flat_map(|query| &query.candidates);
        let mut candidates = candidates.filter(|one| one.credential_id == credential_id);
        let unknown = || {
            let detail = "a chosen credential or claim is not among what was offered";
            WalletError::of(Party::Person, Error::misuse("selection_candidate", detail))
        };
        let candidate = candidates.next().ok_or_else(unknown)?;
        let path = |wanted: &String| {
            let all = candidate.claims.iter().map(|claim| &claim.path);
            let mut same = all.filter(|path| {
                let pointer: Vec<Value> = (*path).clone().into();
                wanted.parse::<Value>().is_ok_and(|wanted| wanted == Value::Array(pointer))
            });
            same.next().cloned().ok_or_else(unknown)
        };
        let leave_out: Vec<ClaimPath> = leave_out.iter().map(path).collect::<Result<_, _>>()?;
        Ok(Choice { query_id: query_id.to_owned(), credential_id: credential_id.to_owned(), leave_out })
    }

    /// Sends the answer: exactly one prompt, whatever the number of credentials.
    ///
    /// A verifier that refuses is no error but an outcome: the claims left the device. After
    /// [`WalletError::UserCancelled`] and its kin it can be called again.
    ///
    /// # Errors
    /// [`WalletError::NoMatchingCredential`]; `selection_candidate` and its kin; `session_over`;
    /// [`WalletError::Locked`]; [`WalletError::ReenrolmentNeeded`]: a key is gone, and the credential says so from now
    /// on; what the platform and the connection have to say.
    pub async fn approve(
        &self,
        selection: &Selection,
        prompt: &Prompt,
    ) -> Result<PresentationOutcome, WalletError> {
        let mut over = self.over.lock().await;
        if *over {
            return Err(device(Error::misuse("session_over", "this request was dealt with")));
        }
        if !self.details.answerable {
            return Err(WalletError::NoMatchingCredential);
        }
        let wallet = &*self.wallet;
        let records = wallet.records()?;
        // Read again: a copy may have been used since the review.
        let mut held = wallet.all_held(&records).await.map_err(device)?;
        let credentials = showable(&held);
        let keys = wallet.device_keys(true, Some(prompt.clone()));
        let context = wallet.presentation_context(&keys);
        let prepared = presentation::prepare(self.review.clone(), selection, &credentials, &context);
        let prepared = prepared.map_err(|error| WalletError::of(Party::Person, error))?;
        let sent = async {
            match self.ceremony(&prepared, &held, &keys).await? {
                Some(ceremony) => presentation::finish(prepared, &ceremony, &credentials, &context).await,
                None => presentation::finish_by_holder_keys(prepared, &credentials, &context).await,
            }
        };
        let sent = sent.await;
        held.retain(|(id, _)| selection.choices.iter().any(|choice| choice.credential_id == *id));
        let delivery = match sent {
            Ok(delivery) => delivery,
            Err(error) => {
                self.after_failure(&records, held, selection, &error, &mut over).await?;
                return Err(verifier(error));
            }
        };
        *over = true;
        self.after_delivery(&records, held, selection, &delivery).await?;
        let Delivery { accepted, code, redirect_uri, .. } = delivery;
        Ok(PresentationOutcome { accepted, code, redirect_uri })
    }

    /// The ceremony, if a key of the wallet can make it. In a wallet without a second key the holder keys ask the
    /// person themselves.
    async fn ceremony(
        &self,
        prepared: &presentation::PreparedPresentation,
        held: &[(String, Held)],
        keys: &DeviceKeys<'_>,
    ) -> Result<Option<AuthenticationResponse>> {
        let options = &prepared.request_options;
        let Some(descriptor) = options.allow_credentials.first() else { return Ok(None) };
        let id = crate::encoding::base64url::encode(&descriptor.id.0);
        let embedded = held.iter().all(|(_, held)| {
            held.embedded || !held.copies.iter().any(|copy| super::ak_id(copy) == Some(id.as_str()))
        });
        if embedded {
            return ceremony::assert_embedded(options, &self.wallet.config.origin, keys).await.map(Some);
        }
        keys.confirmed();
        ceremony::assert_passkey(options, self.wallet.passkeys()?).await.map(Some)
    }

    /// Tells the verifier that the person said no. Returns where the person's browser goes next, if the verifier says.
    ///
    /// # Errors
    /// `session_over`; of the connection.
    pub async fn decline(&self) -> Result<Option<Url>, WalletError> {
        let mut over = self.over.lock().await;
        if *over {
            return Err(device(Error::misuse("session_over", "this request was dealt with")));
        }
        *over = true;
        let wallet = &*self.wallet;
        let keys = wallet.device_keys(true, None);
        let delivery = presentation::decline(&self.review, &wallet.presentation_context(&keys)).await;
        let records = wallet.records()?;
        let mut batch = Batch::new();
        let entry = Activity { credentials: Vec::new(), ..self.entry(ActivityKind::Declined) };
        activity::note(&records, &mut batch, &entry).await.map_err(device)?;
        wallet.commit(&records, batch).await?;
        Ok(delivery.map_err(verifier)?.redirect_uri)
    }

    fn entry(&self, kind: ActivityKind) -> Activity {
        Activity {
            party: self.details.verifier_name.clone(),
            party_id: self.details.client_id.clone(),
            trusted: self.details.trusted,
            purpose: self.details.purpose.clone(),
            ..Activity::own(self.wallet.now(), kind, Vec::new())
        }
    }

    /// What leaves under `selection`, by name.
    fn leaving(&self, selection: &Selection, kind: ActivityKind) -> Activity {
        let mut entry = self.entry(kind);
        for choice in &selection.choices {
            let query = self.review.queries.iter().find(|query| query.id == choice.query_id);
            let candidates = query.into_iter().flat_map(|query| &query.candidates);
            for one in candidates.filter(|one| one.credential_id == choice.credential_id) {
                entry.credentials.push(visible(&one.display.name));
                let leaves = one.claims.iter().filter(|claim| !choice.leave_out.contains(&claim.path));
                entry.claims.extend(leaves.map(|claim| {
                    let pointer: Vec<Value> = claim.path.clone().into();
                    words::label(&one.display, &pointer)
                }));
            }
        }
        entry
    }

    async fn after_delivery(
        &self,
        records: &Records,
        held: Vec<(String, Held)>,
        selection: &Selection,
        delivery: &Delivery,
    ) -> Result<(), WalletError> {
        let kind = if delivery.accepted { ActivityKind::Sent } else { ActivityKind::Refused };
        let entry = Activity { code: delivery.code.clone(), ..self.leaving(selection, kind) };
        self.spend(records, held, entry).await
    }

    /// Uses up the copies that were shown and writes the log, together.
    async fn spend(
        &self,
        records: &Records,
        held: Vec<(String, Held)>,
        entry: Activity,
    ) -> Result<(), WalletError> {
        let (mut batch, mut unneeded) = (Batch::new(), Vec::new());
        for (id, mut held) in held {
            if held.single_use() {
                unneeded.extend(held.spend());
                self.wallet.put_held(records, &mut batch, &id, &held).await.map_err(device)?;
            }
        }
        activity::note(records, &mut batch, &entry).await.map_err(device)?;
        self.wallet.commit(records, batch).await?;
        for alias in unneeded {
            // The copy is gone; its key is of no use to anybody.
            let _ = self.wallet.platform.keys.delete(&alias).await;
        }
        Ok(())
    }

    async fn after_failure(
        &self,
        records: &Records,
        held: Vec<(String, Held)>,
        selection: &Selection,
        error: &Error,
        over: &mut bool,
    ) -> Result<(), WalletError> {
        match (error.code(), error) {
            ("key_invalidated", _) => self.wallet.lose_keys(records, held).await,
            ("platform_unexpected" | "platform_not_available", _) => Ok(()),
            // The connection broke: whether the answer arrived is not known, so its copies are used up.
            (_, Error::Unavailable { .. }) => {
                *over = true;
                self.spend(records, held, self.leaving(selection, ActivityKind::Unconfirmed)).await
            }
            _ => Ok(()),
        }
    }
}

impl Wallet {
    /// Writes a changed credential, with the summary that belongs to it.
    pub(super) async fn put_held(
        &self,
        records: &Records,
        batch: &mut Batch,
        id: &str,
        held: &Held,
    ) -> Result<()> {
        let summary = records.summary::<super::held::Summary>(CREDENTIAL, id).await?;
        let (logo, status) =
            summary.map_or((false, super::KnownStatus::Unknown), |known| (known.has_logo, known.status));
        let mut summary = held.summary(id, logo)?;
        summary.status = status;
        batch.put(CREDENTIAL, id, &summary, held)
    }

    /// Marks the credentials of an answer whose keys the device has destroyed.
    async fn lose_keys(&self, records: &Records, held: Vec<(String, Held)>) -> Result<(), WalletError> {
        let (mut batch, mut names) = (Batch::new(), Vec::new());
        for (id, mut held) in held {
            held.keys_lost = true;
            names.extend(held.front().map(|front| visible(&front.display.name)));
            self.put_held(records, &mut batch, &id, &held).await.map_err(device)?;
        }
        let entry = Activity::own(self.now(), ActivityKind::KeysLost, names);
        activity::note(records, &mut batch, &entry).await.map_err(device)?;
        self.log(LogLevel::Warn, "keys of credentials are gone: enrol them again");
        self.commit(records, batch).await
    }
}
