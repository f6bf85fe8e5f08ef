//! Writing a log: create, update, rotate, move, deactivate, and the parallel `did:web`.

use serde_json::{Map, Value, json};

use super::identifier::{Location, SCID_PLACEHOLDER, WebvhDid};
use super::log::{self, Entry};
use super::parameters::{Parameters, WitnessRule, multihash};
use super::{proof, resolution};
use crate::clock::UnixTime;
use crate::did::key;
use crate::encoding::{canonical_json, date_time};
use crate::error::{Error, Result};
use crate::key::Signer;
use crate::limits::Limits;

/// What a version changes; `None` leaves what holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// The whole new document. Its `id` may differ from the last only when the DID is portable, and then `alsoKnownAs`
    /// must name the last. In the first version, the DID is written with [`Location::placeholder`].
    pub document: Option<Value>,
    /// The Multikeys (Ed25519) that may sign the next version.
    pub update_keys: Option<Vec<String>>,
    /// Commitments to the keys after those ([`super::next_key_hash`]); empty ends pre-rotation. While pre-rotation is
    /// active, every change must state these and the update keys.
    pub next_key_hashes: Option<Vec<String>>,
    /// Who approves versions from here on.
    pub witness: Option<WitnessRule>,
    /// Addresses of watchers.
    pub watchers: Option<Vec<String>>,
    /// Whether the DID may move; can be set in the first version only, and be taken back later.
    pub portable: Option<bool>,
    /// How long the document may be cached, in seconds.
    pub ttl: Option<u32>,
}

/// The log of a DID of ours: verified when opened, and after every entry that is added.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnLog {
    entries: Vec<Entry>,
    lines: String,
}

impl OwnLog {
    /// The first version, signed by `signer`, which must be among the update keys.
    ///
    /// [`Error::Misuse`] `webvh_document` when there is no document or its `id` is not the placeholder of `location`,
    /// `webvh_signer` when the key is not Ed25519; else the errors of [`super::resolve`] for what would not verify.
    pub fn create(location: &Location, first: &Change, now: UnixTime, signer: &dyn Signer) -> Result<Self> {
        let document = first.document.clone().unwrap_or_default();
        if document.get("id").and_then(Value::as_str) != Some(location.placeholder().as_str()) {
            let detail = "the first document must have the placeholder of its DID as id";
            return Err(Error::misuse("webvh_document", detail));
        }
        let mut parameters = parameters(first);
        parameters.method = true;
        parameters.scid = Some(SCID_PLACEHOLDER.to_owned());
        if parameters.update_keys.is_none() {
            parameters.update_keys = Some(vec![key::encode_multikey(signer.public_key())?]);
        }
        let entry = entry(SCID_PLACEHOLDER, now, &parameters, document);
        let scid = multihash(&canonical_json::to_vec(&entry)?);
        let mut log = Self { entries: Vec::new(), lines: String::new() };
        log.push(log::replace(entry, SCID_PLACEHOLDER, &scid), &scid, now, signer)?;
        Ok(log)
    }

    /// A log that was written before; errors of [`super::resolve`], except about witnesses, whose proofs lie elsewhere.
    pub fn open(jsonl: &[u8], now: UnixTime, limits: &Limits) -> Result<Self> {
        let (entries, failure) = log::read(jsonl, now, limits)?;
        let text =
            std::str::from_utf8(jsonl).map_err(|_| Error::malformed("webvh_log", "the log is not UTF-8"))?;
        match failure {
            Some(error) => Err(error),
            None => Ok(Self { entries, lines: format!("{}\n", text.trim_end()) }),
        }
    }

    /// Adds a version, signed by `signer`: one of the current update keys, or with pre-rotation one of the new.
    ///
    /// `now` must be later than the last version. Nothing is added when the outcome would not verify: then the error is
    /// the one that a resolver would give ([`super::resolve`]).
    pub fn update(&mut self, change: &Change, now: UnixTime, signer: &dyn Signer) -> Result<()> {
        self.append(&parameters(change), change.document.clone(), now, signer)
    }

    /// Ends the DID: its document no longer resolves, and nothing can be added. Takes its update keys away as well,
    /// unless pre-rotation is active, which would demand an entry more. Errors as [`Self::update`].
    pub fn deactivate(&mut self, now: UnixTime, signer: &dyn Signer) -> Result<()> {
        let mut parameters = Parameters { deactivated: Some(true), ..Parameters::default() };
        if self.entries.last().is_some_and(|last| !last.active.next_key_hashes.is_empty()) {
            parameters.update_keys = Some(vec![key::encode_multikey(signer.public_key())?]);
            parameters.next_key_hashes = Some(Vec::new());
        } else {
            parameters.update_keys = Some(Vec::new());
        }
        self.append(&parameters, None, now, signer)
    }

