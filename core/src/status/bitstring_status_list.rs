//! Bitstring Status List 1.0 (W3C): the entry in a credential, and the list that a status list credential carries.
//!
//! Plain data on JSON: whoever fetched the list credential verifies its proof and validity first, with the same code
//! as for every other credential, and then reads the list here. A list that was read once is kept; looking up one of
//! its entries touches only the bits of that entry.

mod bitstring;
mod entry;

use serde_json::{Map, Value, json};

pub use self::bitstring::{Bitstring, MIN_ENTRIES, StatusSize};
pub use self::entry::{ENTRY_TYPE, StatusEntry, StatusMessage, StatusPurpose};
use crate::clock::UnixTime;
use crate::encoding::date_time;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// The type of the credential that carries a list.
pub const CREDENTIAL_TYPE: &str = "BitstringStatusListCredential";
/// The type of the list, the credential's subject.
pub const LIST_TYPE: &str = "BitstringStatusList";

/// A list out of a status list credential whose proof was verified before.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusList {
    id: Option<String>,
    issuer: Option<String>,
    purposes: Vec<StatusPurpose>,
    bits: Bitstring,
    ttl_secs: Option<i64>,
    valid_from: Option<UnixTime>,
    valid_until: Option<UnixTime>,
}

/// What a list says about one credential (section 3.2, the result of the validate algorithm).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusOutcome<'a> {
    /// The purpose that was asked for.
    pub purpose: &'a StatusPurpose,
    /// The value in the list; 0 means that nothing is set.
    pub value: u64,
    /// Whether the value is 0. What another value means depends on the purpose: see [`Self::forbids_acceptance`].
    pub valid: bool,
    /// The message of the value; `set` or `unset` when the entry has no messages.
    pub message: &'a str,
}

impl StatusOutcome<'_> {
    /// Whether a credential with this outcome must not be accepted: it is revoked or suspended, or a purpose that this
    /// crate does not know is set. A refresh notice and a message do not invalidate (section 2.1).
    pub const fn forbids_acceptance(&self) -> bool {
        !self.valid && !matches!(self.purpose, StatusPurpose::Refresh | StatusPurpose::Message)
    }
}

impl StatusList {
    /// The list in an already verified status list credential (sections 2.2 and 3.3).
    ///
    /// [`Error::Malformed`] `bitstring_list` when the credential or its subject has not the type or a member is
    /// malformed, `bitstring_encoding` for an `encodedList` that is not multibase base64url of one gzip member,
    /// `deflate_too_large` when it unpacks to more than `limits.inflated_bytes`; [`Error::Untrusted`]
    /// `bitstring_length` when it is shorter than herd privacy demands (131,072 bits).
    pub fn from_verified_credential(credential: &Value, limits: &Limits) -> Result<Self> {
        let types = strings(credential.get("type")).ok_or_else(|| list("type"))?;
        if !types.contains(&CREDENTIAL_TYPE) {
            return Err(list("type"));
        }
        let subject = match credential.get("credentialSubject") {
            Some(Value::Array(subjects)) => match subjects.as_slice() {
                [subject] => subject,
                _ => return Err(list("credentialSubject")),
            },
            Some(subject @ Value::Object(_)) => subject,
            _ => return Err(list("credentialSubject")),
        };
        if !strings(subject.get("type")).is_some_and(|types| types.contains(&LIST_TYPE)) {
            return Err(list("credentialSubject.type"));
        }
        let purposes = strings(subject.get("statusPurpose")).filter(|purposes| !purposes.is_empty());
        let purposes = purposes.ok_or_else(|| list("credentialSubject.statusPurpose"))?;
        let encoded = subject.get("encodedList").and_then(Value::as_str);
        let ttl_secs = match subject.get("ttl") {
            None => None,
            Some(ttl) => {
                let millis = ttl.as_u64().ok_or_else(|| list("credentialSubject.ttl"))?;
                Some(i64::try_from(millis / 1000).unwrap_or(i64::MAX))
            }
        };
        Ok(Self {
            id: optional_text(credential, "id")?,
            issuer: match credential.get("issuer") {
                Some(Value::Object(issuer)) => issuer.get("id").and_then(Value::as_str).map(str::to_owned),
                Some(Value::String(issuer)) => Some(issuer.clone()),
                _ => None,
            },
            purposes: purposes.into_iter().map(StatusPurpose::from).collect(),
            bits: Bitstring::decode(encoded.ok_or_else(|| list("credentialSubject.encodedList"))?, limits)?,
            ttl_secs,
            valid_from: optional_time(credential, "validFrom")?,
            valid_until: optional_time(credential, "validUntil")?,
        })
    }

