//! Issue, present, verify; and every refusal with a presentation that is wrong in one way only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use carekey_core::UnixTime;
use carekey_core::credential::claims::{ClaimPath, PathElement};
use carekey_core::credential::issuer_key::{IssuerKey, IssuerKeyReference};
use carekey_core::credential::validity::Validity;
use carekey_core::encoding::base64url;
use carekey_core::error::Result;
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::issue::{
    DisclosureFrame, IssueDraft, IssueInput, IssuerKeyHeader, issue,
};
use carekey_core::format::sd_jwt_vc::key_binding::{KeyBindingCheck, KeyBindingInput, TransactionDataHashes};
use carekey_core::format::sd_jwt_vc::verify::{Timing, UnverifiedSdJwtVc, VerifiedPresentation};
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::status::reference::StatusReference;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ISS: &str = "https://hospital.example";
const VCT: &str = "https://hospital.example/vct/patient-identity";
const NOW: i64 = 1_796_000_100;

struct World {
    issuer: SoftwareKey,
    holder: SoftwareKey,
}

fn world() -> World {
    let key = || SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    World { issuer: key(), holder: key() }
}

fn path(value: Value) -> ClaimPath {
    serde_json::from_value(value).unwrap()
}

fn claims() -> Map<String, Value> {
    let claims = json!({
        "given_name": "Zoë Ægidius", "family_name": "Müller", "birthdate": "1980-02-29",
        "identifiers": [
            {"system": "urn:oid:1.2.3", "value": "A-1"}, {"system": "urn:oid:1.2.4", "value": "B-2", "type": "MR"}
        ],
        "address": {"street_address": "Weg 1", "locality": "Graz", "country": "AT"},
        "plain": {"visible": true}
    });
    claims.as_object().unwrap().clone()
}

fn frame() -> DisclosureFrame {
    let paths = [
        json!(["given_name"]),
        json!(["family_name"]),
        json!(["birthdate"]),
        json!(["identifiers"]),
        json!(["identifiers", null]),
        json!(["address"]),
        json!(["address", "street_address"]),
        json!(["address", "locality"]),
        json!(["address", "country"]),
        json!(["phone_number"]),
    ];
    let paths = paths.map(path);
    DisclosureFrame::of(&paths).decoys(None, 3).decoys(Some(&path(json!(["identifiers"]))), 2)
}

fn input<'a>(
    world: &'a World,
    frame: &'a DisclosureFrame,
    status: Option<&'a StatusReference>,
) -> IssueInput<'a> {
    IssueInput {
        vct: VCT,
        iss: Some(ISS),
        validity: Validity {
            issued_at: Some(UnixTime::from_secs(NOW - 100)),
            not_before: None,
            expires_at: Some(UnixTime::from_secs(NOW + 1000)),
        },
        holder_key: Some(world.holder.public_key()),
        status,
        vct_integrity: None,
        aka_vcts: &[],
        claims: claims(),
        frame,
        key_header: IssuerKeyHeader::Kid("key-1".into()),
        digest_algorithm: DigestAlgorithm::Sha256,
    }
}

fn issued(world: &World) -> String {
    issue(input(world, &frame(), None), &world.issuer, &SystemRandom).unwrap()
}

fn parse(compact: &str) -> Result<UnverifiedSdJwtVc> {
    UnverifiedSdJwtVc::parse(compact, &Limits::DEFAULT)
}

fn timing(now: i64) -> Timing {
    Timing { now: UnixTime::from_secs(now), skew: 60 }
}

fn kb_input<'a>(data: Option<&'a TransactionDataHashes>) -> KeyBindingInput<'a> {
    KeyBindingInput {
        audience: "x509_san_dns:portal.example",
        nonce: "n-0S6_WzA2Mj",
        issued_at: UnixTime::from_secs(NOW),
        expires_at: Some(UnixTime::from_secs(NOW + 120)),
        transaction_data: data,
        extra: Map::new(),
    }
}

fn kb_check(data: &[String]) -> KeyBindingCheck<'_> {
    KeyBindingCheck {
        audience: "x509_san_dns:portal.example",
        nonce: "n-0S6_WzA2Mj",
        max_age: 300,
        transaction_data: data,
        transaction_data_algorithms: &[],
    }
}

fn presented(world: &World, compact: &str, paths: &[ClaimPath]) -> String {
    let presentation = parse(compact).unwrap().present(paths).unwrap();
    presentation.bind(SignatureAlgorithm::Es256, kb_input(None)).unwrap().sign(&world.holder).unwrap()
}

fn verify(world: &World, compact: &str) -> Result<VerifiedPresentation> {
    let key = IssuerKey::pinned(world.issuer.public_key().clone(), ISS);
    parse(compact)?.verify_presentation(&key, timing(NOW + 1), &kb_check(&[]))
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}

