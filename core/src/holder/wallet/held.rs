//! What the wallet keeps of a credential, and what it shows of it in lists.

use serde::{Deserialize, Serialize};

use super::words;
use crate::attestation::level::AssuranceLevel;
use crate::binding::transaction::visible;
use crate::clock::UnixTime;
use crate::error::Result;
use crate::holder::StoredCredential;
use crate::vault::RecordType;

pub(super) const CREDENTIAL: RecordType = RecordType::new("credential");
pub(super) const LOGO: RecordType = RecordType::new("logo");

/// One credential, in as many copies as were issued together.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Held {
    /// At least one, the next to be shown first; a copy that was used up is removed as long as another is left.
    pub(super) copies: Vec<StoredCredential>,
    /// How many copies were issued.
    pub(super) issued: usize,
    /// Whether the only copy that is left was shown: it is kept for the person to look at.
    pub(super) used_up: bool,
    /// Whether AK lives in the device's key store.
    pub(super) embedded: bool,
    /// Set when a key is gone, or when the credential came out of a backup: it can be looked at and not shown.
    pub(super) keys_lost: bool,
    /// The right to fetch fresh copies, where the issuer gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renewal: Option<String>,
    /// Whether the only copy that is left was shown and kept its key, to be shown again.
    #[serde(default)]
    pub(super) reusable: bool,
}

impl Held {
    /// A credential that was just issued.
    pub(super) fn new(copies: Vec<StoredCredential>, embedded: bool, renewal: Option<String>) -> Self {
        let issued = copies.len();
        Self { issued, copies, used_up: false, embedded, keys_lost: false, renewal, reusable: false }
    }

    /// The id under which it is kept, stable over all its copies.
    pub(super) fn front(&self) -> Option<&StoredCredential> {
        self.copies.first()
    }

    /// The copy that the next presentation shows, under the credential's own `id`.
    pub(super) fn showable(&self, id: &str) -> Option<StoredCredential> {
        let front = self.front().filter(|_| !self.keys_lost && (!self.used_up || self.reusable))?;
        Some(StoredCredential { id: id.to_owned(), ..front.clone() })
    }

    /// Whether a copy is for one presentation only: where several were issued together.
    pub(super) fn single_use(&self) -> bool {
        self.issued > 1
    }

    /// Takes note that the front copy was shown; returns the name of its key when that is not needed any more. With
    /// `reuse` the last copy keeps its key.
    pub(super) fn spend(&mut self, reuse: bool) -> Option<String> {
        if !self.single_use() || self.reusable {
            return None;
        }
        if self.copies.len() > 1 {
            return Some(self.copies.remove(0).hk_alias);
        }
        self.used_up = true;
        self.reusable = reuse;
        self.front().filter(|_| !reuse).map(|copy| copy.hk_alias.clone())
    }

    /// What lists show, without reading the credential again.
    pub(super) fn summary(&self, id: &str, has_logo: bool) -> Result<Summary> {
        let front = self.front();
        let claims = front.and_then(|copy| words::claims_of(copy).ok()).unwrap_or_default();
        Ok(Summary {
            id: id.to_owned(),
            name: front.map(|copy| visible(&copy.display.name)).unwrap_or_default(),
            description: front.and_then(|copy| copy.display.description.as_deref().map(visible)),
            issuer_name: front.map(|copy| visible(&copy.issuer_name)).unwrap_or_default(),
            issuer: front.map(|copy| copy.issuer.clone()).unwrap_or_default(),
            credential_issuer: front.map(|copy| copy.credential_issuer.clone()).unwrap_or_default(),
            issuer_trusted: front.is_some_and(|copy| copy.issuer_trusted),
            kind: front.map(|copy| copy.vct.clone()).unwrap_or_default(),
            configuration_id: front.map(|copy| copy.configuration_id.clone()).unwrap_or_default(),
            format: front.map(|copy| copy.format.as_str().to_owned()).unwrap_or_default(),
            background_color: front.and_then(|copy| copy.display.background_color.clone()),
            text_color: front.and_then(|copy| copy.display.text_color.clone()),
            issued_at: front.map_or(UnixTime::from_secs(0), |copy| copy.issued_at),
            expires_at: front.and_then(|copy| copy.expires_at),
            level: words::level_of(&claims),
            single_use: self.single_use(),
            copies_left: match (self.keys_lost, self.used_up) {
                (false, false) => u32::try_from(self.copies.len()).unwrap_or(u32::MAX),
                _ => 0,
            },
            keys_lost: self.keys_lost,
            status: KnownStatus::Unknown,
            has_logo,
            renewal: self.renewal.clone(),
            reusable: self.reusable,
        })
    }
}

