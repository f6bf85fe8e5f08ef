//! OpenID Connect Core 1.0, the relying party's half of the code flow: how the hospital's provider says who signed in.
//! Only what that takes: discovery, the authorization request with PKCE and nonce, the ID token.

use serde::Deserialize;
use url::Url;

use super::authorization::{AuthorizationResponse, ResponseExpectation};
use super::pkce;
use crate::clock::UnixTime;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::limits::Limits;

/// Seconds that the provider's clock may differ.
const SKEW: i64 = 60;

/// Provider metadata (OpenID Connect Discovery 1.0 section 3), the members that the code flow needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProviderMetadata {
    /// Identifier of the provider.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where the code is redeemed.
    pub token_endpoint: Url,
    /// Its keys.
    pub jwks_uri: Url,
    /// Whether its answers carry `iss` (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// Parses metadata that was fetched for `issuer`.
    ///
    /// # Errors
    /// The codes of [`json::parse`]; `provider_metadata`: it is of another provider.
    pub fn parse(bytes: &[u8], issuer: &str, limits: &Limits) -> Result<Self> {
        let metadata: Self = json::parse_as(bytes, limits)?;
        if metadata.issuer != issuer {
            return Err(Error::untrusted("provider_metadata", "the metadata is of another provider"));
        }
        Ok(metadata)
    }

    /// Where the browser goes to sign in.
    pub fn authorization_url(&self, request: &SignInRequest<'_>) -> Url {
        let mut url = self.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", request.client_id)
            .append_pair("redirect_uri", request.redirect_uri)
            .append_pair("scope", request.scope)
            .append_pair("state", request.state)
            .append_pair("nonce", request.nonce)
            .append_pair("code_challenge", &pkce::challenge(request.code_verifier))
            .append_pair("code_challenge_method", pkce::S256);
        url
    }

    /// The code in the address that the browser came back with.
    ///
    /// # Errors
    /// Those of [`super::authorization::read_response`]; `provider_denied`: the provider or the person said no.
    pub fn code(&self, returned: &str, redirect_uri: &str, state: &str, limits: &Limits) -> Result<String> {
        let expect = ResponseExpectation {
            redirect_uri,
            state,
            issuer: &self.issuer,
            iss_required: self.authorization_response_iss_parameter_supported,
        };
        match super::authorization::read_response(returned, &expect, limits)? {
            AuthorizationResponse::Code(code) => Ok(code),
            AuthorizationResponse::Error(_) => {
                Err(Error::refused("provider_denied", "the sign-in with the hospital's provider failed"))
            }
        }
    }
}

/// A request to the provider.
#[derive(Debug, Clone, Copy)]
pub struct SignInRequest<'a> {
    /// Who asks.
    pub client_id: &'a str,
    /// Where the browser comes back.
    pub redirect_uri: &'a str,
    /// At least `openid`.
    pub scope: &'a str,
    /// Binds the answer to the browser.
    pub state: &'a str,
    /// Binds the ID token to the request.
    pub nonce: &'a str,
    /// PKCE verifier.
    pub code_verifier: &'a str,
}

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenExpectation<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// The relying party.
    pub client_id: &'a str,
    /// The nonce of the request.
    pub nonce: &'a str,
    /// The claim that says who it is.
    pub subject_claim: &'a str,
    /// The time.
    pub now: UnixTime,
}

