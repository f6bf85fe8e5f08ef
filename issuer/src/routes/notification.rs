//! `POST /oid4vci/notification` (OpenID4VCI 1.0 section 11).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_core::protocol::openid4vci::credential::ErrorCode;
use http::{HeaderMap, StatusCode};

use crate::App;
use crate::caller::Headers;
use crate::reply;

pub(crate) async fn take(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let json = "application/json";
    let body = match reply::body(&headers, body, json, ErrorCode::InvalidNotificationRequest).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    match app.issuer().notify(&Headers::read(&headers).caller(), &body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => reply::refuse_resource(&refusal),
    }
}
