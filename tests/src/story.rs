//! The story without servers: an issuer, a holder with two keys, and a verifier that judges. Every part can be told
//! differently, so that a test changes one thing and sees one check fail. Benchmarks measure the same functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::authenticator::{Behaviour, SoftwareAuthenticator};
use carekey_core::binding::claim::{ClientKind, UvDemand, WEBAUTHN_BINDING, WebauthnBinding};
use carekey_core::binding::statement::PresentationStatement;
use carekey_core::binding::verify::WEBAUTHN_ASSERTION;
use carekey_core::credential::claims::ClaimPath;
use carekey_core::credential::validity::Validity;
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::issue::{DisclosureFrame, IssueInput, IssuerKeyHeader, issue};
use carekey_core::format::sd_jwt_vc::key_binding::{KeyBindingInput, TransactionDataHashes};
use carekey_core::format::sd_jwt_vc::verify::UnverifiedSdJwtVc;
use carekey_core::jose::jwk::{Jwk, JwkSet};
use carekey_core::key::{Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::client_id::{ClientId, ClientIdPrefix};
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::protocol::openid4vp::request::ResponseMode;
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;
use carekey_core::random::SystemRandom;
use carekey_core::status::reference::StatusReference;
use carekey_core::status::token_status_list::{
    EntryBits, Status, StatusList, StatusListTokenInput, UnverifiedStatusListToken, VerifiedStatusList, sign,
};
use carekey_core::trust::{IssuerRule, IssuerTrust, TrustedIssuer};
use carekey_core::verifier::{
    Evidence, NewRequest, Policy, PresentationRequest, Refusal, RefusalCode, SourceEvidence, StatusEvidence,
    StepUpCarrier, StepUpDemand, UnverifiedPresentation, VerifiedPresentation, verify,
};
use carekey_core::webauthn::options::RequestOptions;
use carekey_core::{Result, UnixTime};
use serde_json::{Map, Value, json};

/// 2026-11-22T12:00:00Z
pub const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);
/// The issuer.
pub const ISS: &str = "https://hospital.example";
/// The type of the credential.
pub const VCT: &str = "https://hospital.example/vct/patient-identity";
/// Where its status stands.
pub const STATUS_URI: &str = "https://hospital.example/status/1";
/// The verifier.
pub const VERIFIER: &str = "portal.example";
/// Where the second key lives.
pub const RP_ID: &str = "wallet.example";
/// The wallet's origin.
pub const ORIGIN: &str = "https://wallet.example";
/// The second key's WebAuthn credential id.
pub const CREDENTIAL_ID: [u8; 16] = [7; 16];

/// The claims that are asked for, one disclosure each.
pub const CLAIMS: [&str; 12] = [
    "given_name",
    "family_name",
    "birthdate",
    "gender",
    "phone_number",
    "email",
    "nationality",
    "place_of_birth",
    "street_address",
    "locality",
    "postal_code",
    "country",
];

/// A fixed P-256 key.
pub fn key(byte: u8) -> SoftwareKey {
    SoftwareKey::from_p256_scalar(&[byte; 32]).expect("a scalar of the curve")
}

/// Another holder of the same key.
pub fn copy(key: &SoftwareKey) -> SoftwareKey {
    SoftwareKey::from_pkcs8(key.to_pkcs8().expect("it has a form").expose()).expect("its own form")
}

/// How the credential is issued.
pub struct Issuance {
    /// The issuer's key.
    pub issuer: SoftwareKey,
    /// `vct`.
    pub vct: String,
    /// `iss`.
    pub iss: String,
    /// `iat`, `nbf`, `exp`.
    pub validity: Validity,
    /// HK; `None`: no `cnf`.
    pub holder: Option<SoftwareKey>,
    /// `status`.
    pub status: Option<StatusReference>,
    /// `webauthn_binding`.
    pub binding: Option<WebauthnBinding>,
    /// The claims of the subject.
    pub claims: Map<String, Value>,
}

impl Default for Issuance {
    fn default() -> Self {
        let claims = CLAIMS.iter().map(|name| ((*name).to_owned(), json!(format!("value of {name}"))));
        Self {
            issuer: key(1),
            vct: VCT.to_owned(),
            iss: ISS.to_owned(),
            validity: Validity {
                issued_at: Some(NOW.plus(-3600)),
                not_before: None,
                expires_at: Some(NOW.plus(7_776_000)),
            },
            holder: Some(key(2)),
            status: Some(StatusReference { idx: 7, uri: STATUS_URI.to_owned() }),
            binding: Some(binding()),
            claims: claims.collect(),
        }
    }
}

/// What the issuer says about the second key.
pub fn binding() -> WebauthnBinding {
    WebauthnBinding {
        jwk: Jwk::from_key(key(3).public_key()),
        rp_id: RP_ID.to_owned(),
        origins: vec![ORIGIN.to_owned()],
        client: ClientKind::Browser,
        uv: UvDemand::Required,
        backup_eligible: false,
        level: AssuranceLevel::Uv,
        key_protection: KeyProtection::Unknown,
        modality: None,
        cert_level: None,
        evaluated_at: NOW.plus(-3600),
        policy: "https://hospital.example/policy/binding/1".to_owned(),
    }
}

