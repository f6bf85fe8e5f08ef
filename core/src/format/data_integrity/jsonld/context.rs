//! Active contexts and context processing (JSON-LD 1.1 API sections 4.1 and 4.2).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::define::Definer;
use super::table::{Direction, Expanded, Table};
use super::{base_error, context_error};
use crate::error::{Error, Result};
use crate::format::data_integrity::contexts::{Contexts, Step};

/// A context that stands in a term definition or under a URL, not yet applied to anything.
#[derive(Debug)]
pub(crate) struct Scoped {
    pub(crate) id: u64,
    /// Whether it comes from a bundled file, so that what it makes is worth keeping.
    pub(crate) bundled: bool,
    pub(crate) value: Value,
}

impl PartialEq for Scoped {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id || self.value == other.value
    }
}

/// An active context: immutable, shared, and known by its number.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) id: u64,
    pub(crate) bundled: bool,
    pub(crate) table: Arc<Table>,
    /// The context that holds again in the next node object.
    pub(crate) previous: Option<Arc<Active>>,
}

impl Active {
    pub(crate) fn initial(id: u64, bundled: bool) -> Self {
        Self { id, bundled, table: Arc::default(), previous: None }
    }
}

/// Where a context stands, which decides what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// `@context` in the document or in a bundled file.
    Document,
    /// Scoped to a property: may override protected terms.
    Property,
    /// Scoped to a type: does not reach nested nodes.
    Type,
}

/// Contexts within contexts: none of the bundled files has any.
const MAX_NESTING: usize = 4;
/// Terms copied and defined for the inline contexts of one document.
const MAX_TERMS: usize = 1_000_000;

/// Applies contexts, and remembers the results.
pub(crate) struct Processor<'c> {
    pub(crate) contexts: &'c Contexts,
    /// Results that hold for this document only, because an inline context takes part.
    local: RefCell<HashMap<Step, Arc<Active>>>,
    budget: Cell<usize>,
}

impl<'c> Processor<'c> {
    pub(crate) fn new(contexts: &'c Contexts) -> Self {
        Self { contexts, local: RefCell::default(), budget: Cell::new(MAX_TERMS) }
    }

    fn spend(&self, terms: usize) -> Result<()> {
        let left = self.budget.get().checked_sub(terms).ok_or_else(|| {
            Error::malformed("jsonld_too_complex", "the document's contexts take too much work")
        })?;
        self.budget.set(left);
        Ok(())
    }

    /// `scoped` applied to `active`.
    pub(crate) fn apply(
        &self,
        active: &Arc<Active>,
        scoped: &Arc<Scoped>,
        kind: Kind,
    ) -> Result<Arc<Active>> {
        self.apply_nested(active, scoped, kind, 0)
    }

    fn apply_nested(
        &self,
        active: &Arc<Active>,
        scoped: &Arc<Scoped>,
        kind: Kind,
        nesting: usize,
    ) -> Result<Arc<Active>> {
        let step = Step { active: active.id, scoped: scoped.id, kind };
        let shared = active.bundled && scoped.bundled;
        let known =
            if shared { self.contexts.compiled(step) } else { self.local.borrow().get(&step).cloned() };
        if let Some(known) = known {
            return Ok(known);
        }
        let result = self.process(active, &scoped.value, kind, scoped.bundled, nesting)?;
        if shared {
            self.contexts.keep(step, &result);
        } else {
            self.local.borrow_mut().insert(step, Arc::clone(&result));
        }
        Ok(result)
    }

    /// Context processing of `local`, which stands in the document itself unless `bundled`.
    pub(crate) fn process(
        &self,
        active: &Arc<Active>,
        local: &Value,
        kind: Kind,
        bundled: bool,
        nesting: usize,
    ) -> Result<Arc<Active>> {
        if nesting > MAX_NESTING {
            return Err(context_error("contexts within contexts are nested too deeply"));
        }
        let propagate = local.get("@propagate").and_then(Value::as_bool).unwrap_or(kind != Kind::Type);
        let mut result = Arc::clone(active);
        for context in super::items(local) {
            result = match context {
                Value::Null => self.nullify(&result, kind, propagate)?,
                Value::String(url) => {
                    let scoped = self.contexts.get(url).ok_or_else(unknown_context)?;
                    self.apply_nested(&result, scoped, Kind::Document, nesting + 1)?
                }
                // A whole context document in place of its context, as other processors take it too.
                Value::Object(members) if members.len() == 1 && members.contains_key("@context") => {
                    let inner = members.get("@context").unwrap_or(&Value::Null);
                    // Whether a scoped context reaches nested nodes is decided below, once for all of it.
                    let kind = if kind == Kind::Type { Kind::Document } else { kind };
                    self.process(&result, inner, kind, bundled, nesting + 1)?
                }
                Value::Object(members) => self.define(&result, members, kind, bundled)?,
                _ => return Err(context_error("a context is neither URL, object nor null")),
            };
        }
        if !propagate && result.previous.is_none() {
            let previous = Some(Arc::clone(active));
            result = Arc::new(Active {
                id: self.contexts.next_id(),
                bundled: result.bundled,
                table: Arc::clone(&result.table),
                previous,
            });
        }
        Ok(result)
    }

