//! Literals out of scalars, value objects and language maps (JSON-LD 1.1 API section 5.1.2, steps 13.7 and 14; section 5.3).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Key, Member, null, relative};
use crate::error::{Error, Result};
use crate::format::data_integrity::jsonld::context::Active;
use crate::format::data_integrity::jsonld::table::{
    Direction, Expanded, Keyword, Term as Definition, is_iri,
};
use crate::format::data_integrity::jsonld::{items, language as language_tag, literal, shape};
use crate::format::data_integrity::rdf::{Literal, Term};

/// A scalar without coercion: strings get the term's or the default language and direction.
pub(super) fn native(active: &Active, term: Option<&Definition>, value: &Value) -> Result<Term> {
    let Value::String(text) = value else {
        return Ok(Term::Literal(literal::typed(value, None)?.ok_or_else(null)?));
    };
    let (language, direction) = defaults(active, term);
    Ok(Term::Literal(literal::text(text, language.as_ref(), direction)))
}

fn defaults(active: &Active, term: Option<&Definition>) -> (Option<Arc<str>>, Option<Direction>) {
    let language = term.and_then(|term| term.language.clone());
    let direction = term.and_then(|term| term.direction);
    (language.unwrap_or_else(|| active.table.language.clone()), direction.unwrap_or(active.table.direction))
}

/// Steps 15 of expansion: `{"@value": …}`.
pub(super) fn value_object(outer: &Active, members: &[Member<'_>]) -> Result<Literal> {
    let (mut value, mut type_, mut language, mut direction) = (&Value::Null, None, None, None);
    for member in members {
        match member.key {
            Key::Keyword(Keyword::Value) => value = member.value,
            Key::Keyword(Keyword::Type) if type_.is_none() => type_ = Some(member.value),
            Key::Keyword(Keyword::Language) => language = Some(language_tag(member.value)?),
            Key::Keyword(Keyword::Direction) => {
                let text = member.value.as_str().and_then(Direction::parse);
                direction = Some(text.ok_or_else(|| shape("@direction is neither \"ltr\" nor \"rtl\""))?);
            }
            Key::Keyword(Keyword::Index) if member.value.is_string() => {}
            _ => return Err(shape("a value object has a member that does not belong there")),
        }
    }
    let typed = match type_ {
        None => None,
        Some(Value::String(text)) => Some(outer.table.expand(text, true)),
        Some(_) => return Err(shape("@type of a value is not a string")),
    };
    match typed {
        Some(_) if language.is_some() || direction.is_some() => {
            Err(shape("a value has both a datatype and a language or direction"))
        }
        Some(Expanded::Keyword(Keyword::Json)) => literal::json(value),
        Some(Expanded::Iri(datatype)) if is_iri(&datatype) => {
            literal::typed(value, Some(&datatype))?.ok_or_else(value_error)
        }
        Some(Expanded::Relative) => Err(relative()),
        Some(_) => Err(shape("@type of a value is not an absolute IRI")),
        None => match value {
            Value::String(text) => Ok(literal::text(text, language.as_ref(), direction)),
            _ if language.is_some() || direction.is_some() => {
                Err(shape("a language or direction stands beside a value that is no string"))
            }
            other => literal::typed(other, None)?.ok_or_else(value_error),
        },
    }
}

/// Step 13.7 of expansion: text by language.
pub(super) fn language_map(
    active: &Active,
    term: &Definition,
    map: &Map<String, Value>,
    out: &mut Vec<Term>,
) -> Result<()> {
    let (_, direction) = defaults(active, Some(term));
    for (tag, texts) in map {
        let none = active.table.expand(tag, true) == Expanded::Keyword(Keyword::None);
        let language = if none { None } else { Some(language_tag(&Value::String(tag.clone()))?) };
        for text in items(texts) {
            let text =
                text.as_str().ok_or_else(|| shape("a language map holds something other than text"))?;
            out.push(Term::Literal(literal::text(text, language.as_ref(), direction)));
        }
    }
    Ok(())
}

fn value_error() -> Error {
    shape("@value is null, an array or an object")
}
