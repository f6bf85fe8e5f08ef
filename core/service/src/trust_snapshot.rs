//! Trust rules that lists of trusted entities add to: what is in force is a snapshot, made anew when a list changes or
//! ends. Who took a snapshot judges by it to the end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use carekey_core::clock::UnixTime;
use carekey_core::encoding::json;
use carekey_core::holder::http::HttpClient;
use carekey_core::jose::jwk::JwkSet;
use carekey_core::limits::Limits;
use carekey_core::trust::{ListedAnchor, WalletProviderRule, WalletProviderTrust};
use serde::Deserialize;

use crate::trusted_lists::{ListConfig, TrustedLists, read_anchors};

/// What one list adds to its rule.
#[derive(Debug, Clone)]
pub struct Addition {
    /// The list's identifier, where it has one.
    pub list_id: Option<String>,
    /// The certificates of its services that count.
    pub anchors: Vec<ListedAnchor>,
}

/// How rules and what lists add to each of them become what is judged by.
type Build<R, T> = Box<dyn Fn(Vec<(R, Vec<Addition>)>) -> T + Send + Sync>;

/// Rules `R` whose snapshots are `T`.
pub struct TrustSnapshot<R, T> {
    rules: Vec<R>,
    /// Rule of each list.
    owners: Vec<usize>,
    lists: TrustedLists,
    build: Build<R, T>,
    current: RwLock<Arc<T>>,
}

impl<R: Clone, T> TrustSnapshot<R, T> {
    /// Rules with their lists, files read relative to `folder`; lists that are fetched are kept in `kept`.
    ///
    /// # Errors
    /// As [`TrustedLists::open`].
    pub fn open(
        rules: Vec<(R, Vec<ListConfig>)>,
        (folder, kept): (&Path, &Path),
        now: UnixTime,
        build: impl Fn(Vec<(R, Vec<Addition>)>) -> T + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (mut owners, mut configs, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (rule, lists)) in rules.into_iter().enumerate() {
            owners.extend(lists.iter().map(|_| index));
            configs.extend(lists);
            own.push(rule);
        }
        let lists = TrustedLists::open(&configs, folder, kept, now)?;
        let first = build(with_additions(&own, &owners, &lists, now));
        Ok(Self { rules: own, owners, lists, build: Box::new(build), current: RwLock::new(Arc::new(first)) })
    }

    /// What is in force.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for newer lists where it is time to.
    pub async fn refresh(&self, http: &dyn HttpClient, now: UnixTime) {
        if self.lists.refresh(http, now).await {
            let next = (self.build)(with_additions(&self.rules, &self.owners, &self.lists, now));
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        }
    }
}

impl<R, T> std::fmt::Debug for TrustSnapshot<R, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustSnapshot").field("lists", &self.owners.len()).finish_non_exhaustive()
    }
}

fn with_additions<R: Clone>(
    rules: &[R],
    owners: &[usize],
    lists: &TrustedLists,
    now: UnixTime,
) -> Vec<(R, Vec<Addition>)> {
    let mut all: Vec<(R, Vec<Addition>)> = rules.iter().map(|rule| (rule.clone(), Vec::new())).collect();
    for ((owner, anchors), list_id) in owners.iter().zip(lists.anchors(now)).zip(lists.ids()) {
        if let Some((_, additions)) = all.get_mut(*owner) {
            additions.push(Addition { list_id, anchors });
        }
    }
    all
}

/// Wallet providers of an issuer's configuration: a provider with certificates or pinned keys, or lists of providers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WalletProviderConfig {
    /// What verdicts call the provider.
    pub name: String,
    /// PEM files with trust anchors of its certificates.
    pub anchors: Vec<PathBuf>,
    /// File with its pinned keys, a JWK Set.
    pub jwks: Option<PathBuf>,
    /// Lists of trusted entities (ETSI TS 119 602) that name wallet providers.
    pub lists: Vec<ListConfig>,
}

/// Wallet providers in force.
pub type WalletProviders = TrustSnapshot<WalletProviderRule, WalletProviderTrust>;

impl WalletProviders {
    /// The providers of a configuration, files read relative to `folder`; lists that are fetched are kept in `kept`.
    ///
    /// # Errors
    /// Name the file or setting.
    pub fn of(
        configs: &[WalletProviderConfig],
        (folder, kept): (&Path, &Path),
        now: UnixTime,
    ) -> std::io::Result<Self> {
        let rules = configs.iter().map(|config| Ok((read_provider(config, folder)?, config.lists.clone())));
        Self::open(rules.collect::<std::io::Result<_>>()?, (folder, kept), now, |rules| {
            let listed = |(mut rule, additions): (WalletProviderRule, Vec<Addition>)| {
                rule.listed.extend(additions.into_iter().flat_map(|addition| addition.anchors));
                rule
            };
            WalletProviderTrust::new(rules.into_iter().map(listed).collect())
        })
    }
}

fn read_provider(config: &WalletProviderConfig, folder: &Path) -> std::io::Result<WalletProviderRule> {
    let keys = config.jwks.as_ref().map(|path| read_jwks(&folder.join(path))).transpose()?;
    Ok(WalletProviderRule {
        name: config.name.clone(),
        anchors: read_anchors(&config.anchors, folder)?,
        keys: keys.unwrap_or_default().keys,
        listed: Vec::new(),
    })
}

/// A file with a JWK Set of public keys.
///
/// # Errors
/// Name the file.
pub fn read_jwks(path: &Path) -> std::io::Result<JwkSet> {
    let named = |reason: String| std::io::Error::other(format!("{}: {reason}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| named(error.to_string()))?;
    json::parse_as(&bytes, &Limits::DEFAULT).map_err(|error| named(error.detail().to_owned()))
}

#[cfg(test)]
mod tests {
    use carekey_core::jose::jwk::Jwk;
    use carekey_core::key::{SignatureAlgorithm, Signer as _, SoftwareKey};

    use super::*;

    #[test]
    fn wallet_providers_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let jwks = serde_json::json!({ "keys": [Jwk::from_key(key.public_key()).to_value()] });
        std::fs::write(folder.path().join("keys.json"), jwks.to_string()).unwrap();
        let open = |config: WalletProviderConfig| {
            let places = (folder.path(), folder.path());
            WalletProviders::of(&[config], places, UnixTime::from_secs(1_796_000_000))
        };
        let config = WalletProviderConfig {
            name: "pinned".into(),
            jwks: Some("keys.json".into()),
            ..WalletProviderConfig::default()
        };
        let trust = open(config.clone()).unwrap().current();
        let [provider] = trust.providers() else { panic!("{trust:?}") };
        assert_eq!((provider.name.as_str(), provider.keys.len()), ("pinned", 1));
        let missing = WalletProviderConfig { anchors: vec!["nowhere.pem".into()], ..config.clone() };
        assert!(open(missing).unwrap_err().to_string().contains("nowhere.pem"));
        let missing = WalletProviderConfig { jwks: Some("nothing.json".into()), ..config };
        assert!(open(missing).unwrap_err().to_string().contains("nothing.json"));
    }
}
