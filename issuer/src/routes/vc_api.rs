//! The W3C VC-API: `/credentials/issue`, `/issuers/{suite}-{key}/credentials/issue`, `/credentials/status`, and the
//! status lists.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_service::extract::{Json, Path};
use carekey_service::problem::Problem;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::vc_api::{IssueRequest, StatusChange, VcApi};

/// 201 with the secured credential; 400 for what cannot be signed.
pub(crate) async fn issue(
    State(api): State<Arc<VcApi>>,
    Json(request): Json<IssueRequest>,
) -> Result<Response, Problem> {
    Ok(created(&api.issue(request).await?))
}

/// The same by one suite and key; 404 when there is none of that name.
pub(crate) async fn issue_as(
    State(api): State<Arc<VcApi>>,
    Path(name): Path<String>,
    Json(request): Json<IssueRequest>,
) -> Result<Response, Problem> {
    Ok(created(&api.issue_as(&name, request).await?))
}

/// 200 when the status was set; 404 for an entry that was never given out, 409 for taking back a revocation.
pub(crate) async fn change_status(
    State(api): State<Arc<VcApi>>,
    Json(change): Json<StatusChange>,
) -> Result<Response, Problem> {
    api.change_status(&change).await?;
    Ok(axum::Json(json!({})).into_response())
}

/// A status list credential, as `application/vc`, `application/ld+json` or `application/json`.
pub(crate) async fn status_list(
    State(api): State<Arc<VcApi>>,
    Path((key, purpose, list)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let credential = api.list(&key, &purpose, list).await?;
    let credential = credential.ok_or_else(|| Problem::not_found("there is no such status list"))?;
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accept: Vec<&str> = accept.flat_map(|value| value.split(',')).map(essence).collect();
    let media_type = ["application/vc", "application/ld+json", "application/json"]
        .into_iter()
        .find(|known| accept.contains(known))
        .unwrap_or("application/json");
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, credential.to_string()).into_response())
}

fn essence(item: &str) -> &str {
    item.split(';').next().unwrap_or_default().trim()
}

fn created(credential: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::CREATED, headers, json!({"verifiableCredential": credential}).to_string()).into_response()
}
