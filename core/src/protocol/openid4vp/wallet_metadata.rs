//! Wallet metadata (OpenID4VP 1.0 sections 5.10 and 10): what a wallet says about itself when it fetches a request by POST.

use serde_json::{Value, json};

use super::client_id::ClientIdPrefix;
use super::request::{AuthorizationRequest, ResponseMode, vp_formats};
use crate::encoding::json as strict_json;
use crate::error::{Error, Result};
use crate::jose::jwe;
use crate::jose::jwk::Jwk;
use crate::limits::Limits;

/// The algorithms with which this wallet lets requests be signed.
const SIGNING: [&str; 4] = ["ES256", "ES384", "ES512", "EdDSA"];

/// What a verifier heeds of a wallet's metadata; the rest is ignored, as section 10 demands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WalletMetadata {
    prefixes: Option<Vec<String>>,
    response_modes: Option<Vec<String>>,
    signing_algorithms: Option<Vec<String>>,
    formats: Option<Vec<String>>,
    /// The key for the request object, where the wallet wants it encrypted.
    pub encryption_key: Option<Jwk>,
}

impl WalletMetadata {
    /// Reads `wallet_metadata`. [`Error::Malformed`] `wallet_metadata`, and those of [`strict_json::parse`].
    pub fn parse(text: &str, limits: &Limits) -> Result<Self> {
        let value = strict_json::parse(text.as_bytes(), limits)?;
        let Some(members) = value.as_object() else { return Err(malformed()) };
        let list = |name: &str| members.get(name).map(texts).transpose();
        let keys = match members.get("jwks") {
            None => &[][..],
            Some(jwks) => jwks.get("keys").and_then(Value::as_array).ok_or_else(malformed)?.as_slice(),
        };
        let formats = match members.get("vp_formats_supported") {
            None => None,
            Some(formats) => Some(formats.as_object().ok_or_else(malformed)?.keys().cloned().collect()),
        };
        Ok(Self {
            prefixes: list("client_id_prefixes_supported")?,
            response_modes: list("response_modes_supported")?,
            signing_algorithms: list("request_object_signing_alg_values_supported")?,
            formats,
            encryption_key: keys
                .iter()
                .filter_map(|key| Jwk::from_value(key).ok())
                .find(|key| jwe::recipient_algorithm(key).is_some()),
        })
    }

    /// Whether a wallet with this metadata can answer `request`, which is signed with `algorithm`.
    ///
    /// [`Error::Refused`] `wallet_unsuitable` names what it cannot do.
    pub fn check(&self, request: &AuthorizationRequest, algorithm: &str) -> Result<()> {
        let lacks = |list: &Option<Vec<String>>, wanted: &str| {
            list.as_ref().is_some_and(|list| !list.iter().any(|own| own == wanted))
        };
        let unsuitable = |what: &str| {
            Err(Error::refused(
                "wallet_unsuitable",
                format!("the wallet does not support the {what} of this request"),
            ))
        };
        if lacks(&self.prefixes, request.client_id.prefix().as_str()) {
            return unsuitable("client identifier prefix");
        }
        if lacks(&self.response_modes, request.response_mode.as_str()) {
            return unsuitable("response mode");
        }
        if lacks(&self.signing_algorithms, algorithm) {
            return unsuitable("signature algorithm");
        }
        let known = |format: &str| !lacks(&self.formats, format);
        match request.dcql_query.credentials().iter().any(|credential| known(credential.format())) {
            true => Ok(()),
            false => unsuitable("credential formats"),
        }
    }
}

/// `wallet_metadata` of this wallet; `key`, where given, is for the encryption of the request object.
pub fn own(key: Option<&Jwk>) -> Value {
    let prefixes = ClientIdPrefix::REQUESTED.map(ClientIdPrefix::as_str);
    let mut metadata = json!({
        "vp_formats_supported": vp_formats(&["ES256"]),
        "client_id_prefixes_supported": prefixes,
        "request_object_signing_alg_values_supported": SIGNING,
        "authorization_encryption_alg_values_supported": ["ECDH-ES"],
        "authorization_encryption_enc_values_supported": ["A128GCM", "A256GCM"],
        "response_types_supported": ["vp_token"],
        "response_modes_supported": ResponseMode::ALL.map(ResponseMode::as_str),
    });
    if let (Some(key), Some(members)) = (key, metadata.as_object_mut()) {
        members.insert("jwks".into(), json!({ "keys": [key.to_value()] }));
    }
    metadata
}

fn texts(value: &Value) -> Result<Vec<String>> {
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(malformed)?;
    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(malformed)).collect()
}

fn malformed() -> Error {
    Error::malformed("wallet_metadata", "a member of `wallet_metadata` is of the wrong type")
}
