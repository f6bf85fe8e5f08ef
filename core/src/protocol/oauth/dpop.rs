//! DPoP proofs (RFC 9449): a key that the client holds signs each request, so that a stolen token is of no use.
//!
//! Not checked here: whether the nonce is the server's and whether the `jti` was seen before.

use serde_json::{Map, Value};
use url::Url;

use crate::clock::UnixTime;
use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::{jws, jwt, jwt::UnverifiedJwt};
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::limits::Limits;

/// The `typ` of a proof.
pub const TYP: &str = "dpop+jwt";
/// The token type of a bound access token, which is also the authentication scheme.
pub const TOKEN_TYPE: &str = "DPoP";
/// Longest `jti` and `nonce` that are looked at, in bytes.
const MAX_TEXT: usize = 512;

/// What a server expects of a proof.
#[derive(Debug, Clone, Copy)]
pub struct DpopExpectation<'a> {
    /// Method of the request.
    pub htm: &'a str,
    /// Address of the endpoint, without query and fragment.
    pub htu: &'a Url,
    /// The access token that comes with the request, if one does.
    pub access_token: Option<&'a str>,
    /// Algorithms that the metadata announces.
    pub algorithms: &'a [SignatureAlgorithm],
    /// Oldest `iat`, in seconds before `now`.
    pub max_age: i64,
    /// How far ahead of `now` an `iat` may be, in seconds.
    pub skew: i64,
    /// The time of the check.
    pub now: UnixTime,
}

/// A proof whose signature, type, request and time hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDpop {
    jkt: String,
    jti: String,
    nonce: Option<String>,
}

impl VerifiedDpop {
    /// Thumbprint of the key that signed (RFC 7638): what tokens are bound to.
    pub fn jkt(&self) -> &str {
        &self.jkt
    }

    /// The identifier of the proof: accepted once.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// The nonce, not yet compared with anything.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }
}

/// Verifies a proof in the order of section 4.3.
///
/// # Errors
/// `dpop_parse` (no JWT, several proofs, private key in it), `dpop_typ`, `dpop_alg`, `dpop_signature`, `dpop_claims`,
/// `dpop_htm`, `dpop_htu`, `dpop_iat`, `dpop_ath`.
pub fn verify(compact: &str, expect: &DpopExpectation<'_>, limits: &Limits) -> Result<VerifiedDpop> {
    let jwt = UnverifiedJwt::parse(compact, limits).map_err(|error| match error.code() {
        "alg_none" | "alg_unsupported" => Error::untrusted("dpop_alg", "alg is none or not announced"),
        _ => Error::malformed("dpop_parse", format!("not one well-formed DPoP proof ({})", error.code())),
    })?;
    let header = jwt.header();
    if header.typ.as_deref() != Some(TYP) {
        return Err(Error::malformed("dpop_typ", "typ is not dpop+jwt"));
    }
    if !expect.algorithms.contains(&header.alg) {
        return Err(Error::untrusted("dpop_alg", "alg is none or not announced"));
    }
    let jwk =
        header.jwk.clone().ok_or_else(|| Error::malformed("dpop_parse", "jwk is missing in the header"))?;
    let wrong = |_| Error::untrusted("dpop_signature", "the signature does not match the key in the header");
    let verified = jwt.verify(&jwk.public_key().map_err(wrong)?).map_err(wrong)?;
    let claims = verified.claims();
    let text = |name| required(claims, name);
    let jti = text("jti")?.to_owned();
    if text("htm")? != expect.htm {
        return Err(Error::untrusted("dpop_htm", "htm is another method"));
    }
    if bare(text("htu")?).as_ref() != Some(expect.htu) {
        return Err(Error::untrusted("dpop_htu", "htu is another address"));
    }
    check_iat(claims, expect)?;
    if let Some(token) = expect.access_token
        && claims.get("ath").and_then(Value::as_str) != Some(ath(token).as_str())
    {
        return Err(Error::untrusted("dpop_ath", "ath is missing or of another access token"));
    }
    let nonce = match claims.get("nonce") {
        None => None,
        Some(Value::String(nonce)) if nonce.len() <= MAX_TEXT => Some(nonce.clone()),
        Some(_) => return Err(Error::malformed("dpop_claims", "nonce is no string or too long")),
    };
    Ok(VerifiedDpop { jkt: jwk.thumbprint(), jti, nonce })
}

