//! Claims path pointers: how requests and type metadata address claims inside a credential.
//!
//! OpenID4VP 1.0 section 7 and SD-JWT VC (draft-ietf-oauth-sd-jwt-vc) "Claim Path" define the same processing: a string
//! selects a member, a non-negative integer one array element, `null` all elements of an array.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// Components of one path; more than any format of ours nests.
const MAX_ELEMENTS: usize = 16;

/// One component of a [`ClaimPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathElement {
    /// The member of this name of every selected object.
    Name(String),
    /// The element at this index of every selected array.
    Index(usize),
    /// All elements of every selected array (`null` in JSON).
    All,
}

impl From<&str> for PathElement {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// A non-empty claims path pointer (OpenID4VP 1.0 section 7); at most 16 components.
///
/// In JSON an array of strings, non-negative integers and nulls: `["identifiers", null, "system"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<Value>", into = "Vec<Value>")]
pub struct ClaimPath(Vec<PathElement>);

impl ClaimPath {
    /// The path with these components; [`Error::Malformed`] `claim_path` when there are none or more than 16.
    pub fn new(elements: Vec<PathElement>) -> Result<Self> {
        if elements.is_empty() || elements.len() > MAX_ELEMENTS {
            return Err(malformed());
        }
        Ok(Self(elements))
    }

    /// The path to a member of the root object.
    pub fn member(name: &str) -> Self {
        Self(vec![name.into()])
    }

    /// This path continued by one component.
    #[must_use]
    pub fn then(mut self, element: impl Into<PathElement>) -> Self {
        self.0.push(element.into());
        self
    }

    /// The components from the root down.
    pub fn elements(&self) -> &[PathElement] {
        &self.0
    }

    /// The values that this path selects in `claims`, where everything that the credential holds is disclosed.
    ///
    /// Nothing selected is an empty vector. [`Error::Malformed`] `claim_path_type` when a component does not fit the
    /// kind of a selected value (OpenID4VP 1.0 section 7.1.1 step 2).
    pub fn select<'v>(&self, claims: &'v serde_json::Map<String, Value>) -> Result<Vec<&'v Value>> {
        let mut elements = self.0.iter();
        let mut selected: Vec<&Value> = match elements.next() {
            Some(PathElement::Name(name)) => claims.get(name).into_iter().collect(),
            _ => return Err(wrong_type()),
        };
        for element in elements {
            let mut next = Vec::with_capacity(selected.len());
            for value in selected {
                match (element, value) {
                    (PathElement::Name(name), Value::Object(map)) => next.extend(map.get(name)),
                    (PathElement::Index(index), Value::Array(items)) => next.extend(items.get(*index)),
                    (PathElement::All, Value::Array(items)) => next.extend(items),
                    _ => return Err(wrong_type()),
                }
            }
            selected = next;
        }
        Ok(selected)
    }
}

/// The error for a component that does not fit the kind of a selected value.
pub(crate) fn wrong_type() -> Error {
    Error::malformed(
        "claim_path_type",
        "a path component does not fit the kind of the claim that it is applied to",
    )
}

fn malformed() -> Error {
    Error::malformed("claim_path", "a claim path is 1 to 16 strings, non-negative integers or nulls")
}

impl TryFrom<Vec<Value>> for ClaimPath {
    type Error = Error;

    fn try_from(values: Vec<Value>) -> Result<Self> {
        if values.len() > MAX_ELEMENTS {
            return Err(malformed());
        }
        let element = |value| match value {
            Value::String(name) => Ok(PathElement::Name(name)),
            Value::Null => Ok(PathElement::All),
            Value::Number(index) => index
                .as_u64()
                .and_then(|index| usize::try_from(index).ok())
                .map(PathElement::Index)
                .ok_or_else(malformed),
            _ => Err(malformed()),
        };
        Self::new(values.into_iter().map(element).collect::<Result<_>>()?)
    }
}

impl From<ClaimPath> for Vec<Value> {
    fn from(path: ClaimPath) -> Self {
        let value = |element| match element {
            PathElement::Name(name) => Value::String(name),
            PathElement::Index(index) => Value::from(index),
            PathElement::All => Value::Null,
        };
        path.0.into_iter().map(value).collect()
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, element) in self.0.iter().enumerate() {
            match element {
                PathElement::Name(name) if position == 0 => f.write_str(name)?,
                PathElement::Name(name) => write!(f, ".{name}")?,
                PathElement::Index(index) => write!(f, "[{index}]")?,
                PathElement::All => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(value: Value) -> ClaimPath {
        serde_json::from_value(value).unwrap()
    }

    /// OpenID4VP 1.0 section 7.3, Claims Path Pointer Example.
    #[test]
    fn specification_example() {
        let credential = json!({
            "name": "Arthur Dent",
            "address": {"street_address": "42 Market Street", "locality": "Milliways", "postal_code": "12345"},
            "degrees": [
                {"type": "Bachelor of Science", "university": "University of Betelgeuse"},
                {"type": "Master of Science", "university": "University of Betelgeuse"}
            ],
            "nationalities": ["British", "Betelgeusian"]
        });
        let root = credential.as_object().unwrap();
        for (pointer, expected) in [
            (json!(["name"]), json!(["Arthur Dent"])),
            (json!(["address"]), json!([credential["address"]])),
            (json!(["address", "street_address"]), json!(["42 Market Street"])),
            (json!(["degrees", null, "type"]), json!(["Bachelor of Science", "Master of Science"])),
            (json!(["nationalities", 1]), json!(["Betelgeusian"])),
            (json!(["nationalities", 2]), json!([])),
            (json!(["absent", "deeper"]), json!([])),
        ] {
            let selected = path(pointer).select(root).unwrap();
            assert_eq!(json!(selected), expected);
        }
        for wrong in
            [json!(["name", "x"]), json!(["address", 0]), json!(["address", null]), json!([0]), json!([null])]
        {
            assert_eq!(path(wrong).select(root).unwrap_err().code(), "claim_path_type");
        }
    }

    #[test]
    fn json_form() {
        let text = r#"["identifiers",null,0,"system"]"#;
        let parsed: ClaimPath = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&parsed).unwrap(), text);
        assert_eq!(parsed.to_string(), "identifiers[][0].system");
        for bad in [
            json!([]),
            json!([-1]),
            json!([1.5]),
            json!([true]),
            json!([["a"]]),
            json!(vec!["a"; 17]),
            json!("a"),
        ] {
            assert!(serde_json::from_value::<ClaimPath>(bad).is_err());
        }
    }
}
