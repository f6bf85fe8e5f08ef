//! Resolving DIDs with the guarded client: `did:web` from its host, `did:key` and `did:jwk` out of themselves.

use std::time::Duration;

use async_trait::async_trait;
use carekey_core::Result;
use carekey_core::did::document::DidDocument;
use carekey_core::did::resolver::{DidResolver, resolve_offline};
use carekey_core::did::{Did, web};
use carekey_core::limits::Limits;

use super::Fetcher;

/// Media types of a DID document (DID core section 6).
const MEDIA_TYPES: [&str; 3] = ["application/did+json", "application/did+ld+json", "application/json"];
/// A key that its owner takes out of the document is refused at most this much later.
const MAX_AGE: Duration = Duration::from_secs(60);

#[async_trait]
impl DidResolver for Fetcher {
    async fn resolve(&self, did: &Did) -> Result<DidDocument> {
        if did.method() != "web" {
            return resolve_offline(did);
        }
        let url = match web::document_url(did) {
            Err(_) if self.0.config.loopback => web::loopback_document_url(did)?,
            outcome => outcome?,
        };
        let fetched = self.cached_get(&url, &MEDIA_TYPES, MAX_AGE).await?;
        web::document(did, &fetched.bytes, &Limits::DEFAULT)
    }
}
