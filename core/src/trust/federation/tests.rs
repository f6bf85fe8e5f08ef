use serde_json::json;

use super::*;
use crate::jose::jwk::Jwk;
use crate::jose::jwt;
use crate::key::{Signer as _, SoftwareKey};

const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);
const ANCHOR: &str = "https://anchor.example";
const MIDDLE: &str = "https://region.example";
const LEAF: &str = "https://hospital.region.example";

/// One entity with its federation key.
struct Entity {
    id: &'static str,
    key: SoftwareKey,
}

impl Entity {
    fn new(id: &'static str, byte: u8) -> Self {
        Self { id, key: SoftwareKey::from_p256_scalar(&[byte; 32]).unwrap() }
    }

    fn jwks(&self) -> Value {
        let mut jwk = Jwk::from_key(self.key.public_key());
        jwk.kid = Some("1".to_owned());
        json!({ "keys": [jwk.to_value()] })
    }

    /// A statement about `other` (or itself) with further claims.
    fn states(&self, other: &Self, further: &Value) -> String {
        let mut claims = json!({
            "iss": self.id, "sub": other.id, "iat": NOW.as_secs() - 60, "exp": NOW.as_secs() + 3_600,
            "jwks": other.jwks()
        });
        for (name, value) in further.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "kid": "1" }).as_object().unwrap().clone();
        jwt::sign(statement::TYP, header, claims.as_object().unwrap(), &self.key).unwrap()
    }
}

/// The chain of the tests; each part can be told differently.
struct Story {
    anchor: Entity,
    middle: Entity,
    leaf: Entity,
    of_leaf: Value,
    of_middle: Value,
    of_anchor: Value,
    anchor_configuration: bool,
}

impl Story {
    fn new() -> Self {
        Self {
            anchor: Entity::new(ANCHOR, 1),
            middle: Entity::new(MIDDLE, 2),
            leaf: Entity::new(LEAF, 3),
            of_leaf: json!({
                "authority_hints": [MIDDLE],
                "metadata": { "openid_credential_issuer": { "display": ["a", "b"], "jwks": { "keys": [] } } }
            }),
            of_middle: json!({}),
            of_anchor: json!({}),
            anchor_configuration: true,
        }
    }

    fn statements(&self) -> Vec<String> {
        let mut statements = vec![
            self.leaf.states(&self.leaf, &self.of_leaf),
            self.middle.states(&self.leaf, &self.of_middle),
            self.anchor.states(&self.middle, &self.of_anchor),
        ];
        if self.anchor_configuration {
            statements.push(self.anchor.states(&self.anchor, &json!({})));
        }
        statements
    }

    fn anchors(&self) -> Vec<FederationAnchor> {
        let keys = serde_json::from_value(self.anchor.jwks()).unwrap();
        vec![FederationAnchor { entity_id: ANCHOR.to_owned(), keys }]
    }

    fn judge(&self) -> Result<VerifiedTrustChain> {
        UnverifiedTrustChain::parse(&self.statements(), &Limits::DEFAULT)?.verify(&self.anchors(), NOW)
    }

    fn code(&self) -> &'static str {
        self.judge().map_or_else(|error| error.code(), |_| "ok")
    }
}

#[test]
fn a_chain_leads_to_its_anchor() {
    let mut story = Story::new();
    for anchor_configuration in [true, false] {
        story.anchor_configuration = anchor_configuration;
        let chain = story.judge().unwrap();
        assert_eq!((chain.subject(), chain.anchor()), (LEAF, ANCHOR));
        assert_eq!(chain.expires_at(), NOW.plus(3_600));
        assert_eq!(chain.metadata("openid_credential_issuer").unwrap()["display"], json!(["a", "b"]));
        assert!(chain.keys("openid_credential_issuer").unwrap().keys.is_empty());
        assert_eq!(chain.keys("openid_wallet_provider").unwrap_err().code(), "federation_role");
    }
    // The anchor itself is a chain of one.
    let own = story.anchor.states(&story.anchor, &json!({}));
    let chain = UnverifiedTrustChain::parse(&[own], &Limits::DEFAULT).unwrap();
    assert_eq!(chain.verify(&story.anchors(), NOW).unwrap().subject(), ANCHOR);
}

#[test]
fn every_break_is_refused() {
    let all = Story::new().statements();
    let anchors = Story::new().anchors();
    let code = |statements: &[String]| {
        let judged = UnverifiedTrustChain::parse(statements, &Limits::DEFAULT)
            .and_then(|chain| chain.verify(&anchors, NOW));
        judged.map_or_else(|error| error.code(), |_| "ok")
    };
    let pick = |places: &[usize]| places.iter().map(|place| all[*place].clone()).collect::<Vec<_>>();
    assert_eq!(code(&[]), "federation_chain");
    assert_eq!(code(&vec![all[0].clone(); 9]), "federation_chain", "too long");
    assert_eq!(code(&pick(&[1, 2, 3])), "federation_chain", "does not begin with the subject's own");
    assert_eq!(code(&pick(&[0, 2, 3])), "federation_chain", "a link is missing");
    assert_eq!(code(&pick(&[0, 1])), "federation_anchor");
    assert_eq!(code(&pick(&[0])), "federation_anchor");
    assert_eq!(code(&pick(&[0, 0, 1, 2])), "federation_chain", "the subject twice");

    // Another anchor of the same name, and a middle whose key the anchor did not vouch for.
    let mut story = Story::new();
    story.anchor = Entity::new(ANCHOR, 9);
    assert_eq!(code(&story.statements()), "federation_signature");
    let mut forged = Story::new();
    forged.middle = Entity::new(MIDDLE, 9);
    let mixed = [forged.statements()[..2].to_vec(), all[2..].to_vec()].concat();
    assert_eq!(code(&mixed), "federation_signature");
    let mut forged = Story::new();
    forged.leaf = Entity::new(LEAF, 9);
    let mixed = [forged.statements()[..1].to_vec(), all[1..].to_vec()].concat();
    assert_eq!(code(&mixed), "federation_signature");
}

