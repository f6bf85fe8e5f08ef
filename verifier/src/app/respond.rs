//! Taking an answer: parse, gather, judge, and write the outcome by one transaction that also takes the nonce.

use carekey_core::clock::UnixTime;
use carekey_core::jose::jwe;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::digital_credentials::DigitalCredentialResponse;
use carekey_core::protocol::openid4vp::request::ResponseMode;
use carekey_core::protocol::openid4vp::response::{FormResponse, UnverifiedResponse};
use carekey_core::store::{CommitError, Expect, Stored, Write};
use carekey_core::verifier::{
    Evidence, PresentationRequest, Refusal, RefusalCode, UnverifiedPresentation, VerifiedPresentation, verify,
};
use carekey_core::{Error, Result};
use serde::Deserialize;
use url::Url;

use super::App;
use super::record::{CODES, CodeRecord, NewOutcome, OUTCOMES, REQUESTS, RequestRecord, RequestState, hash};

/// The answer was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Where the wallet sends the person next.
    pub redirect_uri: Option<Url>,
}

/// An answer that a page of the portal brings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Brought {
    /// Response mode `fragment`.
    Fragment {
        /// The fragment of the address to which the wallet sent the browser.
        fragment: String,
    },
    /// The Digital Credentials API.
    Digital(DigitalCredentialResponse),
}

/// Why an answer was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseRefused {
    /// The wallet's fault, by a code of the closed list.
    Refused {
        /// The code.
        code: RefusalCode,
        /// One sentence.
        detail: String,
    },
    /// Our own fault.
    Failed(Error),
}

/// How a request ends.
enum Ending {
    Verified(Box<VerifiedPresentation>),
    Refused(Refusal),
    Declined(&'static str),
}

impl App {
    /// Takes the form that a wallet posts to the response endpoint.
    ///
    /// # Errors
    /// A refusal leaves the request as it was, unless its code is final ([`RefusalCode::is_final`]).
    pub async fn receive(&self, id: &str, form: &[u8]) -> Result<Accepted, ResponseRefused> {
        let stored = self.open_record(id).await?;
        if !matches!(
            stored.value.request.response_mode,
            ResponseMode::DirectPost | ResponseMode::DirectPostJwt
        ) {
            return Err(wrong_mode().into());
        }
        let response = read(&stored.value.request, FormResponse::parse(form, &Limits::DEFAULT)?)?;
        self.end(id, stored, response).await
    }

    /// Takes an answer that the person's browser brought to the portal's page in `session`, which must be the session that
    /// asked, where the request has one.
    ///
    /// # Errors
    /// As [`Self::receive`], and `session_mismatch`.
    pub async fn receive_brought(
        &self,
        id: &str,
        brought: &Brought,
        session: Option<&str>,
    ) -> Result<Accepted, ResponseRefused> {
        let stored = self.open_record(id).await?;
        let request = &stored.value.request;
        let form = match (brought, request.response_mode) {
            (Brought::Fragment { fragment }, ResponseMode::Fragment) => {
                FormResponse::parse(fragment.trim_start_matches('#').as_bytes(), &Limits::DEFAULT)?
            }
            (Brought::Digital(answer), ResponseMode::DcApi | ResponseMode::DcApiJwt) => {
                if !stored.value.digital.iter().any(|asked| asked.protocol == answer.protocol) {
                    return Err(wrong_mode().into());
                }
                FormResponse::from_platform(&answer.data, &Limits::DEFAULT)?
            }
            _ => return Err(wrong_mode().into()),
        };
        if !stored.value.brought_by(session) {
            let detail = "the request was made in another browser session";
            return Err(Error::refused("session_mismatch", detail).into());
        }
        let response = read(request, form)?;
        self.end(id, stored, response).await
    }

    /// Judges a response that belongs to this request.
    async fn end(
        &self,
        id: &str,
        stored: Stored<RequestRecord>,
        response: UnverifiedResponse,
    ) -> Result<Accepted, ResponseRefused> {
        let ending = match response {
            UnverifiedResponse::Error { error, .. } => Ending::Declined(error.as_str()),
            UnverifiedResponse::VpToken { vp_token, .. } => {
                let request = &stored.value.request;
                let trust = self.trust.current();
                let policy = &trust.policy;
                let presentation = UnverifiedPresentation::parse(&vp_token, &request.query, &policy.limits)?;
                let now = self.now();
                let sources =
                    self.gatherer.gather(&presentation, &trust.issuers, now, policy.status_max_age).await;
                let evidence = Evidence { request, now, sources };
                match verify(presentation, &evidence, policy) {
                    Ok(verified) => Ending::Verified(Box::new(verified)),
                    Err(refusal) if refusal.code.is_final() => Ending::Refused(refusal),
                    Err(refusal) => {
                        self.metrics.count("presentation", "refused");
                        self.events.attempt(id, refusal.code);
                        return Err(refusal.into());
                    }
                }
            }
        };
        self.finish(id, stored, ending).await
    }

