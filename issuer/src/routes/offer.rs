//! `GET /oid4vci/offers/{id}`: the offer behind a link by reference (OpenID4VCI 1.0 section 4.1.3).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_service::extract::Path;
use carekey_service::problem::Problem;
use http::StatusCode;
use serde_json::json;

use crate::App;
use crate::reply;

pub(crate) async fn by_reference(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    match app.issuer().offer_by_reference(&id).await {
        Ok(Some(offer)) => reply::json(StatusCode::OK, &json!(offer)),
        Ok(None) => Problem::not_found("there is no open offer here").into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}
