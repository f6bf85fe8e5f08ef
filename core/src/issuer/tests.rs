use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::clock::FixedClock;
use crate::encoding::json as strict;
use crate::format::sd_jwt_vc::verify::UnverifiedSdJwtVc;
use crate::jose::jws;
use crate::key::{SignatureAlgorithm, SoftwareKey};
use crate::protocol::openid4vci::authorization_details::AuthorizationDetail;
use crate::protocol::openid4vci::credential::{CredentialResponse, ErrorCode, Refusal};
use crate::protocol::openid4vci::key_proof::{self, KeyProofInput};
use crate::protocol::openid4vci::token::{TokenGrant, TokenRequest, TokenResponse};
use crate::random::SystemRandom;
use crate::status::token_status_list::{Status, UnverifiedStatusListToken};
use crate::store::{MemoryStore, Table};

pub(super) const ISSUER: &str = "https://hospital.example";
pub(super) const NOW: i64 = 1_796_000_000;

pub(super) struct World {
    pub(super) issuer: Arc<Issuer>,
    pub(super) clock: Arc<FixedClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) hk: SoftwareKey,
    pub(super) issuer_key: Arc<SoftwareKey>,
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(ISSUER, "St. Example");
        settings.status_list_entries = 64;
        change(&mut settings);
        let clock = Arc::new(FixedClock::new(UnixTime::from_secs(NOW)));
        let store = Arc::new(MemoryStore::default());
        let issuer_key = Arc::new(SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap());
        let issuer = Issuer::new(Parts {
            settings,
            key: IssuerKey {
                signer: issuer_key.clone(),
                header: IssuerKeyHeader::Kid("key-1".into()),
                iss: ISSUER.into(),
            },
            store: store.clone(),
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
            secret: Secret::new([7; 32]),
            attestation: AttestationTrust::default(),
            patients: None,
        });
        let hk = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        Self { issuer: Arc::new(issuer.unwrap()), clock, store, hk, issuer_key }
    }

    pub(super) fn later(&self, secs: i64) {
        self.clock.set(self.clock.now().plus(secs));
    }

    pub(super) async fn offer(&self, ids: &[&str], tx_code: bool) -> CreatedOffer {
        let new = NewOffer {
            configuration_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            fhir: bundle(),
            tx_code,
            by_reference: true,
            expires_in: None,
            reference: Some("case 7".into()),
            ..NewOffer::default()
        };
        self.issuer.create_offer(&new).await.unwrap()
    }

    pub(super) async fn token(&self, offer: &CreatedOffer) -> Result<TokenResponse, Refusal> {
        self.issuer
            .exchange(
                &Caller::default(),
                &form(offer, offer.tx_code.as_ref().map(|tx| tx.expose().clone()), None),
            )
            .await
    }

    pub(super) fn proof<'a>(&'a self, change: impl FnOnce(&mut KeyProofInput<'a>)) -> String {
        let nonce: &'static str = Box::leak(self.issuer.nonce().into_boxed_str());
        let mut input = KeyProofInput {
            key: self.hk.public_key(),
            audience: ISSUER,
            nonce: Some(nonce),
            client_id: None,
            ak_jkt: None,
            key_attestation: None,
            now: self.clock.now(),
        };
        change(&mut input);
        let input = key_proof::signing_input(&input).unwrap();
        let signature = self.hk.sign(input.as_bytes()).unwrap();
        jws::assemble(input, &signature)
    }

    pub(super) async fn ask(
        &self,
        token: &str,
        id: &str,
        proof: &str,
    ) -> Result<CredentialResponse, Refusal> {
        let body = json!({"credential_configuration_id": id, "proofs": {"jwt": [proof]}});
        let issued = self.issuer.issue(&Caller::bearer(token), body.to_string().as_bytes()).await?;
        Ok(issued.issued().unwrap())
    }

    async fn snapshot(&self) -> Vec<(Vec<u8>, u64)> {
        let mut all = Vec::new();
        for table in [records::OFFERS, records::CODES, records::DATASETS, records::TOKENS, records::NONCES] {
            all.extend(self.rows(table).await);
        }
        all.extend(self.rows(records::GRANTS).await);
        for table in
            [records::CREDENTIALS, records::NOTIFICATIONS, records::STATUS_ENTRIES, records::ENROLMENTS]
        {
            all.extend(self.rows(table).await);
        }
        all
    }

    pub(super) async fn rows(&self, table: Table) -> Vec<(Vec<u8>, u64)> {
        let rows = self.store.scan(table, None, 1000).await.unwrap();
        rows.into_iter().map(|(key, record)| (key, record.version)).collect()
    }
}

