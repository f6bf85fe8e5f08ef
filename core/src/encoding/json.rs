//! JSON (RFC 8259) as signatures need it: bounded in size, depth and count, and without duplicate member names
//! (RFC 7493 section 2.3), because two readers of one signed document must see the same document.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};
use crate::limits::Limits;

/// Reads one JSON document of at most `limits.json_bytes`, `limits.json_depth` and `limits.json_nodes`.
///
/// Depth counts nested arrays and objects (a bare object has depth 1); nodes counts every array element and every
/// object member of all levels. White space around the document is allowed, anything else is not.
///
/// Errors, all [`Error::Malformed`]: `json_too_large`, `json_too_deep`, `json_too_many`, `json_duplicate_member`,
/// `json_syntax` (also invalid UTF-8, and numbers that no IEEE 754 double can hold).
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value> {
    if bytes.len() > limits.json_bytes {
        return Err(Error::malformed("json_too_large", "the JSON document is longer than allowed"));
    }
    let state =
        State { input: bytes.as_ptr_range(), nodes: Cell::new(limits.json_nodes), fault: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict { state: &state, depth: limits.json_depth }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|_| state.error())
}

/// [`parse`], then the shape of `T`; a document of another shape is [`Error::Malformed`] `json_shape`.
pub fn parse_as<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T> {
    from_value(parse(bytes, limits)?)
}

/// The shape of `T` out of a document that was read before; another shape is [`Error::Malformed`] `json_shape`.
///
/// The detail names a missing member, and never quotes the document.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| shape_error(&error))
}

fn shape_error(error: &serde_json::Error) -> Error {
    // serde's other messages quote the input ("invalid type: string \"Doe\""); this one holds only our own names.
    let text = error.to_string();
    match text.strip_prefix("missing field ") {
        Some(name) => Error::malformed("json_shape", format!("the member {name} is missing")),
        None => Error::malformed("json_shape", "a member has a type or value that is not allowed here"),
    }
}

struct State {
    input: Range<*const u8>,
    nodes: Cell<usize>,
    fault: Cell<Option<&'static str>>,
}

impl State {
    fn fault<E: serde::de::Error>(&self, code: &'static str) -> E {
        self.fault.set(Some(code));
        E::custom(code)
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.nodes.get().checked_sub(1) {
            Some(left) => {
                self.nodes.set(left);
                Ok(())
            }
            None => Err(self.fault("json_too_many")),
        }
    }

    fn error(&self) -> Error {
        match self.fault.get() {
            Some("json_too_deep") => {
                Error::malformed("json_too_deep", "the JSON document is nested too deeply")
            }
            Some("json_too_many") => {
                Error::malformed("json_too_many", "the JSON document has too many members")
            }
            Some("json_duplicate_member") => {
                Error::malformed("json_duplicate_member", "an object has two members of the same name")
            }
            _ => Error::malformed("json_syntax", "not one well-formed JSON document in UTF-8"),
        }
    }
}

struct Strict<'a> {
    state: &'a State,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { state: self.state, depth }),
            None => Err(self.state.fault("json_too_deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        let inner = self.deeper()?;
        while let Some(item) = items.next_element_seed(Strict { state: inner.state, depth: inner.depth })? {
            inner.state.count()?;
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        let mut next = members.next_key_seed(Name { input: &self.state.input })?;
        if let Some(Key::Number) = next {
            return number(&members.next_value::<String>()?)
                .ok_or_else(|| A::Error::custom("number out of range"));
        }
        let inner = self.deeper()?;
        while let Some(Key::Name(name)) = next {
            inner.state.count()?;
            let value = members.next_value_seed(Strict { state: inner.state, depth: inner.depth })?;
            if out.insert(name, value).is_some() {
                return Err(inner.state.fault("json_duplicate_member"));
            }
            next = members.next_key_seed(Name { input: &inner.state.input })?;
        }
        Ok(Value::Object(out))
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Value, E> {
        Err(E::custom("number out of range"))
    }
}

/// The name under which serde_json hands over a number, as if it were an object, when some crate of the program switches
/// on its feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

enum Key {
    Name(String),
    /// No name of the document but [`NUMBER`].
    Number,
}

/// Reads a member's name.
struct Name<'a> {
    input: &'a Range<*const u8>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key, E> {
        // A member of this name that the document itself has lies within the document.
        let is_number = name == NUMBER && !self.input.contains(&name.as_ptr());
        Ok(if is_number { Key::Number } else { Key::Name(name.to_owned()) })
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(Key::Name(name.to_owned()))
    }
}

