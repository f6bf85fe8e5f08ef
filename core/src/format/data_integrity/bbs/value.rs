//! The two forms of `proofValue` (BBS section 3.3.3 to 3.3.6): a header and strict CBOR. The forms with holder binding and
//! pseudonyms, features at risk, are not carried.

use std::collections::BTreeMap;

use super::super::selective::value::{exact, list, malformed, number, open};
use crate::error::Result;
use crate::key::bbs::{Proof, PublicKey, Signature};
use crate::webauthn::cbor::Writer;

const BASE: [u8; 3] = [0xd9, 0x5d, 0x02];
const DERIVED: [u8; 3] = [0xd9, 0x5d, 0x03];
/// The longest presentation header.
pub(super) const MAX_PRESENTATION_HEADER: usize = 1024;

/// What an issuer gives to a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseProof {
    /// The signature over every statement that is not mandatory.
    pub signature: Signature,
    /// The hashes of the proof's members and of the mandatory statements.
    pub header: [u8; 64],
    /// The issuer's key.
    pub public_key: PublicKey,
    /// The key of the labels.
    pub hmac_key: [u8; 32],
    /// What is disclosed always.
    pub mandatory_pointers: Vec<String>,
}

/// What a holder gives to a verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedProof {
    /// The proof of knowledge of the signature.
    pub proof: Proof,
    /// For each canonical label of the disclosed document the label that was signed, `b<n>`.
    pub labels: BTreeMap<u32, u32>,
    /// Where the mandatory statements stand among the disclosed ones.
    pub mandatory: Vec<usize>,
    /// Where the other disclosed statements stand among the statements that are not mandatory.
    pub selective: Vec<usize>,
    /// What the holder bound the proof to.
    pub presentation_header: Vec<u8>,
}

/// Which of the two a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofValue {
    /// For the holder only.
    Base(Box<BaseProof>),
    /// For verifiers.
    Derived(Box<DerivedProof>),
}

impl BaseProof {
    /// The bytes of `proofValue`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(5).bytes(&self.signature.to_bytes()).bytes(&self.header);
        writer.bytes(&self.public_key.to_bytes()).bytes(&self.hmac_key).array(self.mandatory_pointers.len());
        for pointer in &self.mandatory_pointers {
            writer.text(pointer);
        }
        [BASE.as_slice(), &writer.finish()].concat()
    }
}

impl DerivedProof {
    /// The bytes of `proofValue`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(5).bytes(&self.proof.to_bytes()).map(self.labels.len());
        for (number, label) in &self.labels {
            writer.int(i64::from(*number)).int(i64::from(*label));
        }
        for indexes in [&self.mandatory, &self.selective] {
            writer.array(indexes.len());
            for index in indexes {
                writer.int(i64::try_from(*index).unwrap_or(i64::MAX));
            }
        }
        writer.bytes(&self.presentation_header);
        [DERIVED.as_slice(), &writer.finish()].concat()
    }
}

impl ProofValue {
    /// Reads the bytes of `proofValue`; [`Error::Malformed`](crate::Error::Malformed) `proof_value`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes).map_err(|_| malformed())
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let (is_base, mut reader) = open(bytes, BASE, DERIVED)?;
        let reader = &mut reader;
        let value = if is_base {
            Self::Base(Box::new(BaseProof {
                signature: Signature::from_bytes(&exact(reader)?)?,
                header: exact(reader)?,
                public_key: PublicKey::from_bytes(reader.bytes()?)?,
                hmac_key: exact(reader)?,
                mandatory_pointers: list(reader, |reader| Ok(reader.text()?.to_owned()))?,
            }))
        } else {
            let proof = Proof::from_bytes(reader.bytes()?)?;
            let mut labels = BTreeMap::new();
            for _ in 0..reader.map()? {
                if labels.insert(number(reader)?, number(reader)?).is_some() {
                    return Err(malformed());
                }
            }
            let (mandatory, selective) = (list(reader, number)?, list(reader, number)?);
            let presentation_header = reader.bytes()?.to_vec();
            if presentation_header.len() > MAX_PRESENTATION_HEADER {
                return Err(malformed());
            }
            Self::Derived(Box::new(DerivedProof { proof, labels, mandatory, selective, presentation_header }))
        };
        reader.finish()?;
        Ok(value)
    }
}