pub(super) fn form(offer: &CreatedOffer, tx_code: Option<String>, client_id: Option<&str>) -> Vec<u8> {
    let request = TokenRequest {
        grant: TokenGrant::PreAuthorized {
            code: offer.offer.grants.pre_authorized_code.clone().unwrap().pre_authorized_code,
            tx_code,
        },
        client_id: client_id.map(str::to_owned),
        authorization_details: Vec::new(),
    };
    encoded(&request)
}

fn encoded(request: &TokenRequest) -> Vec<u8> {
    let form = request.to_form().unwrap();
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes()
}

fn bundle() -> Value {
    json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {
            "resourceType": "Patient", "id": "p1", "birthDate": "1978-03-09",
            "name": [{"use": "official", "family": "Åkerström", "given": ["Zoë", "Anaïs"]}],
            "identifier": [{"system": "urn:x", "value": "42"}, {"system": "urn:y", "value": "43"}],
            "address": [{"use": "home", "line": ["Storgatan 1"], "city": "Umeå", "country": "SE"}],
        }},
        {"fullUrl": "urn:uuid:2", "resource": {
            "resourceType": "Coverage", "id": "c1", "status": "active", "subscriberId": "S-1",
            "beneficiary": {"reference": "urn:uuid:1"}, "payor": [{"display": "Kasse", "reference": "#org"}],
            "contained": [{"resourceType": "Organization", "id": "org", "name": "Kasse"}],
        }},
    ]})
}

fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> (ErrorCode, &'static str) {
    let refusal = result.unwrap_err();
    (refusal.code, refusal.error.code())
}

#[tokio::test]
async fn from_offer_to_credential_to_revocation() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity", "insurance_coverage"], true).await;
    assert_eq!(world.issuer.offer_by_reference(&offer.id).await.unwrap(), Some(offer.offer.clone()));
    let token = world.token(&offer).await.unwrap();
    assert_eq!(world.issuer.offer_by_reference(&offer.id).await.unwrap(), None);
    for id in ["patient_identity", "insurance_coverage"] {
        let response = world.ask(&token.access_token, id, &world.proof(|_| {})).await.unwrap();
        let [credential] = response.credentials.as_slice() else { panic!("one credential") };
        let parsed = UnverifiedSdJwtVc::parse(credential, &Limits::DEFAULT).unwrap();
        let signed = parsed.header().kid.clone();
        assert_eq!((parsed.iss(), signed.as_deref()), (Some(ISSUER), Some("key-1")));
        parsed.sd_jwt_check(&world);
    }
    let summary = world.issuer.offer_summary(&offer.id).await.unwrap().unwrap();
    assert_eq!((summary.state, summary.credentials.len()), (OfferState::Issued, 2));
    assert!(world.rows(records::DATASETS).await.is_empty(), "claims are deleted after issuance");

    let all = world.issuer.credentials(None, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].reference.as_deref(), Some("case 7"));
    let id = &all[0].id;
    for (change, status) in [
        (StatusChange::Suspend, CredentialStatus::Suspended),
        (StatusChange::Reinstate, CredentialStatus::Valid),
        (StatusChange::Revoke, CredentialStatus::Revoked),
        (StatusChange::Revoke, CredentialStatus::Revoked),
    ] {
        assert_eq!(world.issuer.change_status(id, change).await.unwrap().unwrap().status, status);
    }
    let back = world.issuer.change_status(id, StatusChange::Reinstate).await;
    assert_eq!(back.unwrap_err().code(), "credential_revoked");
    assert_eq!(world.issuer.change_status("nobody", StatusChange::Revoke).await.unwrap(), None);
}

