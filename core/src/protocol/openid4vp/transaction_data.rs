//! Transaction data (OpenID4VP 1.0 sections 5.1, 8.4 and B.3.3): what the person approves beside the disclosure.
//!
//! Its hash is taken over the base64url string as it was sent, so both sides keep that string
//! ([`TransactionDataHashes`](crate::format::sd_jwt_vc::key_binding::TransactionDataHashes)). For wallets the types form
//! a closed list: a request with a type, a member or a value that is not known is refused (`invalid_transaction_data`).
//! The biometric step-up is always known; others are registered ([`TransactionTypes`]).

use serde_json::{Map, Value};

use super::dcql::DcqlQuery;
use super::transaction_types::{Transaction, TransactionTypes};
use crate::binding::transaction::{STEP_UP_TYPE, StepUpRequest};
use crate::encoding::{base64url, json as strict_json};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Most entries in one request.
pub const MAX_ENTRIES: usize = 8;

/// One entry of a request that can be shown and approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionData {
    /// [`STEP_UP_TYPE`]
    StepUp(StepUpRequest),
    /// An entry of a registered type.
    Registered(Transaction),
}

impl TransactionData {
    /// Reads all entries of a request.
    ///
    /// [`Error::Malformed`] `invalid_transaction_data` or [`Error::Unsupported`] `transaction_data_type`, for each case
    /// of section 8.5 except credentials that the wallet does not hold.
    pub fn parse_all(
        entries: &[String],
        query: &DcqlQuery,
        types: &TransactionTypes,
        limits: &Limits,
    ) -> Result<Vec<Self>> {
        let heads = heads(entries, query, limits)?;
        let known: Vec<Self> = heads.iter().map(|head| Self::known(head, types)).collect::<Result<_>>()?;
        // One ceremony can confirm one thing.
        match known.iter().filter(|one| matches!(one, Self::StepUp(_))).count() {
            0 | 1 => Ok(known),
            _ => Err(invalid("more than one step-up in one request")),
        }
    }

    fn known(head: &Head, types: &TransactionTypes) -> Result<Self> {
        match head.kind.as_str() {
            STEP_UP_TYPE => StepUpRequest::parse(&head.json).map(Self::StepUp),
            kind => types.read(kind, head.credential_ids.clone(), &head.members).map(Self::Registered),
        }
    }

    /// The credential queries, one of which approves it.
    pub fn credential_ids(&self) -> &[String] {
        match self {
            Self::StepUp(step_up) => &step_up.credential_ids,
            Self::Registered(transaction) => &transaction.credential_ids,
        }
    }
}

/// The entry of a step-up as it is sent.
pub fn encode_step_up(step_up: &StepUpRequest) -> Result<String> {
    Ok(base64url::encode(&step_up.to_json()?))
}

/// Entries of registered types, for a verifier: checked as its wallets will check them, and encoded.
///
/// Errors of [`TransactionData::parse_all`].
pub fn encode_all(
    entries: &[Value],
    query: &DcqlQuery,
    types: &TransactionTypes,
    limits: &Limits,
) -> Result<Vec<String>> {
    let encoded: Vec<String> =
        entries.iter().map(|entry| base64url::encode(entry.to_string().as_bytes())).collect();
    TransactionData::parse_all(&encoded, query, types, limits)?;
    Ok(encoded)
}

/// Whether an entry, made by ourselves, is the step-up.
pub fn is_step_up(encoded: &str, limits: &Limits) -> Result<bool> {
    Head::parse(encoded, limits).map(|head| head.kind == STEP_UP_TYPE)
}

/// The ids of the credential queries that an entry, made by ourselves, names.
pub fn credential_ids(encoded: &str, limits: &Limits) -> Result<Vec<String>> {
    Head::parse(encoded, limits).map(|head| head.credential_ids)
}

/// What every type has in common.
struct Head {
    kind: String,
    credential_ids: Vec<String>,
    members: Map<String, Value>,
    json: Vec<u8>,
}

impl Head {
    fn parse(encoded: &str, limits: &Limits) -> Result<Self> {
        let json = base64url::decode(encoded).map_err(|_| invalid("an entry is not base64url"))?;
        let value = strict_json::parse(&json, limits).map_err(|_| invalid("an entry is not strict JSON"))?;
        let Value::Object(value) = value else { return Err(invalid("an entry is not an object")) };
        let kind =
            value.get("type").and_then(Value::as_str).ok_or_else(|| invalid("an entry has no `type`"))?;
        let ids = value.get("credential_ids").and_then(Value::as_array).filter(|ids| !ids.is_empty());
        let id = |id: &Value| {
            id.as_str().map(str::to_owned).ok_or_else(|| invalid("`credential_ids` holds no strings"))
        };
        Ok(Self {
            kind: kind.to_owned(),
            credential_ids: ids
                .ok_or_else(|| invalid("`credential_ids` is missing or empty"))?
                .iter()
                .map(id)
                .collect::<Result<_>>()?,
            members: value,
            json,
        })
    }
}

