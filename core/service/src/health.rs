//! The operational routes: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use carekey_core::Clock;
use carekey_core::store::{Expect, Store, Table, put_json};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::client::ClientAddress;
use crate::metrics::Metrics;
use crate::problem::Problem;

const READINESS: Table = Table::new("readiness");
/// How long an answer of the store counts: nobody can make it sync more often by asking.
const CHECK_EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);

struct Ready {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    checked: Mutex<Option<(Instant, bool)>>,
}

/// `/healthz` (the process answers), `/readyz` (a durable write to the store succeeds), and `/metrics` (for clients on
/// the same machine that no proxy passed on).
pub fn routes(store: Arc<dyn Store>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Router {
    let ready = Arc::new(Ready { store, clock, metrics, checked: Mutex::new(None) });
    Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .with_state(ready)
}

async fn readyz(State(ready): State<Arc<Ready>>) -> Response {
    let mut checked = ready.checked.lock().await;
    let fresh = checked.as_ref().filter(|(at, _)| at.elapsed() < CHECK_EVERY);
    let works = match fresh {
        Some((_, works)) => *works,
        None => {
            let works = store_works(&ready).await;
            *checked = Some((Instant::now(), works));
            works
        }
    };
    if works {
        Json(json!({ "status": "ready" })).into_response()
    } else {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the store does not answer")
            .into_response()
    }
}

async fn store_works(ready: &Ready) -> bool {
    let now = ready.clock.now();
    let write = put_json(&*ready.store, READINESS, "probe", Expect::Any, &now, Some(now.plus(3600)));
    matches!(tokio::time::timeout(PATIENCE, write).await, Ok(Ok(())))
}

async fn metrics_page(State(ready): State<Arc<Ready>>, request: Request) -> Response {
    match request.extensions().get::<ClientAddress>() {
        Some(client) if client.is_local() => ready.metrics.response(),
        _ => Problem::of_status(StatusCode::FORBIDDEN).into_response(),
    }
}
