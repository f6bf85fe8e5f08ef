//! Nonce response, credential request and credential response (OpenID4VCI 1.0 sections 7 and 8).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::credential::format;
use crate::encoding::json as strict;
use crate::error::{Error, Result};
use crate::jose::jwe::{self, ContentEncryption};
use crate::jose::jwk::Jwk;
use crate::limits::Limits;

/// Most key proofs that a request may carry before it is refused unread.
pub const MAX_PROOFS: usize = 32;

/// Why an endpoint of the issuer said no, in the words of OpenID4VCI 1.0 (8.3.1, 11.3), RFC 6749 (5.2) and RFC 6750 (3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_grant`
    InvalidGrant,
    /// `invalid_client`
    InvalidClient,
    /// `unsupported_grant_type`
    UnsupportedGrantType,
    /// `unsupported_response_type` (RFC 6749 section 4.1.2.1)
    UnsupportedResponseType,
    /// `invalid_scope` (RFC 6749 section 4.1.2.1)
    InvalidScope,
    /// `invalid_authorization_details` (RFC 9396 section 5)
    InvalidAuthorizationDetails,
    /// `invalid_dpop_proof` (RFC 9449 section 5)
    InvalidDpopProof,
    /// `use_dpop_nonce` (RFC 9449 section 8): the answer carries a nonce.
    UseDpopNonce,
    /// `use_attestation_challenge` (attestation-based client authentication, draft 07 section 6.2): the answer carries a
    /// challenge.
    UseAttestationChallenge,
    /// `use_fresh_attestation` (the same section): the wallet attestation is too old.
    UseFreshAttestation,
    /// No access token was sent: 401 without an error code (RFC 6750 section 3.1).
    MissingToken,
    /// `invalid_token`
    InvalidToken,
    /// `insufficient_scope`
    InsufficientScope,
    /// `invalid_credential_request`
    InvalidCredentialRequest,
    /// `unknown_credential_configuration`
    UnknownCredentialConfiguration,
    /// `unknown_credential_identifier`
    UnknownCredentialIdentifier,
    /// `invalid_proof`
    InvalidProof,
    /// `invalid_nonce`
    InvalidNonce,
    /// `invalid_encryption_parameters`
    InvalidEncryptionParameters,
    /// `credential_request_denied`
    CredentialRequestDenied,
    /// `invalid_transaction_id` (OpenID4VCI 1.0 section 9.3)
    InvalidTransactionId,
    /// `invalid_notification_id`
    InvalidNotificationId,
    /// `invalid_notification_request`
    InvalidNotificationRequest,
    /// `server_error`: not the sender's fault.
    ServerError,
}

impl ErrorCode {
    /// The value of `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::UseAttestationChallenge => "use_attestation_challenge",
            Self::UseFreshAttestation => "use_fresh_attestation",
            Self::MissingToken | Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidCredentialRequest => "invalid_credential_request",
            Self::UnknownCredentialConfiguration => "unknown_credential_configuration",
            Self::UnknownCredentialIdentifier => "unknown_credential_identifier",
            Self::InvalidProof => "invalid_proof",
            Self::InvalidNonce => "invalid_nonce",
            Self::InvalidEncryptionParameters => "invalid_encryption_parameters",
            Self::CredentialRequestDenied => "credential_request_denied",
            Self::InvalidTransactionId => "invalid_transaction_id",
            Self::InvalidNotificationId => "invalid_notification_id",
            Self::InvalidNotificationRequest => "invalid_notification_request",
            Self::ServerError => "server_error",
        }
    }

    /// A function that makes a [`Refusal`] with this code; faults of this server stay `server_error`.
    pub fn refuse(self) -> impl Fn(Error) -> Refusal {
        move |error| Refusal { code: if is_server_fault(&error) { Self::ServerError } else { self }, error }
    }
}

fn is_server_fault(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::Misuse { .. })
}

/// A refusal: the protocol's code for the other side, and the precise error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the protocol calls it.
    pub code: ErrorCode,
    /// What it was.
    pub error: Error,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.error)
    }
}

impl std::error::Error for Refusal {}

/// A nonce response (section 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceResponse {
    /// The nonce.
    pub c_nonce: String,
}

/// How a credential request names what it wants (section 8.2): exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialName {
    /// `credential_configuration_id`: a kind of credential.
    Configuration(String),
    /// `credential_identifier`: a credential dataset that the token response named.
    Identifier(String),
}

