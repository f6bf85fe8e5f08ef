//! Authenticator data (WebAuthn Level 3 §6.1), read without copying.

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::webauthn::cbor::Reader;

/// Credential ids are at most this long (§4, "Credential ID").
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// The flag byte of authenticator data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The flags in that byte.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte itself.
    pub const fn byte(self) -> u8 {
        self.0
    }

    const fn has(self, mask: u8) -> bool {
        self.0 & mask != 0
    }

    /// UP: somebody was there.
    pub const fn user_present(self) -> bool {
        self.has(0x01)
    }

    /// UV: the authenticator verified its user, by PIN or biometric.
    pub const fn user_verified(self) -> bool {
        self.has(0x04)
    }

    /// BE: the key may be backed up (synced).
    pub const fn backup_eligible(self) -> bool {
        self.has(0x08)
    }

    /// BS: the key is backed up now.
    pub const fn backup_state(self) -> bool {
        self.has(0x10)
    }

    /// AT: attested credential data follows.
    pub const fn attested(self) -> bool {
        self.has(0x40)
    }

    /// ED: extension data follows.
    pub const fn extensions(self) -> bool {
        self.has(0x80)
    }

    /// RFU bits: noted, never a reason to refuse.
    pub const fn reserved(self) -> bool {
        self.has(0x22)
    }
}

/// Attested credential data (§6.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestedCredential<'a> {
    /// The model of the authenticator.
    pub aaguid: [u8; 16],
    /// The credential id, at most [`MAX_CREDENTIAL_ID`] bytes.
    pub credential_id: &'a [u8],
    /// The COSE key, a well-formed CBOR item; see [`super::cose_key::parse`].
    pub cose_key: &'a [u8],
}

/// Parsed authenticator data; trusted only with its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatorData<'a> {
    /// SHA-256 of the RP ID.
    pub rp_id_hash: [u8; 32],
    /// The flags.
    pub flags: Flags,
    /// The signature counter; zero means "not kept".
    pub sign_count: u32,
    /// Present exactly when the AT flag is set.
    pub attested: Option<AttestedCredential<'a>>,
    /// The CBOR map of extension outputs, present exactly when the ED flag is set.
    pub extensions: Option<&'a [u8]>,
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("authenticator_data", detail)
}

