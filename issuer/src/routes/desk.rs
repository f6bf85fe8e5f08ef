//! The hospital's desk: choose a record, see the claims, offer them; list what was issued, revoke it.
//!
//! Pages are rendered here and work without script. Whoever may use them is decided by [`Staff`]; every form carries
//! the session's own value, and requests of foreign origins are refused before any of this runs.

mod people;
mod views;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::json;
use carekey_core::error::Error;
use carekey_core::issuer::{
    CreatedOffer, CredentialSummary, NewOffer, OfferState, OfferSummary, StatusChange,
};
use carekey_core::limits::Limits;
use carekey_service::pages::{
    Actor, Area, Fields, ProblemView, Session, Staff, assets, qr_svg, require_own_origin, send, utc,
};
use carekey_service::problem::Problem;
use serde_json::Value;

use crate::App;
use views::{CredentialView, DeskPage, OfferPage, PreviewPage, WaitingView};

/// Cookie of the desk's sessions; cookies do not know ports, so no other CareKey server may use this name.
pub const COOKIE: &str = "carekey-desk";
/// The route that takes the ticket of [`sign_in_link`](carekey_service::pages::Access::sign_in_link).
pub const TICKET_PATH: &str = "/desk/open";

const AREA: Area = Area {
    actor: Actor::Hospital,
    path: "/desk",
    role: "Hospital desk · issues credentials",
    foot: "CareKey desk. Nothing on this page leaves the hospital except the credentials that you offer.",
    sign_in: "Sign in to the desk",
    why_sign_in: "The desk reads patient records and signs credentials, so it opens only for staff.",
};

const PAGE: usize = 500;
const MOST_READ: usize = 10_000;
const MOST_LISTED: usize = 200;
const MOST_SHOWN_OFFERS: usize = 100;

struct Desk {
    app: Arc<App>,
    staff: Arc<Staff>,
    /// Links and transaction codes of offers made here, for the page that shows them; in memory only.
    shown: Mutex<HashMap<String, ShownOffer>>,
}

#[derive(Clone)]
struct ShownOffer {
    link: String,
    tx_code: Option<String>,
    expires_at: UnixTime,
    titles: Vec<String>,
}

/// The routes of the desk's pages.
pub fn router(app: Arc<App>) -> Router {
    let own = app.access().own_origin();
    let staff = Staff::new(&AREA, app.issuer().settings().name.clone(), Arc::clone(app.access()));
    let sign_in = staff.routes();
    let desk = Arc::new(Desk { app, staff, shown: Mutex::default() });
    Router::new()
        .route("/", get(home))
        .route("/desk/preview", post(preview))
        .route("/desk/offers", post(create_offer))
        .route("/desk/offers/{id}", get(offer))
        .route("/desk/offers/{id}/state", get(offer_state))
        .route("/desk/offers/{id}/decision", post(decide))
        .route("/desk/credentials/{id}/status", post(change_status))
        .with_state(desk)
        .merge(sign_in)
        .layer(from_fn_with_state(own, require_own_origin))
        .merge(assets(Actor::Hospital, include_str!("../../assets/desk.js")))
}

impl Desk {
    async fn desk_page(
        &self,
        session: &Session,
        status: StatusCode,
        problem: Option<ProblemView>,
        pasted: String,
    ) -> Response {
        let shown = async { Ok((self.newest_credentials().await?, self.waiting_offers().await?)) };
        match shown.await {
            Ok((issued, waiting)) => send(
                status,
                &DeskPage {
                    frame: self.staff.frame(Some(session), problem),
                    csrf: session.csrf().to_owned(),
                    people: people::all(),
                    pasted,
                    waiting: waiting.into_iter().map(WaitingView::from).collect(),
                    credentials: issued.into_iter().map(CredentialView::from).collect(),
                },
            ),
            Err(error) => {
                let error: Error = error;
                Problem::from(error).into_response()
            }
        }
    }

