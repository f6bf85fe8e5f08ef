//! The authorization code flow at the issuer's own authorization server (OpenID4VCI 1.0 section 5, RFC 6749, RFC 9126,
//! RFC 9207): from the pushed request over the person's sign-in to the code.
//!
//! ```text
//!  wallet ─ push ──────────▶ request_uri   once, for a minute
//!  browser ─ begin_login ──▶ login         bound to the browser by its name, which is a cookie
//!  browser ─ sign in ──────▶ subject       the hospital's provider says who it is, or a code from the desk does
//!  browser ◀─ finish_login ─ code          for what the desk prepared for that person
//! ```

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use url::Url;

use super::client_attestation::ClientProofs;
use super::offer::bounded_key;
use super::records::{
    AUTHORIZATION_CODES, AuthorizationCodeRecord, LOGINS, LoginRecord, OFFERS, OfferRecord, PUSHED,
    PushedRecord, SUBJECTS,
};
use super::{AUTHORIZATION_PATH, Caller, Issuer, OfferState, PAR_PATH, fresh, hashed};
use crate::error::{Error, Result};
use crate::protocol::oauth::authorization::{
    AuthorizationRequest, AuthorizationResponse, PushedResponse, REQUEST_URI_PREFIX, redirect,
};
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::store::{CommitError, Expect, Stored, Write, read_json, take_json, update_json};

/// A client that may use the authorization code flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// OAuth client identifier.
    pub client_id: String,
    /// Name for the person who signs in.
    pub name: String,
    /// Where answers may go: exact strings.
    pub redirect_uris: Vec<String>,
}

/// What the sign-in page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginView {
    /// Name of the wallet.
    pub client_name: String,
    /// What it asks for.
    pub configuration_ids: Vec<String>,
    /// Whether the desk gave the person a code for signing in.
    pub by_code: bool,
}

/// Who signed in.
#[derive(Clone, PartialEq, Eq)]
pub enum SignedIn {
    /// The hospital's provider knows the person under this identifier.
    Subject(String),
    /// The person knows the code that the desk gave out with the offer.
    DeskCode(String),
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Subject(_) => "Subject(…)",
            Self::DeskCode(_) => "DeskCode(…)",
        })
    }
}

impl Issuer {
    /// The pushed authorization request endpoint.
    ///
    /// # Errors
    /// `invalid_request`, `unsupported_response_type`, `invalid_client` (`client_unknown`), `invalid_scope`,
    /// `invalid_authorization_details`, `invalid_dpop_proof`, `use_dpop_nonce`, those of wallet attestations; the error inside says what exactly:
    /// `redirect_unregistered`, `authorization_issuer_state`, and the codes of [`AuthorizationRequest::parse_form`].
    pub async fn push(&self, caller: &Caller<'_>, form: &[u8]) -> Result<PushedResponse, Refusal> {
        let invalid = ErrorCode::InvalidRequest.refuse();
        let request =
            AuthorizationRequest::parse_form(form, &self.limits).map_err(|error| match error.code() {
                "authorization_response_type" => ErrorCode::UnsupportedResponseType.refuse()(error),
                "authorization_details" => ErrorCode::InvalidAuthorizationDetails.refuse()(error),
                _ => invalid(error),
            })?;
        let client = self.client(&request.client_id)?;
        if !client.redirect_uris.contains(&request.redirect_uri) {
            return Err(invalid(Error::refused(
                "redirect_unregistered",
                "the redirect_uri is not registered",
            )));
        }
        let (configuration_ids, identifiers) = self.requested(&request)?;
        if let Some(state) = &request.issuer_state
            && self.open_offer(state).await.map_err(ErrorCode::ServerError.refuse())?.is_none()
        {
            return Err(invalid(Error::refused("authorization_issuer_state", "there is no such open offer")));
        }
        let name = fresh(&*self.random);
        let end = self.now().plus(self.settings.pushed_lifetime);
        let mut record = PushedRecord { request, configuration_ids, identifiers, jkt: None, instance: None };
        loop {
            let proofs = self.pushing_client(caller, &record.request).await?;
            record.jkt = proofs.jkt().map(str::to_owned).or_else(|| record.request.dpop_jkt.clone());
            record.instance = proofs.instance().map(str::to_owned);
            let write = Write::put_json(PUSHED, hashed(&name), Expect::Absent, &record, Some(end));
            let mut writes = vec![write.map_err(ErrorCode::ServerError.refuse())?];
            writes.extend(proofs.into_writes());
            match self.store.commit(writes).await {
                Ok(()) => break,
                // Another request has used one of the proofs: looking again says which.
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(ErrorCode::ServerError.refuse()(error)),
            }
        }
        let request_uri = format!("{REQUEST_URI_PREFIX}{name}");
        Ok(PushedResponse { request_uri, expires_in: self.settings.pushed_lifetime })
    }

