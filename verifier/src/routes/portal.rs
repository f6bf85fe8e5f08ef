//! The portal: "prove who you are" as a code to scan, and the outcome as soon as it is there.
//!
//! Pages are rendered here; the script only fetches the outcome again when the server says that the state changed. A
//! request is shown to the browser session that made it and to nobody else (OpenID4VP 1.0 section 14.2).

mod views;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::credential::CredentialFormat;
use carekey_core::error::Error;
use carekey_core::protocol::openid4vp::request::ResponseMode;
use carekey_service::pages::{
    Access, Actor, Area, Fields, ProblemView, Session, Staff, assets, fragment, qr_svg, require_own_origin,
    send, utc,
};
use carekey_service::problem::Problem;
use url::Url;

use super::events::sse;
use super::response::refused;
use crate::app::{App, Brought, CreateRequest, Flow, Outcome, RequestState, RequestView};
use views::{LandingPage, OutcomeView, PortalPage, RequestPage};

/// Cookie of the portal's sessions; cookies do not know ports, so no other CareKey server may use this name.
pub const COOKIE: &str = "carekey-portal";
/// The route that takes the ticket of [`Access::sign_in_link`].
pub const TICKET_PATH: &str = "/portal/open";

const AREA: Area = Area {
    actor: Actor::Portal,
    path: "/portal",
    role: "Portal · verifies credentials",
    foot: "CareKey portal. What you present is kept for a short time for this page and is then deleted.",
    sign_in: "Open the portal for visitors",
    why_sign_in: "Requests for personal data are made by staff, so this page opens only with the portal's management token.",
};

const PURPOSE: &str = "Release the discharge letter of 20 November 2026 to the patient portal";
const TEMPLATE: &str = "patient_identity";

struct Portal {
    app: Arc<App>,
    staff: Arc<Staff>,
}

/// The routes of the portal's pages.
pub fn router(app: Arc<App>, access: Arc<Access>) -> Router {
    let own = access.own_origin();
    let staff = Staff::new(&AREA, app.config().name.clone(), access);
    let sign_in = staff.routes();
    Router::new()
        .route("/", get(home))
        .route("/portal/requests", post(create_request))
        .route("/portal/requests/{id}", get(request))
        .route("/portal/requests/{id}/outcome", get(outcome))
        .route("/portal/requests/{id}/events", get(events))
        .route("/portal/requests/{id}/digital", post(digital))
        .route("/portal/requests/{id}/return", get(landing).post(returned))
        .with_state(Arc::new(Portal { app, staff }))
        .merge(sign_in)
        .layer(from_fn_with_state(own, require_own_origin))
        .merge(assets(Actor::Portal, include_str!("../../assets/portal.js")))
}

impl Portal {
    fn portal_page(&self, session: &Session, status: StatusCode, problem: Option<ProblemView>) -> Response {
        let page = PortalPage {
            frame: self.staff.frame(Some(session), problem),
            csrf: session.csrf().to_owned(),
            purpose: PURPOSE.to_owned(),
            levels: views::levels(AssuranceLevel::Uv),
        };
        send(status, &page)
    }

    /// The request `id` if this browser session made it.
    async fn view(&self, id: &str, headers: &HeaderMap) -> Result<RequestView, Problem> {
        let signed_out = || Problem::new(StatusCode::UNAUTHORIZED, "signed_out", "please sign in again");
        let session = self.staff.session(headers).ok_or_else(signed_out)?;
        let found = self.app.outcome(id, Some(session.id())).await?;
        found.ok_or_else(|| Problem::not_found("there is no such request in this session"))
    }
}

async fn home(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    match portal.staff.session(&headers) {
        Some(session) => portal.portal_page(&session, StatusCode::OK, None),
        None => portal.staff.sign_in_page(StatusCode::OK, None),
    }
}