    /// Offers whose wallets wait for the desk's decision, the oldest first.
    async fn waiting_offers(&self) -> Result<Vec<OfferSummary>, Error> {
        let (mut waiting, mut read, mut last) = (Vec::new(), 0, None::<String>);
        loop {
            let page = self.app.issuer().offers(last.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            read += page.len();
            last = page.last().map(|offer| offer.id.clone());
            waiting.extend(page.into_iter().filter(|offer| offer.waiting));
            if is_last || read >= MOST_READ {
                break;
            }
        }
        waiting.sort_by_key(|offer| offer.created_at);
        waiting.truncate(MOST_LISTED);
        Ok(waiting)
    }

    /// The newest credentials; the issuer lists them by their random ids.
    async fn newest_credentials(&self) -> Result<Vec<CredentialSummary>, Error> {
        let mut all: Vec<CredentialSummary> = Vec::new();
        loop {
            let page = self.app.issuer().credentials(all.last().map(|last| last.id.as_str()), PAGE).await?;
            let last_page = page.len() < PAGE;
            all.extend(page);
            if last_page || all.len() >= MOST_READ {
                break;
            }
        }
        all.sort_by_key(|credential| std::cmp::Reverse(credential.issued_at));
        all.truncate(MOST_LISTED);
        Ok(all)
    }

    fn remember(&self, created: &CreatedOffer, titles: Vec<String>) {
        let now = self.app.issuer().now();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|_, offer| offer.expires_at > now);
        if shown.len() >= MOST_SHOWN_OFFERS {
            let oldest = shown.iter().min_by_key(|(_, offer)| offer.expires_at).map(|(id, _)| id.clone());
            if let Some(id) = oldest {
                shown.remove(&id);
            }
        }
        let offer = ShownOffer {
            link: created.link.clone(),
            tx_code: created.tx_code.as_ref().map(|code| code.expose().clone()),
            expires_at: created.expires_at,
            titles,
        };
        shown.insert(created.id.clone(), offer);
    }
}

fn to_home() -> Response {
    Redirect::to("/").into_response()
}

async fn home(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match desk.staff.session(&headers) {
        Some(session) => desk.desk_page(&session, StatusCode::OK, None, String::new()).await,
        None => desk.staff.sign_in_page(StatusCode::OK, None),
    }
}

/// The record a form is about: a bundled patient by id, or pasted FHIR.
fn record(fields: &Fields) -> Result<Value, Error> {
    if let Some(id) = fields.one("patient") {
        let unknown = || Err(Error::malformed("patient_unknown", "there is no such patient on this desk"));
        return people::document(id).unwrap_or_else(unknown);
    }
    json::parse(fields.one("fhir").unwrap_or_default().trim().as_bytes(), &Limits::DEFAULT)
}

async fn preview(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    let (session, fields) = match desk.staff.form(&headers, &body) {
        Ok(signed_in) => signed_in,
        Err(response) => return *response,
    };
    let pasted = fields.one("fhir").unwrap_or_default().to_owned();
    let refuse = |error: Error| ProblemView::of("This record cannot be issued.", &error);
    let document = match record(&fields) {
        Ok(document) => document,
        Err(error) => {
            return desk.desk_page(&session, StatusCode::BAD_REQUEST, Some(refuse(error)), pasted).await;
        }
    };
    let (previews, absent) = views::previews(&document, desk.app.issuer().now());
    if previews.is_empty() {
        // the first kind is the patient's identity: its reason is the one that helps
        let problem = absent.into_iter().next().map(|kind| ProblemView {
            code: kind.code.to_owned(),
            title: "This record cannot be issued.",
            detail: kind.reason,
        });
        return desk.desk_page(&session, StatusCode::BAD_REQUEST, problem, pasted).await;
    }
    let page = PreviewPage {
        frame: desk.staff.frame(Some(&session), None),
        csrf: session.csrf().to_owned(),
        name: people::name(&document).unwrap_or("this person").to_owned(),
        patient: fields.one("patient").map(str::to_owned),
        fhir: pasted,
        previews,
        absent,
    };
    send(StatusCode::OK, &page)
}

