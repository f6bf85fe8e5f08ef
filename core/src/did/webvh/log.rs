//! The log: its entries, read and verified one after the other ("The DID Log File", "Read (Resolve)").

use serde_json::{Map, Value};

use super::identifier::{SCID_PLACEHOLDER, WebvhDid};
use super::parameters::{Active, Parameters, WitnessRule, multihash, next_key_hash};
use super::proof::{self, UnverifiedProof};
use crate::clock::UnixTime;
use crate::encoding::{canonical_json, date_time, json};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A longer log is refused, in bytes.
pub const MAX_LOG_BYTES: usize = 4 * 1024 * 1024;
/// A log of more versions is refused.
pub const MAX_ENTRIES: usize = 2000;
/// How far ahead of our clock a version may be, in seconds.
const TOLERANCE_SECS: i64 = 300;

/// A time of a version, exact to the nanosecond, with the text that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionTime {
    pub(super) text: String,
    pub(super) secs: UnixTime,
    nanos: u32,
}

impl VersionTime {
    fn parse(text: &str) -> Option<Self> {
        let local = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
        let digits = local.split_once('.').map_or("", |(_, digits)| digits);
        let nanos = format!("{digits:0<9}").get(..9)?.parse().ok()?;
        Some(Self { text: text.to_owned(), secs: date_time::parse(text).ok()?, nanos })
    }

    fn is_after(&self, other: &Self) -> bool {
        (self.secs, self.nanos) > (other.secs, other.nanos)
    }
}

/// A verified version (but for its witnesses).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) version_id: String,
    pub(super) number: u64,
    pub(super) time: VersionTime,
    /// What the document says of itself.
    pub(super) did: WebvhDid,
    pub(super) state: Value,
    /// What holds from here on.
    pub(super) active: Active,
    /// Who had to approve this version.
    pub(super) witness: WitnessRule,
}

/// The versions up to the first that does not verify, and why that one does not.
pub(super) fn read(bytes: &[u8], now: UnixTime, limits: &Limits) -> Result<(Vec<Entry>, Option<Error>)> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines(bytes)? {
        let entry =
            json::parse(line, limits).and_then(|value| verify(entries.first(), entries.last(), value, now));
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => return Ok((entries, Some(error))),
        }
    }
    if entries.is_empty() {
        Err(Error::malformed("webvh_log", "the log has no entry"))
    } else {
        Ok((entries, None))
    }
}

/// Whether any entry of the log names witnesses, so that `did-witness.json` has to be fetched as well. Lines that are
/// not JSON are passed over here: resolving refuses them.
pub fn uses_witnesses(log: &[u8], limits: &Limits) -> bool {
    let names = |line: &[u8]| {
        let entry = json::parse(line, limits).ok();
        entry.is_some_and(|entry| entry.pointer("/parameters/witness/witnesses").is_some())
    };
    lines(log).is_ok_and(|mut lines| lines.any(names))
}

fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = &[u8]>> {
    if bytes.len() > MAX_LOG_BYTES {
        return Err(Error::malformed("webvh_log", "the log is longer than allowed"));
    }
    let full = |line: &&[u8]| !line.iter().all(u8::is_ascii_whitespace);
    if bytes.split(|byte| *byte == b'\n').filter(full).count() > MAX_ENTRIES {
        return Err(Error::malformed("webvh_log", "the log has more entries than allowed"));
    }
    Ok(bytes.split(|byte| *byte == b'\n').filter(full))
}

