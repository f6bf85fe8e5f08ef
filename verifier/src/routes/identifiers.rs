//! `GET /1.0/identifiers/{did}`: DID resolution and DID URL dereferencing over HTTP (W3C DID Resolution, HTTPS binding).

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use carekey_core::Error;
use carekey_core::did::dereference::{Dereferenced, DidReference, expand_relative};
use carekey_core::did::resolver::{ResolutionOptions, ResolvedDid};
use carekey_core::did::webvh::VersionSelector;
use carekey_service::problem::ErrorCode;
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::app::App;

/// The whole result of a resolution.
const RESULT: &str = "application/did-resolution";
/// The whole result of dereferencing a DID URL.
const DEREFERENCED: &str = "application/did-url-dereferencing";
/// The document alone, in its representations.
const DOCUMENTS: [&str; 3] = ["application/did+ld+json", "application/did+json", "application/did"];

/// What the answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Result,
    Dereferenced,
    /// The document, or a part of it, alone.
    Bare(&'static str),
}

/// Resolves a DID or dereferences a DID URL: 200 with the whole result, or the content alone, as `Accept` says; 303 to the
/// address of a service; 410 for what is deactivated; errors as results, with the status of their kind.
pub async fn resolve(
    State(app): State<Arc<App>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let accept = accepted(&headers, query.as_deref());
    let form = if accept.iter().any(|one| one == DEREFERENCED) { Form::Dereferenced } else { Form::Result };
    match answer(&app, &uri, query.as_deref(), &accept).await {
        Ok(response) => response,
        Err(failure) => failure.response(form),
    }
}

async fn answer(app: &App, uri: &Uri, query: Option<&str>, accept: &[String]) -> Result<Response, Failure> {
    let asked = requested(uri)?;
    let form = if asked.is_bare() { form_of_did(accept) } else { form_of_url(accept)? };
    let form = form.ok_or(Failure::Representation)?;
    let (mut options, expand) = options(query.unwrap_or_default())?;
    if asked.version != VersionSelector::Latest {
        if options.version != VersionSelector::Latest {
            return Err(Failure::Options);
        }
        options.version = asked.version.clone();
    }
    let mut resolved = app.dids().read(&asked.did, &options).await?;
    if expand && let Some(document) = &mut resolved.document {
        expand_relative(document);
    }
    if asked.is_bare() && form != Form::Dereferenced {
        return Ok(document(form, &resolved));
    }
    match asked.dereference(&resolved)? {
        Dereferenced::Service(url) => {
            let headers = [(header::LOCATION, url.to_string())];
            Ok((StatusCode::SEE_OTHER, headers).into_response())
        }
        Dereferenced::Document(content) | Dereferenced::Part(content) => {
            Ok(dereferenced(form, content, &resolved))
        }
    }
}

/// The DID URL in the path. Sent as it is, its own percent signs stay; encoded as a whole, it is decoded once.
fn requested(uri: &Uri) -> Result<DidReference, Failure> {
    let raw = uri.path().rsplit('/').next().unwrap_or_default();
    let text = if raw.starts_with("did:") { raw.to_owned() } else { decoded(raw).ok_or(Failure::Did)? };
    DidReference::parse(&text).map_err(|error| match error.code() {
        "did" => Failure::Did,
        "did_url_parameter" => Failure::Core(error),
        _ => Failure::DidUrl,
    })
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

/// The resolution options in the query, and `expandRelativeUrls`.
fn options(query: &str) -> Result<(ResolutionOptions, bool), Failure> {
    let version = VersionSelector::from_query(query).map_err(|_| Failure::Options)?;
    let (mut fresh, mut expand) = (false, false);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let flag = match name.as_ref() {
            "versionId" | "versionTime" | "versionNumber" | "accept" => continue,
            "noCache" => &mut fresh,
            "expandRelativeUrls" => &mut expand,
            _ => return Err(Failure::Options),
        };
        *flag = match value.as_ref() {
            "true" => true,
            "false" => false,
            _ => return Err(Failure::Options),
        };
    }
    Ok((ResolutionOptions { version, fresh }, expand))
}

