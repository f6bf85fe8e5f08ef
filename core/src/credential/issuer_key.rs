//! Whose key signed: from what a credential says about its issuer to a key that belongs to that issuer.
//!
//! SD-JWT VC (draft-ietf-oauth-sd-jwt-vc) "Issuer Verification Key Discovery and Validation". The services fetch and
//! resolve; the rules that tie a key to an `iss` are here, and an [`IssuerKey`] exists only where they held.

use crate::did::{Did, DidDocument, DidUrl, VerificationPurpose};
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::jose::jws::Header;
use crate::key::PublicKey;
use crate::x509::VerifiedChain;

/// Where the key of an issuer is to be found, as the signed token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKeyReference {
    /// In the certificate chain of the header, leaf first, base64 DER.
    X5c {
        /// The certificates.
        chain: Vec<String>,
        /// `iss`, which a subject alternative name must cover; without it the certificate's subject is the issuer.
        iss: Option<String>,
    },
    /// In the federation metadata that the header's trust chain proves (OpenID Federation 1.0 section 4.3).
    TrustChain {
        /// Entity statements, the issuer's own first.
        chain: Vec<String>,
        /// `iss`, the Entity Identifier.
        iss: String,
        /// Name of the key.
        kid: Option<String>,
    },
    /// In the document of the issuer's DID, under this name.
    Did(DidUrl),
    /// In the JWT VC Issuer Metadata of `iss`.
    WellKnown {
        /// `iss`, an https URL.
        iss: String,
        /// Name of the key in the set.
        kid: Option<String>,
    },
}

impl IssuerKeyReference {
    /// The reference in a signed token's header and `iss`.
    ///
    /// `x5c` comes first, then `trust_chain` with an https `iss`, then a DID (in `iss`, or in `kid` when there is no
    /// `iss`), then an https `iss`.
    /// [`Error::Malformed`] `jws_header` when `trust_chain` is no list of texts; [`Error::Untrusted`] `issuer_key_reference` when a DID in `kid` is not that of `iss`;
    /// [`Error::Unsupported`] `issuer_key_reference` when there is none of the three; errors of [`DidUrl::parse`].
    pub fn of(header: &Header, iss: Option<&str>) -> Result<Self> {
        if let Some(chain) = &header.x5c {
            return Ok(Self::X5c { chain: chain.clone(), iss: iss.map(str::to_owned) });
        }
        let kid = header.kid.as_deref();
        if let (Some(chain), Some(iss)) = (header.others.get("trust_chain"), iss) {
            let chain = json::from_value(chain.clone())
                .map_err(|_| Error::malformed("jws_header", "trust_chain is a list of entity statements"))?;
            return Ok(Self::TrustChain { chain, iss: iss.to_owned(), kid: header.kid.clone() });
        }
        let did = match iss {
            Some(iss) => Some(iss).filter(|iss| iss.starts_with("did:")),
            None => kid
                .filter(|kid| kid.starts_with("did:"))
                .map(|kid| kid.split_once('#').map_or(kid, |(did, _)| did)),
        };
        if let Some(did) = did {
            let did = Did::parse(did)?;
            let url = match kid {
                Some(kid) if kid.starts_with("did:") => DidUrl::parse(kid)?,
                Some(kid) => did.with_fragment(kid.strip_prefix('#').unwrap_or(kid))?,
                None => return Err(unsupported("the issuer is a DID, and kid names none of its keys")),
            };
            return match *url.did() == did {
                true => Ok(Self::Did(url)),
                false => {
                    Err(Error::untrusted("issuer_key_reference", "kid names a key of another DID than iss"))
                }
            };
        }
        match iss {
            Some(iss) if iss.starts_with("https://") || iss.starts_with("http://") => {
                Ok(Self::WellKnown { iss: iss.to_owned(), kid: header.kid.clone() })
            }
            _ => Err(unsupported("neither x5c nor a DID nor an https iss tells whose key it is")),
        }
    }
}

fn unsupported(detail: &'static str) -> Error {
    Error::unsupported("issuer_key_reference", detail)
}

/// A key that was found to belong to an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKey {
    key: PublicKey,
    issuer: String,
    iss: Option<String>,
}

impl IssuerKey {
    /// A key that this party was configured to take for the key of `iss`.
    pub fn pinned(key: PublicKey, iss: &str) -> Self {
        Self { key, issuer: iss.to_owned(), iss: Some(iss.to_owned()) }
    }

