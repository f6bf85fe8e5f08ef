//! From what core says to HTTP: the one place where refusals get a status.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::credential::{ErrorCode, Refusal};
use carekey_service::problem::OAuthError;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

/// The refusal as OpenID4VCI 1.0 (8.3.1, 11.3), RFC 6749 (5.2) and RFC 6750 (3) want it on the wire.
pub(crate) fn refuse(refusal: &Refusal) -> Response {
    let (code, error) = (refusal.code, &refusal.error);
    let status = match code {
        ErrorCode::MissingToken | ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
        ErrorCode::ServerError => return OAuthError::from_core(code.as_str(), error).into_response(),
        _ => StatusCode::BAD_REQUEST,
    };
    let answer = OAuthError::new(status, code.as_str(), error.code(), error.detail());
    match challenge(code) {
        Some(challenge) => answer.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)),
        None => answer,
    }
    .into_response()
}

/// RFC 6750 section 3.1: a request without any token gets no error code in the challenge.
fn challenge(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::MissingToken => Some("Bearer"),
        ErrorCode::InvalidToken => Some("Bearer error=\"invalid_token\""),
        ErrorCode::InsufficientScope => Some("Bearer error=\"insufficient_scope\""),
        _ => None,
    }
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
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    let bad = |status, ours: &'static str, detail: &str| {
        OAuthError::new(status, code.as_str(), ours, detail).into_response()
    };
    if !essence.eq_ignore_ascii_case(expected) {
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
