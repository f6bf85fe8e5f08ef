//! From fetched bytes to a document ("Read (Resolve)", "Reading did:webvh DID URLs").

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::identifier::WebvhDid;
use super::log::{self, Entry};
use super::parameters::Active;
use super::witness;
use crate::clock::UnixTime;
use crate::did::{Did, DidDocument};
use crate::encoding::date_time;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Which version of a document is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VersionSelector {
    /// The last.
    #[default]
    Latest,
    /// The one of this `versionId`.
    Id(String),
    /// The one of this number, from 1.
    Number(u64),
    /// The one that was valid at this time.
    Time(UnixTime),
}

impl VersionSelector {
    /// The selector in a DID URL's query: at most one of `versionId`, `versionNumber` and `versionTime`; other
    /// parameters are passed over.
    ///
    /// [`Error::Malformed`] `webvh_query` when there is more than one, or a value is malformed.
    pub fn from_query(query: &str) -> Result<Self> {
        let malformed = || Error::malformed("webvh_query", "a version parameter is malformed or given twice");
        let mut found = Self::Latest;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let selector = match name.as_ref() {
                "versionId" if !value.is_empty() => Self::Id(value.into_owned()),
                "versionNumber" => Self::Number(value.parse().map_err(|_| malformed())?),
                "versionTime" => Self::Time(date_time::parse(&value).map_err(|_| malformed())?),
                "versionId" => return Err(malformed()),
                _ => continue,
            };
            if found != Self::Latest {
                return Err(malformed());
            }
            found = selector;
        }
        Ok(found)
    }
}

/// A verified version of a document, and what its log says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    entry: Entry,
    state: Value,
    created: String,
    updated: String,
    last: Active,
    latest_asked: bool,
}

/// Verifies a log and the witnesses' proofs that were fetched for `did`, and finds the version that is asked for.
///
/// Pure: no network, no clock. A log of which only a later part fails still answers for a version before that part, when
/// that very version was asked for; whatever was asked, one bad entry among those up to the answer refuses it.
///
/// Errors of [`crate::encoding::json::parse`] for a line, and:
/// [`Error::Malformed`] `webvh_log` (empty, too long, too many entries), `webvh_entry`, `webvh_version_id`,
/// `webvh_version_time`, `webvh_parameters`, `webvh_witness`, `webvh_witness_key`, `webvh_witness_duplicate`,
/// `webvh_witness_threshold`, `webvh_witness_file`, `webvh_proof`, and the errors of [`WebvhDid::parse`] for the
/// document's own DID; [`Error::Unsupported`] `webvh_method`; [`Error::NotCurrent`] `webvh_time_future`,
/// `webvh_proof_expired`; [`Error::Untrusted`] `webvh_version_number`, `webvh_entry_hash`, `webvh_scid_hash`,
/// `webvh_state_scid`, `webvh_time_order`, `webvh_not_portable`, `webvh_portable_late`, `webvh_move_unnamed`,
/// `webvh_pre_rotation_omitted`, `webvh_pre_rotation_key`, `webvh_deactivated_update`, `webvh_proof_cryptosuite`,
/// `webvh_proof_purpose`, `webvh_proof_method`, `webvh_proof_key`, `webvh_proof_signature`, `webvh_witness_file`,
/// `webvh_witness_missing`, `webvh_did_mismatch` (the log is that of another DID); [`Error::Refused`]
/// `webvh_version_not_found`.
pub fn resolve(
    did: &WebvhDid,
    version: &VersionSelector,
    log: &[u8],
    witness_file: Option<&[u8]>,
    now: UnixTime,
    limits: &Limits,
) -> Result<Resolution> {
    let (mut entries, mut failure) = log::read(log, now, limits)?;
    let (approved, unwitnessed) = witness::approved(&entries, witness_file, now, limits);
    if unwitnessed.is_some() {
        entries.truncate(approved);
        failure = unwitnessed;
    }
    let Some((first, last)) = entries.first().zip(entries.last()) else {
        return Err(failure.unwrap_or_else(not_found));
    };
    if !entries.iter().any(|entry| entry.did == *did) {
        return Err(failure
            .unwrap_or_else(|| Error::untrusted("webvh_did_mismatch", "the log is that of another DID")));
    }
    let found = match version {
        VersionSelector::Latest if failure.is_none() => Some(last),
        VersionSelector::Latest => None,
        VersionSelector::Id(id) => entries.iter().find(|entry| entry.version_id == *id),
        VersionSelector::Number(number) => entries.iter().find(|entry| entry.number == *number),
        VersionSelector::Time(time) => {
            let at = entries.iter().rfind(|entry| entry.time.secs <= *time);
            // Whether the last good version still held then, only the bad one after it could tell.
            at.filter(|at| failure.is_none() || at.number < last.number)
        }
    };
    let Some(entry) = found else { return Err(failure.unwrap_or_else(not_found)) };
    let mut state = entry.state.clone();
    add_implicit_services(&mut state, &entry.did)?;
    Ok(Resolution {
        entry: entry.clone(),
        state,
        created: first.time.text.clone(),
        updated: last.time.text.clone(),
        last: last.active.clone(),
        latest_asked: *version == VersionSelector::Latest,
    })
}

