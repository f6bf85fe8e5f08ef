//! Thin views over FHIR R4 JSON (section 2.6.2): a document, its resources, their elements, periods and references.
//!
//! Every accessor says what is missing and what is wrong, with the element's path and never its content.

use serde_json::{Map, Value};

use super::Note;
use super::date::FhirDate;
use crate::clock::UnixTime;
use crate::error::{Error, Result};

/// Entries of one Bundle.
pub const MAX_ENTRIES: usize = 1_000;
/// Elements of one resource, all levels together.
pub const MAX_ELEMENTS: usize = 5_000;
/// Levels of one resource.
pub const MAX_DEPTH: usize = 16;
/// Bytes of one text that becomes a claim.
pub const MAX_TEXT: usize = 1_024;
/// Notes about one resource; what is skipped after that is skipped in silence.
const MAX_NOTES: usize = 100;

/// One resource, or the resources of one Bundle.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    resources: Vec<Resource<'a>>,
    bundle: bool,
}

/// A resource and the address it has in its Bundle.
#[derive(Debug, Clone)]
pub struct Resource<'a> {
    full_url: Option<&'a str>,
    /// Its elements.
    pub view: View<'a>,
}

/// The members of one JSON object and where it stands.
#[derive(Clone)]
pub struct View<'a> {
    members: &'a Map<String, Value>,
    path: String,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'a> Document<'a> {
    /// Reads a resource or a Bundle; of the resources only the outer form, which [`View::check`] completes.
    ///
    /// # Errors
    /// [`Error::Malformed`]: `fhir_type_invalid` (not an object), `fhir_resource_type_missing`, `fhir_too_large`.
    pub fn read(value: &'a Value) -> Result<Self> {
        let view = resource_view(value, "document")?;
        if view.resource_type()? != "Bundle" {
            return Ok(Self { resources: vec![Resource { full_url: None, view }], bundle: false });
        }
        let entries = view.objects("entry")?;
        if entries.len() > MAX_ENTRIES {
            return Err(Error::malformed("fhir_too_large", "the Bundle has too many entries"));
        }
        let mut resources = Vec::with_capacity(entries.len());
        for entry in entries {
            // Entries of deletions and responses have none.
            if let Some(resource) = entry.members.get("resource") {
                let full_url = entry.text("fullUrl")?;
                resources.push(Resource { full_url, view: resource_view(resource, &entry.path)? });
            }
        }
        Ok(Self { resources, bundle: true })
    }

    /// Whether it is a Bundle.
    pub const fn is_bundle(&self) -> bool {
        self.bundle
    }

    /// The one resource of that type.
    ///
    /// # Errors
    /// [`Error::Malformed`]: `fhir_resource_type_wrong` (another resource than asked for), `fhir_resource_missing` (the
    /// Bundle has none), `fhir_resource_ambiguous` (the Bundle has several).
    pub fn only(&self, resource_type: &'static str) -> Result<&Resource<'a>> {
        let mut found = None;
        for resource in &self.resources {
            if resource.view.resource_type()? == resource_type {
                if found.is_some() {
                    let detail = format!("the Bundle has more than one {resource_type}: send one");
                    return Err(Error::malformed("fhir_resource_ambiguous", detail));
                }
                found = Some(resource);
            }
        }
        found.ok_or_else(|| match self.bundle {
            true => Error::malformed("fhir_resource_missing", format!("the Bundle has no {resource_type}")),
            false => Error::malformed(
                "fhir_resource_type_wrong",
                format!("the resource is neither a {resource_type} nor a Bundle with one"),
            ),
        })
    }

    /// How many resources of that type there are.
    pub fn count(&self, resource_type: &str) -> usize {
        self.resources
            .iter()
            .filter(|r| r.view.resource_type().is_ok_and(|found| found == resource_type))
            .count()
    }

    /// The resource that `reference` means in `from`: contained (`#id`), an entry by its `fullUrl`, or an entry by
    /// `Type/id`; versions are not told apart. `None` when this document does not hold it; nothing is fetched.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_reference_ambiguous`: more than one entry answers to it.
    pub fn resolve(&self, from: &Resource<'a>, reference: &str) -> Result<Option<View<'a>>> {
        if let Some(id) = reference.strip_prefix('#') {
            if id.is_empty() {
                return Ok(Some(from.view.clone()));
            }
            for contained in from.view.objects("contained")? {
                if contained.text("id")? == Some(id) {
                    return Ok(Some(contained));
                }
            }
            return Ok(None);
        }
        let reference = reference.split_once("/_history/").map_or(reference, |(address, _)| address);
        let mut found: Option<&Resource<'a>> = None;
        for resource in &self.resources {
            if resource.answers_to(reference)? && found.replace(resource).is_some() {
                return Err(Error::malformed(
                    "fhir_reference_ambiguous",
                    "two entries answer to one reference",
                ));
            }
        }
        Ok(found.map(|resource| resource.view.clone()))
    }
}

impl Resource<'_> {
    fn answers_to(&self, reference: &str) -> Result<bool> {
        if self.full_url == Some(reference) {
            return Ok(true);
        }
        let Some((resource_type, id)) = reference.split_once('/') else { return Ok(false) };
        let same = self.view.resource_type()? == resource_type && self.view.text("id")? == Some(id);
        // A relative reference has no colon; an absolute one is only its fullUrl.
        Ok(same && !reference.contains(':'))
    }
}

fn resource_view<'a>(value: &'a Value, path: &str) -> Result<View<'a>> {
    let Value::Object(members) = value else {
        return Err(Error::malformed("fhir_type_invalid", format!("{path} is not a JSON object")));
    };
    let mut view = View { members, path: path.to_owned() };
    view.path = view.resource_type()?.to_owned();
    Ok(view)
}

