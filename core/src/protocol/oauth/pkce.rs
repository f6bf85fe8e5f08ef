//! Proof Key for Code Exchange (RFC 7636), method `S256` only.

use subtle::ConstantTimeEq;

use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};

/// The only `code_challenge_method`.
pub const S256: &str = "S256";

/// The challenge of a verifier (section 4.2).
pub fn challenge(verifier: &str) -> String {
    base64url::encode(&sha256(verifier.as_bytes()))
}

/// Whether `text` has the form of a challenge: 32 bytes in base64url.
pub fn is_challenge(text: &str) -> bool {
    base64url::decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// Checks a verifier against the challenge of the authorization request (section 4.6).
///
/// # Errors
/// `pkce_verifier`: not 43 to 128 unreserved characters, or of another challenge.
pub fn check(verifier: &str, expected: &str) -> Result<()> {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
    let equal = bool::from(challenge(verifier).as_bytes().ct_eq(expected.as_bytes()));
    if formed && equal {
        Ok(())
    } else {
        Err(Error::refused("pkce_verifier", "code_verifier does not fit the code_challenge"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(verifier), expected);
        assert!(is_challenge(expected) && !is_challenge("x") && !is_challenge("E9Mel="));
        check(verifier, expected).unwrap();
        for (verifier, challenge) in [("short", expected), (expected, expected), ("", "")] {
            assert_eq!(check(verifier, challenge).unwrap_err().code(), "pkce_verifier");
        }
        let long = "x".repeat(129);
        assert_eq!(check(&long, &challenge(&long)).unwrap_err().code(), "pkce_verifier");
    }
}
