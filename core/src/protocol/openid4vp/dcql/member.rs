//! Members of JSON objects, taken by type; errors name the member, never its content.

use serde_json::{Map, Value};

use super::MAX_STRING;
use crate::error::{Error, Result};

pub(super) fn missing(name: &str) -> Error {
    Error::malformed("dcql", format!("`{name}` is missing"))
}

fn wrong(name: &str, expected: &str) -> Error {
    Error::malformed("dcql", format!("`{name}` must be {expected}"))
}

pub(super) fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| wrong(name, "an object"))
}

/// A non-empty array of at most `max` elements; `None` where the member is absent.
pub(super) fn list<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    max: usize,
) -> Result<Option<&'a [Value]>> {
    object.get(name).map(|value| elements(value, name, max)).transpose()
}

pub(super) fn elements<'a>(value: &'a Value, name: &str, max: usize) -> Result<&'a [Value]> {
    match value.as_array() {
        Some(elements) if elements.is_empty() => Err(wrong(name, "a non-empty array")),
        Some(elements) if elements.len() > max => {
            Err(wrong(name, &format!("an array of at most {max} elements")))
        }
        Some(elements) => Ok(elements),
        None => Err(wrong(name, "a non-empty array")),
    }
}

pub(super) fn text(value: &Value, name: &str) -> Result<String> {
    match value.as_str() {
        Some(text) if !text.is_empty() && text.len() <= MAX_STRING => Ok(text.to_owned()),
        _ => Err(wrong(name, &format!("a string of 1 to {MAX_STRING} bytes"))),
    }
}

/// An `id`: alphanumeric, underscore, hyphen.
pub(super) fn identifier(value: &Value, name: &str) -> Result<String> {
    let id = text(value, name)?;
    match id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        true => Ok(id),
        false => Err(wrong(name, "made of letters, digits, underscores and hyphens")),
    }
}

pub(super) fn boolean(object: &Map<String, Value>, name: &str, default: bool) -> Result<bool> {
    match object.get(name) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| wrong(name, "true or false")),
    }
}

/// A non-empty list of non-empty lists of identifiers.
pub(super) fn identifier_lists(
    object: &Map<String, Value>,
    name: &str,
    max: usize,
) -> Result<Option<Vec<Vec<String>>>> {
    let Some(lists) = list(object, name, max)? else { return Ok(None) };
    let one = |value| elements(value, name, max)?.iter().map(|id| identifier(id, name)).collect();
    lists.iter().map(one).collect::<Result<_>>().map(Some)
}