impl<'a> View<'a> {
    /// Where it stands, for people: `Patient.name[0]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its `resourceType`.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_resource_type_missing`: no such member, or not a type name.
    pub fn resource_type(&self) -> Result<&'a str> {
        match self.members.get("resourceType") {
            Some(Value::String(name))
                if (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
            {
                Ok(name)
            }
            _ => Err(Error::malformed("fhir_resource_type_missing", "the JSON object names no resourceType")),
        }
    }

    /// A primitive element that is a text.
    ///
    /// # Errors
    /// [`Error::Malformed`]: `fhir_type_invalid`, `fhir_text_invalid` (blank, or with control or direction characters),
    /// `fhir_text_too_long`.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.members.get(name) {
            None => Ok(None),
            Some(value) => readable(value, || format!("{}.{name}", self.path)).map(Some),
        }
    }

    /// A repeated primitive element; positions whose value is only in the companion array (`null`) are left out.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let Some(value) = self.members.get(name) else { return Ok(Vec::new()) };
        let Value::Array(elements) = value else { return Err(self.wrong(name, "an array")) };
        let with_values = elements.iter().enumerate().filter(|(_, element)| !element.is_null());
        with_values.map(|(at, element)| readable(element, || format!("{}.{name}[{at}]", self.path))).collect()
    }

    /// A boolean element.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_type_invalid`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// A `positiveInt` element.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_type_invalid`.
    pub fn positive(&self, name: &str) -> Result<Option<u64>> {
        match self.members.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .filter(|n| *n > 0)
                .map(Some)
                .ok_or_else(|| self.wrong(name, "a positive number")),
        }
    }

    /// A complex element.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_type_invalid`.
    pub fn object(&self, name: &str) -> Result<Option<View<'a>>> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(View { members, path: format!("{}.{name}", self.path) })),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// A repeated complex element.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_type_invalid`.
    pub fn objects(&self, name: &str) -> Result<Vec<View<'a>>> {
        let Some(value) = self.members.get(name) else { return Ok(Vec::new()) };
        let Value::Array(elements) = value else { return Err(self.wrong(name, "an array")) };
        let view = |(at, element): (usize, &'a Value)| match element {
            Value::Object(members) => Ok(View { members, path: format!("{}.{name}[{at}]", self.path) }),
            _ => Err(self.wrong(name, "an array of objects")),
        };
        elements.iter().enumerate().map(view).collect()
    }

    /// A code out of a closed list.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_code_invalid`: another code; else as [`Self::text`].
    pub fn code(&self, name: &str, known: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(found) = self.text(name)? else { return Ok(None) };
        let known = known.iter().find(|code| **code == found).copied();
        known.map(Some).ok_or_else(|| {
            Error::malformed(
                "fhir_code_invalid",
                format!("{}.{name} is not a code of its FHIR value set", self.path),
            )
        })
    }

    /// A `date` or `dateTime` element: the text and what it can mean.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_date_invalid`; else as [`Self::text`].
    pub fn date(&self, name: &str) -> Result<Option<(&'a str, FhirDate)>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let date = FhirDate::parse(text).map_err(|_| {
            let detail = format!(
                "{}.{name} is not a FHIR date (YYYY, YYYY-MM, YYYY-MM-DD) of the calendar",
                self.path
            );
            Error::malformed("fhir_date_invalid", detail)
        })?;
        Ok(Some((text, date)))
    }

    /// Its `period`, seen from `now`; without one it is current.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_period_invalid`: the end is before the start; else as [`Self::date`].
    pub fn period(&self, now: UnixTime) -> Result<Period> {
        let Some(period) = self.object("period")? else { return Ok(Period::Current) };
        let (start, end) = (period.date("start")?, period.date("end")?);
        if let (Some((_, start)), Some((_, end))) = (start, end)
            && end.last() < start.first()
        {
            let detail = format!("{} ends before it starts", period.path);
            return Err(Error::malformed("fhir_period_invalid", detail));
        }
        if end.is_some_and(|(_, end)| end.last() < now) {
            return Ok(Period::Ended);
        }
        Ok(if start.is_some_and(|(_, start)| start.first() > now) { Period::Future } else { Period::Current })
    }

    /// The first of these members that is there; two variants of one choice element are refused.
    ///
    /// # Errors
    /// [`Error::Malformed`] `fhir_choice_ambiguous`.
    pub fn choice(&self, variants: &[&'static str]) -> Result<Option<&'static str>> {
        let mut there = variants.iter().filter(|name| self.members.contains_key(**name));
        let first = there.next().copied();
        if there.next().is_some() {
            let detail = format!("{} has two variants of one choice element", self.path);
            return Err(Error::malformed("fhir_choice_ambiguous", detail));
        }
        Ok(first)
    }

    /// Checks the form of the whole resource and notes what the mapping does not read.
    ///
    /// # Errors
    /// [`Error::Malformed`]: `fhir_element_empty` (null, `""`, `[]`, `{}`), `fhir_too_large`;
    /// [`Error::Unsupported`] `fhir_modifier_unknown`: `modifierExtension` or `implicitRules`.
    pub fn check(&self) -> Result<Vec<Note>> {
        let mut walk = Walk { elements: 0, notes: Vec::new() };
        if self.members.contains_key("implicitRules") {
            return Err(modifier(&format!("{}.implicitRules", self.path)));
        }
        walk.object(self.members, &self.path, 1)?;
        Ok(walk.notes)
    }

    fn wrong(&self, name: &str, expected: &str) -> Error {
        Error::malformed("fhir_type_invalid", format!("{}.{name} is not {expected}", self.path))
    }
}

/// Where a `Period` stands in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// It has not begun.
    Future,
    /// It holds now, or has no bounds.
    Current,
    /// It is over.
    Ended,
}

