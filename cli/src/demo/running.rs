//! The three servers of the demo in one process, each with its own folder, keys and store.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use carekey_core::attestation::WalletApps;
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::binding::claim::ClientKind;
use carekey_core::clock::SystemClock;
use carekey_core::encoding::base64url;
use carekey_core::holder::HttpClient;
use carekey_core::issuer::{Client, Wallet as KnownWallet};
use carekey_core::random::SystemRandom;
use carekey_core::secret::Secret;
use carekey_core::trust::IssuerRule;
use carekey_core::x509::TrustAnchor;
use carekey_service::dids::Dids;
use carekey_service::fetch::{FetchConfig, Fetcher};
use carekey_service::health;
use carekey_service::metrics::Metrics;
use carekey_service::serve::{self, Bound, ServerConfig};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::headless::recorder::Recorder;
use super::ports::Ports;
use super::wallet::{self, Wallet};
use crate::servers::{Failure, open_store};

/// How long a portal of the demo may use its copy of the hospital's status list: short, so that one sees a revocation.
pub(super) const STATUS_SECONDS: u64 = 2;

const HOSPITAL_NAME: &str = "Synthetic General Hospital";
const PORTAL_NAME: &str = "Example patient portal";

/// The app on a phone that the demo's hospital knows besides the wallet page: samples and tests of the wallet library.
const APP_NAME: &str = "CareKey demo app";
const APP_CLIENT_ID: &str = "carekey-demo-app";
const APP_RP_ID: &str = "app.wallet.example";
const APP_ORIGIN: &str = "https://app.wallet.example";
/// Where the browser takes the person back into the app after a sign-in.
const APP_REDIRECT: &str = "https://app.wallet.example/signed-in";

/// For how long the demo's hospital gives fresh copies of a credential.
const REFRESH_SECONDS: i64 = 30 * 86_400;
/// How long a wallet waits before it asks again for what the desk has to approve: short, so that one sees it arrive.
const DEFERRED_SECONDS: i64 = 1;

/// The running demo.
pub(super) struct Running {
    pub(super) hospital: Url,
    pub(super) wallet: Url,
    pub(super) portal: Url,
    pub(super) hospital_token: Secret<String>,
    pub(super) portal_token: Secret<String>,
    /// Links that sign in, for the terminal of whoever started the demo.
    pub(super) desk_link: Url,
    pub(super) portal_link: Url,
    /// The wallet's process.
    pub(super) holder: Arc<Wallet>,
    /// The trust anchors of hospital and portal, DER in base64url.
    anchors: (String, String),
    stop: watch::Sender<bool>,
    servers: JoinSet<std::io::Result<()>>,
}

struct Sockets {
    hospital: Bound,
    wallet: Bound,
    portal: Bound,
}

fn server_config(port: u16) -> ServerConfig {
    ServerConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        // a page of the portal keeps its event stream open: do not wait for it
        shutdown_seconds: 1,
        // the largest bodies are a pasted FHIR Bundle and a presentation
        body_bytes: 512 * 1024,
        ..ServerConfig::default()
    }
}

impl Running {
    /// Starts the demo on `ports` with its records in `folder`.
    pub(super) async fn start(folder: &Path, ports: Ports) -> Result<Self, Failure> {
        Self::start_with(folder, ports, None).await
    }

    /// The same on any free ports, with a hand in the wallet's connection.
    pub(super) async fn start_headless(folder: &Path) -> Result<(Self, Arc<Recorder>), Failure> {
        let recorder = Arc::new(Recorder::new(fetcher()?));
        let ports = Ports { hospital: 0, wallet: 0, portal: 0 };
        let running = Self::start_with(folder, ports, Some(Arc::clone(&recorder))).await?;
        Ok((running, recorder))
    }

