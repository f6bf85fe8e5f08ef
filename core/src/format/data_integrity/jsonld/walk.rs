//! The walk: expansion (JSON-LD 1.1 API section 5.1) and RDF conversion (section 8.1) of one element at a time.

mod maps;
mod node;
mod values;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::values::{language_map, native, value_object};
use super::context::{Active, Kind, Processor};
use super::table::{Coercion, Expanded, Keyword, Mapping, Term as Definition};
use super::{Dataset, items, literal, lost, shape};
use crate::error::{Error, Result};
use crate::format::data_integrity::contexts::Contexts;
use crate::format::data_integrity::rdf::{Quad, RDF_TYPE, Term};

const RDF_FIRST: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#first";
const RDF_REST: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#rest";
const RDF_NIL: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#nil";

/// Arrays and objects within each other: twice what the JSON reader lets through.
const MAX_DEPTH: usize = 32;

pub(super) fn run(document: &Value, contexts: &Contexts, track: bool) -> Result<Dataset> {
    let mut walk = Walk {
        processor: Processor::new(contexts),
        quads: Vec::with_capacity(32),
        nodes: Vec::new(),
        path: track.then(String::new),
        labels: HashMap::new(),
        blanks: 0,
        depth: 0,
        rdf_type: RDF_TYPE.into(),
    };
    let place = Place { top: document.is_object(), ..Place::default() };
    if !(document.is_object() || document.is_array()) {
        return Err(lost("a document is an object or an array of objects"));
    }
    walk.values(contexts.initial(), place, document, &mut Vec::new())?;
    Ok(Dataset { quads: walk.quads, nodes: walk.nodes })
}

/// A property, and the definition of its term if it was written as one.
struct Property<'e> {
    name: &'e str,
    iri: Arc<str>,
    term: Option<Arc<Definition>>,
}

/// What a map container adds to a node.
#[derive(Default)]
struct Given {
    id: Option<Term>,
    type_: Option<Term>,
    index: Option<(Arc<str>, Term)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Wrap {
    #[default]
    No,
    /// Container `@graph`: each value gets a graph of its own.
    Always,
    /// With `@id` or `@index`: unless the value is a graph object.
    UnlessGraph,
}

/// Where an element stands.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    graph: Option<&'a Term>,
    /// `None` at the top, in `@graph` and in `@included`.
    property: Option<&'a Property<'a>>,
    top: bool,
    from_map: bool,
    reverse: bool,
    wrap: Wrap,
    given: Option<&'a Given>,
}

/// A member of an object, its name expanded.
struct Member<'e> {
    name: &'e str,
    key: Key<'e>,
    value: &'e Value,
}

enum Key<'e> {
    Keyword(Keyword),
    Property(Property<'e>),
}

struct Walk<'c> {
    processor: Processor<'c>,
    quads: Vec<Quad>,
    nodes: Vec<(String, Term)>,
    /// JSON Pointer of the current element, when asked for.
    path: Option<String>,
    labels: HashMap<Arc<str>, u32>,
    blanks: u32,
    depth: usize,
    rdf_type: Arc<str>,
}

