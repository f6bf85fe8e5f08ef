//! The app's way to issuers and verifiers.

use std::sync::Arc;

use async_trait::async_trait;
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse, Method};
use carekey_core::{Error, Result};

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum HttpError {
    /// No connection, no answer in time, or the address or size was refused.
    #[error("no answer: {reason}")]
    Unreachable {
        /// For developers; no content.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for HttpError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unreachable { reason: error.reason }
    }
}

/// One header.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct HttpHeader {
    /// Its name; lower case in requests, any case in responses.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One request.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct WalletHttpRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// In order.
    pub headers: Vec<HttpHeader>,
    /// Empty for `GET`.
    pub body: Vec<u8>,
}

/// The answer, whatever its status.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct WalletHttpResponse {
    /// 100 to 599.
    pub status: u16,
    /// All of them.
    pub headers: Vec<HttpHeader>,
    /// At most a few MiB: refuse larger ones.
    pub body: Vec<u8>,
}

/// Sends requests with the platform's own client (`URLSession`, OkHttp): the library carries no TLS.
///
/// Allow `https` only (a demonstration on one computer may allow `http` to loopback), follow no redirect, send no
/// cookies, keep no cache, and give up after some seconds and some MiB.
#[uniffi::export(foreign)]
#[async_trait]
pub trait WalletHttpClient: Send + Sync {
    /// Sends `request` and returns the answer, also one of status 400 or 500.
    async fn send(&self, request: WalletHttpRequest) -> Result<WalletHttpResponse, HttpError>;
}

/// The app's HTTP client as the engine sees it.
pub(crate) struct Http(pub(crate) Arc<dyn WalletHttpClient>);

#[async_trait]
impl HttpClient for Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let sent = self.0.send(request.into()).await;
        sent.map(HttpResponse::from)
            .map_err(|error| Error::unavailable("http_unreachable", error.to_string()))
    }
}

impl From<HttpRequest> for WalletHttpRequest {
    fn from(request: HttpRequest) -> Self {
        let header = |(name, value)| HttpHeader { name, value };
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        Self {
            method: method.to_owned(),
            url: request.url.into(),
            headers: request.headers.into_iter().map(header).collect(),
            body: request.body,
        }
    }
}

impl From<WalletHttpResponse> for HttpResponse {
    fn from(response: WalletHttpResponse) -> Self {
        let headers =
            response.headers.into_iter().map(|header| (header.name.to_ascii_lowercase(), header.value));
        let (types, headers): (Vec<_>, Vec<_>) = headers.partition(|(name, _)| name == "content-type");
        let content_type = types.into_iter().next().map(|(_, value)| value);
        Self { status: response.status, content_type, headers, body: response.body }
    }
}