/// What the form asks for.
fn asked(fields: &Fields, public_url: &Url) -> Result<CreateRequest, Error> {
    let level = fields.one("min_level").unwrap_or_default();
    let known = AssuranceLevel::ALL.into_iter().find(|known| known.as_str() == level);
    let min_level = known.ok_or_else(|| Error::malformed("level_unknown", "there is no such level"))?;
    let unknown = |_| Error::malformed("response_mode_unknown", "there is no such response mode");
    let mode = fields.one("response_mode").map_or(Ok(ResponseMode::DirectPostJwt), ResponseMode::parse);
    let response_mode = mode.map_err(unknown)?;
    let same_device = fields.one("flow") == Some("same_device") || response_mode == ResponseMode::Fragment;
    let format = fields.one("format").filter(|format| !format.is_empty());
    Ok(CreateRequest {
        template: Some(TEMPLATE.to_owned()),
        format: format.map(CredentialFormat::parse).transpose()?,
        purpose: fields.one("purpose").unwrap_or_default().trim().to_owned(),
        locale: Some("en".to_owned()),
        min_level,
        response_mode: Some(response_mode),
        redirect_uri: match same_device && !response_mode.is_dc_api() {
            true => public_url.join("portal/requests/{id}/return").ok(),
            false => None,
        },
        ..CreateRequest::default()
    })
}

async fn create_request(State(portal): State<Arc<Portal>>, headers: HeaderMap, body: Bytes) -> Response {
    let (session, fields) = match portal.staff.form(&headers, &body) {
        Ok(signed_in) => signed_in,
        Err(response) => return *response,
    };
    let made = match asked(&fields, portal.app.public_url()) {
        Ok(asked) => portal.app.create_request(asked, Some(session.id())).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(created) => Redirect::to(&format!("/portal/requests/{}", created.id)).into_response(),
        Err(error) => {
            let problem = ProblemView::of("The request was not made.", &error);
            portal.portal_page(&session, StatusCode::BAD_REQUEST, Some(problem))
        }
    }
}

async fn request(State(portal): State<Arc<Portal>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let Some(session) = portal.staff.session(&headers) else { return Redirect::to("/").into_response() };
    let view = match portal.view(&id, &headers).await {
        Ok(view) => view,
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            let gone = ProblemView {
                code: "request_gone".into(),
                title: "This request is not shown here.",
                detail: "It is over, or it was made in another browser session.".into(),
            };
            return portal.portal_page(&session, StatusCode::NOT_FOUND, Some(gone));
        }
        Err(problem) => return problem.into_response(),
    };
    let Ok(outcome) = outcome_view(&view).render() else { return Problem::internal().into_response() };
    // A code is for another device: on the same one the browser must come back.
    let scanned = view.request_uri.as_ref().filter(|_| view.flow == Flow::CrossDevice);
    let page = RequestPage {
        frame: portal.staff.frame(Some(&session), None),
        csrf: session.csrf().to_owned(),
        qr: scanned.and_then(|link| qr_svg(link).ok()),
        digital: view.digital.and_then(|argument| serde_json::to_string(&argument.digital).ok()),
        expires_at: utc(view.expires_at),
        finished: view.state.is_final(),
        id: view.id,
        purpose: view.purpose,
        link: view.request_uri,
        outcome,
    };
    send(StatusCode::OK, &page)
}

async fn outcome(State(portal): State<Arc<Portal>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match portal.view(&id, &headers).await {
        Ok(view) => match outcome_view(&view).render() {
            Ok(html) => fragment(html),
            Err(_) => Problem::internal().into_response(),
        },
        Err(problem) => problem.into_response(),
    }
}

/// Takes what the browser's wallet chooser gave (response modes `dc_api` and `dc_api.jwt`).
async fn digital(
    State(portal): State<Arc<Portal>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (session, fields) = match portal.staff.form(&headers, &body) {
        Ok(signed_in) => signed_in,
        Err(response) => return *response,
    };
    let answer = fields.one("answer").and_then(|answer| serde_json::from_str(answer).ok());
    let Some(answer) = answer else {
        return Problem::bad_request("response_form", "`answer` is not a digital credential").into_response();
    };
    brought(&portal, &id, &Brought::Digital(answer), &session).await
}

