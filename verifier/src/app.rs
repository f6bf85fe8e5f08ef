//! The service without HTTP: making requests, judging answers, keeping outcomes for a short time.

mod create;
mod events;
mod gather;
mod identity;
mod outcome;
mod record;
mod respond;
mod trust;
mod vc_api;
mod vc_enveloped;

use std::sync::Arc;
use std::time::Duration;

use carekey_core::clock::{Clock, UnixTime};
use carekey_core::did::DidResolver;
use carekey_core::format::data_integrity::Contexts;
use carekey_core::holder::HttpClient;
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;
use carekey_core::random::Random;
use carekey_core::store::{Sealed, Store};
use carekey_core::trust::IssuerRule;
use carekey_service::auth::BearerToken;
use carekey_service::dids::Dids;
use carekey_service::fetch::Fetcher;
use carekey_service::keys;
use carekey_service::limit::RateLimiter;
use carekey_service::metrics::Metrics;
use carekey_service::pages::Access;
use carekey_service::trust_snapshot::TrustSnapshot;
use url::Url;

use crate::config::Config;
use crate::routes::portal;

pub use create::{CreateRequest, CreatedRequest, DigitalArgument, DigitalRequests, RequestUriMethodName};
pub use events::StateEvent;
pub use outcome::{Outcome, RequestView};
pub use record::{Flow, RequestState, SessionBinding};
pub use respond::{Accepted, Brought, ResponseRefused};
pub use vc_api::VcOptions;

/// Records deleted in one step of the clean-up.
const PURGE: usize = 1000;

/// The verifier.
pub struct App {
    config: Config,
    public_url: Url,
    identity: identity::Identity,
    trust: TrustSnapshot<IssuerRule, trust::Trust>,
    transaction_types: TransactionTypes,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    gatherer: gather::Gatherer,
    http: Arc<dyn HttpClient>,
    dids: Arc<dyn DidResolver>,
    /// Only where the VC-API is on.
    contexts: Option<Contexts>,
    events: events::Hub,
    metrics: Arc<Metrics>,
    limiter: RateLimiter,
    token: BearerToken,
    pages: Arc<Access>,
}

impl App {
    /// Opens the service that people reach at `public_url`: makes keys and management token in `config.data_dir` where
    /// they are missing, reads the trust anchors, and seals everything that goes into `store`.
    ///
    /// # Errors
    /// Name the file or setting that cannot be used.
    pub fn open(
        config: Config,
        public_url: Url,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> std::io::Result<Arc<Self>> {
        let fetcher = Arc::new(Fetcher::new(config.fetch.clone())?);
        let client: Arc<dyn HttpClient> = fetcher.clone();
        let dids = Arc::new(Dids::new(client, Arc::clone(&clock), config.fetch.loopback));
        Self::open_with(config, public_url, store, clock, random, fetcher, dids)
    }

    /// The same with another HTTP client and DID resolver, which then answer for every bound on what is fetched.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        config: Config,
        public_url: Url,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        http: Arc<dyn HttpClient>,
        dids: Arc<dyn DidResolver>,
    ) -> std::io::Result<Arc<Self>> {
        let (folder, source) = (&config.data_dir, &*random);
        let keys = keys::load_or_create(&folder.join("keys"), &public_url, source, &*clock)?;
        let token = BearerToken::load_or_create(&folder.join("management.token"), source)?;
        let sealing = keys::load_or_create_secret(&folder.join("keys").join("store.key"), source)?;
        let store = Sealed::new(store, &sealing, Arc::clone(&random)).map_err(std::io::Error::other)?;
        let pages = Access::new(
            portal::COOKIE,
            &public_url,
            portal::TICKET_PATH,
            token.clone(),
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        check_vc_api(&config)?;
        let contexts = match config.vc_api.enabled {
            true => Some(Contexts::bundled().map_err(std::io::Error::other)?),
            false => None,
        };
        // The generator's first use in a process is slow: not in the first request.
        let _: [u8; 32] = source.array();
        Ok(Arc::new(Self {
            trust: trust::open(&config, &folder.join("trusted-lists"), clock.now())?,
            transaction_types: TransactionTypes::new(config.transaction_types.clone())
                .map_err(std::io::Error::other)?,
            identity: identity::Identity::open(
                keys,
                &public_url,
                config.verifier_attestation.as_deref(),
                config.trust_chain.as_deref(),
                config.registration_certificate.as_deref(),
            )?,
            gatherer: gather::Gatherer::new(Arc::clone(&http), Arc::clone(&dids)),
            contexts,
            http,
            dids,
            events: events::Hub::default(),
            metrics: Metrics::new(),
            limiter: RateLimiter::new(config.limit),
            store: Arc::new(store),
            public_url,
            config,
            clock,
            random,
            token,
            pages: Arc::new(pages),
        }))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The resolver of DIDs.
    pub fn dids(&self) -> &dyn DidResolver {
        &*self.dids
    }

    /// Where people reach the service.
    pub fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// The trust anchor of this verifier's own certificates, DER; `None` when the operator brought the certificate.
    pub fn anchor(&self) -> Option<Vec<u8>> {
        self.identity.anchor()
    }

    /// The management token.
    pub fn token(&self) -> &BearerToken {
        &self.token
    }

    /// Who may use the portal's pages.
    pub fn pages(&self) -> &Arc<Access> {
        &self.pages
    }

    /// The rate limiter of the public endpoints.
    pub fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// The metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The sealed store.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The source of randomness.
    pub fn random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.random)
    }

    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Deletes everything whose time has come, presented data first of all; returns how many records.
    ///
    /// # Errors
    /// Of the store.
    pub async fn purge(&self) -> carekey_core::Result<usize> {
        let now = self.now();
        let mut all = 0_usize;
        loop {
            let purged = self.store.purge_expired(now, PURGE).await?;
            all = all.saturating_add(purged);
            if purged < PURGE {
                return Ok(all);
            }
        }
    }

    /// Looks for newer trusted lists where it is time to.
    pub async fn refresh_trust(&self) {
        self.trust.refresh(&*self.http, self.now()).await;
    }

    /// Purges every half minute, refreshes trusted lists and renews the certificate in time, until it is dropped: run it
    /// beside the server.
    pub async fn maintain(&self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(30));
        loop {
            ticks.tick().await;
            self.refresh_trust().await;
            if let Err(error) = self.purge().await {
                tracing::error!(code = error.code(), "expired records could not be deleted");
            }
            if let Err(error) = self.identity.renew(&*self.random, &*self.clock) {
                tracing::error!(%error, "the certificate could not be renewed");
            }
        }
    }
}

/// Whoever may verify makes this server fetch: without a token only on loopback.
fn check_vc_api(config: &Config) -> std::io::Result<()> {
    let api = &config.vc_api;
    if api.enabled && !api.authenticate && !config.server.listen.ip().is_loopback() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "key `vc_api.authenticate`: only a server that listens on loopback may do without the token",
        ));
    }
    if api.foreign_suites && !cfg!(feature = "foreign-suites") {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "key `vc_api.foreign_suites`: this program was built without the feature foreign-suites",
        ));
    }
    Ok(())
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("public_url", &self.public_url.as_str()).finish_non_exhaustive()
    }
}
