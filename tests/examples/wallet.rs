//! Our wallet for services that are not ours: the holder engine with software keys, driven by lines of JSON on standard
//! input, one answer for each: `{"ok": …}` or `{"failed": <error code>}`.
//!
//! The argument is a file with its settings: `anchors` (base64 DER) of issuers and verifiers, `transaction_types`, and
//! perhaps `client_id`, `rp_id` and `origin` under which an issuer knows it. A provider of its own vouches for wallet and
//! keys where an issuer asks for that: `{"do": "provider"}` answers with its certificate.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)] // a tool of the tests

use std::io::BufRead as _;
use std::sync::Arc;

use async_trait::async_trait;
use carekey_core::attestation::key_attestation::{self, KeyAttestation};
use carekey_core::attestation::wallet_attestation::{self, WalletAttestation};
use carekey_core::clock::{Clock, SystemClock, UnixTime};
use carekey_core::encoding::{base64, json};
use carekey_core::error::{Error, Result};
use carekey_core::holder::StoredCredential;
use carekey_core::holder::issuance::{
    self, Acceptance, Authorization, FinishedIssuance, IssuanceContext, IssuancePolicy,
    KeyAttestationRequest, KeyAttester, Pending, PreparedIssuance, Renewal, Resumed, SignedMetadata,
    WalletAttester,
};
use carekey_core::holder::presentation::{self, Delivery, PresentationReview, PresentationRules};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::notification::NotificationEvent;
use carekey_core::protocol::openid4vp::digital_credentials::DigitalCredentialRequest;
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;
use carekey_core::trust::{IssuerRule, IssuerTrust, KnownAuthorities, VerifierTrust};
use carekey_core::x509::TrustAnchor;
use carekey_service::fetch::{FetchConfig, Fetcher};
use carekey_tests::world::Wallet;
use serde_json::{Map, Value, json};

/// Where the browser comes back to.
const REDIRECT: &str = "https://wallet.example/cb";

#[tokio::main]
async fn main() {
    let settings = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let mut driver = Driver::new(&serde_json::from_slice(&settings).unwrap());
    for line in std::io::stdin().lock().lines() {
        let answer = match json::parse(line.unwrap().as_bytes(), &Limits::DEFAULT) {
            Ok(command) => driver.run(&command).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(value) => println!("{}", json!({"ok": value})),
            Err(error) => println!("{}", json!({"failed": error.code(), "detail": error.detail()})),
        }
    }
}

/// The wallet and what waits in it.
struct Driver {
    wallet: Wallet,
    anchors: Vec<TrustAnchor>,
    authorization: Option<Authorization>,
    pending: Option<Pending>,
    renewal: Option<Renewal>,
    provider: Provider,
}

/// Vouches for this wallet and its keys.
struct Provider {
    certificate: String,
    key: SoftwareKey,
    instance: SoftwareKey,
    client_id: String,
}

impl Provider {
    fn new(client_id: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["provider.example".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Wallet provider");
        Self {
            certificate: base64::encode(parameters.self_signed(&pair).unwrap().der()),
            key: SoftwareKey::from_pkcs8(&pair.serialize_der()).unwrap(),
            instance: SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap(),
            client_id: client_id.to_owned(),
        }
    }

    fn header(&self) -> Map<String, Value> {
        Map::from_iter([("x5c".to_owned(), json!([self.certificate]))])
    }
}

fn times() -> (UnixTime, UnixTime) {
    (SystemClock.now(), SystemClock.now().plus(300))
}

#[async_trait]
impl WalletAttester for Provider {
    async fn attestation(&self, _server: &str, _fresh: bool) -> Result<String> {
        let (issued_at, expires_at) = times();
        let attestation = WalletAttestation {
            issuer: "https://provider.example",
            client_id: &self.client_id,
            key: self.instance.public_key(),
            wallet_name: None,
            issued_at,
            expires_at,
            status: None,
        };
        wallet_attestation::sign(&attestation, self.header(), &self.key)
    }