impl Walk<'_> {
    fn blank(&mut self) -> Term {
        let node = self.blanks;
        self.blanks = node.saturating_add(1);
        Term::Blank(node)
    }

    /// The blank node of a label in the document.
    fn labelled(&mut self, label: Arc<str>) -> Term {
        if let Some(node) = self.labels.get(&label) {
            return Term::Blank(*node);
        }
        let term = self.blank();
        if let Term::Blank(node) = term {
            self.labels.insert(label, node);
        }
        term
    }

    fn emit(&mut self, subject: Term, predicate: &Arc<str>, object: Term, graph: Option<&Term>) {
        self.quads.push(Quad { subject, predicate: Arc::clone(predicate), object, graph: graph.cloned() });
    }

    fn enter(&mut self, segment: impl std::fmt::Display) -> usize {
        let Some(path) = &mut self.path else { return 0 };
        let len = path.len();
        let text = segment.to_string().replace('~', "~0").replace('/', "~1");
        let _ = write!(path, "/{text}"); // writing to a String cannot fail
        len
    }

    fn leave(&mut self, len: usize) {
        if let Some(path) = &mut self.path {
            path.truncate(len);
        }
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::malformed("jsonld_too_deep", "the document is nested too deeply"));
        }
        Ok(())
    }

    /// An element of any kind; what it stands for goes to `out`.
    fn values(
        &mut self,
        active: &Arc<Active>,
        place: Place<'_>,
        value: &Value,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        match value {
            Value::Null => Err(null()),
            Value::Array(elements) => {
                self.deeper()?;
                for (index, element) in elements.iter().enumerate() {
                    let len = self.enter(index);
                    self.values(active, place, element, out)?;
                    self.leave(len);
                }
                self.depth -= 1;
                Ok(())
            }
            Value::Object(members) => {
                self.deeper()?;
                self.object(active, place, members, out)?;
                self.depth -= 1;
                Ok(())
            }
            scalar => {
                let term = self.scalar(active, place, scalar)?;
                out.push(term);
                Ok(())
            }
        }
    }

    /// Value expansion (API section 5.3).
    fn scalar(&mut self, active: &Arc<Active>, place: Place<'_>, value: &Value) -> Result<Term> {
        let Some(property) = place.property else {
            return Err(lost("a value stands where only nodes can"));
        };
        if place.wrap != Wrap::No {
            return Err(lost("a graph container holds a value or a bare reference"));
        }
        let Some(term) = &property.term else { return native(active, None, value) };
        let Some(scoped) = &term.context else { return self.coerced(active, term, value) };
        // The scoped context may say something else about the property itself.
        let active = self.processor.apply(active, scoped, Kind::Property)?;
        match active.table.term(property.name) {
            Some(term) => self.coerced(&active, term, value),
            None => native(&active, None, value),
        }
    }

    fn coerced(&mut self, active: &Arc<Active>, term: &Definition, value: &Value) -> Result<Term> {
        match (&term.coercion, value) {
            (Coercion::Id, Value::String(text)) => self.reference(active, text, false),
            (Coercion::Vocab, Value::String(text)) => self.reference(active, text, true),
            (Coercion::Datatype(datatype), _) => {
                let literal = literal::typed(value, Some(datatype))?.ok_or_else(null)?;
                Ok(Term::Literal(literal))
            }
            (Coercion::Json, _) => Ok(Term::Literal(literal::json(value)?)),
            _ => native(active, Some(term), value),
        }
    }

    /// A node by its name.
    fn reference(&mut self, active: &Arc<Active>, text: &str, vocab: bool) -> Result<Term> {
        match active.table.expand(text, vocab) {
            Expanded::Iri(iri) => Ok(Term::Iri(iri)),
            Expanded::Blank(label) => Ok(self.labelled(label)),
            Expanded::Keyword(_) => Err(shape("a keyword stands where an IRI should")),
            Expanded::Null => Err(undefined(text)),
            Expanded::Relative => Err(relative()),
            Expanded::Invalid => Err(invalid()),
        }
    }

    fn object(
        &mut self,
        active: &Arc<Active>,
        place: Place<'_>,
        element: &Map<String, Value>,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        let outer = self.context_of(active, place, element)?;
        let active = self.typed_context(&outer, element)?;
        let members = self.members(&active, element)?;
        let has = |keyword| members.iter().any(|member| member.is(keyword));
        if has(Keyword::Value) {
            if place.property.is_none() || place.wrap != Wrap::No {
                return Err(lost("a value stands where only nodes can"));
            }
            let literal = value_object(&outer, &members)?;
            out.push(Term::Literal(literal));
            return Ok(());
        }
        for (keyword, is_list) in [(Keyword::List, true), (Keyword::Set, false)] {
            let Some(member) = members.iter().find(|member| member.is(keyword)) else { continue };
            if members.iter().any(|other| !other.is(keyword) && !other.is_index()) {
                return Err(shape("a list or set object has other members"));
            }
            let len = self.enter(member.name);
            // The object's context may say something else about the property, or nothing.
            let property = place.property.map(|property| Property {
                term: active.table.term(property.name).cloned(),
                iri: Arc::clone(&property.iri),
                name: property.name,
            });
            let place = Place { property: property.as_ref(), ..place };
            if is_list {
                if place.property.is_none() || place.reverse || place.wrap != Wrap::No {
                    return Err(lost("a list stands where only nodes can"));
                }
                let head = self.list(&active, place, items(member.value))?;
                out.push(head);
            } else {
                self.values(&active, place, member.value, out)?;
            }
            self.leave(len);
            return Ok(());
        }
        let term = self.node(&outer, &active, place, &members)?;
        out.push(term);
        Ok(())
    }

    /// Steps 7 to 9 of expansion: the contexts that hold for an object, but for those of its types.
    fn context_of(
        &self,
        active: &Arc<Active>,
        place: Place<'_>,
        element: &Map<String, Value>,
    ) -> Result<Arc<Active>> {
        let mut result = Arc::clone(active);
        if let Some(previous) = active.previous.as_ref().filter(|_| !place.from_map) {
            let keyword = |name: &str| keyword_of(active, name);
            let is_value = element.keys().any(|name| keyword(name) == Some(Keyword::Value));
            let only_id = element.len() == 1 && element.keys().all(|name| keyword(name) == Some(Keyword::Id));
            if !is_value && !only_id {
                result = Arc::clone(previous);
            }
        }
        let scoped = place.property.and_then(|property| property.term.as_ref()?.context.as_ref());
        if let Some(scoped) = scoped {
            result = self.processor.apply(&result, scoped, Kind::Property)?;
        }
        if let Some(context) = element.get("@context") {
            result = self.processor.process(&result, context, Kind::Document, false, 0)?;
        }
        Ok(result)
    }

    /// Step 11: the contexts of the types, in the order of the types' names.
    fn typed_context(&self, outer: &Arc<Active>, element: &Map<String, Value>) -> Result<Arc<Active>> {
        let mut keys: Vec<(&String, &Value)> =
            element.iter().filter(|(name, _)| keyword_of(outer, name) == Some(Keyword::Type)).collect();
        keys.sort_unstable_by_key(|(name, _)| *name);
        let mut active = Arc::clone(outer);
        for (_, value) in keys {
            let mut types: Vec<&str> = items(value).iter().filter_map(Value::as_str).collect();
            types.sort_unstable();
            for type_ in types {
                if let Some(scoped) = outer.table.term(type_).and_then(|term| term.context.as_ref()) {
                    active = self.processor.apply(&active, scoped, Kind::Type)?;
                }
            }
        }
        Ok(active)
    }

    /// The members of an object with their names expanded; `@context` is left out.
    fn members<'e>(&self, active: &Active, element: &'e Map<String, Value>) -> Result<Vec<Member<'e>>> {
        let mut members: Vec<Member<'e>> = Vec::with_capacity(element.len());
        for (name, value) in element {
            if name == "@context" {
                continue;
            }
            let key = key(active, name)?;
            if let Key::Keyword(keyword) = key
                && !matches!(keyword, Keyword::Type | Keyword::Included | Keyword::Nest)
                && members.iter().any(|other| other.is(keyword))
            {
                return Err(shape("two members of an object stand for the same keyword"));
            }
            members.push(Member { name, key, value });
        }
        Ok(members)
    }

    /// Steps 13.5 to 13.12 of expansion.
    fn objects(
        &mut self,
        active: &Arc<Active>,
        place: Place<'_>,
        property: &Property<'_>,
        value: &Value,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        let Some(term) = &property.term else { return self.values(active, place, value, out) };
        if term.coercion == Coercion::Json {
            out.push(Term::Literal(literal::json(value)?));
            return Ok(());
        }
        let container = term.container;
        match value {
            Value::Object(map) if container.language => return language_map(active, term, map, out),
            Value::Object(map) if container.index || container.id || container.type_ => {
                return self.map(active, place, property, term, map, out);
            }
            _ => {}
        }
        if container.list {
            let is_list = |map: &Map<String, Value>| {
                map.keys().any(|name| keyword_of(active, name) == Some(Keyword::List))
            };
            if !value.as_object().is_some_and(is_list) {
                if place.reverse {
                    return Err(shape("a reverse property has a list"));
                }
                let head = self.list(active, place, items(value))?;
                out.push(head);
                return Ok(());
            }
        }
        let wrap = match (container.graph, container.id || container.index) {
            (false, _) => Wrap::No,
            (true, false) => Wrap::Always,
            (true, true) => Wrap::UnlessGraph,
        };
        self.values(active, Place { wrap, ..place }, value, out)
    }

    /// An RDF collection (API section 8.3).
    fn list(&mut self, active: &Arc<Active>, place: Place<'_>, elements: &[Value]) -> Result<Term> {
        self.deeper()?;
        let mut terms = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let len = self.enter(index);
            match element {
                Value::Array(inner) => {
                    // Without the container, some processors flatten and others nest.
                    if !place
                        .property
                        .and_then(|property| property.term.as_ref())
                        .is_some_and(|term| term.container.list)
                    {
                        return Err(shape("a list holds a bare array"));
                    }
                    let head = self.list(active, place, inner)?;
                    terms.push(head);
                }
                Value::Object(set)
                    if set.keys().any(|name| keyword_of(active, name) == Some(Keyword::Set)) =>
                {
                    // Processors differ: some flatten it, others make a list of it.
                    return Err(shape("a list holds a set"));
                }
                other => self.values(active, place, other, &mut terms)?,
            }
            self.leave(len);
        }
        self.depth -= 1;
        let (first, rest): (Arc<str>, Arc<str>) = (RDF_FIRST.into(), RDF_REST.into());
        let mut next = Term::Iri(RDF_NIL.into());
        for term in terms.into_iter().rev() {
            let cell = self.blank();
            self.emit(cell.clone(), &first, term, place.graph);
            self.emit(cell.clone(), &rest, next, place.graph);
            next = cell;
        }
        Ok(next)
    }
}

