//! Node objects: subjects, keywords, nested members, properties (JSON-LD 1.1 API section 5.1.2, step 13).

use std::sync::Arc;

use serde_json::Value;

use super::{Key, Member, Place, Property, Walk, Wrap, key};
use crate::error::Result;
use crate::format::data_integrity::jsonld::context::{Active, Kind};
use crate::format::data_integrity::jsonld::table::Keyword;
use crate::format::data_integrity::jsonld::{items, lost, shape};
use crate::format::data_integrity::rdf::Term;

impl Walk<'_> {
    pub(super) fn node(
        &mut self,
        outer: &Arc<Active>,
        active: &Arc<Active>,
        place: Place<'_>,
        members: &[Member<'_>],
    ) -> Result<Term> {
        let given = place.given;
        let mut graph_object = false;
        let mut has_content = false;
        for member in members {
            match member.key {
                Key::Keyword(Keyword::Graph) => (graph_object, has_content) = (true, true),
                Key::Keyword(Keyword::Id | Keyword::Index) => {}
                _ => has_content = true,
            }
        }
        graph_object &= members.iter().all(|member| member.is(Keyword::Graph) || member.is_id_or_index());
        let wrapped = place.wrap == Wrap::Always || place.wrap == Wrap::UnlessGraph && !graph_object;
        if !has_content && (place.property.is_none() || wrapped) {
            return Err(lost("a node without properties stands alone"));
        }
        let own = match members.iter().find(|member| member.is(Keyword::Id)) {
            Some(Member { value: Value::String(text), .. }) => Some(self.reference(active, text, false)?),
            Some(_) => return Err(shape("@id is not a string")),
            None => None,
        };
        let name = given.and_then(|given| given.id.clone());
        let (subject, link, graph) = if wrapped {
            let name = name.unwrap_or_else(|| self.blank());
            (own.unwrap_or_else(|| self.blank()), name.clone(), Some(name))
        } else {
            let subject = own.or(name).unwrap_or_else(|| self.blank());
            (subject.clone(), subject, place.graph.cloned())
        };
        if let Some(path) = &self.path {
            self.nodes.push((path.clone(), subject.clone()));
        }
        if let Some(given) = given {
            self.give(given, &link, place.graph);
        }
        let default_graph = place.top && members.iter().all(|member| member.is(Keyword::Graph));
        for member in members {
            let len = self.enter(member.name);
            match &member.key {
                Key::Property(property) => {
                    self.property(active, &subject, graph.as_ref(), property, member.value, false)?;
                }
                Key::Keyword(Keyword::Graph) => {
                    let inner = if default_graph { None } else { Some(&subject) };
                    self.nodes_in(active, inner, member.value)?;
                }
                Key::Keyword(keyword) => {
                    self.keyword(outer, active, &subject, graph.as_ref(), *keyword, member)?;
                }
            }
            self.leave(len);
        }
        Ok(link)
    }

    fn keyword(
        &mut self,
        outer: &Arc<Active>,
        active: &Arc<Active>,
        subject: &Term,
        graph: Option<&Term>,
        keyword: Keyword,
        member: &Member<'_>,
    ) -> Result<()> {
        let (name, value) = (member.name, member.value);
        match (keyword, value) {
            (Keyword::Id, _) => Ok(()),
            (Keyword::Index, Value::String(_)) => Ok(()),
            (Keyword::Type, _) => {
                for type_ in items(value) {
                    let text = type_.as_str().ok_or_else(|| shape("@type is not a string"))?;
                    let object = self.reference(outer, text, true)?;
                    let predicate = Arc::clone(&self.rdf_type);
                    self.emit(subject.clone(), &predicate, object, graph);
                }
                Ok(())
            }
            (Keyword::Included, _) => self.nodes_in(active, graph, value),
            (Keyword::Reverse, Value::Object(map)) => {
                for (name, value) in map {
                    let Key::Property(property) = key(active, name)? else {
                        return Err(shape("@reverse holds a keyword"));
                    };
                    let len = self.enter(name);
                    self.property(active, subject, graph, &property, value, true)?;
                    self.leave(len);
                }
                Ok(())
            }
            (Keyword::Nest, _) => self.nest(outer, active, subject, graph, name, value),
            _ => Err(shape("a keyword does not belong into a node, or has a wrong value")),
        }
    }

    /// Nodes in `graph` that nothing points to: `@graph` and `@included`.
    fn nodes_in(&mut self, active: &Arc<Active>, graph: Option<&Term>, value: &Value) -> Result<()> {
        let place = Place { graph, ..Place::default() };
        self.values(active, place, value, &mut Vec::new())
    }

    /// Step 14 of expansion: members of nested objects belong to the node itself.
    fn nest(
        &mut self,
        outer: &Arc<Active>,
        active: &Arc<Active>,
        subject: &Term,
        graph: Option<&Term>,
        name: &str,
        value: &Value,
    ) -> Result<()> {
        self.deeper()?;
        let scoped = match active.table.term(name).and_then(|term| term.context.as_ref()) {
            Some(scoped) => Some(self.processor.apply(active, scoped, Kind::Property)?),
            None => None,
        };
        let active = scoped.as_ref().unwrap_or(active);
        for nested in items(value) {
            let nested = nested.as_object().ok_or_else(|| shape("@nest holds no object"))?;
            if nested.contains_key("@context") {
                return Err(shape("@nest holds a context"));
            }
            for member in self.members(active, nested)? {
                let len = self.enter(member.name);
                match &member.key {
                    Key::Property(property) => {
                        self.property(active, subject, graph, property, member.value, false)?;
                    }
                    Key::Keyword(
                        keyword @ (Keyword::Type | Keyword::Nest | Keyword::Reverse | Keyword::Included),
                    ) => {
                        self.keyword(outer, active, subject, graph, *keyword, &member)?;
                    }
                    Key::Keyword(_) => return Err(shape("@nest holds a keyword that does not nest")),
                }
                self.leave(len);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The statements of one property; `inverse` within `@reverse`.
    fn property(
        &mut self,
        active: &Arc<Active>,
        subject: &Term,
        graph: Option<&Term>,
        property: &Property<'_>,
        value: &Value,
        inverse: bool,
    ) -> Result<()> {
        let reverse = inverse != property.term.as_ref().is_some_and(|term| term.reverse);
        let place = Place { graph, property: Some(property), reverse, ..Place::default() };
        let mut objects = Vec::new();
        self.objects(active, place, property, value, &mut objects)?;
        for object in objects {
            if !reverse {
                self.emit(subject.clone(), &property.iri, object, graph);
            } else if matches!(object, Term::Literal(_)) {
                return Err(shape("a reverse property has a value that is no node"));
            } else {
                self.emit(object, &property.iri, subject.clone(), graph);
            }
        }
        Ok(())
    }
}
