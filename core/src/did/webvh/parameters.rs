//! The parameters of a log entry ("did:webvh DID Method Parameters").

use serde_json::{Map, Value, json};

use super::proof;
use crate::encoding::{multibase, sha256};
use crate::error::{Error, Result};

/// The one version of the method that is spoken here.
pub const METHOD: &str = "did:webvh:1.0";
/// Longest list of keys, hashes, witnesses or watchers.
const MAX_ITEMS: usize = 64;
/// Longest key, hash or address, in bytes.
const MAX_TEXT: usize = 2048;
/// `ttl` when a log states none, in seconds.
const DEFAULT_TTL: u32 = 3600;

/// Who approves new versions; no witnesses means that nobody needs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WitnessRule {
    /// How many of them must approve.
    pub threshold: usize,
    /// Each a `did:key` of Ed25519.
    pub witnesses: Vec<String>,
}

impl WitnessRule {
    /// Whether nobody needs to approve.
    pub fn is_empty(&self) -> bool {
        self.witnesses.is_empty()
    }

    /// As in the parameters.
    pub(super) fn to_value(&self) -> Value {
        if self.is_empty() {
            return json!({});
        }
        let witnesses: Vec<Value> = self.witnesses.iter().map(|id| json!({"id": id})).collect();
        json!({"threshold": self.threshold, "witnesses": witnesses})
    }

    fn parse(value: &Value) -> Result<Self> {
        let bad = |detail: &'static str| Error::malformed("webvh_witness", detail);
        let members = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) if members.is_empty() => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => return Err(bad("witness is not an object")),
        };
        if members.keys().any(|name| name != "threshold" && name != "witnesses") {
            return Err(bad("witness has an unknown member"));
        }
        let list = members.get("witnesses").and_then(Value::as_array).filter(|list| list.len() <= MAX_ITEMS);
        let mut witnesses: Vec<String> = Vec::new();
        for entry in list.ok_or_else(|| bad("witness.witnesses is not an array"))? {
            let id = entry.get("id").and_then(Value::as_str).ok_or_else(|| bad("a witness has no id"))?;
            // One published implementation writes the bare Multikey, which names the same key.
            let multikey = id.strip_prefix("did:key:").unwrap_or(id);
            if proof::ed25519(multikey).is_none() {
                let detail = "a witness is not the did:key of an Ed25519 key";
                return Err(Error::malformed("webvh_witness_key", detail));
            }
            let id = format!("did:key:{multikey}");
            if witnesses.contains(&id) {
                return Err(Error::malformed("webvh_witness_duplicate", "a witness is listed twice"));
            }
            witnesses.push(id);
        }
        let threshold = members.get("threshold").and_then(Value::as_u64);
        let threshold = threshold.and_then(|count| usize::try_from(count).ok());
        match threshold.filter(|count| (1..=witnesses.len()).contains(count)) {
            Some(threshold) => Ok(Self { threshold, witnesses }),
            None => {
                let detail = "threshold is not between 1 and the number of witnesses";
                Err(Error::malformed("webvh_witness_threshold", detail))
            }
        }
    }
}

/// What one entry sets; `None` keeps what was.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Parameters {
    pub(super) method: bool,
    pub(super) scid: Option<String>,
    pub(super) update_keys: Option<Vec<String>>,
    pub(super) next_key_hashes: Option<Vec<String>>,
    pub(super) witness: Option<WitnessRule>,
    pub(super) watchers: Option<Vec<String>>,
    pub(super) portable: Option<bool>,
    pub(super) deactivated: Option<bool>,
    pub(super) ttl: Option<u32>,
}

impl Parameters {
    /// Errors: `webvh_parameters`, `webvh_method`, `webvh_witness`, `webvh_witness_key`, `webvh_witness_duplicate`,
    /// `webvh_witness_threshold`. `null` is taken for a parameter's default, as the text advises.
    pub(super) fn parse(value: &Value) -> Result<Self> {
        let mut out = Self::default();
        for (name, value) in value.as_object().ok_or_else(|| bad("parameters"))? {
            match name.as_str() {
                "method" if value.as_str() == Some(METHOD) => out.method = true,
                "method" => {
                    return Err(Error::unsupported(
                        "webvh_method",
                        "this version of did:webvh is not supported",
                    ));
                }
                "scid" => out.scid = Some(value.as_str().ok_or_else(|| bad("scid"))?.to_owned()),
                "updateKeys" => out.update_keys = Some(texts(value).ok_or_else(|| bad("updateKeys"))?),
                "nextKeyHashes" => {
                    out.next_key_hashes = Some(texts(value).ok_or_else(|| bad("nextKeyHashes"))?)
                }
                "witness" => out.witness = Some(WitnessRule::parse(value)?),
                "watchers" => {
                    let urls =
                        texts(value).filter(|urls| urls.iter().all(|url| url::Url::parse(url).is_ok()));
                    out.watchers = Some(urls.ok_or_else(|| bad("watchers"))?);
                }
                "portable" => out.portable = Some(flag(value).ok_or_else(|| bad("portable"))?),
                "deactivated" => out.deactivated = Some(flag(value).ok_or_else(|| bad("deactivated"))?),
                "ttl" => out.ttl = Some(ttl(value).ok_or_else(|| bad("ttl"))?),
                _ => return Err(Error::malformed("webvh_parameters", "parameters has an unknown member")),
            }
        }
        Ok(out)
    }

