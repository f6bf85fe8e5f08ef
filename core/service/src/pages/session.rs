//! Who is signed in to the pages of a server.
//!
//! A session is a random name in an `HttpOnly`, `SameSite=Strict` cookie, known only to this process, with a second
//! random value (`csrf`) that every form of the page carries. Sessions end with the process or after eight hours.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use carekey_core::clock::{Clock, UnixTime};
use carekey_core::random::Random;
use subtle::ConstantTimeEq;

const LIFETIME_SECS: i64 = 8 * 3600;
const MOST_SESSIONS: usize = 1000;

/// One signed-in browser.
#[derive(Clone)]
pub struct Session {
    id: String,
    csrf: String,
    expires_at: UnixTime,
}

impl Session {
    /// The value that every form of this session's pages must send back.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// A stable name of this session inside this process.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether `sent` is this session's form value (compared in constant time).
    pub fn accepts(&self, sent: &str) -> bool {
        bool::from(self.csrf.as_bytes().ct_eq(sent.as_bytes()))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The sessions of one server.
pub struct Sessions {
    cookie: &'static str,
    secure: bool,
    ticket: String,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    open: Mutex<HashMap<String, Session>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

impl Sessions {
    /// No sessions yet. `cookie` must differ between servers that share a host name: cookies do not know ports.
    /// `secure` asks the browser to send the cookie over TLS only.
    pub fn new(cookie: &'static str, secure: bool, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let ticket = random.token(32);
        Self { cookie, secure, ticket, clock, random, open: Mutex::new(HashMap::new()) }
    }

    /// A secret that opens a session while this process runs; for the link that the process prints for its own user.
    pub fn ticket(&self) -> &str {
        &self.ticket
    }

    /// Whether `sent` is the ticket of this process.
    pub fn accepts_ticket(&self, sent: &str) -> bool {
        bool::from(self.ticket.as_bytes().ct_eq(sent.as_bytes()))
    }

    /// Opens a session; the caller has checked who asks.
    pub fn open(&self) -> Session {
        let now = self.clock.now();
        let session = Session {
            id: self.random.token(32),
            csrf: self.random.token(32),
            expires_at: now.plus(LIFETIME_SECS),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.expires_at > now);
        if open.len() >= MOST_SESSIONS {
            let oldest =
                open.values().min_by_key(|session| session.expires_at).map(|session| session.id.clone());
            if let Some(id) = oldest {
                open.remove(&id);
            }
        }
        open.insert(session.id.clone(), session.clone());
        session
    }

    /// The session that the request's cookie names, if it is open.
    pub fn find(&self, headers: &HeaderMap) -> Option<Session> {
        let id = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie).then_some(value))?;
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(id).filter(|session| session.expires_at > self.clock.now()).cloned()
    }

    /// Ends a session.
    pub fn close(&self, session: &Session) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&session.id);
    }

    /// The `Set-Cookie` value that gives `session` to the browser.
    pub fn set_cookie(&self, session: &Session) -> String {
        self.cookie_line(&session.id, LIFETIME_SECS)
    }

    /// The `Set-Cookie` value that takes the session from the browser.
    pub fn clear_cookie(&self) -> String {
        self.cookie_line("", 0)
    }

    fn cookie_line(&self, value: &str, max_age: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age}{secure}", self.cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carekey_core::clock::FixedClock;
    use carekey_core::random::SystemRandom;

    fn cookie(line: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = line.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("other=1; {pair}").parse().unwrap());
        headers
    }

    #[test]
    fn a_session_is_found_until_it_ends() {
        let clock = Arc::new(FixedClock::new(UnixTime::from_secs(1_000)));
        let sessions = Sessions::new("carekey-desk", false, clock.clone(), Arc::new(SystemRandom));
        let session = sessions.open();
        let headers = cookie(&sessions.set_cookie(&session));
        let found = sessions.find(&headers).unwrap();
        assert!(found.accepts(session.csrf()));
        assert!(!found.accepts("") && !found.accepts(session.id()));
        clock.set(UnixTime::from_secs(1_000 + LIFETIME_SECS));
        assert!(sessions.find(&headers).is_none(), "expired");
        clock.set(UnixTime::from_secs(1_000));
        sessions.close(&session);
        assert!(sessions.find(&headers).is_none(), "closed");
    }

    #[test]
    fn foreign_cookies_and_tickets_open_nothing() {
        let sessions = Sessions::new(
            "carekey-desk",
            true,
            Arc::new(FixedClock::new(UnixTime::from_secs(0))),
            Arc::new(SystemRandom),
        );
        let session = sessions.open();
        assert!(sessions.find(&HeaderMap::new()).is_none());
        assert!(sessions.find(&cookie(&format!("carekey-portal={}", session.id()))).is_none());
        assert!(sessions.find(&cookie("carekey-desk=guess")).is_none());
        assert!(!sessions.accepts_ticket("") && sessions.accepts_ticket(sessions.ticket()));
        let line = sessions.set_cookie(&session);
        assert!(line.contains("HttpOnly") && line.contains("SameSite=Strict") && line.contains("Secure"));
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let clock = Arc::new(FixedClock::new(UnixTime::from_secs(0)));
        let sessions = Sessions::new("carekey-desk", false, clock.clone(), Arc::new(SystemRandom));
        let first = sessions.open();
        clock.set(UnixTime::from_secs(1));
        for _ in 0..MOST_SESSIONS {
            sessions.open();
        }
        assert!(sessions.find(&cookie(&sessions.set_cookie(&first))).is_none(), "the oldest went");
        assert_eq!(sessions.open.lock().unwrap().len(), MOST_SESSIONS);
    }
}