    /// The key of a certificate, judged before, for a credential of `iss` (draft, "Inline X.509 Certificates").
    ///
    /// A subject alternative name must cover `iss`: a URI equal to it, or, for an https `iss`, its host among the DNS
    /// names (wildcards are not taken). Without `iss` the issuer is the certificate's subject.
    /// [`Error::Untrusted`] `issuer_san_mismatch`.
    pub fn from_certificate_chain(chain: &VerifiedChain, iss: Option<&str>) -> Result<Self> {
        let issuer = match iss {
            None => chain.leaf().subject().to_owned(),
            Some(iss) if covers(chain.san_uri(), chain.san_dns(), iss) => iss.to_owned(),
            Some(_) => {
                return Err(Error::untrusted(
                    "issuer_san_mismatch",
                    "the issuer's certificate was made for another name",
                ));
            }
        };
        Ok(Self { key: chain.leaf_key().clone(), issuer, iss: iss.map(str::to_owned) })
    }

    /// The key named `url` in a DID document, where the document gives it the purpose of issuing, for a credential of
    /// `iss`. Without `iss` the DID is the issuer.
    ///
    /// [`Error::Untrusted`] `issuer_did_mismatch` when `iss` is not that DID; errors of
    /// [`DidDocument::verification_key`].
    pub fn from_did_document(document: &DidDocument, url: &DidUrl, iss: Option<&str>) -> Result<Self> {
        let did = url.did().as_str();
        if iss.is_some_and(|iss| iss != did) {
            return Err(Error::untrusted("issuer_did_mismatch", "the key belongs to another DID than iss"));
        }
        let key = document.verification_key(url, VerificationPurpose::AssertionMethod)?;
        Ok(Self { key, issuer: did.to_owned(), iss: iss.map(str::to_owned) })
    }

