//! The gather step: issuer keys and status lists for a presentation, fetched only where a trust rule allows it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use carekey_core::clock::UnixTime;
use carekey_core::credential::CredentialFormat;
use carekey_core::credential::issuer_key::IssuerKeyReference;
use carekey_core::did::DidResolver;
use carekey_core::encoding::sha256;
use carekey_core::format::any::{StatusNamed, UnverifiedPresented};
use carekey_core::format::sd_jwt_vc::jwt_vc_issuer::{self, IssuerKeys, JwtVcIssuerMetadata};
use carekey_core::format::sd_jwt_vc::verify::Timing;
use carekey_core::format::w3c::UnverifiedW3cVc;
use carekey_core::holder::{HttpClient, HttpRequest};
use carekey_core::jose::jwk::JwkSet;
use carekey_core::limits::Limits;
use carekey_core::status::bitstring_status_list::{StatusEntry, StatusList};
use carekey_core::status::token_status_list::{MEDIA_TYPE, UnverifiedStatusListToken, VerifiedStatusList};
use carekey_core::trust::{IssuerTrust, TrustedIssuer};
use carekey_core::verifier::{SourceEvidence, StatusEvidence, UnverifiedPresentation};
use carekey_core::{Error, Result};
use serde_json::Value;
use url::Url;

/// Entries of each cache; when it is full it is emptied.
const ENTRIES: usize = 1024;
/// Seconds that issuer metadata is reused.
const KEY_SECONDS: i64 = 300;
/// How old they may be when a credential names a key that they lack: invented names cause no more requests than this.
const UNKNOWN_KEY_SECONDS: i64 = 30;
/// Seconds after which a status list that could not be had is asked for again.
const RETRY_SECONDS: i64 = 5;
/// Seconds that clocks may differ, for status lists.
const SKEW: i64 = 60;

pub(super) struct Gatherer {
    http: Arc<dyn HttpClient>,
    dids: Arc<dyn DidResolver>,
    certificates: Cache<[u8; 32], Arc<TrustedIssuer>>,
    key_sets: Cache<String, (UnixTime, Arc<JwkSet>)>,
    status: Cache<String, Arc<tokio::sync::Mutex<StatusSlot>>>,
}

/// What is known about one status list.
#[derive(Default)]
struct StatusSlot {
    list: Option<FetchedList>,
    bitstring: Option<(UnixTime, Arc<StatusList>)>,
    failed: Option<(UnixTime, Error)>,
}

/// A status list and when this copy was fetched.
struct FetchedList {
    list: Arc<VerifiedStatusList>,
    fetched_at: UnixTime,
}

impl FetchedList {
    fn evidence(&self) -> StatusEvidence {
        StatusEvidence::List { list: Arc::clone(&self.list), fetched_at: self.fetched_at }
    }
}

/// A bounded map.
struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K: std::hash::Hash + Eq, V: Clone> Cache<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn find(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn insert(&self, key: K, value: V) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES {
            entries.clear();
        }
        entries.insert(key, value);
    }
}

impl Gatherer {
    pub(super) fn new(http: Arc<dyn HttpClient>, dids: Arc<dyn DidResolver>) -> Self {
        Self { http, dids, certificates: Cache::new(), key_sets: Cache::new(), status: Cache::new() }
    }

    /// What the judge needs about the source of each presentation; what cannot be had becomes a fault in its place.
    pub(super) async fn gather(
        &self,
        presentation: &UnverifiedPresentation,
        trust: &IssuerTrust,
        now: UnixTime,
        status_max_age: u64,
    ) -> Vec<SourceEvidence> {
        let mut sources = Vec::new();
        for (_, credential) in presentation.iter() {
            let issuer = self.issuer(credential, trust, now).await;
            let status = match &issuer {
                Ok(issuer) => self.status(credential, issuer, trust, now, status_max_age).await,
                // Without a trusted issuer nothing is fetched.
                Err(error) => StatusEvidence::Unavailable(error.clone()),
            };
            sources.push(SourceEvidence { issuer, status });
        }
        sources
    }

    async fn issuer(
        &self,
        credential: &UnverifiedPresented,
        trust: &IssuerTrust,
        now: UnixTime,
    ) -> Result<Arc<TrustedIssuer>> {
        let reference = credential.issuer_key_reference()?;
        let mut found = Err(Error::malformed("credential_type", "the credential has no type of its own"));
        // Each of several types of a W3C credential needs a rule that trusts the issuer for it.
        for kind in credential.own_types() {
            found = Ok(self.key(kind, credential.iss(), &reference, trust, now).await?);
        }
        found
    }

