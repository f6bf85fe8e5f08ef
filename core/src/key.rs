//! Signature keys: algorithms, public keys parsed once, and the [`Signer`] that the rest of the crate signs through.
//!
//! Private keys live behind [`Signer`]; [`SoftwareKey`] is the one in memory, hardware keys come from the platform.

pub mod bbs;
mod public_key;
mod software_key;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::public_key::PublicKey;
pub use self::software_key::SoftwareKey;
use crate::error::{Error, Result};

/// The signature algorithms that this crate carries, by their JOSE names (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SignatureAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA with P-384 and SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// ECDSA with P-521 and SHA-512.
    #[serde(rename = "ES512")]
    Es512,
    /// Ed25519 (Ed448 is not carried).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 8192 bits: verified only (attestation, FIDO metadata), never signed with.
    #[serde(rename = "RS256")]
    Rs256,
}

impl SignatureAlgorithm {
    /// The JOSE name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of a JOSE name; `Ed25519` (RFC 9864) means the same as `EdDSA` here.
    ///
    /// `none` in any case is [`Error::Untrusted`] `alg_none`; another name is [`Error::Unsupported`] `alg_unsupported`.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "ES256" => Ok(Self::Es256),
            "ES384" => Ok(Self::Es384),
            "ES512" => Ok(Self::Es512),
            "EdDSA" | "Ed25519" => Ok(Self::EdDsa),
            "RS256" => Ok(Self::Rs256),
            none if none.eq_ignore_ascii_case("none") => {
                Err(Error::untrusted("alg_none", "an unsigned token is not accepted"))
            }
            _ => Err(Error::unsupported("alg_unsupported", "this signature algorithm is not supported")),
        }
    }

    /// Bytes of a coordinate of the curve; `None` when the algorithm is not ECDSA.
    pub(crate) const fn coordinate_len(self) -> Option<usize> {
        match self {
            Self::Es256 => Some(32),
            Self::Es384 => Some(48),
            Self::Es512 => Some(66),
            Self::EdDsa | Self::Rs256 => None,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A private key that signs, wherever it lives.
pub trait Signer: Send + Sync {
    /// The public key that belongs to it.
    fn public_key(&self) -> &PublicKey;

    /// The signature of `message` as JOSE has it: r‖s of fixed length for ECDSA, 64 bytes for Ed25519.
    ///
    /// [`Error::Refused`] when the key's owner declined, [`Error::Misuse`] when the key is unusable.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

/// r‖s of fixed length, as JOSE has it, from an ECDSA signature in DER (RFC 3279 section 2.2.3), as platforms give it.
///
/// # Errors
/// `signature_der` when it is not strict DER of two positive numbers of the curve's size; `not_ecdsa`.
pub fn der_to_fixed(algorithm: SignatureAlgorithm, der: &[u8]) -> Result<Vec<u8>> {
    let size = algorithm
        .coordinate_len()
        .ok_or_else(|| Error::misuse("not_ecdsa", "only ECDSA signatures have a DER form"))?;
    let malformed = || Error::malformed("signature_der", "not an ECDSA signature in DER");
    let body = match der {
        [0x30, 0x81, length, body @ ..] if *length >= 0x80 && usize::from(*length) == body.len() => body,
        [0x30, length, body @ ..] if *length < 0x80 && usize::from(*length) == body.len() => body,
        _ => return Err(malformed()),
    };
    let (r, rest) = der_integer(body).ok_or_else(malformed)?;
    let (s, rest) = der_integer(rest).ok_or_else(malformed)?;
    let mut fixed = Vec::with_capacity(2 * size);
    for number in [r, s] {
        fixed.resize(fixed.len() + size.checked_sub(number.len()).ok_or_else(malformed)?, 0);
        fixed.extend_from_slice(number);
    }
    if rest.is_empty() { Ok(fixed) } else { Err(malformed()) }
}

/// The digits of one positive INTEGER in shortest form, and what follows.
fn der_integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [2, length, rest @ ..] = der else { return None };
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    match digits {
        [0, positive @ ..] if positive.first().is_some_and(|first| first & 0x80 != 0) => {
            Some((positive, rest))
        }
        [first, ..] if *first != 0 && first & 0x80 == 0 => Some((digits, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_of_the_platform_is_r_and_s() {
        for algorithm in [SignatureAlgorithm::Es256, SignatureAlgorithm::Es384, SignatureAlgorithm::Es512] {
            let key = SoftwareKey::generate(algorithm).unwrap();
            for _ in 0..64 {
                let fixed = der_to_fixed(algorithm, &key.sign_der(b"message").unwrap()).unwrap();
                key.public_key().verify(b"message", &fixed).unwrap();
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let der = key.sign_der(b"message").unwrap();
        for length in 0..der.len() {
            assert!(der_to_fixed(SignatureAlgorithm::Es256, &der[..length]).is_err());
        }
        for wrong in [
            &[0x30, 6, 2, 1, 0, 2, 1, 1][..],
            &[0x30, 6, 2, 1, 0x80, 2, 1, 1],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],
        ] {
            let error = der_to_fixed(SignatureAlgorithm::Es256, wrong).unwrap_err();
            assert_eq!(error.code(), "signature_der", "{wrong:?}");
        }
        assert_eq!(der_to_fixed(SignatureAlgorithm::Es256, &[0x30, 6, 2, 1, 1, 2, 1, 1]).unwrap()[31], 1);
        assert_eq!(der_to_fixed(SignatureAlgorithm::EdDsa, &der).unwrap_err().code(), "not_ecdsa");
    }
}
