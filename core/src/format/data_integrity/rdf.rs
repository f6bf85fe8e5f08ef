//! RDF datasets (RDF 1.1 Concepts section 3) and their canonical N-Quads (RDF Dataset Canonicalization 1.0 section 5).

use std::fmt::Write as _;
use std::sync::Arc;

/// `rdf:type`.
pub const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
/// `xsd:string`, the datatype that N-Quads leave out.
pub const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";
/// `rdf:langString`, the datatype of every literal with a language.
pub const RDF_LANG_STRING: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString";

/// A subject, object or graph name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Term {
    /// An absolute IRI.
    Iri(Arc<str>),
    /// A blank node, numbered within its dataset.
    Blank(u32),
    /// A value; only as an object.
    Literal(Literal),
}

/// A value with its datatype.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Literal {
    /// The lexical form.
    pub value: Arc<str>,
    /// The datatype's IRI.
    pub datatype: Arc<str>,
    /// The language tag, only with [`RDF_LANG_STRING`].
    pub language: Option<Arc<str>>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quad {
    /// An IRI or blank node.
    pub subject: Term,
    /// An absolute IRI.
    pub predicate: Arc<str>,
    /// Any term.
    pub object: Term,
    /// An IRI or blank node; `None` is the default graph.
    pub graph: Option<Term>,
}

impl Quad {
    /// The terms that can be blank nodes, with their positions as RDFC-1.0 section 4.7 names them.
    pub(crate) fn blanks(&self) -> impl Iterator<Item = (char, u32)> {
        let blank = |position: char, term: Option<&Term>| match term {
            Some(Term::Blank(node)) => Some((position, *node)),
            _ => None,
        };
        [blank('s', Some(&self.subject)), blank('o', Some(&self.object)), blank('g', self.graph.as_ref())]
            .into_iter()
            .flatten()
    }

    /// Appends the canonical N-Quads line, line feed included; `label` writes a blank node, `_:` included.
    pub fn write(&self, out: &mut String, label: &mut impl FnMut(&mut String, u32)) {
        write_term(out, &self.subject, label);
        out.push(' ');
        write_iri(out, &self.predicate);
        out.push(' ');
        write_term(out, &self.object, label);
        if let Some(graph) = &self.graph {
            out.push(' ');
            write_term(out, graph, label);
        }
        out.push_str(" .\n");
    }

    /// The N-Quads line with blank nodes as `_:b` and their number.
    pub fn to_line(&self) -> String {
        let mut out = String::with_capacity(128);
        self.write(&mut out, &mut |out, node| {
            let _ = write!(out, "_:b{node}"); // writing to a String cannot fail
        });
        out
    }
}

fn write_iri(out: &mut String, iri: &str) {
    out.push('<');
    out.push_str(iri);
    out.push('>');
}

fn write_term(out: &mut String, term: &Term, label: &mut impl FnMut(&mut String, u32)) {
    match term {
        Term::Iri(iri) => write_iri(out, iri),
        Term::Blank(node) => label(out, *node),
        Term::Literal(literal) => {
            out.push('"');
            write_escaped(out, &literal.value);
            out.push('"');
            if let Some(language) = &literal.language {
                out.push('@');
                out.push_str(language);
            } else if &*literal.datatype != XSD_STRING {
                out.push_str("^^");
                write_iri(out, &literal.datatype);
            }
        }
    }
}

/// RDFC-1.0 section 5.2.
fn write_escaped(out: &mut String, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7f && byte != 0xef;
    if text.bytes().all(plain) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04X}", u32::from(c)); // writing to a String cannot fail
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let literal = |value: &str, datatype: &str, language: Option<&str>| Quad {
            subject: Term::Blank(7),
            predicate: "urn:p".into(),
            object: Term::Literal(Literal {
                value: value.into(),
                datatype: datatype.into(),
                language: language.map(Into::into),
            }),
            graph: Some(Term::Iri("urn:g".into())),
        };
        let line = literal("a\"\\\n\t\u{8}\u{c}\r\0\u{b}\u{7f}\u{fffe}é€😀", XSD_STRING, None).to_line();
        assert_eq!(
            line,
            "_:b7 <urn:p> \"a\\\"\\\\\\n\\t\\b\\f\\r\\u0000\\u000B\\u007F\\uFFFEé€😀\" <urn:g> .\n"
        );
        assert_eq!(literal("a", "urn:d", None).to_line(), "_:b7 <urn:p> \"a\"^^<urn:d> <urn:g> .\n");
        let line = literal("a", RDF_LANG_STRING, Some("en")).to_line();
        assert_eq!(line, "_:b7 <urn:p> \"a\"@en <urn:g> .\n");
    }
}
