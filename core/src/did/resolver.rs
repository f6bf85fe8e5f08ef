//! Resolving DIDs to documents.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::document::DidDocument;
use super::webvh::VersionSelector;
use super::{Did, jwk, key};
use crate::error::{Error, Result};

/// What a resolver is asked beside the DID (W3C DID Resolution section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolutionOptions {
    /// Which version of the document.
    pub version: VersionSelector,
    /// Whether no remembered copy will do (`noCache`).
    pub fresh: bool,
}

/// A document as its controller published it, and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedDid {
    /// `None` when the DID is deactivated and no certain version was asked for.
    pub document: Option<Value>,
    /// `didDocumentMetadata`.
    pub metadata: Map<String, Value>,
}

impl ResolvedDid {
    /// That of a `did:key` or `did:jwk`; errors of [`resolve_offline`], and [`Error::Unsupported`] `did_version` when a
    /// version is asked for, which these methods do not have.
    pub fn offline(did: &Did, version: &VersionSelector) -> Result<Self> {
        let document = resolve_offline(did)?;
        if *version != VersionSelector::Latest {
            return Err(Error::unsupported("did_version", "this DID method has no versions"));
        }
        Ok(Self { document: Some(document.to_value()), metadata: Map::new() })
    }
}

/// Finds DID documents; the services have one that also fetches `did:web` and `did:webvh`.
#[async_trait]
pub trait DidResolver: Send + Sync {
    /// The document of `did`, whose `id` is `did`.
    ///
    /// [`Error::Unsupported`] `did_method` for a method that this resolver does not carry.
    async fn resolve(&self, did: &Did) -> Result<DidDocument>;

    /// The document for reading, with its metadata; errors as [`Self::resolve`], but not for a deactivated DID, and
    /// those of [`ResolvedDid::offline`].
    async fn read(&self, did: &Did, options: &ResolutionOptions) -> Result<ResolvedDid> {
        ResolvedDid::offline(did, &options.version)
    }
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
