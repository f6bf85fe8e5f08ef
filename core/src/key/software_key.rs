//! Private keys in memory.

use std::fmt;

use aws_lc_rs::agreement;
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};

use super::{PublicKey, SignatureAlgorithm, Signer};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A private key in this process's memory, wiped by aws-lc when dropped.
///
/// Its randomness is aws-lc's own; [`crate::random::Random`] does not enter, so signatures are never repeatable.
pub struct SoftwareKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SoftwareKey {
    /// A fresh key; [`Error::Unsupported`] `alg_unsupported` for RSA, which this crate never signs with.
    pub fn generate(algorithm: SignatureAlgorithm) -> Result<Self> {
        let pair = match (algorithm, ecdsa(algorithm)) {
            (_, Some(alg)) => Pair::Ecdsa(EcdsaKeyPair::generate(alg).map_err(|_| unusable())?),
            (SignatureAlgorithm::EdDsa, None) => {
                Pair::Ed25519(Ed25519KeyPair::generate().map_err(|_| unusable())?)
            }
            _ => {
                return Err(Error::unsupported(
                    "alg_unsupported",
                    "keys of this algorithm are not made here",
                ));
            }
        };
        Self::new(algorithm, pair)
    }

    /// The key of an unencrypted PKCS#8 document (RFC 5958), of whichever algorithm it holds.
    ///
    /// [`Error::Malformed`] `private_key` when it holds none that this crate carries.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self> {
        for algorithm in [SignatureAlgorithm::Es256, SignatureAlgorithm::Es384, SignatureAlgorithm::Es512] {
            let pair = ecdsa(algorithm).and_then(|alg| EcdsaKeyPair::from_pkcs8(alg, document).ok());
            if let Some(pair) = pair {
                return Self::new(algorithm, Pair::Ecdsa(pair));
            }
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(document).map_err(|_| malformed())?;
        Self::new(SignatureAlgorithm::EdDsa, Pair::Ed25519(pair))
    }

    /// The key as an unencrypted PKCS#8 document, for the vault and the key files of the services.
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>> {
        let document = match &self.pair {
            Pair::Ecdsa(pair) => pair.to_pkcs8v1(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1(),
        };
        Ok(Secret::new(document.map_err(|_| unusable())?.as_ref().to_vec()))
    }

    /// The P-256 key of a private scalar, big-endian, between 1 and n-1: for tests with published keys.
    ///
    /// [`Error::Malformed`] `private_key` for another number.
    pub fn from_p256_scalar(scalar: &[u8; 32]) -> Result<Self> {
        Self::from_ecdsa_scalar(SignatureAlgorithm::Es256, scalar)
    }

    /// The ECDSA key of a private scalar, big-endian, as long as a coordinate of the curve, between 1 and n-1.
    ///
    /// [`Error::Malformed`] `private_key` for another number or length; [`Error::Misuse`] `not_ecdsa`.
    pub fn from_ecdsa_scalar(algorithm: SignatureAlgorithm, scalar: &[u8]) -> Result<Self> {
        let (curve, signing) = match algorithm {
            SignatureAlgorithm::Es256 => (&agreement::ECDH_P256, &ECDSA_P256_SHA256_FIXED_SIGNING),
            SignatureAlgorithm::Es384 => (&agreement::ECDH_P384, &ECDSA_P384_SHA384_FIXED_SIGNING),
            SignatureAlgorithm::Es512 => (&agreement::ECDH_P521, &ECDSA_P521_SHA512_FIXED_SIGNING),
            SignatureAlgorithm::EdDsa | SignatureAlgorithm::Rs256 => {
                return Err(Error::misuse("not_ecdsa", "a private scalar is a key of ECDSA only"));
            }
        };
        let public = agreement::PrivateKey::from_private_key(curve, scalar)
            .map_err(|_| malformed())?
            .compute_public_key()
            .map_err(|_| malformed())?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, scalar, public.as_ref());
        Self::new(algorithm, Pair::Ecdsa(pair.map_err(|_| malformed())?))
    }

    /// The Ed25519 key of a 32-byte seed (RFC 8032 section 5.1.5).
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| malformed())?;
        Self::new(SignatureAlgorithm::EdDsa, Pair::Ed25519(pair))
    }

    fn new(algorithm: SignatureAlgorithm, pair: Pair) -> Result<Self> {
        let public = match &pair {
            Pair::Ecdsa(pair) => PublicKey::from_sec1(algorithm, pair.public_key().as_ref())?,
            Pair::Ed25519(pair) => PublicKey::from_ed25519(pair.public_key().as_ref())?,
        };
        Ok(Self { pair, public })
    }

    /// The signature of `message` with ECDSA numbers in DER, as WebAuthn has it; Ed25519 as [`Signer::sign`].
    pub fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.sign(message)?;
        match self.pair {
            Pair::Ecdsa(_) => Ok(fixed_to_der(&signature)),
            Pair::Ed25519(_) => Ok(signature),
        }
    }

    /// The private scalar or seed, big-endian: for exporting a key to another format.
    pub fn to_private_bytes(&self) -> Result<Secret<Vec<u8>>> {
        let bytes = match &self.pair {
            Pair::Ecdsa(pair) => pair.private_key().as_be_bytes().map(|bytes| bytes.as_ref().to_vec()),
            Pair::Ed25519(pair) => {
                pair.seed().and_then(|seed| seed.as_be_bytes()).map(|bytes| bytes.as_ref().to_vec())
            }
        };
        bytes.map(Secret::new).map_err(|_| unusable())
    }
}

