//! `GET /openapi.json`: the interface for programs; the desk's pages are not part of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_service::openapi;
use http::header;

use crate::App;

/// Written by hand; a test compares its paths and methods with the route table, both ways.
pub(crate) const DOCUMENT: &str = include_str!("../../openapi.json");

pub(crate) async fn document(State(app): State<Arc<App>>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    match app.vc_api() {
        Some(_) => (headers, DOCUMENT).into_response(),
        None => (headers, without_vc_api()).into_response(),
    }
}

/// The document of an issuer whose VC-API is off.
pub(crate) fn without_vc_api() -> String {
    openapi::without_tags(DOCUMENT, &["vc-api"])
}
