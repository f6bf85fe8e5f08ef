//! What `ecdsa-sd-2023` and `bbs-2023` have in common: statements with labels that tell nothing, and which of them a set of
//! JSON Pointers selects (Data Integrity ECDSA 1.0 section 3.4, BBS 1.0 section 3.3).
//!
//! The specifications give every blank node a name within the JSON document before they select. Here the walk tells
//! which JSON object became which node, which comes to the same without writing into the document.

mod base;
mod pointer;
pub(super) mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_lc_rs::hmac;
use serde_json::{Map, Value};

pub use self::base::BaseData;
pub(super) use self::base::add_base_proof;
pub use self::pointer::Pointers;
use super::contexts::Contexts;
use super::rdf::{Quad, Term};
use super::rdfc::{self, HashAlgorithm, canonicalize};
use super::{jsonld, rdf};
use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};

/// What a proof discloses always if its issuer says nothing else.
pub const DEFAULT_MANDATORY_POINTERS: [&str; 1] = ["/issuer"];
/// The longest `proofValue` of these suites in bytes: some 3,900 statements.
pub(super) const MAX_PROOF_VALUE: usize = 256 * 1024;

/// How blank nodes are named, so that their names do not tell about statements that are not disclosed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelling {
    /// The HMAC of the canonical label, in base64url with the prefix `u` (ECDSA section 3.4.4).
    Hmac,
    /// `b0`, `b1`, … in the order of the HMACs (BBS section 3.3.1).
    Shuffled,
}

impl Labelling {
    /// The label of each canonical label `c14n<n>`, without `_:`.
    fn labels(self, canonical: &BTreeMap<u32, u32>, key: &[u8; 32]) -> BTreeMap<u32, String> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let label = |number: &u32| {
            let tag = hmac::sign(&key, format!("c14n{number}").as_bytes());
            (*number, format!("u{}", base64url::encode(tag.as_ref())))
        };
        let mut labels: BTreeMap<u32, String> = canonical.values().map(label).collect();
        if self == Self::Shuffled {
            let mut order: Vec<&mut String> = labels.values_mut().collect();
            order.sort_unstable();
            for (index, label) in order.into_iter().enumerate() {
                *label = format!("b{index}");
            }
        }
        labels
    }
}

/// A document's statements under labels that tell nothing.
#[derive(Debug, Clone)]
pub struct Statements {
    /// N-Quads lines, sorted by code points, none twice.
    pub lines: Vec<String>,
    /// The blank node of each JSON object that became one.
    places: HashMap<String, u32>,
    /// The label of each blank node.
    labels: BTreeMap<u32, String>,
}

/// The statements that a set of pointers selects.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Which of [`Statements::lines`], ascending.
    pub indexes: BTreeSet<usize>,
    /// The document of these statements; null when nothing was selected.
    pub selection: Value,
    quads: Vec<Quad>,
    labels: BTreeMap<u32, String>,
}

impl Statements {
    /// The statements of `document`, which has no proof.
    ///
    /// [`Error::Unsupported`] `sd_blank_node` when a blank node is no JSON object of its own: lists (whose order a
    /// selection would change) and blank node identifiers; errors of [`jsonld::to_quads`] and [`rdfc::canonicalize`].
    pub fn of(document: &Value, labelling: Labelling, key: &[u8; 32], contexts: &Contexts) -> Result<Self> {
        let dataset = jsonld::to_dataset(document, contexts)?;
        let canonical = canonicalize(&dataset.quads, HashAlgorithm::Sha256, &rdfc::Limits::DEFAULT)?;
        let by_number = labelling.labels(&canonical.labels, key);
        let labels: BTreeMap<u32, String> = canonical
            .labels
            .iter()
            .filter_map(|(node, number)| Some((*node, by_number.get(number)?.clone())))
            .collect();
        let mut places = HashMap::new();
        let mut placed = BTreeSet::new();
        for (place, term) in dataset.nodes {
            if let Term::Blank(node) = term {
                if !placed.insert(node) {
                    return Err(blank_node());
                }
                places.insert(place, node);
            }
        }
        if labels.keys().any(|node| !placed.contains(node)) {
            return Err(blank_node());
        }
        Ok(Self { lines: relabelled(&dataset.quads, &labels), places, labels })
    }

