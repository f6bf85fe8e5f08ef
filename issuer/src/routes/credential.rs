//! `POST /oid4vci/credential` (OpenID4VCI 1.0 section 8).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use carekey_core::protocol::openid4vci::credential::ErrorCode;
use carekey_service::auth;
use http::{HeaderMap, StatusCode};

use crate::App;
use crate::reply;

pub(crate) async fn issue(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let json = "application/json";
    let body = match reply::body(&headers, body, json, ErrorCode::InvalidCredentialRequest).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    match app.issuer().issue(auth::presented(&headers), &body).await {
        Ok(response) => {
            app.metrics().count("credential", "issued");
            reply::json(StatusCode::OK, &response.to_value())
        }
        Err(refusal) => {
            app.metrics().count("credential", refusal.code.as_str());
            reply::refuse(&refusal)
        }
    }
}
