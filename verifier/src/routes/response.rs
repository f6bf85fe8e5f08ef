//! `POST /oid4vp/responses/{id}` (OpenID4VP 1.0 sections 8.2 and 8.3.1)

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_service::extract::Path;
use carekey_service::problem::Problem;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use crate::app::{App, ResponseRefused};

/// Takes a wallet's answer: 200 with `redirect_uri` where the person is to go on.
///
/// # Errors
/// 400 with a code of the closed list ([`carekey_core::verifier::RefusalCode`]); 415 for another media type.
pub async fn receive(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let accepted = app.receive(&id, &body).await.map_err(refused)?;
    let redirect_uri =
        accepted.redirect_uri.map(|uri| ("redirect_uri".to_owned(), Value::from(uri.to_string())));
    let answer: Map<String, Value> = redirect_uri.into_iter().collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(answer)).into_response())
}

pub(super) fn refused(refused: ResponseRefused) -> Problem {
    match refused {
        ResponseRefused::Refused { code, detail } => Problem::bad_request(code.as_str(), detail),
        ResponseRefused::Failed(error) => error.into(),
    }
}
