//! JWT VC Issuer Metadata: how an issuer publishes its keys under `/.well-known/jwt-vc-issuer`
//! (draft-ietf-oauth-sd-jwt-vc, "JWT VC Issuer Metadata").

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::encoding::json;
use crate::error::{Error, Result};
use crate::jose::jwk::{Jwk, JwkSet};
use crate::limits::Limits;

/// The string that goes between host and path of `iss`.
pub const WELL_KNOWN: &str = "/.well-known/jwt-vc-issuer";

/// The document at [`document_url`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JwtVcIssuerMetadata {
    issuer: String,
    #[serde(flatten)]
    keys: IssuerKeys,
}

/// Where the keys are: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum IssuerKeys {
    /// `jwks`: in the document itself.
    #[serde(rename = "jwks")]
    Inline(JwkSet),
    /// `jwks_uri`: in a JWK Set document at this https URL, to be read with [`parse_jwk_set`].
    #[serde(rename = "jwks_uri")]
    Uri(Url),
}

#[derive(Deserialize)]
struct Raw {
    issuer: String,
    jwks: Option<JwkSet>,
    jwks_uri: Option<Url>,
}

impl JwtVcIssuerMetadata {
    /// The document of an issuer with these keys; each should have a `kid`.
    pub fn new(issuer: &str, keys: Vec<Jwk>) -> Self {
        Self { issuer: issuer.to_owned(), keys: IssuerKeys::Inline(JwkSet { keys }) }
    }

    /// Reads the document that was fetched for a credential of `iss`.
    ///
    /// [`Error::Untrusted`] `jwt_vc_issuer_mismatch` when it names another issuer; [`Error::Malformed`]
    /// `jwt_vc_issuer` when it has not exactly one of `jwks` and `jwks_uri`, `issuer_url` when `jwks_uri` is not https;
    /// errors of [`json::parse_as`].
    pub fn parse(document: &[u8], iss: &str, limits: &Limits) -> Result<Self> {
        let raw: Raw = json::parse_as(document, limits)?;
        if raw.issuer != iss {
            return Err(Error::untrusted("jwt_vc_issuer_mismatch", "the metadata is that of another issuer"));
        }
        let keys = match (raw.jwks, raw.jwks_uri) {
            (Some(set), None) => IssuerKeys::Inline(set),
            (None, Some(url)) if is_secure(&url) => IssuerKeys::Uri(url),
            (None, Some(_)) => return Err(not_an_issuer_url()),
            _ => {
                return Err(Error::malformed(
                    "jwt_vc_issuer",
                    "exactly one of jwks and jwks_uri must be there",
                ));
            }
        };
        Ok(Self { issuer: raw.issuer, keys })
    }

    /// `issuer`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where the keys are.
    pub const fn keys(&self) -> &IssuerKeys {
        &self.keys
    }
}

/// Reads the document at `jwks_uri` (RFC 7517 section 5); errors of [`json::parse_as`].
pub fn parse_jwk_set(document: &[u8], limits: &Limits) -> Result<JwkSet> {
    json::parse_as(document, limits)
}

/// Where the metadata of `iss` is published: [`WELL_KNOWN`] between host and path, a final `/` of the path removed.
///
/// [`Error::Malformed`] `issuer_url` unless `iss` is an https URL without user, query and fragment. Plain http is taken
/// for `localhost` and loopback addresses only, for demonstrations; whether such an address is fetched at all is up to
/// the one who fetches.
pub fn document_url(iss: &str) -> Result<Url> {
    let mut url = Url::parse(iss).map_err(|_| not_an_issuer_url())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !plain || url.password().is_some() || !is_secure(&url) {
        return Err(not_an_issuer_url());
    }
    let path = format!("{WELL_KNOWN}{}", url.path().strip_suffix('/').unwrap_or(url.path()));
    url.set_path(&path);
    Ok(url)
}

fn is_secure(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(host))) => host == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}

