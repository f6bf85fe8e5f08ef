//! `GET /status/{list}`: the Token Status List, signed (draft-ietf-oauth-status-list section 8.1), and
//! `GET /status/{list}/{purpose}`: the same list as a Bitstring Status List credential.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use carekey_core::status::token_status_list::MEDIA_TYPE;
use carekey_service::extract::Path;
use carekey_service::problem::Problem;
use http::header;

use crate::App;

pub(crate) async fn list(State(app): State<Arc<App>>, Path(list): Path<u64>) -> Response {
    match app.issuer().status_list_token(list).await {
        Ok(Some(token)) => {
            let cache = format!("public, max-age={}", app.issuer().settings().status_ttl);
            let headers = [(header::CONTENT_TYPE, MEDIA_TYPE.to_owned()), (header::CACHE_CONTROL, cache)];
            (headers, token.to_string()).into_response()
        }
        Ok(None) => Problem::not_found("there is no such status list").into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

pub(crate) async fn bitstring(
    State(app): State<Arc<App>>,
    Path((list, purpose)): Path<(u64, String)>,
) -> Response {
    match app.issuer().bitstring_status_list(list, &purpose).await {
        Ok(Some(credential)) => {
            let cache = format!("public, max-age={}", app.issuer().settings().status_ttl);
            let headers =
                [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CACHE_CONTROL, cache)];
            (headers, credential.to_string()).into_response()
        }
        Ok(None) => Problem::not_found("there is no such status list").into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}
