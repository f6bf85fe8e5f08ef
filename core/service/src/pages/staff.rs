//! Pages for staff: signing in and out, and what stands around the content of each.
//!
//! A template that extends `base.html` has a member `frame`: [`Frame`].

use std::fmt;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use carekey_core::error::Error;
use serde::Deserialize;

use super::access::{Access, Fields};
use super::look::{Actor, page};
use super::session::Session;
use crate::problem::Problem;

/// Where pages lie, and what they say of themselves.
#[derive(Debug)]
pub struct Area {
    /// Whose they are.
    pub actor: Actor,
    /// Where the routes of the sign-in begin: `/desk`.
    pub path: &'static str,
    /// Under the name.
    pub role: &'static str,
    /// At the foot of each page.
    pub foot: &'static str,
    /// Headline of the sign-in.
    pub sign_in: &'static str,
    /// Why one has to.
    pub why_sign_in: &'static str,
}

/// What a page has around its content.
#[derive(Debug)]
pub struct Frame {
    /// The service's name.
    pub name: String,
    /// Where the page lies.
    pub area: &'static Area,
    /// The session's value for its forms; `None` when signed out.
    pub csrf: Option<String>,
    /// What went wrong.
    pub problem: Option<ProblemView>,
}

/// Something went wrong, in words.
#[derive(Debug)]
pub struct ProblemView {
    /// The stable code.
    pub code: String,
    /// What did not happen.
    pub title: &'static str,
    /// Why.
    pub detail: String,
}

impl ProblemView {
    /// `error` as the reason.
    pub fn of(title: &'static str, error: &Error) -> Self {
        Self { code: error.code().to_owned(), title, detail: error.detail().to_owned() }
    }
}

/// Sends a page; a template that fails is a fault of ours.
pub fn send(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => page(status, html),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            Problem::internal().into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
}

/// The staff's side of one server.
pub struct Staff {
    access: Arc<Access>,
    area: &'static Area,
    name: String,
}

impl fmt::Debug for Staff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staff").field("area", &self.area).finish_non_exhaustive()
    }
}

impl Staff {
    /// Pages of the service `name` for those whom `access` lets in.
    pub fn new(area: &'static Area, name: String, access: Arc<Access>) -> Arc<Self> {
        Arc::new(Self { access, area, name })
    }

    /// Routes that sign in (by token, or by the link of [`Access::sign_in_link`]) and out.
    pub fn routes(self: &Arc<Self>) -> Router {
        let path = self.area.path;
        Router::new()
            .route(&format!("{path}/open"), get(open))
            .route(&format!("{path}/sign-in"), post(sign_in))
            .route(&format!("{path}/sign-out"), post(sign_out))
            .with_state(Arc::clone(self))
    }

    /// The open session of a request.
    pub fn session(&self, headers: &HeaderMap) -> Option<Session> {
        self.access.session(headers)
    }

    /// What stands around the content.
    pub fn frame(&self, session: Option<&Session>, problem: Option<ProblemView>) -> Frame {
        let csrf = session.map(|session| session.csrf().to_owned());
        Frame { name: self.name.clone(), area: self.area, csrf, problem }
    }

    /// The page that asks for the token.
    pub fn sign_in_page(&self, status: StatusCode, problem: Option<ProblemView>) -> Response {
        send(status, &SignInPage { frame: self.frame(None, problem) })
    }

    /// The session that sent a form, and its fields.
    ///
    /// # Errors
    /// The answer to send: the sign-in when signed out, a problem when the form is not of this session.
    pub fn form(&self, headers: &HeaderMap, body: &[u8]) -> Result<(Session, Fields), Box<Response>> {
        let fields = Fields::parse(body).map_err(|problem| Box::new(problem.into_response()))?;
        match self.access.form(headers, &fields) {
            Ok(session) => Ok((session, fields)),
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
                Err(Box::new(self.sign_in_page(StatusCode::UNAUTHORIZED, None)))
            }
            Err(problem) => Err(Box::new(problem.into_response())),
        }
    }

    fn entered(&self, cookie: Option<String>, refused: &str) -> Response {
        match cookie {
            Some(cookie) => home_with(cookie),
            None => {
                let (code, detail) = ("sign_in_refused".to_owned(), refused.to_owned());
                let problem = ProblemView { code, title: "Not signed in.", detail };
                self.sign_in_page(StatusCode::FORBIDDEN, Some(problem))
            }
        }
    }
}

fn home_with(cookie: String) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

#[derive(Deserialize)]
struct Ticket {
    ticket: String,
}

async fn open(State(staff): State<Arc<Staff>>, Query(Ticket { ticket }): Query<Ticket>) -> Response {
    staff.entered(staff.access.by_ticket(&ticket), "This link is of an earlier start.")
}

async fn sign_in(State(staff): State<Arc<Staff>>, body: Bytes) -> Response {
    let cookie = Fields::parse(&body).ok().and_then(|fields| staff.access.by_token(fields.one("token")?));
    staff.entered(cookie, "That is not the management token.")
}

async fn sign_out(State(staff): State<Arc<Staff>>, headers: HeaderMap, body: Bytes) -> Response {
    match staff.form(&headers, &body) {
        Ok((session, _)) => home_with(staff.access.close(&session)),
        Err(response) => *response,
    }
}
