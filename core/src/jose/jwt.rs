//! JSON Web Tokens (RFC 7519): a JWS whose payload is one JSON object.

use serde_json::{Map, Value};

use super::jws::{self, Header, UnverifiedJws};
use crate::clock::UnixTime;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::key::{PublicKey, Signer};
use crate::limits::Limits;

/// Claims of a token.
pub type Claims = Map<String, Value>;

/// A JWT whose signature nobody checked.
#[derive(Debug, Clone)]
pub struct UnverifiedJwt {
    jws: UnverifiedJws,
    claims: ClaimsBox,
}

#[derive(Clone)]
struct ClaimsBox(Claims);

impl std::fmt::Debug for ClaimsBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims(…)") // may be health data
    }
}

impl UnverifiedJwt {
    /// Reads a compact JWT: errors of [`UnverifiedJws::parse`] and [`json::parse`], and [`Error::Malformed`]
    /// `jwt_claims` when the payload is not an object.
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        let jws = UnverifiedJws::parse(compact, limits)?;
        match json::parse(jws.payload(), limits)? {
            Value::Object(claims) => Ok(Self { jws, claims: ClaimsBox(claims) }),
            _ => Err(Error::malformed("jwt_claims", "the payload of a JWT is a JSON object")),
        }
    }

    /// The header, as claimed.
    pub fn header(&self) -> &Header {
        self.jws.header()
    }

    /// The claims, as claimed.
    pub fn claims(&self) -> &Claims {
        &self.claims.0
    }

    /// The serialization it was read from.
    pub fn as_str(&self) -> &str {
        self.jws.as_str()
    }

    /// Checks the signature with `key`; errors of [`UnverifiedJws::verify`]. Times are not checked.
    pub fn verify(self, key: &PublicKey) -> Result<VerifiedJwt> {
        self.check(key)?;
        Ok(VerifiedJwt { header: self.jws.into_header(), claims: self.claims })
    }

    /// The check of [`Self::verify`], for callers that keep the unverified value.
    pub fn check(&self, key: &PublicKey) -> Result<()> {
        self.jws.check(key)
    }
}

/// A JWT whose signature holds under the key that was given; its times and audience are still to be judged.
#[derive(Debug, Clone)]
pub struct VerifiedJwt {
    header: Header,
    claims: ClaimsBox,
}

impl VerifiedJwt {
    /// The signed header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The signed claims.
    pub fn claims(&self) -> &Claims {
        &self.claims.0
    }

    /// The signed claims, owned.
    pub fn into_claims(self) -> Claims {
        self.claims.0
    }
}

/// Signs `claims` with the header `alg`, `typ` and `header_extra`. Errors of [`Signer::sign`].
pub fn sign(
    typ: &str,
    header_extra: Map<String, Value>,
    claims: &Claims,
    signer: &dyn Signer,
) -> Result<String> {
    let payload = serde_json::to_vec(claims)
        .map_err(|_| Error::misuse("jwt_claims_json", "the claims cannot be written as JSON"))?;
    let mut header = Map::with_capacity(header_extra.len() + 2);
    header.insert("typ".into(), typ.into());
    header.extend(header_extra);
    jws::sign(header, &payload, signer)
}

/// The text of claim `name`, `None` when absent; [`Error::Malformed`] `jwt_claim` when it is not text.
pub fn text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(name)),
    }
}

/// The text of claim `name`; [`Error::Malformed`] `jwt_claim_missing` or `jwt_claim`.
pub fn required_text<'a>(claims: &'a Claims, name: &'static str) -> Result<&'a str> {
    text(claims, name)?.ok_or_else(|| missing(name))
}

/// The audiences of a token: `aud` as one string or as an array of strings (RFC 7519 section 4.1.3); whatever is not text
/// is no audience.
pub fn audiences(claims: &Claims) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The NumericDate (RFC 7519 section 2) of claim `name`, `None` when absent; a fraction of a second is cut off.
///
/// [`Error::Malformed`] `jwt_claim` when it is no number within ±2^53.
pub fn time(claims: &Claims, name: &'static str) -> Result<Option<UnixTime>> {
    const MAX: i64 = 1 << 53;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let secs = match (value.as_i64(), value.as_f64()) {
        (Some(secs), _) => Some(secs),
        (None, Some(float)) if value.is_f64() => float_secs(float),
        _ => None,
    };
    match secs {
        Some(secs) if (-MAX..=MAX).contains(&secs) => Ok(Some(UnixTime::from_secs(secs))),
        _ => Err(wrong_type(name)),
    }
}