/// Where a wallet on the same device sends the browser back to. The session's cookie does not come with a step from another
/// site, so this page knows nobody: its script brings code or answer in a request of its own.
async fn landing(State(portal): State<Arc<Portal>>, Path(id): Path<String>) -> Response {
    send(StatusCode::OK, &LandingPage { frame: portal.staff.frame(None, None), id })
}

/// The response code, or the answer itself (response mode `fragment`), in the browser session that asked.
async fn returned(
    State(portal): State<Arc<Portal>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(session) = portal.staff.session(&headers) else {
        return Problem::new(StatusCode::UNAUTHORIZED, "signed_out", "please sign in again").into_response();
    };
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(problem) => return problem.into_response(),
    };
    match (fields.one("response_code"), fields.one("fragment")) {
        (Some(code), None) => match portal.app.redeem_response_code(code, Some(session.id())).await {
            Ok(_) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => Problem::from(error).into_response(),
        },
        (None, Some(fragment)) => {
            let answer = Brought::Fragment { fragment: fragment.to_owned() };
            brought(&portal, &id, &answer, &session).await
        }
        _ => Problem::bad_request("response_form", "a code or a fragment is missing").into_response(),
    }
}

async fn brought(portal: &Portal, id: &str, answer: &Brought, session: &Session) -> Response {
    match portal.app.receive_brought(id, answer, Some(session.id())).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) => refused(fault).into_response(),
    }
}

async fn events(State(portal): State<Arc<Portal>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let Some(session) = portal.staff.session(&headers) else {
        return Problem::new(StatusCode::UNAUTHORIZED, "signed_out", "please sign in again").into_response();
    };
    match portal.app.events(&id, Some(session.id())).await {
        Ok(Some(events)) => sse(events).into_response(),
        Ok(None) => Problem::not_found("there is no such request in this session").into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// What became of a request, in words.
fn outcome_view(view: &RequestView) -> OutcomeView {
    let name = view.state.as_str();
    match (view.state, &view.outcome) {
        (_, Some(Outcome::Verified { presentation, session_binding, .. })) => {
            OutcomeView::verified(presentation, *session_binding)
        }
        (_, Some(Outcome::Refused { refusal })) => {
            OutcomeView::refused(refusal.code.as_str(), &refusal.detail, &refusal.checks)
        }
        (_, Some(Outcome::Declined { error })) => declined(error),
        (_, Some(Outcome::Deleted)) => OutcomeView::plain(
            name,
            "",
            "This is over.",
            "What was presented has been deleted, as promised. Start again if you need to.",
        ),
        // What the verdict is, this session is not told before it came back.
        (_, Some(Outcome::Withheld)) => OutcomeView::plain(
            "received",
            "",
            "Almost there.",
            "The answer has arrived. Follow the wallet's link back to this page.",
        ),
        (RequestState::Opened, None) => OutcomeView::plain(
            name,
            "",
            "Your wallet is open.",
            "Look at who asks, why, and what would leave. Then confirm on your own device.",
        ),
        (RequestState::Expired, None) => {
            OutcomeView::plain(name, "bad", "Nobody answered in time.", "Please start again.")
        }
        (_, None) => OutcomeView::plain(name, "", "Waiting for your wallet.", "This page changes by itself."),
    }
}

fn declined(error: &str) -> OutcomeView {
    let (title, text) = match error {
        "access_denied" => ("You declined.", "Nothing was sent but your no."),
        "invalid_transaction_data" => {
            ("This wallet cannot do that.", "It does not know how to confirm with a fresh user verification.")
        }
        _ => ("The wallet could not answer.", "Nothing was sent."),
    };
    let mut view = OutcomeView::plain("declined", "bad", title, text);
    view.code = Some(error.to_owned());
    view
}

#[cfg(test)]
mod tests;
