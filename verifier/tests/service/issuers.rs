//! Whose key counts: DIDs and https issuers, only those that a trust rule names, and nothing is fetched for others.

use std::path::Path;

use carekey_core::clock::Clock as _;
use carekey_core::did::key as did_key;
use carekey_core::encoding::{base64, date_time};
use carekey_core::format::sd_jwt_vc::issue::IssuerKeyHeader;
use carekey_core::format::sd_jwt_vc::jwt_vc_issuer::JwtVcIssuerMetadata;
use carekey_core::holder::presentation::PresentationRules;
use carekey_core::holder::{HttpRequest, HttpResponse, StoredCredential};
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jwt;
use carekey_core::key::{Signer, SoftwareKey};
use carekey_core::trust::KnownAuthorities;
use carekey_core::x509::TrustAnchor;
use carekey_service::trusted_lists::{ListConfig, TrustedLists};
use carekey_verifier::config::{FederationConfig, TrustRule};
use serde_json::{Value, json};

use crate::portal::Verifier;
use crate::ways::own_query;
use crate::world::{Authority, ISS, STATUS_URI, VCT, Wanted, Web, World, answer};

const METADATA: &str = "https://hospital.example/.well-known/jwt-vc-issuer";

impl Verifier {
    async fn judged(&self, wanted: Wanted) -> (Value, Option<String>) {
        let credentials = [self.world.credential(wanted).await];
        let (id, link) = self.create(json!({})).await;
        let delivery = self.present(&link, &credentials).await;
        (self.state(&id).await, delivery.code)
    }
}

fn rule(vct: &str) -> TrustRule {
    TrustRule { vcts: vec![vct.into()], ..TrustRule::default() }
}

#[tokio::test]
async fn an_issuer_with_a_did() {
    for (listed, code) in [(true, None), (false, Some("issuer_untrusted"))] {
        let verifier = Verifier::start_with_rules(|world, rules| {
            let did = did_key::encode(world.issuer.public_key()).unwrap();
            let dids = if listed { vec![did.to_string()] } else { vec![] };
            let status_hosts = vec!["hospital.example".into()];
            *rules = vec![TrustRule { dids, status_hosts, ..rule(VCT) }];
        })
        .await;
        let did = did_key::encode(verifier.world.issuer.public_key()).unwrap();
        let kid = did.with_fragment(did.method_specific_id()).unwrap().to_string();
        let (iss, key_header) = (Some(did.to_string()), Some(IssuerKeyHeader::Kid(kid)));
        let (view, refused) = verifier.judged(Wanted { iss, key_header, ..Wanted::default() }).await;
        assert_eq!(refused.as_deref(), code);
        if listed {
            let credential = &view["outcome"]["presentation"]["credentials"][0];
            assert_eq!(
                (&credential["trusted_by"], &credential["issuer"]),
                (&json!("did"), &json!(did.as_str()))
            );
        }
    }
}

#[tokio::test]
async fn an_issuer_with_https_metadata() {
    let kid = || Some(IssuerKeyHeader::Kid("key-1".into()));
    let verifier = Verifier::start_with_rules(|_, rules| {
        *rules = vec![TrustRule { issuers: vec![ISS.into()], ..rule(VCT) }];
    })
    .await;
    let mut key = Jwk::from_key(verifier.world.issuer.public_key());
    key.kid = Some("key-1".into());
    let publish = |metadata: Value| {
        verifier.hospital.documents.lock().unwrap().insert(METADATA.into(), metadata.to_string());
    };
    // The metadata of somebody else, rubbish, and a set without that key: refused, and asked again the next time.
    for metadata in [
        serde_json::to_value(JwtVcIssuerMetadata::new("https://other.example", vec![key.clone()])).unwrap(),
        json!([]),
        serde_json::to_value(JwtVcIssuerMetadata::new(
            ISS,
            vec![Jwk { kid: Some("x".into()), ..key.clone() }],
        ))
        .unwrap(),
    ] {
        publish(metadata);
        let (view, refused) = verifier.judged(Wanted { key_header: kid(), ..Wanted::default() }).await;
        assert!(refused.is_some() && view["state"] == json!("opened"), "{view}");
        verifier.later(300);
    }
    publish(serde_json::to_value(JwtVcIssuerMetadata::new(ISS, vec![key])).unwrap());
    *verifier.hospital.token.lock().unwrap() = Some(verifier.world.status_token(None, 3600));
    let (view, refused) = verifier.judged(Wanted { key_header: kid(), ..Wanted::default() }).await;
    assert_eq!((refused, &view["state"]), (None, &json!("verified")));
    let credential = &view["outcome"]["presentation"]["credentials"][0];
    assert_eq!(credential["trusted_by"], "issuer_metadata");
    // An https issuer that no rule names is not asked: the web in memory would fail the test.
    let iss = Some("https://evil.example".into());
    let (_, refused) = verifier.judged(Wanted { iss, key_header: kid(), ..Wanted::default() }).await;
    assert_eq!(refused.as_deref(), Some("issuer_untrusted"));
}