    /// The statements of `document` that `pointers` select; none without pointers.
    ///
    /// [`Error::Malformed`] `sd_pointer_missing` when one points to nothing; `sd_pointer_statement` when the selection
    /// says something that the document does not (a string without its language, say); errors of [`Self::of`].
    pub fn group(&self, document: &Value, pointers: &Pointers, contexts: &Contexts) -> Result<Group> {
        if pointers.is_empty() {
            return Ok(Group::default());
        }
        let selection = pointers.select(document)?;
        let dataset = jsonld::to_dataset(&selection, contexts)?;
        let mut labels = BTreeMap::new();
        for (place, term) in &dataset.nodes {
            if let Term::Blank(node) = term {
                let origin = pointers.origin(document, place).ok_or_else(statement)?;
                let label = self.places.get(&origin).and_then(|node| self.labels.get(node));
                // An object without statements is in no dataset and has no label.
                if let Some(label) = label {
                    labels.insert(*node, label.clone());
                }
            }
        }
        if dataset.quads.iter().flat_map(Quad::blanks).any(|(_, node)| !labels.contains_key(&node)) {
            return Err(blank_node());
        }
        let mut indexes = BTreeSet::new();
        for line in relabelled(&dataset.quads, &labels) {
            indexes.insert(self.lines.binary_search(&line).map_err(|_| statement())?);
        }
        Ok(Group { indexes, selection, quads: dataset.quads, labels })
    }

    /// The lines of a group and the others, in order.
    pub fn split(&self, group: &BTreeSet<usize>) -> (Vec<&str>, Vec<&str>) {
        let mut split = (Vec::new(), Vec::new());
        for (index, line) in self.lines.iter().enumerate() {
            let part = if group.contains(&index) { &mut split.0 } else { &mut split.1 };
            part.push(line.as_str());
        }
        split
    }
}

impl Group {
    /// For each canonical label `c14n<n>` that a verifier of the selection comes to, the label that was signed.
    ///
    /// Errors of [`rdfc::canonicalize`].
    fn verifier_labels(&self) -> Result<BTreeMap<u32, String>> {
        let canonical = canonicalize(&self.quads, HashAlgorithm::Sha256, &rdfc::Limits::DEFAULT)?;
        let label = |(node, number): (u32, u32)| Some((number, self.labels.get(&node)?.clone()));
        Ok(canonical.labels.into_iter().filter_map(label).collect())
    }
}

/// What a holder discloses of a document.
#[derive(Debug, Clone)]
pub struct Disclosure {
    /// Every statement of the whole document.
    pub statements: Statements,
    /// Those that the issuer made mandatory.
    pub mandatory: BTreeSet<usize>,
    /// Those that the holder chose.
    pub selective: BTreeSet<usize>,
    /// All that are disclosed.
    pub combined: BTreeSet<usize>,
    /// The disclosed document.
    pub document: Value,
    /// For each canonical label of the disclosed document, the label that was signed.
    pub labels: BTreeMap<u32, String>,
}

impl Disclosure {
    /// What `mandatory` and `selective` disclose of `document`, which has no proof.
    ///
    /// [`Error::Malformed`] `sd_nothing` when they are both empty; errors of [`Statements::of`], [`Statements::group`] and
    /// [`Pointers::parse`].
    pub fn of<A: AsRef<str>, B: AsRef<str>>(
        document: &Value,
        (labelling, key): (Labelling, &[u8; 32]),
        mandatory: &[A],
        selective: &[B],
        contexts: &Contexts,
    ) -> Result<Self> {
        let all: Vec<&str> = mandatory.iter().map(A::as_ref).chain(selective.iter().map(B::as_ref)).collect();
        if all.is_empty() {
            return Err(Error::malformed("sd_nothing", "nothing was selected for disclosure"));
        }
        let statements = Statements::of(document, labelling, key, contexts)?;
        let group = |pointers: &Pointers| statements.group(document, pointers, contexts);
        let mandatory = group(&Pointers::parse(mandatory)?)?.indexes;
        let selective = group(&Pointers::parse(selective)?)?.indexes;
        let combined = group(&Pointers::parse(&all)?)?;
        let labels = combined.verifier_labels()?;
        Ok(Self {
            statements,
            mandatory,
            selective,
            combined: combined.indexes,
            document: combined.selection,
            labels,
        })
    }

    /// Where the mandatory statements stand among the disclosed ones.
    pub fn mandatory_positions(&self) -> Vec<usize> {
        positions(self.combined.iter(), |index| self.mandatory.contains(index))
    }

