//! JSON Pointers (RFC 6901), and the part of a document that a set of them selects (ECDSA sections 3.4.11 to 3.4.13).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Pointers of one set.
const MAX_POINTERS: usize = 1024;
/// Bytes of one pointer.
const MAX_LEN: usize = 1024;
/// Segments of one pointer.
const MAX_DEPTH: usize = 32;

/// A set of JSON Pointers.
#[derive(Debug, Clone, Default)]
pub struct Pointers(Node);

#[derive(Debug, Clone, Default)]
struct Node {
    /// A pointer ends here.
    whole: bool,
    children: BTreeMap<String, Node>,
}

impl Node {
    /// The children of an array in their order.
    fn indexes(&self) -> Result<Vec<(usize, &Self)>> {
        let mut indexes = Vec::with_capacity(self.children.len());
        for (text, child) in &self.children {
            let plain = text == "0" || !text.starts_with(['0', '+']);
            let index = text.parse().ok().filter(|_| plain).ok_or_else(missing)?;
            indexes.push((index, child));
        }
        indexes.sort_unstable_by_key(|(index, _)| *index);
        Ok(indexes)
    }
}

/// The members that go with every object on the way to something selected: what it is, and its name.
fn accompanies(name: &str, value: &Value, top: bool) -> bool {
    match name {
        "type" | "@type" => true,
        "id" | "@id" => !value.as_str().is_some_and(|id| id.starts_with("_:")),
        "@context" => top,
        _ => false,
    }
}

impl Pointers {
    /// Reads a set of pointers.
    ///
    /// [`Error::Malformed`] `sd_pointer` for one that is no JSON Pointer or too long, and for too many.
    pub fn parse<S: AsRef<str>>(pointers: &[S]) -> Result<Self> {
        if pointers.len() > MAX_POINTERS {
            return Err(malformed());
        }
        let mut root = Node::default();
        for pointer in pointers {
            let pointer = pointer.as_ref();
            let rest = match pointer.strip_prefix('/') {
                Some(rest) if pointer.len() <= MAX_LEN => Some(rest),
                None if pointer.is_empty() => None,
                _ => return Err(malformed()),
            };
            let mut node = &mut root;
            for (depth, segment) in rest.into_iter().flat_map(|rest| rest.split('/')).enumerate() {
                if depth >= MAX_DEPTH {
                    return Err(malformed());
                }
                node = node.children.entry(unescape(segment).ok_or_else(malformed)?).or_default();
            }
            node.whole = true;
        }
        Ok(Self(root))
    }

    /// Whether there is no pointer.
    pub fn is_empty(&self) -> bool {
        !self.0.whole && self.0.children.is_empty()
    }

    /// The part of `document` that is selected: the contexts, what is pointed to, and `id` and `type` of every object on
    /// the way. Arrays are closed up.
    ///
    /// [`Error::Malformed`] `sd_pointer_missing` when a pointer points to nothing.
    pub fn select(&self, document: &Value) -> Result<Value> {
        select(document, &self.0, true)
    }

    /// Where the element at `place` of the selection stands in `document`.
    pub(super) fn origin(&self, document: &Value, place: &str) -> Option<String> {
        let mut origin = String::with_capacity(place.len());
        let mut at = Some((&self.0, document));
        for segment in place.split('/').skip(1) {
            origin.push('/');
            let partial = at.filter(|(node, _)| !node.whole);
            at = match partial {
                Some((node, Value::Array(items))) => {
                    let position: usize = segment.parse().ok()?;
                    let (index, child) = node.indexes().ok()?.get(position).copied()?;
                    origin.push_str(&index.to_string());
                    Some((child, items.get(index)?))
                }
                Some((node, value)) => {
                    origin.push_str(segment);
                    let name = unescape(segment)?;
                    node.children.get(&name).zip(value.get(&name))
                }
                None => {
                    origin.push_str(segment);
                    None
                }
            };
        }
        Some(origin)
    }
}