    /// Step 5.1: a null context forgets everything.
    fn nullify(&self, active: &Arc<Active>, kind: Kind, propagate: bool) -> Result<Arc<Active>> {
        if kind != Kind::Property && active.table.terms.values().any(|term| term.protected) {
            return Err(protected());
        }
        let initial = self.contexts.initial();
        if propagate {
            return Ok(Arc::clone(initial));
        }
        Ok(Arc::new(Active {
            id: self.contexts.next_id(),
            bundled: active.bundled,
            table: Arc::clone(&initial.table),
            previous: Some(Arc::clone(active)),
        }))
    }

    /// Steps 5.3 to 5.13.
    fn define(
        &self,
        active: &Arc<Active>,
        members: &Map<String, Value>,
        kind: Kind,
        bundled: bool,
    ) -> Result<Arc<Active>> {
        let imported = self.import(members)?;
        let members = imported.as_ref().unwrap_or(members);
        self.spend(active.table.terms.len() + members.len())?;
        let mut table = Table::clone(&active.table);
        match members.get("@version") {
            None => {}
            Some(version) if version.as_f64() == Some(1.1) => {}
            Some(_) => return Err(context_error("@version is not 1.1")),
        }
        if members.get("@propagate").is_some_and(|propagate| !propagate.is_boolean()) {
            return Err(context_error("@propagate is neither true nor false"));
        }
        if members.get("@base").is_some_and(|base| !base.is_null()) {
            return Err(base_error());
        }
        match members.get("@vocab") {
            None => {}
            Some(Value::Null) => table.vocab = None,
            Some(Value::String(vocab)) => match table.expand(vocab, true) {
                Expanded::Iri(iri) => table.vocab = Some(iri),
                _ => return Err(context_error("@vocab is not an absolute IRI")),
            },
            Some(_) => return Err(context_error("@vocab is neither a string nor null")),
        }
        match members.get("@language") {
            None => {}
            Some(Value::Null) => table.language = None,
            Some(language) => table.language = Some(super::language(language)?),
        }
        match members.get("@direction") {
            None => {}
            Some(Value::Null) => table.direction = None,
            Some(direction) => table.direction = Some(self::direction(direction)?),
        }
        let protected = match members.get("@protected") {
            None => false,
            Some(Value::Bool(protected)) => *protected,
            Some(_) => return Err(context_error("@protected is neither true nor false")),
        };
        let mut definer = Definer {
            contexts: self.contexts,
            table,
            local: members,
            defined: HashMap::new(),
            protected,
            overriding: kind == Kind::Property,
            bundled,
        };
        for name in members.keys() {
            definer.define(name, 0)?;
        }
        Ok(Arc::new(Active {
            id: self.contexts.next_id(),
            bundled: active.bundled && bundled,
            table: Arc::new(definer.table),
            previous: active.previous.clone(),
        }))
    }

    /// Step 5.6: `@import` of a bundled context, which the importing one overrides.
    fn import(&self, members: &Map<String, Value>) -> Result<Option<Map<String, Value>>> {
        let Some(url) = members.get("@import") else { return Ok(None) };
        let url = url.as_str().ok_or_else(|| context_error("@import is not a string"))?;
        let scoped = self.contexts.get(url).ok_or_else(unknown_context)?;
        let Value::Object(imported) = &scoped.value else {
            return Err(context_error("the imported context is not a single object"));
        };
        let mut merged = imported.clone();
        if merged.contains_key("@import") {
            return Err(context_error("an imported context must not import"));
        }
        merged.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
        merged.remove("@import");
        Ok(Some(merged))
    }
}

pub(super) fn direction(value: &Value) -> Result<Direction> {
    value
        .as_str()
        .and_then(Direction::parse)
        .ok_or_else(|| context_error("@direction is neither \"ltr\" nor \"rtl\""))
}

fn unknown_context() -> Error {
    Error::unsupported(
        "jsonld_context_unknown",
        "the document names a context that is not bundled; none is fetched",
    )
}

pub(super) fn protected() -> Error {
    Error::malformed("jsonld_protected", "a context redefines or drops a protected term")
}
