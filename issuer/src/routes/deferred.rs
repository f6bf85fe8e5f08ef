//! `POST /oid4vci/deferred` (OpenID4VCI 1.0 section 9), and the desk's decision.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use carekey_service::extract::Path;
use carekey_service::problem::Problem;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::App;
use crate::caller::Headers;
use crate::reply;

pub(crate) async fn ask(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let body = match reply::credential_body(&headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    reply::issuance(
        &app,
        app.issuer().answer_deferred(&Headers::read(&headers).caller(), body.message()).await,
    )
}

pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    decide(&app, &id, true).await
}

pub(crate) async fn deny(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    decide(&app, &id, false).await
}

async fn decide(app: &App, id: &str, approve: bool) -> Result<Response, Problem> {
    match app.issuer().decide(id, approve).await? {
        Some(approval) => Ok(reply::json(StatusCode::OK, &json!({"id": id, "approval": approval}))),
        None => Err(Problem::not_found("there is no such offer")),
    }
}
