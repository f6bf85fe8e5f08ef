//! Whose key signed: from what a credential says about its issuer to a key that belongs to that issuer.
//!
//! SD-JWT VC (draft-ietf-oauth-sd-jwt-vc) "Issuer Verification Key Discovery and Validation". The services fetch and
//! resolve; the rules that tie a key to an `iss` are here, and an [`IssuerKey`] exists only where they held.

use crate::error::{Error, Result};
use crate::jose::jws::Header;
use crate::key::PublicKey;

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
    /// In a DID document.
    Did {
        /// DID URL of the verification method.
        url: String,
        /// The issuer's DID.
        did: String,
    },
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
    /// `x5c` comes first, then a DID (in `iss`, or in `kid` when there is no `iss`), then an https `iss`.
    /// [`Error::Untrusted`] `issuer_key_reference` when a DID in `kid` is not that of `iss`;
    /// [`Error::Unsupported`] `issuer_key_reference` when there is none of the three.
    pub fn of(header: &Header, iss: Option<&str>) -> Result<Self> {
        if let Some(chain) = &header.x5c {
            return Ok(Self::X5c { chain: chain.clone(), iss: iss.map(str::to_owned) });
        }
        let kid = header.kid.as_deref();
        let did = match iss {
            Some(iss) => Some(iss).filter(|iss| iss.starts_with("did:")),
            None => kid.filter(|kid| kid.starts_with("did:")).map(without_fragment),
        };
        if let Some(did) = did {
            let url = match kid {
                Some(kid) if kid.starts_with("did:") => kid.to_owned(),
                Some(kid) => format!("{did}#{}", kid.trim_start_matches('#')),
                None => return Err(unsupported("the issuer is a DID, and kid names none of its keys")),
            };
            if without_fragment(&url) != did {
                return Err(Error::untrusted(
                    "issuer_key_reference",
                    "kid names a key of another DID than iss",
                ));
            }
            return Ok(Self::Did { url, did: did.to_owned() });
        }
        match iss {
            Some(iss) if iss.starts_with("https://") || iss.starts_with("http://") => {
                Ok(Self::WellKnown { iss: iss.to_owned(), kid: header.kid.clone() })
            }
            _ => Err(unsupported("neither x5c nor a DID nor an https iss tells whose key it is")),
        }
    }
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(did, _)| did)
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