impl Issuance {
    /// The credential with every disclosure.
    pub fn issue(&self) -> String {
        let mut claims = self.claims.clone();
        if let Some(binding) = &self.binding {
            claims.insert(WEBAUTHN_BINDING.into(), binding.to_claim().expect("plain data"));
        }
        let paths: Vec<ClaimPath> = claims.keys().map(|name| ClaimPath::member(name)).collect();
        let input = IssueInput {
            vct: &self.vct,
            iss: Some(&self.iss),
            validity: self.validity,
            holder_key: self.holder.as_ref().map(Signer::public_key),
            status: self.status.as_ref(),
            vct_integrity: None,
            aka_vcts: &[],
            claims,
            frame: &DisclosureFrame::of(&paths),
            key_header: IssuerKeyHeader::Kid("key-1".to_owned()),
            digest_algorithm: DigestAlgorithm::Sha256,
        };
        issue(input, &self.issuer, &SystemRandom).expect("a credential of ours")
    }
}

/// What the verifier asks for.
pub struct Asking {
    /// The claims of the one credential query.
    pub claims: Vec<Value>,
    /// The step-up.
    pub step_up: Option<StepUpDemand>,
}

impl Asking {
    /// [`CLAIMS`] without step-up.
    pub fn plain() -> Self {
        Self { claims: CLAIMS.iter().map(|name| json!({ "path": [name] })).collect(), step_up: None }
    }

    /// [`CLAIMS`] and a step-up by transaction data.
    pub fn step_up() -> Self {
        let mut asking = Self::plain();
        asking.claims.push(json!({ "path": [WEBAUTHN_BINDING] }));
        let carrier = StepUpCarrier::TransactionData;
        asking.step_up = Some(StepUpDemand { min_level: AssuranceLevel::Uv, max_age: 120, carrier });
        asking
    }

    /// The request, made now.
    pub fn request(self) -> PresentationRequest {
        let query = json!({ "credentials": [{
            "id": "identity", "format": "dc+sd-jwt", "meta": { "vct_values": [VCT] }, "claims": self.claims
        }] });
        let new = NewRequest {
            query: DcqlQuery::parse(&query).expect("a query of ours"),
            purpose: "Open your record".to_owned(),
            locale: Some("en".to_owned()),
            step_up: self.step_up,
            transaction_data: Vec::new(),
            transaction_types: TransactionTypes::default(),
            expected_origins: Vec::new(),
            response_mode: ResponseMode::DirectPost,
            lifetime: 300,
        };
        let client_id = ClientId::new(ClientIdPrefix::X509SanDns, VERIFIER);
        let response_uri = "https://portal.example/oid4vp/responses/1".parse().expect("a URL");
        PresentationRequest::new("1".to_owned(), new, client_id, response_uri, NOW, &SystemRandom)
            .expect("a request of ours")
    }
}

/// How the holder answers. The default answers the request as it should be.
pub struct Answer {
    /// What signs the key-binding JWT.
    pub holder: SoftwareKey,
    /// What signs the assertion.
    pub authenticator: SoftwareAuthenticator,
    /// The claims that leave; `None`: those that were asked for.
    pub disclose: Option<Vec<String>>,
    /// `aud`; `None`: the verifier.
    pub audience: Option<String>,
    /// `nonce`; `None`: the request's.
    pub nonce: Option<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: Option<UnixTime>,
    /// The transaction data that is approved; `None`: all that was sent.
    pub transaction_data: Option<Vec<String>>,
    /// Whether an assertion comes along.
    pub assertion: bool,
    /// Changes the claim `webauthn_assertion`.
    pub edit_assertion: fn(&mut Value),
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            holder: key(2),
            authenticator: authenticator(3, Behaviour::default()),
            disclose: None,
            audience: None,
            nonce: None,
            issued_at: NOW,
            expires_at: Some(NOW.plus(120)),
            transaction_data: None,
            assertion: true,
            edit_assertion: |_| {},
        }
    }
}

/// An authenticator that holds the key of that number and behaves like that.
pub fn authenticator(number: u8, behaviour: Behaviour) -> SoftwareAuthenticator {
    let authenticator = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
    authenticator.insert_key(&CREDENTIAL_ID, RP_ID, key(number));
    authenticator.behave(behaviour);
    authenticator
}

