use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use serde_json::json;

use super::*;
use crate::encoding::base64;
use crate::jose::jwk::Jwk;
use crate::jose::jwt;
use crate::key::{Signer as _, SoftwareKey};
use crate::trust::federation::FederationAnchor;

const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);
const VCT: &str = "https://hospital.example/vct/patient-identity";
const ISS: &str = "https://hospital.example";

/// A certification authority and the `x5c` of a hospital below it.
fn authority(name: &str) -> (TrustAnchor, Vec<String>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let anchor = params.self_signed(&key).unwrap();
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI(ISS.try_into().unwrap())];
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::from_params(&params, &key)).unwrap();
    (TrustAnchor::from_der(anchor.der()).unwrap(), vec![base64::encode(leaf.der())])
}

fn vcts(vct: &str) -> Vec<String> {
    vec![vct.to_owned()]
}

#[test]
fn the_verdict_names_what_it_rests_on() {
    let (anchor, x5c) = authority("Ministry");
    let sha256 = data_encoding::HEXLOWER.encode(&anchor.certificate().sha256());
    let rule = IssuerRule { name: "ministry".into(), anchors: vec![anchor.clone()], ..IssuerRule::default() };
    let issuer = IssuerTrust::new(vec![rule]).by_certificate(VCT, Some(ISS), &x5c, NOW).unwrap();
    assert_eq!(issuer.trusted_by(), TrustedBy::Certificate);
    assert!(issuer.basis().anchor.contains("Ministry"), "{:?}", issuer.basis());
    assert_eq!(issuer.basis().sha256.as_deref(), Some(sha256.as_str()));
    assert_eq!(issuer.basis().rule.as_deref(), Some("ministry"));

    let listed = ListedAnchor { anchor, entity: "Hospital".into(), list: "Office, list 7".into() };
    let rule = IssuerRule { listed: vec![listed], ..IssuerRule::default() };
    let issuer = IssuerTrust::new(vec![rule]).by_certificate(VCT, Some(ISS), &x5c, NOW).unwrap();
    let basis = issuer.basis();
    assert_eq!(basis.entity.as_deref(), Some("Hospital"));
    assert_eq!(basis.list.as_deref(), Some("Office, list 7"));
    assert_eq!(basis.rule, None);
}

#[test]
fn an_anchor_counts_only_for_the_types_of_its_rule() {
    let (anchor, x5c) = authority("Ministry");
    let rule = |vct: &str, name: &str| IssuerRule {
        name: name.into(),
        vcts: vcts(vct),
        anchors: vec![anchor.clone()],
        ..IssuerRule::default()
    };
    let trust = IssuerTrust::new(vec![rule("urn:a", "a"), rule("urn:b", "b")]);
    for name in ["a", "b"] {
        let issuer = trust.by_certificate(&format!("urn:{name}"), Some(ISS), &x5c, NOW).unwrap();
        assert_eq!(issuer.basis().rule.as_deref(), Some(name));
    }
    let code = |trust: &IssuerTrust, vct: &str, x5c: &[String]| {
        trust.by_certificate(vct, Some(ISS), x5c, NOW).unwrap_err().code()
    };
    assert_eq!(code(&trust, "urn:c", &x5c), "issuer_untrusted", "no rule for the type");
    let (other, _) = authority("Other");
    let trust = IssuerTrust::new(vec![
        IssuerRule { vcts: vcts("urn:c"), anchors: vec![other], ..IssuerRule::default() },
        rule("urn:a", "a"),
    ]);
    assert_eq!(code(&trust, "urn:c", &x5c), "x509_untrusted", "a rule for the type, with another anchor");
}

#[test]
fn ten_thousand_issuers() {
    let did = |number: usize| Did::parse(&format!("did:web:h{number}.example")).unwrap();
    let (anchor, x5c) = authority("Ministry");
    let mut rules: Vec<IssuerRule> = (0..10_000)
        .map(|number| IssuerRule {
            vcts: vcts(&format!("urn:type:{number}")),
            dids: vec![did(number)],
            https_issuers: vec![format!("https://h{number}.example")],
            ..IssuerRule::default()
        })
        .collect();
    rules.push(IssuerRule { anchors: vec![anchor], ..IssuerRule::default() });
    let trust = IssuerTrust::new(rules);
    for number in [0, 5_000, 9_999] {
        let own = format!("urn:type:{number}");
        assert!(trust.check_did(&own, &did(number)).is_ok());
        assert!(trust.check_https_issuer(&own, &format!("https://h{number}.example")).is_ok());
        let error = trust.check_did("urn:type:1", &did(number)).unwrap_err();
        assert_eq!(error.code(), "issuer_untrusted", "trusted for another type");
    }
    assert!(trust.by_certificate("urn:type:3", Some(ISS), &x5c, NOW).is_ok());
}

