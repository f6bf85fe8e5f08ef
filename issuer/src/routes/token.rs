//! `POST /oid4vci/token` (OpenID4VCI 1.0 section 6).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use carekey_core::protocol::openid4vci::credential::ErrorCode;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::App;
use crate::caller::Headers;
use crate::reply;

pub(crate) async fn exchange(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let form = "application/x-www-form-urlencoded";
    let body = match reply::body(&headers, body, form, ErrorCode::InvalidRequest).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    match app.issuer().exchange(&Headers::read(&headers).caller(), &body).await {
        Ok(token) => {
            app.metrics().count("token", "issued");
            reply::json(StatusCode::OK, &json!(token))
        }
        Err(refusal) => {
            app.metrics().count("token", refusal.code.as_str());
            reply::refuse(&refusal)
        }
    }
}
