//! The revocation status list of Android attestation keys (<https://android.googleapis.com/attestation/status>).

use std::collections::HashSet;

use serde_json::Value;

use crate::clock::UnixTime;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::x509::Certificate;

/// Limits for the list, which holds some thousand entries.
const LIST_LIMITS: Limits = Limits { json_bytes: 16 * 1024 * 1024, json_nodes: 1_000_000, ..Limits::DEFAULT };

/// Serial numbers of certificates that must not be trusted, and how long the list may be used.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    serials: HashSet<String>,
    usable_until: UnixTime,
}

impl std::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.serials.len();
        f.debug_struct("StatusList")
            .field("serials", &count)
            .field("usable_until", &self.usable_until)
            .finish()
    }
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("android_status_list", detail)
}

impl StatusList {
    /// Reads the list as Google publishes it: `{"entries": {"<serial>": {"status": "REVOKED", …}}}`, serial numbers in
    /// hexadecimal. It may be used until `usable_until`.
    ///
    /// Every entry counts as revoked unless its status is `OK`: `REVOKED`, `SUSPENDED`, and what may come.
    ///
    /// # Errors
    /// `android_status_list`, and those of [`json::parse`].
    pub fn parse(bytes: &[u8], usable_until: UnixTime) -> Result<Self> {
        let value = json::parse(bytes, &LIST_LIMITS)?;
        let entries = value.get("entries").and_then(Value::as_object);
        let entries = entries.ok_or_else(|| malformed("entries are missing"))?;
        let mut serials = HashSet::with_capacity(entries.len());
        for (serial, entry) in entries {
            if serial.is_empty() || !serial.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(malformed("a serial number is not hexadecimal"));
            }
            let status = entry.get("status").and_then(Value::as_str);
            if status.ok_or_else(|| malformed("an entry without status"))? != "OK" {
                serials.insert(serial.to_ascii_lowercase().trim_start_matches('0').to_owned());
            }
        }
        Ok(Self { serials, usable_until })
    }

    /// How many certificates are revoked.
    pub fn len(&self) -> usize {
        self.serials.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty()
    }

    /// The last second at which it may be used.
    pub const fn usable_until(&self) -> UnixTime {
        self.usable_until
    }

    /// Demands that none of `certificates` is revoked.
    ///
    /// # Errors
    /// `android_status_stale` ([`Error::Unavailable`]): the list has to be renewed first; `android_key_revoked`.
    pub fn check<'a>(
        &self,
        mut certificates: impl Iterator<Item = &'a Certificate>,
        now: UnixTime,
    ) -> Result<()> {
        if now > self.usable_until {
            let detail = "the revocation list of Android attestation keys has not been renewed in time";
            return Err(Error::unavailable("android_status_stale", detail));
        }
        if certificates.any(|certificate| self.serials.contains(&certificate.serial_hex())) {
            return Err(Error::refused("android_key_revoked", "an attestation key of this phone is revoked"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: UnixTime = UnixTime::from_secs(1_800_000_000);

    #[test]
    fn reads_what_google_publishes() {
        let list = br#"{"entries": {
            "2c8cdddfd5e03bfc": {"status": "REVOKED", "expires": "2020-11-13", "reason": "KEY_COMPROMISE"},
            "00C8966fcb2fbb0d7a": {"status": "SUSPENDED", "comment": "bug"},
            "6681152659205225093": {"status": "REVOKED"}, "ab": {"status": "OK"}}}"#;
        let list = StatusList::parse(list, UNTIL).unwrap();
        assert_eq!(list.len(), 3);
        assert!(list.serials.contains("c8966fcb2fbb0d7a") && !list.serials.contains("ab"));
        assert!(StatusList::parse(br#"{"entries":{}}"#, UNTIL).unwrap().is_empty());
        let code = |bytes: &[u8]| StatusList::parse(bytes, UNTIL).unwrap_err().code();
        for bytes in [
            &br#"{}"#[..],
            br#"{"entries":[]}"#,
            br#"{"entries":{"xyz":{"status":"REVOKED"}}}"#,
            br#"{"entries":{"":{"status":"REVOKED"}}}"#,
            br#"{"entries":{"ab":{}}}"#,
        ] {
            assert_eq!(code(bytes), "android_status_list");
        }
        assert_ne!(code(br#"{"entries":{},"entries":{}}"#), "android_status_list");
    }

    #[test]
    fn a_list_that_is_too_old_serves_nobody() {
        let list = StatusList::parse(br#"{"entries":{}}"#, UNTIL).unwrap();
        list.check(core::iter::empty(), UNTIL).unwrap();
        let stale = list.check(core::iter::empty(), UNTIL.plus(1)).unwrap_err();
        assert_eq!(stale.code(), "android_status_stale");
    }
}
