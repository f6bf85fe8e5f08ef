//! From the person's choice to the options of the one ceremony.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::review::PresentationReview;
use super::{Answering, PresentationContext, Selection, read, stored};
use crate::binding::claim::{WebauthnBinding, asks_for_binding};
use crate::binding::statement::PresentationStatement;
use crate::clock::UnixTime;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::format::any::Statement;
use crate::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use crate::format::sd_jwt_vc::key_binding::TransactionDataHashes;
use crate::holder::{AuthenticatorKey, StoredCredential};
use crate::jose::jwk::Jwk;
use crate::limits::Limits;
use crate::protocol::openid4vp::request::AuthorizationRequest;
use crate::protocol::openid4vp::transaction_data;
use crate::webauthn::options::{CredentialDescriptor, RequestOptions};
use crate::webauthn::{Bytes, CredentialType};

/// Life of the holder's proof where the verifier names none, in seconds.
const LIFETIME: u32 = 120;

/// A presentation that waits for the authenticator's answer. `Debug` and JSON hold no claim values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreparedPresentation {
    /// `PublicKeyCredentialRequestOptionsJSON` of the one ceremony.
    pub request_options: RequestOptions,
    pub(super) request: AuthorizationRequest,
    pub(super) answering: Vec<Answering>,
    pub(super) ceremony: Ceremony,
    pub(super) issued_at: UnixTime,
    pub(super) expires_at: UnixTime,
}

/// What the ceremony is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ceremony {
    /// The key that answers; `None`: any key of this wallet.
    pub(super) key: Option<CeremonyKey>,
    /// Which presentation carries the assertion to the verifier; `None`: it stays in the wallet.
    pub(super) carrier: Option<usize>,
}

/// The key that answers the ceremony, as its credential describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CeremonyKey {
    pub(super) jwk: Jwk,
    pub(super) rp_id: String,
    pub(super) origins: Vec<String>,
    pub(super) backup_eligible: bool,
}

/// Takes the person's choice and makes the options of the one ceremony.
///
/// # Errors
/// Those of a choice that does not fit ([`Selection`]); `step_up_impossible` when the verifier asks for a step-up and no
/// chosen credential has a second key; `transaction_unapproved` when no chosen credential may approve a transaction.
pub fn prepare(
    review: PresentationReview,
    selection: &Selection,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<PreparedPresentation> {
    let mut answering = review.answering(selection, credentials)?;
    let issued_at = context.clock.now();
    let lifetime = review.step_up.as_ref().map_or(LIFETIME, |step_up| step_up.max_age.min(LIFETIME));
    let expires_at = issued_at.plus(i64::from(lifetime));
    let carrier = carrier(&review, &answering, credentials)?;
    assign_transactions(&review, &mut answering, carrier.map(|(position, _)| position))?;
    let carrier = carrier.and_then(|(position, key)| Some((position, answering.get(position)?, key)));
    let (ceremony, request_options) = match carrier {
        Some((position, carrier, key)) => {
            let times = (issued_at, expires_at);
            let challenge = challenge(&review.request, carrier, credentials, times, context)?;
            let credential = stored(credentials, &carrier.credential_id)?;
            let (options, key) = options(challenge, key, credential)?;
            (Ceremony { key: Some(key), carrier: Some(position) }, options)
        }
        None => own_verification(&answering, credentials, context)?,
    };
    Ok(PreparedPresentation {
        request_options,
        request: review.request,
        answering,
        ceremony,
        issued_at,
        expires_at,
    })
}

/// The presentation that carries the step-up: asked for by transaction data, or by the claim `webauthn_binding`.
fn carrier<'a>(
    review: &PresentationReview,
    answering: &[Answering],
    credentials: &'a [StoredCredential],
) -> Result<Option<(usize, &'a AuthenticatorKey)>> {
    let mut found = None;
    for (position, one) in answering.iter().enumerate() {
        let credential = stored(credentials, &one.credential_id)?;
        let named = review.step_up.as_ref().map(|step_up| step_up.credential_ids.contains(&one.query_id));
        let fits = named.unwrap_or_else(|| asks_for_binding(credential.format, one.paths.iter()));
        if let (true, None, Some(key)) = (fits, &found, &credential.ak) {
            found = Some((position, key));
        }
    }
    match (found, &review.step_up) {
        (None, Some(_)) => Err(Error::refused(
            "step_up_impossible",
            "none of the chosen credentials is bound to a second key, which this request asks for",
        )),
        (found, _) => Ok(found),
    }
}

