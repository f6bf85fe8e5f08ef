//! Issue, present, verify; and every refusal with a presentation that is wrong in one way only.

use carekey_core::UnixTime;
use carekey_core::credential::claims::{ClaimPath, PathElement};
use carekey_core::credential::issuer_key::{IssuerKey, IssuerKeyReference};
use carekey_core::credential::validity::Validity;
use carekey_core::encoding::base64url;
use carekey_core::error::{Error, Result};
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