    /// Writes state, outcome and response code by one transaction. The version that was read stands for the unused
    /// nonce: of any number of answers at the same time one is written.
    async fn finish(
        &self,
        id: &str,
        mut stored: Stored<RequestRecord>,
        ending: Ending,
    ) -> Result<Accepted, ResponseRefused> {
        let now = self.now();
        let record = &mut stored.value;
        record.finished_at = Some(now);
        // Of no more use, and the key to what was sent.
        record.request.encryption_key = None;
        let (state, outcome) = match &ending {
            Ending::Verified(verified) => (RequestState::Verified, Some(NewOutcome::Verified(verified))),
            Ending::Refused(refusal) => {
                record.refusal = Some(refusal.code);
                (RequestState::Refused, Some(NewOutcome::Refused(refusal)))
            }
            Ending::Declined(error) => {
                record.wallet_error = Some((*error).to_owned());
                (RequestState::Declined, None)
            }
        };
        record.state = state;
        let code = record.redirect_uri.clone().map(|uri| (uri, self.random.token(32)));
        loop {
            let writes =
                self.writes(id, &stored, outcome.as_ref(), code.as_ref().map(|(_, code)| code), now)?;
            match self.store.commit(writes).await {
                Ok(()) => break,
                Err(CommitError::Conflict { .. }) => {
                    // Opened meanwhile: the nonce is still unused. Answered meanwhile: this is an error.
                    stored.version = self.open_record(id).await?.version;
                }
                Err(CommitError::Failed(error)) => return Err(error.into()),
            }
        }
        self.metrics.count("presentation", state.as_str());
        self.events.publish(id, state);
        if let Ending::Refused(refusal) = ending {
            return Err(refusal.into());
        }
        let redirect_uri = code.map(|(mut uri, code)| {
            uri.query_pairs_mut().append_pair("response_code", &code);
            uri
        });
        Ok(Accepted { redirect_uri })
    }

    fn writes(
        &self,
        id: &str,
        stored: &Stored<RequestRecord>,
        outcome: Option<&NewOutcome<'_>>,
        code: Option<&String>,
        now: UnixTime,
    ) -> Result<Vec<Write>> {
        let version = Expect::Version(stored.version);
        let mut writes = vec![Write::put_json(REQUESTS, id, version, &stored.value, stored.expires_at)?];
        if let Some(outcome) = outcome {
            let until = now.plus(self.config.retention_seconds);
            writes.push(Write::put_json(OUTCOMES, id, Expect::Absent, outcome, Some(until))?);
        }
        if let Some(code) = code {
            let until = now.plus(self.config.response_code_seconds);
            let value = CodeRecord { request_id: id.to_owned() };
            writes.push(Write::put_json(CODES, hash(code), Expect::Absent, &value, Some(until))?);
        }
        Ok(writes)
    }
}

/// The response, decrypted where the request asked for encryption, and meant for this request.
fn read(request: &PresentationRequest, response: FormResponse) -> Result<UnverifiedResponse> {
    let response = match (response, &request.encryption_key) {
        (FormResponse::Encrypted(token), Some(key)) => {
            let (_, payload) =
                jwe::decrypt(&token, &key.decryption_key()?, &Limits::DEFAULT).map_err(encryption)?;
            UnverifiedResponse::from_decrypted(&payload, &Limits::DEFAULT)?
        }
        (FormResponse::Encrypted(_), None) => {
            return Err(Error::malformed("response_encryption", "no encrypted response was asked for"));
        }
        (FormResponse::Plain(UnverifiedResponse::VpToken { .. }), Some(_)) => {
            return Err(Error::malformed("response_not_encrypted", "an encrypted response was asked for"));
        }
        // An error response may come unencrypted (section 8.3.1).
        (FormResponse::Plain(response), _) => response,
    };
    // The Digital Credentials API has no `state`: platform and origin tie the answer to the request (appendix A.2).
    match request.response_mode.is_dc_api() || response.state() == Some(request.state.as_str()) {
        true => Ok(response),
        false => Err(Error::refused("state_mismatch", "the response does not carry this request's state")),
    }
}

fn wrong_mode() -> Error {
    Error::malformed("response_mode_mismatch", "the answer did not come in the way that was asked for")
}

fn encryption(error: Error) -> Error {
    Error::malformed("response_encryption", error.detail().to_owned())
}

impl From<Refusal> for ResponseRefused {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code, detail: refusal.detail }
    }
}

impl From<Error> for ResponseRefused {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable { .. } | Error::Misuse { .. } => Self::Failed(error),
            _ => Self::Refused { code: RefusalCode::of(&error), detail: error.detail().to_owned() },
        }
    }
}
