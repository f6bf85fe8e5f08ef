//! Answering HTTP: binding, TLS, the layers around every route, and a graceful end.

mod idle;
mod layers;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsAcceptor;
use carekey_core::random::{Random, SystemRandom};
use hyper_util::rt::TokioTimer;
use serde::Deserialize;
use url::Url;

use crate::client::Network;
use crate::metrics::Metrics;
use idle::IdleAcceptor;

pub use layers::{RequestId, harden};

/// Where and how a server answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct ServerConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address under which clients reach this server, without a path; absent: `http://localhost:PORT`.
    pub public_url: Option<Url>,
    /// Certificate and key; absent: plain HTTP (behind a proxy that does TLS, or on loopback).
    pub tls: Option<TlsFiles>,
    /// Seconds for reading a request and making the head of its answer.
    pub request_seconds: u64,
    /// Seconds after which a connection is closed on which no byte moved, at least five more than `request_seconds`.
    pub idle_seconds: u64,
    /// Seconds that running requests get to finish when the server stops.
    pub shutdown_seconds: u64,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Proxies whose `X-Forwarded-For` is believed, as addresses or networks.
    pub trusted_proxies: Vec<Network>,
}

/// TLS by certificate files (PEM).
#[derive(Debug, Clone, Deserialize)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            tls: None,
            request_seconds: 30,
            idle_seconds: 60,
            shutdown_seconds: 10,
            body_bytes: 512 * 1024,
            trusted_proxies: Vec::new(),
        }
    }
}

/// A socket that listens, before anything answers on it.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// The address, with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The configured public URL, or `http(s)://localhost:PORT`: WebAuthn wants a name, not an address.
    pub fn public_url(&self, config: &ServerConfig) -> io::Result<Url> {
        match &config.public_url {
            Some(url) => Ok(url.clone()),
            None => {
                let scheme = if config.tls.is_some() { "https" } else { "http" };
                Url::parse(&format!("{scheme}://localhost:{}", self.address.port())).map_err(io::Error::other)
            }
        }
    }
}

/// Takes the address of `config`; the error names it.
pub fn bind(config: &ServerConfig) -> io::Result<Bound> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", config.listen))
    };
    let listener = TcpListener::bind(config.listen).map_err(named)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

/// Answers requests by `router`, with the layers of [`harden`] around it, until `shutdown` is done; then takes no new
/// connection, lets running requests finish for [`ServerConfig::shutdown_seconds`], and returns.
pub async fn run(
    bound: Bound,
    router: Router,
    config: &ServerConfig,
    metrics: &Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // The first random bytes of a process take tens of milliseconds: not at the cost of the first client.
    SystemRandom.fill(&mut [0; 1]);
    let handle = Handle::new();
    let (stopper, patience) = (handle.clone(), Duration::from_secs(config.shutdown_seconds));
    let waiting = tokio::spawn(async move {
        shutdown.await;
        stopper.graceful_shutdown(Some(patience));
    });
    let service = harden(router, config, metrics).into_make_service_with_connect_info::<SocketAddr>();
    // Slow heads are cut here, slow bodies by the time limit of the request.
    let head_time = Duration::from_secs(config.request_seconds);
    let idle =
        IdleAcceptor(Duration::from_secs(config.idle_seconds.max(config.request_seconds.saturating_add(5))));
    let mut server = axum_server::from_tcp(bound.listener)?.handle(handle).acceptor(idle);
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(head_time);
    let outcome = match &config.tls {
        None => server.serve(service).await,
        Some(files) => {
            let tls = tls::load(files)?;
            let renewals = tls::watch(tls.clone(), files.clone());
            let outcome = server.map(|idle| RustlsAcceptor::new(tls).acceptor(idle)).serve(service).await;
            renewals.abort();
            outcome
        }
    };
    waiting.abort();
    outcome
}

/// Done on Ctrl-C, and on SIGTERM where there is one. From this call on (not only from the first poll) they no longer end
/// the process by themselves: to be called before a program says that it is ready.
#[cfg(unix)]
pub fn signal() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn received(signal: Option<Signal>) {
        match signal {
            Some(mut signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
    let (interrupt, terminate) = (signal(SignalKind::interrupt()).ok(), signal(SignalKind::terminate()).ok());
    async move {
        tokio::select! {
            () = received(interrupt) => {}
            () = received(terminate) => {}
        }
    }
}

/// Done on Ctrl-C.
#[cfg(not(unix))]
pub fn signal() -> impl Future<Output = ()> + Send + 'static {
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
