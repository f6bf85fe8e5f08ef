//! The witnesses' approvals ("DID Witnesses").

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::log::Entry;
use super::proof::{self, UnverifiedProof};
use crate::clock::UnixTime;
use crate::encoding::json as strict_json;
use crate::error::{Error, Result};
use crate::key::Signer;
use crate::limits::Limits;

/// How many of `entries` are approved as their rules demand, and what is wrong with the next.
///
/// A proof that does not verify, or is about a version that the log does not have, counts as none; a valid one approves
/// all versions before as well.
pub(super) fn approved(
    entries: &[Entry],
    file: Option<&[u8]>,
    now: UnixTime,
    limits: &Limits,
) -> (usize, Option<Error>) {
    if entries.iter().all(|entry| entry.witness.is_empty()) {
        return (entries.len(), None);
    }
    let unwitnessed = entries.iter().take_while(|entry| entry.witness.is_empty()).count();
    let Some(file) = file else {
        let error =
            Error::untrusted("webvh_witness_file", "the DID has witnesses, but there is no witness file");
        return (unwitnessed, Some(error));
    };
    let proofs = match read(file, entries, limits) {
        Ok(proofs) => proofs,
        Err(error) => return (unwitnessed, Some(error)),
    };
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in entries {
        let approvals = entry.witness.witnesses.iter().filter(|id| {
            let seen = *latest.entry(id.as_str()).or_insert_with(|| latest_approval(&proofs, id, now));
            seen >= entry.number
        });
        if approvals.count() < entry.witness.threshold {
            let error =
                Error::untrusted("webvh_witness_missing", "too few witnesses have approved a version");
            let before = entries.iter().take_while(|other| other.number < entry.number).count();
            return (before, Some(error));
        }
    }
    (entries.len(), None)
}

/// The highest version that `id` has approved; 0 for none.
fn latest_approval(proofs: &[(u64, String, Value)], id: &str, now: UnixTime) -> u64 {
    let mut own: Vec<_> = proofs.iter().filter(|(_, _, proof)| names(proof, id)).collect();
    own.sort_by_key(|(number, _, _)| std::cmp::Reverse(*number));
    let valid = own.into_iter().find(|(_, version_id, proof)| {
        let proof = UnverifiedProof::parse(proof, now);
        proof.is_ok_and(|proof| proof.verify(&signed(version_id)).is_ok())
    });
    valid.map_or(0, |(number, _, _)| *number)
}

/// Whether `proof` claims to be by `id`; its parser checks that body and fragment agree.
fn names(proof: &Value, id: &str) -> bool {
    let method = proof.get("verificationMethod").and_then(Value::as_str);
    method.and_then(|method| method.split_once('#')).is_some_and(|(body, _)| body == id)
}

/// Every proof about a version of this log: its number, its name, the proof.
fn read(file: &[u8], entries: &[Entry], limits: &Limits) -> Result<Vec<(u64, String, Value)>> {
    let malformed = || Error::malformed("webvh_witness_file", "the witness file is malformed");
    let Value::Array(items) = strict_json::parse(file, limits)? else { return Err(malformed()) };
    let numbers: BTreeMap<&str, u64> =
        entries.iter().map(|entry| (entry.version_id.as_str(), entry.number)).collect();
    let mut out = Vec::new();
    for item in &items {
        let version_id = item.get("versionId").and_then(Value::as_str).ok_or_else(malformed)?;
        let proofs = match item.get("proof") {
            None => &[][..],
            Some(Value::Array(proofs)) => proofs,
            Some(_) => return Err(malformed()),
        };
        let Some(number) = numbers.get(version_id) else { continue };
        out.extend(proofs.iter().map(|proof| (*number, version_id.to_owned(), proof.clone())));
    }
    Ok(out)
}

fn signed(version_id: &str) -> Map<String, Value> {
    Map::from_iter([("versionId".to_owned(), version_id.into())])
}

/// A witness's approval of a version, for the witness file.
///
/// The witness must have resolved the log with that version itself. [`Error::Misuse`] `webvh_signer` when its key is not
/// Ed25519.
pub fn approve(version_id: &str, now: UnixTime, signer: &dyn Signer) -> Result<Value> {
    proof::sign(&signed(version_id), now, signer)
}

/// The content of `did-witness.json`: the proofs of each version. It must be published before the log that it approves.
pub fn witness_file(approvals: &[(&str, Vec<Value>)]) -> Value {
    approvals.iter().map(|(version_id, proofs)| json!({"versionId": version_id, "proof": proofs})).collect()
}
