//! What attestations are graded by, loaded from the operator's files and Google's address, and loaded anew at upkeep.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use carekey_core::attestation::AttestationTrust;
use carekey_core::attestation::android_key::status::StatusList;
use carekey_core::attestation::android_key::{AndroidTrust, google_roots};
use carekey_core::attestation::app_attest::apple_roots;
use carekey_core::attestation::metadata::{MetadataBlob, MetadataExpectation, VerifiedMetadata};
use carekey_core::clock::UnixTime;
use carekey_core::holder::http::{HttpClient, HttpRequest};
use carekey_core::x509::TrustAnchor;
use carekey_service::fetch::Fetcher;
use carekey_service::private_file;
use url::Url;

use crate::app::{StartError, named};
use crate::config::{AndroidAttestation, AppleAttestation, Config, FidoMetadata};

/// A fetched list is fetched anew after this time, or sooner where it may not be used that long.
const REFRESH: i64 = 6 * 3600;

/// Copy of the fetched list, so that a start needs no network.
const STATUS_COPY: &str = "android-status.json";

/// Number of the newest BLOB that was used: an older one is refused (Metadata Service 3.2, step 6).
const METADATA_NUMBER: &str = "fido_metadata.number";

/// Where everything comes from.
pub(crate) struct Sources {
    metadata: Option<FidoMetadata>,
    android: Option<AndroidAttestation>,
    apple: Option<AppleAttestation>,
    fetcher: Option<Fetcher>,
    data: PathBuf,
}

impl Sources {
    /// # Errors
    /// When Android's section names both or neither of the two sources of its status list, or the client cannot be made.
    pub(crate) fn new(config: &Config) -> Result<Self, StartError> {
        let android = config.android_attestation.clone();
        let mut fetcher = None;
        match android.as_ref().map(|android| (&android.status_list, &android.status_url)) {
            None | Some((Some(_), None)) => {}
            Some((None, Some(_))) => fetcher = Some(Fetcher::new(config.fetch.clone())?),
            Some(_) => {
                let detail = "key `android_attestation`: one of status_list and status_url is needed";
                return Err(StartError::new(detail));
            }
        }
        Ok(Self {
            metadata: config.fido_metadata.clone(),
            android,
            apple: config.apple_attestation.clone(),
            fetcher,
            data: config.data_dir.clone(),
        })
    }

