//! The layers around every route.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use carekey_core::random::{Random, SystemRandom};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tokio::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tracing::Instrument;

use super::ServerConfig;
use crate::client::{self, Network};
use crate::metrics::Metrics;
use crate::problem::{ErrorCode, PROBLEM_JSON, Problem};

/// The id of a request: in its extensions, in the log, and in the header `x-request-id` of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

struct Observer {
    metrics: Arc<Metrics>,
    trusted: Vec<Network>,
    https: bool,
}

/// Puts the common layers around all of `router`, from the outside in: request id, log line and metrics; security
/// headers; every error a problem; a panic is 500; the limits on time and on the size of the body.
pub fn harden(router: Router, config: &ServerConfig, metrics: &Arc<Metrics>) -> Router {
    let observer = Arc::new(Observer {
        metrics: Arc::clone(metrics),
        trusted: config.trusted_proxies.clone(),
        https: config.tls.is_some() || config.public_url.as_ref().is_some_and(|url| url.scheme() == "https"),
    });
    let time = Duration::from_secs(config.request_seconds);
    router
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(config.body_bytes))
        .layer(from_fn_with_state(time, bound_time))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn(errors_are_problems))
        .layer(from_fn_with_state(observer, observe))
}

async fn observe(State(observer): State<Arc<Observer>>, mut request: Request, next: Next) -> Response {
    let (began, in_flight) = (Instant::now(), observer.metrics.begin());
    let random: &dyn Random = &SystemRandom;
    let id = random.token(12);
    let client = client::address(request.extensions(), request.headers(), &observer.trusted);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id, route);

    let mut response = next.run(request).instrument(span.clone()).await;

    let (status, took) = (response.status(), began.elapsed());
    observer.metrics.observe(&method, &route, status, took);
    drop(in_flight);
    let code = response.extensions().get::<ErrorCode>().map(|code| code.0);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        tracing::info!(method = %method, status = status.as_u16(), code, millis, "answered");
    });
    set_headers(&mut response, observer.https);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

/// What a response gets unless its handler said otherwise. Pages bring their own `Content-Security-Policy`.
const HEADERS: [(HeaderName, HeaderValue); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-create=(self), \
             publickey-credentials-get=(self)",
        ),
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

fn set_headers(response: &mut Response, https: bool) {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if https {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    }
}

/// Replaces error answers that no handler of ours wrote (axum's and tower's are plain text) by a problem of the same
/// status and headers.
async fn errors_are_problems(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let kind =
        response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !kind.is_empty() && !kind.starts_with("text/plain") {
        return response;
    }
    let (parts, _) = response.into_parts();
    let mut problem = Problem::of_status(status).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            problem.headers_mut().append(name, value.clone());
        }
    }
    debug_assert_eq!(
        problem.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
        Some(PROBLEM_JSON.as_bytes())
    );
    problem
}

async fn bound_time(State(time): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        // The rest of the request may still be on its way: this connection is of no more use.
        Err(_) => Problem::of_status(StatusCode::REQUEST_TIMEOUT)
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
            .into_response(),
    }
}

/// The payload of the panic is dropped: it might quote data. The place is in the log by the panic hook.
fn after_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}
