//! Access tokens of authorization servers that speak RFC 9068, judged by a resource server.

use serde_json::Value;

use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::key::SignatureAlgorithm;
use crate::limits::Limits;
use crate::protocol::openid4vci::authorization_details::{self, AuthorizationDetail};

/// `typ` of an access token (section 2.1).
pub const TYP: &str = "at+jwt";

/// Seconds that the server's clock may differ.
const SKEW: i64 = 60;
/// Longest identifier, in bytes.
const MAX_TEXT: usize = 255;

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub struct AccessTokenExpectation<'a> {
    /// The server.
    pub issuer: &'a str,
    /// This resource server.
    pub audience: &'a str,
    /// The claim that says whose consent it is.
    pub subject_claim: &'a str,
    /// The algorithms that are taken.
    pub algorithms: &'a [SignatureAlgorithm],
    /// The time.
    pub now: UnixTime,
}

/// A token that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAccessToken {
    /// Whose consent it stands for.
    pub subject: String,
    /// The client that it was given to.
    pub client_id: String,
    /// Scope values.
    pub scope: Vec<String>,
    /// Credentials by authorization details.
    pub authorization_details: Vec<AuthorizationDetail>,
    /// Thumbprint of the key that it is bound to (RFC 9449 section 6.1).
    pub jkt: Option<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
}

/// The server that a token names, unverified: says whose keys to ask for.
///
/// # Errors
/// `access_token_form`.
pub fn issuer(compact: &str, limits: &Limits) -> Result<String> {
    let jwt = UnverifiedJwt::parse(compact, limits).map_err(|_| form())?;
    let issuer = jwt.claims().get("iss").and_then(Value::as_str);
    issuer.map(str::to_owned).ok_or_else(form)
}

/// Verifies a token (section 4).
///
/// # Errors
/// `access_token_form`: no such JWT, or a claim that is missing or of the wrong type; `access_token_algorithm`;
/// `access_token_key`: the server has no such key; `access_token_signature`; `access_token_claims`: of another server, or
/// for another audience; `access_token_time`.
pub fn verify(
    compact: &str,
    keys: &JwkSet,
    expect: &AccessTokenExpectation<'_>,
    limits: &Limits,
) -> Result<VerifiedAccessToken> {
    let jwt = UnverifiedJwt::parse(compact, limits).map_err(|_| form())?;
    jwt.header().require_typ(TYP).map_err(|_| form())?;
    if !expect.algorithms.contains(&jwt.header().alg) {
        let detail = "the access token is signed with an algorithm that is not taken";
        return Err(Error::unsupported("access_token_algorithm", detail));
    }
    let jwk = keys.find(jwt.header().kid.as_deref());
    let jwk = jwk.ok_or_else(|| Error::untrusted("access_token_key", "the server has no such key"))?;
    let signature = |_| Error::untrusted("access_token_signature", "the signature is not the server's");
    let verified = jwt.verify(&jwk.public_key().map_err(signature)?).map_err(signature)?;
    let claims = verified.claims();
    let text = |name: &str| {
        let text = claims.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty() && text.len() <= MAX_TEXT).ok_or_else(form)
    };
    if text("iss")? != expect.issuer || !jwt::audiences(claims).contains(&expect.audience) {
        let detail = "the access token is of another server, or for another one";
        return Err(Error::untrusted("access_token_claims", detail));
    }
    let time = |name| jwt::required_time(claims, name).map_err(|_| form());
    let (issued_at, expires_at) = (time("iat")?, time("exp")?);
    let early = jwt::time(claims, "nbf").map_err(|_| form())?.is_some_and(|nbf| nbf > expect.now.plus(SKEW));
    if expect.now >= expires_at || issued_at > expect.now.plus(SKEW) || early {
        let detail = "the access token is not of now";
        return Err(Error::not_current("access_token_time", detail, expect.now, expires_at));
    }
    let scope = match claims.get("scope") {
        None => Vec::new(),
        Some(scope) => scope.as_str().ok_or_else(form)?.split(' ').map(str::to_owned).collect(),
    };
    let details = match claims.get("authorization_details") {
        None => Vec::new(),
        Some(details) => {
            // A server may put details of other types into the same token.
            let own = |one: &&Value| {
                one.get("type").and_then(Value::as_str) == Some(authorization_details::OPENID_CREDENTIAL)
            };
            let own: Vec<Value> = details.as_array().ok_or_else(form)?.iter().filter(own).cloned().collect();
            match own.is_empty() {
                true => Vec::new(),
                false => authorization_details::parse(&Value::Array(own).to_string(), limits)
                    .map_err(|_| form())?,
            }
        }
    };
    let jkt = match claims.get("cnf") {
        None => None,
        // A token that is bound in another way is not one without binding.
        Some(cnf) => Some(cnf.get("jkt").and_then(Value::as_str).ok_or_else(form)?.to_owned()),
    };
    Ok(VerifiedAccessToken {
        subject: text(expect.subject_claim)?.to_owned(),
        client_id: text("client_id")?.to_owned(),
        scope,
        authorization_details: details,
        jkt,
        issued_at,
        expires_at,
    })
}

