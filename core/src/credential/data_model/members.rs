//! Kinds of values, each checked in one way wherever it stands.

use std::fmt;

use serde_json::{Map, Value};
use url::Url;

use crate::error::{Error, Result};

/// Longest identifier; enveloping `data:` URLs have limits of their own.
const MAX_URL: usize = 4096;

/// Where a value stands, written only when an error needs it.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Element(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) const fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    pub(super) const fn element(&'a self, index: usize) -> Self {
        Self::Element(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the document"),
            Self::Member(Path::Root, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

pub(super) fn object<'v>(value: &'v Value, path: &Path<'_>) -> Result<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| wrong_shape(path, "must be an object"))
}

/// Calls `check` for the value of `name`, or for each element when it is a list; a list holds at least one.
pub(super) fn each(
    members: &Map<String, Value>,
    at: &Path<'_>,
    name: &str,
    mut check: impl FnMut(&Value, &Path<'_>) -> Result<()>,
) -> Result<()> {
    let path = at.member(name);
    match members.get(name) {
        None => Ok(()),
        Some(Value::Array(items)) if items.is_empty() => Err(wrong_shape(&path, "must not be an empty list")),
        Some(Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(index, item)| check(item, &path.element(index)))
        }
        Some(item) => check(item, &path),
    }
}

/// `type`: one name or a list of at least one (VCDM 2.0 section 4.5).
pub(super) fn types(members: &Map<String, Value>, at: &Path<'_>) -> Result<()> {
    let path = at.member("type");
    if !members.contains_key("type") {
        return Err(wrong_type(&path, "is missing"));
    }
    each(members, at, "type", |name, path| match name.as_str() {
        Some(name) if !name.is_empty() && !name.contains(char::is_whitespace) => Ok(()),
        _ => Err(wrong_type(path, "must be the name of a type")),
    })
}

/// `id`, where it may be left out (section 4.4).
pub(super) fn optional_id(members: &Map<String, Value>, at: &Path<'_>) -> Result<()> {
    members.get("id").map_or(Ok(()), |value| url(value, &at.member("id")))
}

pub(super) fn url(value: &Value, path: &Path<'_>) -> Result<()> {
    match value.as_str() {
        Some(text) if is_url(text) => Ok(()),
        _ => Err(wrong_id(path, "must be one URL")),
    }
}

/// Whether `text` is an absolute URL as it stands: the URL standard would quietly repair more than this.
pub(super) fn is_url(text: &str) -> bool {
    let harmless =
        |c: char| c > ' ' && !matches!(c, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`' | '\u{7f}');
    text.len() <= MAX_URL && text.chars().all(harmless) && Url::parse(text).is_ok()
}

/// `name` and `description`: text, or language value objects (sections 4.6 and 11.1).
pub(super) fn check_texts(members: &Map<String, Value>, at: &Path<'_>) -> Result<()> {
    for name in ["name", "description"] {
        each(members, at, name, |item, path| match item {
            Value::String(_) => Ok(()),
            Value::Object(text) => language_object(text, path),
            _ => Err(wrong_language(path, "must be text or a language value object")),
        })?;
    }
    Ok(())
}

fn language_object(text: &Map<String, Value>, path: &Path<'_>) -> Result<()> {
    if !text.contains_key("@value") {
        return Err(wrong_language(&path.member("@value"), "is missing"));
    }
    for (name, value) in text {
        let sound = match (name.as_str(), value.as_str()) {
            ("@value", Some(_)) => true,
            ("@language", Some(tag)) => is_language_tag(tag),
            ("@direction", Some(direction)) => matches!(direction, "ltr" | "rtl"),
            ("@value" | "@language" | "@direction", None) => false,
            _ => {
                let demand = "may hold nothing but @value, @language and @direction";
                return Err(wrong_language(path, demand));
            }
        };
        if !sound {
            return Err(wrong_language(&path.member(name), "is not text, a language tag, ltr or rtl"));
        }
    }
    Ok(())
}

/// Well-formed after BCP 47 (RFC 5646 section 2.1) as far as the lengths of its parts go.
fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    let private = first.eq_ignore_ascii_case("x") || first.eq_ignore_ascii_case("i");
    let starts = first.bytes().all(|b| b.is_ascii_alphabetic()) && (2..=8).contains(&first.len()) || private;
    let sound = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    starts && (!private || tag.len() > 2) && parts.all(sound)
}

/// A text member that need not be there.
pub(super) fn property<'v>(
    members: &'v Map<String, Value>,
    at: &Path<'_>,
    name: &str,
) -> Result<Option<&'v str>> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_shape(&at.member(name), "must be text")),
    }
}

pub(super) fn wrong_shape(path: &Path<'_>, demand: &str) -> Error {
    Error::malformed("vc_shape", format!("{path}: {demand}"))
}

pub(super) fn wrong_type(path: &Path<'_>, demand: &str) -> Error {
    Error::malformed("vc_type", format!("{path}: {demand}"))
}

pub(super) fn wrong_id(path: &Path<'_>, demand: &str) -> Error {
    Error::malformed("vc_id", format!("{path}: {demand}"))
}

fn wrong_language(path: &Path<'_>, demand: &str) -> Error {
    Error::malformed("vc_language", format!("{path}: {demand}"))
}