impl UnverifiedSdJwtVc {
    /// Signature, `cnf`, recursive disclosures and status entry of a fresh credential.
    fn sd_jwt_check(&self, world: &World) {
        let sd_jwt = self.sd_jwt();
        let signed = sd_jwt.split('~').next().unwrap();
        let jws = jws::UnverifiedJws::parse(signed, &Limits::DEFAULT).unwrap();
        let payload = strict::parse(jws.payload(), &Limits::DEFAULT).unwrap();
        jws.verify(world.issuer_key.public_key()).unwrap();
        let jwk = crate::jose::jwk::Jwk::from_key(world.hk.public_key()).to_value();
        assert_eq!(payload["cnf"]["jwk"], jwk);
        for name in ["given_name", "identifiers", "address", "member_id", "payer", "coverage_status"] {
            assert!(payload.get(name).is_none(), "{name} is selectively disclosable");
        }
        assert!(self.status_reference().unwrap().unwrap().uri.starts_with(&format!("{ISSUER}/status/")));
        let nested = if self.vct().ends_with("patient-identity") { 10 } else { 4 };
        assert!(self.disclosures().len() >= nested, "{} disclosures", self.disclosures().len());
        // The credential keeps the rules that its own type publishes.
        use crate::format::sd_jwt_vc::metadata::{Checker, TypeMetadata};
        let document = world.issuer.type_metadata_by_name(self.vct().rsplit('/').next().unwrap()).unwrap();
        let metadata = TypeMetadata::parse(document.to_string().as_bytes(), &Limits::DEFAULT).unwrap();
        metadata.check(self, Checker::Holder).unwrap();
    }
}

#[tokio::test]
async fn one_code_one_token() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity"], true).await;
    let tries = (0..100).map(|_| {
        let (issuer, form) = (
            Arc::clone(&world.issuer),
            form(&offer, Some(offer.tx_code.as_ref().unwrap().expose().clone()), None),
        );
        tokio::spawn(async move { issuer.exchange(&Caller::default(), &form).await })
    });
    let mut won = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => won += 1,
            Err(refusal) => assert_eq!(refusal.code, ErrorCode::InvalidGrant),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn wrong_transaction_codes_lock_the_offer() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity"], true).await;
    let right = offer.tx_code.as_ref().unwrap().expose().clone();
    let wrong = if right == "000000" { "000001" } else { "000000" };
    assert_eq!(
        code(world.issuer.exchange(&Caller::default(), &form(&offer, None, None)).await),
        (ErrorCode::InvalidRequest, "tx_code_missing")
    );
    let tries = (0..100).map(|_| {
        let (issuer, form) = (Arc::clone(&world.issuer), form(&offer, Some(wrong.into()), None));
        tokio::spawn(async move { issuer.exchange(&Caller::default(), &form).await })
    });
    let mut learned = 0;
    for one in tries.collect::<Vec<_>>() {
        let refusal = one.await.unwrap().unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidGrant);
        learned += i32::from(refusal.error.code() == "tx_code_wrong");
    }
    assert_eq!(learned, 5, "five guesses are answered, no more");
    assert_eq!(
        code(world.issuer.exchange(&Caller::default(), &form(&offer, Some(right), None)).await).1,
        "code_unknown"
    );
    let summary = world.issuer.offer_summary(&offer.id).await.unwrap().unwrap();
    assert_eq!(summary.state, OfferState::Locked);
    assert!(world.rows(records::DATASETS).await.is_empty());
}

#[tokio::test]
async fn token_refusals_leave_the_state() {
    let world = World::new(|settings| settings.known_wallets_only = false);
    let offer = world.offer(&["patient_identity"], false).await;
    let before = world.snapshot().await;
    let table: [(Vec<u8>, (ErrorCode, &str)); 4] = [
        (form(&offer, Some("1".into()), None), (ErrorCode::InvalidRequest, "tx_code_unexpected")),
        (b"grant_type=x".to_vec(), (ErrorCode::UnsupportedGrantType, "token_grant_type")),
        (vec![0xff], (ErrorCode::InvalidRequest, "token_form")),
        (form(&offer, None, Some(&"x".repeat(600))), (ErrorCode::InvalidRequest, "token_form")),
    ];
    for (body, expected) in table {
        assert_eq!(code(world.issuer.exchange(&Caller::default(), &body).await), expected);
    }
    assert_eq!(world.snapshot().await, before);
    world.later(3600);
    assert_eq!(code(world.token(&offer).await), (ErrorCode::InvalidGrant, "code_unknown"));
    assert_eq!(world.issuer.offer_by_reference(&offer.id).await.unwrap(), None);
    assert_eq!(world.issuer.offer_summary(&offer.id).await.unwrap().unwrap().state, OfferState::Expired);
    let closed = World::new(|settings| settings.known_wallets_only = true);
    let offer = closed.offer(&["patient_identity"], false).await;
    assert_eq!(code(closed.token(&offer).await), (ErrorCode::InvalidClient, "client_unknown"));
}

