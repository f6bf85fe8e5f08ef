//! Proofs of knowledge of a signature (sections 3.5.3, 3.5.4 and 3.7).

use std::collections::BTreeMap;

use blstrs::{G1Affine, G1Projective, Scalar};
use ff::Field;
use group::Curve;

use super::hash::{hash_to_scalar, reduce, scalar};
use super::{
    API_ID, Messages, PublicKey, Signature, domain, fixed_point, generators, invalid, message_scalar,
};
use super::{multiply, octets, pairings_match, point};
use crate::error::{Error, Result};
use crate::random::Random;

/// A proof that somebody holds a signature over messages, some of which it discloses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    a_bar: G1Affine,
    b_bar: G1Affine,
    d: G1Affine,
    e: Scalar,
    r1: Scalar,
    r3: Scalar,
    /// One for each message that is not disclosed.
    hidden: Vec<Scalar>,
    challenge: Scalar,
}

/// What the challenge is made of beside the disclosed messages.
struct Commitments<'a> {
    points: [&'a G1Affine; 5],
    domain: &'a Scalar,
}

impl Commitments<'_> {
    /// Section 3.7.4; `disclosed` maps indexes to messages.
    fn challenge(&self, disclosed: &BTreeMap<usize, Scalar>, presentation_header: &[u8]) -> Scalar {
        let mut input = octets(disclosed.len()).to_vec();
        for (index, message) in disclosed {
            input.extend_from_slice(&octets(*index));
            input.extend_from_slice(&message.to_bytes_be());
        }
        for point in self.points {
            input.extend_from_slice(&point.to_compressed());
        }
        input.extend_from_slice(&self.domain.to_bytes_be());
        input.extend_from_slice(&octets(presentation_header.len()));
        input.extend_from_slice(presentation_header);
        hash_to_scalar(&input, &[API_ID, b"H2S_"])
    }
}

impl Proof {
    /// The shortest proof: every message disclosed.
    const MIN_LEN: usize = 3 * 48 + 4 * 32;

    /// A proof that discloses the messages at `disclosed` (indexes of `messages`), bound to `presentation_header`. The
    /// signature is not verified here.
    ///
    /// [`Error::Malformed`] `bbs_messages` for too many messages or an index beyond the end.
    pub fn new(
        key: &PublicKey,
        signature: &Signature,
        header: &[u8],
        presentation_header: &[u8],
        messages: &[&[u8]],
        disclosed: &[usize],
        random: &dyn Random,
    ) -> Result<Self> {
        let draw = || loop {
            let scalar = reduce(&random.array());
            if !bool::from(scalar.is_zero()) {
                break scalar;
            }
        };
        Self::with_scalars(key, signature, header, presentation_header, messages, disclosed, draw)
    }

    /// [`Self::new`] with the scalars that `draw` gives one after the other.
    pub(super) fn with_scalars(
        key: &PublicKey,
        signature: &Signature,
        header: &[u8],
        presentation_header: &[u8],
        messages: &[&[u8]],
        disclosed: &[usize],
        mut draw: impl FnMut() -> Scalar,
    ) -> Result<Self> {
        let all = Messages::of(key, header, messages)?;
        let mut shown = BTreeMap::new();
        for index in disclosed {
            shown.insert(*index, *all.scalars.get(*index).ok_or_else(index_error)?);
        }
        let [r1, r2, e_blind, r1_blind, r3_blind] = std::array::from_fn(|_| draw());
        let hidden: Vec<usize> = (0..messages.len()).filter(|index| !shown.contains_key(index)).collect();
        let blinds: Vec<Scalar> = hidden.iter().map(|_| draw()).collect();

        let d = all.commitment() * r2;
        let a_bar = signature.a * (r1 * r2);
        let b_bar = d * r1 - a_bar * signature.e;
        let t1 = a_bar * e_blind + d * r1_blind;
        let mut t2 = d * r3_blind;
        for (index, blind) in hidden.iter().zip(&blinds) {
            // One by one, which takes constant time: the scalars are secret.
            t2 += *all.generators.get(index + 1).ok_or_else(index_error)? * *blind;
        }
        let [a_bar, b_bar, d, t1, t2] = [a_bar, b_bar, d, t1, t2].map(|point| point.to_affine());
        let commitments = Commitments { points: [&a_bar, &b_bar, &d, &t1, &t2], domain: &all.domain };
        let challenge = commitments.challenge(&shown, presentation_header);
        let r3 = Option::<Scalar>::from(r2.invert()).ok_or_else(invalid)?;
        let message = |index: &usize| all.scalars.get(*index).copied().unwrap_or_default();
        let hidden =
            hidden.iter().zip(blinds).map(|(index, blind)| blind + message(index) * challenge).collect();
        Ok(Self {
            a_bar,
            b_bar,
            d,
            e: e_blind + signature.e * challenge,
            r1: r1_blind - r1 * challenge,
            r3: r3_blind - r3 * challenge,
            hidden,
            challenge,
        })
    }

