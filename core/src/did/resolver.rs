//! Resolving DIDs to documents.

use async_trait::async_trait;

use super::document::DidDocument;
use super::{Did, jwk, key};
use crate::error::{Error, Result};

/// Finds DID documents; the services have one that also fetches `did:web`.
#[async_trait]
pub trait DidResolver: Send + Sync {
    /// The document of `did`, whose `id` is `did`.
    ///
    /// [`Error::Unsupported`] `did_method` for a method that this resolver does not carry.
    async fn resolve(&self, did: &Did) -> Result<DidDocument>;
}

/// Resolves the methods that need no network: `did:key` and `did:jwk`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline;

#[async_trait]
impl DidResolver for Offline {
    async fn resolve(&self, did: &Did) -> Result<DidDocument> {
        resolve_offline(did)
    }
}

/// The document of a `did:key` or `did:jwk`; [`Error::Unsupported`] `did_method` for others.
pub fn resolve_offline(did: &Did) -> Result<DidDocument> {
    match did.method() {
        "key" => key::resolve(did),
        "jwk" => jwk::resolve(did),
        _ => Err(unsupported()),
    }
}

pub(super) fn require_method(did: &Did, method: &str) -> Result<()> {
    if did.method() == method { Ok(()) } else { Err(unsupported()) }
}

fn unsupported() -> Error {
    Error::unsupported("did_method", "this DID method is not supported here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn offline() {
        let did = Did::parse("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK").unwrap();
        let resolver: &dyn DidResolver = &Offline;
        assert_eq!(resolver.resolve(&did).await.unwrap().id, did);
        let web = Did::parse("did:web:a.example").unwrap();
        assert_eq!(resolver.resolve(&web).await.unwrap_err().code(), "did_method");
    }
}