#[tokio::test]
async fn credential_refusals_leave_the_state() {
    let (other, world) = (World::new(|_| {}), World::new(|_| {}));
    let offer = world.offer(&["patient_identity"], false).await;
    let token = world.token(&offer).await.unwrap().access_token;
    let before = world.snapshot().await;
    let stale = world.clock.now().plus(-301);
    let future = world.clock.now().plus(61);
    let proofs: Vec<(String, (ErrorCode, &str))> = vec![
        (world.proof(|p| p.audience = "https://other.example"), (ErrorCode::InvalidProof, "proof_aud")),
        (world.proof(|p| p.client_id = Some("wallet.example")), (ErrorCode::InvalidProof, "proof_iss")),
        (world.proof(|p| p.now = stale), (ErrorCode::InvalidProof, "proof_iat_stale")),
        (world.proof(|p| p.now = future), (ErrorCode::InvalidProof, "proof_iat_future")),
        (world.proof(|p| p.nonce = None), (ErrorCode::InvalidProof, "proof_nonce_missing")),
        (world.proof(|p| p.nonce = Some(URL_NONCE)), (ErrorCode::InvalidNonce, "nonce_unknown")),
        (world.proof(|p| p.nonce = Some("short")), (ErrorCode::InvalidNonce, "nonce_unknown")),
        (world.proof(|p| p.key = other.hk.public_key()), (ErrorCode::InvalidProof, "proof_signature")),
        (
            world.proof(|p| p.ak_jkt = Some("nobody")),
            (ErrorCode::InvalidProof, "enrolment_registration_missing"),
        ),
        (none_alg(&world.proof(|_| {})), (ErrorCode::InvalidProof, "proof_alg")),
        (typ(&world, "jwt"), (ErrorCode::InvalidProof, "proof_typ")),
        ("a.b".into(), (ErrorCode::InvalidProof, "proof_parse")),
    ];
    for (proof, expected) in proofs {
        assert_eq!(code(world.ask(&token, "patient_identity", &proof).await), expected);
    }
    let proof = world.proof(|_| {});
    let ask = |token, id| world.ask(token, id, &proof);
    assert_eq!(
        code(ask("nope", "patient_identity").await),
        (ErrorCode::InvalidToken, "access_token_invalid")
    );
    assert_eq!(code(ask(&token, "x").await), (ErrorCode::UnknownCredentialConfiguration, "dataset_unknown"));
    assert_eq!(
        code(ask(&token, "insurance_coverage").await),
        (ErrorCode::InsufficientScope, "access_token_scope")
    );
    assert_eq!(
        code(world.issuer.issue(&Caller::default(), b"{}").await),
        (ErrorCode::MissingToken, "access_token_missing")
    );
    let two = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [proof, proof]}})
        .to_string();
    assert_eq!(
        code(world.issuer.issue(&Caller::bearer(&token), two.as_bytes()).await),
        (ErrorCode::InvalidProof, "proof_key_repeated")
    );
    let many = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": vec![proof; 11]}});
    assert_eq!(
        code(world.issuer.issue(&Caller::bearer(&token), many.to_string().as_bytes()).await),
        (ErrorCode::InvalidProof, "proof_count")
    );
    let named =
        json!({"credential_identifier": "patient_identity.x", "proofs": {"jwt": [world.proof(|_| {})]}});
    assert_eq!(
        code(world.issuer.issue(&Caller::bearer(&token), named.to_string().as_bytes()).await),
        (ErrorCode::UnknownCredentialIdentifier, "credential_identifier")
    );
    assert_eq!(world.snapshot().await, before);

    let expired = world.proof(|p| p.now = world.clock.now().plus(600));
    world.later(600);
    assert_eq!(code(world.ask(&token, "patient_identity", &expired).await).0, ErrorCode::InvalidToken);
}

const URL_NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn none_alg(proof: &str) -> String {
    let mut parts = proof.split('.');
    let header: Value = serde_json::from_slice(&base64url::decode(parts.next().unwrap()).unwrap()).unwrap();
    let mut header = header.as_object().unwrap().clone();
    header.insert("alg".into(), "none".into());
    format!("{}.{}.", base64url::encode(Value::Object(header).to_string().as_bytes()), parts.next().unwrap())
}

fn typ(world: &World, typ: &str) -> String {
    let claims = json!({"aud": ISSUER, "iat": NOW, "nonce": world.issuer.nonce()});
    let mut header = Map::new();
    header.insert("typ".into(), typ.into());
    header.insert("jwk".into(), crate::jose::jwk::Jwk::from_key(world.hk.public_key()).to_value());
    jws::sign(header, claims.to_string().as_bytes(), &world.hk).unwrap()
}

