//! Metadata policies (OpenID Federation 1.0 section 6.1): the seven standard operators, merged down a trust chain and
//! applied to the metadata of its subject.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The policies of a chain: entity type → metadata parameter → operators.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MetadataPolicy(BTreeMap<String, BTreeMap<String, Operators>>);

/// The operators of one metadata parameter. Operators that the specification does not define are not heard, as it
/// demands, unless a statement calls them critical, which refuses the statement.
#[derive(Debug, Clone, Default, PartialEq)]
struct Operators {
    value: Option<Value>,
    add: Option<Vec<Value>>,
    default: Option<Value>,
    one_of: Option<Vec<Value>>,
    subset_of: Option<Vec<Value>>,
    superset_of: Option<Vec<Value>>,
    essential: Option<bool>,
}

impl MetadataPolicy {
    /// Reads and checks a `metadata_policy` claim. Errors: `federation_policy`.
    pub(super) fn parse(claim: &Value) -> Result<Self> {
        let mut types = BTreeMap::new();
        for (entity_type, parameters) in object(claim)? {
            let mut policies = BTreeMap::new();
            for (name, operators) in object(parameters)? {
                policies.insert(name.clone(), Operators::parse(object(operators)?)?);
            }
            types.insert(entity_type.clone(), policies);
        }
        Ok(Self(types))
    }

    /// This policy, with that of a subordinate statement merged in (section 6.1.4.1). Errors: `federation_policy`.
    pub(super) fn merge(mut self, subordinate: Self) -> Result<Self> {
        for (entity_type, parameters) in subordinate.0 {
            let own = self.0.entry(entity_type).or_default();
            for (name, operators) in parameters {
                let merged = match own.remove(&name) {
                    Some(superior) => superior.merge(operators)?,
                    None => operators,
                };
                own.insert(name, merged);
            }
        }
        Ok(self)
    }

    /// Applies the policy to `metadata`, entity type by entity type (section 6.1.4.2). Errors: `federation_policy`.
    pub(super) fn apply(&self, metadata: &mut Map<String, Value>) -> Result<()> {
        for (entity_type, parameters) in &self.0 {
            let Some(Value::Object(own)) = metadata.get_mut(entity_type) else { continue };
            for (name, operators) in parameters {
                let input = own.remove(name).filter(|value| !value.is_null());
                // `scope` is text of values with spaces between, and counts as array (section 6.1.3.1.8).
                let output = match (name.as_str(), input) {
                    ("scope", Some(Value::String(text))) => operators.apply(Some(
                        text.split(' ').filter(|one| !one.is_empty()).map(Value::from).collect(),
                    ))?,
                    (_, input) => operators.apply(input)?,
                };
                let output = match (name.as_str(), output) {
                    ("scope", Some(Value::Array(values))) => {
                        let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                        Some(texts.join(" ").into())
                    }
                    (_, output) => output,
                };
                if let Some(output) = output {
                    own.insert(name.clone(), output);
                }
            }
        }
        Ok(())
    }
}

