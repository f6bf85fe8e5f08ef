//! Claims path pointer (OpenID4VP 1.0 section 7), semantics for JSON-based credentials.

use std::fmt;

use serde_json::Value;

use super::{MAX_ENTRIES, member};
use crate::error::{Error, Result};

/// One component of a claims path pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathElement {
    /// The member of that name in every selected object.
    Key(String),
    /// The element at that place, from 0, in every selected array.
    Index(usize),
    /// Every element of every selected array (JSON `null`).
    All,
}

/// A non-empty pointer to one or more claims of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimsPath(Vec<PathElement>);

impl ClaimsPath {
    /// Reads a pointer: a non-empty array of strings, nulls and non-negative integers.
    pub fn parse(value: &Value) -> Result<Self> {
        member::elements(value, "path", MAX_ENTRIES)?
            .iter()
            .map(Self::element)
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The pointer to a member of nested objects.
    pub fn keys(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| PathElement::Key((*key).to_owned())).collect())
    }

    fn element(value: &Value) -> Result<PathElement> {
        match value {
            Value::String(_) => member::text(value, "path").map(PathElement::Key),
            Value::Null => Ok(PathElement::All),
            Value::Number(number) => number
                .as_u64()
                .and_then(|index| usize::try_from(index).ok())
                .map(PathElement::Index)
                .ok_or_else(|| Error::malformed("dcql", "an index in `path` must be a non-negative integer")),
            _ => {
                Err(Error::malformed("dcql", "`path` holds something else than strings, nulls and integers"))
            }
        }
    }

    /// The pointer as JSON.
    pub fn to_value(&self) -> Value {
        let element = |element: &PathElement| match element {
            PathElement::Key(key) => Value::from(key.as_str()),
            PathElement::Index(index) => Value::from(*index),
            PathElement::All => Value::Null,
        };
        self.0.iter().map(element).collect()
    }

    /// The components, from the root.
    pub fn elements(&self) -> &[PathElement] {
        &self.0
    }

    /// The selected claims (section 7.1.1); never empty.
    ///
    /// [`Error::Refused`] `claim_absent` where nothing is selected or a selected value has the wrong type.
    pub fn select<'a>(&self, credential: &'a Value) -> Result<Vec<&'a Value>> {
        // 1. Select the root element of the credential.
        let mut selected = vec![credential];
        // 2. Process the pointer from left to right.
        for element in &self.0 {
            let mut next = Vec::new();
            for value in selected {
                match (element, value) {
                    (PathElement::Key(key), Value::Object(object)) => next.extend(object.get(key)),
                    (PathElement::Index(index), Value::Array(array)) => next.extend(array.get(*index)),
                    (PathElement::All, Value::Array(array)) => next.extend(array),
                    _ => return Err(self.absent("points through a value of another type")),
                }
            }
            selected = next;
        }
        // 3. An empty selection is an error.
        match selected.is_empty() {
            true => Err(self.absent("selects nothing")),
            false => Ok(selected),
        }
    }

    fn absent(&self, why: &str) -> Error {
        Error::refused("claim_absent", format!("the claims path {self} {why}"))
    }
}

impl fmt::Display for ClaimsPath {
    /// `address.street_address`, `identifiers[*].value`, `nationalities[1]`: for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, element) in self.0.iter().enumerate() {
            match element {
                PathElement::Key(key) if at == 0 => f.write_str(key)?,
                PathElement::Key(key) => write!(f, ".{key}")?,
                PathElement::Index(index) => write!(f, "[{index}]")?,
                PathElement::All => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}