    pub(super) fn to_value(&self) -> Value {
        let mut out = Map::new();
        if self.method {
            out.insert("method".into(), METHOD.into());
        }
        if let Some(scid) = &self.scid {
            out.insert("scid".into(), scid.as_str().into());
        }
        if let Some(keys) = &self.update_keys {
            out.insert("updateKeys".into(), json!(keys));
        }
        if let Some(hashes) = &self.next_key_hashes {
            out.insert("nextKeyHashes".into(), json!(hashes));
        }
        if let Some(rule) = &self.witness {
            out.insert("witness".into(), rule.to_value());
        }
        if let Some(watchers) = &self.watchers {
            out.insert("watchers".into(), json!(watchers));
        }
        if let Some(portable) = self.portable {
            out.insert("portable".into(), portable.into());
        }
        if let Some(deactivated) = self.deactivated {
            out.insert("deactivated".into(), deactivated.into());
        }
        if let Some(ttl) = self.ttl {
            out.insert("ttl".into(), ttl.into());
        }
        out.into()
    }
}

/// What holds after an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Active {
    pub(super) update_keys: Vec<String>,
    pub(super) next_key_hashes: Vec<String>,
    pub(super) witness: WitnessRule,
    pub(super) watchers: Vec<String>,
    pub(super) portable: bool,
    pub(super) deactivated: bool,
    pub(super) ttl: u32,
}

impl Default for Active {
    fn default() -> Self {
        Self {
            update_keys: Vec::new(),
            next_key_hashes: Vec::new(),
            witness: WitnessRule::default(),
            watchers: Vec::new(),
            portable: false,
            deactivated: false,
            ttl: DEFAULT_TTL,
        }
    }
}

impl Active {
    /// What holds after an entry with these parameters.
    pub(super) fn after(&self, entry: &Parameters) -> Self {
        let or = |new: &Option<Vec<String>>, old: &Vec<String>| new.clone().unwrap_or_else(|| old.clone());
        Self {
            update_keys: or(&entry.update_keys, &self.update_keys),
            next_key_hashes: or(&entry.next_key_hashes, &self.next_key_hashes),
            witness: entry.witness.clone().unwrap_or_else(|| self.witness.clone()),
            watchers: or(&entry.watchers, &self.watchers),
            portable: entry.portable.unwrap_or(self.portable),
            deactivated: entry.deactivated.unwrap_or(self.deactivated),
            ttl: entry.ttl.unwrap_or(self.ttl),
        }
    }
}

/// The commitment to a Multikey that a later entry will authorize, for `nextKeyHashes`.
pub fn next_key_hash(multikey: &str) -> String {
    multihash(multikey.as_bytes())
}

/// The SHA-256 multihash of `bytes`, in base58btc without a multibase prefix.
pub(super) fn multihash(bytes: &[u8]) -> String {
    let text = multibase::encode_base58btc(&[&[0x12, 0x20][..], &sha256(bytes)].concat());
    text.strip_prefix('z').unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Option<Vec<String>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    let items = value.as_array().filter(|items| items.len() <= MAX_ITEMS)?;
    let text =
        |item: &Value| item.as_str().filter(|text| (1..=MAX_TEXT).contains(&text.len())).map(str::to_owned);
    items.iter().map(text).collect()
}

fn flag(value: &Value) -> Option<bool> {
    if value.is_null() { Some(false) } else { value.as_bool() }
}

fn ttl(value: &Value) -> Option<u32> {
    if value.is_null() {
        return Some(DEFAULT_TTL);
    }
    value.as_u64().and_then(|secs| u32::try_from(secs).ok()).filter(|secs| *secs <= 1 << 31)
}

fn bad(member: &'static str) -> Error {
    Error::malformed("webvh_parameters", format!("{member} is malformed"))
}
