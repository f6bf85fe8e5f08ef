//! Phase three: key proofs, credential requests, and what came back.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::prepare::{Name, PreparedItem, PreparedKey};
use super::renew::Renewal;
use super::session::{Session, Tokens};
use super::verify::{Expected, Received, verify};
use super::{IssuanceContext, KeyAttestationRequest, OfferReview, OfferedCredential, PreparedIssuance};
use crate::attestation::key_attestation::KeyAttestationsRequired;
use crate::error::{Error, Result};
use crate::holder::{AuthenticatorKey, HolderKeyInfo, SignItem, StoredCredential, is_persons_no};
use crate::jose::jwk::Jwk;
use crate::jose::jws;
use crate::key::SignatureAlgorithm;
use crate::limits::Limits;
use crate::protocol::openid4vci::credential::{CredentialName, CredentialRequest, Issuance, Proofs};
use crate::protocol::openid4vci::key_proof::{self, KeyProofInput};
use crate::protocol::openid4vci::metadata::ProofType;
use crate::protocol::openid4vci::notification::{NotificationEvent, NotificationRequest};
use crate::webauthn::UserVerification;
use crate::webauthn::client_data::ClientData;
use crate::webauthn::registration::{self, RegistrationExpectation, RegistrationResponse};

/// What was collected, to be stored by the wallet, and then to be told to the issuer by [`notify`].
#[derive(Clone, Serialize, Deserialize)]
pub struct FinishedIssuance {
    /// The credentials, each verified.
    pub credentials: Vec<StoredCredential>,
    /// What the issuer will issue later: to be kept, and asked for with [`super::resume`].
    pub pending: Vec<Pending>,
    notifications: Notifications,
    renewal: Option<Renewal>,
}

/// A credential that comes later. It holds the access token: keep it where credentials are kept. `Debug` shows the issuer
/// only.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    /// Seconds to wait before asking.
    pub interval: i64,
    /// Where from.
    pub review: OfferReview,
    pub(super) transaction_id: String,
    pub(super) item: PreparedItem,
    /// The WebAuthn key of each holder key.
    pub(super) keys: Vec<Option<AuthenticatorKey>>,
    pub(super) tokens: Tokens,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("review", &self.review).finish_non_exhaustive()
    }
}

impl Pending {
    /// What will come.
    pub fn offered(&self) -> &OfferedCredential {
        &self.item.offered
    }

    /// The holder keys that wait for it.
    pub(in crate::holder) fn holder_keys(&self) -> impl Iterator<Item = &str> {
        self.item.keys.iter().map(|key| key.alias.as_str())
    }

    /// WebAuthn credential ids of the keys that it will be bound to.
    pub(in crate::holder) fn authenticators(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().flatten().map(|key| key.credential_id.as_str())
    }

    /// The key that the tokens are bound to.
    pub(in crate::holder) fn token_key(&self) -> Option<&str> {
        self.tokens.key()
    }
}

impl FinishedIssuance {
    /// The key that the tokens are bound to.
    pub(in crate::holder) fn token_key(&self) -> Option<&str> {
        self.notifications.tokens.key()
    }

    pub(super) fn empty(review: &OfferReview, tokens: &Tokens) -> Self {
        let endpoint = review.notification_endpoint.clone();
        let notifications = Notifications { endpoint, tokens: tokens.clone(), ids: Vec::new() };
        Self { credentials: Vec::new(), pending: Vec::new(), notifications, renewal: None }
    }

    pub(super) fn note(&mut self, notification_id: Option<String>) {
        self.notifications.ids.extend(notification_id);
    }