fn not_an_issuer_url() -> Error {
    Error::malformed("issuer_url", "not an https URL without query and fragment")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn urls() {
        for (iss, url) in [
            ("https://example.com", "https://example.com/.well-known/jwt-vc-issuer"),
            ("https://example.com/", "https://example.com/.well-known/jwt-vc-issuer"),
            ("https://example.com/tenant/1234", "https://example.com/.well-known/jwt-vc-issuer/tenant/1234"),
            ("https://example.com/tenant/1234/", "https://example.com/.well-known/jwt-vc-issuer/tenant/1234"),
            ("https://example.com:8443/a", "https://example.com:8443/.well-known/jwt-vc-issuer/a"),
            ("http://localhost:8801", "http://localhost:8801/.well-known/jwt-vc-issuer"),
            ("http://127.0.0.1:8801", "http://127.0.0.1:8801/.well-known/jwt-vc-issuer"),
        ] {
            assert_eq!(document_url(iss).unwrap().as_str(), url);
        }
        for bad in [
            "http://example.com",
            "http://localhost.evil.example",
            "https://example.com?x=1",
            "https://example.com#x",
            "https://user@example.com",
            "https://:secret@example.com",
            "did:web:example.com",
            "example.com",
            "",
        ] {
            assert_eq!(document_url(bad).unwrap_err().code(), "issuer_url", "{bad}");
        }
    }

    fn parse(document: Value) -> Result<JwtVcIssuerMetadata> {
        JwtVcIssuerMetadata::parse(document.to_string().as_bytes(), "https://example.com", &Limits::DEFAULT)
    }

    /// The examples of the draft.
    #[test]
    fn documents() {
        let jwks = json!({"keys": [
            {"kid": "doc-signer-05-25-2022", "kty": "EC", "crv": "P-256",
             "x": "b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ", "y": "Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8"},
            {"kid": "doc-signer-06-05-2025", "kty": "EC", "crv": "P-256",
             "x": "DfjUx4WHBds61vGbqUQhsy3FGX13fAS13QWh2EHIkX8", "y": "NfqJt9Kp0EA93xq9ysO80DRZ_hCGlISz-pYLgv4RFvg"}
        ]});
        let inline = parse(json!({"issuer": "https://example.com", "jwks": jwks, "other": 1})).unwrap();
        let IssuerKeys::Inline(set) = inline.keys() else { panic!("not inline") };
        assert!(set.find(Some("doc-signer-05-25-2022")).unwrap().public_key().is_ok());
        let again = parse(serde_json::to_value(&inline).unwrap()).unwrap();
        assert_eq!(again, inline);
        let uri = "https://jwt-vc-issuer.example.com/my_public_keys.jwks";
        let by_uri = parse(json!({"issuer": "https://example.com", "jwks_uri": uri})).unwrap();
        assert_eq!(by_uri.keys(), &IssuerKeys::Uri(Url::parse(uri).unwrap()));
        let set = parse_jwk_set(jwks.to_string().as_bytes(), &Limits::DEFAULT).unwrap();
        assert_eq!(set.keys.len(), 2);
    }

    #[test]
    fn refuses() {
        for (document, code) in [
            (json!({"issuer": "https://example.com/", "jwks": {"keys": []}}), "jwt_vc_issuer_mismatch"),
            (json!({"issuer": "https://example.com"}), "jwt_vc_issuer"),
            (
                json!({"issuer": "https://example.com", "jwks": {"keys": []}, "jwks_uri": "https://a.example"}),
                "jwt_vc_issuer",
            ),
            (json!({"issuer": "https://example.com", "jwks_uri": "http://a.example"}), "issuer_url"),
            (json!({"issuer": "https://example.com", "jwks_uri": "file:///etc/passwd"}), "issuer_url"),
            (json!({"issuer": "https://example.com", "jwks": []}), "json_shape"),
            (json!({"jwks": {"keys": []}}), "json_shape"),
            (json!([]), "json_shape"),
        ] {
            assert_eq!(parse(document).unwrap_err().code(), code);
        }
    }
}
