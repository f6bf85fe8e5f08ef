//! `carekey issuer` and `carekey verifier`: one server for real, by configuration file and environment.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use carekey_core::clock::SystemClock;
use carekey_core::random::SystemRandom;
use carekey_core::store::Store;
use carekey_service::{config, log, serve};
use carekey_storage::SledStore;

/// Why the program stops, for the person in front of it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens the embedded store in `data`.
pub(crate) fn open_store(data: &Path) -> Result<Arc<dyn Store>, Failure> {
    std::fs::create_dir_all(data).map_err(|error| Failure::new(format!("{}: {error}", data.display())))?;
    let path = data.join("store");
    let store =
        SledStore::open(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    Ok(Arc::new(store))
}

/// Paths are relative to the configuration file, those of TLS too.
fn resolve_tls(file: &Path, server: &mut serve::ServerConfig) {
    if let Some(tls) = &mut server.tls {
        tls.certificate = config::resolve(Some(file), &tls.certificate);
        tls.key = config::resolve(Some(file), &tls.key);
    }
}

/// Runs the issuer until it is told to stop.
pub(crate) async fn issuer(file: &Path) -> Result<(), Failure> {
    let mut config: carekey_issuer::Config =
        config::load(Some(file), "CAREKEY_ISSUER").map_err(Failure::new)?;
    log::init(&config.log).map_err(Failure::new)?;
    config.data_dir = config::resolve(Some(file), &config.data_dir);
    resolve_tls(file, &mut config.server);
    if let Some(metadata) = &mut config.fido_metadata {
        metadata.blob = config::resolve(Some(file), &metadata.blob);
        for root in &mut metadata.roots {
            *root = config::resolve(Some(file), root);
        }
    }
    for provider in &mut config.wallet_providers {
        let lists =
            provider.lists.iter_mut().flat_map(|list| list.file.iter_mut().chain(&mut list.operators));
        for path in provider.anchors.iter_mut().chain(&mut provider.jwks).chain(lists) {
            *path = config::resolve(Some(file), path);
        }
    }
    let tokens = config.patients.as_mut().and_then(|patients| patients.bearer_token.as_mut());
    let secrets = config.provider.as_mut().and_then(|provider| provider.client_secret.as_mut());
    for path in tokens.into_iter().chain(secrets).chain(&mut config.fetch.authorities) {
        *path = config::resolve(Some(file), path);
    }
    let bound = serve::bind(&config.server).map_err(Failure::new)?;
    let public_url = bound.public_url(&config.server).map_err(Failure::new)?;
    let store = open_store(&config.data_dir)?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let app =
        carekey_issuer::App::open(&config, &public_url, store, clock, random).await.map_err(Failure::new)?;
    let stop = serve::signal();
    println!("CareKey issuer at {public_url}, listening on {}", bound.address());
    println!("Management token and keys: {}", config.data_dir.display());
    let metrics = app.metrics();
    serve::run(bound, carekey_issuer::router(&app), &config.server, &metrics, stop)
        .await
        .map_err(Failure::new)
}

/// Runs the verifier until it is told to stop.
pub(crate) async fn verifier(file: &Path) -> Result<(), Failure> {
    let mut config: carekey_verifier::Config =
        config::load(Some(file), "CAREKEY_VERIFIER").map_err(Failure::new)?;
    log::init(&config.log).map_err(Failure::new)?;
    config.data_dir = config::resolve(Some(file), &config.data_dir);
    resolve_tls(file, &mut config.server);
    let anchors = config.trust.iter_mut().flat_map(|rule| &mut rule.anchors);
    for anchor in anchors.chain(&mut config.fetch.authorities) {
        *anchor = config::resolve(Some(file), anchor);
    }
    let bound = serve::bind(&config.server).map_err(Failure::new)?;
    let public_url = bound.public_url(&config.server).map_err(Failure::new)?;
    let store = open_store(&config.data_dir)?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let app = carekey_verifier::App::open(config, public_url.clone(), store, clock, random)
        .map_err(Failure::new)?;
    let stop = serve::signal();
    println!("CareKey verifier at {public_url}, listening on {}", bound.address());
    println!("Management token and keys: {}", app.config().data_dir.display());
    let upkeep = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.maintain().await }
    });
    let (router, metrics) = (carekey_verifier::router(Arc::clone(&app)), Arc::clone(app.metrics()));
    let outcome = serve::run(bound, router, &app.config().server, &metrics, stop).await;
    upkeep.abort();
    outcome.map_err(Failure::new)
}