    /// The status of the credential whose entry this is (section 3.2, from step 5 on).
    ///
    /// [`Error::Untrusted`] `bitstring_purpose` when the list is for another purpose, `bitstring_list_id` when the list
    /// credential has an `id` that is not the entry's `statusListCredential`, `bitstring_length` when the list holds
    /// fewer than 131,072 entries of this size, `bitstring_range` when it has no such entry: in each case the list makes
    /// no statement and the credential must be refused.
    pub fn status<'a>(&self, entry: &'a StatusEntry) -> Result<StatusOutcome<'a>> {
        if self.id.as_ref().is_some_and(|id| *id != entry.list) {
            let detail = "the status list credential is not the one that the entry names";
            return Err(Error::untrusted("bitstring_list_id", detail));
        }
        if !self.purposes.contains(&entry.purpose) {
            return Err(Error::untrusted("bitstring_purpose", "the status list is for another purpose"));
        }
        let value = self.bits.get(entry.index, entry.size)?;
        Ok(StatusOutcome {
            purpose: &entry.purpose,
            value,
            valid: value == 0,
            message: entry.message(value).unwrap_or(if value == 0 { "unset" } else { "set" }),
        })
    }

    /// The list credential's own `id`, which should be where it is published.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Who issued the list; may differ from the credential's issuer, and then the caller decides whether to trust it.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The purposes that the list serves.
    pub fn purposes(&self) -> &[StatusPurpose] {
        &self.purposes
    }

    /// The bits.
    pub const fn bits(&self) -> &Bitstring {
        &self.bits
    }

    /// [`Error::NotCurrent`] `bitstring_not_yet` or `bitstring_expired` when `now` is outside the list credential's
    /// validity period; for lists that come from a cache.
    pub fn check_current(&self, now: UnixTime) -> Result<()> {
        if let Some(from) = self.valid_from.filter(|from| now < *from) {
            return Err(Error::not_current(
                "bitstring_not_yet",
                "the status list is not valid yet",
                now,
                from,
            ));
        }
        match self.valid_until.filter(|until| now > *until) {
            Some(until) => {
                Err(Error::not_current("bitstring_expired", "the status list has expired", now, until))
            }
            None => Ok(()),
        }
    }

    /// Until when a list that was fetched at `fetched` may be used from a cache: its `ttl`, or `default_secs` when it
    /// has none, but never beyond its own end.
    pub fn cache_until(&self, fetched: UnixTime, default_secs: i64) -> UnixTime {
        let until = fetched.plus(self.ttl_secs.unwrap_or(default_secs));
        self.valid_until.map_or(until, |end| end.min(until))
    }
}

/// What a status list credential says besides the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCredentialInput<'a> {
    /// Where it is published; the entries' `statusListCredential`.
    pub id: &'a str,
    /// Who issues it.
    pub issuer: &'a str,
    /// What the list is for.
    pub purposes: &'a [StatusPurpose],
    /// `validFrom`.
    pub valid_from: UnixTime,
    /// `validUntil`.
    pub valid_until: Option<UnixTime>,
    /// `ttl`: seconds after which a reader should fetch again (written in milliseconds).
    pub ttl_secs: Option<u32>,
}

/// The status list credential of `bits`, without proof (section 3.1): the caller secures it like any other credential.
///
/// [`Error::Misuse`] `bitstring_purposes` when there is no purpose.
pub fn list_credential(input: &ListCredentialInput<'_>, bits: &Bitstring) -> Result<Value> {
    let purpose = match input.purposes {
        [] => return Err(Error::misuse("bitstring_purposes", "a status list needs a purpose")),
        [one] => Value::from(one.as_str()),
        more => more.iter().map(StatusPurpose::as_str).collect(),
    };
    let mut subject = Map::new();
    subject.insert("id".into(), format!("{}#list", input.id).into());
    subject.insert("type".into(), LIST_TYPE.into());
    subject.insert("statusPurpose".into(), purpose);
    subject.insert("encodedList".into(), bits.encode().into());
    if let Some(secs) = input.ttl_secs {
        subject.insert("ttl".into(), (u64::from(secs) * 1000).into());
    }
    let mut credential = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": input.id,
        "type": ["VerifiableCredential", CREDENTIAL_TYPE],
        "issuer": input.issuer,
        "validFrom": date_time::format(input.valid_from),
        "credentialSubject": subject,
    });
    if let (Some(until), Some(members)) = (input.valid_until, credential.as_object_mut()) {
        members.insert("validUntil".into(), date_time::format(until).into());
    }
    Ok(credential)
}

/// One string or an array of strings.
fn strings(value: Option<&Value>) -> Option<Vec<&str>> {
    match value? {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn optional_text(credential: &Value, name: &'static str) -> Result<Option<String>> {
    match credential.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(list(name)),
    }
}

fn optional_time(credential: &Value, name: &'static str) -> Result<Option<UnixTime>> {
    let text = optional_text(credential, name)?;
    text.map(|text| date_time::parse(&text).map_err(|_| list(name))).transpose()
}

fn list(member: &'static str) -> Error {
    Error::malformed(
        "bitstring_list",
        format!("{member} of the status list credential is missing or malformed"),
    )
}

#[cfg(test)]
mod tests;
