//! `ecdsa-sd-2023` (Data Integrity ECDSA 1.0 section 3.6): the issuer signs each statement with a key of this one proof,
//! and that key together with the mandatory statements with its own; the holder passes on what it wants to show.
//!
//! Verifying takes as many ECDSA verifications as statements are disclosed beyond the mandatory ones, and one more.
//! Signatures are the same each time they are shown: unlike `bbs-2023`, presentations can be linked.

mod value;

use std::fmt;

use serde_json::{Map, Value};

pub use self::value::{BaseProof, DerivedProof, ProofValue, Signature};
use super::contexts::Contexts;
use super::cryptosuite::Cryptosuite;
use super::issue::ProofOptions;
use super::selective::{
    self, BaseData, Disclosure, Labelling, disclosed_lines, mandatory_hash, proof_hash, split_mandatory,
};
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm, Signer, SoftwareKey};
use crate::random::Random;

/// The keys that an issuer makes for one base proof and forgets.
pub struct BaseSecrets {
    hmac_key: [u8; 32],
    proof_key: SoftwareKey,
}

impl fmt::Debug for BaseSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseSecrets").finish_non_exhaustive()
    }
}

impl BaseSecrets {
    /// Fresh keys.
    pub fn generate(random: &dyn Random) -> Result<Self> {
        Ok(Self { hmac_key: random.array(), proof_key: SoftwareKey::generate(SignatureAlgorithm::Es256)? })
    }

    /// Given keys, for known answers. [`Error::Misuse`] `proof_options` unless `proof_key` is of P-256.
    pub fn new(hmac_key: [u8; 32], proof_key: SoftwareKey) -> Result<Self> {
        if proof_key.public_key().algorithm() != SignatureAlgorithm::Es256 {
            return Err(Error::misuse("proof_options", "the key of an ecdsa-sd-2023 proof is not of P-256"));
        }
        Ok(Self { hmac_key, proof_key })
    }
}

/// Adds a base proof to `document`, for its holder. The statements that `mandatory_pointers` select can never be left out
/// ([`DEFAULT_MANDATORY_POINTERS`](super::selective::DEFAULT_MANDATORY_POINTERS) is a sensible choice).
///
/// [`Error::Misuse`] `proof_options` for another suite, a key that is not of P-256, or dependence on other proofs; errors
/// of [`BaseData::of`], [`super::add_proof`] and the signer.
pub fn add_base_proof<S: AsRef<str>>(
    document: &mut Value,
    options: &ProofOptions,
    mandatory_pointers: &[S],
    signer: &dyn Signer,
    secrets: &BaseSecrets,
    contexts: &Contexts,
) -> Result<()> {
    let suite = Cryptosuite::EcdsaSd2023;
    suite.hash_algorithm(signer.public_key())?;
    let sign = |signer: &dyn Signer, message: &[u8]| -> Result<Signature> {
        let signature = signer.sign(message)?;
        signature.try_into().map_err(|_| Error::misuse("proof_options", "a signature is not of P-256"))
    };
    let labelling = (Labelling::Hmac, &secrets.hmac_key);
    let value = |data: &BaseData, mandatory_pointers| {
        let others = data.others();
        let signatures = others.iter().map(|line| sign(&secrets.proof_key, line.as_bytes()));
        let proof_key = secrets.proof_key.public_key().clone();
        let proof = BaseProof {
            signatures: signatures.collect::<Result<_>>()?,
            base_signature: sign(signer, &signed(&data.proof_hash, &proof_key, &data.mandatory_hash))?,
            proof_key,
            hmac_key: secrets.hmac_key,
            mandatory_pointers,
        };
        Ok(proof.to_bytes())
    };
    selective::add_base_proof(document, (suite, options), labelling, mandatory_pointers, contexts, value)
}

/// The disclosed document and the value of its proof.
///
/// [`Error::Malformed`] `sd_indexes` when the proof has not a signature for each statement; errors of [`Disclosure::of`].
pub(super) fn derive<S: AsRef<str>>(
    base: &BaseProof,
    unsecured: &Value,
    pointers: &[S],
    contexts: &Contexts,
) -> Result<(Value, Vec<u8>)> {
    let labelling = (Labelling::Hmac, &base.hmac_key);
    let disclosure = Disclosure::of(unsecured, labelling, &base.mandatory_pointers, pointers, contexts)?;
    if base.signatures.len() + disclosure.mandatory.len() != disclosure.statements.lines.len() {
        return Err(selective::indexes());
    }
    let derived = DerivedProof {
        base_signature: base.base_signature,
        proof_key: base.proof_key.clone(),
        signatures: disclosure
            .selective_positions()
            .into_iter()
            .filter_map(|position| base.signatures.get(position).copied())
            .collect(),
        mandatory: disclosure.mandatory_positions(),
        labels: disclosure.labels,
    };
    Ok((disclosure.document, derived.to_bytes()?))
}

/// Verifies a derived proof (section 3.6.8).
///
/// [`Error::Untrusted`] `proof_signature`; [`Error::Malformed`] `sd_labels`, `sd_indexes`; errors of the statements.
pub(super) fn verify_derived(
    proof: &DerivedProof,
    config: &Map<String, Value>,
    unsecured: &Value,
    key: &PublicKey,
    contexts: &Contexts,
) -> Result<()> {
    let lines = disclosed_lines(unsecured, &proof.labels, contexts)?;
    let (mandatory, others) = split_mandatory(&lines, &proof.mandatory)?;
    let proof_hash = proof_hash(unsecured, config, contexts)?;
    verify(
        (&proof.base_signature, &proof.proof_key, &proof.signatures),
        (&proof_hash, &mandatory_hash(&mandatory)),
        &others,
        key,
    )
}

/// Verifies a base proof, as a holder does who received it.
pub(super) fn verify_base(
    proof: &BaseProof,
    config: &Map<String, Value>,
    unsecured: &Value,
    key: &PublicKey,
    contexts: &Contexts,
) -> Result<()> {
    let labelling = (Labelling::Hmac, &proof.hmac_key);
    let data = BaseData::of(unsecured, config, labelling, &proof.mandatory_pointers, contexts)?;
    let others = data.others();
    verify(
        (&proof.base_signature, &proof.proof_key, &proof.signatures),
        (&data.proof_hash, &data.mandatory_hash),
        &others,
        key,
    )
}

fn verify(
    (base_signature, proof_key, signatures): (&Signature, &PublicKey, &[Signature]),
    (proof_hash, mandatory_hash): (&[u8; 32], &[u8; 32]),
    others: &[&str],
    key: &PublicKey,
) -> Result<()> {
    if signatures.len() != others.len() {
        return Err(selective::indexes());
    }
    key.verify(&signed(proof_hash, proof_key, mandatory_hash), base_signature).map_err(|_| invalid())?;
    for (line, signature) in others.iter().zip(signatures) {
        proof_key.verify(line.as_bytes(), signature).map_err(|_| invalid())?;
    }
    Ok(())
}

/// Section 3.5.1.
fn signed(proof_hash: &[u8; 32], proof_key: &PublicKey, mandatory_hash: &[u8; 32]) -> Vec<u8> {
    [proof_hash.as_slice(), &value::multikey(proof_key), mandatory_hash].concat()
}

fn invalid() -> Error {
    Error::untrusted("proof_signature", "the proof's signatures do not fit the document")
}
