//! From payload and disclosures to the processed payload (RFC 9901 section 7.1 steps 3 to 5), and the way from a claim
//! path to the disclosures that it needs.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::disclosure::{Disclosure, ELEMENT, SD, SD_ALG, is_reserved, reserved};
use crate::credential::claims::{ClaimPath, PathElement, wrong_type};
use crate::error::{Error, Result};

/// A payload with the disclosures that belong to it.
pub(super) struct Tree<'a> {
    payload: &'a Map<String, Value>,
    disclosures: &'a [Disclosure],
    /// Digests and positions of the disclosures, sorted: faster than a hash table at the sizes that occur.
    by_digest: Vec<(&'a str, usize)>,
}

/// A claim that a path selected.
pub(super) struct Selected<'a> {
    /// The value as issued, digests included; `None` for an array element that is not disclosed.
    pub(super) value: Option<&'a Value>,
    /// Whether a disclosure of its own represents it.
    pub(super) selective: bool,
    /// The disclosures on the way to it, its own included.
    pub(super) via: Vec<usize>,
}

impl<'a> Tree<'a> {
    /// Indexes `disclosures`; [`Error::Malformed`] `sd_jwt_duplicate_disclosure` when one is there twice.
    pub(super) fn new(payload: &'a Map<String, Value>, disclosures: &'a [Disclosure]) -> Result<Self> {
        let digests = disclosures.iter().map(Disclosure::digest);
        let mut by_digest: Vec<_> =
            digests.enumerate().map(|(position, digest)| (digest, position)).collect();
        by_digest.sort_unstable();
        if has_repetition(&by_digest, |(digest, _)| digest) {
            return Err(Error::malformed(
                "sd_jwt_duplicate_disclosure",
                "a disclosure is there more than once",
            ));
        }
        Ok(Self { payload, disclosures, by_digest })
    }

    /// The processed payload. Members named in `never_selective` must stand in the payload itself, whole.
    ///
    /// Errors, all [`Error::Malformed`]: `sd_jwt_duplicate_digest`, `sd_jwt_unreferenced_disclosure`,
    /// `sd_jwt_disclosure_kind`, `sd_jwt_claim_collision`, `sd_jwt_reserved_name`, `sd_jwt_too_deep`,
    /// `sd_jwt_vc_never_selective`.
    pub(super) fn processed(&self, never_selective: &[&str], max_depth: usize) -> Result<Map<String, Value>> {
        let mut pass = Pass {
            tree: self,
            never_selective,
            unknown: Vec::with_capacity(8),
            used: vec![false; self.disclosures.len()],
        };
        let claims = pass.object(self.payload, max_depth, true)?;
        pass.unknown.sort_unstable();
        if has_repetition(&pass.unknown, |digest| digest) {
            return Err(duplicate_digest());
        }
        match pass.used.iter().all(|used| *used) {
            true => Ok(claims),
            false => Err(Error::malformed(
                "sd_jwt_unreferenced_disclosure",
                "no digest refers to one of the disclosures",
            )),
        }
    }

    fn by_digest(&self, digest: &str) -> Option<(usize, &'a Disclosure)> {
        let found = self.by_digest.binary_search_by(|(other, _)| (*other).cmp(digest)).ok()?;
        let (_, position) = *self.by_digest.get(found)?;
        Some((position, self.disclosures.get(position)?))
    }

