//! `POST /api/requests`

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_service::extract::Json;
use carekey_service::problem::Problem;
use http::StatusCode;

use crate::app::{App, CreateRequest};

/// Makes a request: 201 with its id and link.
///
/// # Errors
/// 400 with the code of what is wrong with the body.
pub async fn create(
    State(app): State<Arc<App>>,
    Json(new): Json<CreateRequest>,
) -> Result<Response, Problem> {
    let created = app.create_request(new, None).await?;
    Ok((StatusCode::CREATED, axum::Json(created)).into_response())
}
