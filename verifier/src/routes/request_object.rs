//! `GET` and `POST /oid4vp/requests/{id}` (OpenID4VP 1.0 sections 5 and 5.10)

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_core::Error;
use carekey_core::protocol::openid4vp::request::REQUEST_OBJECT_TYP;
use carekey_service::extract::{Form, Path};
use carekey_service::problem::Problem;
use http::{StatusCode, header};
use serde::Deserialize;

use crate::app::App;

/// The form of a POST; unknown parameters are ignored.
#[derive(Debug, Deserialize)]
pub struct WalletParameters {
    wallet_nonce: Option<String>,
    wallet_metadata: Option<String>,
}

/// The signed request object.
///
/// # Errors
/// 404 `request_unknown`, 410 `request_expired` and `response_replayed`.
pub async fn by_get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    answer(app.request_object(&id, None, None).await)
}

/// The signed request object with the wallet's nonce in it.
///
/// # Errors
/// As [`by_get`], and 400 for a form that makes no sense.
pub async fn by_post(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Form(wallet): Form<WalletParameters>,
) -> Result<Response, Problem> {
    let (nonce, metadata) = (wallet.wallet_nonce.as_deref(), wallet.wallet_metadata.as_deref());
    answer(app.request_object(&id, nonce, metadata).await)
}

fn answer(object: Result<String, Error>) -> Result<Response, Problem> {
    let media_type = format!("application/{REQUEST_OBJECT_TYP}");
    match object {
        Ok(object) => Ok(([(header::CONTENT_TYPE, media_type)], object).into_response()),
        Err(error) => {
            let status = match error.code() {
                "request_unknown" => Some(StatusCode::NOT_FOUND),
                "request_expired" | "response_replayed" => Some(StatusCode::GONE),
                _ => None,
            };
            let problem = Problem::from(error);
            Err(status.map_or(problem.clone(), |status| problem.with_status(status)))
        }
    }
}