#[tokio::test]
async fn one_nonce_one_credential() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity", "insurance_coverage"], false).await;
    let token = world.token(&offer).await.unwrap().access_token;
    let proof = world.proof(|_| {});
    let tries = (0..100).map(|n| {
        let id = if n % 2 == 0 { "patient_identity" } else { "insurance_coverage" };
        let body = json!({"credential_configuration_id": id, "proofs": {"jwt": [proof]}}).to_string();
        let (issuer, token) = (Arc::clone(&world.issuer), token.clone());
        tokio::spawn(async move { issuer.issue(&Caller::bearer(&token), body.as_bytes()).await })
    });
    let mut won = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => won += 1,
            Err(refusal) => assert!(
                matches!(refusal.code, ErrorCode::InvalidNonce | ErrorCode::CredentialRequestDenied),
                "{refusal}"
            ),
        }
    }
    assert_eq!(won, 1);
    let again = world.ask(&token, "insurance_coverage", &proof).await;
    let first = world.issuer.credentials(None, 10).await.unwrap().remove(0).configuration_id;
    if first == "patient_identity" {
        assert_eq!(code(again), (ErrorCode::InvalidNonce, "nonce_used"));
    } else {
        assert_eq!(code(again), (ErrorCode::CredentialRequestDenied, "credential_issued"));
    }
}

#[tokio::test]
async fn nonces_expire() {
    let world = World::new(|settings| settings.nonce_lifetime = 200);
    let offer = world.offer(&["patient_identity"], false).await;
    let token = world.token(&offer).await.unwrap().access_token;
    let nonce: &'static str = Box::leak(world.issuer.nonce().into_boxed_str());
    world.later(200);
    let proof = world.proof(|p| p.nonce = Some(nonce));
    assert_eq!(
        code(world.ask(&token, "patient_identity", &proof).await),
        (ErrorCode::InvalidNonce, "nonce_expired")
    );
}

#[tokio::test]
async fn notifications() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity"], false).await;
    let token = world.token(&offer).await.unwrap().access_token;
    let response = world.ask(&token, "patient_identity", &world.proof(|_| {})).await.unwrap();
    let id = response.notification_id.unwrap();
    let body = json!({"notification_id": id, "event": "credential_accepted"}).to_string();
    for _ in 0..2 {
        world.issuer.notify(&Caller::bearer(&token), body.as_bytes()).await.unwrap();
    }
    let event = world.issuer.credentials(None, 1).await.unwrap().remove(0).event;
    assert_eq!(serde_json::to_value(event).unwrap(), "credential_accepted");
    let second = world.offer(&["patient_identity"], false).await;
    let other = world.token(&second).await.unwrap().access_token;
    assert_eq!(
        code(world.issuer.notify(&Caller::bearer(&other), body.as_bytes()).await).0,
        ErrorCode::InvalidNotificationId
    );
    assert_eq!(
        code(world.issuer.notify(&Caller::default(), body.as_bytes()).await).0,
        ErrorCode::MissingToken
    );
    assert_eq!(
        code(world.issuer.notify(&Caller::bearer(&token), b"{}").await).0,
        ErrorCode::InvalidNotificationRequest
    );
}

#[tokio::test]
async fn status_lists_follow_changes_and_time() {
    let world = World::new(|_| {});
    for _ in 0..3 {
        let offer = world.offer(&["patient_identity"], false).await;
        let token = world.token(&offer).await.unwrap().access_token;
        world.ask(&token, "patient_identity", &world.proof(|_| {})).await.unwrap();
    }
    let token = world.issuer.status_list_token(0).await.unwrap().unwrap();
    assert_eq!(
        world.issuer.status_list_token(0).await.unwrap().unwrap(),
        token,
        "not signed again for nothing"
    );
    assert_eq!(world.issuer.status_list_token(9).await.unwrap(), None);
    let all = world.issuer.credentials(None, 10).await.unwrap();
    world.issuer.change_status(&all[0].id, StatusChange::Revoke).await.unwrap();
    world.issuer.change_status(&all[1].id, StatusChange::Suspend).await.unwrap();
    let changed = world.issuer.status_list_token(0).await.unwrap().unwrap();
    assert_ne!(changed, token);
    let verified = UnverifiedStatusListToken::parse(&changed, &Limits::DEFAULT).unwrap();
    let list = verified
        .verify(
            world.issuer_key.public_key(),
            &format!("{ISSUER}/status/0"),
            world.clock.now(),
            0,
            &Limits::DEFAULT,
        )
        .unwrap();
    let mut statuses: Vec<u8> =
        (0..64).map(|n| list.status_at(n).unwrap().value()).filter(|v| *v != 0).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [Status::Revoked.value(), Status::Suspended.value()]);
    world.later(301);
    assert_ne!(world.issuer.status_list_token(0).await.unwrap().unwrap(), changed, "signed again when stale");
}

