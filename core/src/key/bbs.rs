//! BBS signatures with the ciphersuite BLS12-381-SHA-256 (draft-irtf-cfrg-bbs-signatures, sections 3 to 5 and 7.2.2).
//!
//! One signature over many messages, of which a holder discloses some with a zero-knowledge proof. Curve arithmetic and
//! hashing to the curve are those of blst. Generators are made once in a process and kept.

mod hash;
mod proof;

use std::fmt;
use std::sync::RwLock;

use blstrs::{Bls12, G1Affine, G1Projective, G2Affine, G2Prepared, G2Projective, Gt, Scalar};
use ff::Field;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use pairing::{MillerLoopResult, MultiMillerLoop};

use self::hash::{hash_to_scalar, scalar};
pub use self::proof::Proof;
use crate::encoding::multibase;
use crate::error::{Error, Result};
use crate::random::Random;

const API_ID: &[u8] = b"BBS_BLS12381G1_XMD:SHA-256_SSWU_RO_H2G_HM2S_";
/// The fixed point of section 7.2.2, compressed.
const P1: [u8; 48] = [
    0xa8, 0xce, 0x25, 0x61, 0x02, 0x84, 0x08, 0x21, 0xa3, 0xe9, 0x4e, 0xa9, 0x02, 0x5e, 0x46, 0x62, 0xb2,
    0x05, 0x76, 0x2f, 0x97, 0x76, 0xb3, 0xa7, 0x66, 0xc8, 0x72, 0xb9, 0x48, 0xf1, 0xfd, 0x22, 0x5e, 0x7c,
    0x59, 0x69, 0x85, 0x88, 0xe7, 0x0d, 0x11, 0x40, 0x6d, 0x16, 0x1b, 0x4e, 0x28, 0xc9,
];
/// The multicodec prefix of a key in G2.
const MULTICODEC: [u8; 2] = [0xeb, 0x01];
/// Messages of one signature: each has a generator that is kept.
pub const MAX_MESSAGES: usize = 4096;

/// A key that verifies: a point of G2, in the subgroup and not infinity.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(G2Affine);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("bbs::PublicKey").field(&self.to_multikey()).finish()
    }
}

impl PublicKey {
    /// The key of 96 bytes (a compressed point); [`Error::Malformed`] `public_key`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let point = bytes.try_into().ok().and_then(|bytes| Option::from(G2Affine::from_compressed(bytes)));
        point
            .filter(|point: &G2Affine| !bool::from(point.is_identity()))
            .map(Self)
            .ok_or_else(|| Error::malformed("public_key", "not a point of the BLS12-381 subgroup G2"))
    }

    /// The 96 bytes of the key.
    pub fn to_bytes(&self) -> [u8; 96] {
        self.0.to_compressed()
    }

    /// The key as `publicKeyMultibase`: `zUC7…`.
    pub fn to_multikey(&self) -> String {
        multibase::encode_base58btc(&[&MULTICODEC[..], &self.to_bytes()].concat())
    }

    /// The key of a `publicKeyMultibase`.
    ///
    /// [`Error::Malformed`] `multibase` or `public_key`; [`Error::Unsupported`] `multikey` for another type of key.
    pub fn from_multikey(text: &str) -> Result<Self> {
        let bytes = multibase::decode(text, MULTICODEC.len() + 96)?;
        match bytes.split_first_chunk() {
            Some((prefix, key)) if *prefix == MULTICODEC => Self::from_bytes(key),
            _ => Err(Error::unsupported("multikey", "this type of key is not supported")),
        }
    }
}

