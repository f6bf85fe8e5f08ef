//! Sealing: XChaCha20-Poly1305 under a key of its own for each kind of thing, bound to the thing's place.
//!
//! `01` ‖ nonce (24 bytes) ‖ ciphertext and tag; additional data: `"carekey vault"` ‖ 01 ‖ vault id ‖ kind ‖ 00 ‖ place.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};

use super::Vault;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Seals `plain` in place: nothing of it is left in another buffer.
pub(super) fn seal(
    vault: &Vault,
    kind: &str,
    place: &[u8],
    plain: &Secret<Vec<u8>>,
    random: &dyn Random,
) -> Result<Vec<u8>> {
    seal_with(vault.records_key(), &aad(vault, kind, place), plain, random)
}

/// The same under a key that belongs to no vault.
pub(super) fn seal_with(
    key: &Secret<[u8; 32]>,
    aad: &[u8],
    plain: &Secret<Vec<u8>>,
    random: &dyn Random,
) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE] = random.array();
    let mut sealed = Vec::with_capacity(1 + NONCE + plain.expose().len() + TAG);
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain.expose());
    let body = sealed.get_mut(1 + NONCE..).unwrap_or_default();
    let tag = cipher(key)
        .encrypt_in_place_detached(XNonce::from_slice(&nonce), aad, body)
        .map_err(|_| Error::misuse("vault_seal", "the record is too long to seal"))?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// The plain bytes, if they were sealed for exactly this kind and place.
pub(super) fn open(vault: &Vault, kind: &str, place: &[u8], sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
    open_with(vault.records_key(), &aad(vault, kind, place), sealed)
}

/// The same under a key that belongs to no vault.
pub(super) fn open_with(key: &Secret<[u8; 32]>, aad: &[u8], sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
    let rest = sealed.strip_prefix(&[VERSION])?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    let (body, tag) = rest.split_last_chunk::<TAG>()?;
    let mut plain = Secret::new(body.to_vec());
    let opened = cipher(key).decrypt_in_place_detached(
        XNonce::from_slice(nonce),
        aad,
        plain.expose_mut(),
        Tag::from_slice(tag),
    );
    opened.ok().map(|()| plain)
}

fn cipher(key: &Secret<[u8; 32]>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(Key::from_slice(key.expose()))
}

fn aad(vault: &Vault, kind: &str, place: &[u8]) -> Vec<u8> {
    [b"carekey vault", [VERSION].as_slice(), vault.id(), kind.as_bytes(), &[0], place].concat()
}