    async fn key(
        &self,
        vct: &str,
        iss: Option<&str>,
        reference: &IssuerKeyReference,
        trust: &IssuerTrust,
        now: UnixTime,
    ) -> Result<Arc<TrustedIssuer>> {
        match reference {
            IssuerKeyReference::X5c { chain, iss } => {
                let name = cache_name(trust.generation(), vct, iss.as_deref(), chain);
                if let Some(known) = self.certificates.find(&name) {
                    return Ok(known);
                }
                let issuer = Arc::new(trust.by_certificate(vct, iss.as_deref(), chain, now)?);
                self.certificates.insert(name, Arc::clone(&issuer));
                Ok(issuer)
            }
            IssuerKeyReference::TrustChain { chain, iss, kid } => {
                trust.by_trust_chain(vct, iss, kid.as_deref(), chain, now).map(Arc::new)
            }
            IssuerKeyReference::Did(url) => {
                trust.check_did(vct, url.did())?;
                let document = self.dids.resolve(url.did()).await?;
                trust.by_did(vct, iss, url, &document).map(Arc::new)
            }
            IssuerKeyReference::WellKnown { iss, kid } => {
                trust.check_https_issuer(vct, iss)?;
                let keys = self.key_set(iss, KEY_SECONDS, now).await?;
                let found = trust.by_metadata(vct, iss, kid.as_deref(), &keys).map(Arc::new);
                match found {
                    // The issuer may have rotated its key since.
                    Err(error) if error.code() == "issuer_key_unknown" => {
                        let keys = self.key_set(iss, UNKNOWN_KEY_SECONDS, now).await?;
                        trust.by_metadata(vct, iss, kid.as_deref(), &keys).map(Arc::new)
                    }
                    found => found,
                }
            }
        }
    }

    /// The keys of an issuer, at most `max_age` seconds old.
    async fn key_set(&self, iss: &str, max_age: i64, now: UnixTime) -> Result<Arc<JwkSet>> {
        let recent = |(at, keys): (UnixTime, _)| (now.since(at) < max_age).then_some(keys);
        if let Some(keys) = self.key_sets.find(&iss.to_owned()).and_then(recent) {
            return Ok(keys);
        }
        let keys = Arc::new(self.fetch_key_set(iss).await?);
        self.key_sets.insert(iss.to_owned(), (now, Arc::clone(&keys)));
        Ok(keys)
    }

    async fn status(
        &self,
        credential: &UnverifiedPresented,
        issuer: &TrustedIssuer,
        trust: &IssuerTrust,
        now: UnixTime,
        max_age: u64,
    ) -> StatusEvidence {
        let uri = match credential.status() {
            Ok(StatusNamed::Nowhere) => return StatusEvidence::NotNamed,
            Ok(StatusNamed::Token(reference)) => reference.uri,
            Ok(StatusNamed::Bitstring(entries)) => {
                return match self.bitstrings(&entries, issuer, now, max_age).await {
                    Ok((lists, fetched_at)) => StatusEvidence::Bitstrings { lists, fetched_at },
                    Err(error) => StatusEvidence::Unavailable(error),
                };
            }
            Err(error) => return StatusEvidence::Unavailable(error),
        };
        let url = match issuer.status_list_url(&uri) {
            Ok(url) => url,
            Err(error) => return StatusEvidence::Unavailable(error),
        };
        let slot = self.slot(&uri);
        // Many presentations at once cause one request, and a host that does not answer is not asked by each of them.
        let mut slot = slot.lock().await;
        if let Some(known) = &slot.list
            && known.list.check_fresh(known.fetched_at, max_age, now).is_ok()
        {
            return known.evidence();
        }
        if let Some((at, error)) = &slot.failed
            && (0..RETRY_SECONDS).contains(&now.since(*at))
        {
            return StatusEvidence::Unavailable(error.clone());
        }
        match self.fetch_status(url, &uri, issuer, trust, now).await {
            Ok(list) => {
                let known = FetchedList { list: Arc::new(list), fetched_at: now };
                let evidence = known.evidence();
                *slot = StatusSlot { list: Some(known), ..StatusSlot::default() };
                evidence
            }
            Err(error) => {
                tracing::warn!(code = error.code(), "a status list could not be had");
                slot.failed = Some((now, error.clone()));
                StatusEvidence::Unavailable(error)
            }
        }
    }

    fn slot(&self, uri: &str) -> Arc<tokio::sync::Mutex<StatusSlot>> {
        self.status.find(&uri.to_owned()).unwrap_or_else(|| {
            let slot = Arc::default();
            self.status.insert(uri.to_owned(), Arc::clone(&slot));
            slot
        })
    }

    /// The lists of a W3C credential's entries, and when the oldest copy was fetched.
    async fn bitstrings(
        &self,
        entries: &[StatusEntry],
        issuer: &TrustedIssuer,
        now: UnixTime,
        max_age: u64,
    ) -> Result<(Vec<Arc<StatusList>>, UnixTime)> {
        let (mut lists, mut oldest) = (Vec::new(), now);
        for entry in entries {
            let (at, list) = self.bitstring(&entry.list, issuer, now, max_age).await?;
            oldest = oldest.min(at);
            lists.push(list);
        }
        Ok((lists, oldest))
    }