/// The key proofs of a credential request (appendix F).
#[derive(Clone, PartialEq, Eq)]
pub enum Proofs {
    /// Type `jwt`: compact JWS, at least one, each signed by the key it is for.
    Jwt(Vec<String>),
    /// Type `attestation`: one key attestation, for all the keys in it.
    Attestation(String),
}

/// How a response is to be encrypted (section 8.2, `credential_response_encryption`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseEncryptionRequest {
    /// The wallet's key; it names its algorithm.
    pub jwk: Jwk,
    /// How the content is encrypted.
    pub enc: ContentEncryption,
}

impl ResponseEncryptionRequest {
    /// Reads the member of a request, if it is there, and tries the key.
    ///
    /// # Errors
    /// `invalid_encryption_parameters`: `credential_response_encryption` (form, no key to encrypt to, compression), and
    /// the codes of [`jwe::encrypt`].
    fn parse(value: Option<Value>) -> Result<Option<Self>, Refusal> {
        let invalid = ErrorCode::InvalidEncryptionParameters.refuse();
        let bad = |detail: &'static str| invalid(Error::malformed("credential_response_encryption", detail));
        let Some(value) = value else { return Ok(None) };
        if value.get("zip").is_some() {
            return Err(bad("compression is not supported, as the metadata says"));
        }
        let jwk = value.get("jwk").ok_or_else(|| bad("jwk is missing"))?;
        let jwk = Jwk::from_value(jwk).map_err(&invalid)?;
        if jwk.alg.is_none() {
            return Err(bad("the jwk names no alg"));
        }
        let enc = value.get("enc").and_then(Value::as_str).ok_or_else(|| bad("enc is missing"))?;
        let enc = ContentEncryption::parse(enc).map_err(&invalid)?;
        let request = Self { jwk, enc };
        // Before anything is issued: a key that nothing can be encrypted to is the sender's fault.
        request.encrypt(&Value::Null).map_err(&invalid)?;
        Ok(Some(request))
    }

    /// The member of a request.
    fn to_value(&self) -> Value {
        json!({"jwk": self.jwk.to_value(), "enc": self.enc.as_str()})
    }

    /// A message, encrypted as a JWT (section 10).
    ///
    /// # Errors
    /// Those of [`jwe::encrypt`].
    pub fn encrypt(&self, message: &Value) -> Result<String> {
        jwe::encrypt(message.to_string().as_bytes(), &self.jwk, self.enc, &jwe::PartyInfo::default())
    }
}

/// A credential request. `Debug` shows counts only.
#[derive(Clone, PartialEq)]
pub struct CredentialRequest {
    /// What is wanted.
    pub credential: CredentialName,
    /// Key proofs.
    pub proofs: Proofs,
    /// CareKey's own parameter: WebAuthn `RegistrationResponseJSON`s for the first key proofs, in their order. Further
    /// proofs may name a key that was enrolled by one of them, or before under the same access token.
    pub webauthn_registrations: Vec<Value>,
    /// How the response is to be encrypted; only an encrypted request may ask for that.
    pub response_encryption: Option<ResponseEncryptionRequest>,
}

impl fmt::Debug for CredentialRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialRequest")
            .field("credential", &self.credential)
            .field("proofs", &self.proofs.len())
            .field("encrypted", &self.response_encryption.is_some())
            .field("webauthn_registrations", &self.webauthn_registrations.len())
            .finish()
    }
}

impl CredentialRequest {
    /// Parses a request body. Unknown members are ignored (section 8.2).
    ///
    /// # Errors
    /// Refusals with the codes of section 8.3.1; the error inside says what exactly was wrong.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let malformed = ErrorCode::InvalidCredentialRequest.refuse();
        let bad = |detail: &'static str| malformed(Error::malformed("credential_request", detail));
        let value = strict::parse(bytes, limits).map_err(&malformed)?;
        let Value::Object(mut members) = value else { return Err(bad("the request is no JSON object")) };