impl Resolution {
    /// The document with the method's implicit services, as published otherwise; `None` when the DID is deactivated and
    /// no certain version was asked for ("Deactivate (Revoke)").
    pub fn document(&self) -> Option<&Value> {
        (!(self.last.deactivated && self.latest_asked)).then_some(&self.state)
    }

    /// The document even if the DID is deactivated: for history only, never to verify with.
    pub fn last_document(&self) -> &Value {
        &self.state
    }

    /// The document for verifying with; errors of [`DidDocument::parse`], and [`Error::Refused`] `webvh_deactivated`.
    pub fn did_document(&self) -> Result<DidDocument> {
        let document = self.document().ok_or_else(|| {
            Error::refused("webvh_deactivated", "the DID was deactivated by its controller")
        })?;
        DidDocument::from_value(self.did(), document)
    }

    /// The DID of the document; another than was asked for when the DID has moved.
    pub fn did(&self) -> &Did {
        self.entry.did.did()
    }

    /// The `versionId` of the document.
    pub fn version_id(&self) -> &str {
        &self.entry.version_id
    }

    /// Whether the DID is deactivated now, whatever version was asked for.
    pub fn is_deactivated(&self) -> bool {
        self.last.deactivated
    }

    /// How long the controller wants this to be cached, in seconds; 0 for not at all.
    pub fn ttl_secs(&self) -> u32 {
        self.last.ttl
    }

    /// The metadata of the document, as DID Resolution wants it: numbers are texts, other than `versionNumber`, which
    /// every published resolver gives as number.
    pub fn metadata(&self) -> Value {
        let mut witness = self.last.witness.to_value();
        if let Some(threshold) = witness.get_mut("threshold") {
            *threshold = self.last.witness.threshold.to_string().into();
        }
        json!({
            "versionId": self.entry.version_id,
            "versionNumber": self.entry.number,
            "versionTime": self.entry.time.text,
            "created": self.created,
            "updated": self.updated,
            "scid": self.entry.did.scid(),
            "portable": self.last.portable,
            "deactivated": self.last.deactivated,
            "ttl": self.last.ttl.to_string(),
            "witness": witness,
            "watchers": self.last.watchers,
        })
    }
}

/// Adds `#files` and `#whois` where the document does not define them itself ("DID URL Resolution").
pub(super) fn add_implicit_services(state: &mut Value, did: &WebvhDid) -> Result<()> {
    let files = json!({
        "id": format!("{did}#files"),
        "type": "relativeRef",
        "serviceEndpoint": did.file_url("")?.as_str(),
    });
    let whois = json!({
        "@context": "https://identity.foundation/linked-vp/contexts/v1",
        "id": format!("{did}#whois"),
        "type": "LinkedVerifiablePresentation",
        "serviceEndpoint": did.file_url("whois.vp")?.as_str(),
    });
    let Some(members) = state.as_object_mut() else { return Ok(()) };
    let services = members.entry("service").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(services) = services else { return Ok(()) };
    for (fragment, service) in [("#files", files), ("#whois", whois)] {
        let own = |id: &str| id == fragment || id.strip_suffix(fragment) == Some(did.did().as_str());
        if !services.iter().any(|other| other.get("id").and_then(Value::as_str).is_some_and(own)) {
            services.push(service);
        }
    }
    Ok(())
}

/// The members of a document, for publishing.
pub(super) fn object(state: &Value) -> Result<&Map<String, Value>> {
    state.as_object().ok_or_else(|| Error::malformed("webvh_entry", "the document is not an object"))
}

fn not_found() -> Error {
    Error::refused("webvh_version_not_found", "the DID has no such version")
}
