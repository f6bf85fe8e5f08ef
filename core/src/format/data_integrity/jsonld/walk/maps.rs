//! Map containers (JSON-LD 1.1 API section 5.1.2, step 13.8): values by index, identifier or type.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Given, Place, Property, Walk, Wrap, undefined};
use crate::error::Result;
use crate::format::data_integrity::jsonld::context::{Active, Kind};
use crate::format::data_integrity::jsonld::table::{Coercion, Expanded, Keyword, Term as Definition};
use crate::format::data_integrity::jsonld::{items, shape};
use crate::format::data_integrity::rdf::Term;

impl Walk<'_> {
    pub(super) fn map(
        &mut self,
        active: &Arc<Active>,
        place: Place<'_>,
        property: &Property<'_>,
        term: &Definition,
        map: &Map<String, Value>,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        let container = term.container;
        let wrap = if container.graph { Wrap::UnlessGraph } else { Wrap::No };
        for (name, value) in map {
            let mut context = active;
            if container.id || container.type_ {
                context = active.previous.as_ref().unwrap_or(active);
            }
            let scoped = context.table.term(name).and_then(|term| term.context.as_ref());
            let own = match scoped.filter(|_| container.type_) {
                Some(scoped) => Some(self.processor.apply(context, scoped, Kind::Type)?),
                None => None,
            };
            let context = own.as_ref().unwrap_or(context);
            let given = self.given(active, term, name)?;
            let place =
                Place { from_map: true, wrap, given: Some(&given), property: Some(property), ..place };
            let len = self.enter(name);
            for (index, item) in items(value).iter().enumerate() {
                let inner = if value.is_array() { self.enter(index) } else { len };
                if item.is_object() {
                    self.values(context, place, item, out)?;
                } else {
                    self.scalar_in_map(context, place, term, &given, item, out)?;
                }
                if value.is_array() {
                    self.leave(inner);
                }
            }
            self.leave(len);
        }
        Ok(())
    }

    /// What the key of a map says about the node behind it.
    fn given(&mut self, active: &Arc<Active>, term: &Definition, name: &str) -> Result<Given> {
        let mut given = Given::default();
        if active.table.expand(name, true) == Expanded::Keyword(Keyword::None) {
            return Ok(given);
        }
        if term.container.id {
            given.id = Some(self.reference(active, name, false)?);
        } else if term.container.type_ {
            given.type_ = Some(self.reference(active, name, true)?);
        } else if let Some(index) = &term.index {
            let Expanded::Iri(iri) = active.table.expand(index, true) else { return Err(undefined(index)) };
            let value = Value::String(name.to_owned());
            let object = match active.table.term(index) {
                Some(definition) => self.coerced(active, &Arc::clone(definition), &value)?,
                None => super::values::native(active, None, &value)?,
            };
            given.index = Some((iri, object));
        }
        Ok(given)
    }

    fn scalar_in_map(
        &mut self,
        active: &Arc<Active>,
        place: Place<'_>,
        term: &Definition,
        given: &Given,
        item: &Value,
        out: &mut Vec<Term>,
    ) -> Result<()> {
        if matches!(item, Value::Null) {
            return Err(super::null());
        }
        if matches!(item, Value::Array(_)) || place.wrap != Wrap::No {
            return Err(shape("a map holds arrays within arrays, or a graph map holds no node"));
        }
        let node = matches!(term.coercion, Coercion::Id | Coercion::Vocab) && item.is_string();
        if !node && (term.container.id || term.container.type_ || given.index.is_some()) {
            return Err(shape("a map by identifier, type or property holds a value that is no node"));
        }
        // By type, a plain string is a reference, even without coercion to vocabulary terms.
        let object = self.scalar(active, place, item)?;
        self.give(given, &object, place.graph);
        out.push(object);
        Ok(())
    }

    /// Statements that the key of a map stands for.
    pub(super) fn give(&mut self, given: &Given, subject: &Term, graph: Option<&Term>) {
        if let Some(type_) = &given.type_ {
            let predicate = Arc::clone(&self.rdf_type);
            self.emit(subject.clone(), &predicate, type_.clone(), graph);
        }
        if let Some((property, value)) = &given.index {
            self.emit(subject.clone(), property, value.clone(), graph);
        }
    }
}