impl<'a> AuthenticatorData<'a> {
    /// Parses §6.1 exactly: AT and ED parts where their flags say so, well-formed CBOR, no trailing bytes.
    ///
    /// Errors: `authenticator_data_size`, `authenticator_data`, `credential_id_length`, `cbor`.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        if bytes.len() > limits.authenticator_data_bytes {
            return Err(Error::malformed("authenticator_data_size", "the authenticator data is too large"));
        }
        let short = || malformed("the authenticator data ends early");
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or_else(short)?;
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or_else(short)?;
        let (count, mut rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let flags = Flags::from_byte(flags);
        let attested = if flags.attested() {
            let (attested, tail) = Self::attested(rest)?;
            rest = tail;
            Some(attested)
        } else {
            None
        };
        let extensions = if flags.extensions() {
            let mut reader = Reader::new(rest);
            if reader.peek_major()? != 5 {
                return Err(malformed("the extension data is not a map"));
            }
            let map = reader.skip()?;
            rest = reader.rest();
            Some(map)
        } else {
            None
        };
        if !rest.is_empty() {
            return Err(malformed("trailing bytes after the authenticator data"));
        }
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            flags,
            sign_count: u32::from_be_bytes(*count),
            attested,
            extensions,
        })
    }

    fn attested(bytes: &'a [u8]) -> Result<(AttestedCredential<'a>, &'a [u8])> {
        let short = || malformed("the attested credential data ends early");
        let (aaguid, rest) = bytes.split_first_chunk::<16>().ok_or_else(short)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > MAX_CREDENTIAL_ID {
            return Err(Error::malformed(
                "credential_id_length",
                "the credential id is empty or above 1023 bytes",
            ));
        }
        let (credential_id, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        let mut reader = Reader::new(rest);
        let cose_key = reader.skip()?;
        Ok((AttestedCredential { aaguid: *aaguid, credential_id, cose_key }, reader.rest()))
    }

    /// The checks that both ceremonies share: §7.1 steps 13–16, §7.2 steps 16–19, in this order.
    ///
    /// Errors: `rp_id_mismatch`, `user_not_present`, `user_not_verified`, `backup_flags`.
    pub fn check(&self, rp_id_hash: &[u8; 32], user_verification: super::UserVerification) -> Result<()> {
        if self.rp_id_hash != *rp_id_hash {
            return Err(Error::untrusted("rp_id_mismatch", "the key answered for another relying party"));
        }
        if !self.flags.user_present() {
            return Err(Error::untrusted("user_not_present", "the authenticator saw nobody"));
        }
        if user_verification == super::UserVerification::Required && !self.flags.user_verified() {
            return Err(Error::untrusted("user_not_verified", "the authenticator did not verify its user"));
        }
        if self.flags.backup_state() && !self.flags.backup_eligible() {
            return Err(Error::untrusted("backup_flags", "a key that is backed up but may not be"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webauthn::UserVerification;

    fn data(flags: u8, tail: &[u8]) -> Vec<u8> {
        let mut out = vec![9; 32];
        out.push(flags);
        out.extend([0, 0, 1, 2]);
        out.extend(tail);
        out
    }

    fn code(bytes: &[u8]) -> &'static str {
        AuthenticatorData::parse(bytes, &Limits::DEFAULT).unwrap_err().code()
    }

    #[test]
    fn flags_and_counter() {
        let bytes = data(0x05, &[]);
        let parsed = AuthenticatorData::parse(&bytes, &Limits::DEFAULT).unwrap();
        assert_eq!(parsed.sign_count, 258);
        parsed.check(&[9; 32], UserVerification::Required).unwrap();
        let refused = |flags, hash| {
            let bytes = data(flags, &[]);
            let parsed = AuthenticatorData::parse(&bytes, &Limits::DEFAULT).unwrap();
            parsed.check(&hash, UserVerification::Required).unwrap_err().code()
        };
        assert_eq!(refused(0x05, [8; 32]), "rp_id_mismatch");
        assert_eq!(refused(0x04, [9; 32]), "user_not_present");
        assert_eq!(refused(0x01, [9; 32]), "user_not_verified");
        assert_eq!(refused(0x15, [9; 32]), "backup_flags");
        let bytes = data(0x27, &[]);
        let parsed = AuthenticatorData::parse(&bytes, &Limits::DEFAULT).unwrap();
        assert!(parsed.flags.reserved());
        parsed.check(&[9; 32], UserVerification::Required).unwrap();
    }

    #[test]
    fn attested_and_extensions() {
        let mut tail = vec![3; 16];
        tail.extend([0, 2, 0xaa, 0xbb, 0xa0]);
        let bytes = data(0x41, &tail);
        let parsed = AuthenticatorData::parse(&bytes, &Limits::DEFAULT).unwrap().attested.unwrap();
        assert_eq!(
            (parsed.aaguid, parsed.credential_id, parsed.cose_key),
            ([3; 16], &[0xaa, 0xbb][..], &[0xa0][..])
        );
        let bytes = data(0x81, &[0xa1, 0x61, b'x', 0xf5]);
        assert!(AuthenticatorData::parse(&bytes, &Limits::DEFAULT).unwrap().extensions.is_some());
    }

    #[test]
    fn refuses() {
        assert_eq!(code(&[0; 36]), "authenticator_data");
        assert_eq!(code(&data(0x05, &[0])), "authenticator_data");
        assert_eq!(code(&data(0x81, &[])), "cbor");
        assert_eq!(code(&data(0x81, &[0x01])), "authenticator_data");
        assert_eq!(code(&data(0x81, &[0xa0, 0xa0])), "authenticator_data");
        assert_eq!(code(&data(0x81, &[0xa1, 0x01])), "cbor");
        assert_eq!(code(&data(0x41, &[1; 17])), "authenticator_data");
        assert_eq!(code(&data(0x41, &[&[1; 16][..], &[0, 0]].concat())), "credential_id_length");
        assert_eq!(
            code(&data(0x41, &[&[1; 16][..], &[4, 0], &[7; 1024], &[0xa0]].concat())),
            "credential_id_length"
        );
        assert_eq!(code(&data(0x41, &[&[1; 16][..], &[0, 9, 1]].concat())), "authenticator_data");
        assert_eq!(code(&vec![0; 9000]), "authenticator_data_size");
    }
}
