//! `verifier_info` (OpenID4VP 1.0 sections 5.1 and 5.11): what others attest about the verifier.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Most entries of one request.
const MAX: usize = 16;
/// The format of registration certificates (ETSI TS 119 472-2).
pub const REGISTRATION_CERTIFICATE: &str = "registration_cert";

/// One attestation about the verifier. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifierInfo {
    /// What kind of attestation; unknown ones are left alone.
    pub format: String,
    /// The attestation in the form of that kind.
    pub data: Value,
    /// The credential queries to which it belongs; empty: all.
    pub credential_ids: Vec<String>,
}

impl VerifierInfo {
    /// A registration certificate for the whole request.
    pub fn registration(compact: &str) -> Self {
        let format = REGISTRATION_CERTIFICATE.to_owned();
        Self { format, data: compact.into(), credential_ids: Vec::new() }
    }

    /// The registration certificate, if it is one.
    pub fn registration_certificate(&self) -> Option<&str> {
        self.data.as_str().filter(|_| self.format == REGISTRATION_CERTIFICATE)
    }

    /// Whether it belongs to the credential query `id`.
    pub fn concerns(&self, id: &str) -> bool {
        self.credential_ids.is_empty() || self.credential_ids.iter().any(|own| own == id)
    }

    /// Reads the parameter. [`Error::Malformed`] `request_object` when it is not what section 5.1 demands.
    pub(super) fn parse_all(value: Option<&Value>) -> Result<Vec<Self>> {
        match value {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) if (1..=MAX).contains(&list.len()) => {
                list.iter().map(|one| Self::parse(one).ok_or_else(malformed)).collect()
            }
            Some(_) => Err(malformed()),
        }
    }

    fn parse(value: &Value) -> Option<Self> {
        let ids = match value.get("credential_ids") {
            None => Vec::new(),
            Some(ids) => {
                let ids = ids.as_array().filter(|ids| (1..=MAX).contains(&ids.len()))?;
                ids.iter().map(|id| id.as_str().map(str::to_owned)).collect::<Option<_>>()?
            }
        };
        let data = value.get("data").filter(|data| data.is_string() || data.is_object())?.clone();
        Some(Self { format: value.get("format")?.as_str()?.to_owned(), data, credential_ids: ids })
    }

    pub(super) fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("format".into(), self.format.as_str().into());
        members.insert("data".into(), self.data.clone());
        if !self.credential_ids.is_empty() {
            members.insert("credential_ids".into(), json!(self.credential_ids));
        }
        Value::Object(members)
    }
}

fn malformed() -> Error {
    Error::malformed("request_object", "`verifier_info` is not an array of attestations")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let list = json!([{"format": REGISTRATION_CERTIFICATE, "data": "a.b.c", "credential_ids": ["who"]},
            {"format": "urn:other", "data": {"x": 1}}]);
        let read = VerifierInfo::parse_all(Some(&list)).unwrap();
        assert_eq!(read[0].registration_certificate(), Some("a.b.c"));
        assert!(read[0].concerns("who") && !read[0].concerns("payer") && read[1].concerns("payer"));
        assert_eq!(read[1].registration_certificate(), None);
        assert_eq!(json!(read.iter().map(VerifierInfo::to_value).collect::<Vec<_>>()), list);
        let good = json!({"format": "f", "data": "d"});
        assert!(VerifierInfo::parse_all(None).unwrap().is_empty());
        for bad in [
            json!([]),
            json!({}),
            json!([1]),
            json!([{"data": "d"}]),
            json!([{"format": "f"}]),
            json!([{"format": "f", "data": 1}]),
            json!([{"format": "f", "data": "d", "credential_ids": []}]),
            json!([{"format": "f", "data": "d", "credential_ids": [1]}]),
            json!(vec![good; MAX + 1]),
        ] {
            assert_eq!(VerifierInfo::parse_all(Some(&bad)).unwrap_err().code(), "request_object", "{bad}");
        }
    }
}