#[test]
fn issue_hold_present_verify() {
    let world = world();
    let status = StatusReference { idx: 7, uri: "https://hospital.example/status/1".into() };
    let compact = issue(input(&world, &frame(), Some(&status)), &world.issuer, &SystemRandom).unwrap();
    let key = IssuerKey::pinned(world.issuer.public_key().clone(), ISS);
    let held = parse(&compact).unwrap();
    assert_eq!(
        held.issuer_key_reference().unwrap(),
        IssuerKeyReference::WellKnown { iss: ISS.into(), kid: Some("key-1".into()) }
    );
    let held = held.verify_issued(&key, timing(NOW)).unwrap();
    for (name, value) in claims() {
        assert_eq!(held.claims()[&name], value);
    }
    let paths = [json!(["family_name"]), json!(["identifiers", 1]), json!(["address", "locality"])].map(path);
    let presentation = held.sd_jwt_vc().present(&paths).unwrap();
    let seen = presentation.claims().clone();
    let sd_hash = presentation.sd_hash();
    let mut with_extra = kb_input(None);
    with_extra.extra.insert("webauthn_assertion".into(), json!({"id": "x"}));
    let draft = presentation.bind(SignatureAlgorithm::Es256, with_extra).unwrap();
    let signature = world.holder.sign(draft.signing_input()).unwrap();
    let verified = verify(&world, &draft.assemble(&signature)).unwrap();
    let credential = verified.credential();
    assert_eq!(*credential.claims(), seen);
    assert_eq!(
        credential.claims()["identifiers"],
        json!([{"system": "urn:oid:1.2.4", "value": "B-2", "type": "MR"}])
    );
    assert_eq!(credential.claims()["address"], json!({"locality": "Graz"}));
    assert_eq!(credential.claims()["plain"], json!({"visible": true}));
    assert!(!credential.claims().contains_key("given_name") && !credential.claims().contains_key("_sd_alg"));
    assert_eq!((credential.issuer(), credential.vct()), (ISS, VCT));
    assert_eq!(credential.holder_key(), Some(world.holder.public_key()));
    assert_eq!(credential.status(), Some(&status));
    assert_eq!(credential.sd_hash(), sd_hash);
    assert_eq!(verified.key_binding().claims()["webauthn_assertion"], json!({"id": "x"}));
    assert_eq!(verified.key_binding().issued_at(), UnixTime::from_secs(NOW));
}

/// A presentation that is signed as an issuer would, with a payload and disclosures of the test's choice.
struct Forge {
    header: Value,
    payload: Value,
    disclosures: Vec<String>,
}

fn encoded(disclosure: Value) -> String {
    base64url::encode(disclosure.to_string().as_bytes())
}

fn digest(encoded: &str) -> String {
    DigestAlgorithm::Sha256.digest(encoded)
}

impl Forge {
    fn new(world: &World) -> Self {
        let cnf = carekey_core::jose::jwk::Jwk::from_key(world.holder.public_key()).to_value();
        let disclosures =
            vec![encoded(json!(["c2FsdA", "given_name", "Zoë"])), encoded(json!(["c2FsdB", "DE"]))];
        let payload = json!({
            "iss": ISS, "vct": VCT, "iat": NOW - 100, "exp": NOW + 1000, "cnf": {"jwk": cnf},
            "_sd": [digest(&disclosures[0]), "decoy"], "nationalities": [{"...": digest(&disclosures[1])}, "AT"]
        });
        Self { header: json!({"typ": "dc+sd-jwt", "kid": "key-1"}), payload, disclosures }
    }

    fn sd_jwt(&self, world: &World) -> String {
        let header = self.header.as_object().unwrap().clone();
        let jwt = jws::sign(header, self.payload.to_string().as_bytes(), &world.issuer).unwrap();
        let disclosures: String = self.disclosures.iter().map(|one| format!("{one}~")).collect();
        format!("{jwt}~{disclosures}")
    }

    fn presented(&self, world: &World) -> String {
        let sd_jwt = self.sd_jwt(world);
        let claims = kb_claims(&digest(&sd_jwt));
        format!("{sd_jwt}{}", kb_jwt(json!({"typ": "kb+jwt"}), claims, &world.holder))
    }
}

fn kb_claims(sd_hash: &str) -> Value {
    json!({"aud": "x509_san_dns:portal.example", "nonce": "n-0S6_WzA2Mj", "iat": NOW, "sd_hash": sd_hash})
}

fn kb_jwt(header: Value, claims: Value, key: &dyn Signer) -> String {
    jws::sign(header.as_object().unwrap().clone(), claims.to_string().as_bytes(), key).unwrap()
}

#[test]
fn forged_presentation_without_fault_is_accepted() {
    let world = world();
    let forge = Forge::new(&world);
    let verified = verify(&world, &forge.presented(&world)).unwrap();
    assert_eq!(verified.credential().claims()["nationalities"], json!(["DE", "AT"]));
    let legacy = Forge { header: json!({"typ": "vc+sd-jwt", "kid": "key-1"}), ..forge };
    assert!(verify(&world, &legacy.presented(&world)).is_ok());
}

