//! A hospital, a wallet and their keys in memory, at a fixed time: for the tests of presentations on both levels.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)] // each test program uses its own part

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::authenticator::SoftwareAuthenticator;
use carekey_core::binding::claim::{ClientKind, UvDemand, WebauthnBinding};
use carekey_core::clock::{Clock, FixedClock, UnixTime};
use carekey_core::credential::claims::ClaimPath;
use carekey_core::credential::validity::Validity;
use carekey_core::encoding::{base64, base64url};
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::issue::{DisclosureFrame, IssueInput, IssuerKeyHeader, issue};
use carekey_core::holder::{
    AuthenticatorKey, CredentialDisplay, HolderKeyInfo, HolderKeys, HttpClient, HttpRequest, HttpResponse,
    KeyPurpose, SignItem, StoredCredential,
};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::random::SystemRandom;
use carekey_core::status::reference::StatusReference;
use carekey_core::status::token_status_list::{EntryBits, Status, StatusList, StatusListTokenInput, sign};
use carekey_core::x509::TrustAnchor;
use carekey_core::{Error, Result};
use serde_json::{Map, Value, json};

pub const NOW: UnixTime = UnixTime::from_secs(1_796_000_000);
pub const ISS: &str = "https://hospital.example";
pub const VCT: &str = "https://hospital.example/vct/patient-identity";
pub const COVERAGE: &str = "https://hospital.example/vct/insurance-coverage";
pub const STATUS_URI: &str = "https://hospital.example/status/1";
pub const RP_ID: &str = "wallet.example";
pub const ORIGIN: &str = "https://wallet.example";

/// A certification authority of its own.
pub struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(2044, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { issuer: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_der(self.issuer.der()).unwrap()
    }

    /// A fresh key with a certificate for that name and address; as key and `x5c`.
    pub fn certify(&self, host: &str, uri: &str) -> (SoftwareKey, Vec<String>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let signer = SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap();
        (signer, self.certificate(&key, host, uri, 2034))
    }

    /// A certificate of that key until the end of the year before; as `x5c`.
    pub fn certificate(&self, key: &rcgen::KeyPair, host: &str, uri: &str, until: i32) -> Vec<String> {
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI(uri.try_into().unwrap()));
        params.distinguished_name.push(rcgen::DnType::CommonName, host);
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        vec![base64::encode(params.signed_by(key, &self.issuer).unwrap().der())]
    }
}

/// The holder keys of the wallet.
#[derive(Default)]
pub struct Keys(pub Mutex<HashMap<String, SoftwareKey>>);

#[async_trait]
impl HolderKeys for Keys {
    async fn generate(&self, _: KeyPurpose) -> Result<HolderKeyInfo> {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256)?;
        let public_key = key.public_key().clone();
        let alias = format!("hk-{}", self.0.lock().unwrap().len());
        self.0.lock().unwrap().insert(alias.clone(), key);
        Ok(HolderKeyInfo { alias, public_key })
    }

    async fn sign(&self, items: Vec<SignItem>) -> Result<Vec<Vec<u8>>> {
        let keys = self.0.lock().unwrap();
        items.iter().map(|item| keys[&item.alias].sign(&item.message)).collect()
    }

    async fn delete(&self, alias: &str) -> Result<()> {
        self.0.lock().unwrap().remove(alias);
        Ok(())
    }
}

/// What one credential is to be like.
pub struct Wanted {
    pub vct: &'static str,
    pub claims: Value,
    pub level: AssuranceLevel,
    pub status: Option<u64>,
    pub expires_in: i64,
    pub second_key: bool,
    pub iss: Option<String>,
    pub key_header: Option<IssuerKeyHeader>,
    pub status_uri: &'static str,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            vct: VCT,
            claims: json!({
                "given_name": "Žofie Ægidie", "family_name": "Testová", "birthdate": "1980-02-29",
                "identifiers": [
                    {"system": "urn:oid:1.2.3", "value": "A-1"},
                    {"system": "urn:oid:1.2.4", "value": "B-2", "type": "MR"}
                ],
                "address": {"street_address": "Příkladná 1", "locality": "Praha", "country": "CZ"}
            }),
            level: AssuranceLevel::Uv,
            status: Some(7),
            expires_in: 86_400,
            second_key: true,
            iss: Some(ISS.into()),
            key_header: None,
            status_uri: STATUS_URI,
        }
    }
}

/// The hospital and the wallet.
pub struct World {
    pub clock: Arc<FixedClock>,
    pub authority: Authority,
    pub issuer: SoftwareKey,
    pub issuer_x5c: Vec<String>,
    pub keys: Keys,
    pub authenticator: SoftwareAuthenticator,
    pub ak: SoftwareKey,
    pub list: Mutex<StatusList>,
}

pub const AK_ID: &[u8] = b"the second key's";