    /// The right to fetch fresh copies later, where the issuer gives it: for [`super::renew`].
    pub fn renewal(&self) -> Option<&Renewal> {
        self.renewal.as_ref()
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Notifications {
    endpoint: Option<Url>,
    tokens: Tokens,
    ids: Vec<String>,
}

impl fmt::Debug for FinishedIssuance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishedIssuance").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

/// The WebAuthn key that was just made.
struct Registered {
    key: AuthenticatorKey,
    response: Value,
}

/// Collects the credentials. All or nothing: when one cannot be had or does not hold, the others are given back (the
/// issuer is told) and the holder keys are forgotten, unless the issuer refused. After a prompt that the person closed
/// (`user_cancelled`, `biometry_lockout`, `biometry_not_enrolled`) nothing was sent, the keys stay, and it can be called
/// again; whoever does not is to call [`abandon`].
///
/// `registration` answers [`PreparedIssuance::creation_options`]; without it, credentials come without a WebAuthn key,
/// if the issuer agrees. All copies share that key; see [`finish_copies`] for a key each.
///
/// # Errors
/// `registration_unexpected`; `issued_count`: more credentials than keys; the codes of [`registration::verify`]; `issuance_refused` and its kin; the codes of
/// verification (`issued_vct`, `issued_cnf`, `issued_binding`, `issued_issuer`, and those of the credential's format).
pub async fn finish(
    prepared: &PreparedIssuance,
    registration: Option<&RegistrationResponse>,
    context: &IssuanceContext<'_>,
) -> Result<FinishedIssuance> {
    finish_copies(prepared, registration.map(std::slice::from_ref).unwrap_or_default(), context).await
}

/// [`finish`], with one registration per copy: the first answers [`PreparedIssuance::creation_options`], the others
/// [`PreparedIssuance::copy_options`].
///
/// # Errors
/// Those of [`finish`]; `registration_count`: neither none, nor one, nor one per copy.
pub async fn finish_copies(
    prepared: &PreparedIssuance,
    registrations: &[RegistrationResponse],
    context: &IssuanceContext<'_>,
) -> Result<FinishedIssuance> {
    let options: Vec<_> = prepared.creation_options.iter().chain(&prepared.copy_options).collect();
    if options.is_empty() && !registrations.is_empty() {
        return Err(Error::misuse("registration_unexpected", "no WebAuthn registration was asked for"));
    }
    if registrations.len() > 1 && registrations.len() != options.len() {
        return Err(Error::misuse("registration_count", "one registration for all copies, or one each"));
    }
    let registered = options
        .iter()
        .zip(registrations)
        .map(|(options, response)| registered(options.challenge.as_ref(), response, context))
        .collect::<Result<Vec<_>>>()?;
    let mut finished = FinishedIssuance::empty(&prepared.review, &prepared.tokens);
    match collect(prepared, &registered, &mut finished, context).await {
        Ok(()) => {
            finished.renewal = prepared.renewal().map(|mut renewal| {
                renewal.enrolled.extend(registered.into_iter().map(|registered| registered.key));
                renewal
            });
            Ok(finished)
        }
        // All signatures come before the first request, so nothing is lost yet.
        Err(error) if is_persons_no(&error) => Err(error),
        Err(error) => {
            // Best effort: the reason is what matters.
            let (session, event) =
                (Session::with(&prepared.tokens, context), NotificationEvent::CredentialFailure);
            if let Some(endpoint) = &prepared.review.notification_endpoint {
                let _ = tell(endpoint, &finished.notifications.ids, event, &session).await;
            }
            // An issuer also refuses when this very collection was finished before: its keys are in use then.
            let refused = matches!(error.code(), "issuance_refused" | "issuance_invalid_nonce");
            if !refused {
                abandon(prepared, context).await;
            }
            Err(error)
        }
    }
}

/// Forgets the keys that were made for a collection which will not be finished. The issuer is not told.
pub async fn abandon(prepared: &PreparedIssuance, context: &IssuanceContext<'_>) {
    forget(prepared.keys(), context).await;
}

/// A key that cannot be deleted is of no use to anybody: no error.
async fn forget(aliases: Vec<&str>, context: &IssuanceContext<'_>) {
    for alias in aliases {
        let _ = context.keys.delete(alias).await;
    }
}

/// Tells the issuer what became of the credentials: [`NotificationEvent::CredentialAccepted`] once they are stored,
/// [`NotificationEvent::CredentialDeleted`] when the person changed their mind. The issuer's answer changes nothing. To be
/// called once: the key that the tokens are bound to is forgotten afterwards, unless it will be needed again.
///
/// # Errors
/// When the issuer cannot be reached or refuses.
pub async fn notify(
    finished: &FinishedIssuance,
    event: NotificationEvent,
    context: &IssuanceContext<'_>,
) -> Result<()> {
    let told = notify_keeping(finished, event, context).await;
    let tokens = &finished.notifications.tokens;
    let over = tokens.refresh_token.is_none() && finished.pending.is_empty();
    if let Some(key) = tokens.key().filter(|_| over) {
        context.keys.delete(key).await?;
    }
    told
}

/// [`notify`] by a wallet that knows what else needs the key of the tokens, and forgets it itself.
pub(in crate::holder) async fn notify_keeping(
    finished: &FinishedIssuance,
    event: NotificationEvent,
    context: &IssuanceContext<'_>,
) -> Result<()> {
    let Notifications { endpoint, tokens, ids } = &finished.notifications;
    match endpoint {
        Some(endpoint) => tell(endpoint, ids, event, &Session::with(tokens, context)).await,
        None => Ok(()),
    }
}

async fn tell(endpoint: &Url, ids: &[String], event: NotificationEvent, session: &Session<'_>) -> Result<()> {
    for id in ids {
        let request = NotificationRequest { notification_id: id.clone(), event, event_description: None };
        let body = serde_json::to_value(request).map_err(|_| {
            Error::misuse("notification_not_json", "the notification cannot be written as JSON")
        })?;
        let response = session.post_json(endpoint, &body).await?;
        if !response.is_success() {
            return Err(Error::refused("notification_refused", "the issuer does not take the notification"));
        }
    }
    Ok(())
}

/// Reads the authenticator's answer: it is for this challenge and RP ID, with the user verified. Its origin is for the
/// issuer to judge.
fn registered(
    challenge: &[u8],
    response: &RegistrationResponse,
    context: &IssuanceContext<'_>,
) -> Result<Registered> {
    let client_data = ClientData::parse(response.response.client_data_json.as_ref(), &Limits::DEFAULT)?;
    let expectation = RegistrationExpectation {
        challenge,
        origins: &[client_data.origin],
        rp_id: &context.wallet.rp_id,
        user_verification: UserVerification::Required,
        algorithms: &[SignatureAlgorithm::Es256],
    };
    let verified = registration::verify(response, &expectation, &Limits::DEFAULT)?;
    let key = AuthenticatorKey {
        credential_id: crate::encoding::base64url::encode(&verified.credential_id),
        rp_id: context.wallet.rp_id.clone(),
        jkt: Jwk::from_key(&verified.public_key).thumbprint(),
        transports: response.response.transports.clone(),
    };
    let response = serde_json::to_value(response)
        .map_err(|_| Error::misuse("registration_not_json", "the registration cannot be written as JSON"))?;
    Ok(Registered { key, response })
}

/// The WebAuthn key of copy number `at`: its own, or the one that all copies share, or one that the issuer knows already.
fn key_of<'a>(
    prepared: &'a PreparedIssuance,
    registered: &'a [Registered],
    item: &PreparedItem,
    at: usize,
) -> Option<&'a AuthenticatorKey> {
    let fresh: Vec<&AuthenticatorKey> = registered.iter().map(|registered| &registered.key).collect();
    let keys = if fresh.is_empty() { prepared.enrolled.iter().collect() } else { fresh };
    keys.get(at).or_else(|| keys.first()).copied().filter(|_| item.offered.binds_webauthn)
}

