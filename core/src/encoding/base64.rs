//! base64 with padding (RFC 4648 section 4, as `x5c` and subresource integrity use it), strict: padding demanded, no
//! white space, no trailing bits.

use data_encoding::BASE64;

use crate::error::{Error, Result};

/// `bytes` as base64 with padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The bytes of `text`; anything but canonical padded base64 is [`Error::Malformed`] `base64`.
pub fn decode(text: &str) -> Result<Vec<u8>> {
    let malformed = || Error::malformed("base64", "not canonical base64 with padding");
    // The decoder also reads padded pieces one after another.
    if text.trim_end_matches('=').contains('=') {
        return Err(malformed());
    }
    BASE64.decode(text.as_bytes()).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict() {
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
        assert_eq!(decode("+/8=").unwrap(), [0xfb, 0xff]);
        for bad in ["+/8", "-_8=", "+/9=", "+/ 8=", "+/8=\n", "+/8==", "=", "+/8=+/8=", "0+E=+aa/"] {
            assert_eq!(decode(bad).unwrap_err().code(), "base64", "{bad}");
        }
    }
}