    /// What the client that pushes a request proves.
    async fn pushing_client(
        &self,
        caller: &Caller<'_>,
        request: &AuthorizationRequest,
    ) -> Result<ClientProofs, Refusal> {
        let attested = self.attested_client(caller, Some(&request.client_id)).await?;
        let proofs = ClientProofs { dpop: self.dpop_proof(caller, PAR_PATH, None).await?, attested };
        let named = request.dpop_jkt.as_deref();
        if named.is_some() && proofs.jkt().is_some_and(|proven| Some(proven) != named) {
            let error = Error::refused("dpop_jkt", "dpop_jkt is another key than the one that was proven");
            return Err(ErrorCode::InvalidDpopProof.refuse()(error));
        }
        Ok(proofs)
    }

    fn client(&self, client_id: &str) -> Result<&Client, Refusal> {
        self.settings.clients.iter().find(|client| client.client_id == client_id).ok_or_else(|| {
            let error = Error::refused("client_unknown", "the client is not registered for the code flow");
            ErrorCode::InvalidClient.refuse()(error)
        })
    }

    /// What is asked for, by authorization details and by scope; where both name the same credential, the details count
    /// (section 5.1.2). Unknown scope values are ignored.
    fn requested(&self, request: &AuthorizationRequest) -> Result<(Vec<String>, bool), Refusal> {
        let details = &request.authorization_details;
        if details.iter().any(|detail| self.offered(&detail.credential_configuration_id).is_err()) {
            let error = Error::refused("authorization_details", "there is no such credential configuration");
            return Err(ErrorCode::InvalidAuthorizationDetails.refuse()(error));
        }
        let mut ids: Vec<String> =
            details.iter().map(|detail| detail.credential_configuration_id.clone()).collect();
        for scope in &request.scope {
            if self.offered(scope).is_ok() && !ids.contains(scope) {
                ids.push(scope.clone());
            }
        }
        if ids.is_empty() {
            let error = Error::refused("authorization_scope", "no credential is asked for");
            return Err(ErrorCode::InvalidScope.refuse()(error));
        }
        Ok((ids, !details.is_empty()))
    }

    /// Opens the sign-in for a pushed request, which is used up: the name of the login, to be kept by the browser only.
    ///
    /// # Errors
    /// `authorization_request_uri`: unknown, used or expired, or of another client; when the store fails.
    pub async fn begin_login(&self, client_id: &str, request_uri: &str) -> Result<String> {
        let unknown = || {
            let detail = "the request_uri is unknown, used or over; start again in the wallet";
            Error::refused("authorization_request_uri", detail)
        };
        let name = request_uri.strip_prefix(REQUEST_URI_PREFIX).ok_or_else(unknown)?;
        let pushed = take_json::<PushedRecord>(self.store(), PUSHED, hashed(name), self.now()).await?;
        let pushed = pushed.filter(|pushed| pushed.request.client_id == client_id).ok_or_else(unknown)?;
        let login = fresh(&*self.random);
        let record = LoginRecord { pushed, provider: None };
        let end = Some(self.now().plus(self.settings.login_lifetime));
        let write = Write::put_json(LOGINS, hashed(&login), Expect::Absent, &record, end)?;
        self.store.commit(vec![write]).await?;
        Ok(login)
    }

    async fn login(&self, login: &str) -> Result<Stored<LoginRecord>> {
        let stored = read_json::<LoginRecord>(self.store(), LOGINS, hashed(login)).await?;
        stored.filter(|stored| stored.is_live(self.now())).ok_or_else(no_login)
    }

