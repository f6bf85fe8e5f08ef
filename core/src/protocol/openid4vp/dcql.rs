//! Digital Credentials Query Language (OpenID4VP 1.0 section 6); claims paths are [`ClaimPath`](crate::credential::claims).
//!
//! [`DcqlQuery::parse`] reads a query of either side: unknown members are ignored as the specification demands, wrong
//! types, duplicates and dangling references are refused, every list is bounded. [`DcqlQuery::check_supported`] is what a
//! verifier asks before it sends a query.

mod credential_query;
mod credential_set;
mod member;
mod trusted_authorities;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use credential_query::{ClaimsQuery, CredentialQuery};
pub use credential_set::CredentialSetQuery;
pub use trusted_authorities::{CredentialSource, TrustedAuthorities};

use crate::error::{Error, Result};

/// Most credential queries in one query.
pub const MAX_CREDENTIALS: usize = 16;
/// Most entries of any other list in a query (claims, claim sets, options, values, path elements).
pub const MAX_ENTRIES: usize = 64;
/// Most bytes of any string in a query.
pub const MAX_STRING: usize = 1024;

/// What a verifier asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct DcqlQuery {
    credentials: Vec<CredentialQuery>,
    credential_sets: Vec<CredentialSetQuery>,
}

impl DcqlQuery {
    /// Reads a query; [`Error::Malformed`] `dcql` says which member is at fault.
    pub fn parse(value: &Value) -> Result<Self> {
        let query = member::object(value, "dcql_query")?;
        let credentials = member::list(query, "credentials", MAX_CREDENTIALS)?
            .ok_or_else(|| member::missing("credentials"))?
            .iter()
            .map(CredentialQuery::parse)
            .collect::<Result<Vec<_>>>()?;
        for (at, credential) in credentials.iter().enumerate() {
            if credentials.iter().take(at).any(|earlier| earlier.id() == credential.id()) {
                return Err(Error::malformed("dcql", "two credential queries have the same `id`"));
            }
        }
        let credential_sets = match member::list(query, "credential_sets", MAX_ENTRIES)? {
            None => Vec::new(),
            Some(sets) => sets.iter().map(CredentialSetQuery::parse).collect::<Result<_>>()?,
        };
        let known = |id: &String| credentials.iter().any(|credential| credential.id() == id);
        if !credential_sets.iter().flat_map(CredentialSetQuery::options).flatten().all(known) {
            return Err(Error::malformed(
                "dcql",
                "`credential_sets` names a credential query that is not there",
            ));
        }
        Ok(Self { credentials, credential_sets })
    }

    /// The query as JSON.
    pub fn to_value(&self) -> Value {
        let mut query = Map::new();
        query.insert("credentials".into(), self.credentials.iter().map(CredentialQuery::to_value).collect());
        if !self.credential_sets.is_empty() {
            let sets = self.credential_sets.iter().map(CredentialSetQuery::to_value).collect();
            query.insert("credential_sets".into(), sets);
        }
        Value::Object(query)
    }

    /// The credential queries, in the verifier's order.
    pub fn credentials(&self) -> &[CredentialQuery] {
        &self.credentials
    }

    /// The credential query with that id.
    pub fn credential(&self, id: &str) -> Option<&CredentialQuery> {
        self.credentials.iter().find(|credential| credential.id() == id)
    }

    /// The constraints on combinations; empty means that all credential queries are to be answered.
    pub fn credential_sets(&self) -> &[CredentialSetQuery] {
        &self.credential_sets
    }

    /// What this build's verifier can check; [`Error::Unsupported`] names the first thing that it cannot.
    ///
    /// Stricter than [`Self::parse`] also where the specification binds only verifiers: no claim twice in one query.
    pub fn check_supported(&self) -> Result<()> {
        self.credentials.iter().try_for_each(CredentialQuery::check_supported)
    }

    /// Whether presentations for exactly these credential queries answer the query (section 6.4.2).
    ///
    /// [`Error::Refused`] `credentials_missing` names the first credential query or set that stays unanswered.
    pub fn check_answered<'a>(&self, answered: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        let has = |id: &str| answered.clone().any(|given| given == id);
        if self.credential_sets.is_empty() {
            return match self.credentials.iter().find(|credential| !has(credential.id())) {
                None => Ok(()),
                Some(credential) => Err(Error::refused(
                    "credentials_missing",
                    format!("no presentation for the credential query `{}`", credential.id()),
                )),
            };
        }
        let unmet = |set: &&CredentialSetQuery| set.required() && set.answered_by(&has).is_none();
        match self.credential_sets.iter().position(|set| unmet(&set)) {
            None => Ok(()),
            Some(at) => Err(Error::refused(
                "credentials_missing",
                format!("the presentations answer no option of the required credential set {at}"),
            )),
        }
    }
}

impl Serialize for DcqlQuery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DcqlQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::parse(&value).map_err(|error| serde::de::Error::custom(error.detail()))
    }
}

#[cfg(test)]
mod tests;
