//! `/api/credentials`: what was issued, and its status.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use carekey_core::issuer::StatusChange;
use carekey_service::extract::{Path, Query};
use carekey_service::problem::Problem;
use http::StatusCode;
use serde_json::json;

use super::api_offers::Page;
use crate::{App, reply};

fn unknown() -> Problem {
    Problem::not_found("there is no such credential")
}

pub(crate) async fn list(State(app): State<Arc<App>>, Query(page): Query<Page>) -> Result<Response, Problem> {
    let all = app.issuer().credentials(page.after.as_deref(), page.size()).await?;
    let next = (all.len() == page.size()).then(|| all.last().map(|last| last.id.clone())).flatten();
    Ok(reply::json(StatusCode::OK, &json!({"credentials": all, "next": next})))
}

pub(crate) async fn read(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let summary = app.issuer().credential(&id).await?.ok_or_else(unknown)?;
    Ok(reply::json(StatusCode::OK, &json!(summary)))
}

pub(crate) async fn enrolment(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let audit = app.issuer().audit_record(&id).await?;
    let audit =
        audit.ok_or_else(|| Problem::not_found("there is no enrolment record for this credential"))?;
    Ok(reply::json(StatusCode::OK, &json!(audit)))
}

async fn change(app: &App, id: &str, change: StatusChange) -> Result<Response, Problem> {
    let summary = app.change_status(id, change).await?.ok_or_else(unknown)?;
    Ok(reply::json(StatusCode::OK, &json!(summary)))
}

pub(crate) async fn revoke(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    change(&app, &id, StatusChange::Revoke).await
}

pub(crate) async fn suspend(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    change(&app, &id, StatusChange::Suspend).await
}

pub(crate) async fn reinstate(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    change(&app, &id, StatusChange::Reinstate).await
}