/// A key that signs.
#[derive(Clone)]
pub struct SecretKey {
    scalar: Scalar,
    public: PublicKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("bbs::SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// A fresh key (section 3.4.1, with 32 random bytes as key material).
    pub fn generate(random: &dyn Random) -> Result<Self> {
        Self::from_key_material(&zeroize::Zeroizing::new(random.array()))
    }

    /// The key of 32 secret random bytes (section 3.4.1): the same bytes, the same key.
    pub fn from_key_material(material: &[u8; 32]) -> Result<Self> {
        // Key material, the length of the key info, no key info.
        let material = zeroize::Zeroizing::new([material.as_slice(), &[0, 0]].concat());
        Self::new(hash_to_scalar(&material, &[API_ID, b"KEYGEN_DST_"]))
    }

    /// The key of 32 bytes, big-endian; [`Error::Malformed`] `private_key` unless between 1 and the group's order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        Self::new(scalar(bytes).ok_or_else(private_key)?)
    }

    fn new(scalar: Scalar) -> Result<Self> {
        if bool::from(scalar.is_zero()) {
            return Err(private_key());
        }
        let public = PublicKey((G2Projective::generator() * scalar).to_affine());
        Ok(Self { scalar, public })
    }

    /// The 32 bytes of the key.
    pub fn to_bytes(&self) -> crate::secret::Secret<Vec<u8>> {
        crate::secret::Secret::new(self.scalar.to_bytes_be().to_vec())
    }

    /// The key that verifies.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `messages` and `header` (section 3.5.1).
    ///
    /// [`Error::Malformed`] `bbs_messages` for too many messages.
    pub fn sign(&self, header: &[u8], messages: &[&[u8]]) -> Result<Signature> {
        let messages = Messages::of(&self.public, header, messages)?;
        let mut input = self.scalar.to_bytes_be().to_vec();
        for message in &messages.scalars {
            input.extend_from_slice(&message.to_bytes_be());
        }
        input.extend_from_slice(&messages.domain.to_bytes_be());
        let e = hash_to_scalar(&input, &[API_ID, b"H2S_"]);
        zeroize::Zeroize::zeroize(&mut input);
        // The inverse fails for one e in 2^255 that nobody knows.
        let inverse = Option::<Scalar>::from((self.scalar + e).invert()).ok_or_else(private_key)?;
        Ok(Signature { a: (messages.commitment() * inverse).to_affine(), e })
    }
}

/// A signature: 80 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    a: G1Affine,
    e: Scalar,
}

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 80;

    /// Reads a signature; [`Error::Malformed`] `bbs_signature`.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self> {
        let malformed = || Error::malformed("bbs_signature", "not a BBS signature");
        let (a, e) = bytes.split_first_chunk().ok_or_else(malformed)?;
        let e = e.try_into().ok().and_then(scalar).filter(|e| !bool::from(e.is_zero()));
        Ok(Self { a: point(a).ok_or_else(malformed)?, e: e.ok_or_else(malformed)? })
    }

    /// The bytes of the signature.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let parts = self.a.to_compressed().into_iter().chain(self.e.to_bytes_be());
        out.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        out
    }

    /// Verifies the signature (section 3.5.2); [`Error::Untrusted`] `signature_invalid`, [`Error::Malformed`]
    /// `bbs_messages`.
    pub fn verify(&self, key: &PublicKey, header: &[u8], messages: &[&[u8]]) -> Result<()> {
        let messages = Messages::of(key, header, messages)?;
        // e(A, W + P2·e) = e(B, P2), with A·e moved to the cheaper group.
        let right = messages.commitment() - self.a * self.e;
        pairings_match(&self.a, key, &right.to_affine())
    }
}

/// The messages of a signature as scalars, with what belongs to their number and the header.
struct Messages {
    scalars: Vec<Scalar>,
    generators: Vec<G1Projective>,
    domain: Scalar,
}

impl Messages {
    fn of(key: &PublicKey, header: &[u8], messages: &[&[u8]]) -> Result<Self> {
        let generators = generators(messages.len())?;
        let domain = domain(key, &generators, header);
        Ok(Self {
            scalars: messages.iter().map(|message| message_scalar(message)).collect(),
            generators,
            domain,
        })
    }

