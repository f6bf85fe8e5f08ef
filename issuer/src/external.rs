//! Authorization servers beside the issuer itself: the way to their keys. Their tokens are judged in
//! `carekey_core::protocol::oauth::access_token`.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use carekey_core::encoding::json;
use carekey_core::error::{Error, Result};
use carekey_core::format::sd_jwt_vc::jwt_vc_issuer::parse_jwk_set;
use carekey_core::issuer::{AuthorizationServer, ServerKeys};
use carekey_core::jose::jwk::JwkSet;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::metadata::{AUTHORIZATION_SERVER, well_known_url};
use carekey_service::fetch::Fetcher;
use serde::Deserialize;
use url::Url;

/// How long metadata and keys of a server are kept.
const KEPT: Duration = Duration::from_secs(600);
/// How old they may be when a token names a key that they lack: invented names make no more requests than this.
const KEPT_FOR_UNKNOWN_KEYS: Duration = Duration::from_secs(30);

/// An authorization server, as the operator describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct ExternalServerConfig {
    /// Its identifier: `iss` of its access tokens, and where its metadata is (RFC 8414, or OpenID Connect Discovery).
    pub issuer: String,
    /// Where its keys are; otherwise its metadata says so.
    pub jwks_uri: Option<Url>,
    /// The claim of its access tokens that says who it is: what the desk writes as `subject` of an offer.
    #[serde(default = "sub")]
    pub subject_claim: String,
}

fn sub() -> String {
    "sub".into()
}

impl ExternalServerConfig {
    pub(crate) fn settings(&self) -> AuthorizationServer {
        AuthorizationServer { issuer: self.issuer.clone(), subject_claim: self.subject_claim.clone() }
    }
}

/// The servers.
pub(crate) struct ExternalServers {
    servers: BTreeMap<String, Option<Url>>,
    fetcher: Fetcher,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Url,
}

impl ExternalServers {
    pub(crate) fn new(servers: &[ExternalServerConfig], fetcher: Fetcher) -> Self {
        let servers = servers.iter().map(|server| (server.issuer.clone(), server.jwks_uri.clone()));
        Self { servers: servers.collect(), fetcher }
    }

    async fn jwks_uri(&self, server: &str, age: Duration) -> Result<Url> {
        let unknown = || Error::misuse("external_server", "there is no such authorization server");
        if let Some(url) = self.servers.get(server).ok_or_else(unknown)? {
            return Ok(url.clone());
        }
        let discovery = format!("{}/.well-known/openid-configuration", server.trim_end_matches('/'));
        let discovery = Url::parse(&discovery).map_err(|_| unknown())?;
        let mut last = unknown();
        for url in [well_known_url(server, AUTHORIZATION_SERVER)?, discovery] {
            match self.fetcher.cached_get(&url, &["application/json"], age).await {
                Ok(fetched) => {
                    let metadata: Metadata = json::parse_as(&fetched.bytes, &Limits::DEFAULT)?;
                    if metadata.issuer == server {
                        return Ok(metadata.jwks_uri);
                    }
                    last = Error::unavailable("external_server", "the metadata is of another server");
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[async_trait]
impl ServerKeys for ExternalServers {
    async fn keys(&self, server: &str, fresh: bool) -> Result<JwkSet> {
        let age = if fresh { KEPT_FOR_UNKNOWN_KEYS } else { KEPT };
        let url = self.jwks_uri(server, age).await?;
        let types = ["application/json", "application/jwk-set+json"];
        let fetched = self.fetcher.cached_get(&url, &types, age).await?;
        parse_jwk_set(&fetched.bytes, &Limits::DEFAULT)
    }
}
