//! The JSON API of the wallet's page. Every call names the page's session by cookie and by a header that only the page
//! knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json as Answer, Router};
use carekey_core::encoding::base64url;
use carekey_core::error::Error;
use carekey_core::secret::Secret;
use carekey_core::webauthn::assertion::AuthenticationResponse;
use carekey_core::webauthn::registration::RegistrationResponse;
use carekey_service::extract::{Json, Path};
use carekey_service::problem::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::presenting::Chosen;
use super::records::Protection;
use super::{Wallet, words};

/// Header with the page's own value.
const CSRF: &str = "x-carekey-csrf";

type Reply = Result<Answer<Value>, Problem>;

/// The session of a request, checked.
#[derive(Clone)]
struct SessionId(String);

pub(super) fn routes(wallet: Arc<Wallet>) -> Router<Arc<Wallet>> {
    Router::new()
        .route("/api/state", get(state))
        .route("/api/credentials", get(credentials))
        .route("/api/credentials/{id}", delete(remove))
        .route("/api/activity", get(activity))
        .route("/api/lock", post(lock))
        .route("/api/erase", post(erase))
        .route("/api/unlock/options", post(unlock_options))
        .route("/api/unlock", post(unlock))
        .route("/api/open", post(open))
        .route("/api/offers/{name}/prepare", post(prepare_offer))
        .route("/api/offers/{name}/finish", post(finish_offer))
        .route("/api/offers/{name}/decline", post(decline_offer))
        .route("/api/requests/{name}/prepare", post(prepare_request))
        .route("/api/requests/{name}/finish", post(finish_request))
        .route("/api/requests/{name}/decline", post(decline_request))
        .layer(from_fn_with_state(wallet, require_page))
}

/// Lets only the page of an open session through.
async fn require_page(State(wallet): State<Arc<Wallet>>, mut request: Request, next: Next) -> Response {
    match page_session(&wallet, request.headers()) {
        Some(id) => {
            wallet.records.touch(&id);
            request.extensions_mut().insert(SessionId(id));
            let mut response = next.run(request).await;
            let no_store = axum::http::HeaderValue::from_static("no-store");
            response.headers_mut().insert(axum::http::header::CACHE_CONTROL, no_store);
            response
        }
        None => Problem::new(StatusCode::UNAUTHORIZED, "no_session", "please open the wallet's page again")
            .into_response(),
    }
}

fn page_session(wallet: &Wallet, headers: &HeaderMap) -> Option<String> {
    let session = wallet.sessions.find(headers)?;
    let sent = headers.get(CSRF)?.to_str().ok()?;
    session.accepts(sent).then(|| session.id().to_owned())
}

/// Faults of the wallet's own data or of its prompts are the page's to show; none is a fault of the server.
fn refused(error: Error) -> Problem {
    match error.code() {
        "wallet_locked" => Problem::new(StatusCode::LOCKED, "wallet_locked", error.detail().to_owned()),
        _ if matches!(error, Error::Misuse { .. }) => {
            Problem::new(StatusCode::BAD_REQUEST, error.code(), error.detail().to_owned())
        }
        _ if matches!(error, Error::Unavailable { .. }) => {
            Problem::new(StatusCode::BAD_GATEWAY, error.code(), error.detail().to_owned())
        }
        _ => error.into(),
    }
}

async fn state(State(wallet): State<Arc<Wallet>>, Extension(session): Extension<SessionId>) -> Answer<Value> {
    let protection = wallet.records.protection();
    Answer(json!({
        "locked": wallet.records.is_locked(&session.0),
        "can_lock": protection == Protection::PasskeyPrf,
        "protection": protection,
        "protection_text": words::protection(protection),
    }))
}

async fn credentials(State(wallet): State<Arc<Wallet>>, Extension(session): Extension<SessionId>) -> Reply {
    let all = wallet.credentials(&session.0).await.map_err(refused)?;
    Ok(Answer(json!({ "credentials": all.iter().map(words::credential).collect::<Vec<_>>() })))
}

async fn remove(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Path(id): Path<String>,
) -> Reply {
    let all = wallet.credentials(&session.0).await.map_err(refused)?;
    let found = all.iter().find(|credential| credential.id == id);
    let credential = found.ok_or_else(|| Problem::not_found("there is no such credential"))?;
    wallet.forget(&session.0, credential).await.map_err(refused)?;
    Ok(Answer(json!({})))
}