#[tokio::test]
async fn indexes_never_repeat_and_lists_follow_each_other() {
    let world = World::new(|settings| settings.status_list_entries = 8);
    for _ in 0..30 {
        let offer = world.offer(&["patient_identity"], false).await;
        let token = world.token(&offer).await.unwrap().access_token;
        world.ask(&token, "patient_identity", &world.proof(|_| {})).await.unwrap();
    }
    assert_eq!(world.rows(records::STATUS_ENTRIES).await.len(), 30);
    assert!(world.issuer.status_list_token(3).await.unwrap().is_some(), "eight entries a list");
}

#[tokio::test]
async fn purge_forgets_what_is_over() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity"], false).await;
    assert_eq!(world.issuer.purge().await.unwrap(), 0);
    world.later(3600 + 600);
    assert_eq!(world.issuer.purge().await.unwrap(), 2, "code and dataset");
    assert!(world.rows(records::DATASETS).await.is_empty());
    assert!(world.issuer.offer_summary(&offer.id).await.unwrap().is_some());
    world.later(30 * 86_400);
    world.issuer.purge().await.unwrap();
    assert!(world.issuer.offer_summary(&offer.id).await.unwrap().is_none());
}

#[tokio::test]
async fn offers_are_checked() {
    let world = World::new(|_| {});
    let base = NewOffer {
        configuration_ids: vec!["patient_identity".into()],
        fhir: bundle(),
        tx_code: false,
        by_reference: false,
        ..NewOffer::default()
    };
    let table: [(NewOffer, &str); 6] = [
        (NewOffer { configuration_ids: vec![], ..base.clone() }, "offer_configurations"),
        (NewOffer { configuration_ids: vec!["x".into()], ..base.clone() }, "dataset_unknown"),
        (NewOffer { expires_in: Some(0), ..base.clone() }, "offer_lifetime"),
        (NewOffer { expires_in: Some(i64::MAX), ..base.clone() }, "offer_lifetime"),
        (NewOffer { reference: Some("x".repeat(129)), ..base.clone() }, "offer_reference"),
        (NewOffer { fhir: json!({"resourceType": "Patient"}), ..base.clone() }, "fhir_birth_date_missing"),
    ];
    for (new, expected) in table {
        assert!(
            ["fhir_name_missing", expected]
                .contains(&world.issuer.create_offer(&new).await.unwrap_err().code()),
            "{expected}"
        );
    }
    assert!(world.snapshot().await.is_empty());
    let created = world.issuer.create_offer(&base).await.unwrap();
    assert!(created.link.starts_with("openid-credential-offer://?credential_offer=%7B"));
    let text = format!("{base:?}{created:?}");
    assert!(!text.contains("Zo") && !text.contains("pre-authorized_code"));
}

#[test]
fn metadata_says_what_is_there() {
    let world = World::new(|_| {});
    let metadata = world.issuer.credential_issuer_metadata().unwrap();
    for kind in crate::health::DatasetKind::ALL {
        let configuration = metadata.configuration(kind.as_str()).unwrap();
        assert_eq!(configuration.proof_demand().unwrap().unwrap().algorithms, ["ES256".to_owned()]);
        assert!(configuration.credential_metadata.unwrap().claims.len() > 8);
        assert_eq!(configuration.webauthn_binding, None, "no wallet is on the list");
        let name = configuration.vct.unwrap().rsplit('/').next().unwrap().to_owned();
        assert_eq!(
            world.issuer.type_metadata_by_name(&name).unwrap()["vct"],
            world.issuer.settings.vct(kind)
        );
    }
    assert_eq!(metadata.batch_credential_issuance.unwrap().batch_size, 10);
    let single = World::new(|settings| settings.batch_size = 1);
    assert!(single.issuer.credential_issuer_metadata().unwrap().batch_credential_issuance.is_none());
    assert_eq!(
        catalogue::did_web("https://a.example:8443/x/y").unwrap().as_str(),
        "did:web:a.example%3A8443:x:y"
    );
    assert_eq!(world.issuer.did_document().unwrap()["id"], "did:web:hospital.example");
    assert!(world.issuer.binding_policy_document("1").is_some());
    assert!(world.issuer.binding_policy_document("2").is_none());
}

