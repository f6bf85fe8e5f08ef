//! The authorization server's own endpoints: pushed requests, and the pages on which a person signs in (OpenID4VCI 1.0
//! section 5).

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use carekey_core::error::Error;
use carekey_core::issuer::{Configuration, LoginView, SignedIn, catalogue};
use carekey_core::protocol::openid4vci::credential::ErrorCode;
use carekey_service::pages::{Fields, page};
use carekey_service::problem::Problem;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::App;
use crate::caller::Headers;
use crate::reply;

/// Cookie that binds a sign-in to the browser.
const COOKIE: &str = "carekey-sign-in";
const LOGIN: &str = "/oid4vci/login";

pub(crate) async fn push(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    let form = "application/x-www-form-urlencoded";
    let body = match reply::body(&headers, body, form, ErrorCode::InvalidRequest).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    match app.issuer().push(&Headers::read(&headers).caller(), &body).await {
        Ok(pushed) => reply::json(StatusCode::CREATED, &json!(pushed)),
        Err(refusal) => reply::refuse(&refusal),
    }
}

#[derive(Deserialize)]
pub(crate) struct Authorize {
    client_id: Option<String>,
    request_uri: Option<String>,
}

/// The authorization endpoint. Nothing in the address of a request that was not pushed is trusted, so its mistakes are
/// shown here and sent nowhere.
pub(crate) async fn authorize(State(app): State<Arc<App>>, Query(query): Query<Authorize>) -> Response {
    let (Some(client_id), Some(request_uri)) = (query.client_id, query.request_uri) else {
        let detail = "the wallet must push its request first (RFC 9126) and send client_id and request_uri";
        return failed(&app, &Error::malformed("authorization_request_uri", detail));
    };
    match app.issuer().begin_login(&client_id, &request_uri).await {
        Ok(login) => {
            let secure = if app.is_secure() { "; Secure" } else { "" };
            let cookie = format!("{COOKIE}={login}; Path={LOGIN}; HttpOnly; SameSite=Lax{secure}");
            let mut response = Redirect::to(LOGIN).into_response();
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(header::SET_COOKIE, value);
            }
            response
        }
        Err(error) => failed(&app, &error),
    }
}

fn login_of(headers: &HeaderMap) -> String {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned()).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    issuer_name: String,
    problem: Option<&'static str>,
    content: Option<LoginContent>,
    /// Where the wallet is, once it is over.
    done: Option<String>,
}

struct LoginContent {
    client_name: String,
    credentials: Vec<&'static str>,
    provider: Option<String>,
    by_code: bool,
}

fn show(
    app: &App,
    status: StatusCode,
    problem: Option<&'static str>,
    view: Option<LoginView>,
    done: Option<Url>,
) -> Response {
    let content = view.map(|view| LoginContent {
        client_name: view.client_name,
        credentials: view
            .configuration_ids
            .iter()
            .filter_map(|id| Some(catalogue::title(Configuration::parse(id).ok()?.kind)))
            .collect(),
        provider: app.provider().map(|provider| provider.name().to_owned()),
        by_code: view.by_code,
    });
    let template = LoginPage {
        issuer_name: app.issuer().settings().name.clone(),
        problem,
        content,
        done: done.map(String::from),
    };
    match template.render() {
        Ok(html) => page(status, html),
        Err(error) => {
            tracing::error!(%error, "the sign-in page cannot be rendered");
            Problem::internal().into_response()
        }
    }
}

/// What went wrong, as a page: there is nobody else to tell.
fn failed(app: &App, error: &Error) -> Response {
    tracing::info!(code = error.code(), "sign-in failed");
    let (status, words) = match error.code() {
        "login_unknown" | "authorization_request_uri" => {
            (StatusCode::BAD_REQUEST, "This sign-in is over or unknown. Please start again in your wallet.")
        }
        _ if matches!(error, Error::Unavailable { .. }) => {
            (StatusCode::BAD_GATEWAY, "The hospital's sign-in cannot be reached. Please try again later.")
        }
        _ if matches!(error, Error::Misuse { .. }) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "This server made a mistake. Please try again later.")
        }
        _ => (StatusCode::BAD_REQUEST, "The sign-in did not succeed. Please start again in your wallet."),
    };
    show(app, status, Some(words), None, None)
}

pub(crate) async fn login(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.issuer().login_view(&login_of(&headers)).await {
        Ok(view) => show(&app, StatusCode::OK, None, Some(view), None),
        Err(error) => failed(&app, &error),
    }
}

/// To the hospital's provider.
pub(crate) async fn provider(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let Some(provider) = app.provider() else {
        return Problem::not_found("there is no provider").into_response();
    };
    let begun = async {
        let login = login_of(&headers);
        app.issuer().login_view(&login).await?;
        let (url, kept) = provider.begin(&*app.random()).await?;
        app.issuer().keep_provider_state(&login, &kept).await?;
        Ok::<Url, Error>(url)
    };
    match begun.await {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(error) => failed(&app, &error),
    }
}

#[derive(Deserialize)]
pub(crate) struct Returned {
    state: Option<String>,
}

/// Back from the hospital's provider, and on to the wallet.
pub(crate) async fn callback(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(provider) = app.provider() else {
        return Problem::not_found("there is no provider").into_response();
    };
    let finished = async {
        let login = login_of(&headers);
        let kept = app.issuer().take_provider_state(&login, &returned.state.unwrap_or_default()).await?;
        let who = provider.finish(&query.unwrap_or_default(), &kept, &*app.clock()).await;
        match who {
            Ok(subject) => app.issuer().finish_login(&login, &SignedIn::Subject(subject)).await,
            // The person said no there: the wallet learns it.
            Err(error) if error.code() == "provider_denied" => app.issuer().cancel_login(&login).await,
            Err(error) => Err(error),
        }
    };
    match finished.await {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(error) => failed(&app, &error),
    }
}

/// The code of the desk.
pub(crate) async fn code(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let login = login_of(&headers);
    let fields = match Fields::parse(&body) {
        Ok(fields) => fields,
        Err(problem) => return problem.into_response(),
    };
    let code = SignedIn::DeskCode(fields.one("code").unwrap_or_default().to_owned());
    match app.issuer().finish_login(&login, &code).await {
        Ok(url) => show(&app, StatusCode::OK, None, None, Some(url)),
        Err(error) if error.code() == "login_code_wrong" => match app.issuer().login_view(&login).await {
            Ok(view) => show(
                &app,
                StatusCode::FORBIDDEN,
                Some("That code is wrong. Please try again."),
                Some(view),
                None,
            ),
            Err(error) => failed(&app, &error),
        },
        Err(error) => failed(&app, &error),
    }
}

/// The person does not want to.
pub(crate) async fn cancel(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.issuer().cancel_login(&login_of(&headers)).await {
        Ok(url) => show(&app, StatusCode::OK, None, None, Some(url)),
        Err(error) => failed(&app, &error),
    }
}
