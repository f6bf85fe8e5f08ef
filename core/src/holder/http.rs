//! The only way the holder engine reaches the network: one request out, one bounded response back.
//!
//! The production implementation is the guarded client of `carekey-service` (scheme, address, redirect, size and time
//! limits live there); tests and embedders bring their own.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use url::Url;

use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// HTTP methods that the wallet protocols use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

/// One request. `Debug` shows method and host only: paths, headers and bodies carry codes, tokens and claims.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Absolute `http` or `https` URL.
    pub url: Url,
    /// Header names (lower case) and values, in order.
    pub headers: Vec<(String, String)>,
    /// Body; empty for `GET`.
    pub body: Vec<u8>,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({:?} {})", self.method, self.url.host_str().unwrap_or("-"))
    }
}

impl HttpRequest {
    /// A `GET` that asks for the media type `accept`.
    pub fn get(url: Url, accept: &str) -> Self {
        Self { method: Method::Get, url, headers: vec![("accept".into(), accept.into())], body: Vec::new() }
    }

    /// A `POST` of `body` as `content_type`, asking for JSON.
    pub fn post(url: Url, content_type: &str, body: Vec<u8>) -> Self {
        let mut request = Self::get(url, "application/json");
        request.method = Method::Post;
        request.headers.push(("content-type".into(), content_type.into()));
        request.body = body;
        request
    }

    /// A `POST` of `application/x-www-form-urlencoded` pairs.
    pub fn post_form(url: Url, pairs: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self::post(url, "application/x-www-form-urlencoded", body.into_bytes())
    }

    /// A `POST` of one JSON document.
    pub fn post_json(url: Url, body: &Value) -> Self {
        Self::post(url, "application/json", body.to_string().into_bytes())
    }

    /// The same request with `Authorization: Bearer <token>`.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        self.headers.push(("authorization".into(), format!("Bearer {token}")));
        self
    }
}

/// One response, its body already bounded by the client. `Debug` hides the body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code, 100 to 599.
    pub status: u16,
    /// The `Content-Type` header, if there was one.
    pub content_type: Option<String>,
    /// Other headers, names in lower case; a client may leave out what the protocols do not read. They read
    /// [`RESPONSE_HEADERS`].
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Response headers that the wallet protocols read, besides `content-type`.
pub const RESPONSE_HEADERS: [&str; 3] =
    ["dpop-nonce", "oauth-client-attestation-challenge", "www-authenticate"];

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {:?}, {} bytes)", self.status, self.content_type, self.body.len())
    }
}

impl HttpResponse {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of the header `name` (lower case), if it was there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all =
            self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        let (first, None) = (all.next()?, all.next()) else { return None };
        Some(first)
    }

    /// The media type without parameters, lower case; empty when there is none.
    pub fn media_type(&self) -> String {
        let whole = self.content_type.as_deref().unwrap_or_default();
        whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body as JSON, if the media type says `application/json` (or `…+json`).
    ///
    /// # Errors
    /// `http_media_type` for another media type; the codes of [`json::parse`] for the body.
    pub fn json(&self, limits: &Limits) -> Result<Value> {
        let media = self.media_type();
        if media != "application/json" && !media.ends_with("+json") {
            return Err(Error::malformed("http_media_type", "the answer is not application/json"));
        }
        json::parse(&self.body, limits)
    }
}

/// Sends requests. Redirects are not followed unless the implementation's own rules allow it.
#[async_trait]
pub trait HttpClient: Send + Sync {
    /// Sends `request` and returns the whole answer, whatever its status.
    ///
    /// # Errors
    /// When no answer came: the address was refused, the connection failed, or a limit was reached.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse>;
}
