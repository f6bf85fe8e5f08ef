//! `POST /oid4vci/nonce` (OpenID4VCI 1.0 section 7) and `POST /oid4vci/challenge` (attestation-based client authentication,
//! draft 07 section 8).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_core::protocol::openid4vci::credential::NonceResponse;
use carekey_service::problem::Problem;
use http::StatusCode;
use serde_json::json;

use crate::App;
use crate::reply;

pub(crate) async fn fresh(State(app): State<Arc<App>>) -> Response {
    reply::json(StatusCode::OK, &json!(NonceResponse { c_nonce: app.issuer().nonce() }))
}

/// 404 where no wallet attestations are looked at.
pub(crate) async fn challenge(State(app): State<Arc<App>>) -> Response {
    match app.issuer().attestation_challenge() {
        Some(challenge) => reply::json(StatusCode::OK, &json!({"attestation_challenge": challenge})),
        None => Problem::not_found("there are no challenges here").into_response(),
    }
}