    async fn start_with(
        folder: &Path,
        ports: Ports,
        recorder: Option<Arc<Recorder>>,
    ) -> Result<Self, Failure> {
        let bind = |port| serve::bind(&server_config(port)).map_err(Failure::new);
        let sockets = Sockets {
            hospital: bind(ports.hospital)?,
            wallet: bind(ports.wallet)?,
            portal: bind(ports.portal)?,
        };
        let url = |bound: &Bound| bound.public_url(&server_config(0)).map_err(Failure::new);
        let (hospital, wallet, portal) =
            (url(&sockets.hospital)?, url(&sockets.wallet)?, url(&sockets.portal)?);

        let desk = open_hospital(&folder.join("hospital"), &hospital, &wallet).await?;
        let gate =
            open_portal(&folder.join("portal"), &folder.join("hospital"), &hospital, &portal, &wallet)?;
        let http: Arc<dyn HttpClient> = match recorder {
            Some(recorder) => recorder,
            None => fetcher()?,
        };
        let holder_store = open_store(&folder.join("wallet"))?;
        let parts = wallet::Parts {
            public_url: wallet.clone(),
            store: Arc::clone(&holder_store),
            http,
            dids: Arc::new(Dids::new(fetcher()?, Arc::new(SystemClock), true)),
            issuers: IssuerRule {
                anchors: anchors(desk.anchor())?,
                dids: vec![desk.issuer().verification_method().map_err(Failure::new)?.did().clone()],
                ..IssuerRule::default()
            },
            portal: (PORTAL_NAME.to_owned(), anchors(gate.anchor())?),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        };
        let holder = Wallet::open(parts, &folder.join("wallet")).await.map_err(Failure::new)?;

        let (stop, _) = watch::channel(false);
        let mut running = Self {
            hospital_token: Secret::new(desk.token().expose().to_owned()),
            portal_token: Secret::new(gate.token().expose().to_owned()),
            desk_link: desk.access().sign_in_link(),
            portal_link: gate.pages().sign_in_link(),
            hospital,
            wallet,
            portal,
            anchors: (encoded(desk.anchor()), encoded(gate.anchor())),
            holder: Arc::clone(&holder),
            stop,
            servers: JoinSet::new(),
        };
        let wallet_metrics = Metrics::new();
        let wallet_health = health::routes(holder_store, Arc::new(SystemClock), Arc::clone(&wallet_metrics));
        running.serve(sockets.hospital, carekey_issuer::router(&desk), desk.metrics());
        running.serve(
            sockets.portal,
            carekey_verifier::router(Arc::clone(&gate)),
            Arc::clone(gate.metrics()),
        );
        running.serve(
            sockets.wallet,
            wallet::router(Arc::clone(&holder)).merge(wallet_health),
            wallet_metrics,
        );
        let stopped = running.stop.subscribe();
        running.servers.spawn(until(stopped.clone(), async move { gate.maintain().await }));
        running.servers.spawn(until(stopped, holder.watch()));
        Ok(running)
    }

    fn serve(&mut self, bound: Bound, router: Router, metrics: Arc<Metrics>) {
        let mut stopped = self.stop.subscribe();
        let shutdown = async move {
            // an error means that the sender is gone: stop as well
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        self.servers
            .spawn(async move { serve::run(bound, router, &server_config(0), &metrics, shutdown).await });
    }

    /// What a program needs to drive the demo with an app of its own.
    pub(super) fn description(&self) -> Value {
        json!({
            "hospital": self.hospital, "hospital_token": self.hospital_token.expose(),
            "hospital_anchor": self.anchors.0,
            "portal": self.portal, "portal_token": self.portal_token.expose(), "portal_anchor": self.anchors.1,
            "wallet": self.wallet,
            "app": { "client_id": APP_CLIENT_ID, "rp_id": APP_RP_ID, "origin": APP_ORIGIN,
                "redirect_uri": APP_REDIRECT },
        })
    }

    /// The origin of the wallet's page, as browsers write it.
    pub(super) fn wallet_origin(&self) -> String {
        self.wallet.origin().ascii_serialization()
    }

    /// Waits until a server ends by itself, which only a fault makes it do.
    pub(super) async fn ended(&mut self) -> Failure {
        match self.servers.join_next().await {
            Some(Ok(Err(error))) => Failure::new(error),
            _ => Failure::new("a server ended unexpectedly"),
        }
    }

    /// Lets running requests finish, closes the stores and returns.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let _ = self.stop.send(true);
        while let Some(ended) = self.servers.join_next().await {
            match ended {
                Ok(outcome) => outcome.map_err(Failure::new)?,
                Err(error) => return Err(Failure::new(error)),
            }
        }
        Ok(())
    }
}