fn heads(entries: &[String], query: &DcqlQuery, limits: &Limits) -> Result<Vec<Head>> {
    if entries.len() > MAX_ENTRIES {
        return Err(invalid("too many entries"));
    }
    let heads = entries.iter().map(|entry| Head::parse(entry, limits)).collect::<Result<Vec<_>>>()?;
    for id in heads.iter().flat_map(|head| &head.credential_ids) {
        match query.credential(id) {
            None => return Err(invalid("`credential_ids` names a credential query that is not there")),
            // Appendix B.3.3.
            Some(credential) if !credential.requires_holder_binding() => {
                return Err(invalid("transaction data needs a credential query with holder binding"));
            }
            Some(_) => {}
        }
    }
    Ok(heads)
}

fn invalid(detail: &'static str) -> Error {
    Error::malformed("invalid_transaction_data", detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step_up_example(credential_id: &str) -> Value {
        json!({"type": STEP_UP_TYPE, "credential_ids": [credential_id], "min_level": "uv", "max_age": 120,
            "purpose": "Release discharge letter", "locale": "en"})
    }

    fn query() -> DcqlQuery {
        let credential = |id: &str, bound: bool| {
            json!({"id": id, "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:t"]},
                "require_cryptographic_holder_binding": bound})
        };
        DcqlQuery::parse(&json!({"credentials": [credential("patient", true), credential("loose", false)]}))
            .unwrap()
    }

    fn parse(entry: &Value) -> Result<Vec<TransactionData>> {
        let encoded = base64url::encode(entry.to_string().as_bytes());
        TransactionData::parse_all(&[encoded], &query(), &TransactionTypes::default(), &Limits::DEFAULT)
    }

    #[test]
    fn round_trip() {
        let data = parse(&step_up_example("patient")).unwrap();
        let [TransactionData::StepUp(step_up)] = &data[..] else { panic!() };
        let encoded = encode_step_up(step_up).unwrap();
        assert!(is_step_up(&encoded, &Limits::DEFAULT).unwrap());
        assert_eq!(credential_ids(&encoded, &Limits::DEFAULT).unwrap(), ["patient"]);
        let again =
            TransactionData::parse_all(&[encoded], &query(), &TransactionTypes::default(), &Limits::DEFAULT)
                .unwrap();
        assert_eq!(again, data);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let with = |name: &str, value: Value| {
            let mut entry = step_up_example("patient");
            entry[name] = value;
            parse(&entry).unwrap_err().code()
        };
        assert_eq!(with("type", json!("payment")), "transaction_data_type");
        for (name, value) in [
            ("type", json!(1)),
            ("extra", json!(true)),
            ("credential_ids", json!([])),
            ("credential_ids", json!([1])),
            ("credential_ids", json!("patient")),
            ("credential_ids", json!(["other"])),
            ("credential_ids", json!(["loose"])),
            ("min_level", json!("highest")),
            ("max_age", json!("120")),
            ("purpose", json!(" ")),
            ("transaction_data_hashes_alg", json!(["sha-512"])),
        ] {
            assert_eq!(with(name, value), "invalid_transaction_data", "{name}");
        }
        for name in ["type", "credential_ids", "min_level", "max_age", "purpose"] {
            let mut entry = step_up_example("patient");
            entry.as_object_mut().unwrap().remove(name);
            assert_eq!(parse(&entry).unwrap_err().code(), "invalid_transaction_data", "{name}");
        }
        for raw in ["", "e30=", "e30", "W10", "bm8"] {
            let error = TransactionData::parse_all(
                &[raw.to_owned()],
                &query(),
                &TransactionTypes::default(),
                &Limits::DEFAULT,
            )
            .unwrap_err();
            assert_eq!(error.code(), "invalid_transaction_data", "{raw}");
        }
        let one = base64url::encode(step_up_example("patient").to_string().as_bytes());
        for count in [2, MAX_ENTRIES + 1] {
            assert!(
                TransactionData::parse_all(
                    &vec![one.clone(); count],
                    &query(),
                    &TransactionTypes::default(),
                    &Limits::DEFAULT
                )
                .is_err()
            );
        }
    }

    #[test]
    fn a_verifier_sends_registered_types_only() {
        let types = json!([{"type": "https://example.org/payment", "title": "Pay",
            "fields": [{"name": "amount", "label": "Amount", "kind": "integer"}]}]);
        let types = TransactionTypes::new(serde_json::from_value(types).unwrap()).unwrap();
        let encode = |entry: Value| encode_all(&[entry], &query(), &types, &Limits::DEFAULT);
        let entry =
            json!({"type": "https://example.org/payment", "credential_ids": ["patient"], "amount": 5});
        let encoded = encode(entry.clone()).unwrap();
        assert!(!is_step_up(&encoded[0], &Limits::DEFAULT).unwrap());
        let unregistered = encode_all(&[entry], &query(), &TransactionTypes::default(), &Limits::DEFAULT);
        assert_eq!(unregistered.unwrap_err().code(), "transaction_data_type");
        for bad in [
            json!({}),
            json!([]),
            json!({"type": "https://example.org/payment", "credential_ids": ["nobody"], "amount": 5}),
            json!({"type": "https://example.org/payment", "credential_ids": ["loose"], "amount": 5}),
            json!({"type": "https://example.org/payment", "credential_ids": ["patient"]}),
        ] {
            assert_eq!(encode(bad).unwrap_err().code(), "invalid_transaction_data");
        }
    }
}
