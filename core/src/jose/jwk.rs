//! JSON Web Keys, public members only (RFC 7517; RFC 7518 section 6; RFC 8037 section 2), and their thumbprints
//! (RFC 7638).

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm, Signer, SoftwareKey};
use crate::secret::Secret;

/// A public key as JSON. Members that this crate does not use are dropped when read; private members are an error.
///
/// Reading checks names and types only: a set may hold keys that this crate cannot use, and [`Self::public_key`] says
/// so when such a key is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Jwk {
    /// Key type: `EC`, `OKP` or `RSA`.
    pub kty: String,
    /// Curve of `EC` and `OKP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// x coordinate of `EC`, or the key of `OKP`, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// y coordinate of `EC`, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Modulus of `RSA`, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Exponent of `RSA`, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The only algorithm that the key is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// What the key is for: `sig` or `enc`.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// Name of the key within its set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Certificates of the key, leaf first, each base64 (not base64url) DER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x5c: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Raw {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    use_: Option<String>,
    kid: Option<String>,
    x5c: Option<Vec<String>>,
    // RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1: a private or symmetric key has no business where a public one belongs.
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

impl TryFrom<Raw> for Jwk {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        let Raw { kty, crv, x, y, n, e, alg, use_, kid, x5c, d, p, q, dp, dq, qi, oth, k } = raw;
        if [d, p, q, dp, dq, qi, oth, k].iter().any(Option::is_some) {
            return Err("a JWK with private members");
        }
        Ok(Self { kty, crv, x, y, n, e, alg, use_, kid, x5c })
    }
}

/// A JWK Set (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl JwkSet {
    /// The key named `kid`; without `kid`, the only key of the set. `None` when there is none or more than one.
    pub fn find(&self, kid: Option<&str>) -> Option<&Jwk> {
        let mut found = self.keys.iter().filter(|jwk| kid.is_none() || jwk.kid.as_deref() == kid);
        match (found.next(), found.next()) {
            (Some(jwk), None) => Some(jwk),
            _ => None,
        }
    }
}

impl Jwk {
    /// The JWK of `key`, with the members of its thumbprint only (no `alg`, `use`, `kid`).
    pub fn from_key(key: &PublicKey) -> Self {
        let (kty, crv) = match key.algorithm() {
            SignatureAlgorithm::Es256 => ("EC", Some("P-256")),
            SignatureAlgorithm::Es384 => ("EC", Some("P-384")),
            SignatureAlgorithm::Es512 => ("EC", Some("P-521")),
            SignatureAlgorithm::EdDsa => ("OKP", Some("Ed25519")),
            SignatureAlgorithm::Rs256 => ("RSA", None),
        };
        let mut jwk = Self::empty(kty, crv);
        match (key.coordinates(), key.rsa_components()) {
            (Some((x, y)), _) => {
                jwk.x = Some(base64url::encode(x));
                jwk.y = Some(base64url::encode(y));
            }
            (None, Some((n, e))) => {
                jwk.n = Some(base64url::encode(n));
                jwk.e = Some(base64url::encode(e));
            }
            (None, None) => jwk.x = Some(base64url::encode(key.as_bytes())),
        }
        jwk
    }

