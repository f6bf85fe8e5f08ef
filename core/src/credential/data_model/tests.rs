use serde_json::{Value, json};

use super::*;
use crate::clock::UnixTime;
use crate::encoding::date_time;

fn credential() -> Value {
    json!({
        "@context": [CONTEXT_V2, "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "urn:uuid:3978344f-8596-4c3a-a978-8fcaba3903c5",
        "type": ["VerifiableCredential", "ExampleAlumniCredential"],
        "issuer": "did:example:issuer",
        "validFrom": "2024-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:123", "degree": {"type": "BachelorDegree"}}
    })
}

fn credential_v1() -> Value {
    json!({
        "@context": [CONTEXT_V1],
        "type": ["VerifiableCredential"],
        "issuer": "did:example:issuer",
        "issuanceDate": "2024-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:123"}
    })
}

fn enveloped(kind: &str) -> Value {
    json!({"@context": CONTEXT_V2, "type": kind, "id": "data:application/vc+jwt,eyJ.eyJ.AA"})
}

fn presentation() -> Value {
    json!({
        "@context": [CONTEXT_V2],
        "type": "VerifiablePresentation",
        "holder": "did:example:holder",
        "verifiableCredential": [credential(), enveloped("EnvelopedVerifiableCredential"), credential_v1()]
    })
}

/// `document` with the value at a JSON pointer replaced, added, or (`None`) taken away.
fn with(document: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut out = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (out.pointer_mut(parent).unwrap(), value) {
        (Value::Object(map), Some(value)) => drop(map.insert(name.to_owned(), value)),
        (Value::Object(map), None) => drop(map.shift_remove(name)),
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{other}"),
    }
    out
}