/// One change of the issuer-signed part each, signed by the issuer's own key.
#[test]
fn refused_credentials() {
    let world = world();
    type Change = fn(&mut Forge);
    let cases: &[(&str, Change)] = &[
        ("sd_jwt_duplicate_digest", |f| f.payload["x"] = json!({"_sd": ["decoy"]})),
        ("sd_jwt_duplicate_digest", |f| f.payload["nationalities"][1] = json!({"...": "decoy"})),
        ("sd_jwt_duplicate_disclosure", |f| f.disclosures.push(f.disclosures[0].clone())),
        ("sd_jwt_unreferenced_disclosure", |f| f.disclosures.push(encoded(json!(["c2FsdC", "x", 1])))),
        ("sd_alg_unknown", |f| f.payload["_sd_alg"] = json!("sha-1")),
        ("sd_alg_unknown", |f| f.payload["_sd_alg"] = json!(256)),
        ("sd_jwt_reserved_name", |f| f.payload["x"] = json!({"_sd_alg": "sha-256"})),
        ("sd_jwt_reserved_name", |f| f.payload["..."] = json!("x")),
        ("sd_jwt_reserved_name", |f| f.payload["x"] = json!({"...": "x"})),
        ("sd_jwt_reserved_name", |f| f.payload["x"] = json!([{"...": "x", "y": 1}])),
        ("sd_jwt_reserved_name", |f| f.payload["x"] = json!({"_sd": "x"})),
        ("sd_jwt_reserved_name", |f| f.payload["x"] = json!({"_sd": [{}]})),
        ("sd_jwt_reserved_name", |f| f.disclosures.push(encoded(json!(["s", "_sd", []])))),
        ("sd_jwt_reserved_name", |f| f.disclosures.push(encoded(json!(["s", "...", "x"])))),
        ("sd_jwt_claim_collision", |f| f.payload["given_name"] = json!("other")),
        ("sd_jwt_disclosure_kind", |f| {
            let element = encoded(json!(["c2FsdD", 1]));
            f.payload["x"] = json!({"_sd": [digest(&element)]});
            f.disclosures.push(element);
        }),
        ("sd_jwt_disclosure_kind", |f| {
            let member = encoded(json!(["c2FsdD", "x", 1]));
            f.payload["x"] = json!([{"...": digest(&member)}]);
            f.disclosures.push(member);
        }),
        ("sd_jwt_disclosure", |f| f.disclosures.push(encoded(json!(["s"])))),
        ("sd_jwt_disclosure", |f| f.disclosures.push(encoded(json!({"salt": "s"})))),
        ("sd_jwt_disclosure", |f| f.disclosures.push(encoded(json!([1, "x", 1])))),
        ("base64url", |f| f.disclosures.push("WyJz=".into())),
        ("json_syntax", |f| f.disclosures.push(base64url::encode(b"[\"s\","))),
        ("json_duplicate_member", |f| f.disclosures.push(base64url::encode(br#"["s","x",{"a":1,"a":2}]"#))),
        ("sd_jwt", |f| f.disclosures.push(String::new())),
        ("sd_jwt_too_many_disclosures", |f| {
            f.disclosures = (0..501).map(|n| encoded(json!(["s", n]))).collect()
        }),
        ("json_too_deep", |f| f.payload["x"] = (0..20).fold(json!(1), |inner, _| json!([inner]))),
        ("sd_jwt_too_deep", |f| {
            // Each disclosure is flat; together they nest too deeply.
            let mut inner = encoded(json!(["s", "n", 1]));
            for _ in 0..16 {
                let outer = encoded(json!(["s", "n", {"_sd": [digest(&inner)]}]));
                f.disclosures.push(std::mem::replace(&mut inner, outer));
            }
            f.payload["x"] = json!({"_sd": [digest(&inner)]});
            f.disclosures.push(inner);
        }),
        ("json_too_many", |f| f.payload["x"] = json!(vec![1; 10_001])),
        ("token_too_large", |f| f.payload["x"] = json!("x".repeat(256 * 1024))),
        ("sd_jwt_vc_typ", |f| f.header = json!({"typ": "jwt"})),
        ("sd_jwt_vc_typ", |f| f.header = json!({"typ": "example+sd-jwt"})),
        ("sd_jwt_vc_typ", |f| f.header = json!({"kid": "key-1"})),
        ("jws_crit", |f| f.header = json!({"typ": "dc+sd-jwt", "crit": ["x"], "x": 1})),
        ("sd_jwt_vc_claims", |f| f.payload["vct"] = json!(5)),
        ("sd_jwt_vc_claims", |f| f.payload["vct"] = json!("")),
        ("sd_jwt_vc_claims", |f| drop(f.payload.as_object_mut().unwrap().remove("vct"))),
        ("sd_jwt_vc_claims", |f| f.payload["iss"] = json!(["a"])),
        ("sd_jwt_vc_claims", |f| f.payload["vct#integrity"] = json!(1)),
        ("sd_jwt_vc_claims", |f| f.payload["aka_vcts"] = json!([])),
        ("sd_jwt_vc_claims", |f| f.payload["aka_vcts"] = json!([VCT])),
        ("sd_jwt_vc_claims", |f| f.payload["aka_vcts"] = json!([1])),
        ("issuer_mismatch", |f| f.payload["iss"] = json!("https://evil.example")),
        ("issuer_mismatch", |f| drop(f.payload.as_object_mut().unwrap().remove("iss"))),
        ("credential_expired", |f| f.payload["exp"] = json!(NOW - 60)),
        ("credential_not_yet_valid", |f| f.payload["nbf"] = json!(NOW + 100)),
        ("credential_issued_in_future", |f| f.payload["iat"] = json!(NOW + 100)),
        ("jwt_claim", |f| f.payload["exp"] = json!("tomorrow")),
        ("status_claim", |f| {
            f.payload["status"] = json!({"status_list": {"idx": -1, "uri": "https://a.example"}})
        }),
        ("status_mechanism", |f| f.payload["status"] = json!({"other": {}})),
        ("holder_key_missing", |f| drop(f.payload.as_object_mut().unwrap().remove("cnf"))),
        ("holder_key_missing", |f| f.payload["cnf"] = json!({"kid": "x"})),
        ("sd_jwt_vc_cnf", |f| f.payload["cnf"] = json!("x")),
        ("jwk_private", |f| f.payload["cnf"]["jwk"]["d"] = json!("AQ")),
        ("public_key", |f| f.payload["cnf"]["jwk"]["y"] = f.payload["cnf"]["jwk"]["x"].clone()),
    ];
    for (position, (expected, change)) in cases.iter().enumerate() {
        let mut forge = Forge::new(&world);
        change(&mut forge);
        assert_eq!(code(verify(&world, &forge.presented(&world))), *expected, "case {position}");
    }
    // Claims that must always be visible, hidden as a whole or in part.
    for name in ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"] {
        let mut forge = Forge::new(&world);
        let hidden = encoded(json!(["c2FsdE", name, "x"]));
        forge.payload["_sd"] = json!([digest(&hidden)]);
        forge.payload.as_object_mut().unwrap().remove(name);
        forge.disclosures = vec![hidden];
        forge.payload["nationalities"] = json!([]);
        assert_eq!(code(parse(&forge.sd_jwt(&world))), "sd_jwt_vc_never_selective", "{name}");
        let mut forge = Forge::new(&world);
        forge.payload[name] = json!({"x": [{"_sd": []}]});
        assert_eq!(code(parse(&forge.sd_jwt(&world))), "sd_jwt_vc_never_selective", "{name}");
    }
    // `sub` and `iat` may be hidden.
    let mut forge = Forge::new(&world);
    let hidden = encoded(json!(["c2FsdE", "sub", "x"]));
    forge.payload["_sd"] = json!([digest(&hidden)]);
    forge.disclosures[0] = hidden;
    assert!(verify(&world, &forge.presented(&world)).is_ok());
}

/// One change of the Key Binding JWT each.
#[test]
fn refused_key_bindings() {
    let world = world();
    let sd_jwt = Forge::new(&world).sd_jwt(&world);
    let good = kb_claims(&digest(&sd_jwt));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        claims
    };
    let typ = json!({"typ": "kb+jwt"});
    let present = |header: &Value, claims: Value, key: &SoftwareKey| {
        verify(&world, &format!("{sd_jwt}{}", kb_jwt(header.clone(), claims, key)))
    };
    assert!(present(&typ, good.clone(), &world.holder).is_ok());
    for (expected, claims) in [
        ("kb_jwt_nonce", with("nonce", json!("other"))),
        ("jwt_claim_missing", with("nonce", Value::Null)),
        ("jwt_claim", with("nonce", json!(5))),
        ("kb_jwt_audience", with("aud", json!("https://other.example"))),
        ("jwt_claim_missing", with("aud", Value::Null)),
        ("jwt_claim", with("aud", json!(["x509_san_dns:portal.example"]))),
        ("kb_jwt_sd_hash", with("sd_hash", json!(digest("other")))),
        ("jwt_claim_missing", with("sd_hash", Value::Null)),
        ("jwt_claim_missing", with("iat", Value::Null)),
        ("jwt_claim", with("iat", json!("now"))),
        ("kb_jwt_stale", with("iat", json!(NOW - 360))),
        ("kb_jwt_stale", with("iat", json!(NOW - 86_400))),
        ("kb_jwt_in_future", with("iat", json!(NOW + 62))),
        ("kb_jwt_in_future", with("iat", json!(NOW + 86_400))),
        ("kb_jwt_expired", with("exp", json!(NOW - 60))),
        ("kb_jwt_not_yet_valid", with("nbf", json!(NOW + 100))),
        ("kb_jwt_transaction_data", with("transaction_data_hashes", json!([digest("unasked")]))),
        ("kb_jwt_claims", with("transaction_data_hashes", json!("x"))),
    ] {
        assert_eq!(code(present(&typ, claims.clone(), &world.holder)), expected, "{claims}");
    }
    for (at_the_edge, name) in [(NOW - 359, "iat"), (NOW + 61, "iat"), (NOW - 58, "exp")] {
        assert!(present(&typ, with(name, json!(at_the_edge)), &world.holder).is_ok());
    }
    let thief = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    assert_eq!(code(present(&typ, good.clone(), &thief)), "kb_jwt_signature_invalid");
    let ed = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
    assert_eq!(code(present(&typ, good.clone(), &ed)), "alg_mismatch");
    for header in [json!({}), json!({"typ": "JWT"}), json!({"typ": "dc+sd-jwt"})] {
        assert_eq!(code(present(&header, good.clone(), &world.holder)), "kb_jwt_typ");
    }
    let unsigned = format!("{}.{}.", encoded(json!({"alg": "none", "typ": "kb+jwt"})), encoded(good.clone()));
    assert_eq!(code(verify(&world, &format!("{sd_jwt}{unsigned}"))), "alg_none");
    assert_eq!(code(verify(&world, &sd_jwt)), "kb_jwt_missing");
    assert_eq!(code(verify(&world, sd_jwt.trim_end_matches('~'))), "jws");
    assert_eq!(code(verify(&world, sd_jwt.split('~').next().unwrap())), "sd_jwt");
    for bad in ["", "~", "~~", "a~b", "..~", "~a.b.c"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    // What an issuer sends carries no key binding.
    let key = IssuerKey::pinned(world.issuer.public_key().clone(), ISS);
    let bound = parse(&Forge::new(&world).presented(&world)).unwrap();
    assert_eq!(code(bound.verify_issued(&key, timing(NOW))), "kb_jwt_unexpected");
}

#[test]
fn wrong_issuer_keys() {
    let world = world();
    let compact = presented(&world, &issued(&world), &[]);
    let other = IssuerKey::pinned(world.holder.public_key().clone(), ISS);
    let check = kb_check(&[]);
    let result = parse(&compact).unwrap().verify_presentation(&other, timing(NOW), &check);
    assert_eq!(code(result), "credential_signature_invalid");
    let other = IssuerKey::pinned(world.issuer.public_key().clone(), "https://other.example");
    let result = parse(&compact).unwrap().verify_presentation(&other, timing(NOW), &check);
    assert_eq!(code(result), "issuer_mismatch");
    let (sd_jwt, kb) = compact.rsplit_once('~').unwrap();
    let (_, signed) = sd_jwt.split_once('.').unwrap();
    let unsigned = format!("{}.{signed}~{kb}", encoded(json!({"alg": "none", "typ": "dc+sd-jwt"})));
    assert_eq!(code(verify(&world, &unsigned)), "alg_none");
}

#[test]
fn transaction_data() {
    let world = world();
    let sent = ["eyJ0eXBlIjoiYSJ9".to_owned(), "eyJ0eXBlIjoiYiJ9".to_owned()];
    let held = parse(&issued(&world)).unwrap();
    let present = |strings: &[String], algorithm| {
        let hashes = TransactionDataHashes::new(strings, algorithm);
        let draft =
            held.present(&[]).unwrap().bind(SignatureAlgorithm::Es256, kb_input(Some(&hashes))).unwrap();
        parse(&draft.sign(&world.holder).unwrap()).unwrap()
    };
    let key = IssuerKey::pinned(world.issuer.public_key().clone(), ISS);
    let judge = |presented: UnverifiedSdJwtVc, algorithms: &[DigestAlgorithm]| {
        let check = KeyBindingCheck { transaction_data_algorithms: algorithms, ..kb_check(&sent) };
        presented.verify_presentation(&key, timing(NOW), &check)
    };
    use DigestAlgorithm::{Sha256, Sha384};
    let verified = judge(present(&sent, Sha256), &[]).unwrap();
    assert_eq!(
        verified.key_binding().transaction_data().unwrap().hashes(),
        sent.each_ref().map(|text| digest(text))
    );
    assert!(judge(present(&sent, Sha384), &[Sha256, Sha384]).is_ok());
    let reversed = [sent[1].clone(), sent[0].clone()];
    let more = [sent[0].clone(), sent[1].clone(), "x".into()];
    for (presented, algorithms) in [
        (present(&sent, Sha384), &[][..]),
        (present(&sent, Sha256), &[Sha384]),
        (present(&sent[..1], Sha256), &[]),
        (present(&reversed, Sha256), &[]),
        (present(&more, Sha256), &[]),
        (present(&["other".into(), sent[1].clone()], Sha256), &[]),
        (present(&[], Sha256), &[]),
        (parse(&presented_without_data(&world, &held)).unwrap(), &[]),
    ] {
        assert_eq!(code(judge(presented, algorithms)), "kb_jwt_transaction_data");
    }
}

fn presented_without_data(world: &World, held: &UnverifiedSdJwtVc) -> String {
    let draft = held.present(&[]).unwrap().bind(SignatureAlgorithm::Es256, kb_input(None)).unwrap();
    draft.sign(&world.holder).unwrap()
}

#[test]
fn only_what_was_asked_leaves() {
    let world = world();
    let compact = issued(&world);
    let held = parse(&compact).unwrap();
    let leaving = |paths: Value| {
        let paths: Vec<ClaimPath> = serde_json::from_value(paths).unwrap();
        let presentation = held.present(&paths).unwrap();
        let names = parse(presentation.sd_jwt()).unwrap();
        let mut names: Vec<_> =
            names.disclosures().iter().map(|one| one.name().unwrap_or("[]").to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    for (paths, names) in [
        (json!([]), ""),
        (json!([["plain"]]), ""),
        (json!([["plain", "visible"], ["vct"], ["cnf"]]), ""),
        (json!([["given_name"]]), "given_name"),
        (json!([["given_name"], ["given_name"]]), "given_name"),
        (json!([["address", "locality"]]), "address locality"),
        (json!([["address"]]), "address country locality street_address"),
        (json!([["identifiers", 0]]), "[] identifiers"),
        (json!([["identifiers", 1, "type"]]), "[] identifiers"),
        (json!([["identifiers", null]]), "[] [] identifiers"),
        (json!([["identifiers", null, "type"]]), "[] identifiers"),
        (json!([["identifiers"]]), "[] [] identifiers"),
    ] {
        assert_eq!(leaving(paths.clone()), names, "{paths}");
    }
    for absent in
        [json!(["phone_number"]), json!(["identifiers", 2]), json!(["address", "region"]), json!(["_sd"])]
    {
        assert_eq!(code(held.present(&[path(absent)])), "claim_absent");
    }
    for wrong in
        [json!(["given_name", "x"]), json!(["address", null]), json!([0]), json!(["identifiers", "x"])]
    {
        assert_eq!(code(held.present(&[path(wrong)])), "claim_path_type");
    }
    let own_claim =
        KeyBindingInput { extra: json!({"aud": "x"}).as_object().unwrap().clone(), ..kb_input(None) };
    let refused = held.present(&[]).unwrap().bind(SignatureAlgorithm::Es256, own_claim);
    assert_eq!(code(refused), "kb_jwt_extra_claim");
}

#[test]
fn refused_to_issue() {
    let world = world();
    let plain = DisclosureFrame::new();
    type Change = fn(&mut IssueInput<'_>);
    let cases: &[(&str, Change)] = &[
        ("sd_jwt_vc_vct", |i| i.vct = ""),
        ("sd_jwt_vc_iss", |i| i.iss = None),
        ("sd_jwt_vc_registered_claim", |i| drop(i.claims.insert("exp".into(), json!(1)))),
        ("sd_jwt_vc_registered_claim", |i| drop(i.claims.insert("iat".into(), json!(1)))),
        ("sd_jwt_reserved_name", |i| drop(i.claims.insert("_sd".into(), json!([])))),
        ("sd_jwt_reserved_name", |i| drop(i.claims.insert("x".into(), json!([{"...": "y"}])))),
        ("sd_jwt_reserved_name", |i| drop(i.claims.insert("x".into(), json!({"_sd_alg": "y"})))),
        ("sd_jwt_too_deep", |i| {
            let deep = (0..15).fold(json!(1), |inner, _| json!({"x": inner}));
            i.claims.insert("x".into(), deep);
        }),
    ];
    for (expected, change) in cases {
        let mut input = input(&world, &plain, None);
        change(&mut input);
        assert_eq!(code(IssueDraft::new(input, SignatureAlgorithm::Es256, &SystemRandom)), *expected);
    }
    let same = [VCT.to_owned()];
    let repeated = IssueInput { aka_vcts: &same, ..input(&world, &plain, None) };
    assert_eq!(code(issue(repeated, &world.issuer, &SystemRandom)), "sd_jwt_vc_vct");
    for name in ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"] {
        let hidden = ClaimPath::member(name);
        for frame in [hidden.clone(), hidden.then("x")].map(|path| DisclosureFrame::new().selective(&path)) {
            let refused = issue(input(&world, &frame, None), &world.issuer, &SystemRandom);
            assert_eq!(code(refused), "sd_jwt_vc_never_selective", "{name}");
        }
    }
    // As deep as issuing allows, verifying allows, hidden at every level.
    let mut deep = ClaimPath::member("x");
    let mut frame = DisclosureFrame::new().selective(&deep);
    for _ in 0..13 {
        deep = deep.then("x");
        frame = frame.selective(&deep);
    }
    let mut input = input(&world, &frame, None);
    input.claims.insert("x".into(), (0..14).fold(json!(1), |inner, _| json!({"x": inner})));
    let compact = issue(input, &world.issuer, &SystemRandom).unwrap();
    assert!(parse(&compact).is_ok());
}

#[test]
fn a_credential_without_hidden_claims_says_nothing_of_digests() {
    let world = world();
    let plain = DisclosureFrame::new();
    let compact = issue(input(&world, &plain, None), &world.issuer, &SystemRandom).unwrap();
    let held = parse(&compact).unwrap();
    assert!(held.disclosures().is_empty());
    let payload = base64url::decode(compact.split('.').nth(1).unwrap()).unwrap();
    assert!(!String::from_utf8(payload).unwrap().contains("_sd"));
}

#[test]
fn decoys_hide_the_number_of_claims() {
    let world = world();
    let compact = issued(&world);
    let payload = base64url::decode(compact.split('.').nth(1).unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    let digests: Vec<_> =
        payload["_sd"].as_array().unwrap().iter().map(|digest| digest.as_str().unwrap()).collect();
    assert_eq!(digests.len(), 5 + 3);
    assert!(digests.is_sorted());
    assert!(digests.iter().all(|digest| digest.len() == 43));
    let held = parse(&compact).unwrap();
    let list = held.disclosures().iter().find(|one| one.name() == Some("identifiers")).unwrap();
    assert_eq!(list.value().as_array().unwrap().len(), 2 + 2);
    assert_eq!(held.claims()["identifiers"], claims()["identifiers"]);
}

#[test]
fn every_digest_algorithm_and_signature_algorithm() {
    for digest_algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
        for algorithm in [SignatureAlgorithm::Es256, SignatureAlgorithm::Es384, SignatureAlgorithm::EdDsa] {
            let key = || SoftwareKey::generate(algorithm).unwrap();
            let world = World { issuer: key(), holder: key() };
            let frame = frame();
            let input = IssueInput { digest_algorithm, ..input(&world, &frame, None) };
            let compact = issue(input, &world.issuer, &SystemRandom).unwrap();
            let presentation = parse(&compact).unwrap().present(&[ClaimPath::member("address")]).unwrap();
            let bound = presentation.bind(algorithm, kb_input(None)).unwrap().sign(&world.holder).unwrap();
            let verified = verify(&world, &bound).unwrap();
            assert_eq!(verified.credential().sd_jwt_vc().digest_algorithm(), digest_algorithm);
            assert_eq!(verified.credential().claims()["address"], claims()["address"]);
        }
    }
}

#[test]
fn certificates_that_cover_the_issuer() {
    use carekey_core::encoding::base64;
    use carekey_core::x509::{TrustAnchor, UnverifiedChain};
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
    let ca = params.self_signed(&ca_key).unwrap();
    let anchors = [TrustAnchor::from_der(ca.der()).unwrap()];
    let ca = rcgen::Issuer::from_params(&params, &ca_key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let issuer = SoftwareKey::from_pkcs8(&leaf_key.serialize_der()).unwrap();
    let leaf = |san: rcgen::SanType| {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "General Hospital");
        params.subject_alt_names = vec![san];
        base64::encode(params.signed_by(&leaf_key, &ca).unwrap().der())
    };
    let world = World { issuer, holder: SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap() };
    let dns = |name: &str| rcgen::SanType::DnsName(name.try_into().unwrap());
    let uri = |name: &str| rcgen::SanType::URI(name.try_into().unwrap());
    let frame = frame();
    for (san, iss, expected) in [
        (dns("hospital.example"), Some(ISS), Ok(ISS)),
        (uri(ISS), Some(ISS), Ok(ISS)),
        (dns("other.example"), Some(ISS), Err("issuer_san_mismatch")),
        (uri("https://hospital.example/other"), Some(ISS), Err("issuer_san_mismatch")),
        (dns("hospital.example"), None, Ok("CN=General Hospital")),
    ] {
        let key_header = IssuerKeyHeader::X5c(vec![leaf(san)]);
        let input = IssueInput { iss, key_header, ..input(&world, &frame, None) };
        let compact = issue(input, &world.issuer, &SystemRandom).unwrap();
        let compact = presented(&world, &compact, &[]);
        let read = parse(&compact).unwrap();
        let IssuerKeyReference::X5c { chain, iss } = read.issuer_key_reference().unwrap() else {
            panic!("no x5c")
        };
        let chain = UnverifiedChain::parse(&chain, &Limits::DEFAULT).unwrap();
        let now = chain.leaf().not_before().plus(1);
        let chain = chain.verify(&anchors, now).unwrap();
        let key = match (IssuerKey::from_certificate_chain(&chain, iss.as_deref()), expected) {
            (Ok(key), Ok(issuer)) => {
                assert_eq!(key.issuer(), issuer);
                key
            }
            (found, expected) => {
                assert_eq!(found.map_err(|error| error.code()).err(), expected.err());
                continue;
            }
        };
        let verified = read.verify_presentation(&key, timing(NOW), &kb_check(&[])).unwrap();
        assert_eq!(Ok(verified.credential().issuer()), expected);
    }
}

#[test]
fn nothing_prints_claims() {
    let world = world();
    let compact = presented(&world, &issued(&world), &[path(json!(["given_name"]))]);
    let read = parse(&compact).unwrap();
    let shown = format!("{read:?} {:?} {:?}", read.present(&[]).unwrap(), verify(&world, &compact).unwrap());
    assert!(!shown.contains("Zoë") && !shown.contains("given_name"), "{shown}");
}

/// Flips every bit of `compact` and asserts that `accepts` takes none.
fn flip_every_bit(compact: &str, accepts: impl Fn(&str) -> bool) {
    assert!(accepts(compact));
    for bit in 0..compact.len() * 8 {
        let mut bytes = compact.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(!accepts(&changed), "bit {bit}");
    }
}

/// Every single bit that is flipped in header, payload, signature, disclosures or key binding is noticed: by the holder
/// who receives the credential, and by the verifier of a presentation.
#[test]
fn every_flipped_bit_is_refused() {
    let world = world();
    let frame = DisclosureFrame::of(&[path(json!(["given_name"])), path(json!(["address"]))]);
    let names = ["given_name", "address", "plain"];
    let claims = claims().into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect();
    let input = IssueInput { claims, ..input(&world, &frame, None) };
    let credential = issue(input, &world.issuer, &SystemRandom).unwrap();
    let key = IssuerKey::pinned(world.issuer.public_key().clone(), ISS);
    flip_every_bit(&credential, |compact| {
        parse(compact).and_then(|read| read.verify_issued(&key, timing(NOW + 1))).is_ok()
    });
    let presentation = presented(&world, &credential, &[path(json!(["given_name"]))]);
    flip_every_bit(&presentation, |compact| verify(&world, compact).is_ok());
}

/// Any JSON object of up to three levels, without the names that are reserved or registered.
fn objects() -> impl Strategy<Value = Map<String, Value>> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zäß€]{0,6}".prop_map(Value::from),
    ];
    let value = scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-f]", value, 0..5).prop_map(|map| map.into_iter().collect())
}