        let names = (members.remove("credential_configuration_id"), members.remove("credential_identifier"));
        let credential = match names {
            (Some(Value::String(id)), None) => CredentialName::Configuration(id),
            (None, Some(Value::String(id))) => CredentialName::Identifier(id),
            _ => {
                return Err(bad(
                    "exactly one string of credential_configuration_id and credential_identifier is needed",
                ));
            }
        };
        let encryption = members.remove("credential_response_encryption");
        let response_encryption = ResponseEncryptionRequest::parse(encryption)?;
        let proofs = parse_proofs(members.remove("proofs")).map_err(ErrorCode::InvalidProof.refuse())?;
        let registrations = match members.remove("webauthn_registrations") {
            None => Vec::new(),
            Some(Value::Array(all)) if all.iter().all(Value::is_object) && all.len() <= MAX_PROOFS => all,
            Some(_) => return Err(bad("webauthn_registrations is no array of objects")),
        };
        Ok(Self { credential, proofs, webauthn_registrations: registrations, response_encryption })
    }

    /// The request body.
    pub fn to_value(&self) -> Value {
        let (name, id) = match &self.credential {
            CredentialName::Configuration(id) => ("credential_configuration_id", id),
            CredentialName::Identifier(id) => ("credential_identifier", id),
        };
        let mut body = Map::new();
        body.insert(name.into(), id.as_str().into());
        let proofs = match &self.proofs {
            Proofs::Jwt(all) => json!({"jwt": all}),
            Proofs::Attestation(one) => json!({"attestation": [one]}),
        };
        body.insert("proofs".into(), proofs);
        if !self.webauthn_registrations.is_empty() {
            let all = Value::Array(self.webauthn_registrations.clone());
            body.insert("webauthn_registrations".into(), all);
        }
        if let Some(encryption) = &self.response_encryption {
            body.insert("credential_response_encryption".into(), encryption.to_value());
        }
        Value::Object(body)
    }
}

impl Proofs {
    /// How many proofs there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Jwt(all) => all.len(),
            Self::Attestation(_) => 1,
        }
    }

    /// Whether there are none, which no request that was parsed has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `proofs` holds exactly one proof type (section 8.2): `jwt`, or `attestation` with exactly one (appendix F).
fn parse_proofs(proofs: Option<Value>) -> Result<Proofs> {
    let bad = |detail: &'static str| Error::malformed("proofs", detail);
    let Some(proofs) = proofs else { return Err(bad("proofs is missing")) };
    let Value::Object(mut proofs) = proofs else { return Err(bad("proofs is no object")) };
    if proofs.len() != 1 {
        return Err(bad("proofs must have exactly one member"));
    }
    let (jwt, attestation) = (proofs.remove("jwt"), proofs.remove("attestation"));
    let by_attestation = attestation.is_some();
    let Some(all) = jwt.or(attestation) else {
        return Err(Error::unsupported("proof_type", "the proof types are jwt and attestation"));
    };
    let Value::Array(all) = all else { return Err(bad("the proofs are no array")) };
    if all.is_empty() || all.len() > MAX_PROOFS {
        return Err(bad("there are no proofs, or too many"));
    }
    let texts = all.into_iter().map(|one| match one {
        Value::String(text) => Ok(text),
        _ => Err(bad("a proof is no string")),
    });
    let mut all = texts.collect::<Result<Vec<String>>>()?;
    match (by_attestation, all.pop()) {
        (true, Some(one)) if all.is_empty() => Ok(Proofs::Attestation(one)),
        (false, Some(last)) => {
            all.push(last);
            Ok(Proofs::Jwt(all))
        }
        _ => Err(bad("proofs.attestation holds exactly one key attestation")),
    }
}

/// A deferred credential request (section 9.1).
#[derive(Clone, PartialEq, Eq)]
pub struct DeferredRequest {
    /// Names the issuance that waits.
    pub transaction_id: String,
    /// How the response is to be encrypted, whatever the first request said.
    pub response_encryption: Option<ResponseEncryptionRequest>,
}

impl fmt::Debug for DeferredRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeferredRequest")
    }
}

impl DeferredRequest {
    /// Parses a request body. Unknown members are ignored.
    ///
    /// # Errors
    /// `invalid_credential_request` (`deferred_request`).
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let malformed = ErrorCode::InvalidCredentialRequest.refuse();
        let mut value = strict::parse(bytes, limits).map_err(&malformed)?;
        let encryption = value.as_object_mut().and_then(|all| all.remove("credential_response_encryption"));
        let response_encryption = ResponseEncryptionRequest::parse(encryption)?;
        let id = value.get("transaction_id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id =
            id.ok_or_else(|| malformed(Error::malformed("deferred_request", "transaction_id is missing")))?;
        Ok(Self { transaction_id: id.to_owned(), response_encryption })
    }

    /// The request body.
    pub fn to_value(&self) -> Value {
        match &self.response_encryption {
            None => json!({"transaction_id": self.transaction_id}),
            Some(encryption) => json!({
                "transaction_id": self.transaction_id,
                "credential_response_encryption": encryption.to_value(),
            }),
        }
    }
}

/// What the credential and the deferred credential endpoint answer (sections 8.3 and 9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuance {
    /// The credentials: 200.
    Issued(CredentialResponse),
    /// Later: 202.
    Deferred(Deferral),
}

