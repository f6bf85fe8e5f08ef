//! The packed values (sections 2.2, 3.3 and 3.4).

use crate::encoding::{base64url, deflate, multibase};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A list has at least this many entries, so that an index says little about whose it is (section 3.2 step 2).
pub const MIN_ENTRIES: u64 = 131_072;

/// Bits of one entry, 1 to 16 (the text has no upper bound; more than 65,536 messages per entry serve nobody).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusSize(u8);

impl StatusSize {
    /// Two values: set and unset.
    pub const ONE: Self = Self(1);

    /// [`Error::Malformed`] `bitstring_size` for zero and for more than 16.
    pub fn new(bits: u64) -> Result<Self> {
        match u8::try_from(bits) {
            Ok(bits @ 1..=16) => Ok(Self(bits)),
            _ => Err(Error::malformed("bitstring_size", "statusSize must be from 1 to 16")),
        }
    }

    /// The number of bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// How many values there are.
    pub const fn values(self) -> u64 {
        1 << self.0
    }
}

/// Values of equal size, the first at the left-most (most significant) bit of the first byte.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitstring(Vec<u8>);

impl Bitstring {
    /// At least `entries` entries of `size`, all zero; never fewer than [`MIN_ENTRIES`], and at least 16 KiB.
    ///
    /// [`Error::Misuse`] `bitstring_entries` for more than 2^31 bits.
    pub fn new(entries: u64, size: StatusSize) -> Result<Self> {
        let bits = entries.max(MIN_ENTRIES).checked_mul(u64::from(size.bits()));
        let bytes = bits.filter(|bits| *bits <= 1 << 31).map(|bits| bits.div_ceil(8));
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let misuse = || Error::misuse("bitstring_entries", "a status list of more than 2^31 bits");
        Ok(Self(vec![0; bytes.ok_or_else(misuse)?]))
    }

    /// The bits of an `encodedList` (section 3.4): multibase base64url, gzip, at most `limits.inflated_bytes`.
    ///
    /// [`Error::Malformed`] `bitstring_encoding` or `deflate_too_large`, [`Error::Untrusted`] `bitstring_length` for
    /// less than 131,072 bits.
    pub fn decode(encoded: &str, limits: &Limits) -> Result<Self> {
        let packed = encoded.strip_prefix('u').and_then(|text| base64url::decode(text).ok());
        let bytes = deflate::gzip_inflate(&packed.ok_or_else(encoding)?, limits.inflated_bytes);
        let bytes = bytes.map_err(|error| if error.code() == "deflate" { encoding() } else { error })?;
        let list = Self(bytes);
        if list.len_bits() < MIN_ENTRIES { Err(too_short()) } else { Ok(list) }
    }

    /// The `encodedList` of these bits (section 3.3).
    pub fn encode(&self) -> String {
        multibase::encode_base64url(&deflate::gzip_compress(&self.0))
    }

    /// The bits as stored, without compression, most significant first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What [`Self::as_bytes`] gave; [`Error::Untrusted`] `bitstring_length` for less than 131,072 bits.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let list = Self(bytes);
        if list.len_bits() < MIN_ENTRIES { Err(too_short()) } else { Ok(list) }
    }

    /// The number of bits.
    pub fn len_bits(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX).saturating_mul(8)
    }

    /// The value at `index`.
    ///
    /// [`Error::Untrusted`] `bitstring_length` when there are fewer than [`MIN_ENTRIES`] entries of this size,
    /// `bitstring_range` when there is no such entry.
    pub fn get(&self, index: u64, size: StatusSize) -> Result<u64> {
        let mut value = 0;
        for bit in self.place(index, size)? {
            let (byte, mask) = locate(bit).ok_or_else(out_of_range)?;
            let byte = self.0.get(byte).ok_or_else(out_of_range)?;
            value = value << 1 | u64::from(byte & mask != 0);
        }
        Ok(value)
    }

    /// Sets the value at `index`; errors of [`Self::get`], and [`Error::Misuse`] `status_too_large`.
    pub fn set(&mut self, index: u64, size: StatusSize, value: u64) -> Result<()> {
        if value >= size.values() {
            return Err(Error::misuse("status_too_large", "the list has too few bits for this status"));
        }
        let place = self.place(index, size)?;
        for (bit, shift) in place.zip((0..size.bits()).rev()) {
            let (byte, mask) = locate(bit).ok_or_else(out_of_range)?;
            let byte = self.0.get_mut(byte).ok_or_else(out_of_range)?;
            *byte = if value >> shift & 1 == 1 { *byte | mask } else { *byte & !mask };
        }
        Ok(())
    }

    fn place(&self, index: u64, size: StatusSize) -> Result<std::ops::Range<u64>> {
        let bits = u64::from(size.bits());
        if self.len_bits() / bits < MIN_ENTRIES {
            return Err(too_short());
        }
        let first = index.checked_mul(bits).ok_or_else(out_of_range)?;
        match first.checked_add(bits) {
            Some(end) if end <= self.len_bits() => Ok(first..end),
            _ => Err(out_of_range()),
        }
    }
}

/// The byte of a bit and the bit within it.
fn locate(bit: u64) -> Option<(usize, u8)> {
    Some((usize::try_from(bit / 8).ok()?, 0x80 >> (bit % 8)))
}

impl std::fmt::Debug for Bitstring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bitstring").field("len_bits", &self.len_bits()).finish()
    }
}

fn encoding() -> Error {
    Error::malformed("bitstring_encoding", "encodedList is not multibase base64url of one gzip member")
}

fn too_short() -> Error {
    Error::untrusted("bitstring_length", "the status list is shorter than herd privacy demands")
}

fn out_of_range() -> Error {
    Error::untrusted("bitstring_range", "the status list has no entry of this index")
}