    /// B of sections 3.6.1 and 3.6.3.
    fn commitment(&self) -> G1Projective {
        let mut scalars = Vec::with_capacity(self.scalars.len() + 1);
        scalars.push(self.domain);
        scalars.extend_from_slice(&self.scalars);
        fixed_point() + multiply(&self.generators, &scalars)
    }
}

/// Section 4.1.2.
fn message_scalar(message: &[u8]) -> Scalar {
    hash_to_scalar(message, &[API_ID, b"MAP_MSG_TO_SCALAR_AS_HASH_"])
}

/// Section 4.2.3; the first of `generators` is `Q_1`.
fn domain(key: &PublicKey, generators: &[G1Projective], header: &[u8]) -> Scalar {
    let mut input = Vec::with_capacity(96 + 8 + generators.len() * 48 + API_ID.len() + 8 + header.len());
    input.extend_from_slice(&key.to_bytes());
    input.extend_from_slice(&octets(generators.len().saturating_sub(1)));
    for generator in generators {
        input.extend_from_slice(&generator.to_compressed());
    }
    input.extend_from_slice(API_ID);
    input.extend_from_slice(&octets(header.len()));
    input.extend_from_slice(header);
    hash_to_scalar(&input, &[API_ID, b"H2S_"])
}

/// The sum of the products; not in constant time.
fn multiply(points: &[G1Projective], scalars: &[Scalar]) -> G1Projective {
    G1Projective::multi_exp(points, scalars)
}

fn fixed_point() -> G1Projective {
    point(&P1).map_or_else(G1Projective::identity, Into::into)
}

/// `Q_1, H_1, …, H_messages` (section 4.1.1); each is hashed once in a process.
fn generators(messages: usize) -> Result<Vec<G1Projective>> {
    /// What was made so far, and the state from which the next one is made.
    static MADE: RwLock<(Vec<G1Projective>, Option<[u8; 48]>)> = RwLock::new((Vec::new(), None));
    if messages > MAX_MESSAGES {
        return Err(Error::malformed("bbs_messages", "too many messages for one signature"));
    }
    let count = messages + 1;
    // Whoever panicked while holding the lock left whole entries behind.
    let made = MADE.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(ready) = made.0.get(..count) {
        return Ok(ready.to_vec());
    }
    drop(made);
    let mut made = MADE.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seed: [&[u8]; 2] = [API_ID, b"SIG_GENERATOR_SEED_"];
    while made.0.len() < count {
        let state = match made.1 {
            Some(state) => state,
            None => hash::expand(&[API_ID, b"MESSAGE_GENERATOR_SEED"], &seed),
        };
        let number = octets(made.0.len() + 1);
        let next = hash::expand(&[&state, &number], &seed);
        let generator = hash::hash_to_curve(&next, &[API_ID, b"SIG_GENERATOR_DST_"]);
        made.0.push(generator);
        made.1 = Some(next);
    }
    Ok(made.0.iter().take(count).copied().collect())
}

/// Whether e(a, W) = e(b, P2).
fn pairings_match(a: &G1Affine, key: &PublicKey, b: &G1Affine) -> Result<()> {
    let (key, generator) = (G2Prepared::from(key.0), G2Prepared::from(-G2Affine::generator()));
    let product = Bls12::multi_miller_loop(&[(a, &key), (b, &generator)]).final_exponentiation();
    if product == Gt::identity() { Ok(()) } else { Err(invalid()) }
}

/// A compressed point of G1, in the subgroup and not infinity.
fn point(bytes: &[u8; 48]) -> Option<G1Affine> {
    Option::from(G1Affine::from_compressed(bytes)).filter(|point: &G1Affine| !bool::from(point.is_identity()))
}

/// `I2OSP(number, 8)`.
fn octets(number: usize) -> [u8; 8] {
    u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes()
}

fn private_key() -> Error {
    Error::malformed("private_key", "not a private key of BBS")
}

fn invalid() -> Error {
    Error::untrusted("signature_invalid", "the BBS signature or proof does not hold")
}

#[cfg(test)]
mod tests;