fn modifier(path: &str) -> Error {
    let detail = format!("{path} can change the meaning of the record and is not understood");
    Error::unsupported("fhir_modifier_unknown", detail)
}

/// A text that people can read as it stands. No normalization: a name stays as it was written.
fn readable(value: &Value, path: impl Fn() -> String) -> Result<&str> {
    let Value::String(text) = value else {
        return Err(Error::malformed("fhir_type_invalid", format!("{} is not a text", path())));
    };
    if text.len() > MAX_TEXT {
        return Err(Error::malformed(
            "fhir_text_too_long",
            format!("{} is longer than {MAX_TEXT} bytes", path()),
        ));
    }
    let misleading =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.trim().is_empty() || text.chars().any(misleading) {
        let detail = format!("{} is blank or has control or direction characters", path());
        return Err(Error::malformed("fhir_text_invalid", detail));
    }
    Ok(text)
}

struct Walk {
    elements: usize,
    notes: Vec<Note>,
}

impl Walk {
    fn object(&mut self, members: &Map<String, Value>, path: &str, depth: usize) -> Result<()> {
        for (name, value) in members {
            let here = format!("{path}.{name}");
            self.count(depth, &here)?;
            match name.as_str() {
                "modifierExtension" => return Err(modifier(&here)),
                "extension" => self.note(&here, "extensions do not become claims"),
                // Contained resources are checked when a reference leads to them; the narrative is not read.
                "contained" | "text" if depth == 1 => {}
                _ if name.starts_with('_') => {
                    self.note(&here, "extensions of a simple value do not become claims");
                }
                _ => {
                    let companions = members.get(&format!("_{name}")).and_then(Value::as_array);
                    self.value(value, companions, &here, depth)?;
                }
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        value: &Value,
        companions: Option<&Vec<Value>>,
        path: &str,
        depth: usize,
    ) -> Result<()> {
        self.count(depth, path)?;
        match value {
            Value::Null => Err(empty(path)),
            Value::String(text) if text.is_empty() => Err(empty(path)),
            Value::Object(members) if members.is_empty() => Err(empty(path)),
            Value::Array(elements) if elements.is_empty() => Err(empty(path)),
            Value::Object(members) => self.object(members, path, depth + 1),
            Value::Array(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    // A null keeps the place of a value that has only extensions (FHIR R4, 2.6.2.2).
                    let stands_in = companions.and_then(|all| all.get(at)).is_some_and(Value::is_object);
                    if !(element.is_null() && stands_in) {
                        self.value(element, None, &format!("{path}[{at}]"), depth + 1)?;
                    }
                }
                Ok(())
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(()),
        }
    }

    fn count(&mut self, depth: usize, path: &str) -> Result<()> {
        self.elements += 1;
        if depth > MAX_DEPTH || self.elements > 2 * MAX_ELEMENTS {
            return Err(Error::malformed(
                "fhir_too_large",
                format!("{path}: the resource is too deep or too large"),
            ));
        }
        Ok(())
    }

    fn note(&mut self, path: &str, text: &'static str) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(Note { path: path.to_owned(), text });
        }
    }
}

fn empty(path: &str) -> Error {
    Error::malformed("fhir_element_empty", format!("{path} is empty: FHIR leaves such elements out"))
}
