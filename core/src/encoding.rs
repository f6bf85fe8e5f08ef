//! Encodings that the formats share: each strict, each bounded.

pub mod base64;
pub mod base64url;
pub mod canonical_json;
pub mod date_time;
pub mod deflate;
pub mod der;
pub mod json;
pub mod multibase;

/// SHA-256 of `bytes` (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&aws_lc_rs::digest::SHA256, bytes)
}

/// SHA-384 of `bytes` (FIPS 180-4).
pub fn sha384(bytes: &[u8]) -> [u8; 48] {
    digest(&aws_lc_rs::digest::SHA384, bytes)
}

/// SHA-512 of `bytes` (FIPS 180-4).
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    digest(&aws_lc_rs::digest::SHA512, bytes)
}

fn digest<const N: usize>(algorithm: &'static aws_lc_rs::digest::Algorithm, bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(aws_lc_rs::digest::digest(algorithm, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_abc() {
        // FIPS 180-4 examples, as base64url.
        assert_eq!(base64url::encode(&sha256(b"abc")), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_eq!(sha384(b"abc")[..4], [0xcb, 0x00, 0x75, 0x3f]);
        assert_eq!(sha512(b"abc")[..4], [0xdd, 0xaf, 0x35, 0xa1]);
    }
}