fn float_secs(float: f64) -> Option<i64> {
    // Text keeps `as` out: an f64 that was floored prints as an integer.
    (float.abs() < 9.0e15).then(|| format!("{:.0}", float.floor()).parse().ok()).flatten()
}

/// The NumericDate of claim `name`; [`Error::Malformed`] `jwt_claim_missing` or `jwt_claim`.
pub fn required_time(claims: &Claims, name: &'static str) -> Result<UnixTime> {
    time(claims, name)?.ok_or_else(|| missing(name))
}

fn missing(name: &'static str) -> Error {
    Error::malformed("jwt_claim_missing", format!("the claim {name} is missing"))
}

fn wrong_type(name: &'static str) -> Error {
    Error::malformed("jwt_claim", format!("the claim {name} is of the wrong type"))
}

/// Checks `exp` and `nbf` where present (RFC 7519 sections 4.1.4, 4.1.5): valid from `nbf - leeway` to before
/// `exp + leeway`, in seconds.
///
/// [`Error::NotCurrent`] `token_expired` or `token_not_yet_valid`; [`Error::Malformed`] `jwt_claim`.
pub fn check_times(claims: &Claims, now: UnixTime, leeway: i64) -> Result<()> {
    if let Some(exp) = time(claims, "exp")? {
        let limit = exp.plus(leeway);
        if now >= limit {
            return Err(Error::not_current("token_expired", "the token has expired", now, limit));
        }
    }
    if let Some(nbf) = time(claims, "nbf")? {
        let limit = nbf.plus(-leeway);
        if now < limit {
            return Err(Error::not_current("token_not_yet_valid", "the token is not valid yet", now, limit));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::encoding::base64url;
    use crate::key::{SignatureAlgorithm, SoftwareKey};

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn round_trip() {
        let key = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
        let claims = claims(json!({"iss": "https://a.example", "n": 1}));
        let token = sign("JWT", Map::new(), &claims, &key).unwrap();
        let token = UnverifiedJwt::parse(&token, &Limits::DEFAULT).unwrap();
        assert!(!format!("{token:?}").contains("a.example"));
        assert!(token.header().has_typ("jwt"));
        assert_eq!(*token.verify(key.public_key()).unwrap().claims(), claims);
    }

    #[test]
    fn refuses_payloads() {
        let parse = |payload: &[u8]| {
            let token = format!("eyJhbGciOiJFUzI1NiJ9.{}.AA", base64url::encode(payload));
            UnverifiedJwt::parse(&token, &Limits::DEFAULT).unwrap_err().code()
        };
        assert_eq!(parse(b"[]"), "jwt_claims");
        assert_eq!(parse(b"{\"a\":1,\"a\":2}"), "json_duplicate_member");
        assert_eq!(parse(b"\xff"), "json_syntax");
        let deep = ["{\"a\":".repeat(17), "1".into(), "}".repeat(17)].concat();
        assert_eq!(parse(deep.as_bytes()), "json_too_deep");
    }

    #[test]
    fn claims_by_type() {
        let c =
            claims(json!({"s": "x", "i": 1.9, "neg": -1.5, "big": 1e300, "u": u64::MAX, "t": "1", "z": 0}));
        assert_eq!(required_text(&c, "s").unwrap(), "x");
        assert_eq!(text(&c, "z").unwrap_err().code(), "jwt_claim");
        assert_eq!(required_text(&c, "none").unwrap_err().code(), "jwt_claim_missing");
        assert_eq!(required_time(&c, "i").unwrap().as_secs(), 1);
        assert_eq!(required_time(&c, "neg").unwrap().as_secs(), -2);
        assert_eq!(required_time(&c, "none").unwrap_err().code(), "jwt_claim_missing");
        for bad in ["big", "u", "t"] {
            assert_eq!(time(&c, bad).unwrap_err().code(), "jwt_claim", "{bad}");
        }
    }

    #[test]
    fn times() {
        let c = claims(json!({"nbf": 100, "exp": 200}));
        let code = |now, leeway| check_times(&c, UnixTime::from_secs(now), leeway).err().map(|e| e.code());
        assert_eq!(code(99, 0), Some("token_not_yet_valid"));
        assert_eq!((code(100, 0), code(199, 0), code(99, 1), code(200, 1)), (None, None, None, None));
        assert_eq!((code(200, 0), code(201, 1)), (Some("token_expired"), Some("token_expired")));
    }
}
