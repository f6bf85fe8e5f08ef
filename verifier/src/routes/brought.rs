//! `POST /api/requests/{id}/response`: an answer that came to a portal's own front end.

use std::sync::Arc;

use axum::extract::State;
use carekey_service::extract::{Json, Path};
use carekey_service::problem::Problem;
use serde::Deserialize;

use super::response::refused;
use crate::app::{App, Brought, RequestView};

/// The body.
#[derive(Debug, Deserialize)]
pub struct BroughtAnswer {
    /// `fragment`, or `protocol` and `data` of the `DigitalCredential`.
    #[serde(flatten)]
    answer: Brought,
    /// The portal's session in which it came, as it was named when the request was made.
    session: Option<String>,
}

/// Takes an answer of the response modes `fragment`, `dc_api` and `dc_api.jwt`: the request with its outcome.
///
/// # Errors
/// 400 with a code of the closed list ([`carekey_core::verifier::RefusalCode`]); 404 where there is no such request.
pub async fn receive(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(body): Json<BroughtAnswer>,
) -> Result<axum::Json<RequestView>, Problem> {
    app.receive_brought(&id, &body.answer, body.session.as_deref()).await.map_err(refused)?;
    let view = app.outcome(&id, None).await?;
    view.map(axum::Json).ok_or_else(|| Problem::not_found("there is no request of that name"))
}