    /// The key named `kid` in the key set that `iss` publishes; without `kid`, the only key of the set.
    ///
    /// [`Error::Untrusted`] `issuer_key_unknown` when there is no such key, or more than one; errors of
    /// [`crate::jose::jwk::Jwk::public_key`].
    pub fn from_jwk_set(set: &JwkSet, kid: Option<&str>, iss: &str) -> Result<Self> {
        let unknown = || Error::untrusted("issuer_key_unknown", "the issuer publishes no key of that name");
        Ok(Self::pinned(set.find(kid).ok_or_else(unknown)?.public_key()?, iss))
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Name of the issuer: `iss`, or what the certificate says when the credential has no `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// [`Error::Untrusted`] `issuer_mismatch` unless the key was resolved for a credential with exactly this `iss`.
    pub fn require(&self, iss: Option<&str>) -> Result<()> {
        match self.iss.as_deref() == iss {
            true => Ok(()),
            false => {
                Err(Error::untrusted("issuer_mismatch", "the key belongs to another issuer than iss names"))
            }
        }
    }
}

fn covers(uris: &[String], dns_names: &[String], iss: &str) -> bool {
    if uris.iter().any(|uri| uri == iss) {
        return true;
    }
    let Ok(url) = url::Url::parse(iss) else { return false };
    let Some(url::Host::Domain(host)) = url.host() else { return false };
    url.scheme() == "https" && dns_names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::jwk::Jwk;
    use crate::jose::{jws, jwt};
    use crate::key::{SignatureAlgorithm, Signer, SoftwareKey};
    use crate::limits::Limits;

    fn reference(header: Value, iss: Option<&str>) -> Result<IssuerKeyReference> {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256)?;
        let token = jws::sign(header.as_object().unwrap().clone(), b"{}", &key)?;
        IssuerKeyReference::of(jwt::UnverifiedJwt::parse(&token, &Limits::DEFAULT)?.header(), iss)
    }

    #[test]
    fn references() {
        let https = Some("https://a.example/x");
        let did = |url: &str| IssuerKeyReference::Did(DidUrl::parse(url).unwrap());
        let x5c = IssuerKeyReference::X5c { chain: vec!["AA==".into()], iss: https.map(str::to_owned) };
        assert_eq!(reference(json!({"x5c": ["AA=="], "kid": "k"}), https).unwrap(), x5c);
        let well_known = |kid: Option<&str>| IssuerKeyReference::WellKnown {
            iss: "https://a.example/x".into(),
            kid: kid.map(str::to_owned),
        };
        assert_eq!(reference(json!({"kid": "k"}), https).unwrap(), well_known(Some("k")));
        assert_eq!(reference(json!({}), https).unwrap(), well_known(None));
        for (kid, iss, url) in [
            ("did:web:a.example#k1", Some("did:web:a.example"), "did:web:a.example#k1"),
            ("#k1", Some("did:web:a.example"), "did:web:a.example#k1"),
            ("k1", Some("did:web:a.example"), "did:web:a.example#k1"),
            ("did:web:a.example#k1", None, "did:web:a.example#k1"),
        ] {
            assert_eq!(reference(json!({"kid": kid}), iss).unwrap(), did(url));
        }
        // An https issuer whose kid happens to be a DID is still looked up at its own address.
        assert!(matches!(
            reference(json!({"kid": "did:web:evil.example#k"}), https).unwrap(),
            IssuerKeyReference::WellKnown { .. }
        ));
        let foreign =
            reference(json!({"kid": "did:web:evil.example#k1"}), Some("did:web:a.example")).unwrap_err();
        assert!(matches!(foreign, Error::Untrusted { code: "issuer_key_reference", .. }));
        for (header, iss) in [
            (json!({}), None),
            (json!({"kid": "k"}), None),
            (json!({}), Some("did:web:a.example")),
            (json!({"kid": "k"}), Some("urn:x")),
        ] {
            let error = reference(header, iss).unwrap_err();
            assert!(matches!(error, Error::Unsupported { code: "issuer_key_reference", .. }));
        }
    }

    #[test]
    fn names_that_cover_iss() {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (uris, dns, iss, expected) in [
            (own(&["https://a.example/tenant"]), own(&[]), "https://a.example/tenant", true),
            (own(&["https://a.example/tenant"]), own(&[]), "https://a.example", false),
            (own(&[]), own(&["a.example"]), "https://A.example/any/path", true),
            (own(&[]), own(&["A.EXAMPLE"]), "https://a.example", true),
            (own(&[]), own(&["a.example"]), "http://a.example", false),
            (own(&[]), own(&["a.example"]), "https://b.a.example", false),
            (own(&[]), own(&["*.example"]), "https://a.example", false),
            (own(&[]), own(&["a.example"]), "https://a.example.evil.example", false),
            (own(&[]), own(&["127.0.0.1"]), "https://127.0.0.1", false),
            (own(&["http://localhost:8801"]), own(&["localhost"]), "http://localhost:8801", true),
            (own(&["urn:x"]), own(&["a.example"]), "a.example", false),
        ] {
            assert_eq!(covers(&uris, &dns, iss), expected, "{iss}");
        }
    }

    #[test]
    fn keys_of_a_set() {
        let keys = [(); 2].map(|()| SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap());
        let jwk = |position: usize, kid: &str| Jwk {
            kid: Some(kid.into()),
            ..Jwk::from_key(keys[position].public_key())
        };
        let set = JwkSet { keys: vec![jwk(0, "a"), jwk(1, "b")] };
        let found = IssuerKey::from_jwk_set(&set, Some("b"), "https://a.example").unwrap();
        assert_eq!((found.key(), found.issuer()), (keys[1].public_key(), "https://a.example"));
        assert!(found.require(Some("https://a.example")).is_ok());
        for other in [None, Some("https://a.example/"), Some("https://b.example")] {
            assert_eq!(found.require(other).unwrap_err().code(), "issuer_mismatch");
        }
        for (set, kid) in [(set.clone(), Some("c")), (set, None), (JwkSet::default(), None)] {
            let error = IssuerKey::from_jwk_set(&set, kid, "https://a.example").unwrap_err();
            assert_eq!(error.code(), "issuer_key_unknown");
        }
    }
    #[test]
    fn keys_of_a_did() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let did = crate::did::key::encode(key.public_key()).unwrap();
        let document = crate::did::resolver::resolve_offline(&did).unwrap();
        let url = document.assertion_method[0].clone();
        for iss in [None, Some(did.as_str())] {
            let found = IssuerKey::from_did_document(&document, &url, iss).unwrap();
            assert_eq!((found.key(), found.issuer()), (key.public_key(), did.as_str()));
            assert!(found.require(iss).is_ok());
        }
        let other = IssuerKey::from_did_document(&document, &url, Some("did:web:a.example")).unwrap_err();
        assert_eq!(other.code(), "issuer_did_mismatch");
        let mut unfit = document.clone();
        unfit.assertion_method.clear();
        let unfit = IssuerKey::from_did_document(&unfit, &url, None).unwrap_err();
        assert_eq!(unfit.code(), "did_method_purpose");
    }
}