/// What the wallet last learned about a credential from its issuer's status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownStatus {
    /// Never asked, or no status list.
    #[default]
    Unknown,
    /// Valid when last asked.
    Valid,
    /// Revoked for good.
    Revoked,
    /// Suspended: may become valid again.
    Suspended,
}

/// What a list keeps of a credential: no claim about the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) issuer_name: String,
    pub(super) issuer: String,
    pub(super) credential_issuer: String,
    pub(super) issuer_trusted: bool,
    pub(super) kind: String,
    pub(super) configuration_id: String,
    pub(super) format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) background_color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text_color: Option<String>,
    pub(super) issued_at: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<UnixTime>,
    pub(super) level: AssuranceLevel,
    pub(super) single_use: bool,
    pub(super) copies_left: u32,
    pub(super) keys_lost: bool,
    #[serde(default)]
    pub(super) status: KnownStatus,
    pub(super) has_logo: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renewal: Option<String>,
    #[serde(default)]
    pub(super) reusable: bool,
}

impl Summary {
    /// Whether fresh copies are wanted: it ends soon or has ended, or every single-use copy was shown.
    pub(super) fn is_due(&self, now: UnixTime) -> bool {
        let used_up = self.single_use && self.copies_left == 0;
        match state(self, now) {
            CredentialState::ExpiresSoon | CredentialState::Expired | CredentialState::NoCopyLeft => {
                !self.keys_lost
            }
            CredentialState::Usable => used_up,
            _ => false,
        }
    }
}

/// What comes after the last single-use copy of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenUsedUp {
    /// It has no single-use copies: it can be shown as often as the person wants.
    NotSingleUse,
    /// The wallet fetches fresh copies ([`Wallet::refresh_due`](super::Wallet::refresh_due)).
    Refill,
    /// The last copy is shown again: those who see it can tell that it was the same person.
    Reuse,
    /// It cannot be shown any more: the issuer has to make a new offer.
    NewOffer,
}

/// What can be done with a credential now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialState {
    /// It can be shown.
    Usable,
    /// It can be shown, and will expire soon: refresh it.
    ExpiresSoon,
    /// Its time is over.
    Expired,
    /// Every single-use copy was shown: see [`CredentialSummary::when_used_up`].
    NoCopyLeft,
    /// Its keys are gone: collect it again from the issuer.
    ReenrolmentNeeded,
    /// The issuer has suspended it.
    Suspended,
    /// The issuer has revoked it.
    Revoked,
}

/// Seconds before the end in which a credential "expires soon": a week, and never more than a quarter of its life.
const SOON: i64 = 7 * 86_400;

/// A credential as lists show it: no claim about the person. All texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSummary {
    /// The wallet's identifier of it.
    pub id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// One sentence about it.
    pub description: Option<String>,
    /// The issuer's name, as it says itself.
    pub issuer_name: String,
    /// The issuer's identifier: `iss`, or the W3C `issuer`.
    pub issuer: String,
    /// Where it was collected.
    pub credential_issuer: String,
    /// Whether a trust rule of this wallet vouches for the issuer.
    pub issuer_trusted: bool,
    /// Credential type: `vct`, or the type of a W3C credential.
    pub kind: String,
    /// The issuer's name of the configuration.
    pub configuration_id: String,
    /// Format identifier, as in `dc+sd-jwt`.
    pub format: String,
    /// CSS colour of the card.
    pub background_color: Option<String>,
    /// CSS colour of the text on it.
    pub text_color: Option<String>,
    /// When the wallet got it.
    pub issued_at: UnixTime,
    /// When its time is over.
    pub expires_at: Option<UnixTime>,
    /// How strongly it is bound to the person, as the issuer says.
    pub level: AssuranceLevel,
    /// Whether each presentation uses up one copy.
    pub single_use: bool,
    /// How many presentations the copies are good for; without single use, 1 while it can be shown.
    pub copies_left: u32,
    /// What can be done with it now.
    pub state: CredentialState,
    /// Whether [`Wallet::logo`](super::Wallet::logo) has a picture.
    pub has_logo: bool,
    /// Whether the issuer gave the right to fetch fresh copies ([`Wallet::refresh`](super::Wallet::refresh)).
    pub renewable: bool,
    /// What comes after the last single-use copy.
    pub when_used_up: WhenUsedUp,
}

