//! The trust rules in force: those of the configuration and what their trusted lists add to them.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use carekey_core::clock::UnixTime;
use carekey_core::holder::HttpClient;
use carekey_core::trust::{IssuerRule, IssuerTrust};
use carekey_service::trusted_lists::TrustedLists;

use crate::config::{self, TrustRule};

pub(super) struct Trust {
    rules: Vec<IssuerRule>,
    /// Rule of each list.
    owners: Vec<usize>,
    lists: TrustedLists,
    /// A snapshot: who took it judges by it to the end.
    current: RwLock<Arc<IssuerTrust>>,
}

impl Trust {
    /// Reads files, relative to `folder`; lists that are fetched are kept in `kept`.
    pub(super) fn open(
        rules: &[TrustRule],
        folder: &Path,
        kept: &Path,
        now: UnixTime,
    ) -> std::io::Result<Self> {
        let owned =
            rules.iter().enumerate().flat_map(|(rule, own)| own.lists.iter().map(move |list| (rule, list)));
        let (owners, configs): (Vec<_>, Vec<_>) = owned.map(|(rule, list)| (rule, list.clone())).unzip();
        let lists = TrustedLists::open(&configs, folder, kept, now)?;
        let trust = Self { rules: config::trust(rules, folder)?, owners, lists, current: RwLock::default() };
        trust.rebuild(now);
        Ok(trust)
    }

    /// The rules in force.
    pub(super) fn current(&self) -> Arc<IssuerTrust> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for newer lists where it is time to.
    pub(super) async fn refresh(&self, http: &dyn HttpClient, now: UnixTime) {
        if self.lists.refresh(http, now).await {
            self.rebuild(now);
        }
    }

    fn rebuild(&self, now: UnixTime) {
        let mut rules = self.rules.clone();
        for (owner, anchors) in self.owners.iter().zip(self.lists.anchors(now)) {
            if let Some(rule) = rules.get_mut(*owner) {
                rule.listed.extend(anchors);
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(IssuerTrust::new(rules));
    }
}
