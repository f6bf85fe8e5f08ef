//! Refuses requests that another web site makes a browser send.
//!
//! `Host` must be this server's own name (a name rebound by DNS to 127.0.0.1 shows the foreign name), and a request
//! that changes something must carry this server's own `Origin`. Cookies do not separate ports and `SameSite` treats
//! every port of `localhost` as one site, so both checks are needed beside the session cookie.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::Url;

use crate::problem::Problem;

/// The origin that this server's pages have in the browser.
#[derive(Debug, Clone)]
pub struct OwnOrigin {
    host: String,
    origin: String,
}

impl OwnOrigin {
    /// From the address under which people open the pages (`http://localhost:8801/`).
    pub fn of(public_url: &Url) -> Self {
        let host = match (public_url.host_str(), public_url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        };
        Self { host, origin: public_url.origin().ascii_serialization() }
    }

    /// The origin as browsers write it, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Why a request must not pass: the status and a stable code.
    fn refusal(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let host = match headers.get(header::HOST) {
            Some(value) => value.to_str().ok(),
            None => uri.authority().map(http::uri::Authority::as_str), // HTTP/2
        };
        if !host.is_some_and(|host| host.eq_ignore_ascii_case(&self.host)) {
            return Some((StatusCode::MISDIRECTED_REQUEST, "foreign_host"));
        }
        let safe = method == Method::GET || method == Method::HEAD;
        let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default());
        match origin {
            Some(origin) if origin == self.origin => None,
            None if safe => None,
            _ => Some((StatusCode::FORBIDDEN, "foreign_origin")),
        }
    }
}

/// Middleware: lets only requests of this server's own pages (and plain navigation) through.
pub async fn require_own_origin(State(own): State<Arc<OwnOrigin>>, request: Request, next: Next) -> Response {
    match own.refusal(request.method(), request.uri(), request.headers()) {
        None => next.run(request).await,
        Some((status, code)) => {
            Problem::new(status, code, "this request does not come from a page of this server")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: Method, host: Option<&str>, origin: Option<&str>) -> Option<&'static str> {
        let own = OwnOrigin::of(&Url::parse("http://localhost:8801/").unwrap());
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        own.refusal(&method, &Uri::from_static("/x"), &headers).map(|(_, code)| code)
    }

    #[test]
    fn own_pages_pass() {
        assert_eq!(judged(Method::GET, Some("localhost:8801"), None), None);
        assert_eq!(judged(Method::POST, Some("localhost:8801"), Some("http://localhost:8801")), None);
    }

    #[test]
    fn foreign_names_and_origins_do_not() {
        for (method, host, origin, code) in [
            (Method::GET, Some("evil.example:8801"), None, "foreign_host"),
            (Method::GET, Some("localhost:8802"), None, "foreign_host"),
            (Method::GET, None, None, "foreign_host"),
            (Method::POST, Some("localhost:8801"), None, "foreign_origin"),
            (Method::POST, Some("localhost:8801"), Some("null"), "foreign_origin"),
            (Method::POST, Some("localhost:8801"), Some("http://localhost:8802"), "foreign_origin"),
            (Method::POST, Some("localhost:8801"), Some("http://localhost:88010"), "foreign_origin"),
            (Method::GET, Some("localhost:8801"), Some("https://evil.example"), "foreign_origin"),
            (Method::DELETE, Some("localhost:8801"), Some("https://localhost:8801"), "foreign_origin"),
        ] {
            assert_eq!(judged(method, host, origin), Some(code), "{host:?} {origin:?}");
        }
    }
}