/// Verifies the entry that follows `last`; every check that needs no cryptography comes first.
pub(super) fn verify(
    first: Option<&Entry>,
    last: Option<&Entry>,
    value: Value,
    now: UnixTime,
) -> Result<Entry> {
    let Value::Object(mut document) = value else { return Err(shape("entry")) };
    let proofs = document.remove("proof");
    let known = ["versionId", "versionTime", "parameters", "state"];
    if document.len() != known.len() || !known.iter().all(|name| document.contains_key(*name)) {
        return Err(shape("entry"));
    }
    let version_id =
        document.get("versionId").and_then(Value::as_str).ok_or_else(|| shape("versionId"))?.to_owned();
    let (number, entry_hash) = version(&version_id)?;
    if number != last.map_or(1, |last| last.number + 1) {
        return Err(Error::untrusted(
            "webvh_version_number",
            "the version numbers of the log are not consecutive",
        ));
    }
    let parameters = Parameters::parse(document.get("parameters").unwrap_or(&Value::Null))?;
    if last.is_some_and(|last| last.active.deactivated) {
        return Err(Error::untrusted("webvh_deactivated_update", "the log goes on after its deactivation"));
    }
    check_presence(last, &parameters)?;
    let active = last.map(|last| last.active.clone()).unwrap_or_default().after(&parameters);
    let state = document.get("state").cloned().unwrap_or_default();
    let scid = match first {
        Some(first) => first.did.scid().to_owned(),
        None => parameters.scid.clone().unwrap_or_default(),
    };
    let did = subject(&state, &scid, last, &active)?;
    let time = check_time(&document, last, now)?;
    let keys = authorized_keys(last, &parameters, &active)?;

    let before = last.map_or_else(|| scid.clone(), |last| last.version_id.clone());
    if entry_hash != hash(&document, &before)? {
        return Err(Error::untrusted("webvh_entry_hash", "the hash of an entry is not that of its content"));
    }
    if last.is_none() && scid != scid_of(&document, &scid)? {
        return Err(Error::untrusted("webvh_scid_hash", "the SCID is not the hash of the first entry"));
    }
    for proof in proof::list(proofs.as_ref())? {
        let proof = UnverifiedProof::parse(proof, now)?;
        if !keys.iter().any(|key| key == proof.multikey()) {
            return Err(Error::untrusted(
                "webvh_proof_key",
                "an entry is signed by a key that may not update the DID",
            ));
        }
        proof.verify(&document)?;
    }
    // A new rule binds from the next version on, but the first rule at once.
    let witness = match last {
        Some(last) if !last.active.witness.is_empty() => last.active.witness.clone(),
        _ => active.witness.clone(),
    };
    Ok(Entry { version_id, number, time, did, state, active, witness })
}

fn version(text: &str) -> Result<(u64, &str)> {
    let malformed = || Error::malformed("webvh_version_id", "versionId is not a number, a dash and a hash");
    let (number, hash) = text.split_once('-').ok_or_else(malformed)?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let number = number.parse().ok().filter(|_| digits).ok_or_else(malformed)?;
    let plain = !hash.is_empty() && hash.len() <= 64 && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { Ok((number, hash)) } else { Err(malformed()) }
}

/// Which parameters must and must not be there.
fn check_presence(last: Option<&Entry>, parameters: &Parameters) -> Result<()> {
    let bad = |detail: &'static str| Err(Error::malformed("webvh_parameters", detail));
    let Some(last) = last else {
        return match (parameters.method, &parameters.scid, &parameters.update_keys) {
            (true, Some(_), Some(_)) => Ok(()),
            _ => bad("the first entry needs method, scid and updateKeys"),
        };
    };
    if parameters.scid.is_some() {
        return bad("only the first entry has a scid");
    }
    if parameters.portable == Some(true) {
        return Err(Error::untrusted("webvh_portable_late", "only the first entry can make a DID portable"));
    }
    let explicit = parameters.update_keys.is_some() && parameters.next_key_hashes.is_some();
    if !last.active.next_key_hashes.is_empty() && !explicit {
        let detail = "with pre-rotation, every entry must state updateKeys and nextKeyHashes";
        return Err(Error::untrusted("webvh_pre_rotation_omitted", detail));
    }
    Ok(())
}

