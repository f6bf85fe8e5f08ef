//! Creating term definitions (JSON-LD 1.1 API section 4.2.2).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::context::{self, Scoped};
use super::context_error;
use super::table::{
    Coercion, Container, Expanded, Keyword, Mapping, Table, Term, keyword_like, split_compact,
};
use crate::error::Result;
use crate::format::data_integrity::contexts::Contexts;

/// Members of a context that are not terms.
const RESERVED: [&str; 8] =
    ["@base", "@direction", "@import", "@language", "@propagate", "@protected", "@version", "@vocab"];
/// Members of an expanded term definition.
const MEMBERS: [&str; 11] = [
    "@id",
    "@reverse",
    "@container",
    "@context",
    "@direction",
    "@index",
    "@language",
    "@nest",
    "@prefix",
    "@protected",
    "@type",
];
/// Terms that are defined by terms that are defined by terms.
const MAX_DEPTH: usize = 16;

/// Builds a term table out of one context.
pub(super) struct Definer<'a> {
    pub(super) contexts: &'a Contexts,
    pub(super) table: Table,
    pub(super) local: &'a Map<String, Value>,
    /// `false` while a term is being defined.
    pub(super) defined: HashMap<&'a str, bool>,
    pub(super) protected: bool,
    pub(super) overriding: bool,
    pub(super) bundled: bool,
}

impl<'a> Definer<'a> {
    pub(super) fn define(&mut self, name: &str, depth: usize) -> Result<()> {
        let Some((name, value)) = self.local.get_key_value(name) else { return Ok(()) };
        if RESERVED.contains(&name.as_str()) {
            return Ok(());
        }
        match self.defined.get(name.as_str()) {
            Some(true) => return Ok(()),
            Some(false) => return Err(context_error("a term is defined by itself")),
            None => {}
        }
        if depth > MAX_DEPTH {
            return Err(context_error("terms are defined through too many others"));
        }
        if name.is_empty() || keyword_like(name) && name != "@type" {
            return Err(context_error("a keyword, reserved or empty term is redefined"));
        }
        self.defined.insert(name, false);
        let previous = self.table.terms.remove(name.as_str());
        let mut term = self.term(name, value, depth)?;
        if let Some(previous) = previous.filter(|previous| previous.protected && !self.overriding) {
            if !term.same(&previous) {
                return Err(context::protected());
            }
            term.protected = true;
        }
        self.table.terms.insert(name.as_str().into(), Arc::new(term));
        self.defined.insert(name, true);
        Ok(())
    }

    /// IRI expansion by terms, after the terms that it depends on.
    fn expand(&mut self, text: &str, depth: usize) -> Result<Expanded> {
        self.define(text, depth + 1)?;
        if let Some((prefix, suffix)) = split_compact(text)
            && !suffix.starts_with("//")
        {
            self.define(prefix, depth + 1)?;
        }
        Ok(self.table.expand(text, true))
    }

