//! OpenID4VP over the Digital Credentials API (OpenID4VP 1.0 appendix A): the object that a page hands to
//! `navigator.credentials.get({ digital })`, and the object that comes back.
//!
//! The platform brings the origin of the page to the wallet. Presentations are made for that origin, whoever signed the
//! request.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::request::{AuthorizationRequest, REQUEST_OBJECT_TYP};
use super::signed_request::UnverifiedRequest;
use crate::error::{Error, Result};
use crate::jose::jwt::UnverifiedJwt;
use crate::limits::Limits;

/// Most signatures of a multi-signed request.
pub const MAX_SIGNATURES: usize = 8;

/// The exchange protocols (appendix A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeProtocol {
    /// Parameters as members.
    #[serde(rename = "openid4vp-v1-unsigned")]
    Unsigned,
    /// One signature, compact serialization.
    #[serde(rename = "openid4vp-v1-signed")]
    Signed,
    /// Several signatures, JSON serialization.
    #[serde(rename = "openid4vp-v1-multisigned")]
    Multisigned,
}

/// One entry of `digital.requests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigitalCredentialRequest {
    /// The exchange protocol.
    pub protocol: ExchangeProtocol,
    /// The request in the form of that protocol.
    pub data: Value,
}

/// What the platform gives back: the members of `DigitalCredential`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DigitalCredentialResponse {
    /// The exchange protocol.
    pub protocol: ExchangeProtocol,
    /// The response: `vp_token`, `response` or `error`.
    pub data: Value,
}

impl std::fmt::Debug for DigitalCredentialResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigitalCredentialResponse").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// A request as the wallet reads it; nobody is authenticated.
#[derive(Debug)]
pub enum PlatformRequest {
    /// Without signature.
    Unsigned(Box<AuthorizationRequest>),
    /// One candidate for each signature, in the verifier's order: the wallet takes the first whose verifier it can
    /// authenticate.
    Signed(Vec<UnverifiedRequest>),
}

impl DigitalCredentialRequest {
    /// An unsigned request.
    pub fn unsigned(request: &AuthorizationRequest) -> Self {
        Self { protocol: ExchangeProtocol::Unsigned, data: Value::Object(request.to_claims()) }
    }

    /// A signed request: `object` is the signed request object.
    pub fn signed(object: &str) -> Self {
        Self { protocol: ExchangeProtocol::Signed, data: json!({ "request": object }) }
    }

    /// Reads the request that came from `origin`, as the platform says.
    ///
    /// Errors: [`Error::Malformed`] `request_object`, and those of [`UnverifiedJwt::parse`] and
    /// [`AuthorizationRequest::from_platform`].
    pub fn read(&self, origin: &str, limits: &Limits) -> Result<PlatformRequest> {
        let data = self.data.as_object().ok_or_else(malformed)?;
        match self.protocol {
            ExchangeProtocol::Unsigned => {
                // Both are to be ignored where nothing is signed.
                let mut claims = data.clone();
                claims.retain(|name, _| !["client_id", "expected_origins"].contains(&name.as_str()));
                let request = AuthorizationRequest::from_platform(&claims, origin)?;
                Ok(PlatformRequest::Unsigned(Box::new(request)))
            }
            ExchangeProtocol::Signed => {
                let compact = data.get("request").and_then(Value::as_str).ok_or_else(malformed)?;
                let jwt = UnverifiedJwt::parse(compact, limits)?;
                jwt.header().require_typ(REQUEST_OBJECT_TYP)?;
                if !jwt.claims().contains_key("client_id") {
                    return Err(malformed());
                }
                let claims = jwt.claims().clone();
                Ok(PlatformRequest::Signed(vec![UnverifiedRequest::from_platform(jwt, &claims, origin)?]))
            }
            ExchangeProtocol::Multisigned => Self::read_multisigned(data, origin, limits),
        }
    }

    /// The JSON serialization (RFC 7515 section 7.2.1): each signature is what the compact one would be.
    fn read_multisigned(data: &Map<String, Value>, origin: &str, limits: &Limits) -> Result<PlatformRequest> {
        // The appendix shows the serialization itself as the data; platforms wrap it as they wrap the compact one.
        let data = data.get("request").and_then(Value::as_object).unwrap_or(data);
        let text = |object: &Value, name: &str| {
            object.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(malformed)
        };
        let payload = data.get("payload").and_then(Value::as_str).ok_or_else(malformed)?;
        let signatures = data.get("signatures").and_then(Value::as_array).ok_or_else(malformed)?;
        if !(1..=MAX_SIGNATURES).contains(&signatures.len()) {
            return Err(malformed());
        }
        let mut candidates = Vec::new();
        for one in signatures {
            let compact = format!("{}.{payload}.{}", text(one, "protected")?, text(one, "signature")?);
            // A signature of an algorithm or a client that is not known here may stand beside one that is.
            if let Ok(candidate) = Self::candidate(&compact, origin, limits) {
                candidates.push(candidate);
            }
        }
        match candidates.is_empty() {
            true => {
                Err(Error::unsupported("client_id_prefix", "none of the request's signatures can be checked"))
            }
            false => Ok(PlatformRequest::Signed(candidates)),
        }
    }

    /// `client_id` stands in the protected header only (appendix A.3.2.2), everything else in the payload.
    fn candidate(compact: &str, origin: &str, limits: &Limits) -> Result<UnverifiedRequest> {
        let jwt = UnverifiedJwt::parse(compact, limits)?;
        if jwt.header().typ.is_some() {
            jwt.header().require_typ(REQUEST_OBJECT_TYP)?;
        }
        let mut claims = jwt.claims().clone();
        let client_id = jwt.header().others.get("client_id").cloned().ok_or_else(malformed)?;
        if claims.insert("client_id".into(), client_id).is_some() {
            return Err(malformed());
        }
        UnverifiedRequest::from_platform(jwt, &claims, origin)
    }
}

fn malformed() -> Error {
    Error::malformed("request_object", "not a request of this exchange protocol")
}