impl World {
    pub fn new() -> Self {
        let authority = Authority::new("Hospital CA");
        let (issuer, issuer_x5c) = authority.certify("hospital.example", ISS);
        let authenticator = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
        let ak = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let copy = SoftwareKey::from_pkcs8(ak.to_pkcs8().unwrap().expose()).unwrap();
        authenticator.insert_key(AK_ID, RP_ID, copy);
        Self {
            clock: Arc::new(FixedClock::new(NOW)),
            authority,
            issuer,
            issuer_x5c,
            keys: Keys::default(),
            authenticator,
            ak,
            list: Mutex::new(StatusList::new(EntryBits::Two, 100)),
        }
    }

    pub fn binding(&self, level: AssuranceLevel) -> WebauthnBinding {
        WebauthnBinding {
            jwk: Jwk::from_key(self.ak.public_key()),
            rp_id: RP_ID.into(),
            origins: vec![ORIGIN.into()],
            client: ClientKind::Browser,
            uv: UvDemand::Required,
            backup_eligible: false,
            level,
            key_protection: KeyProtection::Unknown,
            modality: None,
            cert_level: None,
            evaluated_at: NOW.plus(-1000),
            policy: "https://hospital.example/policy/binding/1".into(),
        }
    }

    pub async fn credential(&self, wanted: Wanted) -> StoredCredential {
        let holder = self.keys.generate(KeyPurpose::HolderKey).await.unwrap();
        self.credential_with(wanted, &holder)
    }

    pub fn credential_with(&self, wanted: Wanted, holder: &HolderKeyInfo) -> StoredCredential {
        let mut claims: Map<String, Value> = wanted.claims.as_object().unwrap().clone();
        if wanted.second_key {
            claims.insert("webauthn_binding".into(), self.binding(wanted.level).to_claim().unwrap());
            claims.insert("biometric_binding_level".into(), wanted.level.as_str().into());
        }
        let nested = [json!(["identifiers", null]), json!(["address", "locality"])];
        let nested = nested.map(|path| serde_json::from_value::<ClaimPath>(path).unwrap());
        let paths: Vec<ClaimPath> = claims.keys().map(|name| ClaimPath::member(name)).chain(nested).collect();
        let frame = DisclosureFrame::of(&paths);
        let status = wanted.status.map(|idx| StatusReference { idx, uri: wanted.status_uri.into() });
        let input = IssueInput {
            vct: wanted.vct,
            iss: wanted.iss.as_deref(),
            validity: Validity {
                issued_at: Some(NOW.plus(-1000)),
                not_before: None,
                expires_at: Some(NOW.plus(wanted.expires_in)),
            },
            holder_key: Some(&holder.public_key),
            status: status.as_ref(),
            vct_integrity: None,
            aka_vcts: &[],
            claims,
            frame: &frame,
            key_header: wanted.key_header.unwrap_or(IssuerKeyHeader::X5c(self.issuer_x5c.clone())),
            digest_algorithm: DigestAlgorithm::Sha256,
        };
        StoredCredential {
            batch: None,
            id: format!("{}-{}", wanted.vct.rsplit('/').next().unwrap(), holder.alias),
            format: carekey_core::credential::CredentialFormat::DcSdJwt,
            credential: issue(input, &self.issuer, &SystemRandom).unwrap(),
            vct: wanted.vct.into(),
            configuration_id: "patient_identity".into(),
            hk_alias: holder.alias.clone(),
            ak: wanted.second_key.then(|| AuthenticatorKey {
                credential_id: base64url::encode(AK_ID),
                rp_id: RP_ID.into(),
                jkt: Jwk::from_key(self.ak.public_key()).thumbprint(),
                transports: vec!["internal".into()],
            }),
            issuer: ISS.into(),
            credential_issuer: ISS.into(),
            issuer_name: "Test hospital".into(),
            issuer_trusted: true,
            display: CredentialDisplay { name: "Patient identity".into(), ..CredentialDisplay::default() },
            issued_at: NOW,
            expires_at: None,
        }
    }

    pub fn set_status(&self, idx: u64, status: Status) {
        self.list.lock().unwrap().set(idx, status).unwrap();
    }

    /// The status list as the hospital publishes it at the time of its clock.
    pub fn status_token(&self, ttl: Option<u64>, lifetime: i64) -> String {
        self.status_token_at(STATUS_URI, ttl, lifetime)
    }

    pub fn status_token_at(&self, uri: &str, ttl: Option<u64>, lifetime: i64) -> String {
        let now = self.clock.now();
        let input = StatusListTokenInput {
            uri,
            issued_at: now,
            expires_at: Some(now.plus(lifetime)),
            ttl,
            issuer: Some(ISS),
            aggregation_uri: None,
        };
        sign(&self.list.lock().unwrap(), &input, Map::new(), &self.issuer).unwrap()
    }
}

/// An answer of a web server in memory.
pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> HttpResponse {
    HttpResponse { status, content_type: Some(content_type.into()), headers: Vec::new(), body: body.into() }
}

/// A web in memory: one function that answers everything.
pub struct Web<F>(pub F);

#[async_trait]
impl<F: Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync> HttpClient for Web<F> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        (self.0)(&request).ok_or_else(|| Error::unavailable("fetch_failed", "nothing there"))
    }
}