    /// The claims that `path` selects among all that is disclosed here. With `count_hidden`, array elements that are
    /// not disclosed count as elements (SD-JWT VC, "Claim Metadata"); otherwise as absent, as in the processed payload.
    pub(super) fn select(&self, path: &ClaimPath, count_hidden: bool) -> Result<Vec<Selected<'a>>> {
        let mut elements = path.elements().iter();
        let mut selected: Vec<Selected<'a>> = match elements.next() {
            Some(PathElement::Name(name)) => self.member(self.payload, name, &[]).into_iter().collect(),
            _ => return Err(wrong_type()),
        };
        for element in elements {
            let mut next = Vec::with_capacity(selected.len());
            for parent in &selected {
                match (element, parent.value) {
                    (_, None) => {}
                    (PathElement::Name(name), Some(Value::Object(map))) => {
                        next.extend(self.member(map, name, &parent.via));
                    }
                    (PathElement::Index(index), Some(Value::Array(items))) => {
                        next.extend(self.elements(items, &parent.via, count_hidden).nth(*index));
                    }
                    (PathElement::All, Some(Value::Array(items))) => {
                        next.extend(self.elements(items, &parent.via, count_hidden));
                    }
                    _ => return Err(wrong_type()),
                }
            }
            selected = next;
        }
        Ok(selected)
    }

    fn member(&self, map: &'a Map<String, Value>, name: &str, via: &[usize]) -> Option<Selected<'a>> {
        if is_reserved(name) {
            return None;
        }
        if let Some(value) = map.get(name) {
            return Some(Selected { value: Some(value), selective: false, via: via.to_vec() });
        }
        let digests = map.get(SD)?.as_array()?.iter().filter_map(Value::as_str);
        let (position, disclosure) = digests
            .filter_map(|digest| self.by_digest(digest))
            .find(|(_, found)| found.name() == Some(name))?;
        Some(Selected { value: Some(disclosure.value()), selective: true, via: [via, &[position]].concat() })
    }

    fn elements(
        &self,
        items: &'a [Value],
        via: &[usize],
        count_hidden: bool,
    ) -> impl Iterator<Item = Selected<'a>> {
        items.iter().filter_map(move |item| {
            let Some(digest) = item.get(ELEMENT).and_then(Value::as_str) else {
                return Some(Selected { value: Some(item), selective: false, via: via.to_vec() });
            };
            match self.by_digest(digest) {
                Some((position, found)) => Some(Selected {
                    value: Some(found.value()),
                    selective: true,
                    via: [via, &[position]].concat(),
                }),
                None if count_hidden => Some(Selected { value: None, selective: true, via: via.to_vec() }),
                None => None,
            }
        })
    }

    /// Adds the disclosures that lie anywhere inside `value`.
    pub(super) fn inside(&self, value: &'a Value, found: &mut BTreeSet<usize>) {
        let follow = |digest: &Value, found: &mut BTreeSet<usize>| {
            if let Some((position, disclosure)) = digest.as_str().and_then(|digest| self.by_digest(digest)) {
                // A digest stands in one place only, so nothing is walked twice.
                if found.insert(position) {
                    self.inside(disclosure.value(), found);
                }
            }
        };
        match value {
            Value::Object(map) => {
                for (name, member) in map {
                    match (name.as_str(), member) {
                        (SD, Value::Array(digests)) => {
                            digests.iter().for_each(|digest| follow(digest, found))
                        }
                        (ELEMENT, digest) => follow(digest, found),
                        _ => self.inside(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.inside(item, found)),
            _ => {}
        }
    }
}

struct Pass<'t, 'a> {
    tree: &'t Tree<'a>,
    never_selective: &'t [&'t str],
    /// Embedded digests of which there is no disclosure.
    unknown: Vec<&'a str>,
    /// Which disclosures were referred to, by position.
    used: Vec<bool>,
}

impl<'a> Pass<'_, 'a> {
    fn object(
        &mut self,
        map: &'a Map<String, Value>,
        depth: usize,
        root: bool,
    ) -> Result<Map<String, Value>> {
        let depth = deeper(depth)?;
        let hidden = map.get(SD).and_then(Value::as_array).map_or(0, Vec::len);
        let mut out = Map::with_capacity(map.len().saturating_add(hidden.min(self.used.len())));
        for (name, value) in map {
            match name.as_str() {
                SD => {}
                SD_ALG if root => {}
                ELEMENT | SD_ALG => return Err(reserved()),
                name if root && self.never_selective.contains(&name) => {
                    refuse_digests(value)?;
                    out.insert(name.to_owned(), value.clone());
                }
                _ => {
                    out.insert(name.clone(), self.value(value, depth)?);
                }
            }
        }
        let Some(digests) = map.get(SD) else { return Ok(out) };
        for digest in digests.as_array().ok_or_else(reserved)? {
            let Some(disclosure) = self.take(digest.as_str().ok_or_else(reserved)?)? else { continue };
            let name = disclosure.name().ok_or_else(wrong_kind)?;
            if root && self.never_selective.contains(&name) {
                return Err(never_selective());
            }
            let value = self.value(disclosure.value(), depth)?;
            if out.insert(name.to_owned(), value).is_some() {
                return Err(Error::malformed(
                    "sd_jwt_claim_collision",
                    "a disclosure repeats a claim of the same object",
                ));
            }
        }
        Ok(out)
    }

    fn value(&mut self, value: &'a Value, depth: usize) -> Result<Value> {
        match value {
            Value::Object(map) => self.object(map, depth, false).map(Value::Object),
            Value::Array(items) => self.array(items, depth).map(Value::Array),
            scalar => Ok(scalar.clone()),
        }
    }

    fn array(&mut self, items: &'a [Value], depth: usize) -> Result<Vec<Value>> {
        let depth = deeper(depth)?;
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let Some(digest) = item.get(ELEMENT) else {
                out.push(self.value(item, depth)?);
                continue;
            };
            if item.as_object().is_none_or(|map| map.len() != 1) {
                return Err(reserved());
            }
            if let Some(disclosure) = self.take(digest.as_str().ok_or_else(reserved)?)? {
                if disclosure.name().is_some() {
                    return Err(wrong_kind());
                }
                out.push(self.value(disclosure.value(), depth)?);
            }
        }
        Ok(out)
    }

    /// Notes an embedded digest and looks for its disclosure.
    fn take(&mut self, digest: &'a str) -> Result<Option<&'a Disclosure>> {
        let Some((position, found)) = self.tree.by_digest(digest) else {
            self.unknown.push(digest);
            return Ok(None);
        };
        match self.used.get_mut(position).map(|used| std::mem::replace(used, true)) {
            Some(false) => Ok(Some(found)),
            _ => Err(duplicate_digest()),
        }
    }
}