/// Runs `work`, which never ends, until the demo stops.
async fn until(mut stopped: watch::Receiver<bool>, work: impl Future<Output = ()>) -> std::io::Result<()> {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = work => {}
    }
    Ok(())
}

/// The guarded client with leave to reach this computer: everybody in the demo lives here.
fn fetcher() -> Result<Arc<Fetcher>, Failure> {
    Fetcher::new(demo_fetch()).map(Arc::new).map_err(Failure::new)
}

fn demo_fetch() -> FetchConfig {
    FetchConfig { loopback: true, ..FetchConfig::default() }
}

fn encoded(der: Option<Vec<u8>>) -> String {
    base64url::encode(&der.unwrap_or_default())
}

fn anchors(der: Option<Vec<u8>>) -> Result<Vec<TrustAnchor>, Failure> {
    der.map(|der| TrustAnchor::from_der(&der))
        .transpose()
        .map(|anchor| anchor.into_iter().collect())
        .map_err(Failure::new)
}

async fn open_hospital(data: &Path, url: &Url, wallet: &Url) -> Result<Arc<carekey_issuer::App>, Failure> {
    let mut config =
        carekey_issuer::Config { data_dir: data.to_owned(), ..carekey_issuer::Config::default() };
    config.issuer.name = HOSPITAL_NAME.to_owned();
    config.issuer.wallet_offer_link = wallet.to_string();
    config.lifetimes.status_ttl = i64::try_from(STATUS_SECONDS).ok();
    config.lifetimes.refresh = Some(REFRESH_SECONDS);
    config.lifetimes.deferred_interval = Some(DEFERRED_SECONDS);
    config.clients = vec![Client {
        client_id: APP_CLIENT_ID.to_owned(),
        name: APP_NAME.to_owned(),
        redirect_uris: vec![APP_REDIRECT.to_owned()],
    }];
    config.wallets = vec![KnownWallet {
        client_id: wallet::CLIENT_ID.to_owned(),
        name: "CareKey demo wallet".to_owned(),
        rp_id: wallet::RP_ID.to_owned(),
        origins: vec![wallet.origin().ascii_serialization()],
        client: ClientKind::Browser,
        apps: WalletApps::default(),
    }];
    config.wallets.push(KnownWallet {
        client_id: APP_CLIENT_ID.to_owned(),
        name: APP_NAME.to_owned(),
        rp_id: APP_RP_ID.to_owned(),
        origins: vec![APP_ORIGIN.to_owned()],
        client: ClientKind::App,
        apps: WalletApps::default(),
    });
    config.required_levels = BTreeMap::from([
        ("patient_identity".to_owned(), AssuranceLevel::Uv),
        ("insurance_coverage".to_owned(), AssuranceLevel::Uv),
    ]);
    let store = open_store(data)?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    carekey_issuer::App::open(&config, url, store, clock, random).await.map_err(Failure::new)
}

fn open_portal(
    data: &Path,
    hospital_data: &Path,
    hospital: &Url,
    url: &Url,
    wallet: &Url,
) -> Result<Arc<carekey_verifier::App>, Failure> {
    let issuer = hospital.as_str().trim_end_matches('/');
    let mut config = carekey_verifier::Config {
        data_dir: data.to_owned(),
        name: PORTAL_NAME.to_owned(),
        wallet_request_link: wallet.to_string(),
        fetch: demo_fetch(),
        ..carekey_verifier::Config::default()
    };
    config.policy.status_seconds = STATUS_SECONDS;
    config.types.patient_identity = vec![format!("{issuer}/vct/patient-identity")];
    config.types.insurance_coverage = vec![format!("{issuer}/vct/insurance-coverage")];
    config.trust = vec![carekey_verifier::config::TrustRule {
        anchors: vec![hospital_data.join("ca.pem")],
        // W3C credentials name the hospital's key by its DID.
        dids: vec![carekey_core::issuer::catalogue::did_web(issuer).map_err(Failure::new)?.to_string()],
        ..carekey_verifier::config::TrustRule::default()
    }];
    let store = open_store(data)?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    carekey_verifier::App::open(config, url.clone(), store, clock, random).map_err(Failure::new)
}
