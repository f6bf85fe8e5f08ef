use serde_json::json;

use super::*;
use crate::format::data_integrity::contexts::{CREDENTIALS_V1, CREDENTIALS_V2, urls};
use crate::format::data_integrity::rdfc;

const VOCAB: &str = "https://www.w3.org/ns/credentials/examples/v2";
const EX: &str = "https://www.w3.org/ns/credentials/examples#";

fn canonical(document: &Value) -> Result<String> {
    let quads = to_quads(document, &Contexts::bundled()?)?;
    Ok(rdfc::canonicalize(&quads, rdfc::HashAlgorithm::Sha256, &rdfc::Limits::DEFAULT)?.to_text())
}

/// Canonical N-Quads with `ex:` for the example vocabulary.
fn short(document: &Value) -> String {
    let text = canonical(document).unwrap_or_else(|error| panic!("{document}: {error}"));
    let text = text.replace(EX, "ex:").replace("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "rdf:");
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.sort_unstable();
    lines.concat()
}

fn code(document: &Value) -> &'static str {
    canonical(document).expect_err(&document.to_string()).code()
}

/// A document of the example vocabulary with further definitions.
fn with(context: Value, members: Value) -> Value {
    let mut document = json!({"@context": [VOCAB, {"@version": 1.1, "ex": EX}, context], "@id": "urn:a"});
    document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    document
}