/// Verifies an ID token (Core section 3.1.3.7): the identifier of the person.
///
/// # Errors
/// `id_token`: not well formed or unsigned; `id_token_key`: no such key of the provider; `id_token_signature`;
/// `id_token_claims`: another issuer, audience, `azp` or nonce, or no subject; `id_token_time`.
pub fn verify_id_token(
    compact: &str,
    keys: &JwkSet,
    expect: &IdTokenExpectation<'_>,
    limits: &Limits,
) -> Result<String> {
    let jwt = UnverifiedJwt::parse(compact, limits)
        .map_err(|error| Error::malformed("id_token", format!("no signed ID token ({})", error.code())))?;
    let jwk = keys.find(jwt.header().kid.as_deref());
    let jwk = jwk.ok_or_else(|| Error::untrusted("id_token_key", "the provider has no such key"))?;
    let signature = |_| Error::untrusted("id_token_signature", "the signature is not the provider's");
    let verified = jwt.verify(&jwk.public_key().map_err(signature)?).map_err(signature)?;
    let claims = verified.claims();
    let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
    let audiences = jwt::audiences(claims);
    let others = audiences.len() > 1 && text("azp").is_none();
    let azp = text("azp").is_some_and(|azp| azp != expect.client_id);
    let wrong = text("iss") != Some(expect.issuer)
        || !audiences.contains(&expect.client_id)
        || others
        || azp
        || text("nonce") != Some(expect.nonce);
    let subject = text(expect.subject_claim).filter(|subject| !subject.is_empty() && subject.len() <= 255);
    let Some(subject) = subject.filter(|_| !wrong) else {
        return Err(Error::untrusted(
            "id_token_claims",
            "the ID token is not for this sign-in, or names nobody",
        ));
    };
    let time = |name| {
        jwt::required_time(claims, name).map_err(|_| Error::malformed("id_token", "iat or exp is missing"))
    };
    let (iat, exp) = (time("iat")?, time("exp")?);
    if expect.now >= exp.plus(SKEW) || iat > expect.now.plus(SKEW) {
        return Err(Error::not_current("id_token_time", "the ID token is not of now", expect.now, exp));
    }
    Ok(subject.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::jose::jwk::Jwk;
    use crate::key::{SignatureAlgorithm, Signer, SoftwareKey};

    const NOW: i64 = 1_796_000_000;

    fn token(key: &SoftwareKey, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let claims = json!({"iss": "https://login.example", "aud": "desk", "sub": "p1", "nonce": "n", "iat": NOW, "exp": NOW + 300});
        let mut claims = claims.as_object().unwrap().clone();
        change(&mut claims);
        let header = json!({"kid": "k"}).as_object().unwrap().clone();
        jwt::sign("JWT", header, &claims, key).unwrap()
    }

    #[test]
    fn id_tokens() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let mut jwk = Jwk::from_key(key.public_key());
        jwk.kid = Some("k".into());
        let keys = JwkSet { keys: vec![jwk] };
        let expect = IdTokenExpectation {
            issuer: "https://login.example",
            client_id: "desk",
            nonce: "n",
            subject_claim: "sub",
            now: UnixTime::from_secs(NOW),
        };
        let check = |compact: &str| verify_id_token(compact, &keys, &expect, &Limits::DEFAULT);
        assert_eq!(check(&token(&key, |_| {})).unwrap(), "p1");
        let several = |c: &mut Map<String, Value>| {
            c.insert("aud".into(), json!(["desk", "other"]));
            c.insert("azp".into(), "desk".into());
        };
        check(&token(&key, several)).unwrap();
        type Change = fn(&mut Map<String, Value>);
        let cases: [(&str, Change); 10] = [
            ("id_token_claims", |c| drop(c.insert("iss".into(), "https://evil.example".into()))),
            ("id_token_claims", |c| drop(c.insert("aud".into(), "other".into()))),
            ("id_token_claims", |c| drop(c.insert("aud".into(), json!(["desk", "other"])))),
            ("id_token_claims", |c| drop(c.insert("azp".into(), "other".into()))),
            ("id_token_claims", |c| drop(c.insert("nonce".into(), "m".into()))),
            ("id_token_claims", |c| drop(c.remove("nonce"))),
            ("id_token_claims", |c| drop(c.remove("sub"))),
            ("id_token_time", |c| drop(c.insert("exp".into(), (NOW - 60).into()))),
            ("id_token_time", |c| drop(c.insert("iat".into(), (NOW + 61).into()))),
            ("id_token", |c| drop(c.remove("exp"))),
        ];
        for (code, change) in cases {
            assert_eq!(check(&token(&key, change)).unwrap_err().code(), code);
        }
        let other = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        assert_eq!(check(&token(&other, |_| {})).unwrap_err().code(), "id_token_signature");
        assert_eq!(check("eyJhbGciOiJub25lIn0.e30.").unwrap_err().code(), "id_token");
    }
}
