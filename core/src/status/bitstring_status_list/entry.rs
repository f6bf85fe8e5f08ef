//! The entry in a credential's `credentialStatus` (section 2.1).

use std::fmt;

use serde_json::{Map, Value, json};

use super::bitstring::StatusSize;
use crate::error::{Error, Result};

/// The type of an entry.
pub const ENTRY_TYPE: &str = "BitstringStatusListEntry";
/// Longest URL of a list that is accepted, in bytes.
const MAX_URL: usize = 2048;
/// Most entries of one credential.
const MAX_ENTRIES: usize = 16;

/// What a status is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StatusPurpose {
    /// Taken back for good.
    Revocation,
    /// Not to be accepted for now.
    Suspension,
    /// A newer credential can be had from the refresh service.
    Refresh,
    /// A message of the issuer's, one of the entry's messages.
    Message,
    /// Somebody else's; set, it counts like a revocation, because nobody here knows better.
    Other(String),
}

impl StatusPurpose {
    /// The value of `statusPurpose`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
            Self::Refresh => "refresh",
            Self::Message => "message",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for StatusPurpose {
    fn from(text: &str) -> Self {
        match text {
            "revocation" => Self::Revocation,
            "suspension" => Self::Suspension,
            "refresh" => Self::Refresh,
            "message" => Self::Message,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for StatusPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMessage {
    /// The value.
    pub status: u64,
    /// For developers, not for the people whose credential it is.
    pub message: String,
}

/// One `BitstringStatusListEntry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEntry {
    /// `id`, with no meaning of its own.
    pub id: Option<String>,
    /// What the status is about.
    pub purpose: StatusPurpose,
    /// Its position in the list, in entries.
    pub index: u64,
    /// `statusListCredential`: where the list is published.
    pub list: String,
    /// Bits of the status.
    pub size: StatusSize,
    /// What each value means: none, or one for every value.
    pub messages: Vec<StatusMessage>,
    /// `statusReference`: where more can be read.
    pub references: Vec<String>,
}

impl StatusEntry {
    /// An entry of one bit.
    pub fn new(purpose: StatusPurpose, index: u64, list: &str) -> Self {
        Self {
            id: Some(format!("{list}#{index}")),
            purpose,
            index,
            list: list.to_owned(),
            size: StatusSize::ONE,
            messages: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Every entry of a credential; empty when it has no status.
    ///
    /// [`Error::Malformed`] `bitstring_entry`, `bitstring_size`; [`Error::Unsupported`] `status_mechanism` for an entry
    /// of another type, so that a revoked credential is never taken for one without status.
    pub fn of_credential(credential: &Value) -> Result<Vec<Self>> {
        match credential.get("credentialStatus") {
            None => Ok(Vec::new()),
            Some(Value::Array(entries)) if entries.len() <= MAX_ENTRIES => {
                entries.iter().map(Self::parse).collect()
            }
            Some(entry @ Value::Object(_)) => Ok(vec![Self::parse(entry)?]),
            Some(_) => Err(malformed("credentialStatus")),
        }
    }

    /// Reads one entry; errors as [`Self::of_credential`].
    pub fn parse(value: &Value) -> Result<Self> {
        let types = super::strings(value.get("type")).ok_or_else(|| malformed("type"))?;
        if !types.contains(&ENTRY_TYPE) {
            return Err(Error::unsupported(
                "status_mechanism",
                "a status of another type than BitstringStatusListEntry",
            ));
        }
        let text =
            |name: &'static str| value.get(name).and_then(Value::as_str).ok_or_else(|| malformed(name));
        let list = url(text("statusListCredential")?).ok_or_else(|| malformed("statusListCredential"))?;
        let id = match value.get("id") {
            None => None,
            Some(Value::String(id)) if *id != list => Some(url(id).ok_or_else(|| malformed("id"))?),
            Some(_) => return Err(malformed("id")),
        };
        let size = match value.get("statusSize") {
            None => StatusSize::ONE,
            Some(size) => StatusSize::new(size.as_u64().ok_or_else(|| malformed("statusSize"))?)?,
        };
        let references = match value.get("statusReference") {
            None => Vec::new(),
            some => super::strings(some).ok_or_else(|| malformed("statusReference"))?,
        };
        let purpose = text("statusPurpose")?;
        if purpose.is_empty() {
            return Err(malformed("statusPurpose"));
        }
        Ok(Self {
            id,
            purpose: StatusPurpose::from(purpose),
            index: index(text("statusListIndex")?).ok_or_else(|| malformed("statusListIndex"))?,
            list,
            size,
            messages: messages(value.get("statusMessage"), size)?,
            references: references
                .into_iter()
                .map(|text| url(text).ok_or_else(|| malformed("statusReference")))
                .collect::<Result<_>>()?,
        })
    }

    /// The message of `value`, if the entry has messages.
    pub fn message(&self, value: u64) -> Option<&str> {
        self.messages.iter().find(|message| message.status == value).map(|message| message.message.as_str())
    }

    /// The entry as JSON, for `credentialStatus`.
    ///
    /// [`Error::Misuse`] `bitstring_messages` when it has more than one bit or messages, but not one message for each value.
    pub fn to_value(&self) -> Result<Value> {
        let mut members = Map::new();
        if let Some(id) = &self.id {
            members.insert("id".into(), id.as_str().into());
        }
        members.insert("type".into(), ENTRY_TYPE.into());
        members.insert("statusPurpose".into(), self.purpose.as_str().into());
        members.insert("statusListIndex".into(), self.index.to_string().into());
        members.insert("statusListCredential".into(), self.list.as_str().into());
        if self.size != StatusSize::ONE {
            members.insert("statusSize".into(), self.size.bits().into());
        }
        if self.size != StatusSize::ONE || !self.messages.is_empty() {
            let all: Vec<Value> = self
                .messages
                .iter()
                .map(|one| json!({"status": format!("{:#x}", one.status), "message": one.message}))
                .collect();
            let all = Value::Array(all);
            messages(Some(&all), self.size).map_err(|_| {
                Error::misuse("bitstring_messages", "every value of the status needs one message")
            })?;
            members.insert("statusMessage".into(), all);
        }
        match self.references.as_slice() {
            [] => {}
            [one] => drop(members.insert("statusReference".into(), one.as_str().into())),
            more => drop(members.insert("statusReference".into(), json!(more))),
        }
        Ok(members.into())
    }
}

fn messages(value: Option<&Value>, size: StatusSize) -> Result<Vec<StatusMessage>> {
    let malformed = || malformed("statusMessage");
    let items = match value {
        None if size == StatusSize::ONE => return Ok(Vec::new()),
        Some(Value::Array(items)) if u64::try_from(items.len()) == Ok(size.values()) => items,
        _ => return Err(malformed()),
    };
    let mut seen = vec![false; items.len()];
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let status = item.get("status").and_then(Value::as_str).and_then(|text| text.strip_prefix("0x"));
        let status =
            status.filter(|text| !text.starts_with('+')).and_then(|text| u64::from_str_radix(text, 16).ok());
        let status = status.ok_or_else(malformed)?;
        let message = item.get("message").and_then(Value::as_str).ok_or_else(malformed)?;
        let slot = usize::try_from(status).ok().and_then(|at| seen.get_mut(at)).ok_or_else(malformed)?;
        if std::mem::replace(slot, true) {
            return Err(malformed());
        }
        out.push(StatusMessage { status, message: message.to_owned() });
    }
    Ok(out)
}

/// An integer in base 10. One beyond 64 bits is outside every list, and then u64::MAX says so as well.
fn index(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 256 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

fn url(text: &str) -> Option<String> {
    (text.len() <= MAX_URL && url::Url::parse(text).is_ok()).then(|| text.to_owned())
}

fn malformed(member: &'static str) -> Error {
    Error::malformed("bitstring_entry", format!("{member} of the status entry is missing or malformed"))
}
