use serde_json::{Value, json};

use super::*;

/// 2026-11-22T12:00:00Z
const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": "p1", "active": true,
        "text": { "status": "generated", "div": "<div></div>" },
        "identifier": [
            { "use": "official", "system": "urn:oid:2.16.756.5.32", "value": "756.1234.5678.97",
              "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NI" }] } },
            { "system": "https://hospital.example/mrn", "value": "MRN 0042" },
            { "use": "old", "system": "https://hospital.example/mrn", "value": "gone" },
            { "value": "no system" }
        ],
        "name": [
            { "use": "maiden", "family": "Gyllenstjerna" },
            { "use": "usual", "family": "Nilsson", "given": ["Zoe"] },
            { "use": "official", "family": "Åkerström Nguyễn", "given": ["Zoë", "Anaïs"], "prefix": ["Dr."] }
        ],
        "telecom": [
            { "system": "phone", "value": "+46 8 111", "use": "work", "rank": 2 },
            { "system": "phone", "value": "+46 70 222", "use": "mobile", "rank": 1 },
            { "system": "phone", "value": "+46 8 333", "use": "old", "rank": 1 },
            { "system": "email", "value": "zoe@example.org" },
            { "system": "fax", "value": "1" }
        ],
        "gender": "female",
        "birthDate": "1978-03-09",
        "address": [
            { "use": "billing", "line": ["Box 1"], "city": "Lund" },
            { "use": "home", "line": ["Kungsgatan 5", "lgh 1102"], "city": "Umeå", "state": "Västerbotten",
              "district": "Centrum", "postalCode": "903 20", "country": "SE" }
        ]
    })
}

fn coverage() -> Value {
    json!({
        "resourceType": "Coverage", "id": "c1", "status": "active",
        "identifier": [
            { "value": "policy-1" },
            { "value": "MB-77", "type": { "coding": [{ "code": "MB" }] } }
        ],
        "subscriberId": "S-1",
        "type": { "coding": [{ "code": "EHCPOL", "display": "extended healthcare" }] },
        "policyHolder": { "reference": "#holder" },
        "beneficiary": { "reference": "Patient/p1" },
        "relationship": { "coding": [{ "code": "child" }] },
        "period": { "start": "2026-01-01", "end": "2026-12-31" },
        "payor": [{ "reference": "#org" }],
        "class": [
            { "type": { "coding": [{ "code": "group" }] }, "value": "G-9", "name": "Staff" },
            { "type": { "coding": [{ "code": "plan" }] }, "value": "Gold" },
            { "type": { "coding": [{ "code": "rxbin" }] }, "value": "003858" }
        ],
        "contained": [
            { "resourceType": "Organization", "id": "org", "name": "Öffentliche Kasse",
              "identifier": [{ "system": "urn:oid:1.2.276", "value": "108018007" }] },
            { "resourceType": "RelatedPerson", "id": "holder", "name": [{ "given": ["Ana"], "family": "Nilsson" }] }
        ]
    })
}

fn bundle(resources: &[Value]) -> Value {
    let entry: Vec<Value> = resources
        .iter()
        .enumerate()
        .map(|(n, resource)| json!({ "fullUrl": format!("urn:uuid:{n}"), "resource": resource }))
        .collect();
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entry })
}

fn edited(mut value: Value, edit: impl Fn(&mut Value)) -> Value {
    edit(&mut value);
    value
}

fn identity(document: &Value) -> Result<CredentialDataset> {
    DatasetKind::PatientIdentity.extract(document, NOW)
}

fn insurance(document: &Value) -> Result<CredentialDataset> {
    DatasetKind::InsuranceCoverage.extract(document, NOW)
}

