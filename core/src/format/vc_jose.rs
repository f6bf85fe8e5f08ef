//! W3C credentials and presentations in the envelopes of JOSE and COSE: "Securing Verifiable Credentials using JOSE and
//! COSE" (VC-JOSE-COSE, W3C Recommendation), as compact JWT, as SD-JWT and as COSE_Sign1.
//!
//! [`issue`] makes them, [`verify`] reads and verifies them, [`envelope`] puts them into the `data:` URL of an
//! EnvelopedVerifiableCredential or EnvelopedVerifiablePresentation and takes them out again.
//!
//! Algorithms: ES256, ES384, ES512, EdDSA (Ed25519). `typ` is demanded, although the specification only recommends it:
//! without it, a token that was signed for another purpose could pass for a credential.
//!
//! Not here: JSON serializations, encryption, CWT claims in COSE headers.

mod cose;
pub mod envelope;
pub mod issue;
#[cfg(test)]
mod tests;
pub mod verify;

use crate::error::{Error, Result};
use crate::key::SignatureAlgorithm;

/// What is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// A verifiable credential.
    Credential,
    /// A verifiable presentation.
    Presentation,
}

impl Content {
    /// The value of `cty`, without `application/`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "vc",
            Self::Presentation => "vp",
        }
    }
}

/// How it is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// A compact JWT (section 3.1).
    Jwt,
    /// An SD-JWT (section 3.2).
    SdJwt,
    /// A COSE_Sign1 message (section 3.3).
    Cose,
}

/// One of the six media types (section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnvelopeType {
    /// What is secured.
    pub content: Content,
    /// How.
    pub mechanism: Mechanism,
}

impl EnvelopeType {
    const ALL: [Self; 6] = [
        Self { content: Content::Credential, mechanism: Mechanism::Jwt },
        Self { content: Content::Credential, mechanism: Mechanism::SdJwt },
        Self { content: Content::Credential, mechanism: Mechanism::Cose },
        Self { content: Content::Presentation, mechanism: Mechanism::Jwt },
        Self { content: Content::Presentation, mechanism: Mechanism::SdJwt },
        Self { content: Content::Presentation, mechanism: Mechanism::Cose },
    ];

    /// The value of `typ`: the media type without `application/`.
    pub const fn typ(self) -> &'static str {
        match (self.content, self.mechanism) {
            (Content::Credential, Mechanism::Jwt) => "vc+jwt",
            (Content::Credential, Mechanism::SdJwt) => "vc+sd-jwt",
            (Content::Credential, Mechanism::Cose) => "vc+cose",
            (Content::Presentation, Mechanism::Jwt) => "vp+jwt",
            (Content::Presentation, Mechanism::SdJwt) => "vp+sd-jwt",
            (Content::Presentation, Mechanism::Cose) => "vp+cose",
        }
    }

    /// The media type.
    pub fn media_type(self) -> String {
        format!("application/{}", self.typ())
    }

    /// The type of this name, in any case; `application/` may be left out.
    ///
    /// [`Error::Unsupported`] `vc_jose_media_type`.
    pub fn parse(name: &str) -> Result<Self> {
        let name = name.to_ascii_lowercase();
        let short = name.strip_prefix("application/").unwrap_or(&name);
        Self::ALL
            .into_iter()
            .find(|known| known.typ() == short)
            .ok_or_else(|| Error::unsupported("vc_jose_media_type", "the media type is none of VC-JOSE-COSE"))
    }
}

/// [`Error::Unsupported`] `alg_unsupported` for RSA, which other parts of this crate verify, but not these.
pub(super) fn require_algorithm(algorithm: SignatureAlgorithm) -> Result<()> {
    match algorithm {
        SignatureAlgorithm::Rs256 => {
            Err(Error::unsupported("alg_unsupported", "credentials are signed with ECDSA or Ed25519"))
        }
        _ => Ok(()),
    }
}

fn wrong_typ() -> Error {
    Error::malformed("vc_jose_typ", "typ is not the media type that is expected here")
}

fn wrong_cty() -> Error {
    Error::malformed("vc_jose_cty", "the content type (cty) is not vc or vp, as the kind of document demands")
}
