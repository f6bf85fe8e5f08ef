//! Documents of DIDs for whoever asks.

use carekey_core::did::{Did, resolver, web};
use carekey_core::encoding::json;
use carekey_core::holder::HttpRequest;
use carekey_core::limits::Limits;
use carekey_core::{Error, Result};
use serde_json::Value;

use super::App;

/// Media types of a DID document (DID core section 6).
const DOCUMENTS: &str = "application/did+ld+json, application/did+json, application/json";

impl App {
    /// The document of a DID as its controller wrote it, checked.
    ///
    /// # Errors
    /// `did_method`, those of the method, and for `did:web` `did_not_found`, `did_document` or those of the fetch.
    pub async fn did_representation(&self, did: &Did) -> Result<Value> {
        match did.method() {
            "web" => self.did_web(did).await,
            _ => Ok(resolver::resolve_offline(did)?.to_value()),
        }
    }

    async fn did_web(&self, did: &Did) -> Result<Value> {
        let url = match web::document_url(did) {
            Err(_) if self.config.fetch.loopback => web::loopback_document_url(did)?,
            outcome => outcome?,
        };
        let answer = self.http.send(HttpRequest::get(url, DOCUMENTS)).await?;
        match answer.status {
            200 => {}
            404 | 410 => return Err(Error::unavailable("did_not_found", "there is no such DID document")),
            _ => return Err(Error::unavailable("fetch_status", "the DID document could not be fetched")),
        }
        let invalid =
            |_| Error::malformed("did_document", "the document at the DID's address is not its document");
        web::document(did, &answer.body, &Limits::DEFAULT).map_err(invalid)?;
        json::parse(&answer.body, &Limits::DEFAULT).map_err(invalid)
    }
}
