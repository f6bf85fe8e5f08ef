//! The application: core's issuer, wired to keys, store, clock and metrics.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use carekey_core::clock::{Clock, UnixTime};
use carekey_core::did;
use carekey_core::encoding::{base64, base64url};
use carekey_core::error::Result as CoreResult;
use carekey_core::format::sd_jwt_vc::issue::IssuerKeyHeader;
use carekey_core::issuer::{
    CreatedOffer, CredentialSummary, Demand, Issuer, IssuerKey, NewOffer, Parts, StatusChange,
};
use carekey_core::jose::jwe::JweDecryptionKey;
use carekey_core::jose::jwk::Jwk;
use carekey_core::random::Random;
use carekey_core::secret::Secret;
use carekey_core::store::{Sealed, Store};
use carekey_service::auth::BearerToken;
use carekey_service::fetch::Fetcher;
use carekey_service::keys::{self, ServiceKeys};
use carekey_service::limit::RateLimiter;
use carekey_service::metrics::Metrics;
use carekey_service::pages::Access;
use carekey_service::private_file;
use carekey_service::trust_snapshot::{WalletProviderConfig, WalletProviders};
use url::Url;

use crate::attestation::Sources;
use crate::config::{Config, KeyKind};
use crate::did::OwnDid;
use crate::external::ExternalServers;
use crate::login::Provider;
use crate::patients::FhirServer;
use crate::rotation;
use crate::routes::desk;
use crate::vc_api::{self, VcApi};

/// How often expired records are deleted and certificates looked at.
const UPKEEP: Duration = Duration::from_secs(600);

/// Why the issuer does not start: names the file or setting, never a secret.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    pub(crate) fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<carekey_core::Error> for StartError {
    fn from(error: carekey_core::Error) -> Self {
        Self(error.to_string())
    }
}

/// A running issuer.
pub struct App {
    issuer: Arc<Issuer>,
    keys: ServiceKeys,
    key_kind: KeyKind,
    sources: Sources,
    providers: WalletProviders,
    /// The way to lists of wallet providers.
    lists: Fetcher,
    token: BearerToken,
    access: Arc<Access>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    metrics: Arc<Metrics>,
    limiter: RateLimiter,
    vc_api: Option<Arc<VcApi>>,
    own_did: Option<OwnDid>,
    provider: Option<Provider>,
    secure: bool,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl App {
    /// Opens the issuer that `config` describes, reached under `public_url`. Keys, certificates, the management token
    /// and the sealing secret are made in [`Config::data_dir`] where they are missing; `store` gets sealed values only.
    ///
    /// Upkeep (deleting what has expired, renewing the certificate) runs as a task until the last [`Arc`] is dropped.
    ///
    /// # Errors
    /// What is wrong with the configuration, or which file cannot be read or written.
    pub async fn open(
        config: &Config,
        public_url: &Url,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Arc<Self>, StartError> {
        let data = &config.data_dir;
        std::fs::create_dir_all(data).map_err(|error| named(data, &error))?;
        let keys = keys::load_or_create(data, public_url, &*random, &*clock)?;
        let token = BearerToken::load_or_create(&data.join("management.token"), &*random)?;
        check_lifetime(config)?;
        let sealing = keys::load_or_create_secret(&data.join("seal.key"), &*random)?;
        let secret = keys::load_or_create_secret(&data.join("codes.key"), &*random)?;
        let sealed: Arc<dyn Store> = Arc::new(Sealed::new(store, &sealing, Arc::clone(&random))?);
        let identifier = public_url.as_str().trim_end_matches('/');
        let sources = Sources::new(config)?;
        let attestation = sources.load(clock.now()).await?;
        let own_did = OwnDid::open(data, config.issuer.key, public_url, keys.signer().public_key(), &*clock)?;
        let fetcher = || Fetcher::new(config.fetch.clone());
        let issuer = Issuer::new(Parts {
            settings: config.settings(identifier),
            key: issuer_key(config.issuer.key, &keys, identifier, own_did.as_ref())?,
            store: Arc::clone(&sealed),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            secret,
            attestation,
            patients: match &config.patients {
                None => None,
                Some(patients) => Some(Arc::new(FhirServer::open(patients, fetcher()?)?)),
            },
        })?;
        let issuer = issuer
            .with_request_key(encryption_key(&data.join("encryption.key"))?)
            .with_earlier_keys(rotation::earlier(data)?);
        let issuer = match config.authorization_servers.as_slice() {
            [] => issuer,
            servers => issuer.with_server_keys(Arc::new(ExternalServers::new(servers, fetcher()?))),
        };
        let providers = wallet_providers(config, clock.now())?;
        issuer.replace_wallet_providers(providers.current());
        let access = Access::new(
            desk::COOKIE,
            public_url,
            desk::TICKET_PATH,
            token.clone(),
            Arc::clone(&clock),
            Arc::clone(&random),
        );
        let metrics = Metrics::new();
        let vc_api = match config.vc_api.enabled {
            false => None,
            true => {
                let own = match (&own_did, config.vc_api.own_did) {
                    (Some(own), true) => Some((own.method(keys.signer().public_key())?, keys.signer())),
                    (None, true) => {
                        let detail = "key `vc_api.own_did`: needs `issuer.key` to be did_web or did_webvh";
                        return Err(StartError::new(detail));
                    }
                    (_, false) => None,
                };
                let parts = vc_api::Parts {
                    own,
                    config: &config.vc_api,
                    listen: config.server.listen,
                    data,
                    base: identifier.to_owned(),
                    ttl: issuer.settings().status_ttl,
                    store: Arc::clone(&sealed),
                    clock: Arc::clone(&clock),
                    random: Arc::clone(&random),
                    metrics: Arc::clone(&metrics),
                };
                Some(Arc::new(VcApi::open(parts)?))
            }
        };
        let provider = match &config.provider {
            None => None,
            Some(provider) => {
                let fetcher = Arc::new(fetcher()?);
                let callback = issuer.settings().url("/oid4vci/login/callback")?;
                Some(Provider::open(provider, callback, fetcher)?)
            }
        };
        let app = Arc::new(Self {
            providers,
            lists: fetcher()?,
            own_did,
            vc_api,
            provider,
            secure: public_url.scheme() == "https",
            issuer: Arc::new(issuer),
            keys,
            key_kind: config.issuer.key,
            sources,
            token,
            access: Arc::new(access),
            store: sealed,
            clock,
            random,
            metrics,
            limiter: RateLimiter::new(config.limit),
        });
        tokio::spawn(upkeep(Arc::downgrade(&app)));
        Ok(app)
    }

    /// The rules.
    pub fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// The trust anchor of this issuer's credentials, DER; `None` when the operator brought the certificate.
    pub fn anchor(&self) -> Option<Vec<u8>> {
        self.keys.anchor()
    }

    /// The bearer token of the management API.
    pub fn token(&self) -> &BearerToken {
        &self.token
    }

    /// Who may use the desk's pages.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// The DID on the web under which the issuer signs; `None` where its key is named otherwise.
    pub fn own_did(&self) -> Option<&OwnDid> {
        self.own_did.as_ref()
    }

    /// The hospital's OpenID Connect provider, if there is one.
    pub(crate) fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// Whether browsers reach this server by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The randomness.
    pub(crate) fn random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.random)
    }

