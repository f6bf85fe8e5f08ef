//! Registered transaction data types: what an operator declares so that verifiers may ask for them and wallets can show them
//! in full (OpenID4VP 1.0 sections 5.1 and 8.4; the hashes as appendix B.3.3.1 profiles them).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::binding::transaction::{STEP_UP_TYPE, visible};
use crate::error::{Error, Result};

/// Members that every type has (section 5.1 and appendix B.3.3.1).
const COMMON: [&str; 3] = ["type", "credential_ids", "transaction_data_hashes_alg"];
/// Most types, and most fields of a type.
const MAX: usize = 64;
/// Longest text of a field, in characters: a wallet must be able to show all of it.
const MAX_TEXT: usize = 500;

/// A type and its fields; anything else in an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionType {
    /// The value of `type`: collision-resistant, a URL or URN.
    #[serde(rename = "type")]
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// The members that entries of it have, in the order in which they are shown.
    pub fields: Vec<TransactionField>,
}

/// One member of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionField {
    /// The member's name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it may be absent.
    #[serde(default)]
    pub optional: bool,
}

/// What a field holds. There are no objects, so that all of an entry can be shown in lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// 1 to 500 characters.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
}

/// The types that a verifier may ask for, or a wallet can show, beside the biometric step-up, which both always know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransactionTypes(BTreeMap<String, TransactionType>);

/// An entry of a registered type, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The value of `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is, for people.
    pub title: String,
    /// The credential queries, one of which approves it.
    pub credential_ids: Vec<String>,
    /// Everything that is approved: label and value, with hidden characters written out.
    pub lines: Vec<(String, String)>,
}

impl TransactionTypes {
    /// No type but the step-up.
    pub const NONE: Self = Self(BTreeMap::new());

    /// Registers types. [`Error::Misuse`] `transaction_types` for a name twice, that of the step-up, a field twice, or a
    /// field that every type has.
    pub fn new(types: Vec<TransactionType>) -> Result<Self> {
        let unfit = |name: &str| {
            Error::misuse("transaction_types", format!("the transaction type `{name}` is not usable"))
        };
        let mut known = BTreeMap::new();
        for one in types {
            let twice = |(at, field): (usize, &TransactionField)| {
                one.fields.iter().take(at).any(|earlier| earlier.name == field.name)
            };
            let reserved = one.fields.iter().any(|field| COMMON.contains(&field.name.as_str()));
            if reserved
                || one.name.is_empty()
                || one.name == STEP_UP_TYPE
                || one.fields.len() > MAX
                || known.len() >= MAX
                || one.fields.iter().enumerate().any(twice)
                || known.contains_key(&one.name)
            {
                return Err(unfit(&one.name));
            }
            known.insert(one.name.clone(), one);
        }
        Ok(Self(known))
    }

    /// Reads an entry of a registered type, `members` being its decoded JSON.
    ///
    /// [`Error::Unsupported`] `transaction_data_type` for an unknown type; [`Error::Malformed`]
    /// `invalid_transaction_data` for unknown, missing or wrong members (section 8.5).
    pub fn read(
        &self,
        kind: &str,
        credential_ids: Vec<String>,
        members: &Map<String, Value>,
    ) -> Result<Transaction> {
        let unknown = || Error::unsupported("transaction_data_type", "an entry has an unknown type");
        let own = self.0.get(kind).ok_or_else(unknown)?;
        let is_known =
            |name: &str| COMMON.contains(&name) || own.fields.iter().any(|field| field.name == name);
        if !members.keys().all(|name| is_known(name)) {
            return Err(invalid("an entry has a member that its type does not know"));
        }
        check_hash_algorithms(members.get("transaction_data_hashes_alg"))?;
        let mut lines = Vec::new();
        for field in &own.fields {
            match members.get(&field.name) {
                Some(value) => lines.push((field.label.clone(), field.kind.shown(value)?)),
                None if field.optional => {}
                None => return Err(invalid("an entry lacks a member of its type")),
            }
        }
        Ok(Transaction { kind: kind.to_owned(), title: own.title.clone(), credential_ids, lines })
    }
}

