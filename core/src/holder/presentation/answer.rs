//! After the ceremony: sign, encrypt, send; or say no.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::prepare::{CeremonyKey, PreparedPresentation, approved, statement};
use super::review::PresentationReview;
use super::{PresentationContext, read, stored};
use crate::binding::verify::WebauthnAssertion;
use crate::encoding::base64url;
use crate::encoding::{json as strict_json, sha256};
use crate::error::{Error, Result};
use crate::holder::{HttpRequest, SignItem, StoredCredential};
use crate::jose::jwe::{self, PartyInfo};
use crate::limits::Limits;
use crate::protocol::openid4vp::request::{AuthorizationRequest, ResponseMode};
use crate::protocol::openid4vp::response::{WalletError, vp_token_value};
use crate::webauthn::UserVerification;
use crate::webauthn::assertion::{self, AssertionExpectation, AuthenticationResponse};
use crate::webauthn::authenticator_data::AuthenticatorData;
use crate::webauthn::client_data::{Ceremony as ClientCeremony, ClientData};

/// What the verifier said to the answer, or how it goes on to the verifier. `Debug` hides the one-time code in the address,
/// and the answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whether the verifier took it.
    pub accepted: bool,
    /// The verifier's error code, where it refused and named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where the person's browser goes next: the wallet must open it. With response mode `fragment` it carries the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<Url>,
    /// Over the Digital Credentials API: the `data` to hand to the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Value>,
}

impl Delivery {
    fn taken() -> Self {
        Self { accepted: true, code: None, redirect_uri: None, platform: None }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.redirect_uri.as_ref().and_then(Url::host_str);
        let mut debug = f.debug_struct("Delivery");
        debug.field("accepted", &self.accepted).field("code", &self.code).field("redirect_host", &host);
        debug.finish_non_exhaustive()
    }
}

