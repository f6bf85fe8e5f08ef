//! A request, from the link to the answer.

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
use super::request::{
    PresentationOutcome, QueryChoice, RequestDetails, UsedUp, levels, query_choice, request_details,
};
use super::{Party, Wallet, WalletError, device, words};
use crate::binding::transaction::visible;
use crate::credential::claims::ClaimPath;
use crate::encoding::json as strict_json;
use crate::error::{Error, Result};
use crate::holder::StoredCredential;
use crate::holder::presentation::{
    self, Choice, Delivery, PresentationContext, PresentationReview, Selection,
};
use crate::limits::Limits;
use crate::protocol::openid4vp::digital_credentials::{
    DigitalCredentialRequest, DigitalCredentialResponse, ExchangeProtocol,
};
use crate::vault::records::{Batch, Records};
use crate::webauthn::assertion::AuthenticationResponse;

/// Most requests of one call of the Digital Credentials API.
const MAX_REQUESTS: usize = 16;

fn verifier(error: Error) -> WalletError {
    WalletError::of(Party::Verifier, error)
}

/// A request that the person looks at.
pub struct PresentationSession {
    wallet: Arc<Wallet>,
    review: PresentationReview,
    details: RequestDetails,
    choices: Vec<QueryChoice>,
    /// Of a request that came over the Digital Credentials API.
    protocol: Option<ExchangeProtocol>,
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
            Box::pin(presentation::review(request_link, &credentials, &self.presentation_context(&keys)))
                .await;
        Ok(self.session(review.map_err(verifier)?, None, &held, &credentials))
    }

    /// Opens a request that came over the Digital Credentials API: `request_json` is what the platform hands over, the
    /// `digital` member of the page's call or its `requests`, and `origin` is the page's origin as the platform says. The
    /// first request whose protocol and verifier this wallet takes counts. The answer goes back to the platform
    /// ([`PresentationOutcome::platform_response`]); after an error, or when the person says no, cancel the call.
    ///
    /// # Errors
    /// `dc_api_request`: it is no such JSON; `dc_api_protocol`: none of the requests is of a known protocol; otherwise those
    /// of [`Self::begin_presentation`] ([`presentation::review_digital`]).
    pub async fn begin_digital_presentation(
        self: &Arc<Self>,
        request_json: &str,
        origin: &str,
    ) -> Result<PresentationSession, WalletError> {
        let records = self.records()?;
        let held = self.all_held(&records).await.map_err(device)?;
        let credentials = showable(&held);
        let keys = self.device_keys(true, None);
        let context = self.presentation_context(&keys);
        let mut fault = Error::unsupported("dc_api_protocol", "none of the requests is of a known protocol");
        for request in digital_requests(request_json).map_err(verifier)? {
            let one = std::slice::from_ref(&request);
            match Box::pin(presentation::review_digital(one, origin, &credentials, &context)).await {
                Ok(review) => return Ok(self.session(review, Some(request.protocol), &held, &credentials)),
                Err(error) => fault = error,
            }
        }
        Err(verifier(fault))
    }

    fn session(
        self: &Arc<Self>,
        review: PresentationReview,
        protocol: Option<ExchangeProtocol>,
        held: &[(String, Held)],
        credentials: &[StoredCredential],
    ) -> PresentationSession {
        let levels = levels(credentials);
        let reusable = held.iter().filter(|(_, held)| held.reusable);
        let shown: Vec<&str> = reusable.map(|(id, _)| id.as_str()).collect();
        let choices: Vec<_> =
            review.queries.iter().map(|query| query_choice(query, &review, &levels, &shown)).collect();
        PresentationSession {
            wallet: Arc::clone(self),
            details: request_details(&review, &choices, &self.config.locale),
            choices,
            review,
            protocol,
            over: Mutex::new(false),
        }
    }

    fn presentation_context<'a>(&'a self, keys: &'a DeviceKeys<'a>) -> PresentationContext<'a> {
        PresentationContext {
            http: &*self.platform.http,
            dids: &*self.platform.dids,
            keys,
            trust: &self.config.verifiers,
            rules: &self.config.rules,
            rp_id: &self.config.rp_id,
            origin: &self.config.origin,
            clock: &*self.platform.clock,
            random: self.random(),
        }
    }
}

/// The requests of a call of the Digital Credentials API whose protocol is known; a page may ask in several at once.
fn digital_requests(text: &str) -> Result<Vec<DigitalCredentialRequest>> {
    let malformed =
        || Error::malformed("dc_api_request", "not the requests of a Digital Credentials API call");
    let value = strict_json::parse(text.as_bytes(), &Limits::DEFAULT)?;
    let call = value.get("digital").unwrap_or(&value);
    let requests = call.get("requests").and_then(Value::as_array).ok_or_else(malformed)?;
    if requests.is_empty() || requests.len() > MAX_REQUESTS {
        return Err(malformed());
    }
    Ok(requests.iter().filter_map(|one| serde_json::from_value(one.clone()).ok()).collect())
}

fn showable(held: &[(String, Held)]) -> Vec<StoredCredential> {
    held.iter().filter_map(|(id, held)| held.showable(id)).collect()
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
                Some(ceremony) => {
                    Box::pin(presentation::finish(prepared, &ceremony, &credentials, &context)).await
                }
                None => Box::pin(presentation::finish_by_holder_keys(prepared, &credentials, &context)).await,
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
        let used_up = Box::pin(self.after_delivery(&records, held, selection, &delivery)).await?;
        let Delivery { accepted, code, redirect_uri, platform } = delivery;
        let response = self.protocol.zip(platform);
        let response = response.map(|(protocol, data)| DigitalCredentialResponse { protocol, data });
        let platform_response = response.as_ref().map(ceremony::to_json).transpose().map_err(device)?;
        Ok(PresentationOutcome { accepted, code, redirect_uri, platform_response, used_up })
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
    ) -> Result<Vec<UsedUp>, WalletError> {
        let kind = if delivery.accepted { ActivityKind::Sent } else { ActivityKind::Refused };
        let entry = Activity { code: delivery.code.clone(), ..self.leaving(selection, kind) };
        self.spend(records, held, entry).await
    }

    /// Uses up the copies that were shown and writes the log, together. Returns what has no copy left now.
    async fn spend(
        &self,
        records: &Records,
        held: Vec<(String, Held)>,
        entry: Activity,
    ) -> Result<Vec<UsedUp>, WalletError> {
        let (mut batch, mut unneeded, mut used_up) = (Batch::new(), Vec::new(), Vec::new());
        for (id, mut held) in held {
            if held.single_use() {
                let before = held.used_up;
                unneeded.extend(held.spend(self.wallet.config.reuse_last_copy));
                self.wallet.put_held(records, &mut batch, &id, &held).await.map_err(device)?;
                if held.used_up && !before {
                    let shown = self.wallet.shown(held.summary(&id, false).map_err(device)?);
                    let (credential_id, name, then) = (id, shown.name, shown.when_used_up);
                    used_up.push(UsedUp { credential_id, name, then });
                }
            }
        }
        activity::note(records, &mut batch, &entry).await.map_err(device)?;
        self.wallet.commit(records, batch).await?;
        for alias in unneeded {
            // The copy is gone; its key is of no use to anybody.
            self.wallet.forget_key(&alias).await;
        }
        Ok(used_up)
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
                self.spend(records, held, self.leaving(selection, ActivityKind::Unconfirmed)).await.map(drop)
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