/// A number as serde_json reads it without `arbitrary_precision`.
fn number(text: &str) -> Option<Value> {
    let whole = !text.contains(['.', 'e', 'E']) && text != "-0";
    let integer = whole.then(|| {
        text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok()
    });
    integer.flatten().or_else(|| Number::from_f64(text.parse().ok()?)).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &[u8]) -> &'static str {
        parse(text, &Limits::DEFAULT).unwrap_err().code()
    }

    #[test]
    fn reads_every_kind() {
        let value =
            parse(br#" {"a":[null,true,-1,18446744073709551615,1.5e3,"\u00e9"],"b":{}} "#, &Limits::DEFAULT);
        let value = value.unwrap();
        assert_eq!(value, serde_json::json!({"a": [null, true, -1, u64::MAX, 1500.0, "é"], "b": {}}));
    }

    #[test]
    fn numbers_are_those_of_serde_json() {
        for text in [
            "0",
            "-0",
            "7",
            "-7",
            "1.50",
            "1e3",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
        ] {
            assert_eq!(number(text), serde_json::from_str(text).ok(), "{text}");
        }
        assert_eq!(number("1e400"), None);
        // A document may well have a member of that name.
        for text in
            [r#"{"$serde_json::private::Number":"7"}"#, r#"{"\u0024serde_json::private::Number":"7"}"#]
        {
            let value = parse(text.as_bytes(), &Limits::DEFAULT).unwrap();
            assert_eq!(value[NUMBER], "7");
        }
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        assert_eq!(code(br#"{"a":1,"a":1}"#), "json_duplicate_member");
        assert_eq!(code(br#"[{"x":{"a":1,"\u0061":2}}]"#), "json_duplicate_member");
        for bad in
            [&b"{} x"[..], b"", b"{", b"{\"a\":1,}", b"nan", b"\"\xff\"", b"\"\\ud800\"", b"1e400", b"{}{}"]
        {
            assert_eq!(code(bad), "json_syntax", "{bad:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let depth = |n: usize| ["[".repeat(n), "]".repeat(n)].concat();
        let limits = Limits { json_depth: 3, json_nodes: 4, json_bytes: 64, ..Limits::DEFAULT };
        assert!(parse(depth(3).as_bytes(), &limits).is_ok());
        assert_eq!(parse(depth(4).as_bytes(), &limits).unwrap_err().code(), "json_too_deep");
        assert!(parse(b"[1,2,3,4]", &limits).is_ok());
        assert_eq!(parse(b"[1,2,3,4,5]", &limits).unwrap_err().code(), "json_too_many");
        assert_eq!(parse(br#"{"a":[1,2],"b":[1]}"#, &limits).unwrap_err().code(), "json_too_many");
        assert_eq!(parse(&[b' '; 65], &limits).unwrap_err().code(), "json_too_large");
        // Depth far beyond any stack is refused before it is walked.
        assert_eq!(code(&b"[".repeat(100_000)), "json_too_deep");
    }

    #[test]
    fn shape_errors_name_members_but_never_values() {
        #[derive(Debug, serde::Deserialize)]
        struct Shape {
            #[allow(dead_code)]
            name: u8,
        }
        let wrong = parse_as::<Shape>(br#"{"name":"Doe"}"#, &Limits::DEFAULT).unwrap_err();
        assert_eq!(wrong.code(), "json_shape");
        assert!(!wrong.to_string().contains("Doe"));
        let missing = parse_as::<Shape>(br#"{"other":"Doe"}"#, &Limits::DEFAULT).unwrap_err();
        assert!(missing.detail().contains("`name`"));
        assert!(!missing.to_string().contains("Doe"));
    }
}
