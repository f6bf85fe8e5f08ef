//! Authorization requests and responses of the code grant (RFC 6749 section 4.1; RFC 9126; RFC 9207; OpenID4VCI 1.0
//! section 5). Requests are read only as they come by the pushed authorization request endpoint.

use serde::{Deserialize, Serialize};
use url::Url;

use super::form::Form;
use super::pkce;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::protocol::openid4vci::authorization_details::{self, AuthorizationDetail};

/// Prefix of the `request_uri`s of pushed requests (RFC 9126 section 2.2).
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// An authorization request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Client identifier.
    pub client_id: String,
    /// Where the answer goes; compared character by character.
    pub redirect_uri: String,
    /// PKCE challenge of method `S256`.
    pub code_challenge: String,
    /// Opaque to the server, returned with the answer.
    pub state: Option<String>,
    /// Scope values; those that are unknown are ignored.
    pub scope: Vec<String>,
    /// Credentials by their configurations.
    pub authorization_details: Vec<AuthorizationDetail>,
    /// From the credential offer.
    pub issuer_state: Option<String>,
    /// Thumbprint of the key that the code is to be bound to (RFC 9449 section 10).
    pub dpop_jkt: Option<String>,
}

impl AuthorizationRequest {
    /// Parses a pushed request.
    ///
    /// # Errors
    /// `token_form`; `authorization_request_uri`: a `request_uri` in a pushed request; `authorization_response_type`:
    /// not `code`; `authorization_pkce`: no challenge of method `S256`; `authorization_details`.
    pub fn parse_form(body: &[u8], limits: &Limits) -> Result<Self> {
        let form = Form::parse(body, limits)?;
        if form.one("request_uri")?.is_some() || form.one("request")?.is_some() {
            let detail = "a pushed request holds its parameters itself";
            return Err(Error::malformed("authorization_request_uri", detail));
        }
        if form.required("response_type")? != "code" {
            return Err(Error::unsupported("authorization_response_type", "response_type is not code"));
        }
        let challenge = form.one("code_challenge")?.filter(|text| pkce::is_challenge(text));
        let challenge =
            challenge.filter(|_| form.one("code_challenge_method").is_ok_and(|m| m == Some(pkce::S256)));
        let details = form.one("authorization_details")?;
        let details = details.map(|text| authorization_details::parse(text, limits)).transpose();
        let owned = |value: Option<&str>| value.map(str::to_owned);
        Ok(Self {
            client_id: form.required("client_id")?.to_owned(),
            redirect_uri: form.required("redirect_uri")?.to_owned(),
            code_challenge: challenge
                .ok_or_else(|| {
                    Error::malformed("authorization_pkce", "a code_challenge of method S256 is needed")
                })?
                .to_owned(),
            state: owned(form.one("state")?),
            scope: form.one("scope")?.unwrap_or_default().split(' ').map(str::to_owned).collect(),
            authorization_details: details
                .map_err(|error| Error::malformed("authorization_details", error.detail().to_owned()))?
                .unwrap_or_default(),
            issuer_state: owned(form.one("issuer_state")?),
            dpop_jkt: owned(form.one("dpop_jkt")?),
        })
    }

    /// The parameters, in order.
    ///
    /// # Errors
    /// None in practice: see [`authorization_details::to_parameter`].
    pub fn to_form(&self) -> Result<Vec<(&'static str, String)>> {
        let mut form = vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.client_id.clone()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("code_challenge", self.code_challenge.clone()),
            ("code_challenge_method", pkce::S256.to_owned()),
        ];
        let scope = (!self.scope.is_empty()).then(|| self.scope.join(" "));
        let details = match self.authorization_details.as_slice() {
            [] => None,
            details => Some(authorization_details::to_parameter(details)?),
        };
        let optional = [
            ("state", self.state.clone()),
            ("scope", scope),
            ("authorization_details", details),
            ("issuer_state", self.issuer_state.clone()),
            ("dpop_jkt", self.dpop_jkt.clone()),
        ];
        form.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Ok(form)
    }
}

/// Answer of the pushed authorization request endpoint (RFC 9126 section 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedResponse {
    /// Names the pushed request, once.
    pub request_uri: String,
    /// Seconds until it is forgotten.
    pub expires_in: i64,
}

/// What comes back to the redirect URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizationResponse {
    /// The person agreed; the code.
    Code(String),
    /// `error`, one of RFC 6749 section 4.1.2.1.
    Error(String),
}

/// Adds the answer to a redirect URI, with `state` and `iss` (RFC 9207 section 2).
pub fn redirect(to: &Url, response: &AuthorizationResponse, state: Option<&str>, iss: &str) -> Url {
    let mut url = to.clone();
    {
        let mut query = url.query_pairs_mut();
        match response {
            AuthorizationResponse::Code(code) => query.append_pair("code", code),
            AuthorizationResponse::Error(error) => query.append_pair("error", error),
        };
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", iss);
    }
    url
}

/// What a client expects of the answer.
#[derive(Debug, Clone, Copy)]
pub struct ResponseExpectation<'a> {
    /// The redirect URI that was sent.
    pub redirect_uri: &'a str,
    /// The `state` that was sent.
    pub state: &'a str,
    /// The authorization server.
    pub issuer: &'a str,
    /// Whether the server says that it sends `iss`.
    pub iss_required: bool,
}