async fn create_offer(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    let (session, fields) = match desk.staff.form(&headers, &body) {
        Ok(signed_in) => signed_in,
        Err(response) => return *response,
    };
    // The form names kinds and one format for all of them; what does not exist is refused by the issuer.
    let ending = fields.one("format").unwrap_or_default();
    let configurations: Vec<String> =
        fields.all("configuration").map(|kind| format!("{kind}{ending}")).collect();
    let titles = configurations.iter().map(|id| views::title_of(id)).collect();
    let made = match record(&fields) {
        Ok(document) => {
            let offer = NewOffer {
                reference: people::record_number(&document),
                replaces: None,
                configuration_ids: configurations,
                fhir: document,
                tx_code: fields.one("tx_code").is_some(),
                by_reference: fields.one("by_reference").is_some(),
                approval: fields.one("approval").is_some(),
                ..NewOffer::default()
            };
            desk.app.create_offer(&offer).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(created) => {
            desk.remember(&created, titles);
            Redirect::to(&format!("/desk/offers/{}", created.id)).into_response()
        }
        Err(error) => {
            let problem = Some(ProblemView::of("The offer was not made.", &error));
            let pasted = fields.one("fhir").unwrap_or_default().to_owned();
            desk.desk_page(&session, StatusCode::BAD_REQUEST, problem, pasted).await
        }
    }
}

async fn offer(State(desk): State<Arc<Desk>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let Some(session) = desk.staff.session(&headers) else { return to_home() };
    let shown = desk.shown.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
    let (Some(shown), Ok(Some(summary))) = (shown, desk.app.issuer().offer_summary(&id).await) else {
        let gone = ProblemView {
            code: "offer_gone".into(),
            title: "This offer is not shown any more.",
            detail: "It ended, or the server was restarted. Please make a new one.".into(),
        };
        return desk.desk_page(&session, StatusCode::NOT_FOUND, Some(gone), String::new()).await;
    };
    let (state, tone, _) = offer_words(summary.state);
    let page = OfferPage {
        frame: desk.staff.frame(Some(&session), None),
        id,
        qr: qr_svg(&shown.link).ok(),
        link: shown.link,
        tx_code: shown.tx_code,
        expires_at: utc(shown.expires_at),
        state,
        tone,
        titles: shown.titles,
    };
    send(StatusCode::OK, &page)
}

async fn offer_state(State(desk): State<Arc<Desk>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if desk.staff.session(&headers).is_none() {
        return Problem::new(StatusCode::UNAUTHORIZED, "signed_out", "please sign in again").into_response();
    }
    match desk.app.issuer().offer_summary(&id).await {
        Ok(Some(summary)) => {
            let (state, tone, last) = offer_words(summary.state);
            Json(serde_json::json!({ "state": state, "tone": tone, "final": last })).into_response()
        }
        Ok(None) => Problem::not_found("there is no such offer").into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Approves or refuses what a wallet waits for (deferred issuance).
async fn decide(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (session, fields) = match desk.staff.form(&headers, &body) {
        Ok(signed_in) => signed_in,
        Err(response) => return *response,
    };
    let approve = match fields.one("action") {
        Some("approve") => true,
        Some("deny") => false,
        _ => return Problem::bad_request("action_unknown", "there is no such action").into_response(),
    };
    match desk.app.issuer().decide(&id, approve).await {
        Ok(Some(_)) => to_home(),
        Ok(None) => Problem::not_found("there is no such offer").into_response(),
        Err(error) => {
            let problem = Some(ProblemView::of("Nothing was decided.", &error));
            desk.desk_page(&session, StatusCode::CONFLICT, problem, String::new()).await
        }
    }
}

async fn change_status(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (session, fields) = match desk.staff.form(&headers, &body) {
        Ok(signed_in) => signed_in,
        Err(response) => return *response,
    };
    let change = match fields.one("action") {
        Some("revoke") => StatusChange::Revoke,
        Some("suspend") => StatusChange::Suspend,
        Some("reinstate") => StatusChange::Reinstate,
        _ => return Problem::bad_request("action_unknown", "there is no such action").into_response(),
    };
    match desk.app.change_status(&id, change).await {
        Ok(Some(_)) => to_home(),
        Ok(None) => Problem::not_found("there is no such credential").into_response(),
        Err(error) => {
            let problem = Some(ProblemView::of("The status was not changed.", &error));
            desk.desk_page(&session, StatusCode::CONFLICT, problem, String::new()).await
        }
    }
}

/// The state of an offer in words, its colour, and whether it is the last one.
const fn offer_words(state: OfferState) -> (&'static str, &'static str, bool) {
    match state {
        OfferState::Open => ("waiting for the wallet", "accent pulse", false),
        OfferState::Redeemed => ("opened by a wallet", "accent pulse", false),
        OfferState::Issued => ("issued to the patient's wallet", "good", true),
        OfferState::Locked => ("locked: too many wrong transaction codes", "bad", true),
        OfferState::Expired => ("expired", "bad", true),
    }
}

#[cfg(test)]
mod tests;