impl Operators {
    fn parse(members: &Map<String, Value>) -> Result<Self> {
        let list = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values.clone())),
            Some(_) => Err(policy("a policy operator that takes an array has something else")),
        };
        let essential = match members.get("essential") {
            None => None,
            Some(Value::Bool(essential)) => Some(*essential),
            Some(_) => return Err(policy("the operator essential is true or false")),
        };
        let default = members.get("default").cloned();
        if default.as_ref().is_some_and(Value::is_null) {
            return Err(policy("the operator default cannot be null"));
        }
        let operators = Self {
            value: members.get("value").cloned(),
            add: list("add")?,
            default,
            one_of: list("one_of")?,
            subset_of: list("subset_of")?,
            superset_of: list("superset_of")?,
            essential,
        };
        operators.check()?;
        Ok(operators)
    }

    /// The combinations that section 6.1.3.1 allows.
    fn check(&self) -> Result<()> {
        let fits = |smaller: Option<&[Value]>, larger: Option<&[Value]>| match (smaller, larger) {
            (Some(smaller), Some(larger)) => is_subset(smaller, larger),
            _ => true,
        };
        let value = self.value.as_ref().map(as_set);
        let (value, add) = (value.as_deref(), self.add.as_deref());
        let (one_of, subset_of) = (self.one_of.as_deref(), self.subset_of.as_deref());
        let superset_of = self.superset_of.as_deref();
        let removed = self.value.as_ref().is_some_and(Value::is_null);
        let allowed = fits(add, value)
            && fits(value, subset_of)
            && fits(superset_of, value)
            && fits(add, subset_of)
            && fits(superset_of, subset_of)
            && one_of.is_none_or(|list| self.value.as_ref().is_none_or(|value| list.contains(value)))
            && (one_of.is_none() || add.is_none() && subset_of.is_none() && superset_of.is_none())
            && !(removed && (self.essential == Some(true) || self.default.is_some()));
        if allowed { Ok(()) } else { Err(policy("policy operators contradict each other")) }
    }

    /// These operators of a superior with those of a subordinate.
    fn merge(self, below: Self) -> Result<Self> {
        let merged = Self {
            value: equal(self.value, below.value)?,
            add: merge_lists(self.add, below.add, union),
            default: equal(self.default, below.default)?,
            one_of: merge_lists(self.one_of, below.one_of, intersection),
            subset_of: merge_lists(self.subset_of, below.subset_of, intersection),
            superset_of: merge_lists(self.superset_of, below.superset_of, union),
            essential: match (self.essential, below.essential) {
                (Some(one), Some(other)) => Some(one || other),
                (one, other) => one.or(other),
            },
        };
        if merged.one_of.as_ref().is_some_and(Vec::is_empty) {
            return Err(policy("no value is left that all policies allow"));
        }
        merged.check()?;
        Ok(merged)
    }

    /// The parameter after all operators, in the order of the specification.
    fn apply(&self, input: Option<Value>) -> Result<Option<Value>> {
        let mut current = match &self.value {
            Some(Value::Null) => None,
            Some(value) => Some(value.clone()),
            None => input,
        };
        if let Some(add) = &self.add {
            let own = match current {
                None => Vec::new(),
                Some(Value::Array(values)) => values,
                Some(_) => return Err(policy("values are to be added to something that is no array")),
            };
            current = Some(union(own, add.clone()).into());
        }
        let current = current.or_else(|| self.default.clone());
        let Some(mut present) = current else {
            return match self.essential {
                Some(true) => Err(policy("a metadata parameter that must be present is absent")),
                _ => Ok(None),
            };
        };
        if self.one_of.as_ref().is_some_and(|allowed| !allowed.contains(&present)) {
            return Err(policy("a metadata parameter has a value that is not allowed"));
        }
        if let Some(allowed) = &self.subset_of {
            let Value::Array(values) = present else {
                return Err(policy("a metadata parameter that is to be limited is no array"));
            };
            present = intersection(values, allowed.clone()).into();
        }
        if let Some(needed) = &self.superset_of {
            let complete = present.as_array().is_some_and(|values| is_subset(needed, values));
            if !complete {
                return Err(policy("a metadata parameter lacks values that are demanded"));
            }
        }
        Ok(Some(present))
    }
}

/// A value as the set that the operators see; `null` is the empty set.
fn as_set(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.clone(),
        single => vec![single.clone()],
    }
}

fn is_subset(smaller: &[Value], larger: &[Value]) -> bool {
    smaller.iter().all(|value| larger.contains(value))
}

fn union(mut one: Vec<Value>, other: Vec<Value>) -> Vec<Value> {
    for value in other {
        if !one.contains(&value) {
            one.push(value);
        }
    }
    one
}

fn intersection(mut one: Vec<Value>, other: Vec<Value>) -> Vec<Value> {
    one.retain(|value| other.contains(value));
    one
}

fn merge_lists(
    one: Option<Vec<Value>>,
    other: Option<Vec<Value>>,
    merge: fn(Vec<Value>, Vec<Value>) -> Vec<Value>,
) -> Option<Vec<Value>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(merge(one, other)),
        (one, other) => one.or(other),
    }
}

fn equal(one: Option<Value>, other: Option<Value>) -> Result<Option<Value>> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(policy("two policies demand different values")),
        (one, other) => Ok(one.or(other)),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().ok_or_else(|| policy("a metadata policy is not built of objects"))
}

