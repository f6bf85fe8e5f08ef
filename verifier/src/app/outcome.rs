//! Reading what became of a request, and the request object itself.

use carekey_core::clock::UnixTime;
use carekey_core::did::DidDocument;
use carekey_core::jose::jwe::{self, ContentEncryption, PartyInfo};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::wallet_metadata::WalletMetadata;
use carekey_core::store::{CommitError, Expect, Stored, put_json, read_json, take_json};
use carekey_core::verifier::{Refusal, VerifiedPresentation};
use carekey_core::{Error, Result};
use serde::Serialize;

use super::record::{
    CODES, CodeRecord, Flow, OUTCOMES, OutcomeRecord, REQUESTS, RequestRecord, RequestState, SessionBinding,
    hash,
};
use super::{App, DigitalArgument};

/// A request as its maker sees it.
#[derive(Debug, Clone, Serialize)]
pub struct RequestView {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub state: RequestState,
    /// What it is for.
    pub purpose: String,
    /// The way between the page that asks and the wallet.
    pub flow: Flow,
    /// The link for the wallet; none over the Digital Credentials API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri: Option<String>,
    /// The argument of `navigator.credentials.get`, over the Digital Credentials API.
    #[serde(flatten)]
    pub digital: Option<DigitalArgument>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it expires or expired.
    pub expires_at: UnixTime,
    /// When the answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixTime>,
    /// The outcome, while it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// The typed outcome of a request.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// Every check passed.
    Verified {
        /// Claims, level and checks.
        presentation: Box<VerifiedPresentation>,
        /// What ties the answer to the session that asked: whether whoever sees this is whoever answered.
        session_binding: SessionBinding,
        /// When this is deleted.
        kept_until: Option<UnixTime>,
    },
    /// A check failed.
    Refused {
        /// Why, and the checks up to the failed one.
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// The wallet answered with an error.
    Declined {
        /// Its code (section 8.5).
        error: String,
    },
    /// The outcome was deleted, as the retention demands.
    Deleted,
    /// The answer came, but the response code did not come back yet.
    Withheld,
}

impl App {
    /// What became of a request; `None` where there is none of that name. With `session`, only a request that was made
    /// in that browser session.
    ///
    /// # Errors
    /// Of the store.
    pub async fn outcome(&self, id: &str, session: Option<&str>) -> Result<Option<RequestView>> {
        let now = self.now();
        let Some(record) = self.record(id).await?.filter(|record| record.value.in_session(session)) else {
            return Ok(None);
        };
        let record = record.value;
        let state = record.state_at(now);
        let outcome = match state {
            RequestState::Pending | RequestState::Opened | RequestState::Expired => None,
            RequestState::Declined => {
                Some(Outcome::Declined { error: record.wallet_error.clone().unwrap_or_default() })
            }
            RequestState::Verified | RequestState::Refused if !record.released => Some(Outcome::Withheld),
            RequestState::Verified | RequestState::Refused => {
                Some(self.kept_outcome(id, record.session_binding(), now).await?)
            }
        };
        Ok(Some(RequestView {
            id: record.request.id,
            state,
            purpose: record.request.purpose,
            flow: record.flow,
            digital: DigitalArgument::of(&record.digital),
            request_uri: record.link,
            created_at: record.request.created_at,
            expires_at: record.request.expires_at,
            finished_at: record.finished_at,
            outcome,
        }))
    }

    async fn kept_outcome(
        &self,
        id: &str,
        session_binding: SessionBinding,
        now: UnixTime,
    ) -> Result<Outcome> {
        let kept: Option<Stored<OutcomeRecord>> = read_json(&*self.store, OUTCOMES, id).await?;
        let Some(kept) = kept.filter(|kept| kept.is_live(now)) else { return Ok(Outcome::Deleted) };
        match kept.value {
            OutcomeRecord::Refused(refusal) => Ok(Outcome::Refused { refusal }),
            OutcomeRecord::Verified(presentation) => Ok(Outcome::Verified {
                presentation: Box::new(VerifiedPresentation::from_own_record(
                    presentation.to_string().as_bytes(),
                )?),
                session_binding,
                kept_until: kept.expires_at,
            }),
        }
    }

