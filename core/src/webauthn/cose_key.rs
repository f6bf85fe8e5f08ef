//! Credential public keys in COSE form (RFC 9052 §7, RFC 9053; WebAuthn Level 3 §5.8.5).

use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::webauthn::cbor::{Reader, Writer};

/// The COSE algorithm number of `algorithm` (IANA COSE Algorithms; WebAuthn §5.8.5).
pub const fn cose_algorithm(algorithm: SignatureAlgorithm) -> i64 {
    match algorithm {
        SignatureAlgorithm::Es256 => -7,
        SignatureAlgorithm::EdDsa => -8,
        SignatureAlgorithm::Es384 => -35,
        SignatureAlgorithm::Es512 => -36,
        SignatureAlgorithm::Rs256 => -257,
    }
}

/// The algorithm with that COSE number; anything else is [`Error::Unsupported`] `cose_algorithm`.
pub fn algorithm_from_cose(number: i64) -> Result<SignatureAlgorithm> {
    match number {
        -7 => Ok(SignatureAlgorithm::Es256),
        -8 => Ok(SignatureAlgorithm::EdDsa),
        -35 => Ok(SignatureAlgorithm::Es384),
        -36 => Ok(SignatureAlgorithm::Es512),
        -257 => Ok(SignatureAlgorithm::Rs256),
        _ => Err(Error::unsupported("cose_algorithm", format!("COSE algorithm {number} is not carried"))),
    }
}

/// Key type and, where the type has curves, curve and coordinate size that belong to an algorithm.
const fn shape(algorithm: SignatureAlgorithm) -> (i64, Option<(i64, usize)>) {
    match algorithm {
        SignatureAlgorithm::Es256 => (2, Some((1, 32))),
        SignatureAlgorithm::Es384 => (2, Some((2, 48))),
        SignatureAlgorithm::Es512 => (2, Some((3, 66))),
        SignatureAlgorithm::EdDsa => (1, Some((6, 32))),
        SignatureAlgorithm::Rs256 => (3, None),
    }
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("cose_key", detail)
}

/// The members of a credential key; -1 is a curve or an RSA modulus.
#[derive(Default)]
struct Members<'a> {
    kty: Option<i64>,
    alg: Option<i64>,
    crv: Option<i64>,
    n: Option<&'a [u8]>,
    x_or_e: Option<&'a [u8]>,
    y: Option<&'a [u8]>,
}

impl<'a> Members<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let mut m = Self::default();
        for _ in 0..reader.map()? {
            let fresh = match reader.int()? {
                1 => m.kty.replace(reader.int()?).is_none(),
                3 => m.alg.replace(reader.int()?).is_none(),
                -1 if reader.peek_major()? == 2 => m.n.replace(reader.bytes()?).is_none(),
                -1 => m.crv.replace(reader.int()?).is_none(),
                -2 => m.x_or_e.replace(reader.bytes()?).is_none(),
                -3 => m.y.replace(reader.bytes()?).is_none(),
                _ => return Err(malformed("a member that credential keys do not have")),
            };
            if !fresh {
                return Err(malformed("a member twice"));
            }
        }
        reader.finish()?;
        Ok(m)
    }
}

/// Parses one COSE key that fills `bytes`; the point is checked to lie on its curve.
///
/// Only the members that WebAuthn §5.8.5 demands may be there; compressed points are refused.
/// Errors: `cose_key` (also for a point off its curve or a weak RSA key) and `cose_algorithm`.
pub fn parse(bytes: &[u8]) -> Result<PublicKey> {
    let members = Members::read(bytes).map_err(|e| Error::malformed("cose_key", e.detail().to_owned()))?;
    let algorithm = algorithm_from_cose(members.alg.ok_or_else(|| malformed("no alg"))?)?;
    let off_curve = |_| malformed("the key is not a valid key of its algorithm");
    let (kty, curve) = shape(algorithm);
    if members.kty != Some(kty) {
        return Err(malformed("the key type does not fit the algorithm"));
    }
    let Some((crv, size)) = curve else {
        return match members {
            Members { n: Some(n), x_or_e: Some(e), crv: None, y: None, .. } => {
                PublicKey::from_rsa(n, e).map_err(off_curve)
            }
            _ => Err(malformed("modulus or exponent is missing, or a member too many")),
        };
    };
    let sized = |v: Option<&[u8]>| v.is_some_and(|v| v.len() == size);
    let is_ec = algorithm != SignatureAlgorithm::EdDsa;
    let (Some(x), true) = (members.x_or_e, sized(members.x_or_e)) else {
        return Err(malformed("x is missing or has the wrong size"));
    };
    if members.crv != Some(crv) || members.n.is_some() || is_ec != sized(members.y) {
        return Err(malformed("the curve does not fit the algorithm, or y the curve"));
    }
    match members.y {
        Some(y) if is_ec => PublicKey::from_sec1(algorithm, &[&[4], x, y].concat()).map_err(off_curve),
        None if !is_ec => PublicKey::from_ed25519(x).map_err(off_curve),
        _ => Err(malformed("y in an Ed25519 key")),
    }
}

