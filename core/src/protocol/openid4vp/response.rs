//! The authorization response (OpenID4VP 1.0 section 8): `vp_token` or an error, posted in the clear or encrypted.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::credential::format;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Most presentations in one response.
pub const MAX_PRESENTATIONS: usize = 32;

/// The `error` codes that a wallet may send (section 8.5 and RFC 6749 section 4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletError {
    /// `access_denied`: no fitting credential, no consent, or no user verification.
    AccessDenied,
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_client`
    InvalidClient,
    /// `vp_formats_not_supported`
    VpFormatsNotSupported,
    /// `invalid_request_uri_method`
    InvalidRequestUriMethod,
    /// `invalid_transaction_data`
    InvalidTransactionData,
    /// `wallet_unavailable`
    WalletUnavailable,
    /// A code that section 8.5 does not list.
    Other,
}

const WALLET_ERRORS: [(WalletError, &str); 7] = [
    (WalletError::AccessDenied, "access_denied"),
    (WalletError::InvalidRequest, "invalid_request"),
    (WalletError::InvalidClient, "invalid_client"),
    (WalletError::VpFormatsNotSupported, "vp_formats_not_supported"),
    (WalletError::InvalidRequestUriMethod, "invalid_request_uri_method"),
    (WalletError::InvalidTransactionData, "invalid_transaction_data"),
    (WalletError::WalletUnavailable, "wallet_unavailable"),
];

impl WalletError {
    /// The code on the wire; `other` for codes that are not listed.
    pub fn as_str(self) -> &'static str {
        WALLET_ERRORS.iter().find(|(error, _)| *error == self).map_or("other", |(_, code)| code)
    }

    fn parse(code: &str) -> Self {
        WALLET_ERRORS.iter().find(|(_, known)| *known == code).map_or(Self::Other, |(error, _)| *error)
    }

    /// The code with which a wallet answers a request that it refuses because of `fault`.
    pub fn for_fault(fault: &Error) -> Self {
        match fault.code() {
            "invalid_transaction_data" | "transaction_data_type" => Self::InvalidTransactionData,
            "dcql_format" | "vp_formats" => Self::VpFormatsNotSupported,
            "request_uri_method" => Self::InvalidRequestUriMethod,
            _ => Self::InvalidRequest,
        }
    }
}

/// What came in the form, before decryption. `Debug` hides the content.
#[derive(Clone, PartialEq, Eq)]
pub enum FormResponse {
    /// `response`: a JWE, to be decrypted and read with [`UnverifiedResponse::from_decrypted`].
    Encrypted(String),
    /// Everything else.
    Plain(UnverifiedResponse),
}

/// A response as the wallet states it; nothing of it is verified. `Debug` hides the content.
#[derive(Clone, PartialEq, Eq)]
pub enum UnverifiedResponse {
    /// Presentations.
    VpToken {
        /// Credential query id to presentations, each as text (an object as its JSON); never empty.
        vp_token: BTreeMap<String, Vec<String>>,
        /// `state`
        state: Option<String>,
    },
    /// The wallet answers with an error.
    Error {
        /// `error`
        error: WalletError,
        /// `state`
        state: Option<String>,
    },
}

impl FormResponse {
    /// Reads an `application/x-www-form-urlencoded` body; unknown parameters are ignored.
    ///
    /// Errors, all [`Error::Malformed`]: `response_form` and the codes of [`json::parse`] for `vp_token`.
    pub fn parse(body: &[u8], limits: &Limits) -> Result<Self> {
        if body.len() > limits.token_bytes.saturating_mul(2) {
            return Err(malformed("the form is too long"));
        }
        // The decoder would replace invalid UTF-8 silently.
        let body = std::str::from_utf8(body).map_err(|_| malformed("the form is not UTF-8"))?;
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
            let Some(name) =
                ["vp_token", "response", "error", "state"].into_iter().find(|known| *known == name)
            else {
                continue;
            };
            if value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(malformed("the form is not UTF-8"));
            }
            if known.insert(name, value.into_owned()).is_some() {
                return Err(malformed("a parameter occurs twice"));
            }
        }
        let state = known.remove("state");
        match (known.remove("vp_token"), known.remove("response"), known.remove("error")) {
            (None, Some(jwe), None) => Ok(Self::Encrypted(jwe)),
            (Some(token), None, None) => {
                let token = json::parse(token.as_bytes(), &Self::token_limits(limits))?;
                Ok(Self::Plain(UnverifiedResponse::VpToken { vp_token: vp_token(token)?, state }))
            }
            (None, None, Some(error)) => {
                Ok(Self::Plain(UnverifiedResponse::Error { error: WalletError::parse(&error), state }))
            }
            (None, None, None) => Err(malformed("`vp_token`, `response` or `error` is missing")),
            _ => Err(malformed("`vp_token`, `response` and `error` exclude each other")),
        }
    }

    /// Reads what came back over the Digital Credentials API (appendix A.4): the same parameters as JSON members.
    ///
    /// Errors: as [`Self::parse`].
    pub fn from_platform(data: &Value, limits: &Limits) -> Result<Self> {
        let text = data.to_string();
        if text.len() > limits.token_bytes.saturating_mul(2) {
            return Err(malformed("the response is too long"));
        }
        match (data.get("response"), data.get("vp_token").or_else(|| data.get("error"))) {
            (Some(Value::String(jwe)), None) => Ok(Self::Encrypted(jwe.clone())),
            (Some(_), _) => Err(malformed("`response` is no text, or does not stand alone")),
            (None, _) => UnverifiedResponse::from_decrypted(text.as_bytes(), limits).map(Self::Plain),
        }
    }

    fn token_limits(limits: &Limits) -> Limits {
        Limits { json_bytes: limits.token_bytes, ..*limits }
    }
}

impl UnverifiedResponse {
    /// Reads the payload of a decrypted response (section 8.3): the same parameters as JSON members.
    pub fn from_decrypted(payload: &[u8], limits: &Limits) -> Result<Self> {
        let limits = Limits { json_bytes: limits.token_bytes, ..*limits };
        let Value::Object(mut members) = json::parse(payload, &limits)? else {
            return Err(malformed("the decrypted response is not an object"));
        };
        let text = |value: Option<Value>, name: &str| match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(malformed(format!("`{name}` is not a string"))),
        };
        let state = text(members.shift_remove("state"), "state")?;
        let error = text(members.shift_remove("error"), "error")?;
        match (members.shift_remove("vp_token"), error) {
            (Some(token), None) => Ok(Self::VpToken { vp_token: vp_token(token)?, state }),
            (None, Some(error)) => Ok(Self::Error { error: WalletError::parse(&error), state }),
            (None, None) => Err(malformed("`vp_token` is missing")),
            (Some(_), Some(_)) => Err(malformed("`vp_token` and `error` exclude each other")),
        }
    }

    /// `state` as the wallet sent it back.
    pub fn state(&self) -> Option<&str> {
        match self {
            Self::VpToken { state, .. } | Self::Error { state, .. } => state.as_deref(),
        }
    }
}

impl fmt::Debug for FormResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted(jwe) => write!(f, "Encrypted({} bytes)", jwe.len()),
            Self::Plain(response) => response.fmt(f),
        }
    }
}

impl fmt::Debug for UnverifiedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VpToken { vp_token, .. } => write!(f, "VpToken(for {:?})", vp_token.keys()),
            Self::Error { error, .. } => write!(f, "Error({error:?})"),
        }
    }
}

/// The parameters of a successful response, for the JWE payload or (serialised) for the form.
pub fn vp_token_value(presentations: &BTreeMap<String, Vec<String>>) -> Value {
    let list = |(id, list): (&String, &Vec<String>)| {
        (id.clone(), list.iter().map(|text| format::to_message(text)).collect())
    };
    Value::Object(presentations.iter().map(list).collect::<Map<_, _>>())
}

fn vp_token(token: Value) -> Result<BTreeMap<String, Vec<String>>> {
    let Value::Object(members) = token else { return Err(malformed("`vp_token` is not an object")) };
    let mut count = 0_usize;
    let mut presentations = BTreeMap::new();
    for (id, list) in members {
        let Value::Array(list) = list else {
            return Err(malformed("a member of `vp_token` is not an array"));
        };
        count = count.saturating_add(list.len());
        if list.is_empty() || count > MAX_PRESENTATIONS {
            return Err(malformed("`vp_token` has an empty member or too many presentations"));
        }
        let one = |value: &Value| {
            format::from_message(value)
                .ok_or_else(|| malformed("a presentation is neither a string nor an object"))
        };
        presentations.insert(id, list.iter().map(one).collect::<Result<_>>()?);
    }
    match presentations.is_empty() {
        true => Err(malformed("`vp_token` is empty")),
        false => Ok(presentations),
    }
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::malformed("response_form", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Result<FormResponse> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        FormResponse::parse(body.as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn reads_each_kind() {
        // The examples of sections 8.1.1, 8.3.1 and 8.2.
        let token = r#"{"my_credential": ["eyJhbGci...QMA", "eyJhbGci...QMA"]}"#;
        let FormResponse::Plain(UnverifiedResponse::VpToken { vp_token, state }) =
            form(&[("vp_token", token), ("state", "s"), ("iss", "ignored")]).unwrap()
        else {
            panic!()
        };
        assert_eq!((vp_token["my_credential"].len(), state.as_deref()), (2, Some("s")));
        assert_eq!(
            form(&[("response", "eyJra...9t2LQ")]).unwrap(),
            FormResponse::Encrypted("eyJra...9t2LQ".into())
        );
        let error = form(&[("error", "access_denied"), ("error_description", "no"), ("state", "s")]).unwrap();
        let expected =
            UnverifiedResponse::Error { error: WalletError::AccessDenied, state: Some("s".into()) };
        assert_eq!(error, FormResponse::Plain(expected.clone()));
        let decrypted = br#"{"error": "access_denied", "state": "s", "iss": "x"}"#;
        assert_eq!(UnverifiedResponse::from_decrypted(decrypted, &Limits::DEFAULT).unwrap(), expected);
        let decrypted = br#"{"vp_token": {"example_credential_id": ["eyJhb...YMetA"]}}"#;
        let response = UnverifiedResponse::from_decrypted(decrypted, &Limits::DEFAULT).unwrap();
        assert!(matches!(response, UnverifiedResponse::VpToken { state: None, .. }));
        assert!(!format!("{response:?}").contains("eyJ"));
        assert_eq!(WalletError::parse("something_new"), WalletError::Other);
        // A presentation of ldp_vc is an object (appendix B.1.3.2).
        let token = r#"{"w3c":[{"type":"VerifiablePresentation"}],"sd_jwt":["eyJ~"]}"#;
        let FormResponse::Plain(UnverifiedResponse::VpToken { vp_token, .. }) =
            form(&[("vp_token", token)]).unwrap()
        else {
            panic!()
        };
        assert_eq!(vp_token["w3c"], [r#"{"type":"VerifiablePresentation"}"#]);
        let again: Value = serde_json::from_str(token).unwrap();
        assert_eq!(vp_token_value(&vp_token), again);
    }

    #[test]
    fn refused() {
        let many = format!("{{\"a\": [{}\"x\"]}}", "\"x\",".repeat(MAX_PRESENTATIONS));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for (pairs, code) in [
            (&[][..], "response_form"),
            (&[("state", "s")], "response_form"),
            (&[("vp_token", "{}")], "response_form"),
            (&[("vp_token", "[]")], "response_form"),
            (&[("vp_token", "\"eyJ\"")], "response_form"),
            (&[("vp_token", "eyJ")], "json_syntax"),
            (&[("vp_token", "")], "json_syntax"),
            (&[("vp_token", r#"{"a":"x"}"#)], "response_form"),
            (&[("vp_token", r#"{"a":[]}"#)], "response_form"),
            (&[("vp_token", r#"{"a":[1]}"#)], "response_form"),
            (&[("vp_token", r#"{"a":["x"],"a":["y"]}"#)], "json_duplicate_member"),
            (&[("vp_token", many.as_str())], "response_form"),
            (&[("vp_token", deep.as_str())], "json_too_deep"),
            (&[("vp_token", r#"{"a":["x"]}"#), ("vp_token", r#"{"a":["x"]}"#)], "response_form"),
            (&[("vp_token", r#"{"a":["x"]}"#), ("response", "x")], "response_form"),
            (&[("vp_token", r#"{"a":["x"]}"#), ("error", "access_denied")], "response_form"),
        ] {
            assert_eq!(form(pairs).unwrap_err().code(), code, "{pairs:?}");
        }
        for raw in [&b"vp_token=\xff\xfe"[..], b"vp_token=%FF%FE", &[b'a'; 600_000]] {
            assert_eq!(FormResponse::parse(raw, &Limits::DEFAULT).unwrap_err().code(), "response_form");
        }
        for bad in [
            &b"[]"[..],
            b"{}",
            br#"{"vp_token":{"a":["x"]},"error":"x"}"#,
            br#"{"vp_token":{"a":["x"]},"state":1}"#,
        ] {
            assert_eq!(
                UnverifiedResponse::from_decrypted(bad, &Limits::DEFAULT).unwrap_err().code(),
                "response_form"
            );
        }
    }
}