    /// What to show on the sign-in page.
    ///
    /// # Errors
    /// `login_unknown`; when the store fails.
    pub async fn login_view(&self, login: &str) -> Result<LoginView> {
        let pushed = self.login(login).await?.value.pushed;
        let offer = self.offer_of(&pushed).await?;
        let client = self.settings.clients.iter().find(|client| client.client_id == pushed.request.client_id);
        Ok(LoginView {
            client_name: client.map(|client| client.name.clone()).unwrap_or_default(),
            by_code: offer.is_some_and(|offer| offer.value.sign_in.is_some()),
            configuration_ids: pushed.configuration_ids,
        })
    }

    /// Keeps what is needed when the browser comes back from the hospital's provider.
    ///
    /// # Errors
    /// `login_unknown`; when the store fails.
    pub async fn keep_provider_state(&self, login: &str, state: &ProviderState) -> Result<()> {
        let key = hashed(login);
        let kept = update_json(self.store(), LOGINS, key, self.now(), |record: &mut LoginRecord| {
            record.provider = Some(state.clone());
            Ok(())
        });
        kept.await?.ok_or_else(no_login)
    }

    /// What was kept, for the browser that comes back with `state`; once.
    ///
    /// # Errors
    /// `login_unknown`; `login_state`: of another sign-in; when the store fails.
    pub async fn take_provider_state(&self, login: &str, state: &str) -> Result<ProviderState> {
        let key = hashed(login);
        let taken = update_json(self.store(), LOGINS, key, self.now(), |record: &mut LoginRecord| {
            let equal = |kept: &ProviderState| bool::from(kept.state.as_bytes().ct_eq(state.as_bytes()));
            record
                .provider
                .take_if(|kept| equal(kept))
                .ok_or_else(|| Error::untrusted("login_state", "this answer belongs to another sign-in"))
        });
        taken.await?.ok_or_else(no_login)
    }

