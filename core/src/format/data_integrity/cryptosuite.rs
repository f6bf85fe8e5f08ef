//! The cryptosuites, and what each of them signs (Data Integrity EdDSA 1.0 and ECDSA 1.0 section 3).

use serde_json::{Map, Value};

use super::contexts::Contexts;
use super::rdfc::{self, HashAlgorithm};
use super::{jsonld, rdfc::canonicalize};
use crate::encoding::canonical_json;
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm};

/// A cryptosuite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cryptosuite {
    /// Ed25519 over RDFC-1.0.
    EddsaRdfc2022,
    /// Ed25519 over JCS.
    EddsaJcs2022,
    /// ECDSA with P-256 or P-384 over RDFC-1.0.
    EcdsaRdfc2019,
    /// ECDSA with P-256 or P-384 over JCS.
    EcdsaJcs2019,
    /// ECDSA with P-256 over each statement of RDFC-1.0: the holder discloses a part.
    EcdsaSd2023,
    /// BBS over the statements of RDFC-1.0: the holder proves a part, each time anew.
    Bbs2023,
}

impl Cryptosuite {
    /// Every suite.
    pub const ALL: [Self; 6] = [
        Self::EddsaRdfc2022,
        Self::EddsaJcs2022,
        Self::EcdsaRdfc2019,
        Self::EcdsaJcs2019,
        Self::EcdsaSd2023,
        Self::Bbs2023,
    ];

    /// The suite's identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EddsaRdfc2022 => "eddsa-rdfc-2022",
            Self::EddsaJcs2022 => "eddsa-jcs-2022",
            Self::EcdsaRdfc2019 => "ecdsa-rdfc-2019",
            Self::EcdsaJcs2019 => "ecdsa-jcs-2019",
            Self::EcdsaSd2023 => "ecdsa-sd-2023",
            Self::Bbs2023 => "bbs-2023",
        }
    }

    /// The suite of an identifier; [`Error::Unsupported`] `proof_cryptosuite`.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.as_str() == name)
            .ok_or_else(|| Error::unsupported("proof_cryptosuite", "this cryptosuite is not supported here"))
    }

    /// Whether the suite signs the JSON text and not the statements.
    pub const fn is_jcs(self) -> bool {
        matches!(self, Self::EddsaJcs2022 | Self::EcdsaJcs2019)
    }

    /// Whether the holder can disclose a part: there are base proofs, and proofs derived from them.
    pub const fn is_selective(self) -> bool {
        matches!(self, Self::EcdsaSd2023 | Self::Bbs2023)
    }

    /// The hash function that goes with a key.
    ///
    /// [`Error::Untrusted`] `proof_key_type` when the suite does not take such keys.
    pub fn hash_algorithm(self, key: &PublicKey) -> Result<HashAlgorithm> {
        match (self, key.algorithm()) {
            (Self::EddsaRdfc2022 | Self::EddsaJcs2022, SignatureAlgorithm::EdDsa)
            | (Self::EcdsaRdfc2019 | Self::EcdsaJcs2019 | Self::EcdsaSd2023, SignatureAlgorithm::Es256) => {
                Ok(HashAlgorithm::Sha256)
            }
            (Self::EcdsaRdfc2019 | Self::EcdsaJcs2019, SignatureAlgorithm::Es384) => {
                Ok(HashAlgorithm::Sha384)
            }
            _ => Err(Error::untrusted(
                "proof_key_type",
                "the proof's cryptosuite does not take keys of this type",
            )),
        }
    }

    /// What is hashed and signed: `document` without the proof (but with the proofs that it depends on), and `config`,
    /// the proof without its value. With the RDF suites `config` gets the document's contexts; with the JCS suites
    /// both hold whatever contexts they have.
    ///
    /// [`Error::Misuse`] `proof_suite_selective` for suites that do not sign whole documents; errors of
    /// [`jsonld::to_quads`] and [`rdfc::canonicalize`] or [`canonical_json`].
    pub fn hash_data(
        self,
        hash: HashAlgorithm,
        document: &Value,
        config: &Map<String, Value>,
        contexts: &Contexts,
    ) -> Result<HashData> {
        if self.is_selective() {
            return Err(Error::misuse("proof_suite_selective", "this cryptosuite makes base proofs only"));
        }
        let (document, proof) = if self.is_jcs() {
            let proof = String::from_utf8(canonical_json::object_to_vec(config)?).unwrap_or_default();
            (canonical_json::to_string(document)?, proof)
        } else {
            let mut config = config.clone();
            config.insert("@context".into(), document.get("@context").cloned().unwrap_or_default());
            let canonical = |value: &Value| -> Result<String> {
                let quads = jsonld::to_quads(value, contexts)?;
                Ok(canonicalize(&quads, hash, &rdfc::Limits::DEFAULT)?.to_text())
            };
            (canonical(document)?, canonical(&Value::Object(config))?)
        };
        Ok(HashData {
            document_hash: hash.digest(document.as_bytes()),
            proof_hash: hash.digest(proof.as_bytes()),
            canonical_document: document,
            canonical_proof: proof,
        })
    }
}

/// What a proof signs, with its intermediate values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashData {
    /// The canonical document: N-Quads or JCS.
    pub canonical_document: String,
    /// The canonical proof configuration.
    pub canonical_proof: String,
    /// Its hash.
    pub proof_hash: Vec<u8>,
    /// The document's hash.
    pub document_hash: Vec<u8>,
}

impl HashData {
    /// The bytes that are signed: the hash of the proof configuration and that of the document.
    pub fn to_signed(&self) -> Vec<u8> {
        [self.proof_hash.as_slice(), &self.document_hash].concat()
    }
}
