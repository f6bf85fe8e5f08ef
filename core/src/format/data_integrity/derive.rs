//! Deriving proofs that disclose a part of a document (Data Integrity ECDSA 1.0 section 3.6.7, BBS 1.0 section 3.4.6).

use serde_json::Value;

use super::contexts::Contexts;
use super::cryptosuite::Cryptosuite;
use super::ecdsa_sd;
use super::issue::with_proofs;
use super::proof::UnverifiedProof;
use crate::encoding::multibase;
use crate::error::{Error, Result};

/// The part of `document` that its issuer made mandatory and that `pointers` (JSON Pointers) select, with a proof of its
/// own. `document` has one base proof; other proofs stay behind. It is not verified here:
/// [`verify_base_proofs`](super::verify_base_proofs) does that, once, when a holder receives it.
///
/// [`Error::Malformed`] `proof_base_missing` unless there is exactly one base proof of a suite that can disclose
/// selectively; errors of [`UnverifiedProof::of`] and [`Disclosure::of`](super::selective::Disclosure::of).
pub fn derive<S: AsRef<str>>(document: &Value, pointers: &[S], contexts: &Contexts) -> Result<Value> {
    let mut proofs = UnverifiedProof::of(document)?;
    proofs.retain(|proof| proof.cryptosuite.is_selective());
    let [proof] = proofs.as_slice() else { return Err(missing()) };
    let unsecured = with_proofs(document, Vec::new());
    let (mut disclosed, value) = match proof.cryptosuite {
        Cryptosuite::EcdsaSd2023 => match ecdsa_sd::ProofValue::parse(&proof.signature)? {
            ecdsa_sd::ProofValue::Base(base) => ecdsa_sd::derive(&base, &unsecured, pointers, contexts)?,
            ecdsa_sd::ProofValue::Derived(_) => return Err(missing()),
        },
        _ => return Err(missing()),
    };
    let mut derived = proof.config.clone();
    derived.insert("proofValue".into(), multibase::encode_base64url(&value).into());
    if let Some(members) = disclosed.as_object_mut() {
        members.insert("proof".into(), Value::Object(derived));
    }
    Ok(disclosed)
}

fn missing() -> Error {
    Error::malformed("proof_base_missing", "the document has no base proof, or more than one, to derive from")
}