    async fn sign(&self, _server: &str, message: &[u8]) -> Result<Vec<u8>> {
        Signer::sign(&self.instance, message)
    }
}

#[async_trait]
impl KeyAttester for Provider {
    async fn attest(&self, request: &KeyAttestationRequest<'_>) -> Result<String> {
        let (issued_at, expires_at) = times();
        let keys: Vec<_> = request.keys.iter().map(|key| key.public_key.clone()).collect();
        let attestation = KeyAttestation {
            keys: &keys,
            key_storage: &["iso_18045_high".to_owned()],
            user_authentication: &[],
            certification: None,
            nonce: request.nonce,
            issued_at,
            expires_at: Some(expires_at),
            status: None,
        };
        key_attestation::sign(&attestation, self.header(), &self.key)
    }
}

impl Driver {
    fn new(settings: &Value) -> Self {
        let anchors: Vec<TrustAnchor> = settings["anchors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|der| TrustAnchor::from_der(&base64::decode(der.as_str().unwrap()).unwrap()).unwrap())
            .collect();
        let issuers = vec![IssuerRule { anchors: anchors.clone(), ..IssuerRule::default() }];
        let verifiers = VerifierTrust::new(anchors.clone(), Vec::new()).with_unknown_dids().with_unsigned();
        let http = FetchConfig { loopback: true, ..FetchConfig::default() };
        let http = Arc::new(Fetcher::new(http).unwrap());
        let mut wallet = Wallet::trusting(IssuerTrust::new(issuers), verifiers, Arc::new(SystemClock), http);
        if let (Some(client_id), Some(rp_id), Some(origin)) =
            (settings["client_id"].as_str(), settings["rp_id"].as_str(), settings["origin"].as_str())
        {
            wallet = wallet.named(client_id, rp_id, origin);
        }
        let provider = Provider::new(&wallet.issuance().wallet.client_id);
        let types = serde_json::from_value(settings["transaction_types"].clone()).unwrap();
        wallet.rules = PresentationRules {
            transaction_types: TransactionTypes::new(types).unwrap(),
            authorities: KnownAuthorities::NONE,
        };
        Self { wallet, anchors, authorization: None, pending: None, renewal: None, provider }
    }

    async fn run(&mut self, command: &Value) -> Result<Value> {
        let text = |name: &str| command[name].as_str().unwrap_or_default();
        // What an issuer has not signed is not collected, where the command says so.
        let context = self.issuance(match command["signed_metadata"].as_bool() {
            Some(true) => SignedMetadata::Demand,
            _ => SignedMetadata::Ignore,
        });
        let copies = command["copies"].as_u64().and_then(|copies| u32::try_from(copies).ok()).unwrap_or(1);
        let acceptance = Acceptance { tx_code: command["tx_code"].as_str(), copies };
        match text("do") {
            "provider" => Ok(json!({ "certificate": self.provider.certificate })),
            "collect" => {
                let review = issuance::review(text("link"), &context).await?;
                let prepared = issuance::prepare(&review, acceptance, &context).await?;
                self.finish(prepared).await
            }
            "authorize" => {
                let review = issuance::review(text("link"), &context).await?;
                let authorization = issuance::authorize(&review, REDIRECT, &context).await?;
                let url = authorization.url.to_string();
                self.authorization = Some(authorization);
                Ok(json!({ "url": url }))
            }
            "authorized" => {
                let waiting = self.authorization.as_ref().ok_or_else(nothing)?;
                let prepared =
                    issuance::prepare_authorized(waiting, text("returned"), acceptance, &context).await?;
                self.finish(prepared).await
            }
            "renew" => {
                let renewal = self.renewal.as_ref().ok_or_else(nothing)?;
                let prepared = issuance::renew(renewal, acceptance, &context).await?;
                self.finish(prepared).await
            }
            "resume" => {
                let pending = self.pending.as_ref().ok_or_else(nothing)?;
                match issuance::resume(pending, &context).await? {
                    Resumed::Later(seconds) => Ok(json!({ "later": seconds })),
                    Resumed::Finished(finished) => self.take(*finished).await,
                }
            }
            "present" => {
                let review = self.wallet.open(text("link")).await?;
                let verifier = json!(review.verifier);
                let delivery = self.answer(review).await?;
                Ok(json!({ "verifier": verifier, "delivery": delivery }))
            }
            "digital" => {
                let requests: Vec<DigitalCredentialRequest> = json::from_value(command["requests"].clone())?;
                let wallet = &self.wallet;
                let (credentials, context) = (&wallet.credentials, wallet.presentation());
                let review =
                    presentation::review_digital(&requests, text("origin"), credentials, &context).await?;
                let verifier = json!(review.verifier);
                let delivery = self.answer(review).await?;
                Ok(json!({ "verifier": verifier, "data": delivery.platform }))
            }
            "decline" => {
                let review = self.wallet.open(text("link")).await?;
                Ok(json!({ "delivery": self.wallet.decline(&review).await? }))
            }
            _ => Err(Error::misuse("command", "no such command")),
        }
    }

    fn issuance(&self, signed_metadata: SignedMetadata) -> IssuanceContext<'_> {
        let policy = IssuancePolicy {
            wallet_attester: Some(&self.provider),
            key_attester: Some(&self.provider),
            signed_metadata,
            metadata_anchors: &self.anchors,
            ..IssuancePolicy::default()
        };
        IssuanceContext { policy, ..self.wallet.issuance() }
    }