fn required<'a>(claims: &'a jwt::Claims, name: &str) -> Result<&'a str> {
    let text = claims.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty() && text.len() <= MAX_TEXT)
        .ok_or_else(|| Error::malformed("dpop_claims", format!("{name} is missing, no string or too long")))
}

/// A URL without query and fragment (section 4.3, step 9).
fn bare(url: &str) -> Option<Url> {
    let mut url = Url::parse(url).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

fn check_iat(claims: &jwt::Claims, expect: &DpopExpectation<'_>) -> Result<()> {
    let bad = |_| Error::malformed("dpop_claims", "iat is missing or no number");
    let iat = jwt::required_time(claims, "iat").map_err(bad)?;
    let (oldest, newest) = (expect.now.plus(-expect.max_age), expect.now.plus(expect.skew));
    let limit = if iat < oldest { oldest } else { newest };
    if iat < oldest || iat > newest {
        let detail = "the DPoP proof is too old or from the future";
        return Err(Error::not_current("dpop_iat", detail, expect.now, limit));
    }
    Ok(())
}

/// The hash that binds a proof to an access token (section 4.2).
pub fn ath(access_token: &str) -> String {
    base64url::encode(&sha256(access_token.as_bytes()))
}

/// What the client puts into a proof.
#[derive(Debug, Clone, Copy)]
pub struct DpopInput<'a> {
    /// The key.
    pub key: &'a PublicKey,
    /// Identifier, never used before.
    pub jti: &'a str,
    /// Method of the request.
    pub htm: &'a str,
    /// Address of the request; query and fragment are left out.
    pub htu: &'a Url,
    /// The nonce that the server gave last.
    pub nonce: Option<&'a str>,
    /// The access token that goes with the request.
    pub access_token: Option<&'a str>,
    /// The time.
    pub now: UnixTime,
}

