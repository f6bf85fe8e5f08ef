//! `carekey conformance`: issuer and verifier with the VC-API open, for test suites on this computer.
//!
//! Nothing here is for real use: whoever reaches the ports can have anything signed. So it listens on loopback only,
//! keeps nothing after it ends, and its keys are new each time.

mod dids;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use carekey_core::clock::SystemClock;
use carekey_core::random::SystemRandom;
use carekey_core::store::MemoryStore;
use carekey_service::fetch::FetchConfig;
use carekey_service::keys;
use carekey_service::limit::LimitConfig;
use carekey_service::serve::{self, Bound, ServerConfig, TlsFiles};
use carekey_verifier::config::IssuerBinding;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use url::Url;

use crate::args::ConformanceArguments;
use crate::servers::Failure;

/// The suites send credentials of some hundred statements, but no more than this.
const BODY_BYTES: usize = 2 * 1024 * 1024;

/// Starts both, prints one line of JSON with keys and addresses, and runs until it is told to stop.
pub(crate) async fn run(arguments: ConformanceArguments) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(Failure::new)?;
    let tls = certificate(&folder.path().join("tls"))?;
    let (issuer_bound, issuer_config) = bind(arguments.issuer_port, &tls)?;
    let (verifier_bound, verifier_config) = bind(arguments.verifier_port, &tls)?;
    let issuer_url = issuer_bound.public_url(&issuer_config).map_err(Failure::new)?;
    let verifier_url = verifier_bound.public_url(&verifier_config).map_err(Failure::new)?;

    let issuer = open_issuer(folder.path(), &issuer_config, &issuer_url).await?;
    let authority = folder.path().join("tls").join("ca.pem");
    let verifier = open_verifier(folder.path(), &verifier_config, &verifier_url, &authority)?;
    let told = serve::signal();
    let (did_logs, did_resolution) = dids::publish(&issuer_url)?;
    println!("{}", description(&issuer, &issuer_url, &verifier_url, did_resolution));

    let (stop, stopped) = watch::channel(false);
    let until = |mut stopped: watch::Receiver<bool>| async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let (issuer_metrics, verifier_metrics) = (issuer.metrics(), Arc::clone(verifier.metrics()));
    let issuing = serve::run(
        issuer_bound,
        carekey_issuer::router(&issuer).merge(did_logs),
        &issuer_config,
        &issuer_metrics,
        until(stopped.clone()),
    );
    let verifying = serve::run(
        verifier_bound,
        carekey_verifier::router(Arc::clone(&verifier)),
        &verifier_config,
        &verifier_metrics,
        until(stopped),
    );
    let signal = async {
        told.await;
        let _ = stop.send(true);
        Ok(())
    };
    tokio::try_join!(issuing, verifying, signal).map(|_| ()).map_err(Failure::new)
}

/// A certificate for localhost by an authority of its own.
fn certificate(folder: &Path) -> Result<TlsFiles, Failure> {
    let url = Url::parse("https://localhost").map_err(Failure::new)?;
    keys::load_or_create(folder, &url, &SystemRandom, &SystemClock).map_err(Failure::new)?;
    Ok(TlsFiles { certificate: folder.join("signing.pem"), key: folder.join("signing.key") })
}

fn bind(port: u16, tls: &TlsFiles) -> Result<(Bound, ServerConfig), Failure> {
    let config = ServerConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: Some(tls.clone()),
        shutdown_seconds: 1,
        body_bytes: BODY_BYTES,
        ..ServerConfig::default()
    };
    Ok((serve::bind(&config).map_err(Failure::new)?, config))
}

fn no_limit() -> LimitConfig {
    LimitConfig { per_minute: 0, ..LimitConfig::default() }
}

async fn open_issuer(
    folder: &Path,
    server: &ServerConfig,
    url: &Url,
) -> Result<Arc<carekey_issuer::App>, Failure> {
    let mut config = carekey_issuer::Config {
        server: server.clone(),
        limit: no_limit(),
        data_dir: folder.join("issuer"),
        ..carekey_issuer::Config::default()
    };
    config.vc_api.enabled = true;
    config.vc_api.authenticate = false;
    let store = Arc::new(MemoryStore::new());
    carekey_issuer::App::open(&config, url, store, Arc::new(SystemClock), Arc::new(SystemRandom))
        .await
        .map_err(Failure::new)
}

fn open_verifier(
    folder: &Path,
    server: &ServerConfig,
    url: &Url,
    authority: &Path,
) -> Result<Arc<carekey_verifier::App>, Failure> {
    let mut config = carekey_verifier::Config {
        server: server.clone(),
        limit: no_limit(),
        fetch: FetchConfig {
            loopback: true,
            authorities: vec![authority.to_owned()],
            ..FetchConfig::default()
        },
        data_dir: folder.join("verifier"),
        ..carekey_verifier::Config::default()
    };
    config.vc_api.enabled = true;
    config.vc_api.authenticate = false;
    // The suites' fixed vectors have https issuers, and their presentations credentials without proof.
    config.vc_api.issuer_binding = IssuerBinding::DidsOnly;
    config.vc_api.accept_unsecured = true;
    config.vc_api.foreign_suites = cfg!(feature = "foreign-suites");
    let store = Arc::new(MemoryStore::new());
    carekey_verifier::App::open(config, url.clone(), store, Arc::new(SystemClock), Arc::new(SystemRandom))
        .map_err(Failure::new)
}

fn description(
    issuer: &carekey_issuer::App,
    issuer_url: &Url,
    verifier_url: &Url,
    did_resolution: Value,
) -> Value {
    let at = |base: &Url, path: &str| format!("{}{path}", base.as_str().trim_end_matches('/'));
    let names = issuer.vc_api_names();
    let issuers: BTreeMap<String, String> = names
        .into_iter()
        .map(|name| {
            let url = at(issuer_url, &format!("/issuers/{name}/credentials/issue"));
            (name, url)
        })
        .collect();
    let dids = issuer.vc_api_dids().into_iter();
    let mut all: Map<String, Value> = dids.map(|(name, did)| (name.to_owned(), did.into())).collect();
    all.insert("issuer".into(), at(issuer_url, "").into());
    all.insert("verifier".into(), at(verifier_url, "").into());
    let endpoints = json!({
        "issue": at(issuer_url, "/credentials/issue"),
        "issueEnveloped": at(issuer_url, "/issuers/vc-jwt-ed25519/credentials/issue"),
        "issuers": issuers,
        "derive": at(verifier_url, "/credentials/derive"),
        "verify": at(verifier_url, "/credentials/verify"),
        "verifyPresentation": at(verifier_url, "/presentations/verify"),
        "resolver": at(verifier_url, "/1.0/identifiers"),
    });
    all.insert("endpoints".into(), endpoints);
    all.insert("didResolution".into(), did_resolution);
    all.into()
}