/// Whether two neighbours are equal.
fn has_repetition<T>(sorted: &[T], key: impl Fn(&T) -> &str) -> bool {
    sorted.iter().zip(sorted.iter().skip(1)).any(|(one, next)| key(one) == key(next))
}

fn duplicate_digest() -> Error {
    Error::malformed("sd_jwt_duplicate_digest", "a digest stands in more than one place")
}

fn deeper(depth: usize) -> Result<usize> {
    depth
        .checked_sub(1)
        .ok_or_else(|| Error::malformed("sd_jwt_too_deep", "the disclosed claims nest too deeply"))
}

fn refuse_digests(value: &Value) -> Result<()> {
    match value {
        Value::Object(map) if map.keys().any(|name| is_reserved(name)) => Err(never_selective()),
        Value::Object(map) => map.values().try_for_each(refuse_digests),
        Value::Array(items) => items.iter().try_for_each(refuse_digests),
        _ => Ok(()),
    }
}

fn never_selective() -> Error {
    Error::malformed(
        "sd_jwt_vc_never_selective",
        "a claim that must always be visible is selectively disclosable",
    )
}

fn wrong_kind() -> Error {
    Error::malformed("sd_jwt_disclosure_kind", "a member's digest refers to an array element, or the reverse")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::sd_jwt_vc::disclosure::DigestAlgorithm;

    fn member(name: &str, value: Value) -> Disclosure {
        Disclosure::create("c2FsdA", Some(name), value, DigestAlgorithm::Sha256)
    }

    fn element(value: Value) -> Disclosure {
        Disclosure::create("c2FsdA", None, value, DigestAlgorithm::Sha256)
    }

    fn processed(payload: &Value, disclosures: &[Disclosure]) -> Result<Value> {
        let never = ["iss", "cnf", "status"];
        Tree::new(payload.as_object().unwrap(), disclosures)?.processed(&never, 8).map(Value::Object)
    }

    fn code(payload: Value, disclosures: &[Disclosure]) -> &'static str {
        processed(&payload, disclosures).unwrap_err().code()
    }

    #[test]
    fn nested_array_recursive_and_decoys() {
        let (de, fr) = (element(json!("DE")), element(json!({"code": "FR"})));
        let city = member("city", json!("Graz"));
        let address = member("address", json!({"country": "AT", "_sd": [city.digest(), "decoy1"]}));
        let payload = json!({
            "_sd_alg": "sha-256", "iss": "https://a", "_sd": [address.digest(), "decoy2"],
            "nationalities": [{"...": de.digest()}, {"...": "decoy3"}, "US", {"...": fr.digest()}], "empty": {"_sd": []}
        });
        let all = [de.clone(), fr, city, address.clone()];
        assert_eq!(
            processed(&payload, &all).unwrap(),
            json!({"iss": "https://a", "nationalities": ["DE", "US", {"code": "FR"}], "empty": {},
                   "address": {"country": "AT", "city": "Graz"}})
        );
        assert_eq!(
            processed(&payload, &[address]).unwrap(),
            json!({"iss": "https://a", "nationalities": ["US"], "empty": {}, "address": {"country": "AT"}})
        );
        assert_eq!(
            processed(&payload, &[]).unwrap(),
            json!({"iss": "https://a", "nationalities": ["US"], "empty": {}})
        );
    }

    #[test]
    fn duplicate_digests_anywhere() {
        let a = member("a", json!(1));
        let holder = member("b", json!({"_sd": [a.digest()]}));
        for payload in [
            json!({"_sd": [a.digest(), a.digest()]}),
            json!({"_sd": [a.digest()], "x": {"_sd": [a.digest()]}}),
            json!({"_sd": ["decoy", "decoy"]}),
            json!({"_sd": ["decoy"], "x": [{"...": "decoy"}]}),
            json!({"x": [[{"...": "decoy"}], {"...": "decoy"}]}),
        ] {
            assert_eq!(code(payload, &[]), "sd_jwt_duplicate_digest");
        }
        // Once in the payload, once inside a disclosure.
        assert_eq!(
            code(json!({"_sd": [a.digest(), holder.digest()]}), &[a, holder]),
            "sd_jwt_duplicate_digest"
        );
    }

    #[test]
    fn disclosures_must_be_unique_and_referenced() {
        let (a, b) = (member("a", json!(1)), member("b", json!(2)));
        assert_eq!(
            code(json!({"_sd": [a.digest()]}), &[a.clone(), a.clone()]),
            "sd_jwt_duplicate_disclosure"
        );
        assert_eq!(
            code(json!({"_sd": [a.digest()]}), &[a.clone(), b.clone()]),
            "sd_jwt_unreferenced_disclosure"
        );
        // A child whose parent was left out is not connected.
        let parent = member("p", json!({"_sd": [b.digest()]}));
        assert_eq!(code(json!({"_sd": [parent.digest()]}), &[b]), "sd_jwt_unreferenced_disclosure");
    }

    #[test]
    fn reserved_names() {
        let a = element(json!(1));
        for payload in [
            json!({"_sd": "x"}),
            json!({"_sd": [1]}),
            json!({"_sd": {"a": 1}}),
            json!({"x": {"_sd": null}}),
            json!({"...": "x"}),
            json!({"x": {"...": "y"}}),
            json!({"x": [{"...": "y", "z": 1}]}),
            json!({"x": [{"...": 5}]}),
            json!({"x": {"_sd_alg": "sha-256"}}),
            json!({"x": [{"_sd_alg": "sha-256"}]}),
        ] {
            assert_eq!(code(payload.clone(), &[]), "sd_jwt_reserved_name", "{payload}");
        }
        let inner = element(json!({"...": a.digest()}));
        assert_eq!(code(json!({"x": [{"...": inner.digest()}]}), &[inner]), "sd_jwt_reserved_name");
    }

    #[test]
    fn kinds_and_collisions() {
        let (m, e) = (member("a", json!(1)), element(json!(1)));
        assert_eq!(
            code(json!({"x": [{"...": m.digest()}]}), std::slice::from_ref(&m)),
            "sd_jwt_disclosure_kind"
        );
        assert_eq!(code(json!({"_sd": [e.digest()]}), &[e]), "sd_jwt_disclosure_kind");
        assert_eq!(
            code(json!({"a": 0, "_sd": [m.digest()]}), std::slice::from_ref(&m)),
            "sd_jwt_claim_collision"
        );
        let other = member("a", json!(2));
        assert_eq!(code(json!({"_sd": [m.digest(), other.digest()]}), &[m, other]), "sd_jwt_claim_collision");
    }

    #[test]
    fn never_selective() {
        let key = member("jwk", json!({}));
        for payload in [
            json!({"cnf": {"_sd": [key.digest()]}}),
            json!({"cnf": {"jwk": {"_sd": []}}}),
            json!({"status": {"list": [{"...": "x"}]}}),
        ] {
            assert_eq!(code(payload, std::slice::from_ref(&key)), "sd_jwt_vc_never_selective");
        }
        let iss = member("iss", json!("https://evil.example"));
        assert_eq!(
            code(json!({"_sd": [iss.digest()]}), std::slice::from_ref(&iss)),
            "sd_jwt_vc_never_selective"
        );
        // Only the top level is meant: a nested claim may have such a name.
        assert!(processed(&json!({"x": {"_sd": [iss.digest()]}}), &[iss]).is_ok());
    }

    #[test]
    fn depth_counts_through_disclosures() {
        let mut disclosures = vec![member("n", json!(1))];
        for _ in 0..7 {
            let inner = disclosures.last().unwrap().digest().to_owned();
            disclosures.push(member("n", json!({"_sd": [inner]})));
        }
        let root = |n: usize| json!({"_sd": [disclosures[n - 1].digest()]});
        assert!(processed(&root(8), &disclosures).is_ok());
        let ninth = member("n", json!({"_sd": [disclosures[7].digest()]}));
        disclosures.push(ninth.clone());
        assert_eq!(code(json!({"_sd": [ninth.digest()]}), &disclosures), "sd_jwt_too_deep");
    }

    #[test]
    fn paths_to_disclosures() {
        let (de, fr) = (element(json!("DE")), element(json!("FR")));
        let list = member(
            "nationalities",
            json!([{"...": "decoy"}, {"...": de.digest()}, "US", {"...": fr.digest()}]),
        );
        let payload = json!({"_sd": [list.digest()], "plain": {"a": 1}});
        let disclosures = [de, fr, list];
        let tree = Tree::new(payload.as_object().unwrap(), &disclosures).unwrap();
        let via = |path: Value, count_hidden: bool| {
            let path: ClaimPath = serde_json::from_value(path).unwrap();
            let selected = tree.select(&path, count_hidden).unwrap();
            selected.into_iter().map(|hit| (hit.via, hit.selective)).collect::<Vec<_>>()
        };
        assert_eq!(via(json!(["nationalities"]), false), [(vec![2], true)]);
        assert_eq!(via(json!(["nationalities", 0]), false), [(vec![2, 0], true)]);
        assert_eq!(via(json!(["nationalities", 1]), false), [(vec![2], false)]);
        assert_eq!(via(json!(["nationalities", 0]), true), [(vec![2], true)]);
        assert_eq!(via(json!(["nationalities", null]), false).len(), 3);
        assert_eq!(via(json!(["nationalities", null]), true).len(), 4);
        let deeper: ClaimPath = serde_json::from_value(json!(["nationalities", null, "x"])).unwrap();
        assert_eq!(tree.select(&deeper, true).err().unwrap().code(), "claim_path_type");
        assert_eq!(via(json!(["plain", "a"]), false), [(vec![], false)]);
        assert_eq!(via(json!(["_sd"]), false), []);
        assert_eq!(via(json!(["absent", "x"]), false), []);
    }
}
