//! `GET /openapi.json`: the interface for programs; the desk's pages are not part of it.

use axum::response::{IntoResponse, Response};
use http::header;

/// Written by hand; a test compares its paths and methods with the route table, both ways.
pub(crate) const DOCUMENT: &str = include_str!("../../openapi.json");

pub(crate) async fn document() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, DOCUMENT).into_response()
}