fn form() -> Error {
    Error::malformed("access_token_form", "not an access token as RFC 9068 has it")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::jose::jwk::Jwk;
    use crate::key::{Signer, SoftwareKey};

    const NOW: i64 = 1_796_000_000;
    type Change = fn(&mut Map<String, Value>);

    fn token(key: &SoftwareKey, typ: &str, change: Change) -> String {
        let claims = json!({
            "iss": "https://as.example", "aud": ["https://hospital.example"], "sub": "p7", "jti": "1",
            "client_id": "wallet.example", "iat": NOW, "exp": NOW + 300, "scope": "openid patient_identity",
            "cnf": {"jkt": "thumb"},
            "authorization_details": [
                {"type": "payment"},
                {"type": "openid_credential", "credential_configuration_id": "patient_identity"},
            ],
        });
        let mut claims = claims.as_object().unwrap().clone();
        change(&mut claims);
        jwt::sign(typ, json!({"kid": "k"}).as_object().unwrap().clone(), &claims, key).unwrap()
    }

    #[test]
    fn tokens_of_a_server() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let mut jwk = Jwk::from_key(key.public_key());
        jwk.kid = Some("k".into());
        let keys = JwkSet { keys: vec![jwk] };
        let expect = AccessTokenExpectation {
            issuer: "https://as.example",
            audience: "https://hospital.example",
            subject_claim: "sub",
            algorithms: &[SignatureAlgorithm::Es256],
            now: UnixTime::from_secs(NOW),
        };
        let check = |compact: &str| verify(compact, &keys, &expect, &Limits::DEFAULT);
        let good = token(&key, TYP, |_| {});
        assert_eq!(issuer(&good, &Limits::DEFAULT).unwrap(), "https://as.example");
        let verified = check(&good).unwrap();
        assert_eq!((verified.subject.as_str(), verified.jkt.as_deref()), ("p7", Some("thumb")));
        assert_eq!((verified.scope.len(), verified.authorization_details.len()), (2, 1));
        check(&token(&key, "application/at+jwt", |_| {})).unwrap();
        let by_jti = AccessTokenExpectation { subject_claim: "jti", ..expect };
        assert_eq!(verify(&good, &keys, &by_jti, &Limits::DEFAULT).unwrap().subject, "1");
        let cases: [(&str, Change); 13] = [
            ("access_token_claims", |c| drop(c.insert("iss".into(), "https://evil.example".into()))),
            ("access_token_claims", |c| drop(c.insert("aud".into(), "https://other.example".into()))),
            ("access_token_claims", |c| drop(c.remove("aud"))),
            ("access_token_form", |c| drop(c.remove("sub"))),
            ("access_token_form", |c| drop(c.remove("client_id"))),
            ("access_token_form", |c| drop(c.remove("exp"))),
            ("access_token_form", |c| drop(c.remove("iat"))),
            ("access_token_form", |c| drop(c.insert("scope".into(), json!(["a"])))),
            ("access_token_form", |c| drop(c.insert("cnf".into(), json!({"x5t#S256": "a"})))),
            ("access_token_form", |c| drop(c.insert("authorization_details".into(), json!("x")))),
            ("access_token_time", |c| drop(c.insert("exp".into(), NOW.into()))),
            ("access_token_time", |c| drop(c.insert("iat".into(), (NOW + 61).into()))),
            ("access_token_time", |c| drop(c.insert("nbf".into(), (NOW + 61).into()))),
        ];
        for (code, change) in cases {
            assert_eq!(check(&token(&key, TYP, change)).unwrap_err().code(), code);
        }
        let other = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        assert_eq!(check(&token(&other, TYP, |_| {})).unwrap_err().code(), "access_token_signature");
        // An ID token of the same server is no access token.
        assert_eq!(check(&token(&key, "JWT", |_| {})).unwrap_err().code(), "access_token_form");
        let edwards = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
        assert_eq!(check(&token(&edwards, TYP, |_| {})).unwrap_err().code(), "access_token_algorithm");
        let none = verify(&good, &JwkSet::default(), &expect, &Limits::DEFAULT);
        assert_eq!(none.unwrap_err().code(), "access_token_key");
        assert_eq!(check("eyJhbGciOiJub25lIn0.e30.").unwrap_err().code(), "access_token_form");
    }
}
