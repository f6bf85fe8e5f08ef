//! `GET /api/requests/{id}`

use std::sync::Arc;

use axum::extract::State;
use carekey_service::extract::Path;
use carekey_service::problem::Problem;

use crate::app::{App, RequestView};

/// State and typed outcome of a request.
///
/// # Errors
/// 404 where there is none of that name.
pub async fn outcome(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<axum::Json<RequestView>, Problem> {
    let view = app.outcome(&id, None).await?;
    view.map(axum::Json).ok_or_else(|| Problem::not_found("there is no request of that name"))
}
