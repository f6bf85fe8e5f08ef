//! What the issuer publishes about itself.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_core::error::{Error, Result};
use carekey_core::format::data_integrity::contexts;
use carekey_core::protocol::openid4vci::signed_metadata::MEDIA_TYPE;
use carekey_service::extract::Path;
use carekey_service::problem::Problem;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use serde_json::Value;

use crate::App;
use crate::reply::document;

/// Seconds that wallets and verifiers may keep these documents.
const MAX_AGE: i64 = 300;

fn publish(value: Result<impl Serialize>) -> Response {
    let value = value.and_then(|value| {
        serde_json::to_value(value)
            .map_err(|_| Error::misuse("metadata_not_json", "the metadata cannot be written as JSON"))
    });
    value.map_or_else(|error| Problem::from(error).into_response(), |value: Value| document(&value, MAX_AGE))
}

/// `GET /.well-known/openid-credential-issuer` (OpenID4VCI 1.0 section 12.2): signed for those who would rather have it
/// so, where the issuer has a certificate.
pub(crate) async fn credential_issuer(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let signed = prefers_signed(&headers).then(|| app.issuer().signed_issuer_metadata());
    let mut response = match signed.transpose() {
        Err(error) => return Problem::from(error).into_response(),
        Ok(Some(Some(signed))) => {
            let cache = format!("public, max-age={MAX_AGE}");
            let own = [(header::CONTENT_TYPE, MEDIA_TYPE.to_owned()), (header::CACHE_CONTROL, cache)];
            (own, signed).into_response()
        }
        Ok(_) => publish(app.issuer().credential_issuer_metadata()),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Whether `Accept` (RFC 9110 section 12.5.1) ranks the signed form above the plain one, which is what everybody reads.
fn prefers_signed(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, f32)> = accept.flat_map(|value| value.split(',')).map(range).collect();
    let quality = |media_type: &str, or: &[&str]| {
        let of = |name: &str| {
            ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(name)).map(|(_, quality)| *quality)
        };
        of(media_type).or_else(|| or.iter().find_map(|name| of(name))).unwrap_or(0.0)
    };
    quality(MEDIA_TYPE, &[]) > quality("application/json", &["application/*", "*/*"])
}

fn range(item: &str) -> (&str, f32) {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map(|text| text.parse().unwrap_or(0.0));
    (name, quality.unwrap_or(1.0))
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414).
pub(crate) async fn authorization_server(State(app): State<Arc<App>>) -> Response {
    publish(app.issuer().authorization_server_metadata())
}

/// `GET /.well-known/jwt-vc-issuer` (draft-ietf-oauth-sd-jwt-vc section 3).
pub(crate) async fn jwt_vc_issuer(State(app): State<Arc<App>>) -> Response {
    document(&app.issuer().jwt_vc_issuer_metadata(), MAX_AGE)
}

/// `GET /.well-known/did.json` (did:web); 404 when the DID has ended.
pub(crate) async fn did_document(State(app): State<Arc<App>>) -> Response {
    if let Some(own) = app.own_did() {
        return file(own.served_document(), "application/did+json");
    }
    match app.issuer().did_document() {
        Ok(document_of_did) => document(&document_of_did, MAX_AGE),
        Err(_) => Problem::not_found("no did:web can be made of this address").into_response(),
    }
}

/// `GET /.well-known/did.jsonl` (did:webvh); 404 for other kinds of keys.
pub(crate) async fn did_log(State(app): State<Arc<App>>) -> Response {
    match app.own_did() {
        Some(own) => file(own.served_log(), "text/jsonl"),
        None => file(Ok(None), ""),
    }
}

/// What an operator's command may have changed a moment ago.
fn file(text: std::io::Result<Option<String>>, media_type: &'static str) -> Response {
    match text {
        Ok(Some(text)) => {
            let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "max-age=60")];
            (headers, text).into_response()
        }
        Ok(None) => Problem::not_found("there is no such DID here").into_response(),
        Err(_) => Problem::from(Error::unavailable("did_file", "the DID cannot be read")).into_response(),
    }
}

/// `GET /policy/binding/{version}`: what the `policy` in a credential's binding means.
pub(crate) async fn binding_policy(State(app): State<Arc<App>>, Path(version): Path<String>) -> Response {
    match app.issuer().binding_policy_document(&version) {
        Some(policy) => document(&policy, MAX_AGE),
        None => Problem::not_found("there is no such policy here").into_response(),
    }
}

/// `GET /vct/{name}` (draft-ietf-oauth-sd-jwt-vc section 4).
pub(crate) async fn type_metadata(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    match app.issuer().type_metadata_by_name(&name) {
        Some(metadata) => document(&metadata, MAX_AGE),
        None => Problem::not_found("there is no such credential type").into_response(),
    }
}

/// `GET /contexts/health/v1`: the JSON-LD context of the W3C credentials, whose name is a URN and stands for these bytes.
pub(crate) async fn context() -> Response {
    match contexts::published(contexts::CAREKEY_HEALTH_V1).first() {
        Some(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, "application/ld+json"),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, *bytes).into_response()
        }
        None => Problem::not_found("there is no such context").into_response(),
    }
}
