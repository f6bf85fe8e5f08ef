//! The W3C VC-API: `/credentials/verify` and `/presentations/verify`, where 200 means verified and 400 not verified, and
//! `/credentials/derive`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_core::Error;
use carekey_service::extract::Json;
use carekey_service::problem::{ErrorCode, PROBLEM_JSON, Problem};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, VcOptions};

/// The body of `/credentials/verify`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyCredential {
    #[serde(default)]
    verifiable_credential: Value,
    options: Option<Options>,
}

/// The body of `/presentations/verify`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyPresentation {
    #[serde(default)]
    verifiable_presentation: Value,
    options: Option<Options>,
}

#[derive(Default, Deserialize)]
struct Options {
    checks: Option<Vec<String>>,
    domain: Option<String>,
    challenge: Option<String>,
}

impl Options {
    /// Status counts unless the caller lists checks and this is not among them.
    fn read(this: Option<Self>) -> VcOptions {
        let Self { checks, domain, challenge } = this.unwrap_or_default();
        let asked = |checks: Vec<String>| {
            checks.iter().any(|check| matches!(check.as_str(), "status" | "credentialStatus"))
        };
        VcOptions { domain, challenge, status: checks.is_none_or(asked) }
    }
}

/// `POST /credentials/verify`
pub async fn credential(State(app): State<Arc<App>>, Json(body): Json<VerifyCredential>) -> Response {
    let options = Options::read(body.options);
    answer(app.verify_vc(&body.verifiable_credential, &options).await)
}

/// `POST /presentations/verify`
pub async fn presentation(State(app): State<Arc<App>>, Json(body): Json<VerifyPresentation>) -> Response {
    let options = Options::read(body.options);
    answer(app.verify_vp(&body.verifiable_presentation, &options).await)
}

/// The body of `/credentials/derive`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeriveCredential {
    #[serde(default)]
    verifiable_credential: Value,
    options: Option<DeriveOptions>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeriveOptions {
    #[serde(default)]
    selective_pointers: Vec<String>,
}

/// `POST /credentials/derive`: 201 with the derived credential.
pub async fn derive(State(app): State<Arc<App>>, Json(body): Json<DeriveCredential>) -> Response {
    let pointers = body.options.unwrap_or_default().selective_pointers;
    match app.derive_vc(&body.verifiable_credential, &pointers).await {
        Ok(derived) => {
            let body = axum::Json(json!({"verifiableCredential": derived}));
            (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], body).into_response()
        }
        Err(error) => refused(error),
    }
}

fn refused(error: Error) -> Response {
    match error {
        error @ Error::Misuse { .. } => Problem::from(error).into_response(),
        error => not_verified(&error),
    }
}

fn answer(outcome: Result<Value, Error>) -> Response {
    match outcome {
        Ok(verified) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(verified)).into_response(),
        Err(error) => refused(error),
    }
}

/// A problem (RFC 9457) with the VC-API's members beside its own.
fn not_verified(error: &Error) -> Response {
    let problem = json!({
        "type": format!("urn:carekey:problem:{}", error.code()),
        "title": "Not verified",
        "status": 400,
        "code": error.code(),
        "detail": error.detail(),
    });
    let mut body = problem.clone();
    if let Some(members) = body.as_object_mut() {
        members.insert("verified".into(), false.into());
        members.insert("problemDetails".into(), json!([problem]));
    }
    let headers = [(header::CONTENT_TYPE, PROBLEM_JSON), (header::CACHE_CONTROL, "no-store")];
    let mut response = (StatusCode::BAD_REQUEST, headers, body.to_string()).into_response();
    response.extensions_mut().insert(ErrorCode(error.code()));
    response
}
