//! Disclosures and their digests (RFC 9901 sections 4.1.1 and 4.2).

use std::fmt;

use serde_json::Value;

use crate::encoding::{base64url, json};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Member that carries the digests of an object's hidden members.
pub(super) const SD: &str = "_sd";
/// Member that names the digest algorithm, at the top level only.
pub(in crate::format) const SD_ALG: &str = "_sd_alg";
/// The one member of the object that stands for a hidden array element.
pub(super) const ELEMENT: &str = "...";

/// Whether RFC 9901 keeps this member name for itself.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(name, SD | SD_ALG | ELEMENT)
}

/// How disclosures (and `sd_hash`) are hashed: the `_sd_alg` of a credential, by its IANA "Named Information Hash
/// Algorithm" name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DigestAlgorithm {
    /// `sha-256`, the default.
    #[default]
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl DigestAlgorithm {
    /// The name in `_sd_alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The algorithm of this name; any other is [`Error::Unsupported`] `sd_alg_unknown`.
    pub fn parse(name: &str) -> Result<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| {
                Error::unsupported("sd_alg_unknown", "the digest algorithm is not sha-256, -384 or -512")
            })
    }

    /// The algorithm of an SD-JWT payload (RFC 9901 section 4.1.1): `_sd_alg`, or SHA-256 when it is absent.
    ///
    /// [`Error::Unsupported`] `sd_alg_unknown` when it is unknown or not a string.
    pub fn of_payload(payload: &serde_json::Map<String, Value>) -> Result<Self> {
        match payload.get(SD_ALG) {
            None => Ok(Self::default()),
            Some(name) => Self::parse(name.as_str().unwrap_or_default()),
        }
    }

    /// The digest of `text`, base64url.
    pub fn digest(self, text: &str) -> String {
        base64url::encode(aws_lc_rs::digest::digest(self.implementation(), text.as_bytes()).as_ref())
    }

    /// The digest of `parts`, one after the other.
    pub(super) fn digest_of<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> String {
        let mut context = aws_lc_rs::digest::Context::new(self.implementation());
        parts.into_iter().for_each(|part| context.update(part.as_bytes()));
        base64url::encode(context.finish().as_ref())
    }

    fn implementation(self) -> &'static aws_lc_rs::digest::Algorithm {
        use aws_lc_rs::digest::{SHA256, SHA384, SHA512};
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

/// One claim with the salt that hides it, as its issuer encoded it.
///
/// `Debug` shows the digest only.
#[derive(Clone, PartialEq)]
pub struct Disclosure {
    /// The encoded disclosure, then its digest: one allocation, as there are many of these.
    text: String,
    encoded_len: usize,
    name: Option<String>,
    value: Value,
}

impl Disclosure {
    /// Reads one disclosure (RFC 9901 section 4.2): a JSON array of salt, name and value for a member, or of salt and
    /// value for an array element.
    ///
    /// [`Error::Malformed`] `sd_jwt_disclosure` for any other shape, `sd_jwt_reserved_name` when it would create a
    /// member that RFC 9901 reserves, or the errors of [`base64url::decode`] and [`json::parse`].
    pub fn parse(encoded: &str, algorithm: DigestAlgorithm, limits: &Limits) -> Result<Self> {
        let Value::Array(parts) = json::parse(&base64url::decode(encoded)?, limits)? else {
            return Err(malformed());
        };
        let count = parts.len();
        let mut parts = parts.into_iter();
        let (Some(Value::String(_)), Some(second)) = (parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let (name, value) = match (count, second, parts.next()) {
            (2, value, None) => (None, value),
            (3, Value::String(name), Some(value)) => (Some(name), value),
            _ => return Err(malformed()),
        };
        if name.as_deref().is_some_and(is_reserved) {
            return Err(reserved());
        }
        Ok(Self::new(encoded, name, value, algorithm))
    }

    /// The disclosure of a member (`name` given) or of an array element.
    pub(super) fn create(salt: &str, name: Option<&str>, value: Value, algorithm: DigestAlgorithm) -> Self {
        let array = match name {
            Some(name) => Value::Array(vec![salt.into(), name.into(), value]),
            None => Value::Array(vec![salt.into(), value]),
        };
        let encoded = base64url::encode(array.to_string().as_bytes());
        let value = match array {
            Value::Array(mut parts) => parts.pop().unwrap_or_default(),
            _ => Value::Null,
        };
        Self::new(&encoded, name.map(str::to_owned), value, algorithm)
    }

    fn new(encoded: &str, name: Option<String>, value: Value, algorithm: DigestAlgorithm) -> Self {
        let digest = algorithm.digest(encoded);
        let mut text = String::with_capacity(encoded.len().saturating_add(digest.len()));
        text.push_str(encoded);
        text.push_str(&digest);
        Self { text, encoded_len: encoded.len(), name, value }
    }

    /// The text that travels and that is hashed.
    pub fn encoded(&self) -> &str {
        self.text.get(..self.encoded_len).unwrap_or_default()
    }

    /// Base64url digest of [`Self::encoded`].
    pub fn digest(&self) -> &str {
        self.text.get(self.encoded_len..).unwrap_or_default()
    }

    /// The member's name; `None` for an array element.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The claim's value; it may hold further digests (recursive disclosure).
    pub fn value(&self) -> &Value {
        &self.value
    }
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Disclosure").field(&self.digest()).finish()
    }
}

