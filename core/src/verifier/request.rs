//! A request for presentations, as the verifier keeps it from its creation until the answer was judged.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use url::Url;

use crate::attestation::level::AssuranceLevel;
use crate::binding::claim::asks_for_binding;
use crate::binding::transaction::StepUpRequest;
use crate::clock::UnixTime;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::jose::jwe::{ContentEncryption, JweDecryptionKey};
use crate::limits::Limits;
use crate::protocol::openid4vp::client_id::ClientId;
use crate::protocol::openid4vp::dcql::{ClaimsQuery, CredentialQuery, DcqlQuery};
use crate::protocol::openid4vp::request::{AuthorizationRequest, ClientMetadata, ResponseMode};
use crate::protocol::openid4vp::transaction_data;
use crate::protocol::openid4vp::transaction_types::TransactionTypes;
use crate::random::Random;
use crate::secret::Secret;

/// Longest purpose, in characters: a wallet must be able to show all of it.
pub const MAX_PURPOSE_CHARS: usize = 300;

/// How a step-up is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepUpCarrier {
    /// By transaction data, which the wallet shows and whose hash it signs. Wallets that do not know the type refuse.
    #[default]
    TransactionData,
    /// By asking for the claim `webauthn_binding` alone; other wallets answer without a step-up, and are refused.
    Claim,
}

/// The step-up that is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepUpDemand {
    /// The lowest level, above `none`.
    pub min_level: AssuranceLevel,
    /// Longest life of the approval, in seconds, 1 to 3600.
    pub max_age: u32,
    /// How it is asked for.
    pub carrier: StepUpCarrier,
}

/// What somebody wants to be shown.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// Which credentials and claims.
    pub query: DcqlQuery,
    /// What for, in words for the person.
    pub purpose: String,
    /// BCP 47 language of the purpose.
    pub locale: Option<String>,
    /// The step-up, if any; then the query asks for the claim `webauthn_binding` somewhere.
    pub step_up: Option<StepUpDemand>,
    /// Further transaction data, of types that [`Self::transaction_types`] registers.
    pub transaction_data: Vec<Value>,
    /// The registered types.
    pub transaction_types: TransactionTypes,
    /// How the answer travels.
    pub response_mode: ResponseMode,
    /// The web origins (or app identifiers) of the pages that ask over the Digital Credentials API; only for its response
    /// modes.
    pub expected_origins: Vec<String>,
    /// Seconds until the request expires.
    pub lifetime: i64,
}

/// A request that was made, with everything that its answer will be compared with. Holds a secret: keep it sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PresentationRequest {
    /// Its name in the verifier's own interfaces, 128 random bits.
    pub id: String,
    /// The audience.
    pub client_id: ClientId,
    /// How the answer travels.
    pub response_mode: ResponseMode,
    /// Where the answer goes: `response_uri`, or `redirect_uri` under [`ResponseMode::Fragment`]. Not sent over the Digital
    /// Credentials API.
    pub response_uri: Url,
    /// The origins of the pages that ask over the Digital Credentials API.
    #[serde(default)]
    pub expected_origins: Vec<String>,
    /// 256 random bits.
    pub nonce: String,
    /// 128 random bits.
    pub state: String,
    /// What is asked for.
    pub query: DcqlQuery,
    /// The transaction data strings as sent.
    pub transaction_data: Vec<String>,
    /// The step-up, if any.
    pub step_up: Option<StepUpDemand>,
    /// What for.
    pub purpose: String,
    /// The key for the answer, under the encrypted response modes.
    pub encryption_key: Option<EncryptionKey>,
    /// When it was made.
    pub created_at: UnixTime,
    /// From this time on no answer is taken.
    pub expires_at: UnixTime,
}

/// A key that decrypts the answer to one request. `Debug` hides it.
#[derive(Clone)]
pub struct EncryptionKey(Secret<Vec<u8>>);

impl PresentationRequest {
    /// Makes a request named `id`. Its answer goes to `response_uri`; `client_id` is who asks.
    ///
    /// Errors: what [`DcqlQuery::check_supported`] refuses; [`Error::Malformed`] `request_purpose`, `step_up_claim`
    /// (nothing asks for the binding: `webauthn_binding`, or `confidenceMethod` of a W3C credential), `invalid_transaction_data`.
    pub fn new(
        id: String,
        new: NewRequest,
        client_id: ClientId,
        response_uri: Url,
        now: UnixTime,
        random: &dyn Random,
    ) -> Result<Self> {
        new.query.check_supported()?;
        let length = new.purpose.chars().count();
        if new.purpose.trim().is_empty() || length > MAX_PURPOSE_CHARS {
            return Err(Error::malformed("request_purpose", "the purpose has 1 to 300 characters"));
        }
        let mut transaction_data = transaction_data::encode_all(
            &new.transaction_data,
            &new.query,
            &new.transaction_types,
            &Limits::DEFAULT,
        )?;
        if let Some(demand) = &new.step_up {
            let carriers = step_up_queries(&new.query);
            if carriers.is_empty() {
                let detail = "a step-up needs a credential query for the claim webauthn_binding (W3C: confidenceMethod)";
                return Err(Error::malformed("step_up_claim", detail));
            }
            let (level, age) = (demand.min_level, demand.max_age);
            let step_up = StepUpRequest::new(carriers, level, age, new.purpose.clone(), new.locale.clone())?;
            if demand.carrier == StepUpCarrier::TransactionData {
                transaction_data.push(transaction_data::encode_step_up(&step_up)?);
            }
        }
        if transaction_data.len() > transaction_data::MAX_ENTRIES {
            return Err(Error::malformed("invalid_transaction_data", "too many entries"));
        }
        if new.response_mode.is_dc_api() == new.expected_origins.is_empty() {
            let detail =
                "origins belong to a request over the Digital Credentials API, which needs at least one";
            return Err(Error::malformed("expected_origins", detail));
        }
        new.expected_origins.iter().try_for_each(|origin| check_origin(origin))?;
        let encryption_key = new.response_mode.is_encrypted().then(EncryptionKey::generate).transpose()?;
        Ok(Self {
            id,
            client_id,
            response_mode: new.response_mode,
            response_uri,
            expected_origins: new.expected_origins,
            nonce: random.token(32),
            state: random.token(16),
            query: new.query,
            transaction_data,
            step_up: new.step_up,
            purpose: new.purpose,
            encryption_key,
            created_at: now,
            expires_at: now.plus(new.lifetime),
        })
    }

