//! Errors on the wire: `application/problem+json` (RFC 9457) with a stable code, and the OAuth form (RFC 6749 section
//! 5.2) for the protocol endpoints.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use carekey_core::Error;
use carekey_core::store::CommitError;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// The media type of [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, for the client: status, stable code, and one sentence without secrets or health data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The code of an error response, for the access log: it is in the response's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub &'static str);

impl Problem {
    /// A problem with `code` (snake_case, stable).
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new() }
    }

    /// 400.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404 `not_found`.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 500 `internal`: what happened goes to the log, not to the client.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; the log says more")
    }

    /// The problem that stands for `status` when nobody said more.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::BAD_REQUEST => ("bad_request", "the request is malformed"),
            StatusCode::UNAUTHORIZED => ("unauthorized", "this needs a valid bearer token"),
            StatusCode::FORBIDDEN => ("forbidden", "this is not allowed"),
            StatusCode::NOT_FOUND => ("not_found", "there is nothing here"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "this address does not answer that method")
            }
            StatusCode::NOT_ACCEPTABLE => ("not_acceptable", "no acceptable form of the answer exists"),
            StatusCode::REQUEST_TIMEOUT => ("request_timeout", "the request took too long"),
            StatusCode::CONFLICT => ("conflict", "the state does not allow this"),
            StatusCode::GONE => ("gone", "this existed and is gone"),
            StatusCode::PAYLOAD_TOO_LARGE => ("payload_too_large", "the body is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_media_type", "the content type is not understood here")
            }
            StatusCode::UNPROCESSABLE_ENTITY => ("unprocessable", "the content does not fit"),
            StatusCode::TOO_MANY_REQUESTS => ("too_many_requests", "too many requests from this address"),
            StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "the service cannot answer now"),
            _ if status.is_client_error() => ("client_error", "the request was refused"),
            _ => return Self { status, ..Self::internal() },
        };
        Self::new(status, code, detail)
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one more response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Error> for Problem {
    /// `Malformed`, `Untrusted`, `NotCurrent` and `Unsupported` are 400, `Refused` 403 (`store_conflict` 409),
    /// `Unavailable` 503 and `Misuse` 500; the last two with their detail in the log only.
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Refused { code: "store_conflict", .. } => StatusCode::CONFLICT,
            Error::Refused { .. } => StatusCode::FORBIDDEN,
            Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Error::Malformed { .. }
            | Error::Untrusted { .. }
            | Error::NotCurrent { .. }
            | Error::Unsupported { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(code = error.code(), detail = error.detail(), "request failed");
            let general = Self::of_status(status);
            // A client may know that a status list could not be fetched, but not why a disk does not answer.
            let code = if status == StatusCode::SERVICE_UNAVAILABLE { error.code() } else { general.code };
            return Self { code, ..general };
        }
        Self::new(status, error.code(), error.detail().to_owned())
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        Error::from(error).into()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("urn:carekey:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, PROBLEM_JSON), (header::CACHE_CONTROL, "no-store")],
            serde_json::to_vec(&body).unwrap_or_default(),
        )
            .into_response();
        response.headers_mut().extend(self.headers);
        response.extensions_mut().insert(ErrorCode(self.code));
        response
    }
}

/// The error body of OAuth 2.0 (RFC 6749 section 5.2) and of the OpenID4VC endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    status: StatusCode,
    error: &'static str,
    code: &'static str,
    description: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl OAuthError {
    /// An OAuth error with the registered name `error` and our own stable `code`, which leads the description.
    pub fn new(status: StatusCode, error: &'static str, code: &'static str, detail: &str) -> Self {
        Self {
            status,
            error,
            code,
            description: printable(&format!("{code}: {detail}")),
            headers: Vec::new(),
        }
    }

    /// `invalid_request`, 400.
    pub fn invalid_request(code: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", code, detail)
    }

    /// `error` (400) for what core found wrong with the input. A fault of ours becomes `server_error`, 500 or 503.
    pub fn from_core(error: &'static str, cause: &Error) -> Self {
        let problem = Problem::from(cause.clone());
        if problem.status.is_server_error() {
            Self::new(problem.status, "server_error", problem.code, &problem.detail)
        } else {
            Self::new(StatusCode::BAD_REQUEST, error, cause.code(), cause.detail())
        }
    }

    /// The same with one more response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The registered error name.
    pub fn error(&self) -> &'static str {
        self.error
    }
}

impl From<Problem> for OAuthError {
    /// `invalid_request`, or `server_error` from 500 on; status and code stay.
    fn from(problem: Problem) -> Self {
        let error = if problem.status.is_server_error() { "server_error" } else { "invalid_request" };
        Self { headers: problem.headers, ..Self::new(problem.status, error, problem.code, &problem.detail) }
    }
}

/// The characters that RFC 6749 allows in `error_description`.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.error, "error_description": self.description });
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")],
            body.to_string(),
        )
            .into_response();
        response.headers_mut().extend(self.headers);
        response.extensions_mut().insert(ErrorCode(self.code));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_errors_become_statuses() {
        for (error, status, code) in [
            (Error::malformed("m", "x"), 400, "m"),
            (Error::untrusted("u", "x"), 400, "u"),
            (Error::unsupported("s", "x"), 400, "s"),
            (Error::refused("r", "x"), 403, "r"),
            (CommitError::Conflict { index: 0 }.into(), 409, "store_conflict"),
            (Error::unavailable("a", "disk sda1"), 503, "a"),
            (Error::misuse("b", "internal path"), 500, "internal"),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.status.as_u16(), problem.code), (status, code));
            assert!(status < 500 || problem.detail != "disk sda1" && problem.detail != "internal path");
        }
    }

    #[test]
    fn oauth_descriptions_are_printable() {
        let error =
            OAuthError::from_core("invalid_grant", &Error::refused("used", "the \"code\"\n was uséd"));
        assert_eq!(error.error, "invalid_grant");
        assert_eq!(error.description, "used: the 'code'? was us?d");
        assert_eq!(OAuthError::from_core("invalid_grant", &Error::misuse("x", "y")).error, "server_error");
    }
}