/// However many anchors there are, those of the issuer's name are looked at and no others.
#[test]
fn a_look_up_sees_one_anchor_of_ten_thousand() {
    let key = KeyPair::generate().unwrap();
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        TrustAnchor::from_der(params.self_signed(&key).unwrap().der()).unwrap()
    };
    let others: Vec<TrustAnchor> = (0..10_000).map(|number| named(&format!("Authority {number}"))).collect();
    let (anchor, x5c) = authority("Ministry");
    for count in [10, 1_000, 10_000] {
        let anchors = others.iter().take(count - 1).cloned().chain([anchor.clone()]);
        let looked = std::cell::Cell::new(0);
        let count_look = |_: &TrustAnchor| {
            looked.set(looked.get() + 1);
            true
        };
        let chain = UnverifiedChain::parse(&x5c, &Limits::DEFAULT).unwrap();
        chain.verify_with(&AnchorIndex::new(anchors.clone()), count_look, NOW).unwrap();
        assert_eq!(looked.get(), 1, "of {count}");
        let rule = IssuerRule { anchors: anchors.collect(), ..IssuerRule::default() };
        let found = IssuerTrust::new(vec![rule]).by_certificate(VCT, Some(ISS), &x5c, NOW).unwrap();
        assert!(found.basis().anchor.contains("Ministry"));
    }
}

/// A hospital in a federation: its chain, and the anchor.
fn federation(role: &str, iss: &str) -> (Vec<String>, FederationAnchor, SoftwareKey) {
    let key = |byte: u8| SoftwareKey::from_p256_scalar(&[byte; 32]).unwrap();
    let (anchor, leaf, credential_key) = (key(1), key(2), key(3));
    let jwks = |key: &SoftwareKey, kid: &str| {
        let mut jwk = Jwk::from_key(key.public_key());
        jwk.kid = Some(kid.to_owned());
        json!({ "keys": [jwk.to_value()] })
    };
    let statement = |claims: serde_json::Value, key: &SoftwareKey| {
        let mut claims = claims.as_object().unwrap().clone();
        claims.insert("iat".into(), NOW.as_secs().into());
        claims.insert("exp".into(), (NOW.as_secs() + 600).into());
        let header = json!({ "kid": "f" }).as_object().unwrap().clone();
        jwt::sign("entity-statement+jwt", header, &claims, key).unwrap()
    };
    let chain = vec![
        statement(
            json!({ "iss": iss, "sub": iss, "jwks": jwks(&leaf, "f"), "authority_hints": ["https://ta.example"],
                "metadata": { role: { "jwks": jwks(&credential_key, "c") } } }),
            &leaf,
        ),
        statement(json!({ "iss": "https://ta.example", "sub": iss, "jwks": jwks(&leaf, "f") }), &anchor),
    ];
    let keys = serde_json::from_value(jwks(&anchor, "f")).unwrap();
    (chain, FederationAnchor { entity_id: "https://ta.example".into(), keys }, credential_key)
}

#[test]
fn a_member_of_a_federation() {
    let (chain, anchor, key) = federation("openid_credential_issuer", ISS);
    let rule = IssuerRule { vcts: vcts(VCT), federations: vec![anchor.clone()], ..IssuerRule::default() };
    let trust = IssuerTrust::new(vec![rule]);
    let issuer = trust.by_trust_chain(VCT, ISS, Some("c"), &chain, NOW).unwrap();
    assert_eq!((issuer.iss(), issuer.trusted_by()), (ISS, TrustedBy::Federation));
    assert_eq!(issuer.issuer_key().key(), key.public_key());
    assert_eq!(issuer.basis().anchor, "https://ta.example");
    assert!(issuer.check_current(NOW.plus(600)).is_ok());
    assert_eq!(issuer.check_current(NOW.plus(601)).unwrap_err().code(), "issuer_certificate_expired");

    let code = |vct: &str, iss: &str, kid: &str, chain: &[String]| {
        trust.by_trust_chain(vct, iss, Some(kid), chain, NOW).unwrap_err().code()
    };
    assert_eq!(code("urn:other", ISS, "c", &chain), "issuer_untrusted");
    assert_eq!(code(VCT, "https://other.example", "c", &chain), "federation_subject");
    assert_eq!(code(VCT, ISS, "other", &chain), "issuer_key_unknown");
    let (chain, ..) = federation("openid_provider", ISS);
    assert_eq!(code(VCT, ISS, "c", &chain), "federation_role");
    let unknown = FederationAnchor { entity_id: "https://other.example".into(), ..anchor };
    let rule = IssuerRule { federations: vec![unknown], ..IssuerRule::default() };
    let error = IssuerTrust::new(vec![rule]).by_trust_chain(VCT, ISS, Some("c"), &chain, NOW).unwrap_err();
    assert_eq!(error.code(), "federation_anchor");
}