    /// Ends the sign-in: the address in the wallet, with a code for what is prepared for this person, or with
    /// `access_denied`.
    ///
    /// # Errors
    /// `login_unknown`; `login_code_wrong`: the desk's code is wrong and may be tried again; when the store fails.
    pub async fn finish_login(&self, login: &str, who: &SignedIn) -> Result<Url> {
        let stored = self.login(login).await?;
        let pushed = stored.value.pushed;
        let offer = match who {
            SignedIn::Subject(subject) => self.offer_for(&pushed, subject).await?,
            SignedIn::DeskCode(code) => self.offer_by_code(&pushed, code).await?,
        };
        let mut writes = vec![Write::delete(LOGINS, hashed(login), Expect::Version(stored.version))];
        let answer = match offer {
            None => AuthorizationResponse::Error("access_denied".into()),
            Some(offer_id) => {
                let code = fresh(&*self.random);
                let record = AuthorizationCodeRecord { offer_id, pushed: pushed.clone(), grant: None };
                let end = Some(self.now().plus(self.settings.code_lifetime));
                writes.push(Write::put_json(
                    AUTHORIZATION_CODES,
                    hashed(&code),
                    Expect::Absent,
                    &record,
                    end,
                )?);
                AuthorizationResponse::Code(code)
            }
        };
        match self.store.commit(writes).await {
            Ok(()) => self.sent_back(&pushed, &answer),
            // Another answer of the same browser came first.
            Err(CommitError::Conflict { .. }) => Err(no_login()),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }

    /// The person does not want to: the address in the wallet, with `access_denied`.
    ///
    /// # Errors
    /// `login_unknown`; when the store fails.
    pub async fn cancel_login(&self, login: &str) -> Result<Url> {
        let record = take_json::<LoginRecord>(self.store(), LOGINS, hashed(login), self.now()).await?;
        let pushed = record.ok_or_else(no_login)?.pushed;
        self.sent_back(&pushed, &AuthorizationResponse::Error("access_denied".into()))
    }

    fn sent_back(&self, pushed: &PushedRecord, answer: &AuthorizationResponse) -> Result<Url> {
        let request = &pushed.request;
        let to = Url::parse(&request.redirect_uri)
            .map_err(|_| Error::misuse("issuer_settings", "a registered redirect URI is no URL"))?;
        Ok(redirect(&to, answer, request.state.as_deref(), &self.settings.identifier))
    }

    async fn open_offer(&self, id: &str) -> Result<Option<Stored<OfferRecord>>> {
        let stored = read_json::<OfferRecord>(self.store(), OFFERS, bounded_key(id)).await?;
        let open = |offer: &OfferRecord| {
            offer.code_flow && offer.state == OfferState::Open && self.now() < offer.expires_at
        };
        Ok(stored.filter(|stored| open(&stored.value)))
    }

    async fn offer_of(&self, pushed: &PushedRecord) -> Result<Option<Stored<OfferRecord>>> {
        match &pushed.request.issuer_state {
            Some(state) => self.open_offer(state).await,
            None => Ok(None),
        }
    }

    /// The offer for a person: the one that the wallet came with, if it is theirs; otherwise what is prepared for them.
    async fn offer_for(&self, pushed: &PushedRecord, subject: &str) -> Result<Option<String>> {
        let fits = |offer: &OfferRecord| {
            offer.subject.as_deref() == Some(subject)
                && pushed.configuration_ids.iter().all(|id| offer.configuration_ids.contains(id))
        };
        if pushed.request.issuer_state.is_some() {
            let offer = self.offer_of(pushed).await?.filter(|offer| fits(&offer.value));
            return Ok(offer.map(|offer| offer.value.id));
        }
        self.prepared_for(subject, &pushed.configuration_ids).await
    }

    /// The id of an offer of these credentials for a person: what the desk prepared last under their identifier; otherwise
    /// what the hospital's records say about them.
    pub(super) async fn prepared_for(&self, subject: &str, ids: &[String]) -> Result<Option<String>> {
        let fits = |offer: &OfferRecord| {
            offer.subject.as_deref() == Some(subject)
                && ids.iter().all(|id| offer.configuration_ids.contains(id))
        };
        let prepared = read_json::<String>(self.store(), SUBJECTS, hashed(subject)).await?;
        if let Some(id) = prepared.filter(|stored| stored.is_live(self.now()))
            && let Some(offer) = self.open_offer(&id.value).await?.filter(|offer| fits(&offer.value))
        {
            return Ok(Some(offer.value.id));
        }
        let Some(patients) = &self.patients else { return Ok(None) };
        let Some(record) = patients.record(subject).await? else { return Ok(None) };
        self.prepare_for(subject, ids, &record).await.map(Some)
    }

    /// The offer that the wallet came with, if the code is the one that the desk gave out with it. Each guess is counted
    /// before it is answered; too many lock the offer.
    async fn offer_by_code(&self, pushed: &PushedRecord, code: &str) -> Result<Option<String>> {
        loop {
            let Some(stored) = self.offer_of(pushed).await? else { return Ok(None) };
            let Stored { version, value: mut offer, expires_at } = stored;
            let covered = pushed.configuration_ids.iter().all(|id| offer.configuration_ids.contains(id));
            let Some(sign_in) = offer.sign_in.as_mut().filter(|_| covered) else { return Ok(None) };
            let given = self.tx_code_mac(&offer.id, code.trim());
            if bool::from(given.as_slice().ct_eq(sign_in.code.as_slice())) {
                return Ok(Some(offer.id));
            }
            sign_in.wrong_attempts = sign_in.wrong_attempts.saturating_add(1);
            let locked = sign_in.wrong_attempts >= self.settings.tx_code_attempts;
            if locked {
                offer.state = OfferState::Locked;
                offer.offer = None;
            }
            let key = offer.id.clone().into_bytes();
            let write = Write::put_json(OFFERS, key, Expect::Version(version), &offer, expires_at)?;
            match self.store.commit(vec![write]).await {
                Ok(()) if locked => return Ok(None),
                Ok(()) => return Err(Error::refused("login_code_wrong", "the code is wrong")),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(error),
            }
        }
    }

    /// The address of the authorization endpoint.
    ///
    /// # Errors
    /// `issuer_settings` when the identifier makes no URL.
    pub fn authorization_url(&self) -> Result<Url> {
        self.settings.url(AUTHORIZATION_PATH)
    }
}

/// What the issuer keeps while the browser is at the hospital's provider.
#[derive(Clone, Serialize, Deserialize)]
pub struct ProviderState {
    /// `state` of the request to the provider.
    pub state: String,
    /// `nonce` that the ID token must carry.
    pub nonce: String,
    /// PKCE verifier.
    pub code_verifier: String,
}

impl std::fmt::Debug for ProviderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderState")
    }
}

fn no_login() -> Error {
    Error::refused("login_unknown", "this sign-in is over or unknown; start again in the wallet")
}