#[test]
fn what_contexts_can_say() {
    let cases = [
        (
            json!({}),
            json!({"p": ["x", 1, true, 1.5]}),
            concat!(
                "<urn:a> <ex:p> \"1\"^^<http://www.w3.org/2001/XMLSchema#integer> .\n",
                "<urn:a> <ex:p> \"1.5E0\"^^<http://www.w3.org/2001/XMLSchema#double> .\n",
                "<urn:a> <ex:p> \"true\"^^<http://www.w3.org/2001/XMLSchema#boolean> .\n",
                "<urn:a> <ex:p> \"x\" .\n"
            ),
        ),
        (json!({"p": {"@id": "ex:q", "@type": "@id"}}), json!({"p": "urn:b"}), "<urn:a> <ex:q> <urn:b> .\n"),
        (json!({"p": {"@id": "ex:q", "@type": "@vocab"}}), json!({"p": "T"}), "<urn:a> <ex:q> <ex:T> .\n"),
        (
            json!({"p": {"@id": "ex:q", "@type": "ex:D"}}),
            json!({"p": "x"}),
            "<urn:a> <ex:q> \"x\"^^<ex:D> .\n",
        ),
        (json!({"p": {"@id": "ex:q", "@language": "EN"}}), json!({"p": "x"}), "<urn:a> <ex:q> \"x\"@en .\n"),
        (
            json!({"@language": "de", "p": {"@id": "ex:q", "@language": null}}),
            json!({"p": "x", "r": "y"}),
            "<urn:a> <ex:q> \"x\" .\n<urn:a> <ex:r> \"y\"@de .\n",
        ),
        (
            json!({}),
            json!({"p": {"@value": "x", "@language": "ar-EG", "@direction": "rtl"}}),
            "<urn:a> <ex:p> \"x\"^^<https://www.w3.org/ns/i18n#ar-eg_rtl> .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@language"}}),
            json!({"p": {"en": "x", "fr": ["y", "z"], "@none": "n"}}),
            "<urn:a> <ex:q> \"n\" .\n<urn:a> <ex:q> \"x\"@en .\n<urn:a> <ex:q> \"y\"@fr .\n<urn:a> <ex:q> \"z\"@fr .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@list"}}),
            json!({"p": ["x", ["y"], []]}),
            concat!(
                "<urn:a> <ex:q> _:c14n1 .\n",
                "_:c14n0 <rdf:first> <rdf:nil> .\n",
                "_:c14n0 <rdf:rest> <rdf:nil> .\n",
                "_:c14n1 <rdf:first> \"x\" .\n",
                "_:c14n1 <rdf:rest> _:c14n2 .\n",
                "_:c14n2 <rdf:first> _:c14n3 .\n",
                "_:c14n2 <rdf:rest> _:c14n0 .\n",
                "_:c14n3 <rdf:first> \"y\" .\n",
                "_:c14n3 <rdf:rest> <rdf:nil> .\n"
            ),
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@set"}}),
            json!({"p": {"@set": ["x", {"@set": ["y"]}]}}),
            "<urn:a> <ex:q> \"x\" .\n<urn:a> <ex:q> \"y\" .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@index"}}),
            json!({"p": {"one": "x", "two": ["y"]}}),
            "<urn:a> <ex:q> \"x\" .\n<urn:a> <ex:q> \"y\" .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@index", "@index": "ex:i"}}),
            json!({"p": {"one": {"@id": "urn:b"}}}),
            "<urn:a> <ex:q> <urn:b> .\n<urn:b> <ex:i> \"one\" .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@id"}}),
            json!({"p": {"urn:b": {"n": "x"}, "@none": {"n": "y"}}}),
            "<urn:a> <ex:q> <urn:b> .\n<urn:a> <ex:q> _:c14n0 .\n<urn:b> <ex:n> \"x\" .\n_:c14n0 <ex:n> \"y\" .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@type"}}),
            json!({"p": {"T": [{"@id": "urn:b"}, "urn:c"]}}),
            "<urn:a> <ex:q> <urn:b> .\n<urn:a> <ex:q> <urn:c> .\n<urn:b> <rdf:type> <ex:T> .\n<urn:c> <rdf:type> <ex:T> .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": "@graph"}}),
            json!({"p": {"@id": "urn:b", "n": "x"}}),
            "<urn:a> <ex:q> _:c14n0 .\n<urn:b> <ex:n> \"x\" _:c14n0 .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@container": ["@graph", "@id"]}}),
            json!({"p": {"urn:g": {"@id": "urn:b", "n": "x"}}}),
            "<urn:a> <ex:q> <urn:g> .\n<urn:b> <ex:n> \"x\" <urn:g> .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@type": "@json"}}),
            json!({"p": {"b": [1, null], "a": "\n"}}),
            "<urn:a> <ex:q> \"{\\\"a\\\":\\\"\\\\n\\\",\\\"b\\\":[1,null]}\"^^<rdf:JSON> .\n",
        ),
        (json!({"p": {"@reverse": "ex:q"}}), json!({"p": {"@id": "urn:b"}}), "<urn:b> <ex:q> <urn:a> .\n"),
        (json!({}), json!({"@reverse": {"p": [{"@id": "urn:b"}]}}), "<urn:b> <ex:p> <urn:a> .\n"),
        (
            json!({"group": "@nest"}),
            json!({"group": {"p": "x", "group": {"r": "y"}}}),
            "<urn:a> <ex:p> \"x\" .\n<urn:a> <ex:r> \"y\" .\n",
        ),
        (json!({}), json!({"@graph": [{"@id": "urn:b", "p": "x"}]}), "<urn:b> <ex:p> \"x\" <urn:a> .\n"),
        (
            json!({}),
            json!({"p": "x", "@included": [{"@id": "urn:b", "p": "y"}]}),
            "<urn:a> <ex:p> \"x\" .\n<urn:b> <ex:p> \"y\" .\n",
        ),
        (
            json!({"p": {"@id": "ex:q", "@context": {"@vocab": "urn:v:"}}}),
            json!({"p": {"n": "x", "m": {"n": "y"}}}),
            "<urn:a> <ex:q> _:c14n1 .\n_:c14n0 <urn:v:n> \"y\" .\n_:c14n1 <urn:v:m> _:c14n0 .\n_:c14n1 <urn:v:n> \"x\" .\n",
        ),
        // A context scoped to a type ends at the next node; one that propagates does not.
        (
            json!({"T": {"@id": "ex:T", "@context": {"@vocab": "urn:v:"}}}),
            json!({"@type": "T", "n": "x", "m": {"@id": "urn:b", "n": "y"}}),
            "<urn:a> <rdf:type> <ex:T> .\n<urn:a> <urn:v:m> <urn:b> .\n<urn:a> <urn:v:n> \"x\" .\n<urn:b> <ex:n> \"y\" .\n",
        ),
        (
            json!({"T": {"@id": "ex:T", "@context": {"@propagate": true, "@vocab": "urn:v:"}}}),
            json!({"@type": "T", "m": {"@id": "urn:b", "n": "y"}}),
            "<urn:a> <rdf:type> <ex:T> .\n<urn:a> <urn:v:m> <urn:b> .\n<urn:b> <urn:v:n> \"y\" .\n",
        ),
        // A set is an object: it leaves the context of the type, and with it what that says about the property.
        (
            json!({"T": {"@id": "ex:T", "@context": {"p": {"@id": "ex:q", "@type": "ex:D"}}}}),
            json!({"@type": "T", "p": ["x", {"@set": ["y"]}]}),
            "<urn:a> <ex:q> \"x\"^^<ex:D> .\n<urn:a> <ex:q> \"y\" .\n<urn:a> <rdf:type> <ex:T> .\n",
        ),
        (
            json!({}),
            json!({"p": {"@context": {"n": "urn:n"}, "n": "x"}}),
            "<urn:a> <ex:p> _:c14n0 .\n_:c14n0 <urn:n> \"x\" .\n",
        ),
        (
            json!({}),
            json!({"p": [{"@id": "_:x", "p": "y"}, {"@id": "_:x"}]}),
            "<urn:a> <ex:p> _:c14n0 .\n_:c14n0 <ex:p> \"y\" .\n",
        ),
        (
            json!({}),
            json!({"p": {"@list": [], "@index": "i"}, "@index": "j", "@type": ["T", "urn:U"]}),
            "<urn:a> <ex:p> <rdf:nil> .\n<urn:a> <rdf:type> <ex:T> .\n<urn:a> <rdf:type> <urn:U> .\n",
        ),
    ];
    let mut wrong = String::new();
    for (context, members, expected) in cases {
        let document = with(context, members);
        let found = short(&document);
        if found != expected {
            wrong.push_str(&format!("{document}\n{found}instead of\n{expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_context_document_stands_for_its_context() {
    let plain = with(json!({"p": "ex:q"}), json!({"p": "x"}));
    let wrapped = with(json!({"@context": {"p": "ex:q"}}), json!({"p": "x"}));
    assert_eq!(short(&plain), short(&wrapped));
    let list = with(json!({"@context": [{"p": "ex:no"}, {"p": "ex:q"}]}), json!({"p": "x"}));
    assert_eq!(short(&plain), short(&list));
    // With anything beside it, it is the redefinition of a keyword.
    let beside = with(json!({"@context": {"p": "ex:q"}, "r": "ex:r"}), json!({"p": "x"}));
    assert_eq!(code(&beside), "jsonld_context");
    let deep = (0..8).fold(json!({"p": "ex:q"}), |inner, _| json!({"@context": inner}));
    assert_eq!(code(&with(deep, json!({"p": "x"}))), "jsonld_context");
    let urls = json!({"@context": ["https://www.w3.org/ns/credentials/v2", {"@context": {"id": "ex:x"}}], "id": "urn:a"});
    assert_eq!(code(&urls), "jsonld_protected");
}

#[test]
fn bundled_contexts() {
    let expected = |id: &str| {
        format!(
            "<urn:a> <https://www.w3.org/2018/credentials#issuer> <{id}> .\n\
             <urn:a> <rdf:type> <https://www.w3.org/2018/credentials#VerifiableCredential> .\n"
        )
    };
    for context in [CREDENTIALS_V1, CREDENTIALS_V2] {
        let document =
            json!({"@context": [context], "id": "urn:a", "type": "VerifiableCredential", "issuer": "urn:i"});
        assert_eq!(short(&document), expected("urn:i"));
    }
    // Each of them compiles on top of every other that it does not contradict, and its scoped contexts compile.
    let contexts = Contexts::bundled().unwrap();
    for url in urls() {
        let mut definitions = vec![contexts.get(url).unwrap().value.clone()];
        let mut count = 0;
        while let Some(next) = definitions.pop() {
            let Value::Object(members) = next else { continue };
            count += 1;
            definitions.extend(members.values().filter_map(|term| term.get("@context").cloned()));
            let document = json!({"@context": [url, members], "@id": "urn:a", "urn:p": "x"});
            let result = to_quads(&document, &contexts);
            let code = result.as_ref().err().map(Error::code);
            assert!(matches!(code, None | Some("jsonld_protected")), "{url}: {result:?}");
        }
        assert!(count > 0);
    }
}

#[test]
fn safe_mode_refuses() {
    let v2 = |members: Value| {
        let mut document =
            json!({"@context": [CREDENTIALS_V2], "id": "urn:a", "type": ["VerifiableCredential"]});
        document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        document
    };
    let context = |context: Value| json!({"@context": [CREDENTIALS_V2, context], "id": "urn:a", "name": "x"});
    let mut wrong = String::new();
    for (document, expected) in [
        (v2(json!({"undefinedTerm": "x"})), "jsonld_undefined_term"),
        (v2(json!({"credentialSubject": {"id": "urn:b", "undefined": {"x": 1}}})), "jsonld_undefined_term"),
        (v2(json!({"@unknown": "x"})), "jsonld_undefined_term"),
        (v2(json!({"type": ["VerifiableCredential", "Undefined"]})), "jsonld_relative_iri"),
        (v2(json!({"type": ["./relative"]})), "jsonld_relative_iri"),
        (v2(json!({"id": "relative"})), "jsonld_relative_iri"),
        (v2(json!({"id": "#fragment"})), "jsonld_relative_iri"),
        (v2(json!({"issuer": "//host/path"})), "jsonld_relative_iri"),
        (v2(json!({"issuer": "https://a.example/a b"})), "jsonld_iri"),
        (v2(json!({"issuer": "urn:a> <urn:b"})), "jsonld_iri"),
        (v2(json!({"issuer": "urn:a\n"})), "jsonld_iri"),
        (v2(json!({"id": 7})), "jsonld_shape"),
        (v2(json!({"id": ["urn:a"]})), "jsonld_shape"),
        (v2(json!({"@id": "urn:b"})), "jsonld_shape"),
        (v2(json!({"type": [7]})), "jsonld_shape"),
        (v2(json!({"name": null})), "jsonld_null"),
        (v2(json!({"name": ["x", null]})), "jsonld_null"),
        (v2(json!({"name": {"@value": null}})), "jsonld_shape"),
        (v2(json!({"name": {"@value": ["x"]}})), "jsonld_shape"),
        (v2(json!({"name": {"@value": "x", "@language": "not a tag"}})), "jsonld_shape"),
        (v2(json!({"name": {"@value": "x", "@language": "en", "@type": "urn:t"}})), "jsonld_shape"),
        (v2(json!({"name": {"@value": "x", "@direction": "up"}})), "jsonld_shape"),
        (v2(json!({"name": {"@value": 7, "@language": "en"}})), "jsonld_shape"),
        (v2(json!({"name": {"@value": "x", "@id": "urn:b"}})), "jsonld_shape"),
        (v2(json!({"@graph": ["x"]})), "jsonld_lost"),
        (v2(json!({"@graph": [{"id": "urn:b"}]})), "jsonld_lost"),
        (v2(json!({"@graph": [{"@list": ["x"]}]})), "jsonld_lost"),
        (v2(json!({"_:p": "x"})), "jsonld_lost"),
        (v2(json!({"name": {"@list": [{"@set": ["x"]}]}})), "jsonld_shape"),
        (v2(json!({"name": {"@list": [["x"]]}})), "jsonld_shape"),
        (v2(json!({"@reverse": {"name": "x"}})), "jsonld_shape"),
        (v2(json!({"@value": "x", "name": "y"})), "jsonld_lost"),
        (v2(json!({"proof": {"@graph": []}})), "ok"),
        (v2(json!({"credentialSubject": {"id": "urn:b", "@type": "@id"}})), "jsonld_shape"),
        (json!({"@context": CREDENTIALS_V2, "id": "urn:a"}), "jsonld_lost"),
        (json!({}), "jsonld_lost"),
        (json!("x"), "jsonld_lost"),
        (json!(null), "jsonld_lost"),
        (json!({"id": "urn:a", "name": "x"}), "jsonld_undefined_term"),
        (json!({"@context": "https://a.example/unknown", "urn:p": "x"}), "jsonld_context_unknown"),
        (context(json!("relative")), "jsonld_context_unknown"),
        (context(json!({"@import": "https://a.example/unknown"})), "jsonld_context_unknown"),
        (context(json!({"@base": "https://a.example/"})), "jsonld_base"),
        (context(json!({"@vocab": ""})), "jsonld_context"),
        (context(json!({"@vocab": "relative/"})), "jsonld_context"),
        (context(json!({"@version": 1.0})), "jsonld_context"),
        (context(json!({"name": "urn:other"})), "jsonld_protected"),
        (context(json!({"VerifiableCredential": "urn:other"})), "jsonld_protected"),
        (context(json!(null)), "jsonld_protected"),
        (context(json!({"a": {"@id": "urn:a", "@unknown": 1}})), "jsonld_context"),
        (context(json!({"a": "relative"})), "jsonld_context"),
        (context(json!({"a": {"@id": "urn:a", "@container": ["@list", "@set"]}})), "jsonld_context"),
        (context(json!({"a": {"@id": "urn:a", "@type": "relative"}})), "jsonld_context"),
        (context(json!({"a": "b:x", "b": "a:x"})), "jsonld_context"),
        (context(json!({"@id": "urn:a"})), "jsonld_context"),
        (context(json!({"@foo": "urn:a"})), "jsonld_context"),
        (context(json!({"": "urn:a"})), "jsonld_context"),
        (context(json!({"a": 1})), "jsonld_context"),
        (context(json!(1)), "jsonld_context"),
        (context(json!({"@protected": 1})), "jsonld_context"),
        (context(json!({"@propagate": 1})), "jsonld_context"),
        (with(json!({"p": {"@id": "ex:q", "@container": "@graph"}}), json!({"p": "urn:b"})), "jsonld_lost"),
        (
            with(json!({"p": {"@id": "ex:q", "@container": "@language"}}), json!({"p": {"en": 1}})),
            "jsonld_shape",
        ),
        (
            with(json!({"p": {"@id": "ex:q", "@container": "@id"}}), json!({"p": {"urn:b": "x"}})),
            "jsonld_shape",
        ),
        (with(json!({"n": null}), json!({"n": "x"})), "jsonld_undefined_term"),
        (with(json!({}), json!({"p": 9007199254740993_i64})), "json_number_precision"),
    ] {
        let found = canonical(&document).map_or_else(|error| error.code(), |_| "ok");
        if found != expected {
            wrong.push_str(&format!("{document}: {found} instead of {expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // The detail of an undefined term quotes its name, shortened and without control characters.
    let error = canonical(&v2(json!({(["\n", &"x".repeat(100)].concat()): "secret"}))).unwrap_err();
    assert!(error.detail().len() < 128 && !error.detail().contains('\n'));
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn nodes_are_found_by_pointer() {
    let document = json!({"@context": CREDENTIALS_V2, "id": "urn:a", "type": "VerifiableCredential", "issuer": {"id": "urn:i", "name": "x"},
        "credentialSubject": [{"name": "y"}, {"id": "urn:b", "name": "z"}]});
    let nodes = to_dataset(&document, &Contexts::bundled().unwrap()).unwrap().nodes;
    let nodes: Vec<(&str, &Term)> = nodes.iter().map(|(path, node)| (path.as_str(), node)).collect();
    let iri = |text: &str| Term::Iri(text.into());
    assert_eq!(
        nodes,
        [
            ("", &iri("urn:a")),
            ("/issuer", &iri("urn:i")),
            ("/credentialSubject/0", &Term::Blank(0)),
            ("/credentialSubject/1", &iri("urn:b")),
        ]
    );
}

fn nest(depth: usize, leaf: Value, wrap: fn(Value) -> Value) -> Value {
    (0..depth).fold(leaf, |inner, _| wrap(inner))
}

#[test]
fn bounded_on_a_small_stack() {
    fn object(depth: usize) -> Value {
        nest(depth, json!("x"), |inner| json!({"@context": VOCAB, "p": inner}))
    }
    fn lists(depth: usize) -> Value {
        json!({"@context": VOCAB, "p": nest(depth, json!([]), |inner| json!({"@list": [inner]}))})
    }
    fn nests(depth: usize) -> Value {
        json!({"@context": VOCAB, "p": nest(depth, json!({"p": "x"}), |inner| json!({"@nest": inner}))})
    }
    let test = || {
        assert!(canonical(&object(32)).is_ok());
        for deep in [object(33), lists(40), nests(40), object(200)] {
            assert_eq!(code(&deep), "jsonld_too_deep");
        }
        // Terms that are defined through each other in a long chain.
        let chain: serde_json::Map<String, Value> =
            (0..100).map(|n| (format!("t{n}"), json!(format!("t{}:x", n + 1)))).collect();
        assert_eq!(code(&json!({"@context": chain, "urn:p": "x"})), "jsonld_context");
        // A cycle of blank nodes that all look the same.
        let ring: Vec<Value> = (0..120)
            .map(|n| json!({"@id": format!("_:b{n}"), "urn:p": {"@id": format!("_:b{}", (n + 1) % 120)}}))
            .collect();
        assert!(matches!(
            canonical(&json!(ring)),
            Ok(_) | Err(Error::Malformed { code: "rdf_too_complex", .. })
        ));
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(test).unwrap().join().unwrap();
}

#[test]
fn inline_contexts_cost_a_bounded_amount() {
    let terms: serde_json::Map<String, Value> =
        (0..3000).map(|n| (format!("t{n}"), json!(format!("urn:t{n}")))).collect();
    let nodes: Vec<Value> = (0..3000).map(|_| json!({"@context": {"u": "urn:u"}, "u": "x"})).collect();
    let document = json!({"@context": terms, "@id": "urn:a", "t0": nodes});
    assert_eq!(code(&document), "jsonld_too_complex");
}