/// Credentials that come later. `Debug` hides the transaction id.
#[derive(Clone, PartialEq, Eq)]
pub struct Deferral {
    /// For the deferred credential endpoint.
    pub transaction_id: String,
    /// Seconds to wait before asking.
    pub interval: i64,
}

impl fmt::Debug for Deferral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferral").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl Issuance {
    /// Parses an answer; `interval` must be positive.
    ///
    /// # Errors
    /// Those of [`CredentialResponse::parse`]; `credential_deferral`: a transaction id without a positive interval, or
    /// together with credentials.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let value = strict::parse(bytes, limits)?;
        let Some(id) = value.get("transaction_id") else {
            return CredentialResponse::from_value(&value).map(Self::Issued);
        };
        let interval = value.get("interval").and_then(Value::as_f64).filter(|secs| *secs > 0.0);
        match (id.as_str(), interval, value.get("credentials")) {
            (Some(id), Some(_), None) if !id.is_empty() => Ok(Self::Deferred(Deferral {
                transaction_id: id.to_owned(),
                interval: value.get("interval").and_then(Value::as_i64).unwrap_or(1),
            })),
            _ => Err(Error::malformed(
                "credential_deferral",
                "a deferral without id or interval, or with credentials",
            )),
        }
    }

    /// The response body.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Issued(response) => response.to_value(),
            Self::Deferred(deferral) => {
                json!({"transaction_id": deferral.transaction_id, "interval": deferral.interval})
            }
        }
    }

    /// The credentials, where there are some.
    pub fn issued(self) -> Option<CredentialResponse> {
        match self {
            Self::Issued(response) => Some(response),
            Self::Deferred(_) => None,
        }
    }
}

/// A credential response with credentials in it. `Debug` shows the count only.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialResponse {
    /// The credentials as text (an object as its JSON), in the order of the proofs.
    pub credentials: Vec<String>,
    /// For the notification endpoint.
    pub notification_id: Option<String>,
}

impl fmt::Debug for CredentialResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialResponse")
            .field("credentials", &self.credentials.len())
            .finish_non_exhaustive()
    }
}