    /// The parameters as they are sent to a wallet.
    pub fn authorization_request(&self, wallet_nonce: Option<&str>) -> Result<AuthorizationRequest> {
        let mut client_metadata = ClientMetadata::default();
        if let Some(key) = &self.encryption_key {
            client_metadata.encryption_key = Some(key.decryption_key()?.jwk(ENCRYPTION_KID));
            client_metadata.content_encryptions =
                ContentEncryption::GCM.iter().map(|enc| enc.as_str().to_owned()).collect();
        }
        Ok(AuthorizationRequest {
            client_id: self.client_id.clone(),
            response_mode: self.response_mode,
            destination: (!self.response_mode.is_dc_api()).then(|| self.response_uri.clone()),
            // Appendix A.2: only what is signed says for which origins it was made.
            expected_origins: match self.client_id.prefix().is_signed() {
                true => self.expected_origins.clone(),
                false => Vec::new(),
            },
            origin: None,
            nonce: self.nonce.clone(),
            state: (!self.response_mode.is_dc_api()).then(|| self.state.clone()),
            dcql_query: self.query.clone(),
            client_metadata,
            transaction_data: self.transaction_data.clone(),
            verifier_info: Vec::new(),
            wallet_nonce: wallet_nonce.map(str::to_owned),
            purpose: Some(self.purpose.clone()),
            issued_at: Some(self.created_at),
            expires_at: Some(self.expires_at),
        })
    }

    /// The audiences for which presentations may be made: this client; over the Digital Credentials API, any of the
    /// origins (appendix B.3.6).
    pub fn audiences(&self) -> Vec<String> {
        match self.response_mode.is_dc_api() {
            true => self.expected_origins.iter().map(|origin| format!("origin:{origin}")).collect(),
            false => vec![self.client_id.as_str().to_owned()],
        }
    }

    /// The credential queries whose presentation may carry the step-up.
    pub fn step_up_queries(&self) -> Vec<String> {
        self.step_up.map(|_| step_up_queries(&self.query)).unwrap_or_default()
    }

    /// The transaction data strings that name a credential query, in the order in which they were sent.
    pub fn transaction_data_for(&self, query_id: &str) -> Result<Vec<String>> {
        let mut entries = Vec::new();
        for entry in &self.transaction_data {
            if transaction_data::credential_ids(entry, &Limits::DEFAULT)?.iter().any(|id| id == query_id) {
                entries.push(entry.clone());
            }
        }
        Ok(entries)
    }
}

/// The `kid` of the one key in `client_metadata.jwks`.
pub const ENCRYPTION_KID: &str = "response";

fn step_up_queries(query: &DcqlQuery) -> Vec<String> {
    let asks = |credential: &&CredentialQuery| {
        let format = credential.credential_format();
        format
            .is_some_and(|format| asks_for_binding(format, credential.claims().iter().map(ClaimsQuery::path)))
    };
    query.credentials().iter().filter(asks).map(|credential| credential.id().to_owned()).collect()
}

/// An origin as browsers write it, over TLS or on this machine (appendix A.2); or the origin of an app (`android:…`,
/// `ios:…`), which is not looked into.
///
/// [`Error::Malformed`] `expected_origins`.
pub fn check_origin(origin: &str) -> Result<()> {
    let fault =
        || Error::malformed("expected_origins", "an origin is not one of a secure page, or of an app");
    let url = Url::parse(origin).map_err(|_| fault())?;
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let secure = match url.scheme() {
        "https" => true,
        "http" => local,
        "android" | "ios" => return Ok(()),
        _ => false,
    };
    match secure && url.origin().ascii_serialization() == origin {
        true => Ok(()),
        false => Err(fault()),
    }
}

impl EncryptionKey {
    fn generate() -> Result<Self> {
        Ok(Self(JweDecryptionKey::generate()?.to_bytes()?))
    }

    /// The key in use.
    pub fn decryption_key(&self) -> Result<JweDecryptionKey> {
        JweDecryptionKey::from_bytes(self.0.expose())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(…)")
    }
}

impl Serialize for EncryptionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(self.0.expose()))
    }
}

impl<'de> Deserialize<'de> for EncryptionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64url::decode(&text).map_err(|_| serde::de::Error::custom("not base64url"))?;
        Ok(Self(Secret::new(bytes)))
    }
}
