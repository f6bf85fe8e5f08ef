//! The DID resolver over a socket: resolution, versions, dereferencing, caches, and every error.

use std::sync::atomic::Ordering;

use carekey_core::Clock;
use carekey_core::clock::UnixTime;
use carekey_core::did;
use carekey_core::did::webvh::{Change, Location, OwnLog};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use serde_json::{Value, json};

use crate::portal::Verifier;

fn key() -> (SoftwareKey, String) {
    let key = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
    let did = did::key::encode(key.public_key()).unwrap().to_string();
    (key, did)
}

#[tokio::test]
async fn resolution() {
    let verifier = Verifier::start().await;
    let did = key().1;
    let get = async |path: &str, accept: &str| {
        let request = verifier.client.get(format!("{}/1.0/identifiers/{path}", verifier.base));
        let response = request.header("accept", accept).send().await.unwrap();
        let status = response.status().as_u16();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (status, media_type, body)
    };
    for path in [did.clone(), did.replace(':', "%3A")] {
        for accept in ["application/did-resolution", "*/*", "application/json", "text/html, */*;q=0.8"] {
            let (status, media_type, body) = get(&path, accept).await;
            assert_eq!((status, media_type.as_str()), (200, "application/did-resolution"), "{body}");
            assert_eq!((&body["didDocument"]["id"], &body["didDocumentMetadata"]), (&json!(did), &json!({})));
            assert_eq!(body["didResolutionMetadata"]["contentType"], "application/did-resolution");
        }
        for accept in ["application/did+json", "application/did+ld+json", "application/did"] {
            let (status, media_type, body) = get(&path, accept).await;
            assert_eq!((status, media_type.as_str(), &body["id"]), (200, accept, &json!(did)));
        }
    }
    let documents = &verifier.hospital.documents;
    let web = json!({"@context": ["https://www.w3.org/ns/did/v1"], "id": "did:web:a.example", "service": [
        {"id": "#s", "type": "T", "serviceEndpoint": "https://a.example"}]});
    documents.lock().unwrap().insert("https://a.example/.well-known/did.json".into(), web.to_string());
    documents.lock().unwrap().insert("https://b.example/.well-known/did.json".into(), web.to_string());
    let (status, _, body) = get("did:web:a.example", "application/did-resolution").await;
    assert_eq!((status, &body["didDocument"]), (200, &web), "as its controller wrote it");

    let accept = "application/did-resolution";
    for (path, accept, status, name) in [
        ("not-a-did", accept, 400, "INVALID_DID"),
        ("did:example", accept, 400, "INVALID_DID"),
        ("did:key:abc", accept, 400, "INVALID_DID"),
        ("%ff", accept, 400, "INVALID_DID"),
        ("did%3Akey%3Az6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2%23x", accept, 400, "INVALID_DID_URL"),
        (&format!("{did}?versionId=1"), accept, 501, "FEATURE_NOT_SUPPORTED"),
        (&format!("{did}?what=1"), accept, 400, "INVALID_OPTIONS"),
        (&format!("{did}?noCache=perhaps"), accept, 400, "INVALID_OPTIONS"),
        (&format!("{did}?versionId=1&versionTime=2026-01-01T00:00:00Z"), accept, 400, "INVALID_OPTIONS"),
        ("did:unsupported:1234", accept, 501, "METHOD_NOT_SUPPORTED"),
        (
            "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
            "image/png",
            406,
            "REPRESENTATION_NOT_SUPPORTED",
        ),
        ("did:web:b.example", accept, 500, "INVALID_DID_DOCUMENT"),
        ("did:web:c.example", accept, 404, "NOT_FOUND"),
        ("did:webvh:x:c.example", accept, 400, "INVALID_DID"),
        ("did:webvh:QmWtQu5Vwi5n7oTz1NHKPtRJuBQmNneLXBGkQW9YBaGYk4:c.example", accept, 404, "NOT_FOUND"),
    ] {
        let (got, media_type, body) = get(path, accept).await;
        assert_eq!((got, media_type.as_str()), (status, "application/did-resolution"), "{path} {body}");
        let error = &body["didResolutionMetadata"]["error"];
        assert_eq!(error["type"], format!("https://www.w3.org/ns/did#{name}"), "{path}");
        assert_eq!((&body["didDocument"], &body["didDocumentMetadata"]), (&Value::Null, &json!({})));
    }
    assert_eq!(verifier.get("/1.0/identifiers/").await.status, 404);
    let off = Verifier::start_with(|config| config.resolver.enabled = false).await;
    assert_eq!(off.get(&format!("/1.0/identifiers/{did}")).await.status, 404);
    assert!(off.get("/openapi.json").await.json()["paths"].get("/1.0/identifiers/{did}").is_none());
}