fn policy(detail: &'static str) -> Error {
    Error::untrusted("federation_policy", detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(operators: Value) -> Result<MetadataPolicy> {
        MetadataPolicy::parse(&json!({ "t": { "p": operators } }))
    }

    /// The parameter after the policies, superior first; `Err` where they do not go together or it breaks them.
    fn resolve(policies: &[Value], input: Value) -> Result<Option<Value>> {
        let mut merged = MetadataPolicy::default();
        for operators in policies {
            merged = merged.merge(parse(operators.clone())?)?;
        }
        let mut metadata = json!({ "t": { "p": input }, "u": { "p": 1 } }).as_object().unwrap().clone();
        merged.apply(&mut metadata)?;
        assert_eq!(metadata["u"], json!({ "p": 1 }), "another entity type stays as it was");
        Ok(metadata["t"].get("p").cloned())
    }

    #[test]
    fn one_operator_after_the_other() {
        let cases = [
            (json!({"value": ["a"]}), json!(["b"]), Some(json!(["a"]))),
            (json!({"value": null}), json!(["b"]), None),
            (json!({"add": ["a", "b"]}), json!(["b", "c"]), Some(json!(["b", "c", "a"]))),
            (json!({"add": ["a"]}), Value::Null, Some(json!(["a"]))),
            (json!({"default": "x"}), Value::Null, Some(json!("x"))),
            (json!({"default": "x"}), json!("y"), Some(json!("y"))),
            (json!({"one_of": ["x", "y"]}), json!("y"), Some(json!("y"))),
            (json!({"one_of": ["x", "y"]}), Value::Null, None),
            // The table of section 6.1.3.1.8.
            (json!({"essential": true, "subset_of": ["a", "b", "c"]}), json!(["a", "e"]), Some(json!(["a"]))),
            (
                json!({"essential": false, "subset_of": ["a", "b", "c"]}),
                json!(["a", "e"]),
                Some(json!(["a"])),
            ),
            (json!({"essential": true, "subset_of": ["a", "b", "c"]}), json!(["d", "e"]), Some(json!([]))),
            (json!({"essential": false, "subset_of": ["a", "b", "c"]}), json!(["d", "e"]), Some(json!([]))),
            (json!({"essential": false, "subset_of": ["a", "b", "c"]}), Value::Null, None),
            (json!({"superset_of": ["a"]}), json!(["b", "a"]), Some(json!(["b", "a"]))),
            (json!({"future_operator": 7}), json!("kept"), Some(json!("kept"))),
        ];
        for (operators, input, expected) in cases {
            let found = resolve(std::slice::from_ref(&operators), input.clone()).unwrap();
            assert_eq!(found, expected, "{operators} on {input}");
        }
        for (operators, input) in [
            (json!({"essential": true, "subset_of": ["a", "b", "c"]}), Value::Null),
            (json!({"one_of": ["x"]}), json!("y")),
            (json!({"superset_of": ["a"]}), json!(["b"])),
            (json!({"subset_of": ["a"]}), json!("a")),
            (json!({"add": ["a"]}), json!("a")),
        ] {
            let error = resolve(std::slice::from_ref(&operators), input.clone()).unwrap_err();
            assert_eq!(error.code(), "federation_policy", "{operators} on {input}");
        }
    }

    #[test]
    fn policies_of_a_chain_are_merged() {
        let cases = [
            (
                json!({"subset_of": ["a", "b"]}),
                json!({"subset_of": ["b", "c"]}),
                json!(["a", "b"]),
                Some(json!(["b"])),
            ),
            (json!({"add": ["a"]}), json!({"add": ["b"]}), json!([]), Some(json!(["a", "b"]))),
            (json!({"one_of": ["x", "y"]}), json!({"one_of": ["y", "z"]}), json!("y"), Some(json!("y"))),
            (json!({"value": "x"}), json!({"value": "x"}), json!("y"), Some(json!("x"))),
            (json!({"default": "x"}), json!({"one_of": ["x"]}), Value::Null, Some(json!("x"))),
        ];
        for (above, below, input, expected) in cases {
            assert_eq!(resolve(&[above.clone(), below.clone()], input).unwrap(), expected, "{above} {below}");
        }
        for (above, below) in [
            (json!({"value": "x"}), json!({"value": "y"})),
            (json!({"default": "x"}), json!({"default": "y"})),
            (json!({"one_of": ["x"]}), json!({"one_of": ["y"]})),
            (json!({"subset_of": ["a"]}), json!({"superset_of": ["b"]})),
            (json!({"subset_of": ["a"]}), json!({"add": ["b"]})),
            (json!({"one_of": ["x"]}), json!({"subset_of": ["x"]})),
            (json!({"essential": true}), json!({"value": null})),
        ] {
            let error = resolve(&[above.clone(), below.clone()], json!("x")).unwrap_err();
            assert_eq!(error.code(), "federation_policy", "{above} {below}");
        }
        // Once essential, always essential.
        assert!(resolve(&[json!({"essential": true}), json!({"essential": false})], Value::Null).is_err());
    }

    #[test]
    fn contradictions_and_wrong_types() {
        for operators in [
            json!({"value": null, "essential": true}),
            json!({"value": null, "default": "x"}),
            json!({"value": "x", "one_of": ["y"]}),
            json!({"value": ["a"], "add": ["b"]}),
            json!({"value": ["a"], "subset_of": ["b"]}),
            json!({"value": ["a"], "superset_of": ["b"]}),
            json!({"add": "a"}),
            json!({"one_of": "a"}),
            json!({"essential": "yes"}),
            json!({"default": null}),
            json!([]),
        ] {
            assert_eq!(parse(operators.clone()).unwrap_err().code(), "federation_policy", "{operators}");
        }
    }

    #[test]
    fn scope_counts_as_array() {
        let policy =
            MetadataPolicy::parse(&json!({ "t": { "scope": { "subset_of": ["a", "b"] } } })).unwrap();
        let mut metadata = json!({ "t": { "scope": "b c a" } }).as_object().unwrap().clone();
        policy.apply(&mut metadata).unwrap();
        assert_eq!(metadata["t"]["scope"], "b a");
    }
}