    /// Verifies the proof; `disclosed` maps the indexes of the disclosed messages to them.
    ///
    /// [`Error::Untrusted`] `signature_invalid`; [`Error::Malformed`] `bbs_messages`.
    pub fn verify(
        &self,
        key: &PublicKey,
        header: &[u8],
        presentation_header: &[u8],
        disclosed: &BTreeMap<usize, &[u8]>,
    ) -> Result<()> {
        let count = disclosed.len() + self.hidden.len();
        if disclosed.last_key_value().is_some_and(|(last, _)| *last >= count) {
            return Err(index_error());
        }
        let generators = generators(count)?;
        let domain = domain(key, &generators, header);
        let shown: BTreeMap<usize, Scalar> =
            disclosed.iter().map(|(index, message)| (*index, message_scalar(message))).collect();

        let [a_bar, b_bar, d]: [G1Projective; 3] = [self.a_bar, self.b_bar, self.d].map(Into::into);
        let t1 = multiply(&[b_bar, a_bar, d], &[self.challenge, self.e, self.r1]);
        // B·c + D·r3 + Σ H·hidden in one sum.
        let mut scalars = Vec::with_capacity(count + 3);
        scalars.push(domain * self.challenge);
        let mut hidden = self.hidden.iter();
        for index in 0..count {
            match shown.get(&index) {
                Some(message) => scalars.push(*message * self.challenge),
                None => scalars.push(*hidden.next().ok_or_else(index_error)?),
            }
        }
        let mut points = generators;
        points.extend([fixed_point(), d]);
        scalars.extend([self.challenge, self.r3]);
        let t2 = multiply(&points, &scalars);
        let [t1, t2] = [t1, t2].map(|point| point.to_affine());
        let commitments =
            Commitments { points: [&self.a_bar, &self.b_bar, &self.d, &t1, &t2], domain: &domain };
        if commitments.challenge(&shown, presentation_header) != self.challenge {
            return Err(invalid());
        }
        pairings_match(&self.a_bar, key, &self.b_bar)
    }

    /// Reads a proof; [`Error::Malformed`] `bbs_proof`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let malformed = || Error::malformed("bbs_proof", "not a BBS proof");
        let hidden = bytes.len().checked_sub(Self::MIN_LEN).filter(|rest| rest % 32 == 0);
        let hidden = hidden.ok_or_else(malformed)? / 32;
        let (points, scalars) = bytes.split_at_checked(3 * 48).ok_or_else(malformed)?;
        let mut points = points.chunks(48).map(|chunk| chunk.try_into().ok().and_then(point));
        let mut scalars = scalars.chunks(32).map(|chunk| {
            let scalar = chunk.try_into().ok().and_then(scalar);
            scalar.filter(|scalar| !bool::from(scalar.is_zero())).ok_or_else(malformed)
        });
        let mut next_point = || points.next().flatten().ok_or_else(malformed);
        let (a_bar, b_bar, d) = (next_point()?, next_point()?, next_point()?);
        let mut next = || scalars.next().ok_or_else(malformed)?;
        let (e, r1, r3) = (next()?, next()?, next()?);
        let hidden = (0..hidden).map(|_| next()).collect::<Result<_>>()?;
        Ok(Self { a_bar, b_bar, d, e, r1, r3, hidden, challenge: next()? })
    }

    /// The bytes of the proof.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::MIN_LEN + 32 * self.hidden.len());
        for point in [&self.a_bar, &self.b_bar, &self.d] {
            out.extend_from_slice(&point.to_compressed());
        }
        let scalars = [&self.e, &self.r1, &self.r3].into_iter().chain(&self.hidden).chain([&self.challenge]);
        for scalar in scalars {
            out.extend_from_slice(&scalar.to_bytes_be());
        }
        out
    }

    /// How many messages it does not disclose.
    pub fn hidden(&self) -> usize {
        self.hidden.len()
    }
}

fn index_error() -> Error {
    Error::malformed("bbs_messages", "a disclosed index is beyond the messages of the signature")
}