    /// With a WebAuthn key where the issuer binds one.
    async fn finish(&mut self, prepared: PreparedIssuance) -> Result<Value> {
        let options = prepared.creation_options.as_ref();
        let made = options.map(|options| self.wallet.authenticator.create(options)).transpose()?;
        let context = self.issuance(SignedMetadata::Ignore);
        let finished = issuance::finish(&prepared, made.as_ref(), &context).await?;
        self.take(finished).await
    }

    async fn take(&mut self, finished: FinishedIssuance) -> Result<Value> {
        issuance::notify(&finished, NotificationEvent::CredentialAccepted, &self.wallet.issuance()).await?;
        let described = finished.credentials.iter().map(|one| {
            json!({"format": one.format, "vct": one.vct, "issuer": one.issuer, "trusted": one.issuer_trusted,
                "holder_key": one.hk_alias})
        });
        let described = json!({"credentials": described.collect::<Vec<_>>(), "pending": finished.pending.len(),
            "renewable": finished.renewal().is_some()});
        self.renewal = finished.renewal().cloned().or(self.renewal.take());
        self.pending = finished.pending.into_iter().next();
        self.wallet.credentials.extend(finished.credentials);
        Ok(described)
    }

    /// The usual choice, with the second key of a credential; where none has one, the key store asks the person.
    async fn answer(&self, review: PresentationReview) -> Result<Delivery> {
        let context = self.wallet.presentation();
        let selection =
            review.default_selection().ok_or_else(|| Error::refused("no_answer", "nothing fits"))?;
        let prepared = presentation::prepare(review, &selection, &self.wallet.credentials, &context)?;
        let credentials = &self.wallet.credentials;
        let chosen =
            |held: &&StoredCredential| selection.choices.iter().any(|choice| choice.credential_id == held.id);
        match credentials.iter().filter(chosen).any(|held| held.ak.is_some()) {
            true => {
                let assertion = self.wallet.authenticator.get(&prepared.request_options)?;
                presentation::finish(prepared, &assertion, credentials, &context).await
            }
            false => presentation::finish_by_holder_keys(prepared, credentials, &context).await,
        }
    }
}

fn nothing() -> Error {
    Error::misuse("command", "nothing waits for that")
}