impl FieldKind {
    fn shown(self, value: &Value) -> Result<String> {
        let text = |value: &Value| {
            value.as_str().filter(|text| (1..=MAX_TEXT).contains(&text.chars().count())).map(visible)
        };
        let shown = match (self, value) {
            (Self::Text, value) => text(value),
            (Self::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Some(number.to_string())
            }
            (Self::Boolean, Value::Bool(value)) => Some(if *value { "yes" } else { "no" }.to_owned()),
            (Self::Texts, Value::Array(list)) if (1..=MAX).contains(&list.len()) => {
                list.iter().map(text).collect::<Option<Vec<_>>>().map(|texts| texts.join(", "))
            }
            _ => None,
        };
        shown.ok_or_else(|| invalid("a member of an entry has a wrong type or value"))
    }
}

/// Wallets of this build hash with SHA-256: where algorithms are listed, it must be among them.
fn check_hash_algorithms(value: Option<&Value>) -> Result<()> {
    match value {
        None => Ok(()),
        Some(Value::Array(names)) if names.iter().any(|name| name == "sha-256") => Ok(()),
        Some(_) => Err(invalid("`transaction_data_hashes_alg` does not offer sha-256")),
    }
}

fn invalid(detail: &'static str) -> Error {
    Error::malformed("invalid_transaction_data", detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn types() -> TransactionTypes {
        let types = json!([{
            "type": "https://example.org/payment",
            "title": "Pay an invoice",
            "fields": [
                {"name": "payee", "label": "To", "kind": "text"},
                {"name": "cents", "label": "Amount in cents", "kind": "integer"},
                {"name": "final", "label": "Last instalment", "kind": "boolean", "optional": true},
                {"name": "items", "label": "For", "kind": "texts", "optional": true},
            ],
        }]);
        TransactionTypes::new(serde_json::from_value(types).unwrap()).unwrap()
    }

    fn read(entry: &Value) -> Result<Transaction> {
        let kind = entry["type"].as_str().unwrap();
        types().read(kind, vec!["patient".into()], entry.as_object().unwrap())
    }

    #[test]
    fn everything_is_shown() {
        let entry = json!({"type": "https://example.org/payment", "credential_ids": ["patient"], "payee": "Clinic\u{202e}",
            "cents": 1200, "items": ["visit", "x-ray"], "transaction_data_hashes_alg": ["sha-512", "sha-256"]});
        let transaction = read(&entry).unwrap();
        assert_eq!(transaction.title, "Pay an invoice");
        let lines: Vec<_> =
            transaction.lines.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
        assert_eq!(lines[1..], [("Amount in cents", "1200"), ("For", "visit, x-ray")]);
        assert!(!lines[0].1.contains('\u{202e}'), "hidden characters are written out");
    }

    #[test]
    fn refuses() {
        let good = json!({"type": "https://example.org/payment", "credential_ids": ["patient"], "payee": "C", "cents": 1});
        read(&good).unwrap();
        let code = |name: &str, value: Value| {
            let mut entry = good.clone();
            match value {
                Value::Null => drop(entry.as_object_mut().unwrap().remove(name)),
                value => entry[name] = value,
            }
            read(&entry).unwrap_err().code()
        };
        assert_eq!(code("type", json!("https://example.org/other")), "transaction_data_type");
        for (name, value) in [
            ("payee", Value::Null),
            ("payee", json!(1)),
            ("payee", json!("")),
            ("payee", json!("x".repeat(501))),
            ("cents", json!("1")),
            ("cents", json!(1.5)),
            ("final", json!("yes")),
            ("items", json!([])),
            ("items", json!([1])),
            ("tip", json!(1)),
            ("transaction_data_hashes_alg", json!(["sha-512"])),
            ("transaction_data_hashes_alg", json!("sha-256")),
        ] {
            assert_eq!(code(name, value), "invalid_transaction_data", "{name}");
        }
    }

    #[test]
    fn unusable_types() {
        let of = |name: &str, fields: Value| {
            let one = json!({"type": name, "title": "t", "fields": fields});
            TransactionTypes::new(serde_json::from_value(json!([one])).unwrap())
        };
        let field = |name: &str| json!({"name": name, "label": "l", "kind": "text"});
        of("urn:t", json!([field("a")])).unwrap();
        for (name, fields) in [
            ("", json!([])),
            (STEP_UP_TYPE, json!([])),
            ("urn:t", json!([field("a"), field("a")])),
            ("urn:t", json!([field("credential_ids")])),
        ] {
            assert_eq!(of(name, fields).unwrap_err().code(), "transaction_types", "{name}");
        }
    }
}
