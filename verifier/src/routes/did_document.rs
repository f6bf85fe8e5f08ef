//! `GET /.well-known/did.json`

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_service::problem::Problem;
use http::header;

use crate::app::App;

/// The document of this verifier's `did:web`.
///
/// # Errors
/// None in practice.
pub async fn did_document(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let document = app.did_document()?.to_value();
    Ok(([(header::CONTENT_TYPE, "application/did+ld+json")], document.to_string()).into_response())
}