    /// The P-256 key of two coordinates, for agreement.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Self {
        let mut jwk = Self::empty("EC", Some("P-256"));
        jwk.x = Some(base64url::encode(x));
        jwk.y = Some(base64url::encode(y));
        jwk
    }

    /// The X25519 key of 32 bytes (RFC 8037 section 2), for agreement.
    pub(super) fn x25519(public: &[u8]) -> Self {
        let mut jwk = Self::empty("OKP", Some("X25519"));
        jwk.x = Some(base64url::encode(public));
        jwk
    }

    fn empty(kty: &str, crv: Option<&str>) -> Self {
        Self {
            kty: kty.into(),
            crv: crv.map(Into::into),
            x: None,
            y: None,
            n: None,
            e: None,
            alg: None,
            use_: None,
            kid: None,
            x5c: None,
        }
    }

    /// Reads a JWK out of JSON that was parsed before.
    ///
    /// [`Error::Malformed`] `jwk_private` when it holds a private or symmetric key, `jwk` for any other fault.
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        if PRIVATE.iter().any(|name| value.get(name).is_some()) {
            return Err(Error::malformed("jwk_private", "the JWK holds a private key"));
        }
        Self::deserialize(value).map_err(|_| Error::malformed("jwk", "not a JWK"))
    }

    /// The JWK as a JSON value.
    pub fn to_value(&self) -> serde_json::Value {
        let members = [
            ("kty", Some(&self.kty)),
            ("crv", self.crv.as_ref()),
            ("x", self.x.as_ref()),
            ("y", self.y.as_ref()),
            ("n", self.n.as_ref()),
            ("e", self.e.as_ref()),
            ("alg", self.alg.as_ref()),
            ("use", self.use_.as_ref()),
            ("kid", self.kid.as_ref()),
        ];
        let mut map: serde_json::Map<_, _> = members
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.as_str().into())))
            .collect();
        if let Some(x5c) = &self.x5c {
            map.insert("x5c".into(), x5c.as_slice().into());
        }
        map.into()
    }

    /// The key itself.
    ///
    /// [`Error::Unsupported`] `jwk_unsupported` for a key type or curve that this crate does not carry,
    /// [`Error::Malformed`] `jwk` or `public_key` when members are missing, of the wrong length or no point of the curve,
    /// `jwk_alg` when `alg` names another algorithm, or `use` is not `sig`.
    pub fn public_key(&self) -> Result<PublicKey> {
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => PublicKey::from_sec1(SignatureAlgorithm::Es256, &self.ec_point(32)?),
            ("EC", Some("P-384")) => PublicKey::from_sec1(SignatureAlgorithm::Es384, &self.ec_point(48)?),
            ("EC", Some("P-521")) => PublicKey::from_sec1(SignatureAlgorithm::Es512, &self.ec_point(66)?),
            ("OKP", Some("Ed25519")) => PublicKey::from_ed25519(&member(self.x.as_ref())?),
            ("RSA", _) => PublicKey::from_rsa(&member(self.n.as_ref())?, &member(self.e.as_ref())?),
            _ => {
                return Err(Error::unsupported("jwk_unsupported", "this key type or curve is not supported"));
            }
        }?;
        let alg_fits = match self.alg.as_deref() {
            None => true,
            Some(alg) => SignatureAlgorithm::parse(alg).is_ok_and(|alg| alg == key.algorithm()),
        };
        if !alg_fits || self.use_.as_deref().is_some_and(|use_| use_ != "sig") {
            return Err(Error::malformed("jwk_alg", "the JWK is meant for another algorithm or use"));
        }
        Ok(key)
    }

    /// The uncompressed SEC 1 point of an `EC` key whose coordinates take `len` bytes each (RFC 7518 section 6.2.1.2:
    /// exactly so many).
    pub(crate) fn ec_point(&self, len: usize) -> Result<Vec<u8>> {
        let (x, y) = (member(self.x.as_ref())?, member(self.y.as_ref())?);
        if x.len() != len || y.len() != len {
            return Err(malformed());
        }
        let mut point = Vec::with_capacity(2 * len + 1);
        point.push(4);
        point.extend_from_slice(&x);
        point.extend_from_slice(&y);
        Ok(point)
    }

    /// The key of an `OKP` key of exactly `len` bytes (RFC 8037 section 2).
    pub(crate) fn okp_bytes(&self, len: usize) -> Result<Vec<u8>> {
        let key = member(self.x.as_ref())?;
        if key.len() == len { Ok(key) } else { Err(malformed()) }
    }

    /// The SHA-256 thumbprint (RFC 7638), base64url.
    ///
    /// A member that is missing counts as empty: check the key with [`Self::public_key`] first.
    pub fn thumbprint(&self) -> String {
        // RFC 7638 section 3.2: the required members in lexicographic order, no white space.
        let text = |member: &Option<String>| serde_json::Value::from(member.as_deref().unwrap_or_default());
        let (crv, x, y) = (text(&self.crv), text(&self.x), text(&self.y));
        let canonical = match self.kty.as_str() {
            "RSA" => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, text(&self.e), text(&self.n)),
            "OKP" => format!(r#"{{"crv":{crv},"kty":"OKP","x":{x}}}"#),
            kty => format!(r#"{{"crv":{crv},"kty":{},"x":{x},"y":{y}}}"#, serde_json::Value::from(kty)),
        };
        base64url::encode(&sha256(canonical.as_bytes()))
    }
}

/// The key of a JWK with its private member `d` (RFC 7518 section 6.2.2, RFC 8037 section 2): for key files, never for
/// what others send.
///
/// [`Error::Malformed`] `private_key` when `d` is missing, malformed or not that of the public members; errors of
/// [`Jwk::public_key`].
pub fn private_key(value: &serde_json::Value) -> Result<SoftwareKey> {
    let wrong =
        || Error::malformed("private_key", "the private member of the JWK is missing or does not fit");
    let mut public = value.as_object().ok_or_else(malformed)?.clone();
    let d = public.shift_remove("d").and_then(|d| d.as_str().map(|d| Secret::new(d.to_owned())));
    let d = Secret::new(base64url::decode(d.ok_or_else(wrong)?.expose()).map_err(|_| wrong())?);
    let public = Jwk::from_value(&public.into())?.public_key()?;
    let key = match public.algorithm() {
        SignatureAlgorithm::EdDsa => {
            let seed = d.expose().as_slice().try_into().map_err(|_| wrong())?;
            SoftwareKey::from_ed25519_seed(seed)?
        }
        algorithm => SoftwareKey::from_ecdsa_scalar(algorithm, d.expose())?,
    };
    if *key.public_key() == public { Ok(key) } else { Err(wrong()) }
}

