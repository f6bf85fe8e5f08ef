//! The two forms of `proofValue` (ECDSA sections 3.5.2 to 3.5.7): a header and strict CBOR.

use std::collections::BTreeMap;

use super::super::selective::value::{exact, list, malformed, number, open};
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::webauthn::cbor::Writer;

const BASE: [u8; 3] = [0xd9, 0x5d, 0x00];
const DERIVED: [u8; 3] = [0xd9, 0x5d, 0x01];
/// The multicodec prefix of a P-256 key.
const P256: [u8; 2] = [0x80, 0x24];

/// A signature, r‖s.
pub type Signature = [u8; 64];

/// What an issuer gives to a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseProof {
    /// The issuer's signature.
    pub base_signature: Signature,
    /// The key of [`Self::signatures`].
    pub proof_key: PublicKey,
    /// The key of the labels.
    pub hmac_key: [u8; 32],
    /// One signature for each statement that is not mandatory.
    pub signatures: Vec<Signature>,
    /// What is disclosed always.
    pub mandatory_pointers: Vec<String>,
}

/// What a holder gives to a verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedProof {
    /// The issuer's signature.
    pub base_signature: Signature,
    /// The key of [`Self::signatures`].
    pub proof_key: PublicKey,
    /// One signature for each disclosed statement that is not mandatory.
    pub signatures: Vec<Signature>,
    /// For each canonical label of the disclosed document the label that was signed.
    pub labels: BTreeMap<u32, String>,
    /// Where the mandatory statements stand among the disclosed ones.
    pub mandatory: Vec<usize>,
}

/// Which of the two a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofValue {
    /// For the holder only.
    Base(BaseProof),
    /// For verifiers.
    Derived(DerivedProof),
}

/// The multikey bytes of a P-256 key.
pub(super) fn multikey(key: &PublicKey) -> Vec<u8> {
    [P256.as_slice(), &key.to_sec1_compressed()].concat()
}

impl BaseProof {
    /// The bytes of `proofValue`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(5).bytes(&self.base_signature).bytes(&multikey(&self.proof_key)).bytes(&self.hmac_key);
        writer.array(self.signatures.len());
        for signature in &self.signatures {
            writer.bytes(signature);
        }
        writer.array(self.mandatory_pointers.len());
        for pointer in &self.mandatory_pointers {
            writer.text(pointer);
        }
        [BASE.as_slice(), &writer.finish()].concat()
    }
}

impl DerivedProof {
    /// The bytes of `proofValue`; [`Error::Malformed`] `sd_labels` for labels that are no HMACs in base64url.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::default();
        writer.array(5).bytes(&self.base_signature).bytes(&multikey(&self.proof_key));
        writer.array(self.signatures.len());
        for signature in &self.signatures {
            writer.bytes(signature);
        }
        writer.map(self.labels.len());
        for (number, label) in &self.labels {
            let tag = label.strip_prefix('u').and_then(|tag| base64url::decode(tag).ok());
            let tag = tag.ok_or_else(|| Error::malformed("sd_labels", "a label is not an HMAC"))?;
            writer.int(i64::from(*number)).bytes(&tag);
        }
        writer.array(self.mandatory.len());
        for index in &self.mandatory {
            writer.int(i64::try_from(*index).unwrap_or(i64::MAX));
        }
        Ok([DERIVED.as_slice(), &writer.finish()].concat())
    }
}

impl ProofValue {
    /// Reads the bytes of `proofValue`; [`Error::Malformed`] `proof_value`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes).map_err(|_| malformed())
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let (is_base, mut reader) = open(bytes, BASE, DERIVED)?;
        let reader = &mut reader;
        let base_signature = exact(reader)?;
        let proof_key = match reader.bytes()?.split_at_checked(2) {
            Some((prefix, point)) if prefix == P256 && point.len() == 33 => {
                PublicKey::from_sec1(SignatureAlgorithm::Es256, point)?
            }
            _ => return Err(malformed()),
        };
        let value = if is_base {
            let hmac_key = exact(reader)?;
            let signatures = list(reader, exact)?;
            let mandatory_pointers = list(reader, |reader| Ok(reader.text()?.to_owned()))?;
            Self::Base(BaseProof { base_signature, proof_key, hmac_key, signatures, mandatory_pointers })
        } else {
            let signatures = list(reader, exact)?;
            let mut labels = BTreeMap::new();
            for _ in 0..reader.map()? {
                let number = number(reader)?;
                let tag: [u8; 32] = exact(reader)?;
                if labels.insert(number, format!("u{}", base64url::encode(&tag))).is_some() {
                    return Err(malformed());
                }
            }
            let mandatory = list(reader, number)?;
            Self::Derived(DerivedProof { base_signature, proof_key, signatures, labels, mandatory })
        };
        reader.finish()?;
        Ok(value)
    }
}
