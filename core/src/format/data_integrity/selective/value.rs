//! The common frame of `proofValue`: a header of three bytes that tells base and derived proofs apart, and five elements
//! of strict CBOR.

use crate::error::{Error, Result};
use crate::webauthn::cbor::Reader;

/// Whether the value is that of a base proof, and its elements.
pub(in super::super) fn open<'a>(
    bytes: &'a [u8],
    base: [u8; 3],
    derived: [u8; 3],
) -> Result<(bool, Reader<'a>)> {
    let (header, body) = bytes.split_at_checked(3).ok_or_else(malformed)?;
    let is_base = header == base;
    let mut reader = Reader::new(body);
    if (is_base || header == derived) && reader.array()? == 5 {
        Ok((is_base, reader))
    } else {
        Err(malformed())
    }
}

/// A byte string of this length.
pub(in super::super) fn exact<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N]> {
    reader.bytes()?.try_into().map_err(|_| malformed())
}

/// A number that is not negative.
pub(in super::super) fn number<T: TryFrom<i64>>(reader: &mut Reader<'_>) -> Result<T> {
    T::try_from(reader.int()?).map_err(|_| malformed())
}

/// An array.
pub(in super::super) fn list<T>(
    reader: &mut Reader<'_>,
    read: impl Fn(&mut Reader<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let len = reader.array()?;
    (0..len).map(|_| read(reader)).collect()
}

/// Which part of the CBOR is wrong does not help anybody: one code for all.
pub(in super::super) fn malformed() -> Error {
    Error::malformed("proof_value", "proofValue is not that of a proof of its cryptosuite")
}