fn member(value: Option<&String>) -> Result<Vec<u8>> {
    base64url::decode(value.ok_or_else(malformed)?).map_err(|_| malformed())
}

fn malformed() -> Error {
    Error::malformed("jwk", "a member of the JWK is missing or malformed")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key::{Signer, SoftwareKey};

    #[test]
    fn thumbprints_of_the_rfcs() {
        // RFC 7638 section 3.1.
        let rsa = Jwk::from_value(&json!({
            "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        }))
        .unwrap();
        assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(rsa.public_key().unwrap().algorithm(), SignatureAlgorithm::Rs256);
        // RFC 8037 appendix A.3.
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let ed = Jwk::from_value(&ed).unwrap();
        assert_eq!(ed.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(Jwk::from_key(&ed.public_key().unwrap()), ed);
    }

    #[test]
    fn round_trip() {
        for algorithm in [
            SignatureAlgorithm::Es256,
            SignatureAlgorithm::Es384,
            SignatureAlgorithm::Es512,
            SignatureAlgorithm::EdDsa,
        ] {
            let key = SoftwareKey::generate(algorithm).unwrap();
            let jwk = Jwk::from_key(key.public_key());
            let read = Jwk::from_value(&jwk.to_value()).unwrap();
            assert_eq!(read.to_value(), serde_json::to_value(&read).unwrap());
            assert_eq!(read.public_key().unwrap(), *key.public_key());
        }
    }

    #[test]
    fn refuses() {
        let code = |change: &[(&str, serde_json::Value)]| {
            let mut jwk = json!({"kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
            for (name, value) in change {
                jwk[*name] = value.clone();
            }
            Jwk::from_value(&jwk).and_then(|jwk| jwk.public_key()).err().map(|error| error.code().to_owned())
        };
        assert_eq!(code(&[]), None);
        assert_eq!(code(&[("alg", json!("ES256")), ("use", json!("sig")), ("x-other", json!(1))]), None);
        let cases = [
            ("d", json!("AQ"), "jwk_private"),
            ("k", json!(null), "jwk_private"),
            ("kty", json!(1), "jwk"),
            ("kty", json!("oct"), "jwk_unsupported"),
            ("crv", json!("secp256k1"), "jwk_unsupported"),
            ("crv", json!("P-384"), "jwk"),
            ("x", json!("f83O"), "jwk"),
            ("y", json!(null), "jwk"),
            ("y", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), "public_key"),
            ("alg", json!("ES384"), "jwk_alg"),
            ("alg", json!("ECDH-ES"), "jwk_alg"),
            ("use", json!("enc"), "jwk_alg"),
        ];
        for (name, value, expected) in cases {
            assert_eq!(code(&[(name, value)]).as_deref(), Some(expected), "{name}");
        }
        assert!(serde_json::from_value::<Jwk>(json!({"kty": "EC", "d": "AQ"})).is_err());
    }

    #[test]
    fn private_keys() {
        // RFC 8037 appendix A.1, RFC 7515 appendix A.3 and A.4.
        let keys = [
            json!({"kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            json!({"kty": "EC", "crv": "P-256", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            json!({"kty": "EC", "crv": "P-521",
                "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
                "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
                "d": "AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0d53vM9mE15j2C"}),
        ];
        for mut key in keys {
            let signer = private_key(&key).unwrap();
            signer.public_key().verify(b"m", &signer.sign(b"m").unwrap()).unwrap();
            assert_eq!(Jwk::from_key(signer.public_key()).x.unwrap(), key["x"].as_str().unwrap());
            let right = key["d"].clone();
            let other =
                right.as_str().unwrap().replacen('n', "o", 1).replacen('j', "k", 1).replacen("AY", "AZ", 1);
            for wrong in [json!(null), json!(1), json!(""), json!("AQ"), json!("*"), json!(other)] {
                key["d"] = wrong;
                assert_eq!(private_key(&key).err().unwrap().code(), "private_key", "{key}");
            }
            key.as_object_mut().unwrap().remove("d");
            assert_eq!(private_key(&key).err().unwrap().code(), "private_key");
        }
        assert_eq!(private_key(&json!({"kty": "RSA", "d": "AQ"})).err().unwrap().code(), "jwk");
        assert_eq!(private_key(&json!([])).err().unwrap().code(), "jwk");
    }

    #[test]
    fn sets() {
        let set: JwkSet = serde_json::from_value(json!({"keys": [
            {"kty": "EC", "kid": "a"}, {"kty": "oct-like", "kid": "b"}, {"kty": "EC", "kid": "b"}]}))
        .unwrap();
        assert!(set.find(Some("a")).is_some());
        assert!(set.find(Some("b")).is_none(), "ambiguous");
        assert!(set.find(None).is_none());
    }
}
