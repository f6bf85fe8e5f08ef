//! The one HTTP client of the services, guarded against what a URL from somebody else can do to them (server-side
//! request forgery): https only, public addresses only, and every bound on redirects, size and time.
//!
//! A URL inside a credential or a request was written by a stranger. This client asks for it only if
//!
//! * it is `https` without user name or password (plain `http` to names under `localhost` and to loopback addresses only
//!   where [`FetchConfig::loopback`] says so, for the demo);
//! * its host is, or resolves to, a public address: not private, link-local, loopback, multicast, reserved or a cloud's
//!   metadata service. The connection goes to the very addresses that were checked, so a name that changes its address
//!   between check and use gains nothing;
//! * the same holds for every redirect, which only a `GET` follows, at most [`FetchConfig::redirects`] times.
//!
//! What it does not do: it follows no proxy settings of the environment, unpacks no compressed bodies, keeps no cookies.

mod address;
mod cache;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse, Method, RESPONSE_HEADERS};
use carekey_core::{Error, Result};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::{Certificate, Client, Response};
use serde::Deserialize;
use url::Url;

use crate::client::Network;
use address::{Forbidden, Guard, Resolver, UnknownHost};
use cache::Cache;

pub use address::{Lookup, SystemLookup};

/// The bounds of the guarded client.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct FetchConfig {
    /// Seconds for one fetch, from resolution to the last byte, redirects included.
    pub seconds: u64,
    /// Bytes of an answer.
    pub max_bytes: usize,
    /// Redirects that a `GET` follows.
    pub redirects: usize,
    /// Allows loopback addresses and names under `localhost`, by plain HTTP too. For the demo and for tests.
    pub loopback: bool,
    /// Networks that may be reached although they are not public: a hospital's own.
    pub networks: Vec<Network>,
    /// PEM files with certificates of authorities to trust besides those of the operating system.
    pub authorities: Vec<PathBuf>,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            seconds: 10,
            max_bytes: 2 * 1024 * 1024,
            redirects: 3,
            loopback: false,
            networks: Vec::new(),
            authorities: Vec::new(),
        }
    }
}

/// A fetched document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The body.
    pub bytes: Bytes,
    /// The media type without parameters, in lower case; empty when the answer had none.
    pub media_type: String,
    /// The URL that answered, after redirects.
    pub url: Url,
    /// How long ago it was asked for.
    pub age: Duration,
    /// How long the answer's `Cache-Control` allows it to be kept; `None` when it says nothing.
    pub max_age: Option<Duration>,
}

/// The guarded client.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    client: Client,
    guard: Arc<Guard>,
    config: FetchConfig,
    cache: Cache,
}

impl Fetcher {
    /// A client after `config`, with the resolver of the operating system. The error names the file of
    /// [`FetchConfig::authorities`] that cannot be used.
    pub fn new(config: FetchConfig) -> std::io::Result<Self> {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// The same with another resolver.
    pub fn with_lookup(config: FetchConfig, lookup: Arc<dyn Lookup>) -> std::io::Result<Self> {
        let authorities = read_authorities(&config.authorities)?;
        let guard = Arc::new(Guard { loopback: config.loopback, networks: config.networks.clone(), lookup });
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(Duration::from_secs(config.seconds.div_ceil(2)))
                .pool_idle_timeout(Duration::from_secs(30))
                .dns_resolver(Resolver(Arc::clone(&guard)))
                .user_agent(concat!("carekey/", env!("CARGO_PKG_VERSION")))
        };
        let client = builder().tls_certs_merge(authorities.clone()).build().or_else(|error| {
            // A bare container has no authorities at all; the demo needs none.
            tracing::warn!(%error, "the certificate authorities of this system are not usable");
            builder().tls_certs_only(authorities).build()
        });
        let client = client.map_err(std::io::Error::other)?;
        Ok(Self(Arc::new(Inner { client, guard, config, cache: Cache::default() })))
    }

