//! Hashing to scalars and to the curve (RFC 9380 sections 5.3.1 and 3; BBS section 4.2.2).

use aws_lc_rs::digest::{Context, SHA256};
use blstrs::{G1Projective, Scalar};
use ff::Field;

/// `expand_message_xmd` with SHA-256; at most 255 × 32 bytes.
pub(super) fn expand<const N: usize>(message: &[&[u8]], dst: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    expand_into(message, dst, &mut out);
    out
}

/// [`expand`] into a slice.
pub(super) fn expand_into(message: &[&[u8]], dst: &[&[u8]], out: &mut [u8]) {
    let mut dst = dst.concat();
    dst.push(u8::try_from(dst.len()).unwrap_or(u8::MAX)); // the tags of this module are short
    let [.., high, low] = out.len().to_be_bytes();
    let mut first = Context::new(&SHA256);
    first.update(&[0; 64]);
    message.iter().for_each(|part| first.update(part));
    first.update(&[high, low, 0]);
    first.update(&dst);
    let first = first.finish();
    let mut block = [0_u8; 32];
    for (index, chunk) in out.chunks_mut(32).enumerate() {
        let mut mixed = [0_u8; 32];
        mixed.iter_mut().zip(first.as_ref()).zip(block).for_each(|((to, a), b)| *to = a ^ b);
        let mut next = Context::new(&SHA256);
        next.update(&mixed);
        next.update(&[u8::try_from(index + 1).unwrap_or(u8::MAX)]);
        next.update(&dst);
        block.iter_mut().zip(next.finish().as_ref()).for_each(|(to, from)| *to = *from);
        chunk.iter_mut().zip(block).for_each(|(to, from)| *to = from);
    }
}

/// A point of G1.
pub(super) fn hash_to_curve(message: &[u8], dst: &[&[u8]]) -> G1Projective {
    G1Projective::hash_to_curve(message, &dst.concat(), &[])
}

/// A scalar from a message.
pub(super) fn hash_to_scalar(message: &[u8], dst: &[&[u8]]) -> Scalar {
    reduce(&expand(&[message], dst))
}

/// 48 bytes, big-endian, modulo the group's order.
pub(super) fn reduce(bytes: &[u8; 48]) -> Scalar {
    let shift = Scalar::from(1 << 32).square().square(); // 2^128
    let mut out = Scalar::from(0);
    for chunk in bytes.chunks(16) {
        let mut wide = [0; 32];
        wide.iter_mut().skip(16).zip(chunk).for_each(|(to, from)| *to = *from);
        // Sixteen bytes are below the order.
        out = out * shift + scalar(&wide).unwrap_or_default();
    }
    out
}

/// 32 bytes, big-endian, if below the group's order.
pub(super) fn scalar(bytes: &[u8; 32]) -> Option<Scalar> {
    Option::from(Scalar::from_bytes_be(bytes))
}
