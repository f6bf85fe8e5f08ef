//! Base proofs: what an issuer signs for a holder, and how the proof joins the document.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::contexts::Contexts;
use super::super::cryptosuite::Cryptosuite;
use super::super::issue::{ProofOptions, append, begin};
use super::{Labelling, Pointers, Statements, mandatory_hash, proof_hash};
use crate::encoding::multibase;
use crate::error::{Error, Result};

/// What a base proof signs, with its intermediate values.
#[derive(Debug, Clone)]
pub struct BaseData {
    /// The statements.
    pub statements: Statements,
    /// Which of them are mandatory.
    pub mandatory: BTreeSet<usize>,
    /// The hash of the proof's members.
    pub proof_hash: [u8; 32],
    /// The hash of the mandatory statements.
    pub mandatory_hash: [u8; 32],
}

impl BaseData {
    /// The values for `document` without proof and a proof of the members `config` (ECDSA section 3.6.2 to 3.6.4, BBS
    /// section 3.4.2 to 3.4.4).
    ///
    /// Errors of [`Statements::of`], [`Statements::group`] and [`Pointers::parse`].
    pub fn of<S: AsRef<str>>(
        document: &Value,
        config: &Map<String, Value>,
        (labelling, hmac_key): (Labelling, &[u8; 32]),
        mandatory_pointers: &[S],
        contexts: &Contexts,
    ) -> Result<Self> {
        let statements = Statements::of(document, labelling, hmac_key, contexts)?;
        let mandatory = statements.group(document, &Pointers::parse(mandatory_pointers)?, contexts)?.indexes;
        let mandatory_hash = mandatory_hash(&statements.split(&mandatory).0);
        Ok(Self {
            proof_hash: proof_hash(document, config, contexts)?,
            mandatory_hash,
            statements,
            mandatory,
        })
    }

    /// The statements that are not mandatory.
    pub fn others(&self) -> Vec<&str> {
        self.statements.split(&self.mandatory).1
    }
}

/// Adds a base proof of `suite` to `document`; `value` makes the bytes of `proofValue` from what is signed and the
/// pointers as the holder gets them.
///
/// [`Error::Misuse`] `proof_options` for another suite or dependence on other proofs; errors of [`BaseData::of`] and
/// `value`.
pub(in super::super) fn add_base_proof<S: AsRef<str>>(
    document: &mut Value,
    (suite, options): (Cryptosuite, &ProofOptions),
    labelling: (Labelling, &[u8; 32]),
    mandatory_pointers: &[S],
    contexts: &Contexts,
    value: impl FnOnce(&BaseData, Vec<String>) -> Result<Vec<u8>>,
) -> Result<()> {
    if options.cryptosuite != suite || !options.previous_proof.is_empty() {
        let detail = "base proofs are of their own suite and depend on no other proof";
        return Err(Error::misuse("proof_options", detail));
    }
    let (unsecured, mut config) = begin(document, options)?;
    let data = BaseData::of(&unsecured, &config, labelling, mandatory_pointers, contexts)?;
    let pointers = mandatory_pointers.iter().map(|pointer| pointer.as_ref().to_owned()).collect();
    config.insert("proofValue".into(), multibase::encode_base64url(&value(&data, pointers)?).into());
    append(document, Value::Object(config))
}