#[tokio::test]
async fn rules_are_per_credential_type() {
    let verifier =
        Verifier::start_with_rules(|_, rules| rules[0].vcts = vec!["https://other.example/vct".into()]).await;
    let (_, refused) = verifier.judged(Wanted::default()).await;
    assert_eq!(refused.as_deref(), Some("issuer_untrusted"));
    // A certificate of the right authority for another issuer.
    let verifier = Verifier::start().await;
    let iss = Some("https://another-hospital.example".into());
    let (_, refused) = verifier.judged(Wanted { iss, ..Wanted::default() }).await;
    assert_eq!(refused.as_deref(), Some("issuer_san_mismatch"));
}

/// The right key, in certificates that are too old, of another authority, or for somebody else.
#[tokio::test]
async fn certificates_of_credentials_that_do_not_count() {
    let verifier = Verifier::start().await;
    let pkcs8 = verifier.world.issuer.to_pkcs8().unwrap();
    let key = rcgen::KeyPair::try_from(pkcs8.expose().as_slice()).unwrap();
    let (known, stranger) = (&verifier.world.authority, Authority::new("Stranger"));
    for (x5c, expected) in [
        (known.certificate(&key, "hospital.example", ISS, 2034), None),
        (known.certificate(&key, "hospital.example", ISS, 2025), Some("issuer_certificate")),
        (stranger.certificate(&key, "hospital.example", ISS, 2034), Some("issuer_certificate")),
        (
            known.certificate(&key, "other.example", "https://other.example", 2034),
            Some("issuer_san_mismatch"),
        ),
        (vec!["AAAA".to_owned()], Some("presentation_malformed")),
    ] {
        let key_header = Some(IssuerKeyHeader::X5c(x5c));
        let (view, refused) = verifier.judged(Wanted { key_header, ..Wanted::default() }).await;
        assert_eq!(refused.as_deref(), expected);
        assert_eq!(view["state"], if expected.is_none() { "verified" } else { "opened" });
    }
}

#[tokio::test]
async fn status_lists_come_from_known_hosts_only() {
    for (hosts, code) in [(vec![], Some("status_unavailable")), (vec!["status.example".to_owned()], None)] {
        let verifier = Verifier::start_with_rules(|_, rules| rules[0].status_hosts = hosts).await;
        let status_uri = "https://status.example/1";
        let list = verifier.world.status_token_at(status_uri, None, 3600);
        verifier.hospital.documents.lock().unwrap().insert(status_uri.into(), list);
        if code.is_some() {
            // Nothing is fetched there.
            verifier.hospital.documents.lock().unwrap().clear();
        }
        let (_, refused) = verifier.judged(Wanted { status_uri, ..Wanted::default() }).await;
        assert_eq!(refused.as_deref(), code);
    }
    // A list that was made for another address is not taken.
    let verifier = Verifier::start().await;
    let list = verifier.world.status_token_at("https://hospital.example/status/2", None, 3600);
    verifier.hospital.documents.lock().unwrap().insert(STATUS_URI.into(), list);
    let (_, refused) = verifier.judged(Wanted::default()).await;
    assert_eq!(refused.as_deref(), Some("status_unavailable"));
}

/// Wallets may be web pages.
#[tokio::test]
async fn pages_of_other_origins_may_answer() {
    let verifier = Verifier::start().await;
    for path in ["/oid4vp/requests/x", "/oid4vp/responses/x"] {
        let request = verifier.client.request("OPTIONS".parse().unwrap(), format!("{}{path}", verifier.base));
        let request = request
            .header("origin", "https://wallet.example")
            .header("access-control-request-method", "POST");
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["access-control-allow-origin"]),
            (204, &"*".parse().unwrap())
        );
    }
    let request =
        verifier.client.request("OPTIONS".parse().unwrap(), format!("{}/api/requests", verifier.base));
    let response = request.header("access-control-request-method", "POST").send().await.unwrap();
    assert!(response.headers().get("access-control-allow-origin").is_none());
}

