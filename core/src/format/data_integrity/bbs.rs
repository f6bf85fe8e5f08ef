//! `bbs-2023` (Data Integrity BBS 1.0 section 3.4), the baseline: the issuer signs all statements at once, and the holder
//! proves that it has the signature, differently each time, so that presentations cannot be linked by it.
//!
//! Holder binding and pseudonyms, features at risk, are not carried; their proofs are refused as malformed.

mod value;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use self::value::{BaseProof, DerivedProof, ProofValue};
use super::contexts::Contexts;
use super::cryptosuite::Cryptosuite;
use super::derive::Presentation;
use super::issue::ProofOptions;
use super::selective::{
    self, BaseData, Disclosure, Labelling, disclosed_lines, mandatory_hash, proof_hash, split_mandatory,
};
use crate::error::{Error, Result};
use crate::key::bbs::{Proof, PublicKey, SecretKey};

/// Adds a base proof to `document`, for its holder. The statements that `mandatory_pointers` select can never be left out
/// ([`DEFAULT_MANDATORY_POINTERS`](super::selective::DEFAULT_MANDATORY_POINTERS) is a sensible choice). `hmac_key` is
/// random, of this proof only, and goes to the holder with it.
///
/// [`Error::Misuse`] `proof_options` for another suite or dependence on other proofs; errors of [`BaseData::of`],
/// [`super::add_proof`] and [`SecretKey::sign`].
pub fn add_base_proof<S: AsRef<str>>(
    document: &mut Value,
    options: &ProofOptions,
    mandatory_pointers: &[S],
    key: &SecretKey,
    hmac_key: &[u8; 32],
    contexts: &Contexts,
) -> Result<()> {
    let value = |data: &BaseData, mandatory_pointers| {
        let header = header(&data.proof_hash, &data.mandatory_hash);
        let proof = BaseProof {
            signature: key.sign(&header, &messages(&data.others()))?,
            header,
            public_key: key.public_key().clone(),
            hmac_key: *hmac_key,
            mandatory_pointers,
        };
        Ok(proof.to_bytes())
    };
    let (suite, labelling) = (Cryptosuite::Bbs2023, (Labelling::Shuffled, hmac_key));
    selective::add_base_proof(document, (suite, options), labelling, mandatory_pointers, contexts, value)
}

/// The disclosed document and the value of its proof.
///
/// [`Error::Malformed`] `bbs_presentation_header`; errors of [`Disclosure::of`] and [`Proof::new`].
pub(super) fn derive<S: AsRef<str>>(
    base: &BaseProof,
    unsecured: &Value,
    pointers: &[S],
    presentation: &Presentation<'_>,
    contexts: &Contexts,
) -> Result<(Value, Vec<u8>)> {
    if presentation.header.len() > value::MAX_PRESENTATION_HEADER {
        return Err(Error::malformed("bbs_presentation_header", "the presentation header is too long"));
    }
    let labelling = (Labelling::Shuffled, &base.hmac_key);
    let disclosure = Disclosure::of(unsecured, labelling, &base.mandatory_pointers, pointers, contexts)?;
    let (_, others) = disclosure.statements.split(&disclosure.mandatory);
    let selective = disclosure.selective_positions();
    let proof = Proof::new(
        &base.public_key,
        &base.signature,
        &base.header,
        presentation.header,
        &messages(&others),
        &selective,
        presentation.random,
    )?;
    let number = |label: &String| label.strip_prefix('b').and_then(|number| number.parse().ok());
    let labels = disclosure.labels.iter().filter_map(|(from, to)| Some((*from, number(to)?))).collect();
    let mandatory = disclosure.mandatory_positions();
    let derived = DerivedProof {
        proof,
        labels,
        mandatory,
        selective,
        presentation_header: presentation.header.to_vec(),
    };
    Ok((disclosure.document, derived.to_bytes()))
}

/// Verifies a derived proof (section 3.4.7).
///
/// [`Error::Untrusted`] `proof_signature`; [`Error::Malformed`] `sd_labels`, `sd_indexes`; errors of the statements.
pub(super) fn verify_derived(
    proof: &DerivedProof,
    config: &Map<String, Value>,
    unsecured: &Value,
    key: &PublicKey,
    contexts: &Contexts,
) -> Result<()> {
    let labels = proof.labels.iter().map(|(from, to)| (*from, format!("b{to}"))).collect();
    let lines = disclosed_lines(unsecured, &labels, contexts)?;
    let (mandatory, others) = split_mandatory(&lines, &proof.mandatory)?;
    let ascending = proof.selective.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    let count = proof.selective.len() + proof.proof.hidden();
    if !ascending || proof.selective.len() != others.len() || proof.selective.last() >= Some(&count) {
        return Err(selective::indexes());
    }
    let header = header(&proof_hash(unsecured, config, contexts)?, &mandatory_hash(&mandatory));
    let disclosed: BTreeMap<usize, &[u8]> = proof.selective.iter().copied().zip(messages(&others)).collect();
    proof.proof.verify(key, &header, &proof.presentation_header, &disclosed).map_err(refuse)
}

/// Verifies a base proof, as a holder does who received it. The HMAC key is not signed, only the order of labels that it
/// gives: one that gives the same order verifies too, and does no harm.
pub(super) fn verify_base(
    proof: &BaseProof,
    config: &Map<String, Value>,
    unsecured: &Value,
    key: &PublicKey,
    contexts: &Contexts,
) -> Result<()> {
    let labelling = (Labelling::Shuffled, &proof.hmac_key);
    let data = BaseData::of(unsecured, config, labelling, &proof.mandatory_pointers, contexts)?;
    let header = header(&data.proof_hash, &data.mandatory_hash);
    if proof.public_key != *key || proof.header != header {
        return Err(invalid());
    }
    proof.signature.verify(key, &header, &messages(&data.others())).map_err(refuse)
}

/// Section 3.4.4.
fn header(proof_hash: &[u8; 32], mandatory_hash: &[u8; 32]) -> [u8; 64] {
    let mut header = [0; 64];
    header.iter_mut().zip(proof_hash.iter().chain(mandatory_hash)).for_each(|(to, from)| *to = *from);
    header
}

fn messages<'a>(lines: &[&'a str]) -> Vec<&'a [u8]> {
    lines.iter().map(|line| line.as_bytes()).collect()
}

fn refuse(error: Error) -> Error {
    if error.code() == "signature_invalid" { invalid() } else { error }
}

fn invalid() -> Error {
    Error::untrusted("proof_signature", "the proof's BBS signature does not fit the document")
}

#[cfg(test)]
mod tests;
