//! The wallet's HTTP client with a hand in it: keeps the last answer that the wallet sent to a verifier, or holds it back,
//! so that the run can replay it and tamper with it as an attacker on the wallet's side would.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use carekey_core::error::Result;
use carekey_core::holder::{HttpClient, HttpRequest, HttpResponse, Method};

/// What to do with answers to verifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// Send them, and keep a copy.
    Send,
    /// Keep them and tell the wallet that they arrived.
    Hold,
}

/// See the module.
pub(crate) struct Recorder {
    inner: Arc<dyn HttpClient>,
    state: Mutex<(Answers, Option<HttpRequest>)>,
}

impl Recorder {
    pub(crate) fn new(inner: Arc<dyn HttpClient>) -> Self {
        Self { inner, state: Mutex::new((Answers::Send, None)) }
    }

    /// From now on.
    pub(super) fn set(&self, answers: Answers) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = answers;
    }

    /// The last answer to a verifier.
    pub(super) fn last(&self) -> Option<HttpRequest> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

#[async_trait]
impl HttpClient for Recorder {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        if request.method == Method::Post && request.url.path().starts_with("/oid4vp/responses/") {
            let hold = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.1 = Some(request.clone());
                state.0 == Answers::Hold
            };
            if hold {
                let content_type = Some("application/json".to_owned());
                return Ok(HttpResponse {
                    status: 200,
                    content_type,
                    headers: Vec::new(),
                    body: b"{}".to_vec(),
                });
            }
        }
        self.inner.send(request).await
    }
}