/// Each entry of the transaction data is approved by exactly one of the credentials that it names (section 5.1): the one
/// with the step-up where it may be, else the first.
fn assign_transactions(
    review: &PresentationReview,
    answering: &mut [Answering],
    carrier: Option<usize>,
) -> Result<()> {
    for entry in &review.request.transaction_data {
        let ids = transaction_data::credential_ids(entry, &Limits::DEFAULT)?;
        let named = |one: &Answering| ids.contains(&one.query_id);
        let by_carrier = carrier.filter(|at| answering.get(*at).is_some_and(named));
        let position = by_carrier.or_else(|| answering.iter().position(named));
        let approving = position.and_then(|at| answering.get_mut(at)).ok_or_else(|| {
            Error::refused("transaction_unapproved", "no chosen credential may approve the transaction")
        })?;
        approving.transaction_data.push(entry.clone());
    }
    Ok(())
}

fn challenge(
    request: &AuthorizationRequest,
    carrier: &Answering,
    credentials: &[StoredCredential],
    (issued_at, expires_at): (UnixTime, UnixTime),
    context: &PresentationContext<'_>,
) -> Result<[u8; 32]> {
    let read = read(stored(credentials, &carrier.credential_id)?)?;
    let hk_jkt = Jwk::from_key(&read.holder_key()?).thumbprint();
    let (hashes, audience) = (approved(carrier), request.audience());
    let said = statement(request, &audience, issued_at, Some(expires_at), &hashes);
    PresentationStatement {
        aud: &audience,
        content_hash: &read.present(&carrier.paths, context.random)?.content_hash(&said)?,
        exp: expires_at,
        hk_jkt: &hk_jkt,
        iat: issued_at,
        nonce: &request.nonce,
        txn: hashes.hashes(),
    }
    .challenge()
}

/// What a presentation says; with an end, it carries the step-up.
pub(super) fn statement<'a>(
    request: &'a AuthorizationRequest,
    audience: &'a str,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
    hashes: &'a TransactionDataHashes,
) -> Statement<'a> {
    // The wallet's own word (EUDI TS12): two keys, one of them after the person's own user verification.
    let factors = json!([{ "possession": "holder_key" }, { "user_verification": "webauthn" }]);
    Statement {
        audience,
        nonce: &request.nonce,
        issued_at,
        expires_at,
        transaction_data: Some(hashes).filter(|hashes| !hashes.hashes().is_empty()),
        jti: None,
        factors: expires_at.map(|_| factors),
        assertion: None,
    }
}

/// The hashes of what a presentation approves.
pub(super) fn approved(one: &Answering) -> TransactionDataHashes {
    TransactionDataHashes::new(&one.transaction_data, DigestAlgorithm::Sha256)
}

fn options(
    challenge: [u8; 32],
    key: &AuthenticatorKey,
    credential: &StoredCredential,
) -> Result<(RequestOptions, CeremonyKey)> {
    let read = read(credential)?;
    let missing = || Error::malformed("binding_missing", "the credential does not describe its second key");
    let binding = WebauthnBinding::from_claim(&read.webauthn_binding().ok_or_else(missing)?)?;
    let id = base64url::decode(&key.credential_id)?;
    let mut options = RequestOptions::step_up(&binding.rp_id, &id, challenge);
    options.allow_credentials = vec![CredentialDescriptor {
        kind: CredentialType::PublicKey,
        id: Bytes(id),
        transports: key.transports.clone(),
    }];
    let key = CeremonyKey {
        jwk: binding.jwk,
        rp_id: binding.rp_id,
        origins: binding.origins,
        backup_eligible: binding.backup_eligible,
    };
    Ok((options, key))
}

/// The wallet's own question "is it you?", by the second key of a chosen credential, or else of any other credential; in
/// a wallet that has none, by any of its passkeys.
fn own_verification(
    answering: &[Answering],
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<(Ceremony, RequestOptions)> {
    let challenge = context.random.array();
    let chosen = answering.iter().filter_map(|one| stored(credentials, &one.credential_id).ok());
    let with_key =
        chosen.chain(credentials).find_map(|credential| Some((credential, credential.ak.as_ref()?)));
    let Some((credential, key)) = with_key else {
        let options = RequestOptions {
            challenge: Bytes(challenge.to_vec()),
            timeout: None,
            rp_id: context.rp_id.to_owned(),
            allow_credentials: Vec::new(),
            user_verification: "required".to_owned(),
            extensions: serde_json::Map::new(),
        };
        return Ok((Ceremony { key: None, carrier: None }, options));
    };
    let (options, key) = options(challenge, key, credential)?;
    Ok((Ceremony { key: Some(key), carrier: None }, options))
}
