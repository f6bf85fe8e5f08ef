//! The OpenAPI document, written by hand and compared with [`crate::routes`] by a test.

use axum::response::{IntoResponse, Response};
use http::header;

/// OpenAPI 3.1, JSON.
pub const OPENAPI: &str = include_str!("openapi.json");

/// `GET /openapi.json`
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
