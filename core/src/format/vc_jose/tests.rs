use serde_json::{Map, Value, json};

use super::envelope::{self, Enveloped};
use super::issue::{self, IssueInput};
use super::verify::{UnverifiedEnvelope, VerifiedEnvelope};
use super::*;
use crate::clock::UnixTime;
use crate::credential::claims::ClaimPath;
use crate::encoding::base64url;
use crate::error::Result;
use crate::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use crate::format::sd_jwt_vc::issue::DisclosureFrame;
use crate::format::sd_jwt_vc::key_binding::{KeyBindingCheck, KeyBindingDraft, KeyBindingInput};
use crate::format::sd_jwt_vc::verify::Timing;
use crate::jose::jwk::Jwk;
use crate::jose::jws;
use crate::key::{PublicKey, Signer, SoftwareKey};
use crate::limits::Limits;
use crate::random::SystemRandom;
use crate::webauthn::cbor::Writer;

const L: &Limits = &Limits::DEFAULT;
const ISSUER: &str = "https://university.example/issuers/565049";
const ALGORITHMS: [SignatureAlgorithm; 4] = [
    SignatureAlgorithm::Es256,
    SignatureAlgorithm::Es384,
    SignatureAlgorithm::Es512,
    SignatureAlgorithm::EdDsa,
];
const CREDENTIAL_JWT: EnvelopeType = EnvelopeType { content: Content::Credential, mechanism: Mechanism::Jwt };
const CREDENTIAL_SD_JWT: EnvelopeType =
    EnvelopeType { content: Content::Credential, mechanism: Mechanism::SdJwt };
const CREDENTIAL_COSE: EnvelopeType =
    EnvelopeType { content: Content::Credential, mechanism: Mechanism::Cose };
const PRESENTATION_JWT: EnvelopeType =
    EnvelopeType { content: Content::Presentation, mechanism: Mechanism::Jwt };

/// VC-JOSE-COSE, "An unsecured verifiable credential", shortened.
fn credential() -> Map<String, Value> {
    map(json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "http://university.example/credentials/1872",
        "type": ["VerifiableCredential", "ExampleAlumniCredential"],
        "issuer": ISSUER,
        "validFrom": "2010-01-01T19:23:24Z",
        "validUntil": "2030-01-01T00:00:00Z",
        "credentialSubject": {
            "id": "did:example:123",
            "degree": {"type": "BachelorDegree", "name": "Bachelor of Science and Arts"},
            "phoneNumbers": [{"number": "1"}, {"number": "2"}]
        }
    }))
}

fn presentation(credentials: Value) -> Map<String, Value> {
    map(json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": "VerifiablePresentation",
        "holder": {"id": "did:example:holder"},
        "verifiableCredential": credentials
    }))
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn input(document: &Map<String, Value>) -> IssueInput<'_> {
    IssueInput {
        document,
        key_id: Some("https://university.example/issuers/565049#key-123"),
        claims: Map::new(),
    }
}

