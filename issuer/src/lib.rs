//! The CareKey issuer: OpenID4VCI 1.0, token status lists and the hospital desk.
//!
//! [`App::open`] puts the parts together, [`router`] is the whole route table. Every rule is in
//! [`carekey_core::issuer`]; a handler here extracts, calls and maps.

pub mod app;
mod attestation;
mod caller;
pub mod config;
pub mod did;
pub mod external;
pub mod login;
pub mod patients;
mod reply;
pub mod rotation;
pub mod routes;
mod table;
mod vc_api;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use carekey_service::pages::require_own_origin;
use carekey_service::{auth, cors, health, limit};

pub use app::App;
pub use config::Config;

use table::Table;

/// The route table. Wallet endpoints are open to browsers of every origin and limited per client; the management API
/// needs the bearer token. The desk's pages have a table of their own in [`routes::desk`]; operational routes come from
/// [`health::routes`].
pub fn router(app: &Arc<App>) -> Router {
    let wallet = wallet_routes().into_router(Arc::clone(app));
    let wallet = wallet.layer(from_fn_with_state(Arc::clone(app), reply::fresh_nonces));
    let wallet = limit::apply(cors::open(wallet), app.limiter());
    let api = auth::require(api_routes().into_router(Arc::clone(app)), app.token().clone());
    let desk = routes::desk::router(Arc::clone(app));
    // Pages for people: not for scripts of other origins.
    let sign_in = sign_in_routes().into_router(Arc::clone(app));
    let own = from_fn_with_state(app.access().own_origin(), require_own_origin);
    let sign_in = limit::apply(sign_in.layer(own), app.limiter());
    wallet.merge(sign_in).merge(api).merge(desk).merge(vc_api(app)).merge(health::routes(
        app.store(),
        app.clock(),
        app.metrics(),
    ))
}

/// The VC-API where it is turned on; its status lists are for everybody.
fn vc_api(app: &Arc<App>) -> Router {
    let Some(state) = app.vc_api() else { return Router::new() };
    let calls = vc_api_routes().into_router(Arc::clone(state));
    let calls = if state.authenticates() { auth::require(calls, app.token().clone()) } else { calls };
    let lists = cors::open(vc_status_routes().into_router(Arc::clone(state)));
    calls.merge(limit::apply(lists, app.limiter()))
}

fn vc_api_routes() -> Table<Arc<vc_api::VcApi>> {
    Table::new()
        .post("/credentials/issue", routes::vc_api::issue)
        .post("/issuers/{name}/credentials/issue", routes::vc_api::issue_as)
        .post("/credentials/status", routes::vc_api::change_status)
}

fn vc_status_routes() -> Table<Arc<vc_api::VcApi>> {
    Table::new().get("/credentials/status/{key}/{purpose}/{list}", routes::vc_api::status_list)
}

fn wallet_routes() -> Table<Arc<App>> {
    Table::new()
        .get("/.well-known/openid-credential-issuer", routes::metadata::credential_issuer)
        .get("/.well-known/oauth-authorization-server", routes::metadata::authorization_server)
        .get("/.well-known/jwt-vc-issuer", routes::metadata::jwt_vc_issuer)
        .get("/.well-known/did.json", routes::metadata::did_document)
        .get("/.well-known/did.jsonl", routes::metadata::did_log)
        .get("/vct/{name}", routes::metadata::type_metadata)
        .get("/policy/binding/{version}", routes::metadata::binding_policy)
        .get("/contexts/health/v1", routes::metadata::context)
        .get("/oid4vci/offers/{id}", routes::offer::by_reference)
        .post("/oid4vci/par", routes::authorization::push)
        .post("/oid4vci/token", routes::token::exchange)
        .post("/oid4vci/challenge", routes::nonce::challenge)
        .post("/oid4vci/nonce", routes::nonce::fresh)
        .post("/oid4vci/credential", routes::credential::issue)
        .post("/oid4vci/deferred", routes::deferred::ask)
        .post("/oid4vci/notification", routes::notification::take)
        .get("/status/{list}", routes::status::list)
        .get("/status/{list}/{purpose}", routes::status::bitstring)
        .get("/openapi.json", routes::openapi::document)
}

fn sign_in_routes() -> Table<Arc<App>> {
    Table::new()
        .get("/oid4vci/authorize", routes::authorization::authorize)
        .get("/oid4vci/login", routes::authorization::login)
        .get("/oid4vci/login/provider", routes::authorization::provider)
        .get("/oid4vci/login/callback", routes::authorization::callback)
        .post("/oid4vci/login/code", routes::authorization::code)
        .post("/oid4vci/login/cancel", routes::authorization::cancel)
}

fn api_routes() -> Table<Arc<App>> {
    Table::new()
        .get("/api/offers", routes::api_offers::list)
        .post("/api/offers", routes::api_offers::create)
        .get("/api/offers/{id}", routes::api_offers::read)
        .post("/api/offers/{id}/approve", routes::deferred::approve)
        .post("/api/offers/{id}/deny", routes::deferred::deny)
        .get("/api/credentials", routes::api_credentials::list)
        .get("/api/credentials/{id}", routes::api_credentials::read)
        .get("/api/credentials/{id}/enrolment", routes::api_credentials::enrolment)
        .post("/api/credentials/{id}/revoke", routes::api_credentials::revoke)
        .post("/api/credentials/{id}/suspend", routes::api_credentials::suspend)
        .post("/api/credentials/{id}/reinstate", routes::api_credentials::reinstate)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_openapi_document_lists_the_routes_and_no_others() {
        let document: Value = serde_json::from_str(routes::openapi::DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<(&str, &str)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |m| (m.as_str(), path.as_str()))
            })
            .collect();
        let (wallet, api, sign_in) = (wallet_routes(), api_routes(), sign_in_routes());
        let (calls, lists) = (vc_api_routes(), vc_status_routes());
        let vc_api = || calls.entries().iter().chain(lists.entries()).copied();
        let operational = [("get", "/healthz"), ("get", "/readyz"), ("get", "/metrics")];
        let routed: BTreeSet<(&str, &str)> = wallet
            .entries()
            .iter()
            .chain(api.entries())
            .chain(sign_in.entries())
            .copied()
            .chain(vc_api())
            .chain(operational)
            .collect();
        assert_eq!(documented, routed);
        let count = sign_in.entries().len()
            + wallet.entries().len()
            + api.entries().len()
            + vc_api().count()
            + operational.len();
        assert_eq!(routed.len(), count);
        // Where the VC-API is off, the document that is served has none of it.
        let served: Value = serde_json::from_str(&routes::openapi::without_vc_api()).unwrap();
        let left = served["paths"].as_object().unwrap();
        assert_eq!(left.len(), paths.len() - vc_api().count());
        assert!(vc_api().all(|(_, path)| !left.contains_key(path)));
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document: Value = serde_json::from_str(routes::openapi::DOCUMENT).unwrap();
        let mut seen = 0;
        let mut todo = vec![&document];
        while let Some(value) = todo.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                seen += 1;
            }
            todo.extend(value.as_object().into_iter().flat_map(|object| object.values()));
            todo.extend(value.as_array().into_iter().flatten());
        }
        assert!(seen > 20);
    }
}
