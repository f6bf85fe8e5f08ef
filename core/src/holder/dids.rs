//! Resolving DIDs over the wallet's own way to the network.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::http::{HttpClient, HttpRequest};
use crate::did::document::DidDocument;
use crate::did::resolver::{DidResolver, resolve_offline};
use crate::did::{Did, web};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// `did:web` from its host by way of an [`HttpClient`], `did:key` and `did:jwk` out of themselves. Keeps nothing: every
/// question is asked anew.
#[derive(Clone)]
pub struct HttpDids(Arc<dyn HttpClient>);

impl HttpDids {
    /// A resolver over `http`, which decides which hosts may be reached.
    pub fn new(http: Arc<dyn HttpClient>) -> Self {
        Self(http)
    }
}

impl fmt::Debug for HttpDids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpDids")
    }
}

#[async_trait]
impl DidResolver for HttpDids {
    async fn resolve(&self, did: &Did) -> Result<DidDocument> {
        if did.method() != "web" {
            return resolve_offline(did);
        }
        let request = HttpRequest::get(web::document_url(did)?, "application/did+json, application/json");
        let response = self.0.send(request).await?;
        if response.status != 200 {
            let detail = format!("the host of the DID answers {}", response.status);
            return Err(Error::unavailable("did_fetch", detail));
        }
        response.json(&Limits::DEFAULT)?;
        web::document(did, &response.body, &Limits::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::holder::http::HttpResponse;

    struct Host(u16);

    #[async_trait]
    impl HttpClient for Host {
        async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
            assert_eq!(request.url.as_str(), "https://hospital.example/.well-known/did.json");
            let body =
                json!({ "@context": "https://www.w3.org/ns/did/v1", "id": "did:web:hospital.example" });
            let body = body.to_string().into_bytes();
            let content_type = Some("application/did+json".into());
            Ok(HttpResponse { status: self.0, content_type, headers: Vec::new(), body })
        }
    }

    #[tokio::test]
    async fn did_web_comes_from_its_host_and_did_key_out_of_itself() {
        let resolver = |status| HttpDids::new(Arc::new(Host(status)));
        let web = Did::parse("did:web:hospital.example").unwrap();
        assert_eq!(resolver(200).resolve(&web).await.unwrap().id, web);
        assert_eq!(resolver(404).resolve(&web).await.unwrap_err().code(), "did_fetch");
        let key = Did::parse("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK").unwrap();
        assert_eq!(resolver(404).resolve(&key).await.unwrap().id, key);
        let other = Did::parse("did:example:1").unwrap();
        assert_eq!(resolver(200).resolve(&other).await.unwrap_err().code(), "did_method");
    }
}