/// `key` as a COSE key in CTAP2 canonical form; ECDSA keys only (else `cose_algorithm`).
pub fn encode(key: &PublicKey) -> Result<Vec<u8>> {
    let algorithm = key.algorithm();
    let ((kty, Some((crv, _))), Some((x, y))) = (shape(algorithm), key.coordinates()) else {
        return Err(Error::unsupported("cose_algorithm", "only ECDSA keys are encoded"));
    };
    let mut writer = Writer::default();
    writer.map(5).int(1).int(kty).int(3).int(cose_algorithm(algorithm)).int(-1).int(crv);
    writer.int(-2).bytes(x).int(-3).bytes(y);
    Ok(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Signer, SoftwareKey};

    fn code(bytes: &[u8]) -> &'static str {
        parse(bytes).unwrap_err().code()
    }

    #[test]
    fn round_trips_and_refuses() {
        for algorithm in [SignatureAlgorithm::Es256, SignatureAlgorithm::Es384, SignatureAlgorithm::Es512] {
            let key = SoftwareKey::generate(algorithm).unwrap();
            let bytes = encode(key.public_key()).unwrap();
            assert_eq!(parse(&bytes).unwrap(), *key.public_key());
            let mut off = bytes.clone();
            *off.last_mut().unwrap() ^= 1;
            assert_eq!(code(&off), "cose_key");
            assert_eq!(code(&[&bytes[..], &[0]].concat()), "cose_key");
            assert_eq!(code(&bytes[..bytes.len() - 1]), "cose_key");
        }
        let ed = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
        let x = ed.public_key().as_bytes();
        let okp = |alg, crv| {
            let mut w = Writer::default();
            w.map(4).int(1).int(1).int(3).int(alg).int(-1).int(crv).int(-2).bytes(x);
            w.finish()
        };
        assert_eq!(parse(&okp(-8, 6)).unwrap(), *ed.public_key());
        assert_eq!(code(&okp(-8, 7)), "cose_key");
        assert_eq!(code(&okp(-7, 1)), "cose_key");
        assert_eq!(code(&okp(-53, 7)), "cose_algorithm");
        let ec = |extra: &dyn Fn(&mut Writer), pairs| {
            let mut w = Writer::default();
            w.map(pairs).int(1).int(2).int(3).int(-7).int(-1).int(1).int(-2).bytes(&[1; 32]);
            extra(&mut w);
            w.finish()
        };
        assert_eq!(code(&ec(&|_| (), 4)), "cose_key");
        assert_eq!(
            code(&ec(
                &|w| {
                    w.int(-3).bytes(&[1; 31]);
                },
                5
            )),
            "cose_key"
        );
        assert_eq!(
            code(&ec(
                &|w| {
                    w.int(-2).bytes(&[1; 32]);
                },
                5
            )),
            "cose_key"
        );
        assert_eq!(
            code(&ec(
                &|w| {
                    w.int(4).array(0);
                },
                5
            )),
            "cose_key"
        );
        // y as a sign bit: a compressed point.
        let mut compressed = ec(
            &|w| {
                w.int(-3);
            },
            5,
        );
        compressed.push(0xf5);
        assert_eq!(code(&compressed), "cose_key");
    }
}
