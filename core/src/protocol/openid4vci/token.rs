//! Token endpoint messages (OpenID4VCI 1.0 section 6; RFC 6749 sections 4.1.3, 5 and 6).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::PRE_AUTHORIZED_CODE;
use super::authorization_details::{self, AuthorizationDetail};
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::protocol::oauth::dpop;
use crate::protocol::oauth::form::Form;

/// Grant type of the authorization code flow (RFC 6749 section 4.1.3).
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// Grant type of refreshing (RFC 6749 section 6).
pub const REFRESH_TOKEN: &str = "refresh_token";

/// What a token request stands on.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenGrant {
    /// The code of an offer.
    PreAuthorized {
        /// The code.
        code: String,
        /// The transaction code, if one was sent.
        tx_code: Option<String>,
    },
    /// The code of an authorization response.
    AuthorizationCode {
        /// The code.
        code: String,
        /// The redirect URI of the authorization request.
        redirect_uri: String,
        /// The PKCE verifier.
        code_verifier: String,
    },
    /// A refresh token.
    Refresh {
        /// The token.
        refresh_token: String,
    },
}

/// A token request. `Debug` hides codes and tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// What it stands on.
    pub grant: TokenGrant,
    /// The client identifier, if one was sent.
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
        let owned = |name: &'static str| form.required(name).map(str::to_owned);
        let grant = match form.required("grant_type")? {
            PRE_AUTHORIZED_CODE => TokenGrant::PreAuthorized {
                code: owned("pre-authorized_code")?,
                tx_code: form.one("tx_code")?.map(str::to_owned),
            },
            AUTHORIZATION_CODE => TokenGrant::AuthorizationCode {
                code: owned("code")?,
                redirect_uri: owned("redirect_uri")?,
                code_verifier: owned("code_verifier")?,
            },
            REFRESH_TOKEN => TokenGrant::Refresh { refresh_token: owned("refresh_token")? },
            _ => return Err(Error::unsupported("token_grant_type", "no such grant type here")),
        };
        Ok(Self {
            grant,
            client_id: form.one("client_id")?.map(str::to_owned),
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
        let mut form = match self.grant.clone() {
            TokenGrant::PreAuthorized { code, tx_code } => {
                let mut form =
                    vec![("grant_type", PRE_AUTHORIZED_CODE.to_owned()), ("pre-authorized_code", code)];
                form.extend(tx_code.map(|code| ("tx_code", code)));
                form
            }
            TokenGrant::AuthorizationCode { code, redirect_uri, code_verifier } => vec![
                ("grant_type", AUTHORIZATION_CODE.to_owned()),
                ("code", code),
                ("redirect_uri", redirect_uri),
                ("code_verifier", code_verifier),
            ],
            TokenGrant::Refresh { refresh_token } => {
                vec![("grant_type", REFRESH_TOKEN.to_owned()), ("refresh_token", refresh_token)]
            }
        };
        form.extend(self.client_id.clone().map(|id| ("client_id", id)));
        if !self.authorization_details.is_empty() {
            let details = authorization_details::to_parameter(&self.authorization_details)?;
            form.push(("authorization_details", details));
        }
        Ok(form)
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
    /// For the next access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
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
    /// JSON and size: the codes of [`json::parse`]. `token_type`: neither a bearer token nor bound by DPoP.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let response: Self = json::parse_as(bytes, limits)?;
        let bearer = response.token_type.eq_ignore_ascii_case("bearer");
        if !(bearer || response.is_bound()) || response.access_token.is_empty() {
            return Err(Error::unsupported(
                "token_type",
                "the token is neither a bearer token nor bound by DPoP",
            ));
        }
        Ok(response)
    }

    /// Whether the token is bound to the key of the DPoP proof (RFC 9449 section 5).
    pub fn is_bound(&self) -> bool {
        self.token_type.eq_ignore_ascii_case(dpop::TOKEN_TYPE)
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
            grant: TokenGrant::PreAuthorized { code: "a+b c&d".into(), tx_code: Some("1234".into()) },
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
            (format!("{GRANT}&pre-authorized_code={}", "x".repeat(20_000)), "token_form"),
            ("grant_type=password&username=x".to_owned(), "token_grant_type"),
            ("grant_type=authorization_code&code=x".to_owned(), "token_form"),
            ("grant_type=refresh_token".to_owned(), "token_form"),
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
        assert!(TokenResponse::parse(dpop, &Limits::DEFAULT).unwrap().is_bound());
        let other = br#"{"access_token":"t","token_type":"mac"}"#;
        assert_eq!(TokenResponse::parse(other, &Limits::DEFAULT).unwrap_err().code(), "token_type");
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