    fn append(
        &mut self,
        parameters: &Parameters,
        document: Option<Value>,
        now: UnixTime,
        signer: &dyn Signer,
    ) -> Result<()> {
        let last = self.last()?;
        let (before, state) = (last.version_id.clone(), document.unwrap_or_else(|| last.state.clone()));
        self.push(entry(&before, now, parameters, state), &before, now, signer)
    }

    /// Hashes, signs and verifies an entry whose `versionId` is still that of its predecessor.
    fn push(&mut self, entry: Value, before: &str, now: UnixTime, signer: &dyn Signer) -> Result<()> {
        let number = self.entries.last().map_or(1, |last| last.number + 1);
        let mut members = resolution::object(&entry)?.clone();
        let hash = log::hash(&members, before)?;
        members.insert("versionId".into(), format!("{number}-{hash}").into());
        let proof = proof::sign(&members, now, signer)?;
        members.insert("proof".into(), json!([proof]));
        let value = Value::Object(members);
        let line = value.to_string();
        self.entries.push(log::verify(self.entries.first(), self.entries.last(), value, now)?);
        self.lines.push_str(&line);
        self.lines.push('\n');
        Ok(())
    }

    fn last(&self) -> Result<&Entry> {
        self.entries.last().ok_or_else(|| Error::malformed("webvh_log", "the log has no entry"))
    }

    /// The content of `did.jsonl`.
    pub fn to_jsonl(&self) -> &str {
        &self.lines
    }

    /// The DID, as of the last version.
    pub fn did(&self) -> Result<&WebvhDid> {
        self.last().map(|last| &last.did)
    }

    /// The last version's name, which witnesses approve ([`super::approve`]).
    pub fn version_id(&self) -> Result<&str> {
        self.last().map(|last| last.version_id.as_str())
    }

    /// The last version's document, without implicit services.
    pub fn document(&self) -> Result<&Value> {
        self.last().map(|last| &last.state)
    }

    /// The keys that may sign the next version; with pre-rotation, those that signed the last.
    pub fn update_keys(&self) -> &[String] {
        self.entries.last().map_or(&[], |last| &last.active.update_keys)
    }

    /// The commitments to the next keys; empty without pre-rotation.
    pub fn next_key_hashes(&self) -> &[String] {
        self.entries.last().map_or(&[], |last| &last.active.next_key_hashes)
    }

    /// Who has to approve the next version.
    pub fn witness(&self) -> Option<&WitnessRule> {
        self.entries.last().map(|last| &last.active.witness).filter(|rule| !rule.is_empty())
    }

    /// Whether the DID has ended.
    pub fn is_deactivated(&self) -> bool {
        self.entries.last().is_some_and(|last| last.active.deactivated)
    }
}

fn parameters(change: &Change) -> Parameters {
    Parameters {
        update_keys: change.update_keys.clone(),
        next_key_hashes: change.next_key_hashes.clone(),
        witness: change.witness.clone(),
        watchers: change.watchers.clone(),
        portable: change.portable,
        ttl: change.ttl,
        ..Parameters::default()
    }
}

fn entry(version_id: &str, time: UnixTime, parameters: &Parameters, state: Value) -> Value {
    json!({
        "versionId": version_id,
        "versionTime": date_time::format(time),
        "parameters": parameters.to_value(),
        "state": state,
    })
}

/// The document of the `did:web` that lies beside the log as `did.json` ("Publishing a Parallel did:web DID").
///
/// `document` is a version's document, with or without implicit services. Errors: `webvh_entry` when it is no object,
/// `webvh_domain` for a host without address.
pub fn parallel_did_web(document: &Value, did: &WebvhDid) -> Result<Value> {
    let mut document = document.clone();
    resolution::add_implicit_services(&mut document, did)?;
    let web = log::replace(document, &format!("did:webvh:{}:", did.scid()), "did:web:");
    let mut members: Map<String, Value> = resolution::object(&web)?.clone();
    let own = members.get("id").cloned().unwrap_or_default();
    let mut names: Vec<Value> = Vec::new();
    let listed = members.get("alsoKnownAs").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in listed.into_iter().chain([did.did().as_str().into()]) {
        if name != own && !names.contains(&name) {
            names.push(name);
        }
    }
    members.insert("alsoKnownAs".into(), names.into());
    Ok(members.into())
}