fn select(value: &Value, node: &Node, top: bool) -> Result<Value> {
    let selected = match value {
        _ if node.children.is_empty() => Value::Null,
        Value::Object(members) => {
            if node.children.keys().any(|name| !members.contains_key(name)) {
                return Err(missing());
            }
            let mut selected = Map::new();
            for (name, value) in members {
                let part = node.children.get(name).map(|child| select(value, child, false)).transpose()?;
                if accompanies(name, value, top) {
                    selected.insert(name.clone(), value.clone());
                } else if let Some(part) = part {
                    selected.insert(name.clone(), part);
                }
            }
            Value::Object(selected)
        }
        Value::Array(items) => {
            let mut selected = Vec::with_capacity(node.children.len());
            for (index, child) in node.indexes()? {
                selected.push(select(items.get(index).ok_or_else(missing)?, child, false)?);
            }
            Value::Array(selected)
        }
        _ => return Err(missing()),
    };
    Ok(if node.whole { value.clone() } else { selected })
}

/// RFC 6901 section 4; `None` for `~` before anything but 0 and 1.
fn unescape(segment: &str) -> Option<String> {
    let mut parts = segment.split('~');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (mark, rest) = part.split_at_checked(1)?;
        out.push(match mark {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        out.push_str(rest);
    }
    Some(out)
}

fn malformed() -> Error {
    Error::malformed("sd_pointer", "not a JSON Pointer, one that is too long, or too many of them")
}

fn missing() -> Error {
    Error::malformed("sd_pointer_missing", "a JSON Pointer points to nothing in the document")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selects_and_tells_where_from() {
        let document = json!({
            "@context": ["urn:c"], "id": "urn:d", "type": "T", "a": {"id": "_:b", "type": ["U"], "x": 1, "y": 2},
            "l": [{"n": 0}, {"n": 1, "m": {"id": "urn:m", "k": []}}, [2], {"n": 3}], "c/~d": {"e": {}}, "f": "secret"
        });
        let pointers = Pointers::parse(&["/a/x", "/l/3", "/l/1/m/k", "/l/2/0", "/c~1~0d"]).unwrap();
        assert_eq!(
            pointers.select(&document).unwrap(),
            json!({
                "@context": ["urn:c"], "id": "urn:d", "type": "T", "a": {"type": ["U"], "x": 1},
                "l": [{"m": {"id": "urn:m", "k": []}}, [2], {"n": 3}], "c/~d": {"e": {}}
            })
        );
        let origin = |place: &str| pointers.origin(&document, place).unwrap();
        for (place, expected) in [
            ("", ""),
            ("/a", "/a"),
            ("/l/0", "/l/1"),
            ("/l/0/m", "/l/1/m"),
            ("/l/2", "/l/3"),
            ("/l/2/q/0", "/l/3/q/0"),
            ("/c~1~0d/e", "/c~1~0d/e"),
            ("/type/0", "/type/0"),
        ] {
            assert_eq!(origin(place), expected, "{place}");
        }
        assert_eq!(Pointers::parse(&[""]).unwrap().select(&document).unwrap(), document);
        let both = Pointers::parse(&["/a/x", "/a"]).unwrap();
        assert_eq!(both.select(&document).unwrap()["a"], document["a"]);
        assert!(Pointers::parse::<&str>(&[]).unwrap().is_empty());
        let ten = json!({"l": (0..12).collect::<Vec<_>>()});
        let order = Pointers::parse(&["/l/10", "/l/9"]).unwrap();
        assert_eq!(order.select(&ten).unwrap()["l"], json!([9, 10]));
    }

    #[test]
    fn refuses() {
        let long = format!("/{}", "a".repeat(MAX_LEN));
        let deep = "/a".repeat(MAX_DEPTH + 1);
        for bad in ["a", "#/a", "/~2", "/a~", &long, &deep] {
            assert_eq!(Pointers::parse(&[bad]).unwrap_err().code(), "sd_pointer", "{bad}");
        }
        assert_eq!(Pointers::parse(&["/a"; MAX_POINTERS + 1]).unwrap_err().code(), "sd_pointer");
        let document = json!({"a": [1], "b": "text", "type": "T"});
        for bad in ["/c", "/a/1", "/a/-", "/a/00", "/a/+0", "/b/0", "/", "/type/0", "/a/0/x"] {
            for pointers in [vec![bad], vec!["/a", "/b", bad]] {
                let pointers = Pointers::parse(&pointers).unwrap();
                assert_eq!(pointers.select(&document).unwrap_err().code(), "sd_pointer_missing", "{bad}");
            }
        }
    }
}
