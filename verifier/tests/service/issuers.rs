//! Whose key counts: DIDs and https issuers, only those that a trust rule names, and nothing is fetched for others.

use carekey_core::did::key as did_key;
use carekey_core::format::sd_jwt_vc::issue::IssuerKeyHeader;
use carekey_core::format::sd_jwt_vc::jwt_vc_issuer::JwtVcIssuerMetadata;
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::Signer;
use carekey_verifier::config::TrustRule;
use serde_json::{Value, json};

use crate::portal::Verifier;
use crate::world::{ISS, STATUS_URI, VCT, Wanted};

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
