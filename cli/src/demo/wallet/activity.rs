//! What went to whom: the wallet's own log, sealed like everything else.

use carekey_core::clock::UnixTime;
use carekey_core::error::Result;
use carekey_core::vault::RecordType;
use serde::{Deserialize, Serialize};

use super::Wallet;

const KIND: RecordType = RecordType::new("activity");
const MOST_SHOWN: usize = 100;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// A credential came in.
    Received,
    /// Claims went to a verifier, who took them.
    Sent,
    /// Claims went to a verifier, who refused the presentation.
    Refused,
    /// The person said no.
    Declined,
}

/// One line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at: UnixTime,
    pub(super) kind: What,
    pub(super) title: String,
    /// The other side's name.
    pub(super) party: String,
    pub(super) purpose: Option<String>,
    /// Names of the claims, never their values.
    pub(super) claims: Vec<String>,
}

impl Wallet {
    /// Adds a line.
    pub(super) async fn note(&self, session: &str, entry: &Entry) -> Result<()> {
        self.records.put(session, KIND, &self.random.token(16), entry).await
    }

    /// The newest lines, newest first.
    pub(super) async fn activity(&self, session: &str) -> Result<Vec<Entry>> {
        let mut all: Vec<Entry> = self.records.all(session, KIND).await?;
        all.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        all.truncate(MOST_SHOWN);
        Ok(all)
    }
}
