//! When a credential counts: `iat`, `nbf` and `exp` (RFC 7519 section 4.1).

use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwt::{self, Claims};

/// The times that a credential states about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validity {
    /// `iat`: when it was issued.
    pub issued_at: Option<UnixTime>,
    /// `nbf`: not to be accepted before.
    pub not_before: Option<UnixTime>,
    /// `exp`: not to be accepted at this time or later.
    pub expires_at: Option<UnixTime>,
}

impl Validity {
    /// The times in `claims`; [`Error::Malformed`] `jwt_claim` when one is not a number of seconds.
    pub fn from_claims(claims: &Claims) -> Result<Self> {
        Ok(Self {
            issued_at: jwt::time(claims, "iat")?,
            not_before: jwt::time(claims, "nbf")?,
            expires_at: jwt::time(claims, "exp")?,
        })
    }

    /// Checks that `now` lies inside, give or take `skew` seconds of clock difference.
    ///
    /// [`Error::NotCurrent`] `credential_expired`, `credential_not_yet_valid` or `credential_issued_in_future`.
    pub fn check(&self, now: UnixTime, skew: i64) -> Result<()> {
        if let Some(limit) = self.expires_at.filter(|limit| now >= limit.plus(skew)) {
            return Err(Error::not_current("credential_expired", "the credential has expired", now, limit));
        }
        if let Some(limit) = self.not_before.filter(|limit| now < limit.plus(-skew)) {
            let detail = "the credential is not valid yet";
            return Err(Error::not_current("credential_not_yet_valid", detail, now, limit));
        }
        if let Some(limit) = self.issued_at.filter(|limit| now < limit.plus(-skew)) {
            let detail = "the credential claims to be issued in the future";
            return Err(Error::not_current("credential_issued_in_future", detail, now, limit));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(claims: Value, now: i64) -> Result<()> {
        Validity::from_claims(claims.as_object().unwrap())?.check(UnixTime::from_secs(now), 60)
    }

    #[test]
    fn boundaries() {
        let claims = json!({"iat": 1000, "nbf": 1100, "exp": 2000});
        assert_eq!(check(claims.clone(), 1039).unwrap_err().code(), "credential_not_yet_valid");
        assert!(check(claims.clone(), 1040).is_ok());
        assert!(check(claims.clone(), 2059).is_ok());
        assert_eq!(check(claims, 2060).unwrap_err().code(), "credential_expired");
        assert_eq!(check(json!({"iat": 1000}), 939).unwrap_err().code(), "credential_issued_in_future");
        assert!(check(json!({}), 0).is_ok());
    }
}