fn malformed() -> Error {
    Error::malformed(
        "sd_jwt_disclosure",
        "a disclosure is not an array of salt, name and value, or of salt and value",
    )
}

/// The error for a member that RFC 9901 reserves in a place where it may not stand.
pub(super) fn reserved() -> Error {
    Error::malformed("sd_jwt_reserved_name", "_sd, _sd_alg or ... stands where it may not")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(encoded: &str) -> Result<Disclosure> {
        Disclosure::parse(encoded, DigestAlgorithm::Sha256, &Limits::DEFAULT)
    }

    fn of(json: &str) -> Result<Disclosure> {
        parse(&base64url::encode(json.as_bytes()))
    }

    /// RFC 9901 section 4.2.1 and 4.2.3: four encodings of one claim, each with its own digest.
    #[test]
    fn known_answers_for_members() {
        let first = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
        assert_eq!(parse(first).unwrap().digest(), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
        for encoded in [
            first,
            "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNXHUwMGY2Yml1cyJd",
            "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTcO2Yml1cyJd",
            "WwoiXzI2YmM0TFQtYWM2cTJLSTZjQlc1ZXMiLAoiZmFtaWx5X25hbWUiLAoiTcO2Yml1cyIKXQ",
        ] {
            let disclosure = parse(encoded).unwrap();
            assert_eq!(
                (disclosure.name(), disclosure.value()),
                (Some("family_name"), &Value::from("Möbius"))
            );
        }
    }

    /// RFC 9901 section 4.2.2.
    #[test]
    fn known_answer_for_an_element() {
        let disclosure = parse("WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0").unwrap();
        assert_eq!((disclosure.name(), disclosure.value()), (None, &Value::from("FR")));
        assert_eq!(disclosure.digest(), "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs");
    }

    #[test]
    fn created_as_parsed() {
        for name in [Some("family_name"), None] {
            let made =
                Disclosure::create("c2FsdA", name, serde_json::json!({"a": [1]}), DigestAlgorithm::Sha384);
            assert_eq!(
                Disclosure::parse(made.encoded(), DigestAlgorithm::Sha384, &Limits::DEFAULT).unwrap(),
                made
            );
        }
    }

    #[test]
    fn refuses() {
        for bad in [
            r#"["s"]"#,
            "[]",
            "{}",
            r#""s""#,
            r#"["s","n",1,2]"#,
            r#"[1,"n",1]"#,
            r#"["s",5,1]"#,
            "[5,1]",
            "null",
        ] {
            assert_eq!(of(bad).unwrap_err().code(), "sd_jwt_disclosure", "{bad}");
        }
        for name in ["_sd", "...", "_sd_alg"] {
            assert_eq!(of(&format!(r#"["s","{name}",1]"#)).unwrap_err().code(), "sd_jwt_reserved_name");
        }
        assert_eq!(of(r#"["s","n",{"a":1,"a":2}]"#).unwrap_err().code(), "json_duplicate_member");
        assert_eq!(parse("WyJ*").unwrap_err().code(), "base64url");
        assert_eq!(of("[\"s\",\"n\"").unwrap_err().code(), "json_syntax");
        assert_eq!(
            of(&format!("[\"s\",{}]", "[".repeat(20) + &"]".repeat(20))).unwrap_err().code(),
            "json_too_deep"
        );
    }

    #[test]
    fn algorithms() {
        let sizes =
            [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512].map(|algorithm| {
                assert_eq!(DigestAlgorithm::parse(algorithm.as_str()).unwrap(), algorithm);
                base64url::decode(&algorithm.digest("x")).unwrap().len()
            });
        assert_eq!(sizes, [32, 48, 64]);
        for unknown in ["sha-1", "SHA-256", "md5", "", "sha3-256"] {
            assert_eq!(DigestAlgorithm::parse(unknown).unwrap_err().code(), "sd_alg_unknown");
        }
    }

    #[test]
    fn debug_hides_the_claim() {
        let shown = format!("{:?}", of(r#"["salt","given_name","Erika"]"#).unwrap());
        assert!(!shown.contains("Erika") && !shown.contains("given_name"), "{shown}");
    }
}
