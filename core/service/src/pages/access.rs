//! Who may use the pages of a server: staff with the management token, or with the link that the process printed.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use carekey_core::clock::Clock;
use carekey_core::random::Random;
use subtle::ConstantTimeEq;
use url::Url;

use super::guard::OwnOrigin;
use super::session::{Session, Sessions};
use crate::auth::BearerToken;
use crate::problem::Problem;

/// Most fields of one form.
const MOST_FIELDS: usize = 64;

/// The sign-in of one server's pages.
pub struct Access {
    sessions: Sessions,
    token: BearerToken,
    own: Arc<OwnOrigin>,
    ticket_url: Url,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Access {
    /// Pages under `public_url`, opened by `token`; `ticket_path` is the route that takes `?ticket=…`.
    /// `cookie` must differ between servers on one host name.
    pub fn new(
        cookie: &'static str,
        public_url: &Url,
        ticket_path: &str,
        token: BearerToken,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let mut ticket_url = public_url.clone();
        ticket_url.set_path(ticket_path);
        Self {
            sessions: Sessions::new(cookie, public_url.scheme() == "https", clock, random),
            token,
            own: Arc::new(OwnOrigin::of(public_url)),
            ticket_url,
        }
    }

    /// The origin that forms must come from.
    pub fn own_origin(&self) -> Arc<OwnOrigin> {
        Arc::clone(&self.own)
    }

    /// The link that signs in while this process runs: for the terminal of the person who started it.
    pub fn sign_in_link(&self) -> Url {
        let mut link = self.ticket_url.clone();
        link.query_pairs_mut().append_pair("ticket", self.sessions.ticket());
        link
    }

    /// The open session of a request.
    pub fn session(&self, headers: &HeaderMap) -> Option<Session> {
        self.sessions.find(headers)
    }

    /// A new session for whoever followed the link of [`Access::sign_in_link`]; with its `Set-Cookie` value.
    pub fn by_ticket(&self, ticket: &str) -> Option<String> {
        self.sessions.accepts_ticket(ticket).then(|| self.sessions.set_cookie(&self.sessions.open()))
    }

    /// A new session for whoever knows the management token; with its `Set-Cookie` value.
    pub fn by_token(&self, sent: &str) -> Option<String> {
        let same = bool::from(self.token.expose().as_bytes().ct_eq(sent.trim().as_bytes()));
        same.then(|| self.sessions.set_cookie(&self.sessions.open()))
    }

    /// Ends a session; returns the `Set-Cookie` value that clears it.
    pub fn close(&self, session: &Session) -> String {
        self.sessions.close(session);
        self.sessions.clear_cookie()
    }

    /// The session that sent a form.
    ///
    /// # Errors
    /// 401 `signed_out`; 403 `csrf` when the form is not of this session.
    pub fn form(&self, headers: &HeaderMap, fields: &Fields) -> Result<Session, Problem> {
        let signed_out = || Problem::new(StatusCode::UNAUTHORIZED, "signed_out", "please sign in again");
        let session = self.session(headers).ok_or_else(signed_out)?;
        match fields.one("csrf") {
            Some(sent) if session.accepts(sent) => Ok(session),
            _ => Err(Problem::new(StatusCode::FORBIDDEN, "csrf", "this form is not from your session")),
        }
    }
}

/// The fields of a form, in order, with repetitions.
#[derive(Clone)]
pub struct Fields(Vec<(String, String)>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.0.len())
    }
}

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// 400 `form_malformed` for more than 64 fields or invalid UTF-8 after decoding.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let bad = || Problem::bad_request("form_malformed", "this form cannot be read");
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(body)
            .take(MOST_FIELDS + 1)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if fields.len() > MOST_FIELDS || fields.iter().any(|(_, value)| value.contains('\u{fffd}')) {
            return Err(bad());
        }
        Ok(Self(fields))
    }

    /// The first value of `name`, if it is not empty.
    pub fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        values.find(|value| !value.is_empty())
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;
    use carekey_core::clock::SystemClock;
    use carekey_core::random::SystemRandom;

    fn access() -> Access {
        let token = BearerToken::new("0123456789abcdef".into()).unwrap();
        let url = Url::parse("http://localhost:8801").unwrap();
        Access::new("carekey-desk", &url, "/desk/open", token, Arc::new(SystemClock), Arc::new(SystemRandom))
    }

    #[test]
    fn token_and_link_sign_in() {
        let access = access();
        assert!(access.by_token("0123456789abcdeF").is_none() && access.by_token("").is_none());
        assert!(access.by_token(" 0123456789abcdef\n").is_some());
        let link = access.sign_in_link();
        assert!(link.as_str().starts_with("http://localhost:8801/desk/open?ticket="));
        let ticket = link.query_pairs().next().unwrap().1.into_owned();
        assert!(access.by_ticket(&ticket).is_some() && access.by_ticket("").is_none());
    }

    #[test]
    fn a_form_needs_its_own_session() {
        let access = access();
        let cookie = access.by_token("0123456789abcdef").unwrap();
        let mut headers = HeaderMap::new();
        let form = |csrf: &str| Fields::parse(format!("csrf={csrf}&a=1&a=2").as_bytes()).unwrap();
        assert_eq!(access.form(&headers, &form("")).unwrap_err().code(), "signed_out");
        headers.insert(header::COOKIE, cookie.split(';').next().unwrap().parse().unwrap());
        assert_eq!(access.form(&headers, &form("")).unwrap_err().code(), "csrf");
        assert_eq!(access.form(&headers, &form("guess")).unwrap_err().code(), "csrf");
        let csrf = access.session(&headers).unwrap().csrf().to_owned();
        let fields = form(&csrf);
        let session = access.form(&headers, &fields).unwrap();
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        access.close(&session);
        assert_eq!(access.form(&headers, &fields).unwrap_err().code(), "signed_out");
    }

    #[test]
    fn forms_are_bounded() {
        assert_eq!(Fields::parse("a=1&".repeat(65).as_bytes()).unwrap_err().code(), "form_malformed");
        assert_eq!(Fields::parse(b"a=%ff").unwrap_err().code(), "form_malformed");
    }
}