/// Every path inside the claims, parents before children.
fn all_paths(value: &Value, at: Option<&ClaimPath>, out: &mut Vec<ClaimPath>) {
    let mut visit = |element: PathElement, below: &Value| {
        let path = match at {
            Some(at) => at.clone().then(element),
            None => ClaimPath::new(vec![element]).unwrap(),
        };
        out.push(path.clone());
        all_paths(below, Some(&path), out);
    };
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, below)| visit(PathElement::Name(name.clone()), below))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, below)| visit(PathElement::Index(index), below))
        }
        _ => {}
    }
}

/// What is left of `value` when of the paths in `hidden` only those are shown that `shown` needs.
fn expected(
    value: &Value,
    at: &mut Vec<PathElement>,
    hidden: &[ClaimPath],
    shown: &[ClaimPath],
) -> Option<Value> {
    let is_hidden = hidden.iter().any(|path| path.elements() == at.as_slice());
    // Needed: on the way to a shown claim, or inside one.
    let is_shown =
        shown.iter().any(|path| path.elements().starts_with(at) || at.starts_with(path.elements()));
    if is_hidden && !is_shown {
        return None;
    }
    let mut below = |element: PathElement, value: &Value| {
        at.push(element);
        let kept = expected(value, at, hidden, shown);
        at.pop();
        kept
    };
    Some(match value {
        Value::Object(map) => map
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), below(PathElement::Name(name.clone()), value)?)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .filter_map(|(index, value)| below(PathElement::Index(index), value))
            .collect::<Vec<_>>()
            .into(),
        scalar => scalar.clone(),
    })
}

