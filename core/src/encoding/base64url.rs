//! base64url without padding (RFC 4648 section 5, as JOSE and WebAuthn use it), strict: no padding, no white space, no
//! trailing bits.

use data_encoding::BASE64URL_NOPAD;

use crate::error::{Error, Result};

/// `bytes` as base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The bytes of `text`; anything but canonical unpadded base64url is [`Error::Malformed`] `base64url`.
pub fn decode(text: &str) -> Result<Vec<u8>> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| Error::malformed("base64url", "not canonical base64url without padding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict() {
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        for bad in ["-_8=", "+/8", "-_9", "-_ 8", "a"] {
            assert_eq!(decode(bad).unwrap_err().code(), "base64url", "{bad}");
        }
    }
}