/// The signing input of a proof; sign it and put both together with [`jws::assemble`].
///
/// # Errors
/// None in practice: the header always names its algorithm.
pub fn signing_input(input: &DpopInput<'_>) -> Result<String> {
    let mut header = Map::new();
    header.insert("typ".into(), TYP.into());
    header.insert("alg".into(), input.key.algorithm().as_str().into());
    header.insert("jwk".into(), Jwk::from_key(input.key).to_value());
    let htu = bare(input.htu.as_str()).unwrap_or_else(|| input.htu.clone());
    let mut claims = Map::new();
    claims.insert("jti".into(), input.jti.into());
    claims.insert("htm".into(), input.htm.into());
    claims.insert("htu".into(), htu.as_str().into());
    claims.insert("iat".into(), input.now.as_secs().into());
    if let Some(token) = input.access_token {
        claims.insert("ath".into(), ath(token).into());
    }
    if let Some(nonce) = input.nonce {
        claims.insert("nonce".into(), nonce.into());
    }
    jws::signing_input(&header, Value::Object(claims).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Signer, SoftwareKey};

    const NOW: i64 = 1_796_000_000;

    fn expectation(htu: &Url) -> DpopExpectation<'_> {
        DpopExpectation {
            htm: "POST",
            htu,
            access_token: Some("token"),
            algorithms: &[SignatureAlgorithm::Es256],
            max_age: 300,
            skew: 60,
            now: UnixTime::from_secs(NOW),
        }
    }

    fn proof(
        key: &SoftwareKey,
        change: impl FnOnce(&mut Map<String, Value>, &mut Map<String, Value>),
    ) -> String {
        let input = DpopInput {
            key: key.public_key(),
            jti: "a",
            htm: "POST",
            htu: &Url::parse("https://hospital.example/oid4vci/credential?x=1#y").unwrap(),
            nonce: Some("n"),
            access_token: Some("token"),
            now: UnixTime::from_secs(NOW),
        };
        let text = signing_input(&input).unwrap();
        let mut parts = text.split('.').map(|part| {
            let value: Value = serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap();
            value.as_object().unwrap().clone()
        });
        let (mut header, mut claims) = (parts.next().unwrap(), parts.next().unwrap());
        change(&mut header, &mut claims);
        let input = jws::signing_input(&header, Value::Object(claims).to_string().as_bytes()).unwrap();
        let signature = key.sign(input.as_bytes()).unwrap();
        jws::assemble(input, &signature)
    }

    #[test]
    fn proofs_and_what_is_wrong_with_them() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let htu = Url::parse("https://hospital.example/oid4vci/credential").unwrap();
        let check = |compact: &str| verify(compact, &expectation(&htu), &Limits::DEFAULT);
        let good = check(&proof(&key, |_, _| {})).unwrap();
        assert_eq!(good.jkt(), Jwk::from_key(key.public_key()).thumbprint());
        assert_eq!((good.jti(), good.nonce()), ("a", Some("n")));
        // Section 4.3: scheme and host in capitals and the default port are the same address.
        check(&proof(&key, |_, c| {
            c.insert("htu".into(), "HTTPS://HOSPITAL.example:443/oid4vci/credential".into());
        }))
        .unwrap();
        type Change = fn(&mut Map<String, Value>, &mut Map<String, Value>);
        let cases: [(&str, Change); 14] = [
            ("dpop_typ", |h, _| drop(h.insert("typ".into(), "jwt".into()))),
            ("dpop_parse", |h, _| drop(h.remove("jwk"))),
            ("dpop_parse", |h, _| h.get_mut("jwk").unwrap()["d"] = "AA".into()),
            ("dpop_claims", |_, c| drop(c.remove("jti"))),
            ("dpop_claims", |_, c| drop(c.insert("jti".into(), "x".repeat(600).into()))),
            ("dpop_claims", |_, c| drop(c.insert("jti".into(), 1.into()))),
            ("dpop_claims", |_, c| drop(c.remove("iat"))),
            ("dpop_claims", |_, c| drop(c.insert("nonce".into(), 1.into()))),
            ("dpop_iat", |_, c| drop(c.insert("iat".into(), (NOW - 301).into()))),
            ("dpop_iat", |_, c| drop(c.insert("iat".into(), (NOW + 61).into()))),
            ("dpop_htm", |_, c| drop(c.insert("htm".into(), "GET".into()))),
            ("dpop_htu", |_, c| {
                drop(c.insert("htu".into(), "https://hospital.example/oid4vci/token".into()))
            }),
            ("dpop_ath", |_, c| drop(c.remove("ath"))),
            ("dpop_ath", |_, c| drop(c.insert("ath".into(), ath("other").into()))),
        ];
        for (code, change) in cases {
            assert_eq!(check(&proof(&key, change)).unwrap_err().code(), code);
        }
        let other = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let swapped = proof(&key, |h, _| {
            h.insert("jwk".into(), Jwk::from_key(other.public_key()).to_value());
        });
        assert_eq!(check(&swapped).unwrap_err().code(), "dpop_signature");
        let two = format!("{},{}", proof(&key, |_, _| {}), proof(&key, |_, _| {}));
        assert_eq!(check(&two).unwrap_err().code(), "dpop_parse");
        let none = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.e30.";
        assert_eq!(check(none).unwrap_err().code(), "dpop_alg");
        let edwards = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
        let unannounced = proof(&edwards, |_, _| {});
        assert_eq!(check(&unannounced).unwrap_err().code(), "dpop_alg");
    }

    #[test]
    fn the_hash_of_the_rfc() {
        // RFC 9449 section 7.1, the access token of figure 13.
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        assert_eq!(ath(token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    }
}