/// Takes the authenticator's answer, signs each presentation with its holder key, and sends all of them.
///
/// The answer is checked as the verifier will check it, so that a wrong key or a missing user verification ends here.
///
/// # Errors
/// Those of [`assertion::verify`]; `ceremony_key` for another key than was asked; of the key store; of the connection.
/// A verifier that refuses is no error but a [`Delivery`].
pub async fn finish(
    prepared: PreparedPresentation,
    ceremony: &AuthenticationResponse,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<Delivery> {
    check_ceremony(&prepared, ceremony, context)?;
    send(prepared, Some(ceremony), credentials, context).await
}

/// [`finish`] in a wallet without any second key: there the key store of the holder keys asks the person.
///
/// # Errors
/// `ceremony_missing` where the ceremony is some key's; otherwise those of [`finish`].
pub async fn finish_by_holder_keys(
    prepared: PreparedPresentation,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<Delivery> {
    if prepared.ceremony.key.is_some() {
        return Err(Error::misuse("ceremony_missing", "a key of a credential was asked for"));
    }
    send(prepared, None, credentials, context).await
}

async fn send(
    prepared: PreparedPresentation,
    ceremony: Option<&AuthenticationResponse>,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<Delivery> {
    let audience = prepared.request.audience();
    let (mut drafts, mut items) = (Vec::new(), Vec::new());
    for one in &prepared.answering {
        let credential = stored(credentials, &one.credential_id)?;
        let presentation = read(credential)?.present(&one.paths, context.random)?;
        let carries = prepared.ceremony.carrier == Some(drafts.len());
        let hashes = approved(one);
        let end = carries.then_some(prepared.expires_at);
        let mut said = statement(&prepared.request, &audience, prepared.issued_at, end, &hashes);
        if let Some(ceremony) = ceremony.filter(|_| carries) {
            said.jti = Some(context.random.token(16));
            said.assertion = Some(assertion_value(ceremony)?);
        }
        let draft = presentation.draft(&said)?;
        items.push(SignItem { alias: credential.hk_alias.clone(), message: draft.signing_input() });
        drafts.push((&one.query_id, draft));
    }
    let signatures = context.keys.sign(items).await?;
    if signatures.len() != drafts.len() {
        return Err(Error::misuse(
            "holder_key_signatures",
            "the key store returned another number of signatures",
        ));
    }
    let mut vp_token: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((query_id, draft), signature) in drafts.into_iter().zip(signatures) {
        vp_token.entry(query_id.clone()).or_default().push(draft.assemble(&signature)?);
    }
    let response = parameters(&prepared.request, &vp_token)?;
    deliver(&prepared.request, response, context).await
}

/// Tells the verifier that the person declined (`access_denied`).
///
/// # Errors
/// Of the connection.
pub async fn decline(review: &PresentationReview, context: &PresentationContext<'_>) -> Result<Delivery> {
    send_error(&review.request, WalletError::AccessDenied, context).await
}

/// An error response goes unencrypted, as section 8.3.1 allows: it says nothing about the person.
pub(super) async fn send_error(
    request: &AuthorizationRequest,
    error: WalletError,
    context: &PresentationContext<'_>,
) -> Result<Delivery> {
    let mut response = Map::new();
    response.insert("error".into(), error.as_str().into());
    add_state(request, &mut response);
    deliver(request, response, context).await
}

fn check_ceremony(
    prepared: &PreparedPresentation,
    ceremony: &AuthenticationResponse,
    context: &PresentationContext<'_>,
) -> Result<()> {
    let options = &prepared.request_options;
    let allowed = &options.allow_credentials;
    if !allowed.is_empty() && !allowed.iter().any(|descriptor| descriptor.id == ceremony.id) {
        return Err(Error::untrusted("ceremony_key", "another key answered than was asked"));
    }
    let limits = &Limits::DEFAULT;
    let signed = ceremony.assertion()?;
    match &prepared.ceremony.key {
        Some(CeremonyKey { jwk, rp_id, origins, backup_eligible }) => {
            let expected = AssertionExpectation {
                challenge: &options.challenge.0,
                origins,
                rp_id,
                public_key: &jwk.public_key()?,
                backup_eligible: *backup_eligible,
                user_verification: UserVerification::Required,
            };
            assertion::verify(signed, &expected, limits).map(drop)
        }
        // A passkey that no credential describes: all but the signature can be checked. It only opens the wallet's own
        // door; nothing of it is sent.
        None => {
            let client_data = ClientData::parse(signed.client_data_json, limits)?;
            let challenge = base64url::encode(&options.challenge.0);
            client_data.check(ClientCeremony::Assertion, &challenge, &[context.origin.to_owned()])?;
            let data = AuthenticatorData::parse(signed.authenticator_data, limits)?;
            data.check(&sha256(options.rp_id.as_bytes()), UserVerification::Required)
        }
    }
}

/// What turns a presentation into a step-up.
fn assertion_value(ceremony: &AuthenticationResponse) -> Result<Value> {
    let assertion = WebauthnAssertion {
        id: ceremony.id.clone(),
        authenticator_data: ceremony.response.authenticator_data.clone(),
        client_data_json: ceremony.response.client_data_json.clone(),
        signature: ceremony.response.signature.clone(),
    };
    serde_json::to_value(assertion)
        .map_err(|_| Error::misuse("webauthn_assertion", "the assertion does not serialize"))
}

/// The parameters of a successful response: in the clear, or as one JWE (section 8.3).
fn parameters(
    request: &AuthorizationRequest,
    vp_token: &BTreeMap<String, Vec<String>>,
) -> Result<Map<String, Value>> {
    let mut payload = Map::new();
    payload.insert("vp_token".into(), vp_token_value(vp_token));
    add_state(request, &mut payload);
    if !request.response_mode.is_encrypted() {
        return Ok(payload);
    }
    let key = request.client_metadata.encryption_key.as_ref();
    let key = key.ok_or_else(|| Error::misuse("response_encryption", "the request has no encryption key"))?;
    let payload = Value::Object(payload).to_string();
    let jwe = jwe::encrypt(payload.as_bytes(), key, request.content_encryption()?, &PartyInfo::default())?;
    Ok(Map::from_iter([("response".to_owned(), jwe.into())]))
}

/// The Digital Credentials API has no `state` (appendix A.2).
fn add_state(request: &AuthorizationRequest, response: &mut Map<String, Value>) {
    if let (Some(state), false) = (&request.state, request.response_mode.is_dc_api()) {
        response.insert("state".into(), state.as_str().into());
    }
}

/// Sends a response by the request's mode.
async fn deliver(
    request: &AuthorizationRequest,
    response: Map<String, Value>,
    context: &PresentationContext<'_>,
) -> Result<Delivery> {
    let destination = || {
        let missing = || Error::misuse("response_mode", "the request has no address for its answer");
        request.destination.clone().ok_or_else(missing)
    };
    match request.response_mode {
        ResponseMode::DirectPost | ResponseMode::DirectPostJwt => {
            post(destination()?, &form(&response), context).await
        }
        ResponseMode::Fragment => {
            let mut url = destination()?;
            url.set_fragment(Some(&encoded(&form(&response))));
            Ok(Delivery { redirect_uri: Some(url), ..Delivery::taken() })
        }
        ResponseMode::DcApi | ResponseMode::DcApiJwt => {
            Ok(Delivery { platform: Some(Value::Object(response)), ..Delivery::taken() })
        }
    }
}

/// Objects travel as JSON texts in a form (section 8.1).
fn form(response: &Map<String, Value>) -> Vec<(&str, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    response.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

fn encoded(form: &[(&str, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

async fn post(url: Url, form: &[(&str, String)], context: &PresentationContext<'_>) -> Result<Delivery> {
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let response = context.http.send(HttpRequest::post_form(url, &pairs)).await?;
    let body = strict_json::parse(&response.body, &Limits::DEFAULT).unwrap_or(Value::Null);
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| text.len() <= 2048);
    if response.is_success() {
        let redirect_uri = text("redirect_uri").and_then(|uri| Url::parse(uri).ok());
        let redirect_uri = redirect_uri.filter(|uri| matches!(uri.scheme(), "https" | "http"));
        return Ok(Delivery { redirect_uri, ..Delivery::taken() });
    }
    let code = text("code").or_else(|| text("error")).filter(|code| {
        code.len() <= 64
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    });
    Ok(Delivery { accepted: false, code: code.map(str::to_owned), ..Delivery::taken() })
}