fn frame() -> DisclosureFrame {
    let path = |text: &str| serde_json::from_str::<ClaimPath>(text).unwrap();
    DisclosureFrame::new()
        .selective(&path(r#"["credentialSubject","degree","name"]"#))
        .selective(&path(r#"["credentialSubject","phoneNumbers",0]"#))
        .selective(&path(r#"["verifiableCredential",0]"#))
}

fn secure(kind: EnvelopeType, document: &Map<String, Value>, key: &SoftwareKey) -> Result<Enveloped> {
    let input = input(document);
    match kind.mechanism {
        Mechanism::Jwt => Enveloped::text(kind, &issue::jwt(kind.content, &input, key)?),
        Mechanism::SdJwt => {
            Enveloped::text(kind, &issue::sd_jwt(kind.content, &input, &frame(), key, &SystemRandom)?)
        }
        Mechanism::Cose => Ok(Enveloped::cose(kind.content, issue::cose(kind.content, &input, key)?)),
    }
}

fn verify(kind: EnvelopeType, data: &[u8], key: &PublicKey) -> Result<VerifiedEnvelope> {
    UnverifiedEnvelope::parse(kind, data, L)?.verify(key)
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}

/// A JWT with a header and payload of any kind, well signed.
fn signed(header: Value, payload: &Map<String, Value>, key: &SoftwareKey) -> String {
    let input =
        jws::signing_input(&map(header), Value::Object(payload.clone()).to_string().as_bytes()).unwrap();
    let signature = key.sign(input.as_bytes()).unwrap();
    jws::assemble(input, &signature)
}

#[test]
fn every_kind_with_every_key() {
    for algorithm in ALGORITHMS {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let other = SoftwareKey::generate(algorithm).unwrap();
        let mut credentials = Vec::new();
        for kind in EnvelopeType::ALL {
            assert_eq!(EnvelopeType::parse(&kind.media_type()).unwrap(), kind);
            assert_eq!(EnvelopeType::parse(kind.typ()).unwrap(), kind);
            let document = match kind.content {
                Content::Credential => credential(),
                Content::Presentation => presentation(credentials.clone().into()),
            };
            let secured = secure(kind, &document, &key).unwrap();
            let value = secured.to_value();
            assert_eq!(Enveloped::from_value(&value, kind.content).unwrap(), secured);
            let read = secured.open(L).unwrap();
            assert_eq!(read.key_id(), Some("https://university.example/issuers/565049#key-123"));
            assert_eq!((read.algorithm(), read.kind()), (algorithm, kind));
            let verified = read.verify(key.public_key()).unwrap();
            assert_eq!(verified.document(), &Value::Object(document), "{kind:?}");
            verified.check_time(UnixTime::from_secs(1_700_000_000), 0).unwrap();
            match kind.content {
                Content::Credential => {
                    assert_eq!(verified.signer(), Some(ISSUER));
                    credentials.push(value);
                }
                Content::Presentation => {
                    assert_eq!(verified.signer(), Some("did:example:holder"));
                    assert_eq!(verified.credentials().len(), 3);
                    for inner in verified.credentials() {
                        inner.open(L).unwrap().verify(key.public_key()).unwrap();
                    }
                }
            }
            assert_eq!(code(secured.open(L).unwrap().verify(other.public_key())), "signature_invalid");
        }
    }
}

#[test]
fn another_algorithm_than_the_keys() {
    let [one, two] =
        [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa].map(|a| SoftwareKey::generate(a).unwrap());
    for kind in [CREDENTIAL_JWT, CREDENTIAL_SD_JWT, CREDENTIAL_COSE] {
        let secured = secure(kind, &credential(), &one).unwrap();
        assert_eq!(code(secured.open(L).unwrap().verify(two.public_key())), "alg_mismatch");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let mut small = credential();
    for name in ["@context", "id", "validFrom", "validUntil"] {
        small.remove(name);
    }
    small.insert("@context".into(), json!(["https://www.w3.org/ns/credentials/v2"]));
    // Every kind of envelope with one algorithm, and the kinds that differ in how they sign with the others.
    let every = EnvelopeType::ALL.map(|kind| (SignatureAlgorithm::Es256, kind));
    let others = ALGORITHMS.into_iter().skip(1).flat_map(|algorithm| {
        [CREDENTIAL_JWT, CREDENTIAL_SD_JWT, CREDENTIAL_COSE].map(|kind| (algorithm, kind))
    });
    let mut flips = 0;
    for (algorithm, kind) in every.into_iter().chain(others) {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let inner = secure(CREDENTIAL_JWT, &small, &key).unwrap().to_value();
        let document = match kind.content {
            Content::Credential => small.clone(),
            Content::Presentation => presentation(json!([inner])),
        };
        let data = secure(kind, &document, &key).unwrap().data().to_vec();
        verify(kind, &data, key.public_key()).unwrap();
        // Header, payload, disclosures and signature: nothing of them is unsigned.
        for bit in 0..data.len() * 8 {
            let mut flipped = data.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(kind, &flipped, key.public_key()).is_err(), "{kind:?} bit {bit}");
            flips += 1;
        }
        for len in [0, 1, data.len() / 2, data.len() - 1] {
            assert!(verify(kind, &data[..len], key.public_key()).is_err());
        }
        let longer = [data.as_slice(), b"A"].concat();
        assert!(verify(kind, &longer, key.public_key()).is_err());
    }
    println!("{flips} flips, all refused");
}

#[test]
fn headers() {
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let header = |changes: Value| {
        let mut header = json!({"alg": "ES256", "typ": "vc+jwt"});
        changes.as_object().unwrap().iter().for_each(|(name, value)| header[name] = value.clone());
        let compact = signed(header, &credential(), &key);
        verify(CREDENTIAL_JWT, compact.as_bytes(), key.public_key()).map(|_| ()).map_err(|error| error.code())
    };
    for good in [
        json!({}),
        json!({"cty": "vc"}),
        json!({"cty": "application/vc", "typ": "application/VC+JWT"}),
        json!({"unknown": {"ignored": true}}),
    ] {
        assert_eq!(header(good.clone()), Ok(()), "{good}");
    }
    for (changes, expected) in [
        (json!({"typ": "JWT"}), "vc_jose_typ"),
        (json!({"typ": "vp+jwt"}), "vc_jose_typ"),
        (json!({"typ": "vc+sd-jwt"}), "vc_jose_typ"),
        (json!({"typ": "bad+typ"}), "vc_jose_typ"),
        (json!({"typ": 1}), "jws_header"),
        (json!({"cty": "vp"}), "vc_jose_cty"),
        (json!({"cty": "bad+cty"}), "vc_jose_cty"),
        (json!({"cty": 1}), "vc_jose_cty"),
        (json!({"alg": "none"}), "alg_none"),
        (json!({"alg": "HS256"}), "alg_unsupported"),
        (json!({"alg": "RS256"}), "alg_unsupported"),
        (json!({"alg": "ES384"}), "alg_mismatch"),
        (json!({"crit": ["unknown"]}), "jws_crit"),
        (json!({"b64": false}), "jws_crit"),
    ] {
        assert_eq!(header(changes.clone()), Err(expected), "{changes}");
    }
    let without = signed(json!({"alg": "ES256"}), &credential(), &key);
    assert_eq!(code(verify(CREDENTIAL_JWT, without.as_bytes(), key.public_key())), "vc_jose_typ");
    // An unsecured token, with an empty signature.
    let none = format!(
        "{}.{}.",
        base64url::encode(br#"{"alg":"none","typ":"vc+jwt"}"#),
        base64url::encode(Value::Object(credential()).to_string().as_bytes())
    );
    assert_eq!(code(verify(CREDENTIAL_JWT, none.as_bytes(), key.public_key())), "alg_none");
    let plain = Value::Object(credential()).to_string();
    assert!(verify(CREDENTIAL_JWT, plain.as_bytes(), key.public_key()).is_err());
    // A credential is no presentation.
    let vc = secure(CREDENTIAL_JWT, &credential(), &key).unwrap();
    assert_eq!(code(verify(PRESENTATION_JWT, vc.data(), key.public_key())), "vc_jose_typ");
}

#[test]
fn claims() {
    let key = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
    let with = |name: &str, value: Value| {
        let mut document = credential();
        document.insert(name.to_owned(), value);
        let compact = signed(json!({"alg": "EdDSA", "typ": "vc+jwt"}), &document, &key);
        // Whoever issues is held to the same.
        let issued =
            issue::jwt(Content::Credential, &input(&document), &key).map(|_| ()).map_err(|e| e.code());
        let read = verify(CREDENTIAL_JWT, compact.as_bytes(), key.public_key()).map_err(|error| error.code());
        assert_eq!(issued, read.as_ref().map(|_| ()).map_err(|code| *code), "{name}");
        read
    };
    assert_eq!(with("vc", json!("oops")).unwrap_err(), "vc_jose_claim_name");
    assert_eq!(with("vp", json!({})).unwrap_err(), "vc_jose_claim_name");
    assert_eq!(with("iss", json!("did:example:other")).unwrap_err(), "vc_jose_iss");
    assert_eq!(with("iss", json!(1)).unwrap_err(), "vc_jose_iss");
    assert_eq!(with("issuer", json!(null)).unwrap_err(), "vc_issuer");
    assert_eq!(with("type", json!("Other")).unwrap_err(), "vc_type");
    assert_eq!(
        with("@context", json!(["https://www.w3.org/2018/credentials/v1"])).unwrap_err(),
        "vc_jose_version"
    );
    with("iss", json!(ISSUER)).unwrap();
    with("jti", json!("http://university.example/credentials/1872")).unwrap();
    // Times of the signature stand beside those of the credential.
    let now = UnixTime::from_secs(1_700_000_000);
    assert_eq!(code(with("exp", json!(1_600_000_000)).unwrap().check_time(now, 0)), "credential_expired");
    assert_eq!(
        code(with("iat", json!(1_800_000_000)).unwrap().check_time(now, 0)),
        "credential_issued_in_future"
    );
    assert_eq!(code(with("iat", json!("2010-01-01T19:23:24Z")).unwrap().check_time(now, 0)), "jwt_claim");
    let verified = with("exp", json!(4_000_000_000_u64)).unwrap();
    verified.check_time(now, 0).unwrap();
    assert_eq!(code(verified.check_time(UnixTime::from_secs(2_000_000_000), 0)), "credential_expired");
    assert_eq!(code(verified.check_time(UnixTime::from_secs(0), 0)), "credential_not_yet_valid");
}

#[test]
fn claims_beside_the_document() {
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let document = presentation(json!([]));
    let mut document = document;
    document.remove("verifiableCredential");
    let claims = map(json!({"aud": "https://verifier.example", "nonce": "n-0S6_WzA2Mj"}));
    let bound = IssueInput { document: &document, key_id: None, claims };
    let compact = issue::jwt(Content::Presentation, &bound, &key).unwrap();
    let verified = verify(PRESENTATION_JWT, compact.as_bytes(), key.public_key()).unwrap();
    assert_eq!(verified.document()["nonce"], "n-0S6_WzA2Mj");
    assert_eq!(code(issue::cose(Content::Presentation, &bound, &key)), "vc_jose_claim");
    let repeated = IssueInput { claims: map(json!({"holder": "did:example:x"})), ..bound };
    assert_eq!(code(issue::jwt(Content::Presentation, &repeated, &key)), "vc_jose_claim");
}

#[test]
fn presentations_hold_secured_credentials_only() {
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let good = secure(CREDENTIAL_JWT, &credential(), &key).unwrap().to_value();
    let with_id = |id: &str| {
        let mut enveloped = good.clone();
        enveloped["id"] = id.into();
        enveloped
    };
    let proof = {
        let mut document = credential();
        document.insert("proof".into(), json!({"type": "DataIntegrityProof"}));
        Value::Object(document)
    };
    for (credentials, expected) in [
        (json!([credential()]), "vc_jose_unsecured"),
        (json!(credential()), "vc_jose_unsecured"),
        (json!([good, proof]), "vc_jose_unsecured"),
        (json!(["eyJ.eyJ.AA"]), "vc_shape"),
        (json!([]), "vc_shape"),
        (json!([with_id("not-a-credential")]), "vc_id"),
        (json!([with_id("data:text/plain,hello")]), "vc_jose_media_type"),
        (json!([with_id("data:application/vp+jwt,eyJ.eyJ.AA")]), "vc_jose_data_url"),
        (json!([with_id("data:application/vc+cose,0oRY")]), "vc_jose_data_url"),
        (json!([with_id("data:application/vc+cose;base64,0o*Y")]), "base64"),
        (json!([with_id("data:application/vc+jwt;base64,ZXlK")]), "vc_jose_data_url"),
        (json!([{"@context": good["@context"], "id": good["id"]}]), "vc_jose_unsecured"),
    ] {
        let document = presentation(credentials);
        for mechanism in [Mechanism::Jwt, Mechanism::SdJwt, Mechanism::Cose] {
            let kind = EnvelopeType { content: Content::Presentation, mechanism };
            assert_eq!(code(secure(kind, &document, &key)), expected);
        }
        let header = json!({"alg": "ES256", "typ": "vp+jwt"});
        let compact = signed(header, &document, &key);
        assert_eq!(code(verify(PRESENTATION_JWT, compact.as_bytes(), key.public_key())), expected);
        let compact = signed(json!({"alg": "ES256", "typ": "vp+sd-jwt"}), &document, &key) + "~";
        let kind = EnvelopeType { content: Content::Presentation, mechanism: Mechanism::SdJwt };
        assert_eq!(code(verify(kind, compact.as_bytes(), key.public_key())), expected);
        let payload = Value::Object(document).to_string();
        let kind = EnvelopeType { content: Content::Presentation, mechanism: Mechanism::Cose };
        let message = cose::sign(payload.as_bytes(), kind, None, &key).unwrap();
        assert_eq!(code(verify(kind, &message, key.public_key())), expected);
    }
    let mut stranger = presentation(json!([good]));
    stranger.insert("iss".into(), "did:example:other".into());
    assert_eq!(code(secure(PRESENTATION_JWT, &stranger, &key)), "vc_jose_iss");
    stranger.insert("iss".into(), "did:example:holder".into());
    secure(PRESENTATION_JWT, &stranger, &key).unwrap();
}

#[test]
fn selective_disclosure() {
    let key = SoftwareKey::generate(SignatureAlgorithm::Es384).unwrap();
    let secured = secure(CREDENTIAL_SD_JWT, &credential(), &key).unwrap();
    let compact = String::from_utf8(secured.data().to_vec()).unwrap();
    let parts: Vec<&str> = compact.split('~').collect();
    assert_eq!(parts.len(), 4, "two disclosures");
    // Without disclosures: the hidden claims are gone, everything else stands.
    let hidden = verify(CREDENTIAL_SD_JWT, format!("{}~", parts[0]).as_bytes(), key.public_key()).unwrap();
    assert!(hidden.document().pointer("/credentialSubject/degree/name").is_none());
    assert_eq!(hidden.document()["credentialSubject"]["phoneNumbers"], json!([{"number": "2"}]));
    // Without the trailing ~, with a disclosure twice, or one that belongs nowhere.
    let foreign = base64url::encode(br#"["c2FsdA","admin",true]"#);
    for (text, expected) in [
        (parts[0].to_owned(), "sd_jwt"),
        (format!("{}~{}~{}~", parts[0], parts[1], parts[1]), "sd_jwt_duplicate_disclosure"),
        (format!("{}~{foreign}~", parts[0]), "sd_jwt_unreferenced_disclosure"),
        (format!("{}~~", parts[0]), "sd_jwt"),
    ] {
        assert_eq!(code(verify(CREDENTIAL_SD_JWT, text.as_bytes(), key.public_key())), expected);
    }
    for name in issue::NEVER_SELECTIVE {
        let frame = DisclosureFrame::new().selective(&ClaimPath::member(name));
        let document = credential();
        let issued = issue::sd_jwt(Content::Credential, &input(&document), &frame, &key, &SystemRandom);
        assert_eq!(code(issued), "vc_jose_never_selective", "{name}");
    }
    let mut document = credential();
    document.insert("_sd".into(), json!([]));
    let issued = issue::sd_jwt(Content::Credential, &input(&document), &frame(), &key, &SystemRandom);
    assert_eq!(code(issued), "sd_jwt_reserved_name");
}

#[test]
fn key_binding() {
    let [key, holder] = [(); 2].map(|()| SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap());
    let document = credential();
    let mut with_key = input(&document);
    with_key.claims = map(json!({"cnf": {"jwk": Jwk::from_key(holder.public_key()).to_value()}}));
    let compact = issue::sd_jwt(Content::Credential, &with_key, &frame(), &key, &SystemRandom).unwrap();
    let now = UnixTime::from_secs(1_700_000_000);
    let input = KeyBindingInput {
        audience: "https://verifier.example",
        nonce: "n-0S6_WzA2Mj",
        issued_at: now,
        expires_at: None,
        transaction_data: None,
        extra: Map::new(),
    };
    let draft =
        KeyBindingDraft::new(compact.clone(), DigestAlgorithm::Sha256, SignatureAlgorithm::Es256, input)
            .unwrap();
    let presented = draft.sign(&holder).unwrap();
    let check = |nonce| KeyBindingCheck {
        audience: "https://verifier.example",
        nonce,
        max_age: 60,
        transaction_data: &[],
        transaction_data_algorithms: &[],
    };
    let read = |text: &str| UnverifiedEnvelope::parse(CREDENTIAL_SD_JWT, text.as_bytes(), L).unwrap();
    let timing = Timing { now, skew: 0 };
    let bound =
        |text: &str, nonce| read(text).verify_bound(key.public_key(), timing, &check(nonce)).map(|_| ());
    bound(&presented, "n-0S6_WzA2Mj").unwrap();
    assert_eq!(code(bound(&presented, "another")), "kb_jwt_nonce");
    assert_eq!(code(bound(&compact, "n-0S6_WzA2Mj")), "kb_jwt_missing");
    assert_eq!(code(read(&presented).verify(key.public_key())), "kb_jwt_unexpected");
    read(&compact).verify(key.public_key()).unwrap();
}

/// A COSE_Sign1 of the given parts; the protected map as CBOR.
fn message(protected: Vec<u8>, unprotected: &[u8], payload: &[u8], key: &SoftwareKey) -> Vec<u8> {
    let mut structure = Writer::default();
    structure.array(4).text("Signature1").bytes(&protected).bytes(b"").bytes(payload);
    let signature = key.sign(&structure.finish()).unwrap();
    let mut out = vec![0x84];
    let mut part = Writer::default();
    part.bytes(&protected);
    out.extend(part.finish());
    out.extend(unprotected);
    let mut part = Writer::default();
    part.bytes(payload).bytes(&signature);
    out.extend(part.finish());
    out
}

fn parameters(pairs: &[(i64, &str)]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.map(pairs.len());
    for (label, value) in pairs {
        writer.int(*label);
        match value.parse::<i64>() {
            Ok(number) => writer.int(number),
            Err(_) => writer.text(value),
        };
    }
    writer.finish()
}

#[test]
fn cose_headers() {
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let payload = Value::Object(credential()).to_string();
    let (typ, cty) = ((16, "application/vc+cose"), (3, "application/vc"));
    let run = |protected: Vec<u8>, unprotected: Vec<u8>| {
        let message = message(protected, &unprotected, payload.as_bytes(), &key);
        verify(CREDENTIAL_COSE, &message, key.public_key()).map(|_| ()).map_err(|error| error.code())
    };
    let none = || parameters(&[]);
    assert_eq!(run(parameters(&[(1, "-7"), typ]), none()), Ok(()), "untagged, without content type");
    assert_eq!(run(parameters(&[(1, "-9"), cty, typ]), none()), Ok(()), "ESP256 of RFC 9864");
    assert_eq!(run(parameters(&[(1, "-7"), typ, (99, "ignored")]), parameters(&[(98, "x")])), Ok(()));
    for (protected, unprotected, expected) in [
        (parameters(&[(1, "-7")]), none(), "vc_jose_typ"),
        (parameters(&[(1, "-7"), (16, "really/bad")]), none(), "vc_jose_typ"),
        (parameters(&[(1, "-7"), (16, "application/vp+cose")]), none(), "vc_jose_typ"),
        (parameters(&[(1, "-7"), (16, "vc+cose")]), none(), "vc_jose_typ"),
        (parameters(&[(1, "-7"), typ, (3, "very/bad")]), none(), "vc_jose_cty"),
        (parameters(&[(1, "-7"), typ, (3, "application/vp")]), none(), "vc_jose_cty"),
        (parameters(&[typ]), none(), "cose_sign1"),
        (parameters(&[typ]), parameters(&[(1, "-7")]), "cose_sign1"),
        (parameters(&[(1, "-7")]), parameters(&[typ]), "cose_sign1"),
        (parameters(&[(1, "-7"), typ]), parameters(&[(1, "-7")]), "cose_sign1"),
        (parameters(&[(1, "-7"), typ, (99, "1")]), parameters(&[(99, "1")]), "cose_sign1"),
        (parameters(&[(1, "-7"), (1, "-7"), typ]), none(), "cose_sign1"),
        (parameters(&[(1, "-7"), typ, (2, "1")]), none(), "cose_crit"),
        (parameters(&[(1, "-7"), typ]), parameters(&[(2, "1")]), "cose_crit"),
        (parameters(&[(1, "5"), typ]), none(), "alg_unsupported"),
        (parameters(&[(1, "-257"), typ]), none(), "alg_unsupported"),
        (parameters(&[(1, "-8"), typ]), none(), "alg_mismatch"),
        (parameters(&[(1, "ES256"), typ]), none(), "cbor"),
        (Vec::new(), none(), "cbor"),
        ([parameters(&[(1, "-7"), typ]), vec![0]].concat(), none(), "cbor"),
    ] {
        assert_eq!(run(protected.clone(), unprotected), Err(expected), "{protected:02x?}");
    }
    let whole = message(parameters(&[(1, "-7"), typ]), &none(), b"[]", &key);
    assert_eq!(code(verify(CREDENTIAL_COSE, &whole, key.public_key())), "jwt_claims");
    for (bytes, expected) in
        [(&b""[..], "cbor"), (&[0x83, 0x40, 0xa0, 0x40], "cose_sign1"), (&[0xd1, 0x84], "cbor")]
    {
        assert_eq!(code(verify(CREDENTIAL_COSE, bytes, key.public_key())), expected);
    }
    let small = Limits { token_bytes: 10, ..*L };
    assert_eq!(code(UnverifiedEnvelope::parse(CREDENTIAL_COSE, &whole, &small)), "token_too_large");
}

/// RFC 9052 appendix C.2.1, "Single ECDSA Signature", with the key of appendix C.7.1: the structure that is signed.
#[test]
fn rfc9052_signature() {
    let hex = |text: &str| data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap();
    let point = hex(
        "04bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e",
    );
    let key = PublicKey::from_sec1(SignatureAlgorithm::Es256, &point).unwrap();
    let signature = hex(
        "8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36",
    );
    let signed = cose::to_be_signed(&hex("a10126"), b"This is the content.");
    key.verify(&signed, &signature).unwrap();
    // Which is refused here: nothing says that it is a credential.
    let message = [
        hex("d28443a10126a104423131"),
        [&[0x54][..], b"This is the content.", &[0x58, 0x40]].concat(),
        signature,
    ];
    assert_eq!(code(verify(CREDENTIAL_COSE, &message.concat(), &key)), "vc_jose_typ");
}

#[test]
fn data_urls() {
    assert_eq!(envelope::decode("0oRY").unwrap(), [0xd2, 0x84, 0x58]);
    assert_eq!(envelope::decode("0oQ=").unwrap(), envelope::decode("0oQ").unwrap());
    for bad in ["0oR", "0o=", "0o_-", "0oRY\n", "=", "0 RY"] {
        assert_eq!(code(envelope::decode(bad)), "base64", "{bad:?}");
    }
    let read = |url: &str| Enveloped::from_data_url(url);
    assert_eq!(read("data:application/vc+jwt,a.b.c").unwrap().data(), b"a.b.c");
    assert_eq!(read("DATA:Application/VC+COSE;base64,0oRY").unwrap().kind(), CREDENTIAL_COSE);
    assert_eq!(code(read("data:application/vc+jwt;charset=utf-8,a.b.c")), "vc_jose_media_type");
    assert_eq!(code(read("https://example.org/")), "vc_jose_data_url");
    assert_eq!(code(Enveloped::text(CREDENTIAL_COSE, "x")), "vc_jose_envelope");
    assert_eq!(code(EnvelopeType::parse("application/jwt")), "vc_jose_media_type");
    let presentation = json!({
        "@context": "https://www.w3.org/ns/credentials/v2",
        "type": "EnvelopedVerifiablePresentation",
        "id": "data:application/vc+jwt,a.b.c"
    });
    assert_eq!(code(Enveloped::from_value(&presentation, Content::Presentation)), "vc_jose_data_url");
}

#[test]
fn debug_shows_no_claims() {
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let secured = secure(CREDENTIAL_JWT, &credential(), &key).unwrap();
    let read = secured.open(L).unwrap();
    let verified = read.clone().verify(key.public_key()).unwrap();
    let shown = format!("{secured:?} {read:?} {verified:?}");
    assert!(!shown.contains("Bachelor") && !shown.contains("did:example:123"), "{shown}");
}