async fn collect(
    prepared: &PreparedIssuance,
    registered: &[Registered],
    finished: &mut FinishedIssuance,
    context: &IssuanceContext<'_>,
) -> Result<()> {
    // The credential that carries the registrations comes first: the others name what it enrolled.
    let (first, rest): (Vec<_>, Vec<_>) =
        prepared.items.iter().partition(|item| item.enrolment_nonce.is_some() && !registered.is_empty());
    let items: Vec<&PreparedItem> = first.into_iter().chain(rest).collect();
    let session = Session::with(&prepared.tokens, context);
    let mut nonces = Vec::new();
    for item in &items {
        nonces.push(match &item.enrolment_nonce {
            Some(nonce) if !registered.is_empty() => Some(nonce.clone()),
            _ => session.c_nonce(prepared.review.nonce_endpoint.as_ref()).await?,
        });
    }
    let mut attestations = Vec::new();
    for (item, nonce) in items.iter().zip(&nonces) {
        attestations.push(key_attestation(item, nonce.as_deref(), prepared, context).await?);
    }
    // All signatures in one go: at most one prompt of a key store that asks.
    let proofs = key_proofs(&items, &nonces, &attestations, prepared, registered, context).await?;
    for (item, proofs) in items.into_iter().zip(proofs) {
        let keys: Vec<_> =
            (0..item.keys.len()).map(|at| key_of(prepared, registered, item, at).cloned()).collect();
        match request(prepared, item, proofs, registered, &session).await? {
            Issuance::Issued(response) => {
                finished.note(response.notification_id);
                take(&prepared.review, item, &response.credentials, &keys, finished, context).await?;
            }
            Issuance::Deferred(deferral) => finished.pending.push(Pending {
                interval: deferral.interval,
                review: prepared.review.clone(),
                transaction_id: deferral.transaction_id,
                item: item.clone(),
                keys,
                tokens: prepared.tokens.clone(),
            }),
        }
    }
    Ok(())
}