const LIST_URL: &str = "https://office.example/list.jws";
const SERVICE: &str = "http://uri.etsi.org/19602/SvcType/PubEAA/Issuance";

/// A list of number `sequence` on which the hospital's authority stands, good for `seconds`.
fn trusted_list(office: &Authority, world: &World, sequence: u64, seconds: i64) -> String {
    let now = world.clock.now();
    let certificate = base64::encode(world.authority.anchor().certificate().as_der());
    let list = json!({ "LoTE": {
        "ListAndSchemeInformation": {
            "LoTEVersionIdentifier": 1, "LoTESequenceNumber": sequence,
            "SchemeOperatorName": [{ "lang": "en", "value": "Office" }],
            "ListIssueDateTime": date_time::format(now), "NextUpdate": date_time::format(now.plus(seconds))
        },
        "TrustedEntitiesList": [{
            "TrustedEntityInformation": { "TEName": [{ "lang": "en", "value": "Example hospital" }] },
            "TrustedEntityServices": [{ "ServiceInformation": {
                "ServiceTypeIdentifier": SERVICE,
                "ServiceDigitalIdentity": { "X509Certificates": [{ "val": certificate }] }
            } }]
        }]
    } });
    let (key, x5c) = office.certify("office.example", "https://office.example");
    let header = json!({ "x5c": x5c }).as_object().unwrap().clone();
    jwt::sign("JOSE", header, list.as_object().unwrap(), &key).unwrap()
}

/// A rule that knows nobody but those on the office's list.
fn listed(office: &Authority, folder: &Path, list: ListConfig) -> TrustRule {
    let operators = vec![folder.join("office.pem")];
    std::fs::write(&operators[0], office.pem()).unwrap();
    let list = ListConfig { operators, service_types: vec![SERVICE.into()], ..list };
    TrustRule { name: "office".into(), lists: vec![list], ..rule(VCT) }
}

