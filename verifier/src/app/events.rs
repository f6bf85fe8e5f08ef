//! Telling pages what happens to a request, as it happens.

use std::sync::Arc;
use std::time::Duration;

use carekey_core::Result;
use carekey_core::clock::UnixTime;
use carekey_core::verifier::RefusalCode;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::App;
use super::record::RequestState;

/// Events that a slow reader may be behind; after that it is told the current state.
const BACKLOG: usize = 256;

/// Something happened to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateEvent {
    /// The request.
    pub id: String,
    /// Where it stands.
    pub state: RequestState,
    /// The code of an answer that was refused without closing the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<RefusalCode>,
}

pub(super) struct Hub(broadcast::Sender<StateEvent>);

impl Default for Hub {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Hub {
    pub(super) fn publish(&self, id: &str, state: RequestState) {
        // Nobody listening is no error.
        let _ = self.0.send(StateEvent { id: id.to_owned(), state, attempt: None });
    }

    pub(super) fn attempt(&self, id: &str, code: RefusalCode) {
        let event = StateEvent { id: id.to_owned(), state: RequestState::Opened, attempt: Some(code) };
        let _ = self.0.send(event);
    }
}

struct Reader {
    app: Arc<App>,
    id: String,
    session: Option<String>,
    events: broadcast::Receiver<StateEvent>,
    expires_at: UnixTime,
    phase: Phase,
}

#[derive(PartialEq)]
enum Phase {
    /// Tell the current state first.
    Current,
    Following,
    Ended,
}

impl App {
    /// The current state of a request and every change after it, until it is final; `None` where there is no such
    /// request (in that browser session).
    ///
    /// # Errors
    /// Of the store.
    pub async fn events(
        self: &Arc<Self>,
        id: &str,
        session: Option<&str>,
    ) -> Result<Option<impl Stream<Item = StateEvent> + Send + use<>>> {
        let events = self.events.0.subscribe();
        let record = self.record(id).await?.filter(|record| record.value.in_session(session));
        let Some(expires_at) = record.map(|record| record.value.request.expires_at) else { return Ok(None) };
        let reader = Reader {
            app: Arc::clone(self),
            id: id.to_owned(),
            session: session.map(str::to_owned),
            events,
            expires_at,
            phase: Phase::Current,
        };
        Ok(Some(stream::unfold(reader, |mut reader| async {
            let event = reader.next().await?;
            Some((event, reader))
        })))
    }
}

impl Reader {
    async fn next(&mut self) -> Option<StateEvent> {
        loop {
            match self.phase {
                Phase::Ended => return None,
                Phase::Current => {
                    self.phase = Phase::Following;
                    return self.current().await;
                }
                Phase::Following => {}
            }
            // Then it ends by itself; a clock that jumps costs one more look.
            let left = u64::try_from(self.expires_at.since(self.app.now())).unwrap_or(0).clamp(1, 3600);
            tokio::select! {
                received = self.events.recv() => match received {
                    Ok(event) if event.id == self.id => {
                        if event.state.is_final() {
                            self.phase = Phase::Ended;
                        }
                        return Some(event);
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.phase = Phase::Current,
                    Err(RecvError::Closed) => return None,
                },
                () = tokio::time::sleep(Duration::from_secs(left)) => self.phase = Phase::Current,
            }
        }
    }

    async fn current(&mut self) -> Option<StateEvent> {
        let view = self.app.outcome(&self.id, self.session.as_deref()).await.ok()??;
        if view.state.is_final() {
            self.phase = Phase::Ended;
        }
        Some(StateEvent { id: view.id, state: view.state, attempt: None })
    }
}