impl Signer for SoftwareKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&SystemRandom::new(), message),
            Pair::Ed25519(pair) => pair.try_sign(message),
        }
        .map(|signature| signature.as_ref().to_vec())
        .map_err(|_| unusable())
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn ecdsa(algorithm: SignatureAlgorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        SignatureAlgorithm::Es256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        SignatureAlgorithm::Es384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        SignatureAlgorithm::Es512 => Some(&ECDSA_P521_SHA512_FIXED_SIGNING),
        SignatureAlgorithm::EdDsa | SignatureAlgorithm::Rs256 => None,
    }
}

/// `ECDSA-Sig-Value` (RFC 3279 section 2.2.3) of r‖s.
fn fixed_to_der(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let numbers = [der_integer(r), der_integer(s)].concat();
    let mut out = vec![0x30];
    // r and s of the largest curve take 138 bytes together: one length byte, or 0x81 and one.
    let len = u8::try_from(numbers.len()).unwrap_or(u8::MAX);
    if len >= 0x80 {
        out.push(0x81);
    }
    out.push(len);
    out.extend_from_slice(&numbers);
    out
}

fn der_integer(big_endian: &[u8]) -> Vec<u8> {
    let start = big_endian.iter().position(|byte| *byte != 0).unwrap_or(big_endian.len());
    let digits = big_endian.get(start..).unwrap_or_default();
    // A leading zero keeps the number positive; zero itself is one zero byte.
    let pad = digits.first().is_none_or(|byte| byte & 0x80 != 0);
    let mut out = vec![2, u8::try_from(digits.len() + usize::from(pad)).unwrap_or(u8::MAX)];
    out.extend(pad.then_some(0));
    out.extend_from_slice(digits);
    out
}

fn malformed() -> Error {
    Error::malformed("private_key", "not a private key of a supported algorithm")
}

fn unusable() -> Error {
    Error::misuse("key_unusable", "the private key could not be used")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkcs8_round_trip() {
        for algorithm in [
            SignatureAlgorithm::Es256,
            SignatureAlgorithm::Es384,
            SignatureAlgorithm::Es512,
            SignatureAlgorithm::EdDsa,
        ] {
            let key = SoftwareKey::generate(algorithm).unwrap();
            let again = SoftwareKey::from_pkcs8(key.to_pkcs8().unwrap().expose()).unwrap();
            assert_eq!(key.public_key(), again.public_key());
            key.public_key().verify(b"m", &again.sign(b"m").unwrap()).unwrap();
            for _ in 0..50 {
                key.public_key().verify_der(b"m", &again.sign_der(b"m").unwrap()).unwrap();
            }
        }
        assert_eq!(SoftwareKey::generate(SignatureAlgorithm::Rs256).unwrap_err().code(), "alg_unsupported");
        assert_eq!(SoftwareKey::from_pkcs8(b"0").unwrap_err().code(), "private_key");
    }

    #[test]
    fn scalar_and_seed() {
        // RFC 6979 appendix A.2.5.
        let scalar =
            crate::encoding::base64url::decode("ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE").unwrap();
        let key = SoftwareKey::from_p256_scalar(&scalar.clone().try_into().unwrap()).unwrap();
        let x = key.public_key().coordinates().unwrap().0[..4].to_vec();
        assert_eq!(x, [0x60, 0xfe, 0xd4, 0xba]);
        assert_eq!(*key.to_private_bytes().unwrap().expose(), scalar);
        for bad in [[0; 32], [0xff; 32]] {
            assert_eq!(SoftwareKey::from_p256_scalar(&bad).unwrap_err().code(), "private_key");
        }
        let ed = SoftwareKey::from_ed25519_seed(&[7; 32]).unwrap();
        assert_eq!(*ed.to_private_bytes().unwrap().expose(), [7; 32]);
        assert!(!format!("{ed:?}").contains("7, 7"));
    }

    #[test]
    fn der_integers_are_minimal() {
        assert_eq!(der_integer(&[0, 0]), [2, 1, 0]);
        assert_eq!(der_integer(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(der_integer(&[0, 0x80]), [2, 2, 0, 0x80]);
    }
}
