//! Public keys, checked and parsed once, used many times.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};

use super::SignatureAlgorithm;
use crate::error::{Error, Result};

/// A public key that verifies signatures of one algorithm; cheap to clone.
///
/// A value of this type is a valid point of its curve (not the point at infinity), or an RSA modulus of 2048 to 8192
/// bits. Ed25519 keys of small order, which would verify a signature by anyone, are refused.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    algorithm: SignatureAlgorithm,
    /// Uncompressed SEC 1 point, 32 bytes of Ed25519, or big-endian RSA modulus.
    bytes: Vec<u8>,
    /// Big-endian RSA exponent, else empty.
    exponent: Vec<u8>,
    fixed: ParsedPublicKey,
    der: OnceLock<Option<ParsedPublicKey>>,
}

impl PublicKey {
    /// The ECDSA key of a SEC 1 point, compressed or uncompressed (section 2.3.4), on the curve of `algorithm`.
    ///
    /// [`Error::Malformed`] `public_key` when it is not such a point; [`Error::Misuse`] `not_ecdsa` for another
    /// algorithm.
    pub fn from_sec1(algorithm: SignatureAlgorithm, point: &[u8]) -> Result<Self> {
        let (Some(len), Some((fixed, _))) = (algorithm.coordinate_len(), ecdsa(algorithm)) else {
            return Err(Error::misuse("not_ecdsa", "a SEC 1 point is a key of ECDSA only"));
        };
        // The hybrid form (6, 7) and the bare x are left out on purpose.
        let uncompressed = match point.first() {
            Some(4) if point.len() == 2 * len + 1 => true,
            Some(2 | 3) if point.len() == len + 1 => false,
            _ => return Err(malformed()),
        };
        let parsed = ParsedPublicKey::new(fixed, point).map_err(|_| malformed())?;
        let bytes = if uncompressed { point.to_vec() } else { uncompress(&parsed, len)? };
        Ok(Self::new(algorithm, bytes, Vec::new(), parsed))
    }

    /// The Ed25519 key of 32 bytes (RFC 8032 section 5.1.5); [`Error::Malformed`] `public_key` otherwise.
    pub fn from_ed25519(key: &[u8]) -> Result<Self> {
        if key.len() != 32 || is_small_order(key) {
            return Err(malformed());
        }
        let parsed = ParsedPublicKey::new(&ED25519, key).map_err(|_| malformed())?;
        Ok(Self::new(SignatureAlgorithm::EdDsa, key.to_vec(), Vec::new(), parsed))
    }

    /// The RSA key of a big-endian modulus (2048 to 8192 bits) and exponent, both without leading zeros.
    ///
    /// [`Error::Malformed`] `public_key` otherwise.
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        if !(256..=1024).contains(&modulus.len()) || !(1..=8).contains(&exponent.len()) {
            return Err(malformed());
        }
        let parsed = PublicKeyComponents { n: modulus, e: exponent }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| malformed())?;
        Ok(Self::new(SignatureAlgorithm::Rs256, modulus.to_vec(), exponent.to_vec(), parsed))
    }

    fn new(algorithm: SignatureAlgorithm, bytes: Vec<u8>, exponent: Vec<u8>, fixed: ParsedPublicKey) -> Self {
        Self(Arc::new(Inner { algorithm, bytes, exponent, fixed, der: OnceLock::new() }))
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm
    }

    /// The key's own bytes: the uncompressed SEC 1 point, the 32 bytes of Ed25519, or the RSA modulus.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The uncompressed SEC 1 point (Ed25519: its 32 bytes; RSA: the modulus).
    pub fn to_sec1_uncompressed(&self) -> Vec<u8> {
        self.0.bytes.clone()
    }

    /// The compressed SEC 1 point (Ed25519: its 32 bytes; RSA: the modulus).
    pub fn to_sec1_compressed(&self) -> Vec<u8> {
        match (self.coordinates(), self.0.bytes.last()) {
            (Some((x, _)), Some(last)) => {
                let mut out = Vec::with_capacity(x.len() + 1);
                out.push(2 | (last & 1));
                out.extend_from_slice(x);
                out
            }
            _ => self.0.bytes.clone(),
        }
    }

    /// The coordinates x and y, each as long as the curve's field; `None` when the key is not of ECDSA.
    pub fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        let len = self.0.algorithm.coordinate_len()?;
        self.0.bytes.get(1..)?.split_at_checked(len)
    }

    /// Modulus and exponent, big-endian; `None` when the key is not RSA.
    pub fn rsa_components(&self) -> Option<(&[u8], &[u8])> {
        (self.0.algorithm == SignatureAlgorithm::Rs256).then_some((&*self.0.bytes, &*self.0.exponent))
    }

    /// Checks a JOSE signature: r‖s of fixed length, 64 bytes of Ed25519, or RSA.
    ///
    /// High and low s are both taken, as FIPS 186-5 has it. [`Error::Untrusted`] `signature_invalid`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<()> {
        self.0.fixed.verify_sig(message, signature).map_err(|_| invalid())
    }

    /// Checks an ECDSA signature in DER (WebAuthn section 6.5.5, X.509); other algorithms as [`Self::verify`].
    ///
    /// The DER must be the only encoding of its numbers. [`Error::Untrusted`] `signature_invalid`.
    pub fn verify_der(&self, message: &[u8], signature: &[u8]) -> Result<()> {
        let Some((_, der)) = ecdsa(self.0.algorithm) else {
            return self.verify(message, signature);
        };
        let parsed = self.0.der.get_or_init(|| ParsedPublicKey::new(der, &self.0.bytes).ok());
        let parsed = parsed.as_ref().ok_or_else(invalid)?;
        parsed.verify_sig(message, signature).map_err(|_| invalid())
    }
}

