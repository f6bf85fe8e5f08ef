//! Resolving DIDs of every method that CareKey carries: `did:key` and `did:jwk` out of themselves, `did:web` and
//! `did:webvh` from their hosts through the guarded client, and remembered for a stated time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use carekey_core::clock::{Clock, UnixTime};
use carekey_core::did::document::DidDocument;
use carekey_core::did::resolver::{DidResolver, ResolutionOptions, ResolvedDid, resolve_offline};
use carekey_core::did::webvh::{self, VersionSelector, WebvhDid};
use carekey_core::did::{Did, web};
use carekey_core::encoding::json;
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse};
use carekey_core::limits::Limits;
use carekey_core::{Error, Result};
use serde_json::Map;
use url::Url;

/// Seconds that a document is reused, or less where a `did:webvh` says so itself (`ttl`): a key that its owner takes out
/// of the document is refused at most this much later.
pub const DOCUMENT_SECONDS: i64 = 60;
/// Seconds that a failure is remembered.
pub const FAILURE_SECONDS: i64 = 5;
/// Documents remembered; when there are more, all are forgotten.
const ENTRIES: usize = 1024;

/// Media types of a DID document (DID core section 6).
const DOCUMENTS: &str = "application/did+json, application/did+ld+json, application/json";
/// Media types of a log.
const LOGS: &str = "text/jsonl, application/jsonl, */*;q=0.1";

/// The resolver.
pub struct Dids {
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    /// Names under `localhost`, by plain HTTP too.
    loopback: bool,
    known: Mutex<HashMap<Did, Arc<Slot>>>,
}

/// One DID; its lock is held while it is fetched, so that many askers cause one request.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Option<Known>>);

struct Known {
    outcome: Result<Arc<Fetched>>,
    until: UnixTime,
}

/// What was fetched.
struct Fetched {
    resolved: ResolvedDid,
    /// For verifying with.
    document: Result<DidDocument>,
    /// How long it may be reused.
    seconds: i64,
}

impl Dids {
    /// A resolver that fetches with `http`; `loopback` lets DIDs name this computer, for the demo and for tests.
    pub fn new(http: Arc<dyn HttpClient>, clock: Arc<dyn Clock>, loopback: bool) -> Self {
        Self { http, clock, loopback, known: Mutex::default() }
    }

    fn slot(&self, did: &Did) -> Arc<Slot> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ENTRIES && !known.contains_key(did) {
            known.clear();
        }
        Arc::clone(known.entry(did.clone()).or_default())
    }

    /// What is known of `did`, fetched where it is unknown or too old.
    async fn known(&self, did: &Did, fresh: bool) -> Result<Arc<Fetched>> {
        let slot = self.slot(did);
        let mut known = slot.0.lock().await;
        let now = self.clock.now();
        if let Some(known) = known.as_ref().filter(|known| now < known.until && !fresh) {
            return known.outcome.clone();
        }
        let outcome = self.fetch(did, &VersionSelector::Latest).await.map(Arc::new);
        let seconds = outcome.as_ref().map_or(FAILURE_SECONDS, |fetched| fetched.seconds);
        *known = Some(Known { outcome: outcome.clone(), until: now.plus(seconds) });
        outcome
    }

    async fn fetch(&self, did: &Did, version: &VersionSelector) -> Result<Fetched> {
        match did.method() {
            "web" => self.fetch_web(did, version).await,
            "webvh" => self.fetch_webvh(did, version).await,
            _ => Err(Error::unsupported("did_method", "this DID method is not supported here")),
        }
    }

    async fn fetch_web(&self, did: &Did, version: &VersionSelector) -> Result<Fetched> {
        if *version != VersionSelector::Latest {
            return Err(no_versions());
        }
        let url = match web::document_url(did) {
            Err(_) if self.loopback => web::loopback_document_url(did)?,
            outcome => outcome?,
        };
        let answer = self.get(url, DOCUMENTS).await?.ok_or_else(not_found)?;
        let invalid =
            |_| Error::malformed("did_document", "the document at the DID's address is not its document");
        let document = web::document(did, &answer.body, &Limits::DEFAULT).map_err(invalid)?;
        let value = json::parse(&answer.body, &Limits::DEFAULT).map_err(invalid)?;
        let resolved = ResolvedDid { document: Some(value), metadata: Map::new() };
        Ok(Fetched { resolved, document: Ok(document), seconds: DOCUMENT_SECONDS })
    }

    async fn fetch_webvh(&self, did: &Did, version: &VersionSelector) -> Result<Fetched> {
        let webvh_did = WebvhDid::from_did(did)?;
        let (log_url, witness_url) = match (webvh_did.log_url(), webvh_did.witness_url()) {
            (Err(_), _) if self.loopback => {
                (webvh_did.loopback_log_url()?, webvh_did.loopback_witness_url()?)
            }
            (log, witness) => (log?, witness?),
        };
        let limits = Limits::DEFAULT;
        let log = self.get(log_url, LOGS).await?.ok_or_else(not_found)?.body;
        let witnesses = match webvh::uses_witnesses(&log, &limits) {
            true => self.get(witness_url, DOCUMENTS).await?.map(|answer| answer.body),
            false => None,
        };
        let now = self.clock.now();
        let resolution = webvh::resolve(&webvh_did, version, &log, witnesses.as_deref(), now, &limits)?;
        let metadata = resolution.metadata().as_object().cloned().unwrap_or_default();
        Ok(Fetched {
            resolved: ResolvedDid { document: resolution.document().cloned(), metadata },
            document: resolution.did_document(),
            seconds: i64::from(resolution.ttl_secs()).min(DOCUMENT_SECONDS),
        })
    }

    /// `None` when there is nothing under `url`, or no such host.
    async fn get(&self, url: Url, accept: &str) -> Result<Option<HttpResponse>> {
        let mut secure = url.clone();
        let local = url.scheme() == "http" && secure.set_scheme("https").is_ok();
        let answer = match self.http.send(HttpRequest::get(url, accept)).await {
            // A DID of this computer does not say whether its server speaks TLS.
            Err(error) if local && error.code() == "fetch_failed" => {
                self.http.send(HttpRequest::get(secure, accept)).await
            }
            outcome => outcome,
        };
        match answer {
            Ok(answer) if answer.status == 200 => Ok(Some(answer)),
            Ok(answer) if matches!(answer.status, 404 | 410) => Ok(None),
            Ok(_) => Err(Error::unavailable("fetch_status", "the DID document could not be fetched")),
            Err(error) if error.code() == "fetch_unknown_host" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl DidResolver for Dids {
    async fn resolve(&self, did: &Did) -> Result<DidDocument> {
        match did.method() {
            "web" | "webvh" => self.known(did, false).await?.document.clone(),
            _ => resolve_offline(did),
        }
    }

    async fn read(&self, did: &Did, options: &ResolutionOptions) -> Result<ResolvedDid> {
        match (did.method(), &options.version) {
            ("web" | "webvh", VersionSelector::Latest) => {
                Ok(self.known(did, options.fresh).await?.resolved.clone())
            }
            // A version that is asked for by name is fetched each time.
            ("web" | "webvh", version) => Ok(self.fetch(did, version).await?.resolved),
            _ => ResolvedDid::offline(did, &options.version),
        }
    }
}

impl std::fmt::Debug for Dids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dids").field("loopback", &self.loopback).finish_non_exhaustive()
    }
}

fn not_found() -> Error {
    Error::unavailable("did_not_found", "there is no such DID document")
}

fn no_versions() -> Error {
    Error::unsupported("did_version", "this DID method has no versions")
}