    async fn bitstring(
        &self,
        uri: &str,
        issuer: &TrustedIssuer,
        now: UnixTime,
        max_age: u64,
    ) -> Result<(UnixTime, Arc<StatusList>)> {
        let url = issuer.status_list_url(uri)?;
        let slot = self.slot(uri);
        let mut slot = slot.lock().await;
        let max_age = i64::try_from(max_age).unwrap_or(i64::MAX);
        if let Some((at, list)) = &slot.bitstring
            && now <= list.cache_until(*at, max_age).min(at.plus(max_age))
            && now >= *at
        {
            return Ok((*at, Arc::clone(list)));
        }
        if let Some((at, error)) = &slot.failed
            && (0..RETRY_SECONDS).contains(&now.since(*at))
        {
            return Err(error.clone());
        }
        match self.fetch_bitstring(url, issuer, now).await {
            Ok(list) => {
                let list = Arc::new(list);
                *slot = StatusSlot { bitstring: Some((now, Arc::clone(&list))), ..StatusSlot::default() };
                Ok((now, list))
            }
            Err(error) => {
                tracing::warn!(code = error.code(), "a bitstring status list could not be had");
                slot.failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    /// A bitstring status list in a credential of the same issuer, signed by the same key: as JSON with a Data Integrity
    /// proof, or as `vc+jwt`.
    async fn fetch_bitstring(&self, url: Url, issuer: &TrustedIssuer, now: UnixTime) -> Result<StatusList> {
        let bytes = self.fetch(url, "application/vc, application/vc+jwt, application/json").await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| unavailable("the status list is not text"))?;
        let format = match text.trim_start().starts_with('{') {
            true => CredentialFormat::LdpVc,
            false => CredentialFormat::JwtVcJson,
        };
        let read = UnverifiedW3cVc::parse(format, text.trim(), &Limits::DEFAULT)?;
        let verified = read.verify_issued(issuer.issuer_key(), Timing { now, skew: SKEW })?;
        let credential = Value::Object(verified.credential().document().clone());
        StatusList::from_verified_credential(&credential, &Limits::DEFAULT)
    }

    /// A status list, signed by a key of the same issuer.
    async fn fetch_status(
        &self,
        url: Url,
        uri: &str,
        issuer: &TrustedIssuer,
        trust: &IssuerTrust,
        now: UnixTime,
    ) -> Result<VerifiedStatusList> {
        let bytes = self.fetch(url, MEDIA_TYPE).await?;
        let token = std::str::from_utf8(&bytes).map_err(|_| unavailable("the status list is not text"))?;
        let token = UnverifiedStatusListToken::parse(token, &Limits::DEFAULT)?;
        let verify = |issuer: &TrustedIssuer| {
            token.verify(issuer.issuer_key().key(), uri, now, SKEW, &Limits::DEFAULT)
        };
        // Most issuers sign credentials and lists with one key; others name theirs, and trust is asked again.
        match verify(issuer) {
            Ok(list) => Ok(list),
            Err(error) if matches!(error.code(), "signature_invalid" | "alg_mismatch") => {
                let named = token.issuer().or(Some(issuer.iss()));
                let reference = IssuerKeyReference::of(token.header(), named)?;
                let other = self.key(issuer.vct(), named, &reference, trust, now).await?;
                match other.iss() == issuer.iss() {
                    true => verify(&other),
                    false => {
                        Err(Error::untrusted("status_list_issuer", "another issuer signed the status list"))
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch_key_set(&self, iss: &str) -> Result<JwkSet> {
        let bytes = self.fetch(jwt_vc_issuer::document_url(iss)?, "application/json").await?;
        match JwtVcIssuerMetadata::parse(&bytes, iss, &Limits::DEFAULT)?.keys() {
            IssuerKeys::Inline(keys) => Ok(keys.clone()),
            IssuerKeys::Uri(url) => {
                let bytes = self.fetch(url.clone(), "application/json").await?;
                jwt_vc_issuer::parse_jwk_set(&bytes, &Limits::DEFAULT)
            }
        }
    }

    async fn fetch(&self, url: Url, accept: &str) -> Result<Vec<u8>> {
        let response = self.http.send(HttpRequest::get(url, accept)).await?;
        match response.is_success() {
            true => Ok(response.body),
            false => Err(unavailable("the server did not answer with the document")),
        }
    }
}

fn unavailable(detail: &'static str) -> Error {
    Error::unavailable("fetch_failed", detail)
}

fn cache_name(generation: u64, vct: &str, iss: Option<&str>, chain: &[String]) -> [u8; 32] {
    // Lengths keep the parts apart.
    let parts = [vct, iss.unwrap_or_default()].into_iter().chain(chain.iter().map(String::as_str));
    let mut input = vec![u8::from(iss.is_some())];
    input.extend_from_slice(&generation.to_be_bytes());
    for part in parts {
        input.extend_from_slice(&part.len().to_be_bytes());
        input.extend_from_slice(part.as_bytes());
    }
    sha256(&input)
}