    fn term(&mut self, name: &str, value: &'a Value, depth: usize) -> Result<Term> {
        let empty = Map::new();
        let (members, id, simple): (&Map<String, Value>, Option<&Value>, bool) = match value {
            Value::Null => (&empty, Some(&Value::Null), false),
            Value::String(_) => (&empty, Some(value), true),
            Value::Object(members) => (members, members.get("@id"), false),
            _ => return Err(context_error("a term definition is neither string, object nor null")),
        };
        if members.keys().any(|member| !MEMBERS.contains(&member.as_str())) {
            return Err(context_error("a term definition has an unknown member"));
        }
        if name == "@type" {
            let fits = members.keys().all(|member| matches!(member.as_str(), "@container" | "@protected"))
                && members.get("@container").and_then(Value::as_str) == Some("@set");
            if !fits {
                return Err(context_error("@type is redefined"));
            }
        }
        let protected = match members.get("@protected") {
            None => self.protected,
            Some(Value::Bool(protected)) => *protected,
            Some(_) => return Err(context_error("@protected is neither true nor false")),
        };
        let mut term = Term::new(Mapping::Null, protected);
        if let Some(type_) = members.get("@type") {
            term.coercion = self.coercion(type_, depth)?;
        }
        if let Some(reverse) = members.get("@reverse") {
            let text = reverse.as_str().filter(|_| id.is_none() && !members.contains_key("@nest"));
            let text =
                text.ok_or_else(|| context_error("@reverse is not a string, or stands beside @id or @nest"))?;
            term.mapping = match self.expand(text, depth)? {
                Expanded::Iri(iri) => Mapping::Iri(iri),
                _ => return Err(context_error("@reverse is not an absolute IRI")),
            };
            term.reverse = true;
            term.container = container(members.get("@container"))?;
            let other = Container { set: false, index: false, ..term.container };
            if other.count() > 0 {
                return Err(context_error("a reverse property has a container other than @set and @index"));
            }
            return Ok(term);
        }
        match id {
            Some(Value::Null) => return Ok(term),
            Some(Value::String(text)) if text != name => {
                term.mapping = match self.expand(text, depth)? {
                    Expanded::Keyword(Keyword::Context) => {
                        return Err(context_error("@context has an alias"));
                    }
                    Expanded::Keyword(keyword) => Mapping::Keyword(keyword),
                    Expanded::Iri(iri) => Mapping::Iri(iri),
                    Expanded::Blank(label) => Mapping::Blank(label),
                    _ => return Err(context_error("a term is not mapped to an absolute IRI or keyword")),
                };
                let inner = name.get(1..).is_some_and(|rest| rest.trim_end_matches(':').contains(':'));
                if inner || name.contains('/') {
                    self.require_same(name, &term.mapping, depth)?;
                }
                let last = text_of(&term.mapping).and_then(|iri| iri.chars().last());
                let delimiter =
                    last.is_some_and(|c| ":/?#[]@".contains(c)) || matches!(term.mapping, Mapping::Blank(_));
                term.prefix = simple && delimiter && !name.contains([':', '/']);
            }
            Some(Value::String(_)) | None => term.mapping = self.own_mapping(name, depth)?,
            Some(_) => return Err(context_error("@id of a term is neither a string nor null")),
        }
        self.rest(&mut term, name, members)?;
        Ok(term)
    }

    /// Step 14.2.5: a term that looks like an IRI must stand for that IRI.
    fn require_same(&mut self, name: &str, mapping: &Mapping, depth: usize) -> Result<()> {
        if let Some((prefix, _)) = split_compact(name) {
            self.define(prefix, depth + 1)?;
        }
        match (self.table.expand(name, true), mapping) {
            (Expanded::Iri(own), Mapping::Iri(iri)) if own == *iri => Ok(()),
            (Expanded::Blank(own), Mapping::Blank(label)) if own == *label => Ok(()),
            _ => Err(context_error("a term in the form of an IRI is mapped to another")),
        }
    }

    /// Steps 15 to 18: without `@id`, the name itself says what it stands for.
    fn own_mapping(&mut self, name: &str, depth: usize) -> Result<Mapping> {
        if name == "@type" {
            return Ok(Mapping::Keyword(Keyword::Type));
        }
        if let Some((prefix, suffix)) = split_compact(name)
            && !suffix.starts_with("//")
        {
            self.define(prefix, depth + 1)?;
        }
        match self.table.expand(name, true) {
            Expanded::Iri(iri) => Ok(Mapping::Iri(iri)),
            Expanded::Blank(label) => Ok(Mapping::Blank(label)),
            _ => Err(context_error("a term is not mapped to an absolute IRI")),
        }
    }