#[test]
fn times_and_hints() {
    let mut story = Story::new();
    story.of_middle = json!({ "exp": NOW.as_secs() - 61 });
    assert_eq!(story.code(), "federation_statement_time");
    story.of_middle = json!({ "iat": NOW.as_secs() + 61 });
    assert_eq!(story.code(), "federation_statement_time");
    story.of_middle = json!({});
    story.of_leaf = json!({ "authority_hints": ["https://other.example"] });
    assert_eq!(story.code(), "federation_chain");
    story.of_leaf = json!({});
    assert_eq!(story.code(), "federation_chain", "no hint at all");
}

#[test]
fn statements_of_the_wrong_form() {
    let cases = [
        (json!({ "crit": ["x"] }), "federation_critical"),
        (json!({ "metadata_policy_crit": ["regexp"] }), "federation_critical"),
        (json!({ "authority_hints": [ANCHOR] }), "federation_statement"),
        (json!({ "metadata": { "t": null } }), "federation_statement"),
        (json!({ "metadata": { "t": { "p": null } } }), "federation_statement"),
        (json!({ "metadata_policy": [] }), "federation_policy"),
        (json!({ "constraints": { "max_path_length": -1 } }), "federation_statement"),
        (json!({ "constraints": { "naming_constraints": [] } }), "federation_statement"),
        (json!({ "jwks": { "keys": [{ "kty": "EC" }] } }), "federation_statement"),
        (json!({ "sub": "http://hospital.region.example" }), "federation_statement"),
        (json!({ "iat": "now" }), "jwt_claim"),
    ];
    for (claims, expected) in cases {
        let mut story = Story::new();
        story.of_middle = claims.clone();
        assert_eq!(story.code(), expected, "{claims}");
    }
    let mut story = Story::new();
    story.of_leaf["constraints"] = json!({});
    assert_eq!(story.code(), "federation_statement", "nobody constrains himself");
    // Another kind of JWT.
    let key = SoftwareKey::from_p256_scalar(&[3; 32]).unwrap();
    let other = jwt::sign("JWT", Map::new(), &Map::new(), &key).unwrap();
    assert!(UnverifiedTrustChain::parse(&[other], &Limits::DEFAULT).is_err());
}

#[test]
fn constraints_hold() {
    let cases = [
        // The examples of section 6.2.1, for a chain with one intermediate.
        (json!({ "max_path_length": 1 }), json!({ "max_path_length": 0 }), "ok"),
        (json!({ "max_path_length": 0 }), json!({}), "federation_constraint"),
        (json!({ "naming_constraints": { "permitted": [".example"] } }), json!({}), "ok"),
        (
            json!({ "naming_constraints": { "permitted": ["region.example"] } }),
            json!({}),
            "federation_constraint",
        ),
        (
            json!({ "naming_constraints": { "permitted": ["region.example", ".region.example"] } }),
            json!({ "naming_constraints": { "excluded": ["other.example"] } }),
            "ok",
        ),
        (
            json!({ "naming_constraints": { "permitted": [".example"], "excluded": ["hospital.region.example"] } }),
            json!({}),
            "federation_constraint",
        ),
        (json!({ "unknown_constraint": true }), json!({}), "ok"),
    ];
    for (of_anchor, of_middle, expected) in cases {
        let mut story = Story::new();
        story.of_anchor = json!({ "constraints": of_anchor });
        story.of_middle = json!({ "constraints": of_middle });
        assert_eq!(story.code(), expected, "{of_anchor} {of_middle}");
    }
    let mut story = Story::new();
    story.of_anchor = json!({ "constraints": { "allowed_entity_types": ["openid_provider"] } });
    assert!(story.judge().unwrap().metadata("openid_credential_issuer").is_none());
}

#[test]
fn metadata_are_resolved_from_the_anchor_down() {
    let issuer = |operators: Value| json!({ "metadata_policy": { "openid_credential_issuer": operators } });
    let mut story = Story::new();
    story.of_anchor = issuer(json!({ "display": { "subset_of": ["a", "b", "c"] } }));
    story.of_middle = issuer(json!({ "display": { "subset_of": ["b", "c"] } }));
    // What the superior says comes before the policies.
    story.of_middle["metadata"] = json!({
        "openid_credential_issuer": { "display": ["c", "d"] }, "openid_provider": { "issuer": "x" }
    });
    let chain = story.judge().unwrap();
    assert_eq!(chain.metadata("openid_credential_issuer").unwrap()["display"], json!(["c"]));
    assert!(chain.metadata("openid_provider").is_none(), "a role that the subject does not claim");

    story.of_middle = issuer(json!({ "display": { "superset_of": ["z"] } }));
    assert_eq!(story.code(), "federation_policy");
}
