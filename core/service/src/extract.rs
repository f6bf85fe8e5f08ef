//! Extractors that answer a bad request with a [`Problem`], or with an [`OAuthError`] on the protocol endpoints, where
//! axum's own would answer plain text.
//!
//! The detail names the member at fault and what was expected; it goes to the sender only and never to the log.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use carekey_core::encoding::json;
use carekey_core::limits::Limits;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::problem::{OAuthError, Problem};

/// A JSON body (`application/json` or `application/…+json`); errors are problems.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

/// A form body (`application/x-www-form-urlencoded`); errors are problems.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form<T>(pub T);

/// The query string; errors are problems.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

/// The variables of the route; a path that does not fit them is 404.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

/// [`Json`] for protocol endpoints: errors are OAuth errors.
#[derive(Debug, Clone, Copy, Default)]
pub struct OAuthJson<T>(pub T);

/// [`Form`] for protocol endpoints: errors are OAuth errors.
#[derive(Debug, Clone, Copy, Default)]
pub struct OAuthForm<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(media_type("application/json"));
        }
        from_json(&body(request).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if essence(request.headers()) != Some("application/x-www-form-urlencoded".into()) {
            return Err(media_type("application/x-www-form-urlencoded"));
        }
        from_pairs(&body(request).await?, "form").map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        from_pairs(parts.uri.query().unwrap_or("").as_bytes(), "query").map(Self)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::of_status(StatusCode::NOT_FOUND)),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OAuthJson<T> {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let Json(value) = Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OAuthForm<T> {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let Form(value) = Form::from_request(request, state).await?;
        Ok(Self(value))
    }
}

/// A ceiling for routers that run without the server's own, lower limit on request bodies.
const BODY_CEILING: usize = 8 * 1024 * 1024;

async fn body(request: Request) -> Result<Bytes, Problem> {
    to_bytes(request.into_body(), BODY_CEILING).await.map_err(|error| {
        if is_length_limit(&error) {
            Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE)
        } else {
            Problem::bad_request("body_incomplete", "the body ended before its end")
        }
    })
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string() == "length limit exceeded" {
            return true;
        }
        cause = error.source();
    }
    false
}

fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

fn is_json(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| {
        essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
    })
}

fn media_type(expected: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("the content type here is {expected}"),
    )
}

/// Strict JSON (depth, count, no duplicate members, nothing behind it) into a `T`. The size is bounded already.
fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value = json::parse(bytes, &Limits { json_bytes: BODY_CEILING, ..Limits::DEFAULT })?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        Problem::bad_request("invalid_member", member(&error.path().to_string(), &error.inner().to_string()))
    })
}

fn from_pairs<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(bytes));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let code = if what == "form" { "invalid_form" } else { "invalid_query" };
        Problem::bad_request(code, member(&error.path().to_string(), &error.inner().to_string()))
    })
}

fn member(path: &str, reason: &str) -> String {
    let mut text = if path.is_empty() || path == "." { String::new() } else { format!("`{path}`: ") };
    text.extend(reason.chars().take(200));
    text
}