#[test]
fn patient_to_claims() {
    let found = identity(&patient()).unwrap();
    let expected = json!({
        "given_name": "Zoë Anaïs",
        "family_name": "Åkerström Nguyễn",
        "birthdate": "1978-03-09",
        "gender": "female",
        "identifiers": [
            { "system": "urn:oid:2.16.756.5.32", "value": "756.1234.5678.97", "type": "NI" },
            { "system": "https://hospital.example/mrn", "value": "MRN 0042" }
        ],
        "address": {
            "street_address": "Kungsgatan 5\nlgh 1102", "locality": "Umeå", "region": "Västerbotten",
            "postal_code": "903 20", "country": "SE"
        },
        "phone_number": "+46 70 222",
        "email": "zoe@example.org"
    });
    assert_eq!(Value::Object(found.claims.clone()), expected);
    let order: Vec<_> = found.claims.keys().map(String::as_str).collect();
    let expected = [
        "given_name",
        "family_name",
        "birthdate",
        "gender",
        "identifiers",
        "address",
        "phone_number",
        "email",
    ];
    assert_eq!(order, expected);
    // Alone or in a Bundle: the same.
    assert_eq!(identity(&bundle(&[coverage(), patient()])).unwrap(), found);
}

#[test]
fn preview_names_every_leaf_for_people() {
    let found = identity(&patient()).unwrap();
    let lines: Vec<(&str, String, &str)> = found
        .preview
        .iter()
        .map(|line| (line.label.as_str(), Value::Array(line.path.clone()).to_string(), line.value.as_str()))
        .collect();
    assert_eq!(lines.len(), 13);
    assert_eq!(lines[0], ("Given names", r#"["given_name"]"#.into(), "Zoë Anaïs"));
    assert_eq!(
        lines[4],
        ("Identifier", r#"["identifiers",0]"#.into(), "756.1234.5678.97 (NI, urn:oid:2.16.756.5.32)")
    );
    assert_eq!(lines[6], ("Street", r#"["address","street_address"]"#.into(), "Kungsgatan 5, lgh 1102"));
    let preview = insurance(&coverage()).unwrap().preview;
    assert_eq!(preview.len(), 11);
    assert_eq!(
        (preview[1].value.as_str(), preview[2].value.as_str()),
        ("Öffentliche Kasse", "108018007 (urn:oid:1.2.276)")
    );
}

#[test]
fn what_is_left_out_is_noted() {
    let found = identity(&patient()).unwrap();
    let paths: Vec<_> = found.notes.iter().map(|note| note.path.as_str()).collect();
    let expected = [
        "Patient.name[2].prefix",
        "Patient.name",
        "Patient.identifier[2]",
        "Patient.identifier[3]",
        "Patient.address[1].district",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_name_is_never_normalized() {
    // The same letters composed (U+00E9) and decomposed (e + U+0301) stay two different texts.
    for name in
        ["Ren\u{e9}", "Rene\u{301}", "Nguyễn Thị Ánh", "Ðorđe", "李小龍", "O’Connor-Śmith", "mac an tSaoir"]
    {
        let document = edited(patient(), |p| p["name"] = json!([{ "family": name, "given": [name] }]));
        assert_eq!(identity(&document).unwrap().claims["family_name"], name);
    }
}

#[test]
fn which_name() {
    let choose = |names: Value| {
        let document = edited(patient(), |p| p["name"] = names.clone());
        identity(&document)
            .map(|found| found.claims.get("family_name").and_then(Value::as_str).map(str::to_owned))
    };
    for (names, expected) in [
        (json!([{ "use": "usual", "family": "B" }, { "use": "official", "family": "A" }]), "A"),
        (json!([{ "family": "C" }, { "use": "usual", "family": "B" }]), "B"),
        (json!([{ "use": "old", "family": "O" }, { "family": "C" }]), "C"),
        (json!([{ "use": "temp", "family": "T" }]), "T"),
        (json!([{ "use": "official", "family": "A", "period": { "end": "2020" } }, { "family": "C" }]), "C"),
        (json!([{ "use": "official", "family": "A", "period": { "end": "2026" } }, { "family": "C" }]), "A"),
        (
            json!([{ "use": "official", "family": "A", "period": { "start": "2027" } }, { "family": "C" }]),
            "C",
        ),
        (json!([{ "use": "official", "text": "only text" }, { "family": "C" }]), "C"),
        (
            json!([{ "use": "official", "family": "first" }, { "use": "official", "family": "second" }]),
            "first",
        ),
    ] {
        assert_eq!(choose(names.clone()).unwrap().as_deref(), Some(expected), "{names}");
    }
    for names in [
        json!([{ "use": "old", "family": "O" }]),
        json!([{ "use": "maiden", "family": "M" }]),
        json!([{ "use": "nickname", "given": ["N"] }]),
        json!([{ "use": "anonymous", "family": "N" }]),
        json!([{ "text": "Jane Doe" }]),
        json!([{ "family": "A", "period": { "end": "2026-11-21" } }]),
    ] {
        assert_eq!(choose(names.clone()).unwrap_err().code(), "fhir_name_missing", "{names}");
    }
}

#[test]
fn one_part_of_a_name_is_enough() {
    let only = |name: Value| identity(&edited(patient(), |p| p["name"] = json!([name]))).unwrap();
    let found = only(json!({ "given": ["Sukarno"] }));
    assert_eq!(
        (found.claims.get("given_name").unwrap(), found.claims.get("family_name")),
        (&json!("Sukarno"), None)
    );
    let found = only(json!({ "family": "Suharto" }));
    assert_eq!(
        (found.claims.get("given_name"), found.claims.get("family_name").unwrap()),
        (None, &json!("Suharto"))
    );
}

#[test]
fn partial_dates_stay_partial() {
    for (date, notes) in [("1950", 1), ("1950-07", 1), ("1950-07-01", 0), ("2024-02-29", 0)] {
        let found = identity(&edited(patient(), |p| p["birthDate"] = json!(date))).unwrap();
        assert_eq!(found.claims["birthdate"], date);
        let found = found.notes.iter().filter(|note| note.path == "Patient.birthDate").count();
        assert_eq!(found, notes, "{date}");
    }
}

#[test]
fn companions_and_extensions_are_skipped_knowingly() {
    let document = edited(patient(), |p| {
        p["_birthDate"] = json!({ "extension": [{ "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
            "valueDateTime": "1978-03-09T14:35:00+01:00" }] });
        p["extension"] = json!([{ "url": "https://example.org/religion", "valueCode": "x" }]);
        p["name"] = json!([{
            "use": "official",
            "family": "van der Berg",
            "_family": { "extension": [{ "url": "http://hl7.org/fhir/StructureDefinition/humanname-own-prefix",
                "valueString": "van der" }] },
            "given": ["Jan", null, "Piet"],
            "_given": [null, { "extension": [{ "url": "x", "valueCode": "masked" }] }, null]
        }]);
    });
    let found = identity(&document).unwrap();
    assert_eq!(found.claims["given_name"], "Jan Piet");
    assert_eq!(found.claims["family_name"], "van der Berg");
    let paths: Vec<_> = found.notes.iter().map(|note| note.path.as_str()).collect();
    for path in
        ["Patient._birthDate", "Patient.extension", "Patient.name[0]._family", "Patient.name[0]._given"]
    {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
}

#[test]
fn a_value_that_is_only_an_extension_is_missing() {
    let absent = json!({ "extension": [{ "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "unknown" }] });
    let document = edited(patient(), |p| {
        p.as_object_mut().unwrap().remove("birthDate");
        p["_birthDate"] = absent.clone();
    });
    assert_eq!(identity(&document).unwrap_err().code(), "fhir_birth_date_missing");
}

#[test]
fn contact_points() {
    let phone = |telecom: Value| {
        let found = identity(&edited(patient(), |p| p["telecom"] = telecom.clone())).unwrap();
        found.claims.get("phone_number").and_then(Value::as_str).map(str::to_owned)
    };
    let p = |value: &str, kind: &str| json!({ "system": "phone", "value": value, "use": kind });
    assert_eq!(
        phone(json!([p("work", "work"), p("home", "home"), p("mobile", "mobile")])).unwrap(),
        "mobile"
    );
    assert_eq!(phone(json!([p("temp", "temp"), { "system": "phone", "value": "plain" }])).unwrap(), "plain");
    assert_eq!(phone(json!([p("gone", "old")])), None);
    assert_eq!(phone(json!([{ "system": "phone", "value": "x", "period": { "end": "2001" } }])), None);
    assert_eq!(phone(json!([{ "value": "no system" }])), None);
    assert_eq!(
        phone(
            json!([{ "system": "phone", "value": "b", "rank": 3 }, { "system": "phone", "value": "a", "rank": 2 }])
        ),
        Some("a".into())
    );
}

#[test]
fn addresses() {
    let locality = |address: Value| {
        let found = identity(&edited(patient(), |p| p["address"] = address.clone())).unwrap();
        found.claims.get("address").and_then(|a| a.get("locality")).and_then(Value::as_str).map(str::to_owned)
    };
    let a = |city: &str, kind: &str| json!({ "city": city, "use": kind });
    assert_eq!(locality(json!([a("w", "work"), { "city": "none" }, a("h", "home")])).unwrap(), "h");
    assert_eq!(locality(json!([a("w", "work"), { "city": "none" }])).unwrap(), "none");
    let postal = json!({ "city": "box", "use": "home", "type": "postal" });
    assert_eq!(locality(json!([postal, a("h", "home")])).unwrap(), "h");
    assert_eq!(locality(json!([a("o", "old"), a("b", "billing")])), None);
    assert_eq!(locality(json!([{ "use": "home", "city": "x", "period": { "end": "2001" } }])), None);
    assert_eq!(locality(json!([{ "use": "home", "text": "only text" }])), None);
}

#[test]
fn contained_people_are_not_second_patients() {
    let document =
        edited(patient(), |p| p["contained"] = json!([{ "resourceType": "Patient", "id": "mother" }]));
    assert!(identity(&document).is_ok());
}

type Edit = fn(&mut Value);

#[test]
fn refused_patients() {
    let cases: &[(&str, Edit)] = &[
        ("fhir_type_invalid", |p| *p = json!([])),
        ("fhir_type_invalid", |p| *p = json!("Patient")),
        ("fhir_resource_type_missing", |p| *p = json!({})),
        ("fhir_resource_type_missing", |p| p["resourceType"] = json!(7)),
        ("fhir_resource_type_missing", |p| p["resourceType"] = json!("Pa tient")),
        ("fhir_resource_type_wrong", |p| p["resourceType"] = json!("Person")),
        ("fhir_resource_type_wrong", |p| p["resourceType"] = json!("patient")),
        ("fhir_resource_missing", |p| *p = bundle(&[])),
        ("fhir_resource_missing", |p| *p = json!({ "resourceType": "Bundle" })),
        ("fhir_resource_missing", |p| *p = bundle(&[coverage()])),
        ("fhir_resource_ambiguous", |p| *p = bundle(&[patient(), patient()])),
        ("fhir_type_invalid", |p| *p = json!({ "resourceType": "Bundle", "entry": {} })),
        ("fhir_type_invalid", |p| *p = json!({ "resourceType": "Bundle", "entry": [1] })),
        ("fhir_resource_type_missing", |p| *p = bundle(&[json!({ "id": "x" })])),
        ("fhir_too_large", |p| *p = bundle(&vec![json!({ "resourceType": "Basic" }); 1_001])),
        ("fhir_name_missing", |p| drop(p.as_object_mut().unwrap().remove("name"))),
        ("fhir_element_empty", |p| p["name"] = json!([])),
        ("fhir_element_empty", |p| p["name"] = json!([{}])),
        ("fhir_element_empty", |p| p["name"] = json!(null)),
        ("fhir_element_empty", |p| p["name"][0]["family"] = json!("")),
        ("fhir_element_empty", |p| p["name"][2]["given"] = json!(["A", null])),
        ("fhir_element_empty", |p| p["contact"] = json!([{ "name": null }])),
        ("fhir_type_invalid", |p| p["name"] = json!({ "family": "X" })),
        ("fhir_type_invalid", |p| p["name"] = json!(["X"])),
        ("fhir_type_invalid", |p| p["name"][0]["family"] = json!(["X"])),
        ("fhir_type_invalid", |p| p["name"][2]["given"] = json!("Ann")),
        ("fhir_type_invalid", |p| p["name"][2]["given"] = json!([1])),
        ("fhir_code_invalid", |p| p["name"][0]["use"] = json!("legal")),
        ("fhir_text_invalid", |p| p["name"][2]["family"] = json!("  ")),
        ("fhir_text_invalid", |p| p["name"][2]["family"] = json!("a\u{0}b")),
        ("fhir_text_invalid", |p| p["name"][2]["family"] = json!("a\nb")),
        ("fhir_text_invalid", |p| p["name"][2]["family"] = json!("a\u{202e}b")),
        ("fhir_text_too_long", |p| p["name"][2]["family"] = json!("a".repeat(1_025))),
        ("fhir_birth_date_missing", |p| drop(p.as_object_mut().unwrap().remove("birthDate"))),
        ("fhir_birth_date_future", |p| p["birthDate"] = json!("2026-11-24")),
        ("fhir_birth_date_future", |p| p["birthDate"] = json!("2027")),
        ("fhir_date_invalid", |p| p["birthDate"] = json!("1978-02-30")),
        ("fhir_date_invalid", |p| p["birthDate"] = json!("09.03.1978")),
        ("fhir_date_invalid", |p| p["birthDate"] = json!("1978-03-09T00:00:00Z")),
        ("fhir_type_invalid", |p| p["birthDate"] = json!(1978)),
        ("fhir_code_invalid", |p| p["gender"] = json!("F")),
        ("fhir_type_invalid", |p| p["telecom"][0]["rank"] = json!("1")),
        ("fhir_type_invalid", |p| p["telecom"][0]["rank"] = json!(0)),
        ("fhir_type_invalid", |p| p["active"] = json!("true")),
        ("fhir_patient_inactive", |p| p["active"] = json!(false)),
        ("fhir_patient_replaced", |p| {
            p["link"] = json!([{ "type": "replaced-by", "other": { "reference": "x" } }])
        }),
        ("fhir_modifier_unknown", |p| p["modifierExtension"] = json!([{ "url": "x" }])),
        ("fhir_modifier_unknown", |p| p["name"][1]["modifierExtension"] = json!([{ "url": "x" }])),
        ("fhir_modifier_unknown", |p| p["implicitRules"] = json!("https://example.org/rules")),
        ("fhir_choice_ambiguous", |p| {
            p["deceasedBoolean"] = json!(false);
            p["deceasedDateTime"] = json!("2020");
        }),
        ("fhir_period_invalid", |p| p["name"][2]["period"] = json!({ "start": "2021", "end": "2020" })),
        ("fhir_date_invalid", |p| p["name"][2]["period"] = json!({ "start": "yesterday" })),
        ("fhir_too_large", |p| p["identifier"] = json!(vec![json!({ "system": "s", "value": "v" }); 6_000])),
        ("fhir_too_large", |p| {
            let many = (0..33).map(|n| json!({ "system": "s", "value": n.to_string() }));
            p["identifier"] = Value::Array(many.collect());
        }),
        ("fhir_too_large", |p| {
            let mut deep = json!("x");
            for _ in 0..40 {
                deep = json!({ "a": deep });
            }
            p["contact"] = deep;
        }),
    ];
    for (code, edit) in cases {
        let document = edited(patient(), edit);
        let error = identity(&document).unwrap_err();
        assert_eq!(error.code(), *code, "{error}");
        for secret in ["Åkerström", "Nguyễn", "756.1234", "1978-02-30", "09.03.1978"] {
            assert!(!error.to_string().contains(secret), "{error} tells a value");
        }
    }
}

#[test]
fn coverage_to_claims() {
    let found = insurance(&coverage()).unwrap();
    let expected = json!({
        "member_id": "MB-77",
        "payer": { "name": "Öffentliche Kasse", "identifier": { "system": "urn:oid:1.2.276", "value": "108018007" } },
        "policy_holder": "Ana Nilsson",
        "coverage_type": "EHCPOL",
        "relationship": "child",
        "group": "Staff",
        "plan": "Gold",
        "period_start": "2026-01-01",
        "period_end": "2026-12-31",
        "coverage_status": "active"
    });
    assert_eq!(Value::Object(found.claims), expected);
    let paths: Vec<_> = found.notes.iter().map(|note| note.path.as_str()).collect();
    assert_eq!(paths, ["Coverage.class[2]"]);
}

#[test]
fn references_are_resolved_inside_the_document_only() {
    let organization = json!({ "resourceType": "Organization", "id": "kk", "name": "Krankenkasse" });
    let with = |reference: &str, display: Option<&str>| {
        let mut payor = json!({ "reference": reference });
        if let Some(display) = display {
            payor["display"] = json!(display);
        }
        let coverage = edited(coverage(), |c| c["payor"] = json!([payor]));
        insurance(&bundle(&[patient(), coverage, organization.clone()]))
    };
    for reference in ["Organization/kk", "urn:uuid:2", "Organization/kk/_history/3", "urn:uuid:2/_history/1"]
    {
        assert_eq!(with(reference, None).unwrap().claims["payer"]["name"], "Krankenkasse", "{reference}");
    }
    for reference in
        ["Organization/other", "https://fhir.example/Organization/kk", "#kk", "#", "urn:uuid:9", "kk"]
    {
        let found = with(reference, None).map(|found| found.claims["payer"]["name"].clone());
        let code = found.unwrap_err().code();
        let expected = if reference == "#" { "fhir_payer_unsupported" } else { "fhir_reference_unresolved" };
        assert_eq!(code, expected, "{reference}");
    }
    let found = with("https://fhir.example/Organization/7", Some("Barmer")).unwrap();
    assert_eq!(found.claims["payer"], json!({ "name": "Barmer" }));
    assert!(found.notes.iter().any(|note| note.path == "Coverage.payor[0]"));
}

#[test]
fn logical_references() {
    let document = edited(coverage(), |c| {
        c["payor"] = json!([{ "type": "Organization", "display": "Barmer",
            "identifier": { "system": "urn:oid:1", "value": "5" } }]);
    });
    let payer = &insurance(&document).unwrap().claims["payer"];
    assert_eq!(*payer, json!({ "name": "Barmer", "identifier": { "system": "urn:oid:1", "value": "5" } }));
}

#[test]
fn which_member_number() {
    let number = |edit: Edit| insurance(&edited(coverage(), edit)).unwrap().claims["member_id"].clone();
    assert_eq!(number(|_| {}), "MB-77");
    assert_eq!(number(|c| c["identifier"] = json!([{ "value": "policy-1" }])), "S-1");
    assert_eq!(number(|c| drop(c.as_object_mut().unwrap().remove("identifier"))), "S-1");
    assert_eq!(number(|c| c["identifier"][1]["period"] = json!({ "end": "2020" })), "S-1");
    assert_eq!(
        number(|c| {
            c.as_object_mut().unwrap().remove("subscriberId");
            c["identifier"] = json!([{ "value": "EHIC-1" }]);
        }),
        "EHIC-1"
    );
}

#[test]
fn refused_coverages() {
    let cases: &[(&str, Edit)] = &[
        ("fhir_resource_type_wrong", |c| *c = patient()),
        ("fhir_resource_missing", |c| *c = bundle(&[patient()])),
        ("fhir_resource_ambiguous", |c| *c = bundle(&[coverage(), coverage()])),
        ("fhir_coverage_inactive", |c| c["status"] = json!("cancelled")),
        ("fhir_coverage_inactive", |c| drop(c.as_object_mut().unwrap().remove("status"))),
        ("fhir_code_invalid", |c| c["status"] = json!("live")),
        ("fhir_coverage_ended", |c| c["period"] = json!({ "end": "2026-11-21" })),
        ("fhir_period_invalid", |c| c["period"] = json!({ "start": "2026-02-01", "end": "2026-01" })),
        ("fhir_type_invalid", |c| c["period"] = json!("2026")),
        ("fhir_member_id_missing", |c| {
            c.as_object_mut().unwrap().remove("subscriberId");
            c.as_object_mut().unwrap().remove("identifier");
        }),
        ("fhir_payer_missing", |c| drop(c.as_object_mut().unwrap().remove("payor"))),
        ("fhir_payer_ambiguous", |c| c["payor"] = json!([{ "display": "a" }, { "display": "b" }])),
        ("fhir_payer_unsupported", |c| c["payor"] = json!([{ "reference": "#holder" }])),
        ("fhir_payer_unsupported", |c| c["payor"] = json!([{ "reference": "Patient/x", "display": "Ana" }])),
        ("fhir_payer_unsupported", |c| c["payor"] = json!([{ "type": "Patient", "display": "Ana" }])),
        ("fhir_reference_unresolved", |c| c["payor"] = json!([{ "reference": "#nobody" }])),
        ("fhir_modifier_unknown", |c| c["contained"][0]["modifierExtension"] = json!([{ "url": "x" }])),
        ("fhir_element_empty", |c| c["contained"][0]["alias"] = json!([])),
        ("fhir_beneficiary_mismatch", |c| {
            let stranger = edited(patient(), |p| p["id"] = json!("p2"));
            *c = bundle(&[stranger, coverage()]);
        }),
        ("fhir_beneficiary_mismatch", |c| {
            let anonymous = edited(coverage(), |c| drop(c.as_object_mut().unwrap().remove("beneficiary")));
            *c = bundle(&[patient(), anonymous]);
        }),
        ("fhir_reference_ambiguous", |c| {
            let organization = json!({ "resourceType": "Organization", "id": "kk", "name": "K" });
            let one = edited(coverage(), |c| c["payor"] = json!([{ "reference": "Organization/kk" }]));
            *c = bundle(&[one, organization.clone(), organization]);
        }),
    ];
    for (code, edit) in cases {
        let error = insurance(&edited(coverage(), edit)).unwrap_err();
        assert_eq!(error.code(), *code, "{error}");
    }
}

#[test]
fn datasets_by_name() {
    for kind in DatasetKind::ALL {
        assert_eq!(DatasetKind::parse(kind.as_str()).unwrap(), kind);
    }
    assert_eq!(DatasetKind::parse("passport").unwrap_err().code(), "dataset_unknown");
}

#[test]
fn nothing_of_the_record_is_printed() {
    let found = identity(&patient()).unwrap();
    let printed = format!("{found:?} {:?}", found.preview);
    for secret in ["Zoë", "Åkerström", "756", "Umeå", "1978"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

proptest::proptest! {
    /// Whatever JSON comes: an answer, no panic.
    #[test]
    fn any_mutation_gets_an_answer(member in "[a-zA-Z_]{1,12}", text in ".{0,40}", kind in 0u8..6) {
        let value = match kind {
            0 => json!(text),
            1 => json!([text]),
            2 => json!({ (member.clone()): text }),
            3 => json!([{ (member.clone()): [text] }]),
            4 => json!(null),
            _ => json!(text.len()),
        };
        for name in [member.as_str(), "name", "birthDate", "identifier", "address", "telecom", "payor", "period", "class"] {
            for document in [patient(), coverage()] {
                let document = edited(document, |d| d[name] = value.clone());
                let _ = identity(&document);
                let _ = insurance(&document);
            }
        }
    }
}