/// A claim inside an object, and then the object itself: the whole of it comes.
#[test]
fn a_part_and_the_whole() {
    let world = world();
    let claims = serde_json::json!({ "a": [{ "a": 1, "b": 2 }] });
    let element = ClaimPath::member("a").then(PathElement::Index(0));
    let hidden = [element.clone(), element.clone().then("a")];
    let shown = [element.then("b"), ClaimPath::member("a")];
    let frame = DisclosureFrame::of(&hidden);
    let input = IssueInput { claims: claims.as_object().unwrap().clone(), ..input(&world, &frame, None) };
    let compact = issue(input, &world.issuer, &SystemRandom).unwrap();
    let verified = verify(&world, &presented(&world, &compact, &shown)).unwrap();
    assert_eq!(verified.credential().claims()["a"], claims["a"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Issue with a random frame, choose a random subset, verify: exactly that subset arrives.
    #[test]
    fn exactly_the_chosen_subset_arrives(
        claims in objects(),
        hide in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        show in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        decoys in 0_usize..3,
    ) {
        let world = world();
        let mut paths = Vec::new();
        all_paths(&Value::Object(claims.clone()), None, &mut paths);
        let pick = |chosen: &[prop::sample::Index]| -> Vec<ClaimPath> {
            if paths.is_empty() { Vec::new() } else { chosen.iter().map(|one| one.get(&paths).clone()).collect() }
        };
        let (hidden, shown) = (pick(&hide), pick(&show));
        let frame = hidden.iter().fold(DisclosureFrame::of(&hidden).decoys(None, decoys), |frame, path| {
            frame.decoys(Some(path), decoys)
        });
        let input = IssueInput { claims: claims.clone(), ..input(&world, &frame, None) };
        let compact = issue(input, &world.issuer, &SystemRandom).unwrap();
        let whole = parse(&compact).unwrap();
        let about_subject = |all: &Map<String, Value>| -> Map<String, Value> {
            all.iter().filter(|(name, _)| name.len() == 1).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        prop_assert_eq!(about_subject(whole.claims()), claims.clone());
        let verified = verify(&world, &presented(&world, &compact, &shown)).unwrap();
        let expected = expected(&Value::Object(claims), &mut Vec::new(), &hidden, &shown).unwrap();
        prop_assert_eq!(Value::Object(about_subject(verified.credential().claims())), expected);
    }

    /// Nothing that arrives makes the parser panic.
    #[test]
    fn any_text_is_answered(text in "[A-Za-z0-9_~.=-]{0,200}") {
        let _ = parse(&text);
    }
}
