//! `POST /oid4vci/credential` (OpenID4VCI 1.0 section 8).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use crate::App;
use crate::caller::Headers;
use crate::reply;

pub(crate) async fn issue(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let body = match reply::credential_body(&headers, body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    reply::issuance(&app, app.issuer().answer(&Headers::read(&headers).caller(), body.message()).await)
}
