//! From what core says to HTTP: the one place where refusals get a status.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use carekey_core::issuer::{Answer, Message};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::credential::{ErrorCode, Issuance, Refusal};
use carekey_service::problem::OAuthError;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::App;
use crate::caller::{ATTESTATION, DPOP};

/// A refusal of the authorization server, as RFC 6749 (5.2) and RFC 9449 (5, 8) want it on the wire.
pub(crate) fn refuse(refusal: &Refusal) -> Response {
    answer(refusal, StatusCode::BAD_REQUEST).into_response()
}

/// The answer of the credential and the deferred credential endpoint: 200, or 202 while the desk decides.
pub(crate) fn issuance(app: &App, answer: Result<Answer, Refusal>) -> Response {
    let Answer { issuance, encrypted } = match answer {
        Ok(answer) => answer,
        Err(refusal) => {
            app.metrics().count("credential", refusal.code.as_str());
            return refuse_resource(&refusal);
        }
    };
    let (status, outcome) = match &issuance {
        Issuance::Issued(_) => (StatusCode::OK, "issued"),
        Issuance::Deferred(_) => (StatusCode::ACCEPTED, "deferred"),
    };
    app.metrics().count("credential", outcome);
    match encrypted {
        Some(jwt) => {
            let headers = [(header::CONTENT_TYPE, JWT), (header::CACHE_CONTROL, "no-store")];
            (status, headers, jwt).into_response()
        }
        None => json(status, &issuance.to_value()),
    }
}

/// A refusal of the credential issuer, as OpenID4VCI 1.0 (8.3.1, 11.3), RFC 6750 (3) and RFC 9449 (7.1, 9) want it.
pub(crate) fn refuse_resource(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        ErrorCode::MissingToken
        | ErrorCode::InvalidToken
        | ErrorCode::InvalidDpopProof
        | ErrorCode::UseDpopNonce => StatusCode::UNAUTHORIZED,
        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = answer(refusal, status).into_response();
    for challenge in challenges(refusal.code) {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

fn answer(refusal: &Refusal, status: StatusCode) -> OAuthError {
    let (code, error) = (refusal.code, &refusal.error);
    match code {
        ErrorCode::ServerError => OAuthError::from_core(code.as_str(), error),
        _ => OAuthError::new(status, code.as_str(), error.code(), error.detail()),
    }
}

/// RFC 6750 section 3.1: a request without any token gets no error code in the challenges.
fn challenges(code: ErrorCode) -> &'static [&'static str] {
    match code {
        ErrorCode::MissingToken => &["Bearer", "DPoP algs=\"ES256\""],
        ErrorCode::InvalidToken => {
            &["Bearer error=\"invalid_token\"", "DPoP error=\"invalid_token\", algs=\"ES256\""]
        }
        ErrorCode::InsufficientScope => &["Bearer error=\"insufficient_scope\""],
        ErrorCode::InvalidDpopProof => &["DPoP error=\"invalid_dpop_proof\", algs=\"ES256\""],
        ErrorCode::UseDpopNonce => &["DPoP error=\"use_dpop_nonce\", algs=\"ES256\""],
        _ => &[],
    }
}

/// Gives every answer to a client that uses DPoP, and every answer of the nonce endpoint, a fresh nonce (RFC 9449 section
/// 8.2; OpenID4VCI 1.0 section 7.2), and every answer to an attested wallet a fresh challenge (attestation-based client
/// authentication, draft 07 section 8.1).
pub(crate) async fn fresh_nonces(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let wanted = request.headers().contains_key(DPOP) || request.uri().path() == "/oid4vci/nonce";
    let attested = request.headers().contains_key(ATTESTATION);
    let mut response = next.run(request).await;
    let challenge = app.issuer().attestation_challenge().filter(|_| attested);
    if let Some(Ok(challenge)) = challenge.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(ATTESTATION_CHALLENGE, challenge);
    }
    if let (true, Ok(nonce)) = (wanted, HeaderValue::from_str(&app.issuer().dpop_nonce())) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const ATTESTATION_CHALLENGE: HeaderName = HeaderName::from_static("oauth-client-attestation-challenge");

const JSON: &str = "application/json";
const JWT: &str = "application/jwt";

/// The body of a request for credentials: plain or encrypted (OpenID4VCI 1.0 section 10).
pub(crate) enum CredentialBody {
    Plain(Bytes),
    Encrypted(Bytes),
}

impl CredentialBody {
    pub(crate) fn message(&self) -> Message<'_> {
        match self {
            Self::Plain(body) => Message::Plain(body),
            Self::Encrypted(body) => Message::Encrypted(body),
        }
    }
}

/// The body of a request to the credential or the deferred credential endpoint.
pub(crate) async fn credential_body(headers: &HeaderMap, content: Body) -> Result<CredentialBody, Response> {
    let code = ErrorCode::InvalidCredentialRequest;
    if essence(headers).eq_ignore_ascii_case(JWT) {
        return body(headers, content, JWT, code).await.map(CredentialBody::Encrypted);
    }
    body(headers, content, JSON, code).await.map(CredentialBody::Plain)
}

/// The media type of a request without parameters.
fn essence(headers: &HeaderMap) -> &str {
    let whole = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim()
}

/// The body of a protocol request of the media type `expected`, bounded.
///
/// A wrong media type, too long or a broken body is refused with `code`, the endpoint's own name for a bad request.
pub(crate) async fn body(
    headers: &HeaderMap,
    body: Body,
    expected: &str,
    code: ErrorCode,
) -> Result<Bytes, Response> {
    let bad = |status, ours: &'static str, detail: &str| {
        OAuthError::new(status, code.as_str(), ours, detail).into_response()
    };
    if !essence(headers).eq_ignore_ascii_case(expected) {
        let detail = format!("the content type here is {expected}");
        return Err(bad(StatusCode::BAD_REQUEST, "unsupported_media_type", &detail));
    }
    let limit = Limits::DEFAULT.json_bytes;
    axum::body::to_bytes(body, limit).await.map_err(|_| {
        bad(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "the body is too large or ended before its end",
        )
    })
}

/// A JSON answer of a protocol endpoint: never stored by caches.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

/// A public document that may be cached for `seconds`.
pub(crate) fn document(body: &Value, seconds: i64) -> Response {
    let cache = format!("public, max-age={seconds}");
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CACHE_CONTROL, cache)];
    (headers, body.to_string()).into_response()
}
