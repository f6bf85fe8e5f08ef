//! Who this verifier is towards wallets: its certificates, its DID, and the client identifiers made of them.

use std::sync::Arc;

use carekey_core::clock::Clock;
use carekey_core::did::{self, Did, DidDocument, VerificationMethod};
use carekey_core::encoding::{base64, base64url, sha256};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::Signer;
use carekey_core::protocol::openid4vp::client_id::{ClientId, ClientIdPrefix};
use carekey_core::protocol::openid4vp::request::AuthorizationRequest;
use carekey_core::protocol::openid4vp::signed_request::{self, RequestKeyName};
use carekey_core::random::Random;
use carekey_core::{Error, Result};
use carekey_service::keys::ServiceKeys;
use url::Url;

pub(super) struct Identity {
    keys: ServiceKeys,
    signer: Arc<dyn Signer>,
    host: String,
    did: Did,
}

/// Name of the signing key in the DID document.
const KEY: &str = "signing";

impl Identity {
    pub(super) fn new(keys: ServiceKeys, public_url: &Url) -> Result<Self> {
        let host = public_url.host_str().unwrap_or_default().to_owned();
        Ok(Self { signer: keys.signer(), keys, host, did: did::web::from_url(public_url)? })
    }

    pub(super) fn anchor(&self) -> Option<Vec<u8>> {
        self.keys.anchor()
    }

    pub(super) fn renew(&self, random: &dyn Random, clock: &dyn Clock) -> std::io::Result<bool> {
        self.keys.renew(random, clock)
    }

    pub(super) fn client_id(&self, prefix: ClientIdPrefix, response_uri: &Url) -> Result<ClientId> {
        let original = match prefix {
            ClientIdPrefix::RedirectUri => response_uri.to_string(),
            ClientIdPrefix::X509SanDns => self.host.clone(),
            ClientIdPrefix::X509Hash => {
                let chain = self.keys.chain();
                let leaf = chain
                    .first()
                    .ok_or_else(|| Error::misuse("no_certificate", "there is no certificate"))?;
                base64url::encode(&sha256(leaf))
            }
            ClientIdPrefix::DecentralizedIdentifier => self.did.as_str().to_owned(),
        };
        Ok(ClientId::new(prefix, &original))
    }

    pub(super) fn sign(&self, request: &AuthorizationRequest) -> Result<String> {
        let key_name = match request.client_id.prefix() {
            ClientIdPrefix::DecentralizedIdentifier => {
                RequestKeyName::Kid(self.did.with_fragment(KEY)?.to_string())
            }
            _ => RequestKeyName::X5c(self.keys.chain().iter().map(|der| base64::encode(der)).collect()),
        };
        signed_request::sign(request, &key_name, &*self.signer)
    }

    pub(super) fn did_document(&self) -> Result<DidDocument> {
        let jwk = Jwk::from_key(self.signer.public_key());
        let method = VerificationMethod::jwk(self.did.with_fragment(KEY)?, jwk);
        Ok(DidDocument::for_signing(self.did.clone(), vec![method]))
    }
}
