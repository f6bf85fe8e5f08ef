//! Sign-in with the hospital's OpenID Connect provider: this issuer as its relying party. What a provider says is judged
//! in `carekey_core::protocol::oauth::openid_connect`; here is the way to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carekey_core::encoding::{base64, json};
use carekey_core::error::{Error, Result};
use carekey_core::holder::http::{HttpClient, HttpRequest};
use carekey_core::issuer::ProviderState;
use carekey_core::jose::jwk::JwkSet;
use carekey_core::limits::Limits;
use carekey_core::protocol::oauth::openid_connect::{
    IdTokenExpectation, ProviderMetadata, SignInRequest, verify_id_token,
};
use carekey_core::random::Random;
use carekey_core::secret::Secret;
use carekey_core::{clock::Clock, format::sd_jwt_vc::jwt_vc_issuer::parse_jwk_set};
use carekey_service::fetch::Fetcher;
use serde::Deserialize;
use url::Url;

/// How long metadata and keys of the provider are kept.
const KEPT: Duration = Duration::from_secs(600);

/// The hospital's OpenID Connect provider, as the operator describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct ProviderConfig {
    /// Name on the sign-in page.
    pub name: String,
    /// Identifier: the URL below which its metadata is.
    pub issuer: Url,
    /// The client identifier that it gave to this issuer.
    pub client_id: String,
    /// File with the client secret; without it, the client is public and rests on PKCE.
    pub client_secret: Option<PathBuf>,
    /// Scope of the request.
    #[serde(default = "openid")]
    pub scope: String,
    /// The claim of the ID token that says who it is: what the desk writes as `subject` of an offer.
    #[serde(default = "sub")]
    pub subject_claim: String,
}

fn openid() -> String {
    "openid".into()
}

fn sub() -> String {
    "sub".into()
}

/// The way to the provider.
pub(crate) struct Provider {
    config: ProviderConfig,
    secret: Option<Secret<String>>,
    /// Without a slash at the end, as metadata and ID tokens write it or not: see [`Provider::open`].
    issuer: String,
    redirect_uri: String,
    fetcher: Arc<Fetcher>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

impl Provider {
    /// The provider of `config`; people come back to `redirect_uri`.
    pub(crate) fn open(
        config: &ProviderConfig,
        redirect_uri: Url,
        fetcher: Arc<Fetcher>,
    ) -> std::io::Result<Self> {
        let secret = match &config.client_secret {
            Some(path) => Some(Secret::new(std::fs::read_to_string(path)?.trim().to_owned())),
            None => None,
        };
        // A URL without a path is written with a slash by the parser and without one by providers.
        let bare = config.issuer.path() == "/";
        let issuer = config.issuer.as_str();
        let issuer = if bare { issuer.trim_end_matches('/') } else { issuer }.to_owned();
        Ok(Self { config: config.clone(), secret, issuer, redirect_uri: redirect_uri.into(), fetcher })
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    async fn metadata(&self) -> Result<ProviderMetadata> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let url =
            Url::parse(&url).map_err(|_| Error::misuse("provider_issuer", "the provider has no URL"))?;
        let fetched = self.fetcher.cached_get(&url, &["application/json"], KEPT).await?;
        ProviderMetadata::parse(&fetched.bytes, &self.issuer, &Limits::DEFAULT)
    }

    /// Where the browser goes, and what must be kept until it comes back.
    pub(crate) async fn begin(&self, random: &dyn Random) -> Result<(Url, ProviderState)> {
        let kept = ProviderState {
            state: random.token(32),
            nonce: random.token(32),
            code_verifier: random.token(32),
        };
        let url = self.metadata().await?.authorization_url(&SignInRequest {
            client_id: &self.config.client_id,
            redirect_uri: &self.redirect_uri,
            scope: &self.config.scope,
            state: &kept.state,
            nonce: &kept.nonce,
            code_verifier: &kept.code_verifier,
        });
        Ok((url, kept))
    }

    /// Who came back.
    pub(crate) async fn finish(
        &self,
        query: &str,
        kept: &ProviderState,
        clock: &dyn Clock,
    ) -> Result<String> {
        let metadata = self.metadata().await?;
        let returned = format!("{}?{query}", self.redirect_uri);
        let code = metadata.code(&returned, &self.redirect_uri, &kept.state, &Limits::DEFAULT)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &kept.code_verifier),
        ];
        if self.secret.is_none() {
            form.push(("client_id", &self.config.client_id));
        }
        let mut request = HttpRequest::post_form(metadata.token_endpoint.clone(), &form);
        if let Some(secret) = &self.secret {
            // RFC 6749 section 2.3.1: both halves are form-encoded first.
            let half = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", half(&self.config.client_id), half(secret.expose()));
            request
                .headers
                .push(("authorization".into(), format!("Basic {}", base64::encode(pair.as_bytes()))));
        }
        let answer = self.fetcher.send(request).await?;
        if !answer.is_success() {
            return Err(Error::refused("provider_denied", "the provider does not take the code"));
        }
        let answer: TokenAnswer = json::parse_as(&answer.body, &Limits::DEFAULT)?;
        let keys = self.keys(&metadata).await?;
        let expect = IdTokenExpectation {
            issuer: &self.issuer,
            client_id: &self.config.client_id,
            nonce: &kept.nonce,
            subject_claim: &self.config.subject_claim,
            now: clock.now(),
        };
        verify_id_token(&answer.id_token, &keys, &expect, &Limits::DEFAULT)
    }

    async fn keys(&self, metadata: &ProviderMetadata) -> Result<JwkSet> {
        let types = ["application/json", "application/jwk-set+json"];
        let fetched = self.fetcher.cached_get(&metadata.jwks_uri, &types, KEPT).await?;
        parse_jwk_set(&fetched.bytes, &Limits::DEFAULT)
    }
}
