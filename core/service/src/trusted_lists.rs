//! Lists of trusted entities (ETSI TS 119 602), loaded from files or fetched, and kept: a list counts only after it was
//! judged under its operator's certificate, and until its next update.
//!
//! A list that was fetched is kept on disk, so that a service that starts without a network goes on with it. A file or
//! answer that does not hold, or that is older than the list in use, changes nothing and is logged.

use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use carekey_core::clock::UnixTime;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::holder::http::{HttpClient, HttpRequest};
use carekey_core::trust::ListedAnchor;
use carekey_core::trust::trusted_list::{LIMITS, UnverifiedTrustedList, VerifiedTrustedList};
use carekey_core::x509::TrustAnchor;
use serde::Deserialize;
use url::Url;

use crate::private_file;

/// Seconds after which a list is looked for again.
const REFRESH: i64 = 3_600;
/// Seconds after which a list that could not be had is tried again.
const RETRY: i64 = 300;

/// One list and what of it counts. Exactly one of `file` and `url` is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListConfig {
    /// The list as a file, which is read again every hour.
    pub file: Option<PathBuf>,
    /// Where the list is fetched, every hour.
    pub url: Option<Url>,
    /// What queries for authorities (`etsi_tl`) call the list; absent: its `url`.
    pub id: Option<String>,
    /// PEM files with the certificates that the list's operator signs under.
    pub operators: Vec<PathBuf>,
    /// `ServiceTypeIdentifier`s: certificates of services of other types do not count.
    pub service_types: Vec<String>,
}

/// Lists with their state; shared by whoever asks and the task that refreshes.
#[derive(Debug, Default)]
pub struct TrustedLists {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    origin: Origin,
    id: Option<String>,
    operators: Vec<TrustAnchor>,
    service_types: Vec<String>,
    state: RwLock<State>,
}

#[derive(Debug)]
enum Origin {
    File(PathBuf),
    Url { url: Url, kept: PathBuf },
}

#[derive(Debug, Default)]
struct State {
    list: Option<Arc<VerifiedTrustedList>>,
    next_look: Option<UnixTime>,
}

impl TrustedLists {
    /// Reads operators' certificates, and the lists that lie on disk; `kept` is the folder for lists that are fetched.
    ///
    /// # Errors
    /// Name the file or setting. A list in a file must hold; one that was kept may have become too old.
    pub fn open(configs: &[ListConfig], folder: &Path, kept: &Path, now: UnixTime) -> Result<Self> {
        if configs.iter().any(|config| config.url.is_some()) {
            std::fs::create_dir_all(kept)?;
        }
        let sources =
            configs.iter().map(|config| Source::open(config, folder, kept, now)).collect::<Result<_>>()?;
        Ok(Self { sources })
    }

    /// The certificates that the list of each configuration adds at `now`, in their order.
    pub fn anchors(&self, now: UnixTime) -> Vec<Vec<ListedAnchor>> {
        let of = |source: &Source| {
            let list = source.state.read().unwrap_or_else(PoisonError::into_inner).list.clone();
            let list = list.filter(|list| now < list.next_update());
            list.map_or_else(Vec::new, |list| ListedAnchor::of(&list, &source.service_types))
        };
        self.sources.iter().map(of).collect()
    }

    /// What queries call the list of each configuration, in their order.
    pub fn ids(&self) -> impl Iterator<Item = Option<String>> {
        self.sources.iter().map(|source| source.id.clone())
    }

    /// Looks for newer lists where it is time to; says whether [`Self::anchors`] may answer differently now.
    pub async fn refresh(&self, http: &dyn HttpClient, now: UnixTime) -> bool {
        let mut changed = false;
        for source in &self.sources {
            changed |= source.refresh(http, now).await;
        }
        changed
    }
}

