//! What a challenge commits to.

use serde::Serialize;

use crate::clock::UnixTime;
use crate::encoding::sha256;
use crate::error::{Error, Result};

/// Separates these hashes from every other use of SHA-256.
const DOMAIN: &[u8] = b"biometric-binding/v1\0";

/// `SHA-256(domain ‖ 0x00 ‖ JCS(statement))`.
///
/// Members are declared in the order of their names and hold only strings and integers below 2^53, so that serde_json's
/// output is the canonical form of RFC 8785; a test compares the two.
fn challenge(statement: &impl Serialize) -> Result<[u8; 32]> {
    let mut input = Vec::with_capacity(640);
    input.extend_from_slice(DOMAIN);
    serde_json::to_writer(&mut input, statement)
        .map_err(|_| Error::misuse("statement", "the statement does not serialize"))?;
    Ok(sha256(&input))
}

/// What the registration of AK commits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolmentStatement<'a> {
    /// The issuer's nonce.
    pub c_nonce: &'a str,
    /// The wallet's client id.
    pub client_id: &'a str,
    /// RFC 7638 thumbprint of HK.
    pub hk_jkt: &'a str,
    /// The credential issuer identifier.
    pub iss: &'a str,
    /// The RP ID that AK belongs to.
    pub rp_id: &'a str,
}

#[derive(Serialize)]
struct Enrolment<'a> {
    c_nonce: &'a str,
    client_id: &'a str,
    hk_jkt: &'a str,
    iss: &'a str,
    rp_id: &'a str,
    typ: &'static str,
    v: u8,
}

impl EnrolmentStatement<'_> {
    fn members(&self) -> Enrolment<'_> {
        let Self { c_nonce, client_id, hk_jkt, iss, rp_id } = *self;
        Enrolment { c_nonce, client_id, hk_jkt, iss, rp_id, typ: "enrolment", v: 1 }
    }

    /// The challenge of the registration.
    pub fn challenge(&self) -> Result<[u8; 32]> {
        challenge(&self.members())
    }
}

/// What an assertion by AK commits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentationStatement<'a> {
    /// The verifier (`aud` of the key-binding JWT).
    pub aud: &'a str,
    /// `sd_hash` of the presentation.
    pub content_hash: &'a str,
    /// Expiry of the key-binding JWT.
    pub exp: UnixTime,
    /// RFC 7638 thumbprint of HK.
    pub hk_jkt: &'a str,
    /// Time of the key-binding JWT.
    pub iat: UnixTime,
    /// The verifier's nonce.
    pub nonce: &'a str,
    /// The hashes of the transaction data (OpenID4VP 1.0 B.3.3); empty when the request had none.
    pub txn: &'a [String],
}

#[derive(Serialize)]
struct Presentation<'a> {
    aud: &'a str,
    content_hash: &'a str,
    exp: i64,
    hk_jkt: &'a str,
    iat: i64,
    nonce: &'a str,
    txn: &'a [String],
    txn_alg: &'static str,
    typ: &'static str,
    v: u8,
}

impl PresentationStatement<'_> {
    fn members(&self) -> Presentation<'_> {
        let Self { aud, content_hash, exp, hk_jkt, iat, nonce, txn } = *self;
        let (exp, iat) = (exp.as_secs(), iat.as_secs());
        Presentation {
            aud,
            content_hash,
            exp,
            hk_jkt,
            iat,
            nonce,
            txn,
            txn_alg: "sha-256",
            typ: "presentation",
            v: 1,
        }
    }

    /// The challenge of the assertion.
    pub fn challenge(&self) -> Result<[u8; 32]> {
        challenge(&self.members())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{base64url, canonical_json};

    const HK: &str = "-PS8zHZtFVATSjbdQpck2YRQZmUoPTdLfkWDU3MzcKI";

    #[test]
    fn golden_challenges() {
        let txn = ["mlLIPg8ozkYgd6AOuKpo8IhghP1zyTK0FnMUmIMpZ78".to_owned()];
        let statement = PresentationStatement {
            aud: "x509_hash:C7stNiT6YbZSiYzym1rAeOzLrRcYxZBUw8LH4MdV0yI",
            content_hash: "Omrm4ZVp041MOk-nCCG1PiEwaD_hwzJEbG0WCposZuo",
            exp: UnixTime::from_secs(1_796_000_220),
            hk_jkt: HK,
            iat: UnixTime::from_secs(1_796_000_100),
            nonce: "WYVxNuwz3RBEhnJKM4LvVh2tOdXI9WRUPYqA_qa0klM",
            txn: &txn,
        };
        assert_eq!(
            base64url::encode(&statement.challenge().unwrap()),
            "4uQJ9uiCTdQCU8LXnkLPjXT5mKXLSUKnpgrXshxfSbo"
        );
        let enrolment = EnrolmentStatement {
            c_nonce: "P2nNpi88lMSQh2WyZ9ZYFLP7a6nosylaCqsSSdLG3xY",
            client_id: "wallet.example",
            hk_jkt: HK,
            iss: "https://hospital.example",
            rp_id: "present.wallet.example",
        };
        assert_eq!(
            base64url::encode(&enrolment.challenge().unwrap()),
            "EP3XaHraluvhPw4kxSSkUMyg763QT3nzwms1bS3qpAI"
        );
    }

    #[test]
    fn serialization_is_canonical() {
        let odd = "a\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}\u{2028}é😀";
        let statement = PresentationStatement {
            aud: odd,
            content_hash: "",
            exp: UnixTime::from_secs(9_007_199_254_740_991),
            hk_jkt: odd,
            iat: UnixTime::from_secs(0),
            nonce: odd,
            txn: &[odd.to_owned(), String::new()],
        };
        let value = serde_json::to_value(statement.members()).unwrap();
        assert_eq!(
            serde_json::to_vec(&statement.members()).unwrap(),
            canonical_json::to_vec(&value).unwrap()
        );
        let enrolment =
            EnrolmentStatement { c_nonce: odd, client_id: odd, hk_jkt: odd, iss: odd, rp_id: odd };
        let value = serde_json::to_value(enrolment.members()).unwrap();
        assert_eq!(
            serde_json::to_vec(&enrolment.members()).unwrap(),
            canonical_json::to_vec(&value).unwrap()
        );
    }
}
