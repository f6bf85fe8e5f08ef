//! The recovery code: what opens the vault when every device key and passkey is lost.
//!
//! 18 random bytes (144 bits) and a checksum of 16 bits, as eight groups of four letters of Crockford's base32:
//! `4ZQ7-0C9V-…`. Nobody can guess 144 bits, so the code needs no memory-hard derivation: that would only make a
//! small phone wait. The checksum tells a slip of the pen from a code of another wallet; it says nothing about the key.

use super::{BackupKey, derive};
use crate::encoding::sha256;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SECRET_BYTES: usize = 18;
const LETTERS: usize = 32;

/// A recovery code; `Debug` hides it, and it is wiped when dropped.
#[derive(Debug, Clone)]
pub struct RecoveryCode(Secret<[u8; SECRET_BYTES]>);

impl RecoveryCode {
    /// A fresh one.
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::new(random.array()))
    }

    /// Reads what a person typed: case, spaces and hyphens do not matter, and O, I and L are taken for 0 and 1.
    ///
    /// # Errors
    /// `recovery_code_mistyped` when it has another length, a foreign letter, or the checksum does not fit.
    pub fn parse(text: &str) -> Result<Self> {
        let mistyped =
            || Error::malformed("recovery_code_mistyped", "this is no recovery code: check each group");
        let mut bytes = Secret::new([0_u8; SECRET_BYTES + 2]);
        let (mut bits, mut buffer, mut letters) = (0_u32, 0_u32, 0_usize);
        let mut out = bytes.expose_mut().iter_mut();
        for letter in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-') {
            let upper = match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let value = ALPHABET.iter().position(|known| *known == upper).ok_or_else(mistyped)?;
            buffer = (buffer << 5) | u32::try_from(value).map_err(|_| mistyped())?;
            bits += 5;
            letters += 1;
            if bits >= 8 {
                bits -= 8;
                let slot = out.next().ok_or_else(mistyped)?;
                *slot = u8::try_from((buffer >> bits) & 0xff).map_err(|_| mistyped())?;
            }
        }
        if letters != LETTERS {
            return Err(mistyped());
        }
        let (secret, check) = bytes.expose().split_first_chunk::<SECRET_BYTES>().ok_or_else(mistyped)?;
        if check == checksum(secret) { Ok(Self(Secret::new(*secret))) } else { Err(mistyped()) }
    }

    /// The code as it is shown, once: eight groups of four.
    pub fn to_text(&self) -> Secret<String> {
        let mut text = Secret::new(String::with_capacity(LETTERS + LETTERS / 4));
        let (mut bits, mut buffer, mut letters) = (0_u32, 0_u32, 0_usize);
        for byte in self.0.expose().iter().chain(&checksum(self.0.expose())) {
            buffer = (buffer << 8) | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                let index = usize::try_from((buffer >> bits) & 31).unwrap_or_default();
                if letters > 0 && letters.is_multiple_of(4) {
                    text.expose_mut().push('-');
                }
                text.expose_mut().push(char::from(ALPHABET.get(index).copied().unwrap_or_default()));
                letters += 1;
            }
        }
        text
    }

    /// What seals backups.
    pub fn backup_key(&self) -> BackupKey {
        BackupKey::new(derive(self.0.expose(), &[], &[b"carekey recovery code backup v1"]))
    }

    /// The secret of an unlock entry.
    pub(super) fn unlock_secret(&self) -> Secret<[u8; 32]> {
        derive(self.0.expose(), &[], &[b"carekey recovery code unlock v1"])
    }
}

fn checksum(secret: &[u8]) -> [u8; 2] {
    let hash = sha256(&[b"carekey recovery code".as_slice(), secret].concat());
    [hash.first().copied().unwrap_or_default(), hash.get(1).copied().unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn what_is_written_down_is_read_again() {
        for _ in 0..50 {
            let code = RecoveryCode::generate(&SystemRandom);
            let text = code.to_text().expose().clone();
            assert_eq!(text.len(), 39);
            assert_eq!(text.split('-').filter(|group| group.len() == 4).count(), 8);
            let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            for typed in [&text, &sloppy] {
                let read = RecoveryCode::parse(typed).unwrap();
                assert_eq!(read.0.expose(), code.0.expose());
            }
        }
    }

    #[test]
    fn a_slip_is_noticed() {
        let text = RecoveryCode::generate(&SystemRandom).to_text().expose().clone();
        let mut slips = 0;
        for (at, letter) in text.char_indices().filter(|(_, letter)| *letter != '-') {
            let other = if letter == 'Z' { "Y" } else { "Z" };
            let wrong = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            slips += usize::from(RecoveryCode::parse(&wrong).is_err());
        }
        // 16 bits of checksum: one slip in 65,536 goes through.
        assert!(slips >= 31, "{slips}");
        for wrong in ["", "abcd", &text[..38], &format!("{text}0"), &text.replace('-', "u")] {
            assert_eq!(RecoveryCode::parse(wrong).unwrap_err().code(), "recovery_code_mistyped", "{wrong}");
        }
    }

    #[test]
    fn it_does_not_print() {
        let code = RecoveryCode::generate(&SystemRandom);
        assert!(!format!("{code:?}").contains(&code.to_text().expose()[..4]));
    }
}