fn ecdsa(
    algorithm: SignatureAlgorithm,
) -> Option<(&'static dyn VerificationAlgorithm, &'static dyn VerificationAlgorithm)> {
    match algorithm {
        SignatureAlgorithm::Es256 => Some((&ECDSA_P256_SHA256_FIXED, &ECDSA_P256_SHA256_ASN1)),
        SignatureAlgorithm::Es384 => Some((&ECDSA_P384_SHA384_FIXED, &ECDSA_P384_SHA384_ASN1)),
        SignatureAlgorithm::Es512 => Some((&ECDSA_P521_SHA512_FIXED, &ECDSA_P521_SHA512_ASN1)),
        SignatureAlgorithm::EdDsa | SignatureAlgorithm::Rs256 => None,
    }
}

fn uncompress(parsed: &ParsedPublicKey, len: usize) -> Result<Vec<u8>> {
    // The point is the end of the SubjectPublicKeyInfo, which aws-lc writes uncompressed.
    let info = parsed.as_der().map_err(|_| malformed())?;
    let info = info.as_ref();
    let point = info.len().checked_sub(2 * len + 1).and_then(|start| info.get(start..)).unwrap_or_default();
    if point.first() == Some(&4) { Ok(point.to_vec()) } else { Err(malformed()) }
}

/// The y coordinates of the eight points whose order divides 8, in all encodings that aws-lc would decode: with such a
/// key one signature holds for many messages.
fn is_small_order(key: &[u8]) -> bool {
    const Y8: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    const MINUS_Y8: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    let Some((last, rest)) = key.split_last() else { return true };
    let last = last & 0x7f; // the sign of x does not matter
    let is = |y: &[u8; 32]| y.split_last().is_some_and(|(l, r)| *l == last && r == rest);
    let (first, middle) = rest.split_first().unwrap_or((&0, &[]));
    // 0, 1 (identity) and, not reduced or reduced, p-1, p, p+1.
    let zero_or_one = last == 0 && *first <= 1 && middle.iter().all(|b| *b == 0);
    let around_p = last == 0x7f && (0xec..=0xee).contains(first) && middle.iter().all(|b| *b == 0xff);
    zero_or_one || around_p || is(&Y8) || is(&MINUS_Y8)
}

fn malformed() -> Error {
    Error::malformed("public_key", "not a valid public key of its algorithm")
}