impl Member<'_> {
    fn is(&self, keyword: Keyword) -> bool {
        matches!(self.key, Key::Keyword(own) if own == keyword)
    }

    fn is_index(&self) -> bool {
        self.is(Keyword::Index) && self.value.is_string()
    }

    fn is_id_or_index(&self) -> bool {
        self.is(Keyword::Id) || self.is_index()
    }
}

/// The keyword that a member's name stands for.
fn keyword_of(active: &Active, name: &str) -> Option<Keyword> {
    match active.table.term(name).map(|term| &term.mapping) {
        Some(Mapping::Keyword(keyword)) => Some(*keyword),
        Some(_) => None,
        None => Keyword::parse(name),
    }
}

/// Expands a member's name; anything that is neither keyword nor IRI is an error.
fn key<'e>(active: &Active, name: &'e str) -> Result<Key<'e>> {
    let term = active.table.term(name);
    if let Some(term) = term
        && let Mapping::Iri(iri) = &term.mapping
    {
        return Ok(Key::Property(Property { name, iri: Arc::clone(iri), term: Some(Arc::clone(term)) }));
    }
    match active.table.expand(name, true) {
        Expanded::Keyword(keyword) => Ok(Key::Keyword(keyword)),
        Expanded::Iri(iri) => Ok(Key::Property(Property { name, iri, term: term.cloned() })),
        Expanded::Blank(_) => Err(lost("a blank node stands as property")),
        Expanded::Null | Expanded::Relative => Err(undefined(name)),
        Expanded::Invalid => Err(invalid()),
    }
}

fn null() -> Error {
    Error::malformed("jsonld_null", "a null value would not be signed; leave the member out")
}

fn relative() -> Error {
    Error::malformed("jsonld_relative_iri", "an identifier or type is not an absolute IRI")
}

fn invalid() -> Error {
    Error::malformed("jsonld_iri", "an identifier, type or property is not well formed as IRI")
}

fn undefined(name: &str) -> Error {
    // Names of members are not claim values, but they come from outside: quote few of their characters.
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    Error::malformed("jsonld_undefined_term", format!("the contexts do not define \"{name}\""))
}
