//! The `status` claim of a credential (draft-ietf-oauth-status-list, "Referenced Token in JOSE").

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Longest URI of a status list that is accepted, in bytes.
const MAX_URI: usize = 2048;

/// One entry of one Token Status List: what a credential's `status.status_list` says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatusReference {
    /// Index of the entry, from 0.
    pub idx: u64,
    /// Where the Status List Token is published; equal to the token's `sub`.
    pub uri: String,
}

impl StatusReference {
    /// The reference in a credential's claims; `None` when there is no `status` claim.
    ///
    /// [`Error::Malformed`] `status_claim` when it is not shaped as the draft demands; [`Error::Unsupported`]
    /// `status_mechanism` when the credential states its status only in ways that this build cannot read, so that a
    /// revoked credential is never taken for a credential without status.
    pub fn from_claims(claims: &Map<String, Value>) -> Result<Option<Self>> {
        let Some(status) = claims.get("status") else { return Ok(None) };
        let Value::Object(mechanisms) = status else { return Err(malformed("status is not an object")) };
        let Some(reference) = mechanisms.get("status_list") else {
            return Err(match mechanisms.is_empty() {
                true => malformed("status names no mechanism"),
                false => {
                    Error::unsupported("status_mechanism", "status names no mechanism that is known here")
                }
            });
        };
        let idx = reference.get("idx").and_then(Value::as_u64);
        let idx = idx.ok_or_else(|| malformed("status_list.idx is not a non-negative integer"))?;
        let uri = reference.get("uri").and_then(Value::as_str).filter(|uri| uri.len() <= MAX_URI);
        let uri = uri.ok_or_else(|| malformed("status_list.uri is not a URI of at most 2048 bytes"))?;
        if url::Url::parse(uri).is_err() {
            return Err(malformed("status_list.uri is not an absolute URI"));
        }
        Ok(Some(Self { idx, uri: uri.to_owned() }))
    }

    /// The value of a credential's `status` claim.
    pub fn to_claim(&self) -> Value {
        json!({"status_list": {"idx": self.idx, "uri": self.uri}})
    }
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("status_claim", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: Value) -> Result<Option<StatusReference>> {
        StatusReference::from_claims(json!({"status": status}).as_object().unwrap())
    }

    #[test]
    fn reads_what_it_writes() {
        let reference = StatusReference { idx: 7, uri: "https://example.com/statuslists/1".into() };
        assert_eq!(read(reference.to_claim()).unwrap(), Some(reference));
        assert_eq!(StatusReference::from_claims(&Map::new()).unwrap(), None);
    }

    #[test]
    fn refuses() {
        for bad in [
            json!(null),
            json!("revoked"),
            json!({}),
            json!({"status_list": null}),
            json!({"status_list": {"idx": -1, "uri": "https://example.com/1"}}),
            json!({"status_list": {"idx": 1.5, "uri": "https://example.com/1"}}),
            json!({"status_list": {"idx": "1", "uri": "https://example.com/1"}}),
            json!({"status_list": {"idx": 1}}),
            json!({"status_list": {"idx": 1, "uri": 5}}),
            json!({"status_list": {"idx": 1, "uri": "relative/1"}}),
            json!({"status_list": {"idx": 1, "uri": format!("https://example.com/{}", "a".repeat(2048))}}),
        ] {
            assert_eq!(read(bad).unwrap_err().code(), "status_claim");
        }
        assert_eq!(read(json!({"other": {}})).unwrap_err().code(), "status_mechanism");
    }
}
