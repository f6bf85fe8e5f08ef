//! The patient's wallet of the demo: a local process with the holder engine, and a page in the browser whose passkey is
//! the second key (AK) of each credential and, through PRF, opens the wallet's records.
//!
//! ```text
//!  browser page ── JSON API (api.rs) ──▶ holder engine (core::holder) ──▶ issuer, verifier
//!    passkey                              records (records.rs) sealed by core::vault, holder keys (keys.rs)
//! ```

mod activity;
mod api;
mod issuing;
mod keys;
mod pending;
mod presenting;
mod records;
mod unlocking;
mod words;

use std::path::Path;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use carekey_core::clock::Clock;
use carekey_core::did::DidResolver;
use carekey_core::error::Result;
use carekey_core::holder::{HttpClient, StoredCredential};
use carekey_core::random::Random;
use carekey_core::store::Store;
use carekey_core::trust::{IssuerRule, IssuerTrust, VerifierTrust};
use carekey_core::vault::RecordType;
use carekey_core::x509::TrustAnchor;
use carekey_service::pages::{Actor, OwnOrigin, Sessions, assets, page, require_own_origin};
use carekey_service::problem::Problem;
use url::Url;

use keys::SoftwareKeys;
use pending::Pending;
use records::Records;

/// RP ID of the wallet's passkeys: the host name of its page.
pub(super) const RP_ID: &str = "localhost";
/// OAuth client identifier under which the hospital knows this wallet.
pub(super) const CLIENT_ID: &str = "carekey-demo-wallet";
/// Cookies do not know ports: no other CareKey server may use this name.
const COOKIE: &str = "carekey-wallet";

/// What the wallet stands on.
pub(super) struct Parts {
    pub(super) public_url: Url,
    pub(super) store: Arc<dyn Store>,
    pub(super) http: Arc<dyn HttpClient>,
    pub(super) dids: Arc<dyn DidResolver>,
    /// The issuers that the wallet knows.
    pub(super) issuers: IssuerRule,
    /// The one verifier on the wallet's list: its name and the anchor of its certificates.
    pub(super) portal: (String, Vec<TrustAnchor>),
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

/// The wallet's process.
pub(super) struct Wallet {
    own: Arc<OwnOrigin>,
    sessions: Sessions,
    records: Arc<Records>,
    http: Arc<dyn HttpClient>,
    dids: Arc<dyn DidResolver>,
    issuers: IssuerTrust,
    portal_name: String,
    verifiers: VerifierTrust,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    offers: Pending<issuing::Open>,
    requests: Pending<presenting::Open>,
    unlocks: Pending<[u8; 32]>,
}

impl Wallet {
    /// Opens the wallet whose records are in `parts.store` and whose device key, if it needs one, is in `folder`.
    pub(super) async fn open(parts: Parts, folder: &Path) -> Result<Arc<Self>> {
        let Parts { public_url, store, http, dids, issuers, portal, clock, random } = parts;
        let (portal_name, anchors) = portal;
        let device_key = folder.join("device.key");
        let records = Records::open(store, device_key, Arc::clone(&clock), Arc::clone(&random)).await?;
        Ok(Arc::new(Self {
            own: Arc::new(OwnOrigin::of(&public_url)),
            sessions: Sessions::new(COOKIE, false, Arc::clone(&clock), Arc::clone(&random)),
            records: Arc::new(records),
            http,
            dids,
            issuers: IssuerTrust::new(vec![issuers]),
            // this is a demo of what is shown: strangers may ask, and the page says that they are strangers
            portal_name,
            verifiers: VerifierTrust::new(anchors, Vec::new()).with_unknown_dids().with_unsigned(),
            clock,
            random,
            offers: Pending::default(),
            requests: Pending::default(),
            unlocks: Pending::default(),
        }))
    }

    /// Locks the wallet when it has been idle, until the process ends.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(15));
        loop {
            ticks.tick().await;
            self.records.lock_if_idle();
        }
    }

    /// The keys of a session's credentials.
    fn keys(&self, session: &str) -> SoftwareKeys {
        SoftwareKeys::new(Arc::clone(&self.records), Arc::clone(&self.random), session)
    }

    async fn credentials(&self, session: &str) -> Result<Vec<StoredCredential>> {
        let mut all: Vec<StoredCredential> = self.records.all(session, CREDENTIAL).await?;
        all.sort_by_key(|credential| std::cmp::Reverse(credential.issued_at));
        Ok(all)
    }

    /// The credentials and the key of one of them as somebody has them who copied the unlocked wallet's records: for the
    /// attacks of the headless run.
    pub(super) async fn stolen(&self, headers: &HeaderMap) -> Result<(Vec<StoredCredential>, SoftwareKeys)> {
        let session = self.sessions.find(headers).map(|session| session.id().to_owned()).unwrap_or_default();
        Ok((self.credentials(&session).await?, self.keys(&session)))
    }
}

const CREDENTIAL: RecordType = RecordType::new("credential");

/// The page, its files and its JSON API.
pub(super) fn router(wallet: Arc<Wallet>) -> Router {
    let own = Arc::clone(&wallet.own);
    Router::new()
        .route("/", get(home))
        .merge(api::routes(Arc::clone(&wallet)))
        .with_state(wallet)
        .layer(from_fn_with_state(own, require_own_origin))
        .merge(assets(Actor::Wallet, include_str!("../../assets/wallet.js")))
}

#[derive(Template)]
#[template(path = "wallet.html")]
struct WalletPage<'a> {
    csrf: &'a str,
}

async fn home(State(wallet): State<Arc<Wallet>>, headers: HeaderMap) -> Response {
    let known = wallet.sessions.find(&headers);
    let (session, cookie) = match known {
        Some(session) => (session, None),
        None => {
            let session = wallet.sessions.open();
            let cookie = wallet.sessions.set_cookie(&session);
            (session, Some(cookie))
        }
    };
    match (WalletPage { csrf: session.csrf() }).render() {
        Ok(html) => {
            let mut response = page(StatusCode::OK, html);
            if let Some(cookie) = cookie.and_then(|cookie| cookie.parse().ok()) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(_) => Problem::internal().into_response(),
    }
}

#[cfg(test)]
mod tests;
