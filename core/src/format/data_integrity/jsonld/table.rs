//! Term tables: what an active context knows, and expanding IRIs with it (JSON-LD 1.1 API section 5.2).

use std::collections::HashMap;
use std::sync::Arc;

use super::context::Scoped;

/// The keywords of JSON-LD 1.1 (Syntax section 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Keyword {
    Base,
    Container,
    Context,
    Direction,
    Graph,
    Id,
    Import,
    Included,
    Index,
    Json,
    Language,
    List,
    Nest,
    None,
    Prefix,
    Propagate,
    Protected,
    Reverse,
    Set,
    Type,
    Value,
    Version,
    Vocab,
}

impl Keyword {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "@base" => Self::Base,
            "@container" => Self::Container,
            "@context" => Self::Context,
            "@direction" => Self::Direction,
            "@graph" => Self::Graph,
            "@id" => Self::Id,
            "@import" => Self::Import,
            "@included" => Self::Included,
            "@index" => Self::Index,
            "@json" => Self::Json,
            "@language" => Self::Language,
            "@list" => Self::List,
            "@nest" => Self::Nest,
            "@none" => Self::None,
            "@prefix" => Self::Prefix,
            "@propagate" => Self::Propagate,
            "@protected" => Self::Protected,
            "@reverse" => Self::Reverse,
            "@set" => Self::Set,
            "@type" => Self::Type,
            "@value" => Self::Value,
            "@version" => Self::Version,
            "@vocab" => Self::Vocab,
            _ => return None,
        })
    }
}

/// Whether `text` looks like a keyword: `@` and letters only.
pub(crate) fn keyword_like(text: &str) -> bool {
    text.strip_prefix('@')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// What a term stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// Explicitly nothing.
    Null,
    Keyword(Keyword),
    Iri(Arc<str>),
    /// A blank node label, `_:` included.
    Blank(Arc<str>),
}

/// How a term's plain values are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Coercion {
    /// As native values.
    Absent,
    /// `@none`: as native values, with another language rule.
    None,
    /// `@id`: strings are IRIs.
    Id,
    /// `@vocab`: strings are terms or IRIs.
    Vocab,
    /// `@json`: every value is a JSON literal.
    Json,
    /// A datatype.
    Datatype(Arc<str>),
}

/// The container mapping of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Container {
    pub(crate) graph: bool,
    pub(crate) id: bool,
    pub(crate) index: bool,
    pub(crate) language: bool,
    pub(crate) list: bool,
    pub(crate) set: bool,
    pub(crate) type_: bool,
}

impl Container {
    pub(crate) fn count(self) -> usize {
        [self.graph, self.id, self.index, self.language, self.list, self.set, self.type_]
            .into_iter()
            .filter(|flag| *flag)
            .count()
    }
}

/// Base direction of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ltr,
    Rtl,
}

impl Direction {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "ltr" => Some(Self::Ltr),
            "rtl" => Some(Self::Rtl),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        }
    }
}

/// A term definition (API section 4.1).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Term {
    pub(crate) mapping: Mapping,
    pub(crate) prefix: bool,
    pub(crate) protected: bool,
    pub(crate) reverse: bool,
    pub(crate) coercion: Coercion,
    /// `Some(None)` is an explicit null.
    pub(crate) language: Option<Option<Arc<str>>>,
    /// `Some(None)` is an explicit null.
    pub(crate) direction: Option<Option<Direction>>,
    pub(crate) container: Container,
    pub(crate) context: Option<Arc<Scoped>>,
    pub(crate) nest: Option<Box<str>>,
    /// The property of a property-valued index.
    pub(crate) index: Option<Box<str>>,
}

impl Term {
    pub(crate) fn new(mapping: Mapping, protected: bool) -> Self {
        Self {
            mapping,
            prefix: false,
            protected,
            reverse: false,
            coercion: Coercion::Absent,
            language: None,
            direction: None,
            container: Container::default(),
            context: None,
            nest: None,
            index: None,
        }
    }

    /// Equal but for protection (API section 4.2.2, step 27).
    pub(crate) fn same(&self, other: &Self) -> bool {
        Self { protected: other.protected, ..self.clone() } == *other
    }
}

/// What a text stands for in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expanded {
    Keyword(Keyword),
    Iri(Arc<str>),
    Blank(Arc<str>),
    /// A term that is mapped to null, or text in the form of a keyword.
    Null,
    /// Neither a term nor an absolute IRI; nothing is resolved against a base.
    Relative,
    /// Not well formed as IRI.
    Invalid,
}

/// The terms of an active context.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) terms: HashMap<Box<str>, Arc<Term>>,
    pub(crate) vocab: Option<Arc<str>>,
    pub(crate) language: Option<Arc<str>>,
    pub(crate) direction: Option<Direction>,
}

impl Table {
    pub(crate) fn term(&self, name: &str) -> Option<&Arc<Term>> {
        self.terms.get(name)
    }

    /// IRI expansion; `vocab` says whether terms and `@vocab` count, as for properties and types.
    pub(crate) fn expand(&self, text: &str, vocab: bool) -> Expanded {
        if let Some(keyword) = Keyword::parse(text) {
            return Expanded::Keyword(keyword);
        }
        if keyword_like(text) {
            return Expanded::Null;
        }
        match self.term(text).map(|term| &term.mapping) {
            Some(Mapping::Keyword(keyword)) => return Expanded::Keyword(*keyword),
            Some(Mapping::Iri(iri)) if vocab => return Expanded::Iri(Arc::clone(iri)),
            Some(Mapping::Blank(label)) if vocab => return Expanded::Blank(Arc::clone(label)),
            Some(Mapping::Null) if vocab => return Expanded::Null,
            _ => {}
        }
        if let Some((prefix, suffix)) = split_compact(text) {
            if prefix == "_" {
                return blank(text);
            }
            if !suffix.starts_with("//")
                && let Some(term) = self.term(prefix).filter(|term| term.prefix)
                && let Mapping::Iri(iri) | Mapping::Blank(iri) = &term.mapping
            {
                return absolute([iri, suffix].concat());
            }
            if is_scheme(prefix) {
                return absolute(text.to_owned());
            }
        }
        match &self.vocab {
            Some(base) if vocab => absolute([base, text].concat()),
            _ => Expanded::Relative,
        }
    }
}

/// Prefix and suffix around a colon that is not the first character.
pub(crate) fn split_compact(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(prefix, _)| !prefix.is_empty())
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn absolute(text: String) -> Expanded {
    if text.starts_with("_:") {
        return blank(&text);
    }
    if is_iri(&text) { Expanded::Iri(text.into()) } else { Expanded::Invalid }
}

/// Whether `text` has a scheme and nothing that an IRI cannot hold (RFC 3987 section 2.2).
pub(crate) fn is_iri(text: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c);
    text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) && !text.contains(forbidden)
}

/// Blank node labels as N-Quads has them, ASCII only.
fn blank(text: &str) -> Expanded {
    let label = text.strip_prefix("_:").unwrap_or_default();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if label.is_empty() || !label.bytes().all(fits) {
        Expanded::Invalid
    } else {
        Expanded::Blank(text.into())
    }
}