/// A log of three versions: made, another key, and the end.
fn log(now: UnixTime, ttl: u32) -> Vec<OwnLog> {
    let location = Location::parse("hospital.example").unwrap();
    let (signer, id) = (key().0, location.placeholder());
    let document = |id: &str, name: &str, key: &SoftwareKey| {
        json!({"@context": ["https://www.w3.org/ns/did/v1"], "id": id,
            "verificationMethod": [{"id": format!("#{name}"), "type": "Multikey", "controller": id,
                "publicKeyMultibase": did::key::encode_multikey(key.public_key()).unwrap()}],
            "assertionMethod": [format!("#{name}")]})
    };
    let first = document(&id, "one", &key().0);
    let change = |document| Change { document: Some(document), ttl: Some(ttl), ..Change::default() };
    let mut log = OwnLog::create(&location, &change(first), now.plus(-300), &signer).unwrap();
    let mut versions = vec![log.clone()];
    let did = log.did().unwrap().to_string();
    log.update(&change(document(&did, "two", &key().0)), now.plus(-200), &signer).unwrap();
    versions.push(log.clone());
    log.deactivate(now.plus(-100), &signer).unwrap();
    versions.push(log);
    versions
}

#[tokio::test]
async fn a_did_webvh_with_its_history() {
    const LOG: &str = "https://hospital.example/.well-known/did.jsonl";
    let verifier = Verifier::start().await;
    let now = verifier.world.clock.now();
    let versions = log(now, 60);
    let did = versions[0].did().unwrap().to_string();
    let publish = |log: &OwnLog| {
        verifier.hospital.documents.lock().unwrap().insert(LOG.into(), log.to_jsonl().to_owned());
    };
    let get = async |path: &str, accept: &str| {
        let request = verifier.client.get(format!("{}/1.0/identifiers/{path}", verifier.base));
        let response = request.header("accept", accept).send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    const RESULT: &str = "application/did-resolution";
    publish(&versions[1]);
    let (status, body) = get(&did, RESULT).await;
    assert_eq!((status, &body["didDocument"]["assertionMethod"]), (200, &json!(["#two"])), "{body}");
    let metadata = &body["didDocumentMetadata"];
    assert_eq!((&metadata["versionNumber"], &metadata["deactivated"]), (&json!(2), &json!(false)));
    // Versions, by option and in the DID URL.
    for path in [format!("{did}?versionNumber=1"), format!("{}%3FversionNumber%3D1", did.replace(':', "%3A"))]
    {
        let accept = if path.contains("%3F") { "application/did+json" } else { RESULT };
        let (status, body) = get(&path, accept).await;
        let document = if accept == RESULT { &body["didDocument"] } else { &body };
        assert_eq!((status, &document["assertionMethod"]), (200, &json!(["#one"])), "{body}");
    }
    let (status, body) = get(&format!("{did}?versionNumber=7"), RESULT).await;
    assert_eq!((status, &body["didResolutionMetadata"]["error"]["title"]), (404, &json!("NOT_FOUND")));
    let (_, body) = get(&format!("{did}?expandRelativeUrls=true"), RESULT).await;
    assert_eq!(body["didDocument"]["assertionMethod"], json!([format!("{did}#two")]));

    // The end is seen when the copy is too old, or at once on demand.
    publish(&versions[2]);
    assert_eq!(get(&did, RESULT).await.0, 200, "a copy");
    let (status, body) = get(&format!("{did}?noCache=true"), RESULT).await;
    assert_eq!((status, &body["didDocument"]), (410, &Value::Null), "{body}");
    assert_eq!(body["didDocumentMetadata"]["deactivated"], json!(true));
    assert_eq!(body["didResolutionMetadata"], json!({"contentType": RESULT}));
    let (status, body) = get(&did, "application/did-url-dereferencing").await;
    assert_eq!((status, &body["contentStream"]), (410, &Value::Null), "{body}");
    let (status, body) = get(&format!("{did}?versionNumber=1"), RESULT).await;
    assert_eq!((status, &body["didDocument"]["id"]), (410, &json!(did)), "history can be read");

    // A log that was tampered with is no log.
    let forged = versions[1].to_jsonl().replace("#two", "#three");
    verifier.hospital.documents.lock().unwrap().insert(LOG.into(), forged);
    let (status, body) = get(&format!("{did}?noCache=true"), RESULT).await;
    let error = &body["didResolutionMetadata"]["error"];
    assert_eq!((status, &error["title"]), (500, &json!("INVALID_DID_DOCUMENT")), "{body}");
}

#[tokio::test]
async fn copies_are_kept_for_a_stated_time() {
    const URL: &str = "https://a.example/.well-known/did.json";
    let verifier = Verifier::start().await;
    let publish = |mark: &str| {
        let document = json!({"id": "did:web:a.example", "mark": mark}).to_string();
        verifier.hospital.documents.lock().unwrap().insert(URL.into(), document);
    };
    let mark = async || {
        let path = format!("{}/1.0/identifiers/did:web:a.example", verifier.base);
        let answer = verifier.client.get(path).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["didDocument"]["mark"].as_str().map(str::to_owned)
    };
    let now = verifier.world.clock.now();
    // A failure is forgotten after five seconds,
    assert_eq!(mark().await, None);
    publish("one");
    verifier.world.clock.set(now.plus(4));
    assert_eq!(mark().await, None);
    verifier.world.clock.set(now.plus(5));
    assert_eq!(mark().await.as_deref(), Some("one"));
    // a document after a minute.
    publish("two");
    verifier.world.clock.set(now.plus(64));
    assert_eq!(mark().await.as_deref(), Some("one"));
    verifier.world.clock.set(now.plus(65));
    assert_eq!(mark().await.as_deref(), Some("two"));
    assert_eq!(verifier.hospital.fetches.load(Ordering::SeqCst), 0, "no status list was asked for");
}

#[tokio::test]
async fn dereferencing() {
    let verifier = Verifier::start().await;
    let document = json!({"@context": ["https://www.w3.org/ns/did/v1"], "id": "did:web:a.example",
        "service": [{"id": "#site", "type": "Site", "serviceEndpoint": "https://a.example/x"}],
        "verificationMethod": [{"id": "did:web:a.example#k", "type": "X", "controller": "did:web:a.example"}]});
    let url = "https://a.example/.well-known/did.json";
    verifier.hospital.documents.lock().unwrap().insert(url.into(), document.to_string());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = async |rest: &str, accept: &str| {
        let path = format!("did:web:a.example{rest}");
        let path = path.replace(':', "%3A").replace('#', "%23").replace('?', "%3F").replace('/', "%2F");
        let request =
            client.get(format!("{}/1.0/identifiers/{path}", verifier.base)).header("accept", accept);
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (media_type, location) = (header("content-type"), header("location"));
        (answer.status().as_u16(), media_type, location, answer.text().await.unwrap())
    };
    const WHOLE: &str = "application/did-url-dereferencing";
    for (rest, content) in
        [("", &document), ("#k", &document["verificationMethod"][0]), ("#site", &document["service"][0])]
    {
        let (status, media_type, _, text) = get(rest, WHOLE).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, media_type.as_deref(), &body["contentStream"]),
            (200, Some(WHOLE), content),
            "{rest}"
        );
        assert_eq!(body["dereferencingMetadata"], json!({"contentType": WHOLE}));
        assert_eq!(body["contentMetadata"], json!({}));
    }
    let (status, media_type, _, text) = get("#k", "application/json").await;
    let bare: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, media_type.as_deref()), (200, Some("application/json")));
    assert_eq!(bare, document["verificationMethod"][0]);
    for (rest, to) in
        [("?service=site", "https://a.example/x"), ("?service=site&relativeRef=y", "https://a.example/y")]
    {
        let (status, _, location, text) = get(rest, WHOLE).await;
        assert_eq!((status, location.as_deref(), text.as_str()), (303, Some(to), ""), "{rest}");
    }
    for (rest, accept, status, name) in [
        ("#none", WHOLE, 404, "NOT_FOUND"),
        ("?service=none", WHOLE, 404, "NOT_FOUND"),
        ("?hl=x", WHOLE, 501, "FEATURE_NOT_SUPPORTED"),
        ("/path", WHOLE, 501, "FEATURE_NOT_SUPPORTED"),
        ("?service=a&service=b", WHOLE, 400, "INVALID_DID_URL"),
    ] {
        let (got, media_type, _, text) = get(rest, accept).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((got, media_type.as_deref()), (status, Some(WHOLE)), "{rest} {body}");
        let error = &body["dereferencingMetadata"]["error"]["type"];
        assert_eq!(error, &json!(format!("https://www.w3.org/ns/did#{name}")), "{rest}");
        assert_eq!((&body["contentStream"], &body["contentMetadata"]), (&Value::Null, &json!({})));
    }
    let (status, _, _, text) = get("#k", "image/png").await;
    assert_eq!(status, 406, "{text}");
}
