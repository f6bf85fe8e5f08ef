//! Offers and requests that a browser has open: state between review, prepare and finish. In memory only, bounded,
//! and only for the session that opened it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use carekey_core::clock::UnixTime;
use carekey_core::error::{Error, Result};

const LIFETIME_SECS: i64 = 15 * 60;
const MOST: usize = 64;

struct Entry<T> {
    session: String,
    expires_at: UnixTime,
    value: T,
}

/// What is open, by a random name.
pub(super) struct Pending<T>(Mutex<HashMap<String, Entry<T>>>);

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<T> Pending<T> {
    /// Keeps `value` under `name` for `session`.
    pub(super) fn put(&self, name: String, session: &str, value: T, now: UnixTime) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| entry.expires_at > now);
        if entries.len() >= MOST {
            let oldest =
                entries.iter().min_by_key(|(_, entry)| entry.expires_at).map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                entries.remove(&name);
            }
        }
        let entry = Entry { session: session.to_owned(), expires_at: now.plus(LIFETIME_SECS), value };
        entries.insert(name, entry);
    }

    /// Takes what `session` keeps under `name`: exactly one of several callers gets it.
    ///
    /// # Errors
    /// `transaction_gone`: nothing of that name, it is over, or it belongs to another session.
    pub(super) fn take(&self, name: &str, session: &str, now: UnixTime) -> Result<T> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = entries.get(name).is_some_and(|entry| entry.session == session && entry.expires_at > now);
        let entry = if mine { entries.remove(name) } else { None };
        entry.map(|entry| entry.value).ok_or_else(|| {
            Error::refused("transaction_gone", "this is not open any more: please open the link again")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_session_and_only_once() {
        let pending = Pending::default();
        let now = UnixTime::from_secs(0);
        pending.put("a".into(), "mine", 1, now);
        assert_eq!(pending.take("a", "yours", now).unwrap_err().code(), "transaction_gone");
        assert!(pending.take("a", "mine", now.plus(LIFETIME_SECS)).is_err());
        assert_eq!(pending.take("a", "mine", now).unwrap(), 1);
        assert!(pending.take("a", "mine", now).is_err());
        for n in 0..200 {
            pending.put(format!("n{n}"), "mine", n, now.plus(i64::from(n)));
        }
        assert!(pending.take("n0", "mine", now.plus(199)).is_err());
        assert_eq!(pending.take("n199", "mine", now.plus(199)).unwrap(), 199);
    }
}
