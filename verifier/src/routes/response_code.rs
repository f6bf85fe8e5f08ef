//! `POST /api/response-codes`

use std::sync::Arc;

use axum::extract::State;
use carekey_service::extract::Json;
use carekey_service::problem::Problem;
use serde::Deserialize;

use crate::app::{App, RequestView};

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseCode {
    /// The code that came with the person's browser.
    response_code: String,
    /// The portal's session in which it came, as it was named when the request was made.
    session: Option<String>,
}

/// Takes a response code, once: the outcome of its request.
///
/// # Errors
/// 403 `response_code` for a code that is unknown, used or expired.
pub async fn redeem(
    State(app): State<Arc<App>>,
    Json(body): Json<ResponseCode>,
) -> Result<axum::Json<RequestView>, Problem> {
    Ok(axum::Json(app.redeem_response_code(&body.response_code, body.session.as_deref()).await?))
}
