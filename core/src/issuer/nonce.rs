//! Nonces without state: `base64url(expiry ‖ random ‖ tag)`. Only a *used* nonce is written down, until it expires, so
//! asking for nonces costs the issuer nothing and a restart forgets none.

use subtle::ConstantTimeEq;

use super::Issuer;
use crate::clock::UnixTime;
use crate::encoding::base64url;
use crate::error::{Error, Result};

const LABEL: &str = "carekey c_nonce v1";
const RANDOM: usize = 16;

/// A nonce of this issuer that has not expired. Whether it was used is for the store to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownNonce {
    /// The random part: the key under which use is recorded.
    pub(super) key: Vec<u8>,
    pub(super) expires_at: UnixTime,
}

impl Issuer {
    /// A fresh nonce.
    pub fn nonce(&self) -> String {
        self.timed_nonce(LABEL, self.settings.nonce_lifetime)
    }

    /// A fresh nonce of the kind `label` that is good for `lifetime` seconds.
    pub(super) fn timed_nonce(&self, label: &str, lifetime: i64) -> String {
        let expires = self.now().plus(lifetime).as_secs().to_be_bytes();
        let random: [u8; RANDOM] = self.random.array();
        let body = [expires.as_slice(), random.as_slice()].concat();
        let tag = self.mac(label, &body);
        base64url::encode(&[body.as_slice(), tag.as_slice()].concat())
    }

    /// Recognises a nonce of this issuer.
    ///
    /// # Errors
    /// `nonce_unknown`: not made by this issuer. `nonce_expired`.
    pub(super) fn known_nonce(&self, nonce: &str) -> Result<KnownNonce> {
        self.known_timed_nonce(LABEL, nonce)
    }

    pub(super) fn known_timed_nonce(&self, label: &str, nonce: &str) -> Result<KnownNonce> {
        let unknown = || Error::refused("nonce_unknown", "the nonce is not from this issuer");
        let bytes = base64url::decode(nonce).map_err(|_| unknown())?;
        let (body, tag) = bytes.split_last_chunk::<32>().ok_or_else(unknown)?;
        if !bool::from(self.mac(label, body).ct_eq(tag)) {
            return Err(unknown());
        }
        let (expires, random) = body.split_first_chunk::<8>().ok_or_else(unknown)?;
        let expires_at = UnixTime::from_secs(i64::from_be_bytes(*expires));
        let now = self.now();
        if now >= expires_at {
            return Err(Error::not_current("nonce_expired", "the nonce has expired", now, expires_at));
        }
        Ok(KnownNonce { key: random.to_vec(), expires_at })
    }
}