    fn coercion(&mut self, value: &Value, depth: usize) -> Result<Coercion> {
        let text = value.as_str().ok_or_else(|| context_error("@type of a term is not a string"))?;
        match self.expand(text, depth)? {
            Expanded::Keyword(Keyword::Id) => Ok(Coercion::Id),
            Expanded::Keyword(Keyword::Vocab) => Ok(Coercion::Vocab),
            Expanded::Keyword(Keyword::Json) => Ok(Coercion::Json),
            Expanded::Keyword(Keyword::None) => Ok(Coercion::None),
            Expanded::Iri(iri) => Ok(Coercion::Datatype(iri)),
            _ => Err(context_error("@type of a term is not an absolute IRI")),
        }
    }

    /// Steps 19 to 26.
    fn rest(&self, term: &mut Term, name: &str, members: &Map<String, Value>) -> Result<()> {
        term.container = container(members.get("@container"))?;
        if term.container.type_ && term.coercion == Coercion::Absent {
            term.coercion = Coercion::Id;
        }
        if term.container.type_ && !matches!(term.coercion, Coercion::Id | Coercion::Vocab) {
            return Err(context_error("the container @type goes with @id and @vocab only"));
        }
        if let Some(index) = members.get("@index") {
            let text = index.as_str().filter(|_| term.container.index);
            let text =
                text.ok_or_else(|| context_error("@index is no string, or without the container @index"))?;
            term.index = match self.table.expand(text, true) {
                Expanded::Iri(_) => Some(text.into()),
                _ => return Err(context_error("@index is not an absolute IRI")),
            };
        }
        if let Some(value) = members.get("@context") {
            let (id, value) = (self.contexts.next_id(), value.clone());
            term.context = Some(Arc::new(Scoped { id, bundled: self.bundled, value }));
        }
        if term.coercion == Coercion::Absent {
            match members.get("@language") {
                None => {}
                Some(Value::Null) => term.language = Some(None),
                Some(language) => term.language = Some(Some(super::language(language)?)),
            }
            match members.get("@direction") {
                None => {}
                Some(Value::Null) => term.direction = Some(None),
                Some(direction) => term.direction = Some(Some(context::direction(direction)?)),
            }
        }
        match members.get("@nest") {
            None => {}
            Some(Value::String(nest)) if nest == "@nest" || !keyword_like(nest) => {
                term.nest = Some(nest.as_str().into());
            }
            Some(_) => return Err(context_error("@nest is neither @nest nor a term")),
        }
        match members.get("@prefix") {
            None => {}
            Some(Value::Bool(prefix)) if !name.contains([':', '/']) => {
                let keyword = matches!(term.mapping, Mapping::Keyword(_));
                if *prefix && keyword {
                    return Err(context_error("a keyword is no prefix"));
                }
                term.prefix = *prefix;
            }
            Some(_) => return Err(context_error("@prefix is not a boolean, or of a term that is no prefix")),
        }
        Ok(())
    }
}

fn text_of(mapping: &Mapping) -> Option<&str> {
    match mapping {
        Mapping::Iri(text) | Mapping::Blank(text) => Some(text),
        Mapping::Null | Mapping::Keyword(_) => None,
    }
}

/// Step 19: one keyword, or `@set` and `@graph` with what goes with them.
fn container(value: Option<&Value>) -> Result<Container> {
    let mut container = Container::default();
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(container) };
    let items = super::items(value);
    for item in items {
        let flag = match item.as_str() {
            Some("@graph") => &mut container.graph,
            Some("@id") => &mut container.id,
            Some("@index") => &mut container.index,
            Some("@language") => &mut container.language,
            Some("@list") => &mut container.list,
            Some("@set") => &mut container.set,
            Some("@type") => &mut container.type_,
            _ => return Err(context_error("@container names no container")),
        };
        *flag = true;
    }
    let without_set = Container { set: false, ..container }.count();
    let fits = match without_set {
        0 | 1 => !(container.list && container.set),
        2 => container.graph && (container.id || container.index),
        _ => false,
    };
    if fits && container.count() == items.len() {
        Ok(container)
    } else {
        Err(context_error("@container is not a valid combination"))
    }
}