/// Verifies what came for one item. The issuer may give fewer copies than keys were sent, each for a key of its own; the
/// other keys are forgotten. `authenticators` has the WebAuthn key of each holder key.
pub(super) async fn take(
    review: &OfferReview,
    item: &PreparedItem,
    credentials: &[String],
    authenticators: &[Option<AuthenticatorKey>],
    finished: &mut FinishedIssuance,
    context: &IssuanceContext<'_>,
) -> Result<()> {
    if credentials.len() > item.keys.len() {
        return Err(Error::malformed("issued_count", "more credentials than keys were sent"));
    }
    let ak = |at: usize| authenticators.get(at).and_then(Option::as_ref);
    let keys: Vec<_> = item
        .keys
        .iter()
        .enumerate()
        .map(|(at, key)| (&key.jwk, ak(at).map(|key| key.jkt.as_str())))
        .collect();
    let expected = Expected {
        credential_issuer: &review.credential_issuer,
        format: item.offered.format,
        types: &item.offered.types,
        keys: &keys,
    };
    let batch = (credentials.len() > 1).then(|| context.random.token(16));
    let mut used = Vec::new();
    for compact in credentials {
        let received = verify(compact, &expected, context).await?;
        let at = received.key;
        let Some(key) = item.keys.get(at).filter(|_| !used.contains(&at)) else {
            return Err(Error::untrusted("issued_cnf", "two credentials are bound to one key"));
        };
        used.push(at);
        let held = Held { compact, alias: &key.alias, batch: batch.as_deref(), ak: ak(at) };
        finished.credentials.push(stored(review, item, held, received, context));
    }
    for (at, key) in item.keys.iter().enumerate() {
        if !used.contains(&at) {
            let _ = context.keys.delete(&key.alias).await;
        }
    }
    Ok(())
}

/// One attestation for all holder keys of an item, where the issuer requires it or takes nothing else.
async fn key_attestation(
    item: &PreparedItem,
    nonce: Option<&str>,
    prepared: &PreparedIssuance,
    context: &IssuanceContext<'_>,
) -> Result<Option<String>> {
    let (kind, required) = (item.offered.proof_type, item.offered.key_attestation.as_ref());
    if kind == ProofType::Jwt && required.is_none() {
        return Ok(None);
    }
    let attester = context.policy.key_attester.ok_or_else(super::review::no_key_attester)?;
    let key =
        |key: &PreparedKey| Ok(HolderKeyInfo { alias: key.alias.clone(), public_key: key.jwk.public_key()? });
    let (keys, nothing) =
        (item.keys.iter().map(key).collect::<Result<Vec<_>>>()?, KeyAttestationsRequired::default());
    let request = KeyAttestationRequest {
        credential_issuer: &prepared.review.credential_issuer,
        keys: &keys,
        nonce,
        required: required.unwrap_or(&nothing),
    };
    attester.attest(&request).await.map(Some)
}

