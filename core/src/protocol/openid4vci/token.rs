//! Token endpoint messages of the pre-authorized code grant (OpenID4VCI 1.0 section 6, RFC 6749 section 5).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::PRE_AUTHORIZED_CODE;
use super::authorization_details::{self, AuthorizationDetail};
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Longest value of one form parameter, in bytes.
const MAX_PARAMETER: usize = 4096;

/// A token request with a pre-authorized code. `Debug` hides code and transaction code.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The code of the offer.
    pub pre_authorized_code: String,
    /// The transaction code, if one was sent.
    pub tx_code: Option<String>,
    /// The client identifier, if one was sent; clients do not authenticate.
    pub client_id: Option<String>,
    /// The credentials that are wanted of those that were offered; empty: all, named by their configurations.
    pub authorization_details: Vec<AuthorizationDetail>,
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl TokenRequest {
    /// Parses the body of a token request, `application/x-www-form-urlencoded`. Unknown parameters are ignored.
    ///
    /// # Errors
    /// `token_form`: not UTF-8, too long, a repeated or a missing parameter. `token_grant_type`: another grant type.
    /// `authorization_details`: see [`authorization_details::parse`].
    pub fn parse_form(body: &[u8], limits: &Limits) -> Result<Self> {
        let form = Form::parse(body, limits)?;
        match form.one("grant_type")? {
            None => return Err(Error::malformed("token_form", "grant_type is missing")),
            Some(PRE_AUTHORIZED_CODE) => {}
            Some(_) => {
                return Err(Error::unsupported("token_grant_type", "only the pre-authorized code grant"));
            }
        }
        let code = form.one("pre-authorized_code")?.filter(|code| !code.is_empty());
        Ok(Self {
            pre_authorized_code: code
                .ok_or_else(|| Error::malformed("token_form", "pre-authorized_code is missing"))?
                .to_owned(),
            tx_code: form.one("tx_code")?.map(str::to_owned),
            client_id: form.one("client_id")?.filter(|id| !id.is_empty()).map(str::to_owned),
            authorization_details: match form.one("authorization_details")? {
                None => Vec::new(),
                Some(text) => authorization_details::parse(text, limits)
                    .map_err(|error| Error::malformed("authorization_details", error.detail().to_owned()))?,
            },
        })
    }

    /// The form parameters of this request, in order.
    ///
    /// # Errors
    /// None in practice: see [`authorization_details::to_parameter`].
    pub fn to_form(&self) -> Result<Vec<(&'static str, String)>> {
        let mut form = vec![
            ("grant_type", PRE_AUTHORIZED_CODE.to_owned()),
            ("pre-authorized_code", self.pre_authorized_code.clone()),
        ];
        form.extend(self.tx_code.clone().map(|code| ("tx_code", code)));
        form.extend(self.client_id.clone().map(|id| ("client_id", id)));
        if !self.authorization_details.is_empty() {
            let details = authorization_details::to_parameter(&self.authorization_details)?;
            form.push(("authorization_details", details));
        }
        Ok(form)
    }
}

/// The pairs of a form, read strictly: RFC 6749 section 3.2 forbids repeated parameters.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &[u8], limits: &Limits) -> Result<Self> {
        let bad = |detail: &'static str| Error::malformed("token_form", detail);
        if body.len() > limits.json_bytes {
            return Err(bad("the form is too long"));
        }
        let text = std::str::from_utf8(body).map_err(|_| bad("the form is not UTF-8"))?;
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(body).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        // The decoder replaces what is not UTF-8; nothing legitimate here contains the replacement character.
        let replaced = |s: &str| s.contains(char::REPLACEMENT_CHARACTER);
        if replaced(text) || pairs.iter().any(|(n, v)| replaced(n) || replaced(v)) {
            return Err(bad("a parameter is not UTF-8"));
        }
        if pairs.iter().any(|(n, v)| n.len() > MAX_PARAMETER || v.len() > MAX_PARAMETER) {
            return Err(bad("a parameter is too long"));
        }
        Ok(Self(pairs))
    }

    fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Error::malformed("token_form", "a parameter is repeated")),
        }
    }
}

