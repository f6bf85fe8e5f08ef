//! Health records to claims: thin views over FHIR R4 JSON and their mapping to the datasets of a credential.
//!
//! No typed FHIR model: a resource stays a [`serde_json::Value`], and each mapping reads the elements it knows. What it
//! does not read (extensions, companion `_elements`, other addresses) is listed in [`CredentialDataset::notes`], so that
//! the person at the desk sees what was left out. What would change the meaning of the record and is not understood
//! (`modifierExtension`, `implicitRules`) is refused, as FHIR R4 section 2.6.4 demands.
//!
//! Not checked: profiles, terminology bindings other than the codes named here, the narrative, signatures.

pub mod coverage;
pub mod date;
pub mod fhir;
pub mod patient;

use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::error::{Error, Result};

/// The kinds of dataset that this module makes from FHIR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatasetKind {
    /// Who a patient is, from FHIR `Patient`.
    PatientIdentity,
    /// By whom a patient is insured, from FHIR `Coverage`.
    InsuranceCoverage,
}

impl DatasetKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::PatientIdentity, Self::InsuranceCoverage];

    /// The name: also the credential configuration's identifier at the issuer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PatientIdentity => "patient_identity",
            Self::InsuranceCoverage => "insurance_coverage",
        }
    }

    /// The kind of that name; [`Error::Unsupported`] `dataset_unknown` for any other.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            Error::unsupported("dataset_unknown", "no dataset of that name can be made from FHIR")
        })
    }

    /// The claims of this kind in the order in which people read them, each with its label.
    pub const fn claims(self) -> &'static [ClaimInfo] {
        match self {
            Self::PatientIdentity => patient::CLAIMS,
            Self::InsuranceCoverage => coverage::CLAIMS,
        }
    }

    /// The dataset in `document`: one resource of the kind, or a Bundle that holds exactly one.
    ///
    /// # Errors
    /// As [`patient::dataset`] and [`coverage::dataset`].
    pub fn extract(self, document: &Value, now: UnixTime) -> Result<CredentialDataset> {
        match self {
            Self::PatientIdentity => patient::dataset(document, now),
            Self::InsuranceCoverage => coverage::dataset(document, now),
        }
    }
}

/// One claim that a dataset may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimInfo {
    /// Member names from the top of the claims.
    pub path: &'static [&'static str],
    /// What people call it.
    pub label: &'static str,
    /// Whether every dataset of the kind holds it.
    pub mandatory: bool,
}

/// One line for the person who checks what will be issued.
#[derive(Clone, PartialEq, Eq)]
pub struct PreviewLine {
    /// What people call this claim.
    pub label: String,
    /// Where it stands in the claims: member names and array positions.
    pub path: Vec<Value>,
    /// The value as people read it.
    pub value: String,
}

impl std::fmt::Debug for PreviewLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreviewLine").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Something in the record that the claims do not carry, or carry with less precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where in the resource (FHIRPath-like); never its content.
    pub path: String,
    /// What was done with it.
    pub text: &'static str,
}

/// The claims of one subject before they become a credential (OpenID4VCI: credential dataset).
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialDataset {
    /// Which dataset this is.
    pub kind: DatasetKind,
    /// The claims, in the order of [`DatasetKind::claims`].
    pub claims: Map<String, Value>,
    /// The same for people.
    pub preview: Vec<PreviewLine>,
    /// What the claims leave out.
    pub notes: Vec<Note>,
}

impl std::fmt::Debug for CredentialDataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialDataset")
            .field("kind", &self.kind)
            .field("claims", &self.claims.len())
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

impl CredentialDataset {
    /// Orders the claims as `kind` lists them and writes the preview.
    fn assemble(kind: DatasetKind, mut found: Map<String, Value>, notes: Vec<Note>) -> Self {
        let mut claims = Map::new();
        for info in kind.claims() {
            if let [name] = info.path
                && let Some(value) = found.remove(*name)
            {
                claims.insert((*name).to_owned(), value);
            }
        }
        let preview = preview(kind, &claims);
        Self { kind, claims, preview, notes }
    }
}

/// One line per leaf that a person would want to see; the elements of an array become numbered lines.
fn preview(kind: DatasetKind, claims: &Map<String, Value>) -> Vec<PreviewLine> {
    let mut lines = Vec::new();
    for info in kind.claims() {
        let mut value = None;
        for (depth, name) in info.path.iter().enumerate() {
            value =
                if depth == 0 { claims.get(*name) } else { value.and_then(|outer: &Value| outer.get(name)) };
        }
        let path: Vec<Value> = info.path.iter().map(|name| Value::from(*name)).collect();
        match value {
            Some(Value::Array(elements)) => {
                for (position, element) in elements.iter().enumerate() {
                    let mut path = path.clone();
                    path.push(Value::from(position));
                    lines.push(PreviewLine { label: info.label.to_owned(), path, value: words(element) });
                }
            }
            // An object is shown by its members, which have lines of their own; an identifier is one line.
            Some(Value::Object(members)) if !members.contains_key("value") => {}
            None => {}
            Some(leaf) => {
                lines.push(PreviewLine { label: info.label.to_owned(), path, value: words(leaf) });
            }
        }
    }
    lines
}

/// A claim value in words.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\n', ", "),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            match (text("value"), text("system"), text("type")) {
                (Some(value), Some(system), Some(kind)) => format!("{value} ({kind}, {system})"),
                (Some(value), Some(system), None) => format!("{value} ({system})"),
                _ => members.values().map(words).collect::<Vec<_>>().join(", "),
            }
        }
        Value::Array(elements) => elements.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