    /// Takes a response code, once, and releases the outcome of its request.
    ///
    /// # Errors
    /// [`Error::Refused`] `response_code` when it is unknown, used or expired; `session_mismatch` when the request was
    /// made in another browser session (the code is spent nevertheless).
    pub async fn redeem_response_code(&self, code: &str, session: Option<&str>) -> Result<RequestView> {
        let unknown = || Error::refused("response_code", "the response code is unknown, used or expired");
        let now = self.now();
        let taken: Option<CodeRecord> = take_json(&*self.store, CODES, hash(code), now).await?;
        let id = taken.ok_or_else(unknown)?.request_id;
        let released = carekey_core::store::update_json(
            &*self.store,
            REQUESTS,
            &id,
            now,
            |record: &mut RequestRecord| {
                if !record.brought_by(session) {
                    let detail = "the request was made in another browser session";
                    return Err(Error::refused("session_mismatch", detail));
                }
                record.released = true;
                Ok(())
            },
        );
        released.await?.ok_or_else(unknown)?;
        self.outcome(&id, session).await?.ok_or_else(unknown)
    }

    /// The signed request object, for a wallet; notes that the request was opened.
    ///
    /// # Errors
    /// [`Error::Refused`] `request_unknown` (also for requests that travel by value), [`Error::NotCurrent`]
    /// `request_expired`, [`Error::Refused`] `response_replayed` when it was answered already; `wallet_nonce`,
    /// `wallet_metadata`; [`Error::Refused`] `wallet_unsuitable` when the wallet cannot answer this request.
    pub async fn request_object(
        &self,
        id: &str,
        wallet_nonce: Option<&str>,
        wallet_metadata: Option<&str>,
    ) -> Result<String> {
        if wallet_nonce.is_some_and(|nonce| nonce.is_empty() || nonce.len() > 512) {
            return Err(Error::malformed("wallet_nonce", "`wallet_nonce` has 1 to 512 bytes"));
        }
        let wallet = wallet_metadata.map(|text| WalletMetadata::parse(text, &Limits::DEFAULT)).transpose()?;
        let wallet = wallet.unwrap_or_default();
        let mut stored = self.open_record(id).await?;
        if !stored.value.request.client_id.prefix().is_signed() {
            return Err(unknown_request());
        }
        if stored.value.request.response_mode.is_dc_api() {
            return Err(unknown_request());
        }
        let parameters = stored.value.request.authorization_request(wallet_nonce)?;
        wallet.check(&parameters, self.identity.algorithm())?;
        let object = self.identity.sign(&parameters)?;
        let object = match &wallet.encryption_key {
            Some(key) => {
                jwe::encrypt(object.as_bytes(), key, ContentEncryption::A256Gcm, &PartyInfo::default())?
            }
            None => object,
        };
        if stored.value.state == RequestState::Pending {
            stored.value.state = RequestState::Opened;
            let expect = Expect::Version(stored.version);
            match put_json(&*self.store, REQUESTS, id, expect, &stored.value, stored.expires_at).await {
                Ok(()) => self.events.publish(id, RequestState::Opened),
                // Somebody else opened or answered it just now.
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(error),
            }
        }
        Ok(object)
    }

    /// The document of this verifier's `did:web`.
    ///
    /// # Errors
    /// None in practice.
    pub fn did_document(&self) -> Result<DidDocument> {
        self.identity.did_document()
    }

    pub(super) async fn record(&self, id: &str) -> Result<Option<Stored<RequestRecord>>> {
        // A key outside the store's bounds is an unknown id.
        if id.is_empty() || id.len() > 64 {
            return Ok(None);
        }
        let record: Option<Stored<RequestRecord>> = read_json(&*self.store, REQUESTS, id).await?;
        Ok(record.filter(|record| record.is_live(self.now())))
    }

    /// The record of a request that still waits for its answer.
    pub(super) async fn open_record(&self, id: &str) -> Result<Stored<RequestRecord>> {
        let stored = self.record(id).await?.ok_or_else(unknown_request)?;
        match stored.value.state_at(self.now()) {
            RequestState::Pending | RequestState::Opened => Ok(stored),
            RequestState::Expired => {
                let limit = stored.value.request.expires_at;
                Err(Error::not_current("request_expired", "the request has expired", self.now(), limit))
            }
            RequestState::Verified | RequestState::Refused | RequestState::Declined => {
                Err(Error::refused("response_replayed", "the request was answered already"))
            }
        }
    }
}

fn unknown_request() -> Error {
    Error::refused("request_unknown", "there is no request here")
}