    /// The VC-API, where it is turned on.
    pub(crate) fn vc_api(&self) -> Option<&Arc<VcApi>> {
        self.vc_api.as_ref()
    }

    /// Name and DID of every key of the VC-API; empty where it is off.
    pub fn vc_api_dids(&self) -> Vec<(&'static str, String)> {
        self.vc_api.iter().flat_map(|api| api.dids()).collect()
    }

    /// The names of its issuing addresses, `{suite}-{key}`.
    pub fn vc_api_names(&self) -> Vec<String> {
        self.vc_api.iter().flat_map(|api| api.names()).collect()
    }

    /// The store, sealed.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The metrics.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// The limiter of the wallet endpoints.
    pub fn limiter(&self) -> RateLimiter {
        self.limiter.clone()
    }

    /// Makes an offer.
    ///
    /// # Errors
    /// Those of [`Issuer::create_offer`].
    pub async fn create_offer(&self, new: &NewOffer) -> CoreResult<CreatedOffer> {
        let created = self.issuer.create_offer(new).await;
        self.metrics.count("offer", if created.is_ok() { "created" } else { "refused" });
        created
    }

    /// Revokes, suspends or reinstates a credential.
    ///
    /// # Errors
    /// Those of [`Issuer::change_status`].
    pub async fn change_status(
        &self,
        id: &str,
        change: StatusChange,
    ) -> CoreResult<Option<CredentialSummary>> {
        let changed = self.issuer.change_status(id, change).await;
        if matches!(changed, Ok(Some(_))) {
            let name = match change {
                StatusChange::Revoke => "revoked",
                StatusChange::Suspend => "suspended",
                StatusChange::Reinstate => "reinstated",
            };
            self.metrics.count("status", name);
        }
        changed
    }

    /// Looks for newer lists of wallet providers.
    async fn refresh_providers(&self) {
        self.providers.refresh(&self.lists, self.clock.now()).await;
        self.issuer.replace_wallet_providers(self.providers.current());
    }

