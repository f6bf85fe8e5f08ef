//! The CareKey verifier: OpenID4VP 1.0 and the portal page.
//!
//! [`App`] is the service without HTTP: requests are made, answers judged, outcomes kept for a short time. [`router`]
//! puts it on the web. Edges translate; every rule about credentials is in [`carekey_core::verifier`].

pub mod app;
pub mod config;
#[cfg(feature = "foreign-suites")]
pub mod foreign;
pub mod openapi;
pub mod routes;
pub mod templates;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use carekey_service::{auth, cors, health, limit};

pub use app::{App, CreateRequest, CreatedRequest, Outcome, RequestState, RequestView};
pub use config::Config;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The bearer of the management token.
    Management,
    /// Everybody, from pages of every origin, as often as the rate limit allows.
    Public,
    /// The bearer of the management token where the VC-API is turned on, unless it is set to do without.
    VcApi,
    /// Like [`Access::Public`], where the resolver is turned on.
    Resolver,
}

/// One path of the service: the methods it answers, who may call it, and its handlers.
pub type Route = (&'static str, &'static [&'static str], Access, MethodRouter<Arc<App>>);

/// The whole table, but for `/healthz`, `/readyz`, `/metrics` ([`health::routes`]) and the portal's pages.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    use Access::{Management, Public, Resolver, VcApi};
    vec![
        ("/api/requests",              &["POST"],        Management, post(routes::create_request::create)),
        ("/api/requests/{id}",         &["GET"],         Management, get(routes::outcome::outcome)),
        ("/api/requests/{id}/events",  &["GET"],         Management, get(routes::events::events)),
        ("/api/requests/{id}/response", &["POST"],       Management, post(routes::brought::receive)),
        ("/api/response-codes",        &["POST"],        Management, post(routes::response_code::redeem)),
        ("/oid4vp/requests/{id}",      &["GET", "POST"], Public,
            get(routes::request_object::by_get).post(routes::request_object::by_post)),
        ("/oid4vp/responses/{id}",     &["POST"],        Public,     post(routes::response::receive)),
        ("/.well-known/did.json",      &["GET"],         Public,     get(routes::did_document::did_document)),
        ("/credentials/verify",        &["POST"],        VcApi,      post(routes::vc_api::credential)),
        ("/credentials/derive",        &["POST"],        VcApi,      post(routes::vc_api::derive)),
        ("/presentations/verify",      &["POST"],        VcApi,      post(routes::vc_api::presentation)),
        ("/1.0/identifiers/{did}",     &["GET"],         Resolver,   get(routes::identifiers::resolve)),
        ("/openapi.json",              &["GET"],         Public,     get(openapi::document)),
    ]
}

/// The service, ready for [`carekey_service::serve::run`].
pub fn router(app: Arc<App>) -> Router {
    let (mut management, mut public, mut open) = (Router::new(), Router::new(), Router::new());
    let (api, resolver) = (&app.config().vc_api, &app.config().resolver);
    for (path, _, access, handlers) in routes() {
        match access {
            Access::Management => management = management.route(path, handlers),
            Access::Public => public = public.route(path, handlers),
            Access::Resolver if resolver.enabled => public = public.route(path, handlers),
            Access::VcApi if api.enabled && api.authenticate => management = management.route(path, handlers),
            Access::VcApi if api.enabled => open = open.route(path, handlers),
            Access::Resolver | Access::VcApi => {}
        }
    }
    let public = cors::open(public.with_state(Arc::clone(&app)));
    auth::require(management.with_state(Arc::clone(&app)), app.token().clone())
        .merge(limit::apply(public, app.limiter().clone()))
        .merge(open.with_state(Arc::clone(&app)))
        .merge(health::routes(app.store(), app.clock(), Arc::clone(app.metrics())))
        .merge(routes::portal::router(Arc::clone(&app), Arc::clone(app.pages())))
}
