//! Deriving proofs that disclose a part of a document (Data Integrity ECDSA 1.0 section 3.6.7, BBS 1.0 section 3.4.6).

use std::fmt;

use serde_json::Value;

use super::contexts::Contexts;
use super::cryptosuite::Cryptosuite;
use super::issue::with_proofs;
use super::proof::UnverifiedProof;
use super::{bbs, ecdsa_sd};
use crate::encoding::multibase;
use crate::error::{Error, Result};
use crate::random::Random;

/// What makes one presentation unlike the others; of use to `bbs-2023` only.
#[derive(Clone, Copy)]
pub struct Presentation<'a> {
    /// Bytes of the verifier's or holder's choice, at most 1,024, that the proof is bound to and shows.
    pub header: &'a [u8],
    /// What the proof draws from.
    pub random: &'a dyn Random,
}

impl<'a> Presentation<'a> {
    /// A presentation without header.
    pub const fn new(random: &'a dyn Random) -> Self {
        Self { header: &[], random }
    }
}

impl fmt::Debug for Presentation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presentation").finish_non_exhaustive()
    }
}

/// The part of `document` that its issuer made mandatory and that `pointers` (JSON Pointers) select, with a proof of its
/// own. `document` has one base proof; other proofs stay behind. It is not verified here:
/// [`verify_base_proofs`](super::verify_base_proofs) does that, once, when a holder receives it.
///
/// [`Error::Malformed`] `proof_base_missing` unless there is exactly one base proof of a suite that can disclose
/// selectively; errors of [`UnverifiedProof::of`] and [`Disclosure::of`](super::selective::Disclosure::of).
pub fn derive<S: AsRef<str>>(
    document: &Value,
    pointers: &[S],
    presentation: &Presentation<'_>,
    contexts: &Contexts,
) -> Result<Value> {
    let mut proofs = UnverifiedProof::of(document)?;
    proofs.retain(|proof| proof.cryptosuite.is_selective());
    let [proof] = proofs.as_slice() else { return Err(missing()) };
    let unsecured = with_proofs(document, Vec::new());
    let (mut disclosed, value) = match proof.cryptosuite {
        Cryptosuite::EcdsaSd2023 => match ecdsa_sd::ProofValue::parse(&proof.signature)? {
            ecdsa_sd::ProofValue::Base(base) => ecdsa_sd::derive(&base, &unsecured, pointers, contexts)?,
            ecdsa_sd::ProofValue::Derived(_) => return Err(missing()),
        },
        Cryptosuite::Bbs2023 => match bbs::ProofValue::parse(&proof.signature)? {
            bbs::ProofValue::Base(base) => bbs::derive(&base, &unsecured, pointers, presentation, contexts)?,
            bbs::ProofValue::Derived(_) => return Err(missing()),
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