#[test]
fn settings_are_checked() {
    let change: [fn(&mut Settings); 8] = [
        |s| s.batch_size = 0,
        |s| s.batch_size = 33,
        |s| s.identifier.push('/'),
        |s| s.offer_lifetime = 0,
        |s| s.status_list_entries = 7,
        |s| s.status_ttl = 1_000_000,
        |s| s.tx_code_attempts = 0,
        |s| s.required_levels.extend([("x".into(), crate::attestation::level::AssuranceLevel::Uv)]),
    ];
    for change in change {
        let mut settings = Settings::new(ISSUER, "x");
        settings.check().unwrap();
        change(&mut settings);
        assert_eq!(settings.check().unwrap_err().code(), "issuer_settings");
    }
}

/// Key proofs of `count` fresh keys with one nonce.
fn batch(world: &World, count: usize) -> Vec<String> {
    let nonce: &'static str = Box::leak(world.issuer.nonce().into_boxed_str());
    let proof = |_| {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let input = KeyProofInput {
            key: key.public_key(),
            audience: ISSUER,
            nonce: Some(nonce),
            client_id: None,
            ak_jkt: None,
            key_attestation: None,
            now: world.clock.now(),
        };
        let input = key_proof::signing_input(&input).unwrap();
        let signature = key.sign(input.as_bytes()).unwrap();
        jws::assemble(input, &signature)
    };
    (0..count).map(proof).collect()
}

#[tokio::test]
async fn a_batch_is_one_request_with_a_key_and_a_status_entry_each() {
    let world = World::new(|settings| settings.status_list_entries = 4);
    let offer = world.offer(&["patient_identity"], false).await;
    let token = world.token(&offer).await.unwrap().access_token;
    let proofs = batch(&world, 10);
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": proofs}});
    let response = world
        .issuer
        .issue(&Caller::bearer(&token), body.to_string().as_bytes())
        .await
        .unwrap()
        .issued()
        .unwrap();
    let (mut keys, mut entries) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for credential in &response.credentials {
        let parsed = UnverifiedSdJwtVc::parse(credential, &Limits::DEFAULT).unwrap();
        let status = parsed.status_reference().unwrap().unwrap();
        entries.insert((status.uri, status.idx));
        let signed = jws::UnverifiedJws::parse(parsed.sd_jwt().split('~').next().unwrap(), &Limits::DEFAULT);
        let payload = strict::parse(signed.unwrap().payload(), &Limits::DEFAULT).unwrap();
        keys.insert(payload["cnf"]["jwk"]["x"].as_str().unwrap().to_owned());
    }
    assert_eq!((response.credentials.len(), keys.len(), entries.len()), (10, 10, 10));
    assert_eq!(world.rows(records::NONCES).await.len(), 1, "one nonce for all proofs");
    // One notification speaks for all of them.
    let note = json!({"notification_id": response.notification_id, "event": "credential_accepted"});
    world.issuer.notify(&Caller::bearer(&token), note.to_string().as_bytes()).await.unwrap();
    let all = world.issuer.credentials(None, 20).await.unwrap();
    assert!(all.len() == 10 && all.iter().all(|one| one.event.is_some()));
    let summary = world.issuer.offer_summary(&offer.id).await.unwrap().unwrap();
    assert_eq!((summary.state, summary.credentials.len()), (OfferState::Issued, 10));
}

#[tokio::test]
async fn one_bad_proof_spoils_the_batch() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity"], false).await;
    let token = world.token(&offer).await.unwrap().access_token;
    let before = world.snapshot().await;
    let good = batch(&world, 3);
    let fresh = || batch(&world, 1).remove(0);
    let table = [
        (none_alg(&fresh()), (ErrorCode::InvalidProof, "proof_alg")),
        (world.proof(|p| p.nonce = None), (ErrorCode::InvalidProof, "proof_nonce_missing")),
        (world.proof(|p| p.nonce = Some(URL_NONCE)), (ErrorCode::InvalidNonce, "nonce_unknown")),
        (good[0].clone(), (ErrorCode::InvalidProof, "proof_key_repeated")),
    ];
    for (bad, expected) in table {
        let proofs: Vec<_> = good.iter().cloned().chain([bad]).collect();
        let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": proofs}});
        let refused = world.issuer.issue(&Caller::bearer(&token), body.to_string().as_bytes()).await;
        assert_eq!(code(refused), expected);
    }
    assert_eq!(world.snapshot().await, before, "no nonce was used, nothing was issued");
}

