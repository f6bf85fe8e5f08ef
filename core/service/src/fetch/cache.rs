//! Fetched documents in memory, no longer than anybody involved allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carekey_core::{Error, Result};
use tokio::time::Instant;
use url::Url;

use super::Fetched;

/// Documents remembered; the oldest goes first.
const ENTRIES: usize = 256;

#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<Url, Arc<Slot>>>);

/// One URL; its lock is held while it is fetched, so that many askers cause one request.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<State>);

#[derive(Default)]
struct State {
    document: Option<Document>,
    failed: Option<(Instant, Error)>,
}

struct Document {
    fetched: Fetched,
    at: Instant,
    /// What the answer itself allows.
    life: Duration,
}

impl Cache {
    /// The document under `url`, at most `max_age` old; fetched anew where there is none.
    pub(super) async fn fetch<F: Future<Output = Result<Fetched>>>(
        &self,
        url: &Url,
        max_age: Duration,
        fetch: impl FnOnce() -> F,
    ) -> Result<Fetched> {
        let began = Instant::now();
        let slot = self.slot(url);
        let mut state = slot.0.lock().await;
        if let Some(document) = &state.document {
            let age = document.at.elapsed();
            // An age of zero never satisfies a maximum of zero: that means "ask".
            if age < max_age && age < document.life {
                return Ok(Fetched { age, ..document.fetched.clone() });
            }
        }
        // Whoever waited while the same request failed shares its failure instead of repeating it in turn.
        if let Some((_, error)) = state.failed.as_ref().filter(|(at, _)| *at >= began) {
            return Err(error.clone());
        }
        let at = Instant::now();
        match fetch().await {
            Ok(fetched) => {
                state.failed = None;
                let life = fetched.max_age.unwrap_or(Duration::MAX);
                state.document = (!life.is_zero()).then(|| Document { fetched: fetched.clone(), at, life });
                Ok(fetched)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn slot(&self, url: &Url) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= ENTRIES && !slots.contains_key(url) {
            // One that nobody uses right now; the oldest document, or one without a document.
            let oldest = slots
                .iter()
                .filter_map(|(url, slot)| {
                    let state = slot.0.try_lock().ok()?;
                    Some((state.document.as_ref().map(|document| document.at), url.clone()))
                })
                .min();
            if let Some((_, url)) = oldest {
                slots.remove(&url);
            }
        }
        Arc::clone(slots.entry(url.clone()).or_default())
    }
}