impl Answer {
    /// The presentation of `credential` for `request`.
    pub fn present(&self, credential: &str, request: &PresentationRequest) -> String {
        let parsed = UnverifiedSdJwtVc::parse(credential, &Limits::DEFAULT).expect("a credential of ours");
        let mut names: Vec<String> =
            self.disclose.clone().unwrap_or_else(|| CLAIMS.iter().map(|name| (*name).to_owned()).collect());
        if request.step_up.is_some() && self.disclose.is_none() {
            names.push(WEBAUTHN_BINDING.to_owned());
        }
        let paths: Vec<ClaimPath> = names.iter().map(|name| ClaimPath::member(name)).collect();
        let presentation = parsed.present(&paths).expect("claims that the credential has");
        let audience = self.audience.as_deref().unwrap_or(request.client_id.as_str());
        let nonce = self.nonce.as_deref().unwrap_or(&request.nonce);
        let approved = self.transaction_data.as_ref().unwrap_or(&request.transaction_data);
        let hashes = TransactionDataHashes::new(approved, DigestAlgorithm::Sha256);
        let mut extra = Map::new();
        if request.step_up.is_some() && self.assertion {
            let statement = PresentationStatement {
                aud: audience,
                content_hash: &presentation.sd_hash(),
                exp: self.expires_at.unwrap_or(self.issued_at),
                hk_jkt: &Jwk::from_key(self.holder.public_key()).thumbprint(),
                iat: self.issued_at,
                nonce,
                txn: hashes.hashes(),
            };
            let challenge = statement.challenge().expect("a statement of ours");
            let options = RequestOptions::step_up(RP_ID, &CREDENTIAL_ID, challenge);
            let response = self.authenticator.get(&options).expect("it holds the key").response;
            let mut assertion = json!({
                "id": carekey_core::webauthn::Bytes(CREDENTIAL_ID.to_vec()),
                "authenticator_data": response.authenticator_data,
                "client_data_json": response.client_data_json,
                "signature": response.signature,
            });
            (self.edit_assertion)(&mut assertion);
            extra.insert(WEBAUTHN_ASSERTION.into(), assertion);
        }
        let input = KeyBindingInput {
            audience,
            nonce,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            transaction_data: (!approved.is_empty()).then_some(&hashes),
            extra,
        };
        let draft = presentation.bind(self.holder.public_key().algorithm(), input).expect("claims of ours");
        draft.sign(&self.holder).expect("a software key signs")
    }
}

/// What the verifier gathered and how it judges.
pub struct Judging {
    /// The issuer's key, or why there is none.
    pub issuer: Result<Arc<TrustedIssuer>>,
    /// The status list.
    pub status: StatusEvidence,
    /// The time.
    pub now: UnixTime,
    /// The policy.
    pub policy: Policy,
}

impl Default for Judging {
    fn default() -> Self {
        let list = status_list(Status::Valid);
        Self {
            issuer: trusted(ISS, VCT, &key(1)),
            status: StatusEvidence::List { list: Arc::new(list), fetched_at: NOW },
            now: NOW,
            policy: Policy::default(),
        }
    }
}

/// The issuer's key as a verifier finds it in the metadata of an issuer on its list.
///
/// # Errors
/// The issuer is not on the list.
pub fn trusted(iss: &str, vct: &str, key: &SoftwareKey) -> Result<Arc<TrustedIssuer>> {
    let rule = IssuerRule {
        https_issuers: vec![ISS.to_owned()],
        vcts: vec![VCT.to_owned()],
        ..IssuerRule::default()
    };
    let mut jwk = Jwk::from_key(key.public_key());
    jwk.kid = Some("key-1".to_owned());
    let keys = JwkSet { keys: vec![jwk] };
    IssuerTrust::new(vec![rule]).by_metadata(vct, iss, Some("key-1"), &keys).map(Arc::new)
}

/// The issuer's status list with that status at the credential's place.
pub fn status_list(status: Status) -> VerifiedStatusList {
    let mut list = StatusList::new(EntryBits::new(2).expect("allowed"), 64);
    list.set(7, status).expect("inside the list");
    let input = StatusListTokenInput {
        uri: STATUS_URI,
        issued_at: NOW.plus(-60),
        expires_at: Some(NOW.plus(3600)),
        ttl: Some(300),
        issuer: None,
        aggregation_uri: None,
    };
    let token = sign(&list, &input, Map::new(), &key(1)).expect("a list of ours");
    let parsed = UnverifiedStatusListToken::parse(&token, &Limits::DEFAULT).expect("a token of ours");
    parsed.verify(key(1).public_key(), STATUS_URI, NOW, 60, &Limits::DEFAULT).expect("a token of ours")
}

impl Judging {
    /// Parses and judges the one presentation of a response.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge(
        &self,
        presentation: &str,
        request: &PresentationRequest,
    ) -> std::result::Result<VerifiedPresentation, Refusal> {
        self.judge_token(&BTreeMap::from([("identity".to_owned(), vec![presentation.to_owned()])]), request)
    }

    /// Parses and judges a `vp_token`.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_token(
        &self,
        vp_token: &BTreeMap<String, Vec<String>>,
        request: &PresentationRequest,
    ) -> std::result::Result<VerifiedPresentation, Refusal> {
        let refuse = |error: carekey_core::Error| Refusal {
            code: RefusalCode::of(&error),
            detail: error.detail().to_owned(),
            checks: Vec::new(),
        };
        let parsed =
            UnverifiedPresentation::parse(vp_token, &request.query, &self.policy.limits).map_err(refuse)?;
        let source = || SourceEvidence { issuer: self.issuer.clone(), status: self.status.clone() };
        let sources = parsed.iter().map(|_| source()).collect();
        verify(parsed, &Evidence { request, now: self.now, sources }, &self.policy)
    }
}