    /// Deletes what has expired, renews the certificate when its time has come, and loads attestation data and lists of
    /// wallet providers anew.
    ///
    /// # Errors
    /// When the store or a file cannot be written.
    pub async fn upkeep(&self) -> Result<usize, StartError> {
        let gone = self.issuer.purge().await?;
        if self.keys.renew(&*self.random, &*self.clock)? && self.key_kind == KeyKind::X5c {
            self.issuer.replace_certificates(chain(&self.keys));
        }
        self.refresh_providers().await;
        if !self.sources.is_empty() {
            let before = self.issuer.attestation_trust();
            self.issuer.replace_attestation_trust(self.sources.renew(&before, self.clock.now()).await);
        }
        Ok(gone)
    }
}

async fn upkeep(app: Weak<App>) {
    if let Some(app) = app.upgrade() {
        app.refresh_providers().await;
    }
    loop {
        tokio::time::sleep(UPKEEP).await;
        let Some(app) = app.upgrade() else { return };
        match app.upkeep().await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "expired records deleted"),
            Err(error) => tracing::error!(%error, "upkeep failed"),
        }
    }
}

pub(crate) fn named(path: &Path, error: &std::io::Error) -> StartError {
    StartError(format!("{}: {error}", path.display()))
}

fn chain(keys: &ServiceKeys) -> Vec<String> {
    keys.chain().iter().map(|der| base64::encode(der)).collect()
}

/// The wallet providers of the configuration, where something is asked of them.
fn wallet_providers(config: &Config, now: UnixTime) -> Result<WalletProviders, StartError> {
    let asked = config.issuer.wallet_attestation != Demand::Off || !config.key_attestations.is_empty();
    if asked && config.wallet_providers.is_empty() {
        let detail = "key `wallet_providers`: wallet_attestation and key_attestations need at least one";
        return Err(StartError::new(detail));
    }
    let empty =
        |one: &&WalletProviderConfig| one.anchors.is_empty() && one.jwks.is_none() && one.lists.is_empty();
    if let Some(one) = config.wallet_providers.iter().find(empty) {
        let detail = format!("key `wallet_providers`: {:?} has no anchors, jwks or lists", one.name);
        return Err(StartError(detail));
    }
    // Paths are resolved by whoever read the configuration.
    let kept = config.data_dir.join("trusted-lists");
    Ok(WalletProviders::of(&config.wallet_providers, (Path::new(""), &kept), now)?)
}

/// The key that wallets encrypt requests to, made where it is missing.
fn encryption_key(path: &Path) -> Result<JweDecryptionKey, StartError> {
    let damaged = || StartError::new(&format!("{}: damaged", path.display()));
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Secret::new(text);
            let bytes = base64url::decode(text.expose().trim()).map(Secret::new).map_err(|_| damaged())?;
            JweDecryptionKey::from_bytes(bytes.expose()).map_err(|_| damaged())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = JweDecryptionKey::generate()?;
            let text = Secret::new(base64url::encode(key.to_bytes()?.expose()));
            private_file::create(path, text.expose().as_bytes()).map_err(|error| named(path, &error))?;
            Ok(key)
        }
        Err(error) => Err(named(path, &error)),
    }
}

/// A credential carries the certificate that it was signed under, and the service's own lives at least that long.
const CERTIFICATE_DAYS: i64 = 365;

fn check_lifetime(config: &Config) -> Result<(), StartError> {
    let longest = CERTIFICATE_DAYS * 86_400;
    if config.issuer.key == KeyKind::X5c && config.lifetimes.credential.is_some_and(|secs| secs > longest) {
        let detail =
            format!("key `lifetimes.credential`: at most {CERTIFICATE_DAYS} days with key = \"x5c\"");
        return Err(StartError(detail));
    }
    Ok(())
}

fn issuer_key(
    kind: KeyKind,
    keys: &ServiceKeys,
    identifier: &str,
    own_did: Option<&OwnDid>,
) -> Result<IssuerKey, StartError> {
    let signer = keys.signer();
    let public = signer.public_key().clone();
    let by_did = |did: did::Did, fragment: &str| -> CoreResult<(IssuerKeyHeader, String)> {
        let url = did.with_fragment(fragment)?;
        Ok((IssuerKeyHeader::Kid(url.to_string()), did.to_string()))
    };
    let (header, iss) = match kind {
        KeyKind::X5c => (IssuerKeyHeader::X5c(chain(keys)), identifier.to_owned()),
        KeyKind::WellKnown => {
            (IssuerKeyHeader::Kid(Jwk::from_key(&public).thumbprint()), identifier.to_owned())
        }
        KeyKind::DidWeb | KeyKind::DidWebvh => {
            let own = own_did.ok_or_else(|| StartError::new("the issuer has no DID"))?;
            let method = own.method(&public)?;
            (IssuerKeyHeader::Kid(method.to_string()), own.did().to_string())
        }
        KeyKind::DidJwk => by_did(did::jwk::encode(&public)?, "0")?,
        KeyKind::DidKey => {
            let did = did::key::encode(&public)?;
            let fragment = did.method_specific_id().to_owned();
            by_did(did, &fragment)?
        }
    };
    Ok(IssuerKey { signer, header, iss })
}
