//! `GET /1.0/identifiers/{did}`: DID resolution over HTTP (W3C DID Resolution, HTTPS binding).

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use carekey_core::Error;
use carekey_core::did::Did;
use carekey_service::problem::ErrorCode;
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Value, json};

use crate::app::App;

/// The whole result of a resolution.
const RESULT: &str = "application/did-resolution";
/// The document alone, in its representations.
const DOCUMENTS: [&str; 3] = ["application/did+ld+json", "application/did+json", "application/did"];

/// Resolves a DID: 200 with the result or the document, as `Accept` says; errors as results, with the status of their
/// kind.
pub async fn resolve(
    State(app): State<Arc<App>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match resolved(&app, &uri, query.as_deref(), &headers).await {
        Ok((media_type, document)) => success(media_type, &document),
        Err(failure) => failure.into_response(),
    }
}

async fn resolved(
    app: &App,
    uri: &Uri,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<(&'static str, Value), Failure> {
    let did = requested(uri)?;
    let media_type = negotiate(headers).ok_or(Failure::Representation)?;
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Failure::Options);
    }
    let document = app.did_representation(&did).await.map_err(Failure::from)?;
    Ok((media_type, document))
}

/// The DID in the path. Sent as it is, its own percent signs stay; encoded as a whole, it is decoded once.
fn requested(uri: &Uri) -> Result<Did, Failure> {
    let raw = uri.path().rsplit('/').next().unwrap_or_default();
    let text = if raw.starts_with("did:") { raw.to_owned() } else { decoded(raw).ok_or(Failure::Did)? };
    match text.split_once(['#', '?', '/', ';']) {
        None => Did::parse(&text).map_err(|_| Failure::Did),
        Some((did, _)) => Err(Did::parse(did).map_or(Failure::Did, |_| Failure::DidUrl)),
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The first media type in `Accept` that can be given; without preference the whole result.
fn negotiate(headers: &HeaderMap) -> Option<&'static str> {
    let values: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() {
        return Some(RESULT);
    }
    values.iter().flat_map(|value| value.split(',')).find_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let essence = parts.next()?.to_ascii_lowercase();
        if parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0")) {
            return None;
        }
        match essence.as_str() {
            "application/json" | "application/ld+json" | "application/*" | "*/*" | RESULT => Some(RESULT),
            other => DOCUMENTS.into_iter().find(|known| *known == other),
        }
    })
}

fn success(media_type: &'static str, document: &Value) -> Response {
    let body = match media_type {
        RESULT => json!({
            "didDocument": document,
            "didDocumentMetadata": {},
            "didResolutionMetadata": {"contentType": RESULT},
        }),
        _ => document.clone(),
    };
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")], body.to_string())
        .into_response()
}

enum Failure {
    Did,
    DidUrl,
    Options,
    Representation,
    Core(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl Failure {
    /// Name of the error, status, our own code, and one sentence.
    fn parts(&self) -> (&'static str, StatusCode, &'static str, &str) {
        match self {
            Self::Did => ("INVALID_DID", StatusCode::BAD_REQUEST, "did", "not a DID"),
            Self::DidUrl => {
                let detail = "a DID without path, query and fragment is resolved here";
                ("INVALID_DID_URL", StatusCode::BAD_REQUEST, "did_url", detail)
            }
            Self::Options => {
                let detail = "no resolution options are taken here";
                ("INVALID_OPTIONS", StatusCode::BAD_REQUEST, "did_options", detail)
            }
            Self::Representation => {
                let detail = "no acceptable representation exists";
                ("REPRESENTATION_NOT_SUPPORTED", StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
            }
            Self::Core(error) => {
                let (name, status) = match (error, error.code()) {
                    (Error::Unsupported { .. }, "did_method") => {
                        ("METHOD_NOT_SUPPORTED", StatusCode::NOT_IMPLEMENTED)
                    }
                    (Error::Unsupported { .. }, _) => ("FEATURE_NOT_SUPPORTED", StatusCode::NOT_IMPLEMENTED),
                    (_, "did_not_found") => ("NOT_FOUND", StatusCode::NOT_FOUND),
                    (_, "did_document") => ("INVALID_DID_DOCUMENT", StatusCode::INTERNAL_SERVER_ERROR),
                    (Error::Malformed { .. }, _) => ("INVALID_DID", StatusCode::BAD_REQUEST),
                    _ => ("INTERNAL_ERROR", StatusCode::INTERNAL_SERVER_ERROR),
                };
                (name, status, error.code(), error.detail())
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (name, status, code, detail) = self.parts();
        let body = json!({
            "didDocument": null,
            "didDocumentMetadata": {},
            "didResolutionMetadata": {
                "contentType": RESULT,
                "error": {
                    "type": format!("https://www.w3.org/ns/did#{name}"),
                    "title": name,
                    "detail": detail,
                    "code": code,
                },
            },
        });
        let headers = [(header::CONTENT_TYPE, RESULT), (header::CACHE_CONTROL, "no-store")];
        let mut response = (status, headers, body.to_string()).into_response();
        response.extensions_mut().insert(ErrorCode(code));
        response
    }
}