/// The media types that the option `accept` or the header names, those that are ruled out left out.
fn accepted(headers: &HeaderMap, query: Option<&str>) -> Vec<String> {
    let option = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let option: Vec<String> =
        option.filter(|(name, _)| name == "accept").map(|(_, value)| value.into_owned()).collect();
    let header = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let header: Vec<String> = header.flat_map(|value| value.split(',')).map(str::to_owned).collect();
    let essence = |item: &String| {
        let mut parts = item.split(';').map(str::trim);
        let essence = parts.next()?.to_ascii_lowercase();
        (!parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0"))).then_some(essence)
    };
    if option.is_empty() { &header } else { &option }.iter().filter_map(essence).collect()
}

/// The first that can be given of a DID; without preference the whole result.
fn form_of_did(accept: &[String]) -> Option<Form> {
    let form = |name: &String| match name.as_str() {
        "application/json" | "application/ld+json" | "application/*" | "*/*" | RESULT => Some(Form::Result),
        DEREFERENCED => Some(Form::Dereferenced),
        other => DOCUMENTS.into_iter().find(|known| *known == other).map(Form::Bare),
    };
    if accept.is_empty() { Some(Form::Result) } else { accept.iter().find_map(form) }
}

/// The same of a DID URL, which has no resolution result.
fn form_of_url(accept: &[String]) -> Result<Option<Form>, Failure> {
    let form = |name: &String| match name.as_str() {
        "application/json" => Some(Form::Bare("application/json")),
        "application/*" | "*/*" | "text/uri-list" | DEREFERENCED => Some(Form::Dereferenced),
        other => DOCUMENTS.into_iter().find(|known| *known == other).map(Form::Bare),
    };
    match accept.iter().find_map(form) {
        None if accept.is_empty() => Ok(Some(Form::Dereferenced)),
        None if accept.iter().any(|name| name == RESULT) => Err(Failure::DidUrl),
        found => Ok(found),
    }
}

/// 410 for what is deactivated, whatever version was asked for.
fn status(resolved: &ResolvedDid) -> StatusCode {
    match resolved.metadata.get("deactivated") {
        Some(Value::Bool(true)) => StatusCode::GONE,
        _ => StatusCode::OK,
    }
}

fn document(form: Form, resolved: &ResolvedDid) -> Response {
    let (media_type, body) = match form {
        Form::Bare(media_type) => (media_type, resolved.document.clone().unwrap_or_default()),
        Form::Result | Form::Dereferenced => {
            let body = json!({
                "didDocument": resolved.document,
                "didDocumentMetadata": resolved.metadata,
                "didResolutionMetadata": {"contentType": RESULT},
            });
            (RESULT, body)
        }
    };
    sent(status(resolved), media_type, &body)
}

fn dereferenced(form: Form, content: Value, resolved: &ResolvedDid) -> Response {
    let (media_type, body) = match form {
        Form::Bare(media_type) => (media_type, content),
        Form::Result | Form::Dereferenced => {
            let body = json!({
                "dereferencingMetadata": {"contentType": DEREFERENCED},
                "contentStream": content,
                "contentMetadata": resolved.metadata,
            });
            (DEREFERENCED, body)
        }
    };
    sent(status(resolved), media_type, &body)
}

fn sent(status: StatusCode, media_type: &'static str, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")];
    (status, headers, body.to_string()).into_response()
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
                let detail = "not a DID URL, or one where a DID alone can be resolved";
                ("INVALID_DID_URL", StatusCode::BAD_REQUEST, "did_url", detail)
            }
            Self::Options => {
                let detail = "an option is unknown here, malformed, or contradicts another";
                ("INVALID_OPTIONS", StatusCode::BAD_REQUEST, "did_options", detail)
            }
            Self::Representation => {
                let detail = "no acceptable representation exists";
                ("REPRESENTATION_NOT_SUPPORTED", StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
            }
            Self::Core(error) => {
                let (name, status) = kind(error);
                (name, status, error.code(), error.detail())
            }
        }
    }

    fn response(&self, form: Form) -> Response {
        let (name, status, code, detail) = self.parts();
        let error = json!({
            "type": format!("https://www.w3.org/ns/did#{name}"),
            "title": name,
            "detail": detail,
            "code": code,
        });
        let (media_type, body) = match form {
            Form::Dereferenced => {
                let metadata = json!({"contentType": DEREFERENCED, "error": error});
                let body =
                    json!({"dereferencingMetadata": metadata, "contentStream": null, "contentMetadata": {}});
                (DEREFERENCED, body)
            }
            Form::Result | Form::Bare(_) => {
                let metadata = json!({"contentType": RESULT, "error": error});
                let body = json!({"didDocument": null, "didDocumentMetadata": {}, "didResolutionMetadata": metadata});
                (RESULT, body)
            }
        };
        let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-store")];
        let mut response = (status, headers, body.to_string()).into_response();
        response.extensions_mut().insert(ErrorCode(code));
        response
    }
}

/// Name and status of an error (section "Errors" and the table of the HTTPS binding).
fn kind(error: &Error) -> (&'static str, StatusCode) {
    match (error, error.code()) {
        (Error::Unsupported { .. }, "did_method") => ("METHOD_NOT_SUPPORTED", StatusCode::NOT_IMPLEMENTED),
        (Error::Unsupported { .. }, _) => ("FEATURE_NOT_SUPPORTED", StatusCode::NOT_IMPLEMENTED),
        (_, "did_not_found" | "did_url_not_found" | "webvh_version_not_found") => {
            ("NOT_FOUND", StatusCode::NOT_FOUND)
        }
        (_, "did_deactivated") => ("NOT_FOUND", StatusCode::GONE),
        // The DID itself, not what its log says.
        (_, "webvh_scid" | "webvh_domain" | "webvh_path") => ("INVALID_DID", StatusCode::BAD_REQUEST),
        (_, code) if code == "did_document" || code.starts_with("webvh_") => {
            ("INVALID_DID_DOCUMENT", StatusCode::INTERNAL_SERVER_ERROR)
        }
        (Error::Malformed { .. }, code) if !code.starts_with("fetch_") => {
            ("INVALID_DID", StatusCode::BAD_REQUEST)
        }
        _ => ("INTERNAL_ERROR", StatusCode::INTERNAL_SERVER_ERROR),
    }
}