impl CredentialSummary {
    /// `reuse`: whether the wallet shows the last copy again where it cannot have fresh ones.
    pub(super) fn new(summary: Summary, now: UnixTime, reuse: bool) -> Self {
        let state = state(&summary, now);
        let renewable = summary.renewal.is_some() && !summary.keys_lost;
        Self {
            renewable,
            when_used_up: match (summary.single_use, renewable) {
                (false, _) => WhenUsedUp::NotSingleUse,
                (true, true) => WhenUsedUp::Refill,
                (true, false) if summary.reusable || (reuse && summary.copies_left > 0) => WhenUsedUp::Reuse,
                (true, false) => WhenUsedUp::NewOffer,
            },
            id: summary.id,
            name: summary.name,
            description: summary.description,
            issuer_name: summary.issuer_name,
            issuer: summary.issuer,
            credential_issuer: summary.credential_issuer,
            issuer_trusted: summary.issuer_trusted,
            kind: summary.kind,
            configuration_id: summary.configuration_id,
            format: summary.format,
            background_color: summary.background_color,
            text_color: summary.text_color,
            issued_at: summary.issued_at,
            expires_at: summary.expires_at,
            level: summary.level,
            single_use: summary.single_use,
            copies_left: summary.copies_left,
            state,
            has_logo: summary.has_logo,
        }
    }

    /// Whether every word of `search` occurs in its name, kind, description or issuer; case does not matter.
    pub fn matches(&self, search: &str) -> bool {
        let description = self.description.as_deref().unwrap_or_default();
        let text =
            [&self.name, description, &self.issuer_name, &self.issuer, &self.kind].join("\n").to_lowercase();
        search.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

fn state(summary: &Summary, now: UnixTime) -> CredentialState {
    let soon = |end: UnixTime| {
        let life = end.since(summary.issued_at) / 4;
        end.since(now) <= SOON.min(life)
    };
    match (summary.status, summary.expires_at) {
        (KnownStatus::Revoked, _) => CredentialState::Revoked,
        (_, Some(end)) if now >= end => CredentialState::Expired,
        _ if summary.keys_lost => CredentialState::ReenrolmentNeeded,
        (KnownStatus::Suspended, _) => CredentialState::Suspended,
        _ if summary.copies_left == 0 && !summary.reusable => CredentialState::NoCopyLeft,
        (_, Some(end)) if soon(end) => CredentialState::ExpiresSoon,
        _ => CredentialState::Usable,
    }
}

/// Credentials that belong together on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialGroup {
    /// What they share: issuer name, or the name of the kind.
    pub title: String,
    /// They, newest first.
    pub credentials: Vec<CredentialSummary>,
}

/// By what credentials are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// Who issued them.
    Issuer,
    /// What they are.
    Kind,
}

pub(super) fn group(credentials: Vec<CredentialSummary>, by: GroupBy) -> Vec<CredentialGroup> {
    let mut groups: std::collections::BTreeMap<String, CredentialGroup> = std::collections::BTreeMap::new();
    for credential in credentials {
        let (key, title) = match by {
            GroupBy::Issuer => (&credential.credential_issuer, &credential.issuer_name),
            GroupBy::Kind => (&credential.kind, &credential.name),
        };
        let (key, title) = (key.clone(), title.clone());
        let group = groups.entry(key).or_insert(CredentialGroup { title, credentials: Vec::new() });
        group.credentials.push(credential);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| group.title.to_lowercase());
    groups
}

/// One claim as a person reads it. `Debug` hides the values.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimText {
    /// The issuer's name for it, or its own made readable.
    pub label: String,
    /// One line per value.
    pub values: Vec<String>,
}

impl std::fmt::Debug for ClaimText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimText").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A credential with its claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialDetails {
    /// What lists show of it.
    pub summary: CredentialSummary,
    /// What is in it about the person, in the issuer's order.
    pub claims: Vec<ClaimText>,
}
