//! DEFLATE (RFC 1951) and its zlib (RFC 1950) and gzip (RFC 1952) wrappings, bounded: no input can unpack to more than the caller allows.

use std::io::Read;

use flate2::read::{DeflateDecoder, DeflateEncoder, GzEncoder, ZlibDecoder, ZlibEncoder};
use flate2::{Compression, bufread};

use crate::error::{Error, Result};

/// `bytes` compressed, with the zlib header and checksum (Token Status List).
pub fn zlib_compress(bytes: &[u8]) -> Vec<u8> {
    read_all(ZlibEncoder::new(bytes, Compression::best()))
}

/// `bytes` compressed, without header (SMART Health Cards).
pub fn raw_compress(bytes: &[u8]) -> Vec<u8> {
    read_all(DeflateEncoder::new(bytes, Compression::best()))
}

/// `bytes` compressed, with the gzip header (no name, no time) and checksum (Bitstring Status List).
pub fn gzip_compress(bytes: &[u8]) -> Vec<u8> {
    read_all(GzEncoder::new(bytes, Compression::best()))
}

/// The content of one zlib stream, at most `max` bytes.
///
/// [`Error::Malformed`] `deflate_too_large` when there is more, `deflate` when the stream, its checksum or its end is
/// wrong, or when bytes follow it.
pub fn zlib_inflate(bytes: &[u8], max: usize) -> Result<Vec<u8>> {
    let mut decoder = ZlibDecoder::new(bytes);
    let out = inflate(&mut decoder, max)?;
    consumed(decoder.total_in(), bytes).map(|()| out)
}

/// The content of one raw DEFLATE stream, at most `max` bytes; errors as [`zlib_inflate`].
pub fn raw_inflate(bytes: &[u8], max: usize) -> Result<Vec<u8>> {
    let mut decoder = DeflateDecoder::new(bytes);
    let out = inflate(&mut decoder, max)?;
    consumed(decoder.total_in(), bytes).map(|()| out)
}

/// The content of one gzip member, at most `max` bytes; errors as [`zlib_inflate`].
pub fn gzip_inflate(bytes: &[u8], max: usize) -> Result<Vec<u8>> {
    let mut decoder = bufread::GzDecoder::new(bytes);
    let out = inflate(&mut decoder, max)?;
    if decoder.into_inner().is_empty() { Ok(out) } else { Err(malformed()) }
}

fn read_all(mut encoder: impl Read) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = encoder.read_to_end(&mut out); // reading from memory into memory cannot fail
    out
}

fn inflate(decoder: &mut impl Read, max: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(limit).read_to_end(&mut out).map_err(|_| malformed())?;
    if out.len() > max {
        return Err(Error::malformed(
            "deflate_too_large",
            "the compressed value unpacks to more than allowed",
        ));
    }
    Ok(out)
}

fn consumed(total_in: u64, bytes: &[u8]) -> Result<()> {
    if u64::try_from(bytes.len()) == Ok(total_in) { Ok(()) } else { Err(malformed()) }
}

fn malformed() -> Error {
    Error::malformed("deflate", "not one complete DEFLATE stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_bounds() {
        let data = vec![7; 100_000];
        type Inflate = fn(&[u8], usize) -> Result<Vec<u8>>;
        let cases: [(Vec<u8>, Inflate); 3] = [
            (zlib_compress(&data), zlib_inflate),
            (raw_compress(&data), raw_inflate),
            (gzip_compress(&data), gzip_inflate),
        ];
        for (packed, inflate) in cases {
            assert!(packed.len() < 1_000);
            assert_eq!(inflate(&packed, 100_000).unwrap(), data);
            assert_eq!(inflate(&packed, 99_999).unwrap_err().code(), "deflate_too_large");
            assert_eq!(inflate(&packed[..packed.len() - 1], 200_000).unwrap_err().code(), "deflate");
            assert_eq!(inflate(&[&packed[..], &[0]].concat(), 200_000).unwrap_err().code(), "deflate");
            assert_eq!(inflate(&[], 10).unwrap_err().code(), "deflate");
            assert_eq!(inflate(&[0xff; 20], 10).unwrap_err().code(), "deflate");
        }
    }

    #[test]
    fn checksum_is_checked() {
        let mut packed = zlib_compress(b"status");
        *packed.last_mut().unwrap() ^= 1;
        assert_eq!(zlib_inflate(&packed, 100).unwrap_err().code(), "deflate");
    }

    #[test]
    fn token_status_list_example() {
        // draft-ietf-oauth-status-list section 4.1: 16 one-bit entries.
        let lst = crate::encoding::base64url::decode("eNrbuRgAAhcBXQ").unwrap();
        assert_eq!(zlib_inflate(&lst, 16).unwrap(), [0xb9, 0xa3]);
    }
}