#[tokio::test]
async fn an_issuer_on_a_trusted_list_in_a_file() {
    let (office, folder) = (Authority::new("Office"), tempfile::tempdir().unwrap());
    let verifier = Verifier::start_with_rules(|world, rules| {
        let file = folder.path().join("list.jws");
        std::fs::write(&file, trusted_list(&office, world, 7, 86_400)).unwrap();
        *rules =
            vec![listed(&office, folder.path(), ListConfig { file: Some(file), ..ListConfig::default() })];
    })
    .await;
    let (view, refused) = verifier.judged(Wanted::default()).await;
    assert_eq!(refused, None, "{view}");
    let trust = &view["outcome"]["presentation"]["credentials"][0]["trust"];
    assert_eq!((&trust["rule"], &trust["entity"]), (&json!("office"), &json!("Example hospital")));
    assert_eq!(trust["list"], "Office, list 7");
    assert_eq!(trust["sha256"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_trusted_list_is_fetched_refreshed_and_ends() {
    let (office, folder) = (Authority::new("Office"), tempfile::tempdir().unwrap());
    let verifier = Verifier::start_with_rules(|_, rules| {
        let url = Some(LIST_URL.parse().unwrap());
        *rules = vec![listed(&office, folder.path(), ListConfig { url, ..ListConfig::default() })];
    })
    .await;
    let publish = |list: String| {
        verifier.hospital.documents.lock().unwrap().insert(LIST_URL.into(), list);
    };
    let judged = async || {
        verifier.app.refresh_trust().await;
        *verifier.hospital.token.lock().unwrap() = Some(verifier.world.status_token(None, 3600));
        let (view, refused) = verifier.judged(Wanted { expires_in: 1_000_000, ..Wanted::default() }).await;
        let list = view["outcome"]["presentation"]["credentials"][0]["trust"]["list"].clone();
        (refused, list)
    };
    let untrusted = (Some("issuer_untrusted".to_owned()), Value::Null);
    // Rubbish is no list; it is asked for again after a while, not at once.
    publish("rubbish".into());
    assert_eq!(judged().await, untrusted);
    publish(trusted_list(&office, &verifier.world, 7, 10_000));
    assert_eq!(judged().await, untrusted);
    verifier.later(300);
    assert_eq!(judged().await, (None, json!("Office, list 7")));
    // An older list and one of another office change nothing.
    for list in [
        trusted_list(&office, &verifier.world, 6, 10_000),
        trusted_list(&Authority::new("Office"), &verifier.world, 9, 10_000),
    ] {
        publish(list);
        verifier.later(3_600);
        assert_eq!(judged().await, (None, json!("Office, list 7")));
    }
    // Past its next update nobody on it counts; the next list does again.
    verifier.later(3_600);
    assert_eq!(judged().await, untrusted);
    publish(trusted_list(&office, &verifier.world, 8, 10_000));
    verifier.later(300);
    assert_eq!(judged().await, (None, json!("Office, list 8")));
}

#[tokio::test]
async fn a_list_that_was_fetched_outlives_a_restart() {
    let (office, folder) = (Authority::new("Office"), tempfile::tempdir().unwrap());
    let world = World::new();
    let url = Some(LIST_URL.parse().unwrap());
    let config = listed(&office, folder.path(), ListConfig { url, ..ListConfig::default() }).lists;
    let open = || {
        TrustedLists::open(&config, Path::new(""), &folder.path().join("kept"), world.clock.now()).unwrap()
    };
    let list = trusted_list(&office, &world, 7, 10_000);
    let web = Web(move |_: &HttpRequest| Some(answer(200, "application/jose", list.clone())));
    let lists = open();
    assert!(lists.anchors(world.clock.now())[0].is_empty());
    assert!(lists.refresh(&web, world.clock.now()).await);
    assert_eq!(lists.anchors(world.clock.now())[0].len(), 1);
    let offline = Web(|_: &HttpRequest| -> Option<HttpResponse> { None });
    let lists = open();
    assert!(!lists.refresh(&offline, world.clock.now()).await);
    assert_eq!(lists.anchors(world.clock.now())[0][0].entity, "Example hospital");
    assert!(lists.anchors(world.clock.now().plus(10_000))[0].is_empty(), "its time is over");
}

#[tokio::test]
async fn an_issuer_in_a_federation() {
    let folder = tempfile::tempdir().unwrap();
    let (anchor, own) = (key(1), key(2));
    let named = |key: &SoftwareKey, kid: &str| {
        let mut jwk = Jwk::from_key(key.public_key());
        jwk.kid = Some(kid.into());
        json!({ "keys": [jwk.to_value()] })
    };
    let jwks = folder.path().join("federation.json");
    std::fs::write(&jwks, named(&anchor, "f").to_string()).unwrap();
    let verifier = Verifier::start_with_rules(|_, rules| {
        let federations = vec![FederationConfig { entity_id: "https://federation.example".into(), jwks }];
        *rules = vec![TrustRule { federations, ..rule(VCT) }];
    })
    .await;
    let world = &verifier.world;
    let states = |claims: Value, key: &SoftwareKey| {
        let mut claims = claims.as_object().unwrap().clone();
        let now = world.clock.now();
        claims.extend([
            ("iat".to_owned(), now.as_secs().into()),
            ("exp".to_owned(), now.plus(600).as_secs().into()),
        ]);
        let header = json!({ "kid": "f" }).as_object().unwrap().clone();
        jwt::sign("entity-statement+jwt", header, &claims, key).unwrap()
    };
    let (federation, role) = ("https://federation.example", "openid_credential_issuer");
    let chain = |anchor: &SoftwareKey| {
        vec![
            states(
                json!({ "iss": ISS, "sub": ISS, "jwks": named(&own, "f"), "authority_hints": [federation],
                    "metadata": { role: { "jwks": named(&world.issuer, "key-1") } } }),
                &own,
            ),
            states(json!({ "iss": federation, "sub": ISS, "jwks": named(&own, "f") }), anchor),
        ]
    };
    let wanted = |chain| {
        let key_header = Some(IssuerKeyHeader::TrustChain { chain, kid: "key-1".into() });
        Wanted { key_header, ..Wanted::default() }
    };
    let (view, refused) = verifier.judged(wanted(chain(&anchor))).await;
    assert_eq!(refused, None, "{view}");
    let credential = &view["outcome"]["presentation"]["credentials"][0];
    assert_eq!((&credential["trusted_by"], &credential["issuer"]), (&json!("federation"), &json!(ISS)));
    assert_eq!(credential["trust"]["anchor"], federation);
    // The same by an anchor of that name with other keys.
    let (_, refused) = verifier.judged(wanted(chain(&key(3)))).await;
    assert_eq!(refused.as_deref(), Some("issuer_federation"));
}

/// `trusted_authorities` may name what the trust rules load; more need not be configured.
#[tokio::test]
async fn queries_name_the_lists_and_federations_of_the_rules() {
    let (office, folder) = (Authority::new("Office"), tempfile::tempdir().unwrap());
    let anchor = key(1);
    let named = |key: &SoftwareKey, kid: &str| {
        let mut jwk = Jwk::from_key(key.public_key());
        jwk.kid = Some(kid.into());
        json!({ "keys": [jwk.to_value()] })
    };
    let jwks = folder.path().join("federation.json");
    std::fs::write(&jwks, named(&anchor, "f").to_string()).unwrap();
    let federation = "https://federation.example";
    let verifier = Verifier::start_with_rules(|world, rules| {
        let file = folder.path().join("list.jws");
        std::fs::write(&file, trusted_list(&office, world, 7, 86_400)).unwrap();
        let list = ListConfig { file: Some(file), id: Some(LIST_URL.into()), ..ListConfig::default() };
        let federations = vec![FederationConfig { entity_id: federation.into(), jwks }];
        *rules = vec![listed(&office, folder.path(), list), TrustRule { federations, ..rule(VCT) }];
    })
    .await;
    let world = &verifier.world;
    let now = world.clock.now();
    let states = |claims: Value, key: &SoftwareKey| {
        let mut claims = claims.as_object().unwrap().clone();
        claims.insert("iat".into(), now.as_secs().into());
        claims.insert("exp".into(), now.plus(600).as_secs().into());
        let header = json!({ "kid": "f" }).as_object().unwrap().clone();
        jwt::sign("entity-statement+jwt", header, &claims, key).unwrap()
    };
    let (own, role) = (key(2), "openid_credential_issuer");
    let chain = vec![
        states(
            json!({ "iss": ISS, "sub": ISS, "jwks": named(&own, "f"), "authority_hints": [federation],
                "metadata": { role: { "jwks": named(&world.issuer, "key-1") } } }),
            &own,
        ),
        states(json!({ "iss": federation, "sub": ISS, "jwks": named(&own, "f") }), &anchor),
    ];
    let key_header = Some(IssuerKeyHeader::TrustChain { chain, kid: "key-1".into() });
    let member = world.credential(Wanted { key_header, ..Wanted::default() }).await;
    let certified = world.credential(Wanted::default()).await;

    // A wallet that answers every such query: the verifier judges by what it has loaded itself.
    let anchors = TrustAnchor::from_pem(world.authority.pem().as_bytes()).unwrap();
    let anyone = |authorities: KnownAuthorities, id: &str| {
        authorities.with_etsi_list(id, &anchors).with_federation(id, [ISS.to_owned()])
    };
    let ids = [LIST_URL, federation, "https://other.example", ISS];
    let rules = PresentationRules {
        authorities: ids.into_iter().fold(KnownAuthorities::NONE, anyone),
        ..PresentationRules::default()
    };
    let answer = async |kind: &str, value: &str, credential: &StoredCredential| {
        let query = own_query(json!({"trusted_authorities": [{"type": kind, "values": [value]}]}));
        let (_, link) = verifier.create(query).await;
        let held = std::slice::from_ref(credential);
        let (_, delivery) = verifier.present_with(&link, held, &rules).await.unwrap();
        if delivery.accepted { "accepted".to_owned() } else { delivery.code.unwrap() }
    };
    for (kind, value, credential, expected) in [
        ("etsi_tl", LIST_URL, &certified, "accepted"),
        ("etsi_tl", "https://other.example", &certified, "authority_mismatch"),
        ("openid_federation", federation, &member, "accepted"),
        // Every entity of the chain may be named, the issuer itself too.
        ("openid_federation", ISS, &member, "accepted"),
        ("openid_federation", "https://other.example", &member, "authority_mismatch"),
        // The certified one brings no chain.
        ("openid_federation", federation, &certified, "authority_mismatch"),
    ] {
        assert_eq!(answer(kind, value, credential).await, expected, "{kind} {value}");
    }
}

fn key(byte: u8) -> SoftwareKey {
    SoftwareKey::from_p256_scalar(&[byte; 32]).unwrap()
}