/// The DID of the document, which keeps its SCID always, and its place unless the DID is portable.
fn subject(state: &Value, scid: &str, last: Option<&Entry>, active: &Active) -> Result<WebvhDid> {
    let id = state.get("id").and_then(Value::as_str).ok_or_else(|| shape("state.id"))?;
    let own = id.strip_prefix("did:webvh:").and_then(|rest| rest.split_once(':'));
    if own.is_none_or(|(own, _)| own != scid) {
        return Err(Error::untrusted("webvh_state_scid", "the document's DID has another SCID than the log"));
    }
    let did = WebvhDid::parse(id)?;
    let Some(last) = last.filter(|last| last.did != did) else { return Ok(did) };
    if !active.portable {
        return Err(Error::untrusted("webvh_not_portable", "the DID has moved, but is not portable"));
    }
    let names = state.get("alsoKnownAs").and_then(Value::as_array);
    if names.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(last.did.did().as_str()))) {
        Ok(did)
    } else {
        let detail = "the DID has moved, but alsoKnownAs does not name where from";
        Err(Error::untrusted("webvh_move_unnamed", detail))
    }
}

fn check_time(document: &Map<String, Value>, last: Option<&Entry>, now: UnixTime) -> Result<VersionTime> {
    let time = document.get("versionTime").and_then(Value::as_str).and_then(VersionTime::parse);
    let time =
        time.ok_or_else(|| Error::malformed("webvh_version_time", "versionTime is not a time in UTC"))?;
    if time.secs > now.plus(TOLERANCE_SECS) {
        let detail = "a version is from the future";
        return Err(Error::not_current("webvh_time_future", detail, now, time.secs));
    }
    if last.is_some_and(|last| !time.is_after(&last.time)) {
        return Err(Error::untrusted("webvh_time_order", "a version is not later than the one before"));
    }
    Ok(time)
}

/// The keys that may sign the entry: those of the version before, or with pre-rotation the entry's own, to which the
/// version before is committed.
fn authorized_keys<'a>(
    last: Option<&'a Entry>,
    parameters: &Parameters,
    active: &'a Active,
) -> Result<&'a [String]> {
    let Some(last) = last else { return Ok(&active.update_keys) };
    if last.active.next_key_hashes.is_empty() {
        return Ok(&last.active.update_keys);
    }
    let committed = |key: &String| last.active.next_key_hashes.contains(&next_key_hash(key));
    if parameters.update_keys.iter().flatten().all(committed) {
        Ok(&active.update_keys)
    } else {
        let detail = "a key was not committed to by the entry before";
        Err(Error::untrusted("webvh_pre_rotation_key", detail))
    }
}

/// The entry hash of `document` (an entry without its proof) that follows version `before`.
pub(super) fn hash(document: &Map<String, Value>, before: &str) -> Result<String> {
    let mut document = document.clone();
    document.insert("versionId".into(), before.into());
    Ok(multihash(&canonical_json::object_to_vec(&document)?))
}

/// The SCID that `document` (a first entry without its proof, in which `scid` stands) should have.
fn scid_of(document: &Map<String, Value>, scid: &str) -> Result<String> {
    let mut document = document.clone();
    document.insert("versionId".into(), SCID_PLACEHOLDER.into());
    let value = replace(Value::Object(document), scid, SCID_PLACEHOLDER);
    Ok(multihash(&canonical_json::to_vec(&value)?))
}

/// `value` with `from` replaced in every text and every member name, as if it were done in its serialized form: neither
/// a SCID nor its placeholder has a character that JSON escapes.
pub(super) fn replace(value: Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(from, to)),
        Value::Array(items) => items.into_iter().map(|item| replace(item, from, to)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, item)| (name.replace(from, to), replace(item, from, to)))
            .collect(),
        other => other,
    }
}

fn shape(member: &'static str) -> Error {
    Error::malformed("webvh_entry", format!("{member} of the log is missing or malformed"))
}