/// What one document must lead to: accepted, or a code and the path that the detail begins with.
type Case = (&'static str, Option<Value>, Option<(&'static str, &'static str)>);

fn run(base: &Value, check: fn(&Value) -> Result<()>, cases: &[Case]) {
    check(base).unwrap();
    for (pointer, value, expected) in cases {
        let outcome = check(&with(base, pointer, value.clone()));
        match (outcome, expected) {
            (Ok(()), None) => {}
            (Err(error), Some((code, path))) => {
                assert_eq!(error.code(), *code, "{pointer} {value:?}");
                let detail = error.detail();
                assert!(detail.starts_with(&format!("{path}: ")), "{pointer} {value:?}: {detail}");
            }
            (outcome, _) => panic!("{pointer} {value:?}: {outcome:?} instead of {expected:?}"),
        }
    }
}

fn bad(pointer: &'static str, value: Value, code: &'static str, path: &'static str) -> Case {
    (pointer, Some(value), Some((code, path)))
}

fn good(pointer: &'static str, value: Value) -> Case {
    (pointer, Some(value), None)
}

#[test]
fn contexts_types_and_ids() {
    run(
        &credential(),
        check_credential,
        &[
            ("/@context", None, Some(("vc_context", "@context"))),
            bad("/@context", json!(CONTEXT_V2), "vc_context", "@context"),
            bad("/@context", json!([]), "vc_context", "@context[0]"),
            bad(
                "/@context",
                json!(["https://www.w3.org/ns/credentials/examples/v2"]),
                "vc_context",
                "@context[0]",
            ),
            bad("/@context", json!([{}, CONTEXT_V2]), "vc_context", "@context[0]"),
            bad("/@context", json!([CONTEXT_V2, 123]), "vc_context", "@context[1]"),
            bad("/@context", json!([CONTEXT_V2, "https ://not-a-url/v1"]), "vc_context", "@context[1]"),
            bad("/@context", json!([CONTEXT_V2, {}, null]), "vc_context", "@context[2]"),
            good("/@context", json!([CONTEXT_V2, {"a": "https://example.org/#a"}, "https://example.org/v1"])),
            ("/type", None, Some(("vc_type", "type"))),
            bad("/type", json!([]), "vc_shape", "type"),
            bad("/type", json!(["RelationshipCredential"]), "vc_type", "type"),
            bad("/type", json!(["VerifiableCredential", 2]), "vc_type", "type[1]"),
            bad("/type", json!(["VerifiableCredential", ""]), "vc_type", "type[1]"),
            bad("/type", json!(["VerifiableCredential", "a b"]), "vc_type", "type[1]"),
            bad("/type", json!({}), "vc_type", "type"),
            bad("/type", json!(null), "vc_type", "type"),
            good("/type", json!("VerifiableCredential")),
            good("/type", json!(["https://example.org/#Other", "VerifiableCredential"])),
            ("/id", None, None),
            bad("/id", json!(null), "vc_id", "id"),
            bad("/id", json!(["https://example.org/1"]), "vc_id", "id"),
            bad("/id", json!("https ://not-a-url/1"), "vc_id", "id"),
            bad("/id", json!("https://example.org/a b"), "vc_id", "id"),
            bad("/id", json!(" https://example.org/"), "vc_id", "id"),
            bad("/id", json!("relative"), "vc_id", "id"),
            bad("/id", json!(format!("https://example.org/{}", "a".repeat(5000))), "vc_id", "id"),
            good("/id", json!("https://example.org/é")),
        ],
    );
    for not_object in [json!([]), json!("x"), json!(null), json!(1)] {
        assert_eq!(check_credential(&not_object).unwrap_err().code(), "vc_shape");
        assert_eq!(check_presentation(&not_object).unwrap_err().code(), "vc_shape");
        assert_eq!(version(&not_object).unwrap_err().code(), "vc_shape");
    }
    assert_eq!(
        (version(&credential()).unwrap(), version(&credential_v1()).unwrap()),
        (Version::V2, Version::V1)
    );
}

#[test]
fn issuer_and_subject() {
    run(
        &credential(),
        check_credential,
        &[
            ("/issuer", None, Some(("vc_issuer", "issuer"))),
            bad("/issuer", json!(null), "vc_issuer", "issuer"),
            bad("/issuer", json!("fake-issuer"), "vc_issuer", "issuer"),
            bad("/issuer", json!(["did:example:a"]), "vc_issuer", "issuer"),
            bad("/issuer", json!({}), "vc_issuer", "issuer.id"),
            bad("/issuer", json!({"id": null}), "vc_issuer", "issuer.id"),
            bad("/issuer", json!({"id": "fake-issuer"}), "vc_issuer", "issuer.id"),
            bad("/issuer", json!({"id": "did:example:a", "name": 7}), "vc_language", "issuer.name"),
            good("/issuer", json!({"id": "did:example:a", "name": "A", "image": "x"})),
            ("/credentialSubject", None, Some(("vc_subject", "credentialSubject"))),
            bad("/credentialSubject", json!({}), "vc_subject", "credentialSubject"),
            bad("/credentialSubject", json!([]), "vc_shape", "credentialSubject"),
            bad("/credentialSubject", json!("did:example:a"), "vc_subject", "credentialSubject"),
            bad(
                "/credentialSubject",
                json!([{"id": "did:example:a"}, {}]),
                "vc_subject",
                "credentialSubject[1]",
            ),
            bad("/credentialSubject/id", json!(["did:example:a"]), "vc_id", "credentialSubject.id"),
            good("/credentialSubject", json!([{"id": "did:example:a"}, {"name": "b"}])),
        ],
    );
}

#[test]
fn names_and_descriptions() {
    let language = json!({"@value": "Diplôme", "@language": "fr-CA", "@direction": "ltr"});
    let mut cases = Vec::new();
    for name in ["/name", "/description"] {
        cases.push(good(name, json!("text")));
        cases.push(good(name, language.clone()));
        cases.push(good(name, json!([{"@value": "a", "@language": "en"}, language, {"@value": "x"}])));
        let path = &name[1..];
        cases.push(bad(name, json!(1), "vc_language", path));
        cases.push(bad(name, json!(null), "vc_language", path));
        cases.push(bad(name, json!([]), "vc_shape", path));
        cases.push(bad(name, json!({"@value": "a", "@language": "en", "url": "x"}), "vc_language", path));
    }
    for (value, path) in [
        (json!({"@language": "en"}), "name.@value"),
        (json!({"@value": 1}), "name.@value"),
        (json!({"@value": "a", "@language": "e"}), "name.@language"),
        (json!({"@value": "a", "@language": "en_US"}), "name.@language"),
        (json!({"@value": "a", "@language": "toolonglanguage"}), "name.@language"),
        (json!({"@value": "a", "@language": ["en"]}), "name.@language"),
        (json!({"@value": "a", "@direction": "up"}), "name.@direction"),
        (json!({"@value": "a", "@direction": null}), "name.@direction"),
    ] {
        cases.push(bad("/name", value, "vc_language", path));
    }
    run(&credential(), check_credential, &cases);
}

#[test]
fn types_in_every_place() {
    let mut cases = Vec::new();
    for (name, missing_type, missing_second) in [
        ("/credentialStatus", "credentialStatus.type", "credentialStatus[1].type"),
        ("/credentialSchema", "credentialSchema.type", "credentialSchema[1].type"),
        ("/refreshService", "refreshService.type", "refreshService[1].type"),
        ("/termsOfUse", "termsOfUse.type", "termsOfUse[1].type"),
        ("/evidence", "evidence.type", "evidence[1].type"),
        ("/confidenceMethod", "confidenceMethod.type", "confidenceMethod[1].type"),
        ("/renderMethod", "renderMethod.type", "renderMethod[1].type"),
        ("/proof", "proof.type", "proof[1].type"),
    ] {
        let (path, id) = (&name[1..], json!("did:example:1"));
        cases.push(bad(name, json!({"id": id}), "vc_type", missing_type));
        cases.push(bad(name, json!({"id": id, "type": 2}), "vc_type", missing_type));
        cases.push(bad(name, json!([{"id": id, "type": "T"}, {"id": id}]), "vc_type", missing_second));
        cases.push(bad(name, json!("text"), "vc_shape", path));
        cases.push(bad(name, json!(null), "vc_shape", path));
        cases.push(bad(name, json!([]), "vc_shape", path));
        cases.push(good(name, json!({"id": id, "type": "T"})));
        cases.push(good(name, json!([{"id": id, "type": "T"}, {"id": id, "type": ["T", "U"]}])));
        if name != "/credentialSchema" {
            cases.push(good(name, json!({"type": "T"})));
        }
    }
    cases.push(bad("/credentialSchema", json!({"type": "T"}), "vc_id", "credentialSchema.id"));
    cases.push(bad(
        "/credentialSchema",
        json!({"type": "T", "id": "https ://x"}),
        "vc_id",
        "credentialSchema.id",
    ));
    cases.push(bad(
        "/credentialStatus",
        json!({"type": "T", "id": "https ://x"}),
        "vc_id",
        "credentialStatus.id",
    ));
    cases.push(bad(
        "/credentialStatus",
        json!({"type": "T", "id": ["did:a:1"]}),
        "vc_id",
        "credentialStatus.id",
    ));
    run(&credential(), check_credential, &cases);
}

#[test]
fn times() {
    run(
        &credential(),
        check_credential,
        &[
            ("/validFrom", None, None),
            good("/validFrom", json!("4023-02-26T01:02:58.447Z")),
            good("/validFrom", json!("2023-02-25T19:10:39-06:00")),
            bad("/validFrom", json!("Sat 25 Feb 2023 07:16:31 PM CST"), "vc_time", "validFrom"),
            bad("/validFrom", json!("2023-02-25T19:10:39"), "vc_time", "validFrom"),
            bad("/validFrom", json!("2023-02-30T00:00:00Z"), "vc_time", "validFrom"),
            bad("/validFrom", json!(1700000000), "vc_shape", "validFrom"),
            bad("/validFrom", json!(["2023-02-25T19:10:39Z"]), "vc_shape", "validFrom"),
            bad("/validUntil", json!("Sun, 26 Feb 2023 01:22:14 +0000"), "vc_time", "validUntil"),
            bad("/validUntil", json!("2023-12-31T23:59:59Z"), "vc_time", "validUntil"),
            good("/validUntil", json!("2024-01-01T00:00:00Z")),
            good("/validUntil", json!("2024-01-01T00:00:00.5+00:00")),
        ],
    );
    let dated = with(&credential(), "/validUntil", Some(json!("2024-01-02T00:00:00Z")));
    let at = |text| date_time::parse(text).unwrap();
    let code = |now: UnixTime| check_time(&dated, now, 0).err().map(|error| error.code());
    assert_eq!(code(at("2023-12-31T23:59:59Z")), Some("credential_not_yet_valid"));
    assert_eq!(code(at("2024-01-01T00:00:00Z")), None);
    assert_eq!(code(at("2024-01-01T23:59:59Z")), None);
    assert_eq!(code(at("2024-01-02T00:00:00Z")), Some("credential_expired"));
    check_time(&dated, at("2024-01-02T00:00:30Z"), 60).unwrap();
}

#[test]
fn related_resources() {
    let sri = "sha384-NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg";
    let multibase = "uJKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k";
    let other = "uM4RgWQc3RUDtjJCSgTJtTfvpZ7SPEg_LNO0ESlovQC0";
    let entry = |digest: &str, value: &str| json!({"id": CONTEXT_V2, digest: value});
    let r = "/relatedResource";
    run(
        &credential(),
        check_credential,
        &[
            good(r, entry("digestSRI", sri)),
            good(r, entry("digestMultibase", multibase)),
            good(
                r,
                json!([{"id": CONTEXT_V2, "mediaType": "application/ld+json", "digestSRI": sri, "digestMultibase": multibase}]),
            ),
            // the same digest as a multihash
            good(r, entry("digestMultibase", "uEiAkoYyQ6YVtUmER8pN24wLZcLK9EBguM5WZlbAgfXBDuQ")),
            good(
                r,
                json!([{"id": "https://example.org/a", "digestMultibase": other}, entry("digestSRI", sri)]),
            ),
            bad(r, json!([CONTEXT_V2]), "vc_related_resource", "relatedResource[0]"),
            bad(r, json!(CONTEXT_V2), "vc_related_resource", "relatedResource"),
            bad(r, json!([]), "vc_shape", "relatedResource"),
            bad(r, json!([{"digestMultibase": multibase}]), "vc_related_resource", "relatedResource[0].id"),
            bad(r, json!([{"id": "x", "digestMultibase": multibase}]), "vc_id", "relatedResource[0].id"),
            bad(r, json!([{"id": CONTEXT_V2}]), "vc_related_resource", "relatedResource[0]"),
            bad(
                r,
                json!([entry("digestSRI", sri), entry("digestMultibase", multibase)]),
                "vc_related_resource",
                "relatedResource[1].id",
            ),
            bad(r, entry("digestSRI", "sha384-AAAA"), "vc_related_resource", "relatedResource.digestSRI"),
            bad(r, entry("digestSRI", "md5-AAAA"), "vc_related_resource", "relatedResource.digestSRI"),
            bad(r, entry("digestSRI", " "), "vc_related_resource", "relatedResource.digestSRI"),
            bad(
                r,
                entry("digestMultibase", "AAAA"),
                "vc_related_resource",
                "relatedResource.digestMultibase",
            ),
            bad(
                r,
                json!({"id": CONTEXT_V2, "digestSRI": sri, "mediaType": 1}),
                "vc_shape",
                "relatedResource.mediaType",
            ),
            bad(r, entry("digestMultibase", other), "vc_related_digest", "relatedResource"),
            bad(
                r,
                entry(
                    "digestSRI",
                    "sha512-yxM236hnDYDQM0SzsMwl+vTUUgGCPDXzm7Gv5an5EfYV/07IDsXy+J4z0U6Wvsi+eOON81uRjJzV87NEm9bIjA==",
                ),
                "vc_related_digest",
                "relatedResource",
            ),
        ],
    );
    // Files that the caller has.
    let own = |digest: &str| {
        with(&credential(), r, Some(json!({"id": "https://example.org/a", "digestSRI": digest})))
    };
    let known = |id: &str| (id == "https://example.org/a").then_some(&b"abc"[..]);
    let right = own("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    check_related_resources(&right, &known).unwrap();
    check_related_resources(&credential(), &known).unwrap();
    let wrong = own("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=");
    assert_eq!(check_related_resources(&wrong, &known).unwrap_err().code(), "vc_related_resource");
    let wrong = own("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFaw=");
    assert_eq!(check_related_resources(&wrong, &known).unwrap_err().code(), "vc_related_digest");
    check_related_resources(&wrong, &|_| None).unwrap();
}

#[test]
fn version_1() {
    run(
        &credential_v1(),
        check_credential,
        &[
            ("/issuanceDate", None, Some(("vc_time", "issuanceDate"))),
            bad("/issuanceDate", json!("yesterday"), "vc_time", "issuanceDate"),
            good("/issuanceDate", json!("2024-01-01T00:00:00")),
            good("/expirationDate", json!("2025-01-01T00:00:00+01:00")),
            bad("/expirationDate", json!("2023-01-01T00:00:00Z"), "vc_time", "expirationDate"),
            bad("/credentialStatus", json!({"type": "T"}), "vc_id", "credentialStatus.id"),
            bad("/refreshService", json!({"type": "T"}), "vc_id", "refreshService.id"),
            bad("/credentialSchema", json!({"type": "T"}), "vc_id", "credentialSchema.id"),
            bad("/evidence", json!({"id": "did:example:1"}), "vc_type", "evidence.type"),
            ("/issuer", None, Some(("vc_issuer", "issuer"))),
            ("/credentialSubject", None, Some(("vc_subject", "credentialSubject"))),
        ],
    );
    let dated = with(&credential_v1(), "/expirationDate", Some(json!("2025-01-01T00:00:00Z")));
    assert_eq!(
        check_time(&dated, UnixTime::from_secs(1_800_000_000), 0).unwrap_err().code(),
        "credential_expired"
    );
}

#[test]
fn presentations() {
    let two = json!([enveloped("EnvelopedVerifiableCredential"), "a.b.c"]);
    run(
        &presentation(),
        check_presentation,
        &[
            ("/verifiableCredential", None, None),
            ("/holder", None, None),
            good("/id", json!("urn:uuid:9c9a36f8-518f-4976-a934-6649502d0008")),
            good("/holder", json!({"id": "did:example:holder"})),
            good("/verifiableCredential", credential()),
            good("/proof", json!([{"type": "DataIntegrityProof"}])),
            ("/@context", None, Some(("vc_context", "@context"))),
            bad("/@context", json!([{"a": "b:c"}, CONTEXT_V2]), "vc_context", "@context[0]"),
            ("/type", None, Some(("vc_type", "type"))),
            bad("/type", json!(["CredentialManagerPresentation"]), "vc_type", "type"),
            bad("/id", json!("nope"), "vc_id", "id"),
            bad("/holder", json!("z6MkpJySvETLnxhQG9DzEdmKJtysBDjuuTeDfUj1uNNCUqcj"), "vc_holder", "holder"),
            bad("/holder", json!({"name": "Acme"}), "vc_holder", "holder.id"),
            bad("/holder", json!(null), "vc_holder", "holder"),
            bad("/proof", json!({}), "vc_type", "proof.type"),
            bad("/termsOfUse", json!([{}]), "vc_type", "termsOfUse[0].type"),
            bad("/verifiableCredential", json!([]), "vc_shape", "verifiableCredential"),
            bad("/verifiableCredential", json!(["a.b.c"]), "vc_shape", "verifiableCredential[0]"),
            bad("/verifiableCredential", json!("https://example.org/"), "vc_shape", "verifiableCredential"),
            bad("/verifiableCredential", two, "vc_shape", "verifiableCredential[1]"),
            bad(
                "/verifiableCredential",
                json!(vec![credential(); 65]),
                "vc_too_many",
                "verifiableCredential[64]",
            ),
            bad("/verifiableCredential/0/type", json!([]), "vc_shape", "verifiableCredential[0].type"),
            bad("/verifiableCredential/0/issuer", json!(null), "vc_issuer", "verifiableCredential[0].issuer"),
            bad("/verifiableCredential/1/id", json!("bad-credential"), "vc_id", "verifiableCredential[1].id"),
            // Without the type it is no envelope, and as a credential it has the wrong context.
            ("/verifiableCredential/1/type", None, Some(("vc_context", "verifiableCredential[1].@context"))),
        ],
    );
    let old =
        json!({"@context": [CONTEXT_V1], "type": "VerifiablePresentation", "verifiableCredential": "a.b.c"});
    check_presentation(&old).unwrap();
}

#[test]
fn envelopes() {
    run(
        &enveloped("EnvelopedVerifiableCredential"),
        check_enveloped_credential,
        &[
            good("/@context", json!([CONTEXT_V2, "https://www.w3.org/ns/credentials/examples/v2"])),
            good("/type", json!(["EnvelopedVerifiableCredential"])),
            good("/id", json!("data:application/vc+cose;base64,0oRY")),
            good("/id", json!("data:application/vc+cose;base64,0oRY\n")),
            ("/@context", None, Some(("vc_context", "@context"))),
            bad("/@context", json!([]), "vc_context", "@context"),
            bad(
                "/@context",
                json!("https://www.w3.org/ns/credentials/examples/v2"),
                "vc_context",
                "@context",
            ),
            bad("/@context", json!([CONTEXT_V2, 1]), "vc_context", "@context[1]"),
            ("/type", None, Some(("vc_type", "type"))),
            bad("/type", json!("VerifiableCredential"), "vc_type", "type"),
            bad("/type", json!("EnvelopedVerifiablePresentation"), "vc_type", "type"),
            ("/id", None, Some(("vc_id", "id"))),
            bad("/id", json!("eyJ.eyJ.AA"), "vc_id", "id"),
            bad("/id", json!("data:,AA"), "vc_id", "id"),
            bad("/id", json!("data:application/vc+jwt,"), "vc_id", "id"),
            bad("/id", json!("data:application/vc+jwt"), "vc_id", "id"),
            bad("/id", json!("data:application/vc+jwt,a b"), "vc_id", "id"),
            bad("/id", json!("data:application/vc+jwt,a\nb"), "vc_id", "id"),
            bad("/id", json!("https://example.org/application/vc+jwt,AA"), "vc_id", "id"),
            bad("/id", json!(["data:application/vc+jwt,AA"]), "vc_id", "id"),
        ],
    );
    check_enveloped_presentation(&enveloped("EnvelopedVerifiablePresentation")).unwrap();
    let wrong = enveloped("EnvelopedVerifiableCredential");
    assert_eq!(check_enveloped_presentation(&wrong).unwrap_err().code(), "vc_type");
    assert!(is_enveloped(&wrong) && !is_enveloped(&credential()) && !is_enveloped(&json!(1)));
}

#[test]
fn members_that_nobody_defined() {
    check_known_members(&credential()).unwrap();
    check_known_members(&presentation()).unwrap();
    for (document, pointer) in [
        (credential(), "/badExtension"),
        (credential(), "/vc"),
        (presentation(), "/vp"),
        (presentation(), "/issuer"),
    ] {
        let document = with(&document, pointer, Some(json!({})));
        assert_eq!(check_known_members(&document).unwrap_err().code(), "vc_unknown_member");
    }
}