/// The key proofs of each item, one per copy.
async fn key_proofs(
    items: &[&PreparedItem],
    nonces: &[Option<String>],
    attestations: &[Option<String>],
    prepared: &PreparedIssuance,
    registered: &[Registered],
    context: &IssuanceContext<'_>,
) -> Result<Vec<Proofs>> {
    let (mut inputs, mut messages) = (Vec::new(), Vec::new());
    for ((item, nonce), attestation) in items.iter().zip(nonces).zip(attestations) {
        if item.offered.proof_type == ProofType::Attestation {
            continue;
        }
        for (at, key) in item.keys.iter().enumerate() {
            let ak = key_of(prepared, registered, item, at);
            let input = key_proof::signing_input(&KeyProofInput {
                key: &key.jwk.public_key()?,
                audience: &prepared.review.credential_issuer,
                nonce: nonce.as_deref(),
                client_id: Some(&context.wallet.client_id),
                ak_jkt: ak.map(|key| key.jkt.as_str()),
                key_attestation: attestation.as_deref(),
                now: context.clock.now(),
            })?;
            messages.push(SignItem { alias: key.alias.clone(), message: input.as_bytes().to_vec() });
            inputs.push(input);
        }
    }
    let signatures = match messages.is_empty() {
        true => Vec::new(),
        false => context.keys.sign(messages).await?,
    };
    if signatures.len() != inputs.len() {
        return Err(Error::misuse(
            "holder_keys_signatures",
            "the key store returned another number of signatures",
        ));
    }
    let mut proofs =
        inputs.into_iter().zip(signatures).map(|(input, signature)| jws::assemble(input, &signature));
    let of = |(item, attestation): (&&PreparedItem, &Option<String>)| match item.offered.proof_type {
        ProofType::Jwt => Proofs::Jwt(proofs.by_ref().take(item.keys.len()).collect()),
        ProofType::Attestation => Proofs::Attestation(attestation.clone().unwrap_or_default()),
    };
    Ok(items.iter().zip(attestations).map(of).collect())
}

async fn request(
    prepared: &PreparedIssuance,
    item: &PreparedItem,
    proofs: Proofs,
    registered: &[Registered],
    session: &Session<'_>,
) -> Result<Issuance> {
    let carries = item.enrolment_nonce.is_some();
    let mut request = CredentialRequest {
        credential: match &item.name {
            Name::Configuration => CredentialName::Configuration(item.offered.configuration_id.clone()),
            Name::Identifier(identifier) => CredentialName::Identifier(identifier.clone()),
        },
        proofs,
        webauthn_registrations: registered.iter().filter(|_| carries).map(|r| r.response.clone()).collect(),
        response_encryption: None,
    };
    let message = |encryption| {
        request.response_encryption = encryption;
        request.to_value()
    };
    let review = &prepared.review;
    let body = review.encryption.post(&review.credential_endpoint, message, session).await?;
    Issuance::parse(&body, &Limits::DEFAULT)
}

/// A credential with the keys that it is held by.
struct Held<'a> {
    compact: &'a str,
    alias: &'a str,
    batch: Option<&'a str>,
    ak: Option<&'a AuthenticatorKey>,
}

fn stored(
    review: &OfferReview,
    item: &PreparedItem,
    held: Held<'_>,
    received: Received,
    context: &IssuanceContext<'_>,
) -> StoredCredential {
    StoredCredential {
        id: context.random.token(16),
        format: item.offered.format,
        credential: held.compact.to_owned(),
        vct: received.kind,
        configuration_id: item.offered.configuration_id.clone(),
        hk_alias: held.alias.to_owned(),
        batch: held.batch.map(str::to_owned),
        ak: held.ak.filter(|_| received.ak_bound).cloned(),
        issuer: received.issuer,
        credential_issuer: review.credential_issuer.clone(),
        issuer_name: review.issuer_name.clone(),
        issuer_trusted: received.issuer_trusted,
        display: item.offered.display.clone(),
        issued_at: context.clock.now(),
        expires_at: received.expires_at,
    }
}
