//! Nonce response, credential request and credential response (OpenID4VCI 1.0 sections 7 and 8).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::credential::format;
use crate::encoding::json as strict;
use crate::error::{Error, Result};
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

/// A credential request with key proofs of type `jwt`. `Debug` shows counts only.
#[derive(Clone, PartialEq)]
pub struct CredentialRequest {
    /// What is wanted.
    pub credential: CredentialName,
    /// Key proofs, compact JWS, at least one.
    pub proofs: Vec<String>,
    /// CareKey's own parameter: WebAuthn `RegistrationResponseJSON`s for the first key proofs, in their order. Further
    /// proofs may name a key that was enrolled by one of them, or before under the same access token.
    pub webauthn_registrations: Vec<Value>,
}

impl fmt::Debug for CredentialRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialRequest")
            .field("credential", &self.credential)
            .field("proofs", &self.proofs.len())
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
        if members.contains_key("credential_response_encryption") {
            return Err(ErrorCode::InvalidEncryptionParameters.refuse()(Error::unsupported(
                "credential_response_encryption",
                "this issuer does not encrypt responses, as its metadata says",
            )));
        }
        let proofs = parse_proofs(members.remove("proofs")).map_err(ErrorCode::InvalidProof.refuse())?;
        let registrations = match members.remove("webauthn_registrations") {
            None => Vec::new(),
            Some(Value::Array(all)) if all.iter().all(Value::is_object) && all.len() <= MAX_PROOFS => all,
            Some(_) => return Err(bad("webauthn_registrations is no array of objects")),
        };
        Ok(Self { credential, proofs, webauthn_registrations: registrations })
    }

    /// The request body.
    pub fn to_value(&self) -> Value {
        let (name, id) = match &self.credential {
            CredentialName::Configuration(id) => ("credential_configuration_id", id),
            CredentialName::Identifier(id) => ("credential_identifier", id),
        };
        let mut body = json!({name: id, "proofs": {"jwt": self.proofs}});
        if let (false, Some(members)) = (self.webauthn_registrations.is_empty(), body.as_object_mut()) {
            members
                .insert("webauthn_registrations".into(), Value::Array(self.webauthn_registrations.clone()));
        }
        body
    }
}

/// `proofs` holds exactly one proof type, and this issuer takes only `jwt` (sections 8.2 and appendix F.1).
fn parse_proofs(proofs: Option<Value>) -> Result<Vec<String>> {
    let bad = |detail: &'static str| Error::malformed("proofs", detail);
    let Some(proofs) = proofs else { return Err(bad("proofs is missing")) };
    let Value::Object(mut proofs) = proofs else { return Err(bad("proofs is no object")) };
    if proofs.len() != 1 {
        return Err(bad("proofs must have exactly one member"));
    }
    let Some(jwt) = proofs.remove("jwt") else {
        return Err(Error::unsupported("proof_type", "only key proofs of type jwt are taken"));
    };
    let Value::Array(all) = jwt else { return Err(bad("proofs.jwt is no array")) };
    if all.is_empty() || all.len() > MAX_PROOFS {
        return Err(bad("proofs.jwt is empty or too long"));
    }
    all.into_iter()
        .map(|one| match one {
            Value::String(jwt) => Ok(jwt),
            _ => Err(bad("an element of proofs.jwt is no string")),
        })
        .collect()
}

/// A deferred credential request (section 9.1).
#[derive(Clone, PartialEq, Eq)]
pub struct DeferredRequest {
    /// Names the issuance that waits.
    pub transaction_id: String,
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
        let value = strict::parse(bytes, limits).map_err(&malformed)?;
        let id = value.get("transaction_id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id =
            id.ok_or_else(|| malformed(Error::malformed("deferred_request", "transaction_id is missing")))?;
        Ok(Self { transaction_id: id.to_owned() })
    }

    /// The request body.
    pub fn to_value(&self) -> Value {
        json!({"transaction_id": self.transaction_id})
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

    fn parse(text: &str) -> Result<CredentialRequest, Refusal> {
        CredentialRequest::parse(text.as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn reads_what_it_writes() {
        let request = CredentialRequest {
            credential: CredentialName::Configuration("patient_identity".into()),
            proofs: vec!["a.b.c".into()],
            webauthn_registrations: vec![json!({"id": "x"})],
        };
        assert_eq!(parse(&request.to_value().to_string()).unwrap(), request);
        let named =
            CredentialRequest { credential: CredentialName::Identifier("x.1".into()), ..request.clone() };
        assert_eq!(parse(&named.to_value().to_string()).unwrap(), named);
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
        let request = DeferredRequest { transaction_id: "x".into() };
        let body = request.to_value().to_string();
        assert_eq!(DeferredRequest::parse(body.as_bytes(), &Limits::DEFAULT).unwrap(), request);
        for bad in ["", "[]", "{}", r#"{"transaction_id":1}"#, r#"{"transaction_id":""}"#] {
            let refused = DeferredRequest::parse(bad.as_bytes(), &Limits::DEFAULT).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidCredentialRequest, "{bad}");
        }
    }
}