fn invalid() -> Error {
    Error::untrusted("signature_invalid", "the signature does not verify")
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.algorithm == other.0.algorithm
            && self.0.bytes == other.0.bytes
            && self.0.exponent == other.0.exponent
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.algorithm.hash(state);
        self.0.bytes.hash(state);
        self.0.exponent.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = crate::encoding::base64url::encode(&self.0.bytes);
        write!(f, "PublicKey({} {})", self.0.algorithm, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Signer, SoftwareKey};

    #[test]
    fn compressed_and_uncompressed_are_one_key() {
        for algorithm in [SignatureAlgorithm::Es256, SignatureAlgorithm::Es384, SignatureAlgorithm::Es512] {
            for _ in 0..4 {
                let key = SoftwareKey::generate(algorithm).unwrap();
                let public = key.public_key();
                let again = PublicKey::from_sec1(algorithm, &public.to_sec1_compressed()).unwrap();
                assert_eq!(*public, again);
                assert_eq!(public.to_sec1_uncompressed(), again.to_sec1_uncompressed());
                again.verify(b"m", &key.sign(b"m").unwrap()).unwrap();
                again.verify_der(b"m", &key.sign_der(b"m").unwrap()).unwrap();
                assert_eq!(
                    again.verify(b"n", &key.sign(b"m").unwrap()).unwrap_err().code(),
                    "signature_invalid"
                );
                assert!(again.verify(b"m", &key.sign_der(b"m").unwrap()).is_err());
                assert!(again.verify_der(b"m", &key.sign(b"m").unwrap()).is_err());
            }
        }
    }

    #[test]
    fn takes_low_and_high_s() {
        // Order of P-256 (FIPS 186-5): s and n - s are two signatures of one message, and both are ECDSA.
        const N: [u8; 32] = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
            0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let signature = key.sign(b"m").unwrap();
        let mut other = signature.clone();
        let mut borrow = 0_i32;
        for i in (0..32).rev() {
            let difference = i32::from(N[i]) - i32::from(signature[32 + i]) - borrow;
            borrow = i32::from(difference < 0);
            other[32 + i] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        assert_ne!(signature, other);
        key.public_key().verify(b"m", &signature).unwrap();
        key.public_key().verify(b"m", &other).unwrap();
        // s + n, 0 and n are out of range.
        for s in [&[0; 32][..], &N] {
            assert!(key.public_key().verify(b"m", &[&signature[..32], s].concat()).is_err());
            assert!(key.public_key().verify(b"m", &[s, &signature[32..]].concat()).is_err());
        }
    }

    #[test]
    fn refuses_points_off_the_curve() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let good = key.public_key().to_sec1_uncompressed();
        let mut off = good.clone();
        off[64] ^= 1;
        let mut hybrid = good.clone();
        hybrid[0] = 6 | (good[64] & 1);
        // x = p of P-256: not a field element.
        let p = [&[0xff; 4][..], &[0, 0, 0, 1], &[0; 12], &[0xff; 12]].concat();
        let too_big = [&[2][..], &p].concat();
        // x = 5 has a point on P-256, x = 4 has none … asked of both, exactly the valid one is taken.
        let small = |x: u8| [&[2][..], &[0; 31], &[x]].concat();
        let taken =
            (0..32).filter(|x| PublicKey::from_sec1(SignatureAlgorithm::Es256, &small(*x)).is_ok()).count();
        assert!((8..24).contains(&taken), "about half of all x have a point: {taken}");
        for bad in [&off[..], &hybrid, &too_big, &[0], &[], &good[1..], &good[..64], &[4; 65], &[0; 65]] {
            let error = PublicKey::from_sec1(SignatureAlgorithm::Es256, bad).unwrap_err();
            assert_eq!(error.code(), "public_key");
        }
        assert!(PublicKey::from_sec1(SignatureAlgorithm::Es384, &good).is_err());
        assert_eq!(PublicKey::from_sec1(SignatureAlgorithm::EdDsa, &good).unwrap_err().code(), "not_ecdsa");
    }

    #[test]
    fn refuses_small_order_ed25519() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut p_minus_one = [0xff; 32];
        p_minus_one[0] = 0xec;
        p_minus_one[31] = 0x7f;
        for bad in [&[0; 32][..], &one, &p_minus_one, &[1; 31], &[]] {
            assert_eq!(PublicKey::from_ed25519(bad).unwrap_err().code(), "public_key");
        }
    }
}
