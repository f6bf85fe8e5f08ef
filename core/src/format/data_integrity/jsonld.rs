//! JSON-LD 1.1 to RDF in one walk, in safe mode: whatever would not come out in the dataset, and so would not be signed,
//! is an error. Undefined terms, relative IRIs, `@base`, null values and free-floating values are refused.
//!
//! This is a complete processor (API sections 5.1 and 8.1) but for what safe mode excludes, framing, and remote
//! contexts: only the bundled [`Contexts`] are known. Base directions become `i18n-datatype` literals. Index keys
//! (`@index`) have no meaning in RDF and stay unsigned, as in every processor, unless an index property is defined.

pub(super) mod context;
mod define;
mod literal;
mod table;
mod walk;

use std::sync::Arc;

use serde_json::Value;

use super::contexts::Contexts;
use super::rdf::{Quad, Term};
use crate::error::{Error, Result};

/// A document as dataset.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The statements, in document order.
    pub quads: Vec<Quad>,
    /// For each JSON object that became a node, its JSON Pointer (RFC 6901) and the node; only when asked for.
    pub nodes: Vec<(String, Term)>,
}

/// The statements of `document`.
///
/// Errors, [`Error::Malformed`] unless noted: `jsonld_context_unknown` ([`Error::Unsupported`]), `jsonld_context`,
/// `jsonld_protected`, `jsonld_base`, `jsonld_undefined_term`, `jsonld_relative_iri`, `jsonld_iri`, `jsonld_null`,
/// `jsonld_lost` (a value that no statement would hold), `jsonld_shape` (keywords used against their rules),
/// `jsonld_too_deep`, `jsonld_too_complex`, `json_number_precision`.
pub fn to_quads(document: &Value, contexts: &Contexts) -> Result<Vec<Quad>> {
    Ok(walk::run(document, contexts, false)?.quads)
}

/// [`to_quads`], and which JSON object became which node.
pub fn to_dataset(document: &Value, contexts: &Contexts) -> Result<Dataset> {
    walk::run(document, contexts, true)
}

/// The types of the document's root, expanded by its own contexts; a type that none of them defines stays as it is
/// (OpenID4VP 1.0 appendix B.1.1).
///
/// Errors of [`to_quads`] about contexts.
pub fn expanded_types(document: &Value, contexts: &Contexts) -> Result<Vec<String>> {
    let mut active = Arc::clone(contexts.initial());
    if let Some(local) = document.get("@context") {
        let processor = context::Processor::new(contexts);
        active = processor.process(&active, local, context::Kind::Document, false, 0)?;
    }
    let types = document.get("type").map(items).unwrap_or_default().iter().filter_map(Value::as_str);
    Ok(types
        .map(|name| match active.table.expand(name, true) {
            table::Expanded::Iri(iri) => iri.to_string(),
            _ => name.to_owned(),
        })
        .collect())
}

/// Whether `text` is an absolute IRI as every identifier, type and property of a document must be.
pub fn is_absolute_iri(text: &str) -> bool {
    table::is_iri(text)
}

/// An array's items, or the value itself as the only one.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        single => std::slice::from_ref(single),
    }
}

/// A language tag in lower case (BCP 47 section 2.1.1, RDF 1.1 Concepts section 3.3).
fn language(value: &Value) -> Result<std::sync::Arc<str>> {
    let tag = value.as_str().unwrap_or_default();
    let subtag = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    let first_is_alphabetic =
        tag.split('-').next().is_some_and(|s| s.bytes().all(|b| b.is_ascii_alphabetic()));
    if first_is_alphabetic && tag.split('-').all(subtag) {
        Ok(tag.to_ascii_lowercase().into())
    } else {
        Err(shape("@language is not a language tag"))
    }
}

fn context_error(detail: &'static str) -> Error {
    Error::malformed("jsonld_context", detail)
}

fn base_error() -> Error {
    Error::malformed("jsonld_base", "@base is not supported: every IRI must be absolute")
}

fn shape(detail: &'static str) -> Error {
    Error::malformed("jsonld_shape", detail)
}

fn lost(detail: &'static str) -> Error {
    Error::malformed("jsonld_lost", detail)
}

#[cfg(test)]
mod tests;
