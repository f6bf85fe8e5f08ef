//! Multibase (W3C Controlled Identifiers 1.0 section 2.4): `z` base58btc and `u` base64url without padding.

use crate::encoding::base64url;
use crate::error::{Error, Result};

/// `bytes` in base58btc with the prefix `z`.
pub fn encode_base58btc(bytes: &[u8]) -> String {
    let mut out = String::from("z");
    out.push_str(&bs58::encode(bytes).into_string());
    out
}

/// `bytes` in base64url without padding, with the prefix `u`.
pub fn encode_base64url(bytes: &[u8]) -> String {
    let mut out = String::from("u");
    out.push_str(&base64url::encode(bytes));
    out
}

/// The at most `max` bytes of `text`, which starts with `z` or `u`.
///
/// The length is checked first, because decoding base58 takes quadratic time. [`Error::Malformed`] `multibase`.
pub fn decode(text: &str, max: usize) -> Result<Vec<u8>> {
    // A byte takes at most 1.37 characters in base58, and 1.34 in base64url; leading zeros take one each.
    if text.len() > max.saturating_mul(7).div_ceil(5).saturating_add(2) {
        return Err(malformed());
    }
    let bytes = match text.split_at_checked(1) {
        Some(("z", rest)) => bs58::decode(rest).into_vec().map_err(|_| malformed())?,
        Some(("u", rest)) => base64url::decode(rest).map_err(|_| malformed())?,
        _ => return Err(malformed()),
    };
    if bytes.len() > max { Err(malformed()) } else { Ok(bytes) }
}

fn malformed() -> Error {
    Error::malformed("multibase", "not multibase in base58btc (z) or base64url (u), or too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(encode_base58btc(b"hello"), "zCn8eVZg");
        for text in ["zCn8eVZg", "uaGVsbG8"] {
            assert_eq!(decode(text, 5).unwrap(), b"hello");
            assert_eq!(decode(text, 4).unwrap_err().code(), "multibase");
        }
        assert_eq!(decode(&encode_base64url(&[0, 0, 1]), 3).unwrap(), [0, 0, 1]);
        assert_eq!(decode(&encode_base58btc(&[0, 0, 1]), 3).unwrap(), [0, 0, 1]);
    }

    #[test]
    fn refuses() {
        for bad in ["", "Cn8eVZg", "z0OIl", "uaGVsbG8=", "maGVsbG8", "é"] {
            assert_eq!(decode(bad, 64).unwrap_err().code(), "multibase", "{bad}");
        }
        assert!(decode(&format!("z{}", "2".repeat(1_000_000)), 64).is_err());
    }
}