/// A successful token response. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// `Bearer`, or another type that was negotiated.
    pub token_type: String,
    /// Lifetime in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
    /// Authorization details (RFC 9396): present when the server wants `credential_identifier` to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<Vec<AuthorizationDetail>>,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse").field("token_type", &self.token_type).finish_non_exhaustive()
    }
}

impl TokenResponse {
    /// Parses a response.
    ///
    /// # Errors
    /// JSON and size: the codes of [`json::parse`]. `token_type`: not a bearer token.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let response: Self = json::parse_as(bytes, limits)?;
        if !response.token_type.eq_ignore_ascii_case("bearer") || response.access_token.is_empty() {
            return Err(Error::unsupported("token_type", "the token is not a bearer token"));
        }
        Ok(response)
    }
}

/// An error answer of OAuth endpoints (RFC 6749 section 5.2), also used by the credential and notification endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// The error code.
    pub error: String,
    /// Explanation for developers; ASCII without `"` and `\`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

impl ErrorResponse {
    /// An error answer whose description is made ASCII.
    pub fn new(error: &str, description: &str) -> Self {
        Self { error: error.to_owned(), error_description: Some(super::ascii_description(description)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<TokenRequest> {
        TokenRequest::parse_form(body.as_bytes(), &Limits::DEFAULT)
    }

    const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code";

    #[test]
    fn reads_what_it_writes() {
        let request = TokenRequest {
            pre_authorized_code: "a+b c&d".into(),
            tx_code: Some("1234".into()),
            client_id: Some("http://localhost:8802".into()),
            authorization_details: vec![AuthorizationDetail::of("a")],
        };
        let form = request.to_form().unwrap();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        assert_eq!(parse(&body).unwrap(), request);
        assert_eq!(parse(&format!("{body}&resource=x&unknown=1")).unwrap(), request);
        assert!(!format!("{request:?}").contains("1234"));
    }

    #[test]
    fn bad_forms() {
        for (body, code) in [
            (String::new(), "token_form"),
            (GRANT.to_owned(), "token_form"),
            (format!("{GRANT}&pre-authorized_code="), "token_form"),
            (format!("{GRANT}&pre-authorized_code=x&pre-authorized_code=x"), "token_form"),
            (format!("{GRANT}&{GRANT}&pre-authorized_code=x"), "token_form"),
            (format!("{GRANT}&pre-authorized_code=%ff"), "token_form"),
            (format!("{GRANT}&pre-authorized_code={}", "x".repeat(5000)), "token_form"),
            ("grant_type=authorization_code&code=x".to_owned(), "token_grant_type"),
            ("{\"grant_type\":1}".to_owned(), "token_form"),
            (format!("{GRANT}&pre-authorized_code=x&authorization_details=%5B"), "authorization_details"),
        ] {
            assert_eq!(parse(&body).unwrap_err().code(), code, "{body:.80}");
        }
        assert_eq!(
            TokenRequest::parse_form(&[0xff, 0xfe], &Limits::DEFAULT).unwrap_err().code(),
            "token_form"
        );
    }

    #[test]
    fn responses() {
        let ok = br#"{"access_token":"t","token_type":"bearer","expires_in":600}"#;
        assert_eq!(TokenResponse::parse(ok, &Limits::DEFAULT).unwrap().expires_in, Some(600));
        let dpop = br#"{"access_token":"t","token_type":"DPoP"}"#;
        assert_eq!(TokenResponse::parse(dpop, &Limits::DEFAULT).unwrap_err().code(), "token_type");
        let error = ErrorResponse::new("invalid_grant", "„quoted\" \\ ä");
        assert!(
            error
                .error_description
                .unwrap()
                .bytes()
                .all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\')
        );
    }
}
