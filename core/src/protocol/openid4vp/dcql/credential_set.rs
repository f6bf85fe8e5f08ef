//! Credential Set Query (OpenID4VP 1.0 section 6.2).

use serde_json::{Value, json};

use super::{MAX_ENTRIES, member};
use crate::error::Result;

/// Alternatives of credential queries that satisfy one use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSetQuery {
    options: Vec<Vec<String>>,
    required: bool,
}

impl CredentialSetQuery {
    pub(super) fn parse(value: &Value) -> Result<Self> {
        let set = member::object(value, "credential_sets")?;
        let options = member::identifier_lists(set, "options", MAX_ENTRIES)?
            .ok_or_else(|| member::missing("credential_sets.options"))?;
        Ok(Self { options, required: member::boolean(set, "required", true)? })
    }

    pub(super) fn to_value(&self) -> Value {
        match self.required {
            true => json!({ "options": self.options }),
            false => json!({ "options": self.options, "required": false }),
        }
    }

    /// Lists of credential query ids, the verifier's favourite first.
    pub fn options(&self) -> &[Vec<String>] {
        &self.options
    }

    /// Whether the request cannot be answered without this set.
    pub fn required(&self) -> bool {
        self.required
    }

    /// The first option all of whose credential queries are answered.
    pub fn answered_by(&self, has: &dyn Fn(&str) -> bool) -> Option<&[String]> {
        self.options.iter().find(|option| option.iter().all(|id| has(id))).map(Vec::as_slice)
    }
}