#[tokio::test]
async fn authorization_details_choose_and_name_datasets() {
    let world = World::new(|_| {});
    let offer = world.offer(&["patient_identity", "insurance_coverage"], false).await;
    let code_of = offer.offer.grants.pre_authorized_code.clone().unwrap().pre_authorized_code;
    let ask = |ids: &[&str]| TokenRequest {
        grant: TokenGrant::PreAuthorized { code: code_of.clone(), tx_code: None },
        client_id: None,
        authorization_details: ids.iter().map(|id| AuthorizationDetail::of(id)).collect(),
    };
    let refused = world.issuer.exchange(&Caller::default(), &encoded(&ask(&["driving_licence"]))).await;
    assert_eq!(code(refused), (ErrorCode::InvalidAuthorizationDetails, "authorization_details"));
    let token =
        world.issuer.exchange(&Caller::default(), &encoded(&ask(&["insurance_coverage"]))).await.unwrap();
    let details = token.authorization_details.unwrap();
    let [detail] = details.as_slice() else { panic!("one credential was asked for") };
    let [identifier] = detail.credential_identifiers.as_slice() else { panic!("one dataset") };
    let request =
        |member: &str, id: &str, proof: String| json!({member: id, "proofs": {"jwt": [proof]}}).to_string();
    let token = token.access_token;
    let not_asked = request("credential_configuration_id", "patient_identity", world.proof(|_| {}));
    let refused = world.issuer.issue(&Caller::bearer(&token), not_asked.as_bytes()).await;
    assert_eq!(code(refused), (ErrorCode::InsufficientScope, "access_token_scope"));
    let issued = request("credential_identifier", identifier, world.proof(|_| {}));
    let credential = world
        .issuer
        .issue(&Caller::bearer(&token), issued.as_bytes())
        .await
        .unwrap()
        .issued()
        .unwrap()
        .credentials
        .remove(0);
    let parsed = UnverifiedSdJwtVc::parse(&credential, &Limits::DEFAULT).unwrap();
    assert!(parsed.vct().ends_with("insurance-coverage"));
}

/// Keys of another server: the newer one only for those who ask again.
struct Rotated {
    old: SoftwareKey,
    new: SoftwareKey,
}

#[async_trait::async_trait]
impl ServerKeys for Rotated {
    async fn keys(&self, server: &str, fresh: bool) -> Result<crate::jose::jwk::JwkSet> {
        assert_eq!(server, "https://login.example");
        let named = |key: &SoftwareKey, kid: &str| {
            let mut jwk = crate::jose::jwk::Jwk::from_key(key.public_key());
            jwk.kid = Some(kid.into());
            jwk
        };
        let mut keys = vec![named(&self.old, "old")];
        keys.extend(fresh.then(|| named(&self.new, "new")));
        Ok(crate::jose::jwk::JwkSet { keys })
    }
}

#[tokio::test]
async fn keys_of_another_server_are_found_after_its_rotation() {
    let key = || SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let (keys, stranger) = (Rotated { old: key(), new: key() }, key());
    let token = |key: &SoftwareKey, kid: &str| {
        let claims = json!({
            "iss": "https://login.example", "aud": ISSUER, "sub": "p1", "client_id": "w", "iat": NOW,
            "exp": NOW + 300, "scope": "patient_identity",
        });
        let header = json!({"kid": kid}).as_object().unwrap().clone();
        crate::jose::jwt::sign("at+jwt", header, claims.as_object().unwrap(), key).unwrap()
    };
    let tokens = [
        (token(&keys.old, "old"), None),
        (token(&keys.new, "new"), None),
        (token(&stranger, "other"), Some("access_token_key")),
    ];
    let mut world = World::new(|settings| settings.authorization_servers = vec![login()]);
    let issuer = Arc::into_inner(world.issuer).unwrap();
    world.issuer = Arc::new(issuer.with_server_keys(Arc::new(keys)));
    for (token, refused) in tokens {
        let new = NewOffer {
            configuration_ids: vec!["patient_identity".into()],
            fhir: bundle(),
            flow: OfferFlow::AuthorizationCode,
            subject: Some("p1".into()),
            ..NewOffer::default()
        };
        world.issuer.create_offer(&new).await.unwrap();
        let answer = world.ask(&token, "patient_identity", &world.proof(|_| {})).await;
        assert_eq!(answer.err().map(|refusal| refusal.error.code()), refused);
    }
}

fn login() -> AuthorizationServer {
    AuthorizationServer { issuer: "https://login.example".into(), subject_claim: "sub".into() }
}
