//! Phase three: key proofs, credential requests, and what came back.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::prepare::{PreparedItem, give_up};
use super::verify::{Expected, Received, verify};
use super::{IssuanceContext, PreparedIssuance, exchange};
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::holder::http::HttpRequest;
use crate::holder::{AuthenticatorKey, SignItem, StoredCredential};
use crate::jose::jwk::Jwk;
use crate::jose::jws;
use crate::key::SignatureAlgorithm;
use crate::limits::Limits;
use crate::protocol::openid4vci::credential::{CredentialRequest, CredentialResponse};
use crate::protocol::openid4vci::key_proof::{self, KeyProofInput};
use crate::protocol::openid4vci::notification::{NotificationEvent, NotificationRequest};
use crate::webauthn::UserVerification;
use crate::webauthn::client_data::ClientData;
use crate::webauthn::registration::{self, RegistrationExpectation, RegistrationResponse};

/// What was collected, to be stored by the wallet, and then to be told to the issuer by [`notify`].
#[derive(Clone, Serialize, Deserialize)]
pub struct FinishedIssuance {
    /// The credentials, each verified.
    pub credentials: Vec<StoredCredential>,
    notifications: Notifications,
}

#[derive(Clone, Serialize, Deserialize)]
struct Notifications {
    endpoint: Option<Url>,
    access_token: String,
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
/// issuer is told) and the holder keys are forgotten, unless the issuer refused.
///
/// `registration` answers [`PreparedIssuance::creation_options`]; without it, credentials come without a WebAuthn key,
/// if the issuer agrees.
///
/// # Errors
/// `registration_unexpected`; the codes of [`registration::verify`]; `issuance_refused` and its kin; the codes of
/// verification (`issued_vct`, `issued_cnf`, `issued_binding`, `issued_issuer`, and those of the credential's format).
pub async fn finish(
    prepared: &PreparedIssuance,
    registration: Option<&RegistrationResponse>,
    context: &IssuanceContext<'_>,
) -> Result<FinishedIssuance> {
    let registered = match (&prepared.creation_options, registration) {
        (_, None) => None,
        (None, Some(_)) => {
            return Err(Error::misuse("registration_unexpected", "no WebAuthn registration was asked for"));
        }
        (Some(options), Some(response)) => Some(registered(options.challenge.as_ref(), response, context)?),
    };
    let mut finished = FinishedIssuance {
        credentials: Vec::new(),
        notifications: Notifications {
            endpoint: prepared.review.notification_endpoint.clone(),
            access_token: prepared.access_token.clone(),
            ids: Vec::new(),
        },
    };
    match collect(prepared, registered.as_ref(), &mut finished, context).await {
        Ok(()) => Ok(finished),
        Err(error) => {
            // Best effort: the reason is what matters.
            let _ = notify(&finished, NotificationEvent::CredentialFailure, context).await;
            // An issuer also refuses when this very collection was finished before: its keys are in use then.
            let refused = matches!(error.code(), "issuance_refused" | "issuance_invalid_nonce");
            Err(if refused { error } else { give_up(&prepared.items, error, context).await })
        }
    }
}

/// Tells the issuer what became of the credentials: [`NotificationEvent::CredentialAccepted`] once they are stored,
/// [`NotificationEvent::CredentialDeleted`] when the person changed their mind. The issuer's answer changes nothing.
///
/// # Errors
/// When the issuer cannot be reached or refuses.
pub async fn notify(
    finished: &FinishedIssuance,
    event: NotificationEvent,
    context: &IssuanceContext<'_>,
) -> Result<()> {
    let Notifications { endpoint: Some(endpoint), access_token, ids } = &finished.notifications else {
        return Ok(());
    };
    for id in ids {
        let request = NotificationRequest { notification_id: id.clone(), event, event_description: None };
        let body = serde_json::to_value(request).map_err(|_| {
            Error::misuse("notification_not_json", "the notification cannot be written as JSON")
        })?;
        let response =
            context.http.send(HttpRequest::post_json(endpoint.clone(), &body).bearer(access_token)).await?;
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

async fn collect(
    prepared: &PreparedIssuance,
    registered: Option<&Registered>,
    finished: &mut FinishedIssuance,
    context: &IssuanceContext<'_>,
) -> Result<()> {
    // The credential that carries the registration comes first: the others name what it enrolled.
    let (first, rest): (Vec<_>, Vec<_>) =
        prepared.items.iter().partition(|item| item.enrolment_nonce.is_some() && registered.is_some());
    let items: Vec<&PreparedItem> = first.into_iter().chain(rest).collect();
    let mut nonces = Vec::new();
    for item in &items {
        nonces.push(match (&item.enrolment_nonce, registered) {
            (Some(nonce), Some(_)) => Some(nonce.clone()),
            _ => exchange::nonce(prepared.review.nonce_endpoint.as_ref(), context).await?,
        });
    }
    // All signatures in one go: at most one prompt of a key store that asks.
    let proofs = key_proofs(&items, &nonces, &prepared.review.credential_issuer, registered, context).await?;
    for (item, proof) in items.into_iter().zip(proofs) {
        let response = request(prepared, item, proof, registered, context).await?;
        finished.notifications.ids.extend(response.notification_id);
        let [compact] = response.credentials.as_slice() else {
            return Err(Error::malformed("credential_response", "one credential was asked for"));
        };
        let ak = registered.filter(|_| item.offered.binds_webauthn);
        let expected = Expected {
            credential_issuer: &prepared.review.credential_issuer,
            vct: &item.offered.vct,
            hk: &item.hk,
            ak_jkt: ak.map(|registered| registered.key.jkt.as_str()),
        };
        let received = verify(compact, &expected, context).await?;
        finished.credentials.push(stored(prepared, item, compact, received, ak, context));
    }
    Ok(())
}

async fn key_proofs(
    items: &[&PreparedItem],
    nonces: &[Option<String>],
    audience: &str,
    registered: Option<&Registered>,
    context: &IssuanceContext<'_>,
) -> Result<Vec<String>> {
    let mut inputs = Vec::new();
    for (item, nonce) in items.iter().zip(nonces) {
        let key = item.hk.public_key()?;
        inputs.push(key_proof::signing_input(&KeyProofInput {
            key: &key,
            audience,
            nonce: nonce.as_deref(),
            client_id: Some(&context.wallet.client_id),
            ak_jkt: registered
                .filter(|_| item.offered.binds_webauthn)
                .map(|registered| registered.key.jkt.as_str()),
            now: context.clock.now(),
        })?);
    }
    let messages = items
        .iter()
        .zip(&inputs)
        .map(|(item, input)| SignItem { alias: item.hk_alias.clone(), message: input.as_bytes().to_vec() });
    let signatures = context.keys.sign(messages.collect()).await?;
    if signatures.len() != inputs.len() {
        return Err(Error::misuse(
            "holder_keys_signatures",
            "the key store returned another number of signatures",
        ));
    }
    Ok(inputs
        .into_iter()
        .zip(signatures)
        .map(|(input, signature)| jws::assemble(input, &signature))
        .collect())
}

async fn request(
    prepared: &PreparedIssuance,
    item: &PreparedItem,
    proof: String,
    registered: Option<&Registered>,
    context: &IssuanceContext<'_>,
) -> Result<CredentialResponse> {
    let carries = registered.filter(|_| item.enrolment_nonce.is_some());
    let request = CredentialRequest {
        credential_configuration_id: item.offered.configuration_id.clone(),
        proofs: vec![proof],
        webauthn_registrations: carries.map(|registered| registered.response.clone()).into_iter().collect(),
    };
    let endpoint = prepared.review.credential_endpoint.clone();
    let request = HttpRequest::post_json(endpoint, &request.to_value()).bearer(&prepared.access_token);
    let body = exchange::expect_success(context.http.send(request).await?)?;
    CredentialResponse::parse(&body, &Limits::DEFAULT)
}

fn stored(
    prepared: &PreparedIssuance,
    item: &PreparedItem,
    compact: &str,
    received: Received,
    ak: Option<&Registered>,
    context: &IssuanceContext<'_>,
) -> StoredCredential {
    StoredCredential {
        id: context.random.token(16),
        format: CredentialFormat::DcSdJwt,
        credential: compact.to_owned(),
        vct: item.offered.vct.clone(),
        configuration_id: item.offered.configuration_id.clone(),
        hk_alias: item.hk_alias.clone(),
        ak: ak.filter(|_| received.ak_bound).map(|registered| registered.key.clone()),
        issuer: received.credential.issuer().to_owned(),
        credential_issuer: prepared.review.credential_issuer.clone(),
        issuer_name: prepared.review.issuer_name.clone(),
        issuer_trusted: received.issuer_trusted,
        display: item.offered.display.clone(),
        issued_at: context.clock.now(),
        expires_at: received.credential.validity().expires_at,
    }
}