    /// Whether there is anything that can change while the service runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.metadata.is_none() && self.android.is_none()
    }

    /// Loads everything.
    ///
    /// # Errors
    /// Names the file or address that cannot be used.
    pub(crate) async fn load(&self, now: UnixTime) -> Result<AttestationTrust, StartError> {
        let apple = match &self.apple {
            Some(apple) => roots(&apple.roots, apple_roots)?,
            None => Vec::new(),
        };
        Ok(AttestationTrust { metadata: self.metadata(now)?, android: self.android(now).await?, apple })
    }

    /// Loads anew what changes while the service runs. What went bad leaves what was loaded before, which runs out by its
    /// own dates; one source does not hold up the other.
    pub(crate) async fn renew(&self, before: &AttestationTrust, now: UnixTime) -> AttestationTrust {
        let told = |error: &StartError| tracing::error!(%error, "attestation data could not be loaded anew");
        let metadata = self.metadata(now).inspect_err(told).unwrap_or_else(|_| before.metadata.clone());
        let android = self.android(now).await.inspect_err(told).unwrap_or_else(|_| before.android.clone());
        AttestationTrust { metadata, android, apple: before.apple.clone() }
    }

    fn metadata(&self, now: UnixTime) -> Result<Option<VerifiedMetadata>, StartError> {
        self.metadata.as_ref().map(|metadata| load_metadata(metadata, &self.data, now)).transpose()
    }

    async fn android(&self, now: UnixTime) -> Result<Option<AndroidTrust>, StartError> {
        let Some(android) = &self.android else { return Ok(None) };
        let status = self.status(android, now).await?;
        Ok(Some(AndroidTrust { roots: roots(&android.roots, google_roots)?, status }))
    }

    /// The revocation list: usable for the operator's time since the file was written.
    async fn status(&self, config: &AndroidAttestation, now: UnixTime) -> Result<StatusList, StartError> {
        let max_age = i64::from(config.status_max_age_hours) * 3600;
        let path = match (&config.status_list, &config.status_url, &self.fetcher) {
            (None, Some(url), Some(fetcher)) => {
                let copy = self.data.join(STATUS_COPY);
                let due = written(&copy).is_none_or(|written| now > written.plus(REFRESH.min(max_age / 2)));
                if due && let Err(error) = self.fetch(fetcher, url, &copy).await {
                    tracing::warn!(%error, "the status list of Android keys could not be renewed");
                }
                copy
            }
            (Some(path), ..) => path.clone(),
            (None, ..) => return Err(StartError::new("key `android_attestation`: no status list")),
        };
        let bytes = std::fs::read(&path).map_err(|error| named(&path, &error))?;
        let written = written(&path).unwrap_or(UnixTime::from_secs(0));
        StatusList::parse(&bytes, written.plus(max_age)).map_err(|error| of_file(&path, &error))
    }

    /// Fetches the list, and keeps it only if it can be read.
    async fn fetch(&self, fetcher: &Fetcher, url: &Url, copy: &Path) -> Result<(), StartError> {
        let answer = fetcher.send(HttpRequest::get(url.clone(), "application/json")).await?;
        if answer.status != 200 {
            return Err(StartError::new(&format!("{url}: HTTP {}", answer.status)));
        }
        StatusList::parse(&answer.body, UnixTime::from_secs(0))?;
        private_file::write(copy, &answer.body).map_err(|error| named(copy, &error))
    }
}

/// When a file was written.
fn written(path: &Path) -> Option<UnixTime> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    let secs = modified.duration_since(UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(secs).ok().map(UnixTime::from_secs)
}

fn of_file(path: &Path, error: &carekey_core::Error) -> StartError {
    StartError::new(&format!("{}: {error}", path.display()))
}

/// The operator's roots, or those that are pinned.
fn roots(
    files: &[PathBuf],
    pinned: fn() -> carekey_core::Result<Vec<TrustAnchor>>,
) -> Result<Vec<TrustAnchor>, StartError> {
    if files.is_empty() {
        return Ok(pinned()?);
    }
    let mut anchors = Vec::new();
    for path in files {
        let pem = std::fs::read(path).map_err(|error| named(path, &error))?;
        anchors.extend(TrustAnchor::from_pem(&pem).map_err(|error| of_file(path, &error))?);
    }
    Ok(anchors)
}

fn load_metadata(config: &FidoMetadata, data: &Path, now: UnixTime) -> Result<VerifiedMetadata, StartError> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| named(path, &error));
    let mut anchors = Vec::new();
    for path in &config.roots {
        anchors.extend(TrustAnchor::from_pem(read(path)?.as_bytes())?);
    }
    let number = data.join(METADATA_NUMBER);
    let previous_number = match std::fs::read_to_string(&number) {
        Ok(text) => Some(
            text.trim().parse().map_err(|_| StartError::new(&format!("{}: no number", number.display())))?,
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(named(&number, &error)),
    };
    let expectation = MetadataExpectation {
        anchors: &anchors,
        signer_dns_name: config.signer_dns_name.as_deref(),
        now,
        grace: i64::from(config.grace_days) * 86_400,
        previous_number,
    };
    let metadata = MetadataBlob::verify(read(&config.blob)?.trim(), &expectation)
        .map_err(|error| of_file(&config.blob, &error))?;
    if previous_number != Some(metadata.number()) {
        let text = format!("{}\n", metadata.number());
        private_file::write(&number, text.as_bytes()).map_err(|error| named(&number, &error))?;
    }
    Ok(metadata)
}
