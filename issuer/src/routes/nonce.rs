//! `POST /oid4vci/nonce` (OpenID4VCI 1.0 section 7).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use carekey_core::protocol::openid4vci::credential::NonceResponse;
use http::StatusCode;
use serde_json::json;

use crate::App;
use crate::reply;

pub(crate) async fn fresh(State(app): State<Arc<App>>) -> Response {
    reply::json(StatusCode::OK, &json!(NonceResponse { c_nonce: app.issuer().nonce() }))
}