    /// The document under `url`. `media_types` are those that the caller understands; with none, any is taken.
    ///
    /// # Errors
    /// [`Error::Refused`]: `fetch_url`, `fetch_address`, `fetch_redirects` (also a redirect to where it may not go).
    /// [`Error::Unavailable`]: `fetch_unknown_host`, `fetch_failed`, `fetch_timeout`, `fetch_status` (anything but 200).
    /// [`Error::Malformed`]: `fetch_too_large`, `fetch_media_type`.
    pub async fn get(&self, url: &Url, media_types: &[&str]) -> Result<Fetched> {
        let seconds = Duration::from_secs(self.0.config.seconds);
        match tokio::time::timeout(seconds, self.get_unbounded(url, media_types)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out()),
        }
    }

    /// [`Fetcher::get`], or the document from the cache if it is younger than `max_age` and than its own
    /// `Cache-Control` allows. A `max_age` of zero always asks. Failures are not cached.
    pub async fn cached_get(&self, url: &Url, media_types: &[&str], max_age: Duration) -> Result<Fetched> {
        let fetched = self.0.cache.fetch(url, max_age, || self.get(url, media_types)).await?;
        check_media_type(&fetched.media_type, media_types)?;
        Ok(fetched)
    }

    async fn get_unbounded(&self, url: &Url, media_types: &[&str]) -> Result<Fetched> {
        let mut headers = HeaderMap::new();
        if !media_types.is_empty() {
            let accept = HeaderValue::from_str(&media_types.join(", "));
            headers.insert(header::ACCEPT, accept.map_err(|_| bad_header())?);
        }
        let (url, response) = self.follow(url.clone(), headers).await?;
        if response.status() != http::StatusCode::OK {
            let status = response.status().as_u16();
            return Err(Error::unavailable("fetch_status", format!("the server answered {status}")));
        }
        let media_type = media_type(response.headers());
        check_media_type(&media_type, media_types)?;
        let max_age = cache_control(response.headers());
        let bytes = self.body(response).await?;
        Ok(Fetched { bytes, media_type, url, age: Duration::ZERO, max_age })
    }

    /// Sends a `GET` and follows its redirects; `Authorization` does not go to another origin.
    async fn follow(&self, mut url: Url, mut headers: HeaderMap) -> Result<(Url, Response)> {
        for _ in 0..=self.0.config.redirects {
            let response = self.once(http::Method::GET, &url, headers.clone(), Vec::new()).await?;
            let Some(target) = redirect(&url, &response)? else { return Ok((url, response)) };
            if target.origin() != url.origin() {
                headers.remove(header::AUTHORIZATION);
            }
            url = target;
        }
        Err(Error::refused("fetch_redirects", "too many redirects"))
    }

    async fn once(
        &self,
        method: http::Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response> {
        self.0.guard.check_url(url)?;
        let mut request = self.0.client.request(method.clone(), url.clone()).headers(headers);
        if method != http::Method::GET {
            request = request.body(body);
        }
        request.send().await.map_err(|error| fetch_error(&error))
    }

    async fn body(&self, mut response: Response) -> Result<Bytes> {
        let too_large = || Error::malformed("fetch_too_large", "the answer is larger than allowed");
        let limit = self.0.config.max_bytes;
        if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |n| n > limit))
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| fetch_error(&error))? {
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("config", &self.0.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Fetcher {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let seconds = Duration::from_secs(self.0.config.seconds);
        tokio::time::timeout(seconds, async {
            let mut headers = HeaderMap::new();
            for (name, value) in &request.headers {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_header())?;
                let value = HeaderValue::from_str(value).map_err(|_| bad_header())?;
                headers.append(name, value);
            }
            let response = match request.method {
                Method::Get => self.follow(request.url, headers).await?.1,
                Method::Post => self.once(http::Method::POST, &request.url, headers, request.body).await?,
            };
            let status = response.status().as_u16();
            let content_type = response.headers().get(header::CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
            let headers = protocol_headers(response.headers());
            let body = self.body(response).await?.to_vec();
            Ok(HttpResponse { status, content_type, headers, body })
        })
        .await
        .unwrap_or_else(|_| Err(timed_out()))
    }
}

fn protocol_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let of = |name: &'static str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(move |value| (name.to_owned(), value.to_owned()))
    };
    RESPONSE_HEADERS.into_iter().flat_map(of).collect()
}

fn read_authorities(paths: &[PathBuf]) -> std::io::Result<Vec<Certificate>> {
    let mut all = Vec::new();
    for path in paths {
        let fail = |reason: String| std::io::Error::other(format!("{}: {reason}", path.display()));
        let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| fail(error.to_string()))?;
        if certificates.is_empty() {
            return Err(fail("no certificate in PEM".into()));
        }
        all.extend(certificates);
    }
    Ok(all)
}

/// Where a redirect leads; `None` for any other answer.
fn redirect(from: &Url, response: &Response) -> Result<Option<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    match location.map(|location| from.join(location)) {
        Some(Ok(target)) => Ok(Some(target)),
        _ => Err(Error::refused("fetch_redirects", "a redirect leads nowhere")),
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn check_media_type(media_type: &str, allowed: &[&str]) -> Result<()> {
    if allowed.is_empty() || allowed.contains(&media_type) {
        Ok(())
    } else {
        Err(Error::malformed("fetch_media_type", "the answer has another content type than asked for"))
    }
}

/// RFC 9111 section 5.2.2, as far as a private cache that never revalidates needs it.
fn cache_control(headers: &HeaderMap) -> Option<Duration> {
    let mut max_age = None;
    for value in headers.get_all(header::CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or("no-store").split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            let (name, argument) = directive.split_once('=').unwrap_or((&directive, ""));
            let life = match name {
                "no-store" | "no-cache" => Duration::ZERO,
                "max-age" => Duration::from_secs(argument.trim_matches('"').parse().unwrap_or(0)),
                _ => continue,
            };
            max_age = Some(max_age.map_or(life, |other: Duration| other.min(life)));
        }
    }
    max_age
}

fn bad_header() -> Error {
    Error::misuse("fetch_header", "a header of the request has characters that HTTP does not allow")
}

fn timed_out() -> Error {
    Error::unavailable("fetch_timeout", "the server did not answer in time")
}

/// What reqwest says may hold the URL with its query; only its kind is passed on.
fn fetch_error(error: &reqwest::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        let own = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if own.is_some_and(|own| own.is::<Forbidden>()) {
            return Error::refused("fetch_address", "the name has no public address");
        }
        if own.is_some_and(|own| own.is::<UnknownHost>()) {
            return Error::unavailable("fetch_unknown_host", "no address is known of the host");
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        timed_out()
    } else if error.is_connect() {
        Error::unavailable("fetch_failed", "no connection to the server, or its certificate is not trusted")
    } else {
        Error::unavailable("fetch_failed", "the answer ended early or was not HTTP")
    }
}