/// Reads the URL that the browser came back with. State and issuer are checked before anything else is looked at: an
/// answer of another session or of another server (mix-up, RFC 9207) is no answer.
///
/// # Errors
/// `authorization_redirect`: another address than the redirect URI, or neither code nor error; `authorization_state`;
/// `authorization_iss`; `token_form`.
pub fn read_response(
    url: &str,
    expect: &ResponseExpectation<'_>,
    limits: &Limits,
) -> Result<AuthorizationResponse> {
    let bad = |detail: &'static str| Error::malformed("authorization_redirect", detail);
    let parsed = Url::parse(url).map_err(|_| bad("not a URL"))?;
    let sent = Url::parse(expect.redirect_uri).map_err(|_| bad("the redirect URI is no URL"))?;
    let place = |url: &Url| (url.scheme().to_owned(), url.authority().to_owned(), url.path().to_owned());
    if place(&parsed) != place(&sent) {
        return Err(bad("not the redirect URI that was sent"));
    }
    let form = Form::parse(parsed.query().unwrap_or_default().as_bytes(), limits)?;
    if form.one("state")? != Some(expect.state) {
        return Err(Error::untrusted("authorization_state", "state is missing or of another request"));
    }
    match form.one("iss")? {
        Some(iss) if iss == expect.issuer => {}
        None if !expect.iss_required => {}
        _ => {
            return Err(Error::untrusted(
                "authorization_iss",
                "iss is missing or another authorization server",
            ));
        }
    }
    match (form.one("code")?, form.one("error")?) {
        (Some(code), None) => Ok(AuthorizationResponse::Code(code.to_owned())),
        (None, Some(error)) => Ok(AuthorizationResponse::Error(error.to_owned())),
        _ => Err(bad("neither code nor error, or both")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AuthorizationRequest {
        AuthorizationRequest {
            client_id: "wallet.example".into(),
            redirect_uri: "https://wallet.example/cb?x=1".into(),
            code_challenge: pkce::challenge("v"),
            state: Some("s".into()),
            scope: vec!["a".into(), "b".into()],
            authorization_details: vec![AuthorizationDetail::of("c")],
            issuer_state: Some("i".into()),
            dpop_jkt: None,
        }
    }

    fn encode(form: &[(&str, String)]) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
    }

    #[test]
    fn requests_read_back_and_bad_ones_do_not() {
        let good = encode(&request().to_form().unwrap());
        assert_eq!(AuthorizationRequest::parse_form(good.as_bytes(), &Limits::DEFAULT).unwrap(), request());
        let without = |name: &str| {
            let form: Vec<_> = request().to_form().unwrap().into_iter().filter(|(n, _)| *n != name).collect();
            encode(&form)
        };
        for (body, code) in [
            (without("response_type"), "token_form"),
            (without("client_id"), "token_form"),
            (without("redirect_uri"), "token_form"),
            (without("code_challenge"), "authorization_pkce"),
            (without("code_challenge_method"), "authorization_pkce"),
            (good.replace("S256", "plain"), "authorization_pkce"),
            (good.replace("response_type=code", "response_type=token"), "authorization_response_type"),
            (format!("{good}&state=t"), "token_form"),
            (format!("{good}&request_uri=urn:x"), "authorization_request_uri"),
            (good.replace("openid_credential", "payment"), "authorization_details"),
        ] {
            let error = AuthorizationRequest::parse_form(body.as_bytes(), &Limits::DEFAULT).unwrap_err();
            assert_eq!(error.code(), code, "{body}");
        }
    }

    #[test]
    fn answers_of_others_are_no_answers() {
        let iss = "https://hospital.example";
        let to = Url::parse("https://wallet.example/cb?x=1").unwrap();
        let expect =
            ResponseExpectation { redirect_uri: to.as_str(), state: "s", issuer: iss, iss_required: true };
        let code = AuthorizationResponse::Code("c".into());
        let good = redirect(&to, &code, Some("s"), iss);
        assert_eq!(read_response(good.as_str(), &expect, &Limits::DEFAULT).unwrap(), code);
        let denied = AuthorizationResponse::Error("access_denied".into());
        let url = redirect(&to, &denied, Some("s"), iss);
        assert_eq!(read_response(url.as_str(), &expect, &Limits::DEFAULT).unwrap(), denied);
        for (url, code) in [
            (redirect(&to, &code, Some("t"), iss).to_string(), "authorization_state"),
            (redirect(&to, &code, None, iss).to_string(), "authorization_state"),
            (redirect(&to, &code, Some("s"), "https://evil.example").to_string(), "authorization_iss"),
            ("https://wallet.example/cb?code=c&state=s".into(), "authorization_iss"),
            (good.as_str().replace("/cb", "/other"), "authorization_redirect"),
            (format!("{good}&error=x"), "authorization_redirect"),
            (format!("{good}&code=d"), "token_form"),
            ("x".into(), "authorization_redirect"),
        ] {
            assert_eq!(read_response(&url, &expect, &Limits::DEFAULT).unwrap_err().code(), code, "{url}");
        }
    }
}