impl Source {
    fn open(config: &ListConfig, folder: &Path, kept: &Path, now: UnixTime) -> Result<Self> {
        let origin = match (&config.file, &config.url) {
            (Some(file), None) => Origin::File(folder.join(file)),
            (None, Some(url)) => {
                let name = base64url::encode(&sha256(url.as_str().as_bytes()));
                Origin::Url { url: url.clone(), kept: kept.join(format!("{name}.jws")) }
            }
            _ => return Err(Error::other("a trusted list has a file or a URL")),
        };
        let operators = read_anchors(&config.operators, folder)?;
        if operators.is_empty() || config.service_types.is_empty() {
            return Err(Error::other("a trusted list needs operators and service_types"));
        }
        let source = Self {
            origin,
            id: config.id.clone().or_else(|| config.url.as_ref().map(|url| url.as_str().to_owned())),
            operators,
            service_types: config.service_types.clone(),
            state: RwLock::default(),
        };
        match &source.origin {
            Origin::File(path) => {
                let named =
                    |reason: &dyn std::fmt::Display| Error::other(format!("{}: {reason}", path.display()));
                let bytes = std::fs::read(path).map_err(|error| named(&error))?;
                source.take(&bytes, now).map_err(|error| named(&error))?;
            }
            Origin::Url { kept, .. } => {
                if let Ok(bytes) = std::fs::read(kept)
                    && let Err(error) = source.take(&bytes, now)
                {
                    tracing::warn!(code = error.code(), "the kept copy of a trusted list does not count");
                }
                // The copy may be old: look at once.
                source.write().next_look = None;
            }
        }
        Ok(source)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a list and puts it in the place of the one before; says whether it is another.
    fn take(&self, bytes: &[u8], now: UnixTime) -> carekey_core::Result<bool> {
        let not_text = |_| carekey_core::Error::malformed("trusted_list", "a trusted list is text");
        let list = UnverifiedTrustedList::parse(std::str::from_utf8(bytes).map_err(not_text)?, &LIMITS)?;
        let mut state = self.write();
        let known = state.list.as_ref().map(|list| (list.sequence(), list.issued_at()));
        let list = list.verify(&self.operators, now, known.map(|(sequence, _)| sequence))?;
        let another = known != Some((list.sequence(), list.issued_at()));
        state.next_look = Some(now.plus(REFRESH));
        state.list = Some(Arc::new(list));
        Ok(another)
    }

    async fn refresh(&self, http: &dyn HttpClient, now: UnixTime) -> bool {
        let (due, ended) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let ended = state.list.as_ref().is_some_and(|list| now >= list.next_update());
            (ended || state.next_look.is_none_or(|next| now >= next), ended)
        };
        if !due {
            return false;
        }
        let changed = match self.load(http).await.and_then(|bytes| Ok((self.take(&bytes, now)?, bytes))) {
            Ok((changed, bytes)) => {
                if let (true, Origin::Url { kept, .. }) = (changed, &self.origin)
                    && let Err(error) = private_file::write(kept, &bytes)
                {
                    tracing::warn!(%error, "a trusted list could not be kept");
                }
                changed
            }
            Err(error) => {
                tracing::warn!(code = error.code(), "a trusted list could not be refreshed");
                self.write().next_look = Some(now.plus(RETRY));
                false
            }
        };
        if ended && !changed {
            // Its time is over: its certificates count no more, but its number still does.
            tracing::error!("a trusted list is past its next update: nobody on it is trusted");
        }
        changed || ended
    }

    async fn load(&self, http: &dyn HttpClient) -> carekey_core::Result<Vec<u8>> {
        let unavailable = |detail| carekey_core::Error::unavailable("fetch_failed", detail);
        match &self.origin {
            Origin::File(path) => tokio::fs::read(path)
                .await
                .map_err(|_| unavailable("the file of a trusted list cannot be read")),
            Origin::Url { url, .. } => {
                let response = http.send(HttpRequest::get(url.clone(), "application/jose, */*")).await?;
                if response.is_success() {
                    Ok(response.body)
                } else {
                    Err(unavailable("the server did not answer with the trusted list"))
                }
            }
        }
    }
}

/// The certificates of PEM files, relative to `folder`.
///
/// # Errors
/// Name the file.
pub fn read_anchors(paths: &[PathBuf], folder: &Path) -> Result<Vec<TrustAnchor>> {
    let mut anchors = Vec::new();
    for path in paths {
        let path = folder.join(path);
        let named = |reason: String| Error::other(format!("{}: {reason}", path.display()));
        let pem = std::fs::read(&path).map_err(|error| named(error.to_string()))?;
        anchors.extend(TrustAnchor::from_pem(&pem).map_err(|error| named(error.detail().to_owned()))?);
    }
    Ok(anchors)
}