impl CredentialResponse {
    /// Parses a response with credentials of any format that is carried: strings and objects.
    ///
    /// # Errors
    /// JSON and size: the codes of [`strict::parse`]. `credential_response`: no credential, or one that is neither string nor object.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        Self::from_value(&strict::parse(bytes, limits)?)
    }

    fn from_value(value: &Value) -> Result<Self> {
        let bad =
            || Error::malformed("credential_response", "credentials is missing, empty or of the wrong type");
        let all = value
            .get("credentials")
            .and_then(Value::as_array)
            .filter(|all| !all.is_empty())
            .ok_or_else(bad)?;
        let credentials = all
            .iter()
            .map(|one| one.get("credential").and_then(format::from_message).ok_or_else(bad))
            .collect::<Result<Vec<_>>>()?;
        let notification_id = value.get("notification_id").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { credentials, notification_id })
    }

    /// The response body.
    pub fn to_value(&self) -> Value {
        let mut body = Map::new();
        let one = |credential: &String| json!({"credential": format::to_message(credential)});
        let all = self.credentials.iter().map(one).collect();
        body.insert("credentials".into(), Value::Array(all));
        if let Some(id) = &self.notification_id {
            body.insert("notification_id".into(), Value::String(id.clone()));
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jwe::JweDecryptionKey;

    fn parse(text: &str) -> Result<CredentialRequest, Refusal> {
        CredentialRequest::parse(text.as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn reads_what_it_writes() {
        let request = CredentialRequest {
            credential: CredentialName::Configuration("patient_identity".into()),
            proofs: Proofs::Jwt(vec!["a.b.c".into()]),
            webauthn_registrations: vec![json!({"id": "x"})],
            response_encryption: None,
        };
        assert_eq!(parse(&request.to_value().to_string()).unwrap(), request);
        let named =
            CredentialRequest { credential: CredentialName::Identifier("x.1".into()), ..request.clone() };
        assert_eq!(parse(&named.to_value().to_string()).unwrap(), named);
        let key = JweDecryptionKey::generate().unwrap();
        let encrypted = CredentialRequest {
            proofs: Proofs::Attestation("a.b.c".into()),
            response_encryption: Some(ResponseEncryptionRequest {
                jwk: key.jwk("k"),
                enc: ContentEncryption::A128Gcm,
            }),
            ..request.clone()
        };
        assert_eq!(parse(&encrypted.to_value().to_string()).unwrap(), encrypted);
        let response = CredentialResponse {
            credentials: vec!["x".into(), r#"{"type":"VerifiableCredential"}"#.into()],
            notification_id: Some("n".into()),
        };
        let bytes = response.to_value().to_string();
        assert_eq!(CredentialResponse::parse(bytes.as_bytes(), &Limits::DEFAULT).unwrap(), response);
        assert!(!format!("{request:?}{response:?}").contains("a.b.c"));
    }

    #[test]
    fn bad_requests_have_the_code_of_the_specification() {
        use ErrorCode::*;
        let table = [
            ("", InvalidCredentialRequest),
            ("[]", InvalidCredentialRequest),
            ("null", InvalidCredentialRequest),
            ("{}", InvalidCredentialRequest),
            (r#"{"credential_configuration_id":1}"#, InvalidCredentialRequest),
            (
                r#"{"credential_configuration_id":"a","credential_configuration_id":"a"}"#,
                InvalidCredentialRequest,
            ),
            (r#"{"credential_configuration_id":"a","credential_identifier":"b"}"#, InvalidCredentialRequest),
            (r#"{"credential_identifier":1}"#, InvalidCredentialRequest),
            (r#"{"credential_configuration_id":"a"}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":[]}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"jwt":[]}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"jwt":"x"}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"jwt":[1]}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"jwt":["x"],"di_vp":[]}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"di_vp":[{}]}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"attestation":[]}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"attestation":["x","y"]}}"#, InvalidProof),
            (r#"{"credential_configuration_id":"a","proofs":{"attestation":[1]}}"#, InvalidProof),
            (
                r#"{"credential_configuration_id":"a","proofs":{"jwt":["x"]},"credential_response_encryption":{}}"#,
                InvalidEncryptionParameters,
            ),
            (
                r#"{"credential_configuration_id":"a","proofs":{"jwt":["x"]},"webauthn_registrations":[1]}"#,
                InvalidCredentialRequest,
            ),
        ];
        for (text, code) in table {
            assert_eq!(parse(text).unwrap_err().code, code, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(parse(&deep).unwrap_err().code, InvalidCredentialRequest);
        assert_eq!(
            CredentialRequest::parse(&[b'"', 0xff, b'"'], &Limits::DEFAULT).unwrap_err().code,
            InvalidCredentialRequest
        );
    }

    #[test]
    fn bad_responses() {
        for (text, code) in [
            (r#"{"transaction_id":"x","interval":5}"#, "credential_response"),
            (r#"{"credentials":[]}"#, "credential_response"),
            (r#"{"credentials":[{"credential":[]}]}"#, "credential_response"),
            ("{}", "credential_response"),
        ] {
            assert_eq!(
                CredentialResponse::parse(text.as_bytes(), &Limits::DEFAULT).unwrap_err().code(),
                code
            );
        }
    }

    #[test]
    fn faults_of_the_server_are_not_the_senders() {
        let refusal = ErrorCode::InvalidProof.refuse()(Error::unavailable("disk", "full"));
        assert_eq!(refusal.code, ErrorCode::ServerError);
    }

    #[test]
    fn deferrals() {
        let parse = |text: &str| Issuance::parse(text.as_bytes(), &Limits::DEFAULT);
        let deferral = Deferral { transaction_id: "x".into(), interval: 5 };
        let read = parse(r#"{"transaction_id":"x","interval":5,"y":1}"#).unwrap();
        assert_eq!(
            (read.to_value(), read),
            (json!({"transaction_id":"x","interval":5}), Issuance::Deferred(deferral))
        );
        assert!(parse(r#"{"credentials":[{"credential":"a"}]}"#).unwrap().issued().is_some());
        for text in [
            r#"{"transaction_id":"x"}"#,
            r#"{"transaction_id":"x","interval":0}"#,
            r#"{"transaction_id":"","interval":5}"#,
            r#"{"transaction_id":1,"interval":5}"#,
            r#"{"transaction_id":"x","interval":5,"credentials":[]}"#,
        ] {
            assert_eq!(parse(text).unwrap_err().code(), "credential_deferral", "{text}");
        }
        let request = DeferredRequest { transaction_id: "x".into(), response_encryption: None };
        let body = request.to_value().to_string();
        assert_eq!(DeferredRequest::parse(body.as_bytes(), &Limits::DEFAULT).unwrap(), request);
        for bad in ["", "[]", "{}", r#"{"transaction_id":1}"#, r#"{"transaction_id":""}"#] {
            let refused = DeferredRequest::parse(bad.as_bytes(), &Limits::DEFAULT).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidCredentialRequest, "{bad}");
        }
    }
}
