//! `GET /api/requests/{id}/events`

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use carekey_service::extract::Path;
use carekey_service::problem::Problem;
use futures_util::{Stream, StreamExt};

use crate::app::{App, StateEvent};

/// Server-sent events named `state`: the current state, then every change, until the request is at its end.
///
/// # Errors
/// 404 where there is no such request.
pub async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let events = app.events(&id, None).await?;
    events.map(sse).ok_or_else(|| Problem::not_found("there is no request of that name"))
}

/// Events as they go to a browser; the portal's page uses this too.
pub fn sse(
    events: impl Stream<Item = StateEvent> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let encode = |event: StateEvent| {
        let data = serde_json::to_string(&event).unwrap_or_default();
        Ok(Event::default().event("state").data(data))
    };
    Sse::new(events.map(encode)).keep_alive(KeepAlive::default())
}