    /// Where the other disclosed statements stand among the statements that are not mandatory.
    pub fn selective_positions(&self) -> Vec<usize> {
        let others: Vec<usize> =
            (0..self.statements.lines.len()).filter(|index| !self.mandatory.contains(index)).collect();
        positions(others.iter(), |index| self.combined.contains(index))
    }
}

/// The positions of the items that fit.
fn positions<'a>(items: impl Iterator<Item = &'a usize>, fits: impl Fn(&usize) -> bool) -> Vec<usize> {
    items.enumerate().filter(|(_, item)| fits(item)).map(|(position, _)| position).collect()
}

/// A verifier's view of a disclosed document: its statements under the labels that were signed.
///
/// [`Error::Malformed`] `sd_labels` unless each blank node has exactly one label of its own; errors of
/// [`jsonld::to_quads`] and [`rdfc::canonicalize`].
pub(super) fn disclosed_lines(
    document: &Value,
    by_number: &BTreeMap<u32, String>,
    contexts: &Contexts,
) -> Result<Vec<String>> {
    let quads = jsonld::to_quads(document, contexts)?;
    let canonical = canonicalize(&quads, HashAlgorithm::Sha256, &rdfc::Limits::DEFAULT)?;
    let error = || Error::malformed("sd_labels", "the proof's labels are not those of the document's nodes");
    let mut labels = BTreeMap::new();
    for (node, number) in &canonical.labels {
        labels.insert(*node, by_number.get(number).ok_or_else(error)?.clone());
    }
    let distinct: BTreeSet<&String> = by_number.values().collect();
    if labels.len() != by_number.len() || distinct.len() != by_number.len() {
        return Err(error());
    }
    Ok(relabelled(&quads, &labels))
}

/// A verifier's lines, the mandatory ones and the others; the positions ascend.
///
/// [`Error::Malformed`] `sd_indexes` when they do not, or when one is beyond the end.
pub(super) fn split_mandatory<'a>(
    lines: &'a [String],
    mandatory: &[usize],
) -> Result<(Vec<&'a str>, Vec<&'a str>)> {
    let ascending = mandatory.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    if !ascending || mandatory.last().is_some_and(|last| *last >= lines.len()) {
        return Err(indexes());
    }
    let mut split = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        let part = if mandatory.binary_search(&index).is_ok() { &mut split.0 } else { &mut split.1 };
        part.push(line.as_str());
    }
    Ok(split)
}

/// The hash of mandatory statements.
pub(super) fn mandatory_hash(lines: &[&str]) -> [u8; 32] {
    sha256(lines.concat().as_bytes())
}

/// The hash of a proof's members, contexts those of the document (ECDSA sections 3.6.4 and 3.6.5).
pub(super) fn proof_hash(
    document: &Value,
    config: &Map<String, Value>,
    contexts: &Contexts,
) -> Result<[u8; 32]> {
    Ok(sha256(canonical_proof(document, config, contexts)?.as_bytes()))
}

/// A proof's members in canonical form, contexts those of the document.
///
/// Errors of [`jsonld::to_quads`] and [`rdfc::canonicalize`].
pub fn canonical_proof(document: &Value, config: &Map<String, Value>, contexts: &Contexts) -> Result<String> {
    let mut config = config.clone();
    config.insert("@context".into(), document.get("@context").cloned().unwrap_or_default());
    let quads = jsonld::to_quads(&Value::Object(config), contexts)?;
    Ok(canonicalize(&quads, HashAlgorithm::Sha256, &rdfc::Limits::DEFAULT)?.to_text())
}

fn relabelled(quads: &[rdf::Quad], labels: &BTreeMap<u32, String>) -> Vec<String> {
    let mut lines: Vec<String> = quads
        .iter()
        .map(|quad| {
            let mut line = String::with_capacity(192);
            quad.write(&mut line, &mut |out, node| {
                out.push_str("_:");
                out.push_str(labels.get(&node).map_or("", String::as_str));
            });
            line
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

pub(super) fn indexes() -> Error {
    Error::malformed("sd_indexes", "the proof's indexes do not fit the document's statements")
}

fn blank_node() -> Error {
    Error::unsupported(
        "sd_blank_node",
        "documents with lists or blank node identifiers cannot be disclosed selectively",
    )
}

fn statement() -> Error {
    Error::malformed(
        "sd_pointer_statement",
        "a JSON Pointer selects a part that says something else than the whole",
    )
}

#[cfg(test)]
pub(super) mod tests;
