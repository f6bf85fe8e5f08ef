//! `POST /oid4vci/credential` (OpenID4VCI 1.0 section 8).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use carekey_core::protocol::openid4vci::credential::ErrorCode;
use http::HeaderMap;

use crate::App;
use crate::caller::Headers;
use crate::reply;

pub(crate) async fn issue(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let json = "application/json";
    let body = match reply::body(&headers, body, json, ErrorCode::InvalidCredentialRequest).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    reply::issuance(&app, app.issuer().issue(&Headers::read(&headers).caller(), &body).await)
}