async fn activity(State(wallet): State<Arc<Wallet>>, Extension(session): Extension<SessionId>) -> Reply {
    let activity = wallet.activity(&session.0).await.map_err(refused)?;
    Ok(Answer(json!({ "activity": activity })))
}

async fn lock(State(wallet): State<Arc<Wallet>>) -> Answer<Value> {
    wallet.records.lock();
    Answer(json!({}))
}

async fn erase(State(wallet): State<Arc<Wallet>>) -> Reply {
    wallet.records.erase().await.map_err(refused)?;
    Ok(Answer(json!({})))
}

async fn unlock_options(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
) -> Reply {
    let options = wallet.unlock_options(&session.0).await.map_err(refused)?;
    Ok(Answer(json!({ "options": options })))
}

/// An answer of `navigator.credentials.get()`; the PRF result stands beside the response, never in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asserted {
    assertion: AuthenticationResponse,
    #[serde(default)]
    prf: Option<String>,
}

/// An answer of `navigator.credentials.create()`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registered {
    #[serde(default)]
    registration: Option<RegistrationResponse>,
    #[serde(default)]
    prf: Option<String>,
    /// Whether the authenticator says that the key can do PRF.
    #[serde(default)]
    prf_enabled: bool,
}

fn prf_result(prf: Option<String>) -> Result<Option<Secret<Vec<u8>>>, Problem> {
    let Some(text) = prf.map(Secret::new) else { return Ok(None) };
    let bad = || Problem::bad_request("prf_result", "a PRF result has 32 bytes");
    let bytes = base64url::decode(text.expose()).map_err(|_| bad())?;
    if bytes.len() == 32 { Ok(Some(Secret::new(bytes))) } else { Err(bad()) }
}

async fn unlock(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Json(answer): Json<Asserted>,
) -> Reply {
    let prf = prf_result(answer.prf)?;
    let no_prf = || Problem::bad_request("prf_missing", "this passkey gave no key for the wallet's records");
    wallet.unlock(&session.0, &answer.assertion, &prf.ok_or_else(no_prf)?).await.map_err(refused)?;
    Ok(Answer(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    link: String,
}

async fn open(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Json(Link { link }): Json<Link>,
) -> Reply {
    if wallet.records.is_locked(&session.0) {
        let problem =
            Problem::new(StatusCode::LOCKED, "wallet_locked", "the wallet is locked: please unlock it first");
        return Err(problem);
    }
    let is_offer = link.contains("credential_offer=") || link.contains("credential_offer_uri=");
    let opened = if is_offer {
        wallet.open_offer(&session.0, &link).await
    } else {
        wallet.open_request(&session.0, &link).await
    };
    opened.map(Answer).map_err(refused)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    #[serde(default)]
    tx_code: Option<String>,
}

async fn prepare_offer(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Path(name): Path<String>,
    Json(Code { tx_code }): Json<Code>,
) -> Reply {
    wallet.prepare_offer(&session.0, &name, tx_code).await.map(Answer).map_err(refused)
}

async fn finish_offer(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Path(name): Path<String>,
    Json(answer): Json<Registered>,
) -> Reply {
    let prf = prf_result(answer.prf)?;
    let finished = wallet.finish_offer(&session.0, &name, answer.registration, prf, answer.prf_enabled).await;
    finished.map(Answer).map_err(refused)
}

async fn decline_offer(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Path(name): Path<String>,
) -> Reply {
    wallet.decline_offer(&session.0, &name).await.map_err(refused)?;
    Ok(Answer(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selected {
    selection: BTreeMap<String, Chosen>,
}

async fn prepare_request(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Path(name): Path<String>,
    Json(Selected { selection }): Json<Selected>,
) -> Reply {
    wallet.prepare_request(&session.0, &name, selection).await.map(Answer).map_err(refused)
}

async fn finish_request(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Path(name): Path<String>,
    Json(answer): Json<Asserted>,
) -> Reply {
    let prf = prf_result(answer.prf)?;
    wallet.finish_request(&session.0, &name, &answer.assertion, prf).await.map(Answer).map_err(refused)
}

async fn decline_request(
    State(wallet): State<Arc<Wallet>>,
    Extension(session): Extension<SessionId>,
    Path(name): Path<String>,
) -> Reply {
    wallet.decline_request(&session.0, &name).await.map_err(refused)?;
    Ok(Answer(json!({})))
}
