//! The issuer's own DID on the web: `did:web`, or `did:webvh` with its history and pre-rotation.
//!
//! It lies in the folder `did` of the data folder: `keys.json` (which keys are published), `did.json` and, for
//! `did:webvh`, `did.jsonl` (what is served, read anew for each request) and `update-N.key` (the key that may write
//! version N of the history). Rotation publishes the new key first; the service signs with it from its next start on.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use carekey_core::clock::Clock;
use carekey_core::did::webvh::{Location, OwnLog, parallel_did_web};
use carekey_core::did::{self, Did, DidUrl};
use carekey_core::issuer::PublishedKeys;
use carekey_core::key::{PublicKey, SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_service::{keys, private_file};
use serde_json::Value;
use url::Url;

use crate::app::StartError;
use crate::config::KeyKind;

const KEYS: &str = "keys.json";
const DOCUMENT: &str = "did.json";
const LOG: &str = "did.jsonl";

/// The DID of an issuer and the files it lies in.
pub struct OwnDid {
    data: PathBuf,
    folder: PathBuf,
    did: Did,
    keys: PublishedKeys,
    /// The history, of a `did:webvh`.
    log: Option<OwnLog>,
}

impl std::fmt::Debug for OwnDid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnDid").field("did", &self.did).finish_non_exhaustive()
    }
}

impl OwnDid {
    /// The DID of the issuer that is reached under `public_url` and has its keys in `data`; `None` for kinds of keys that
    /// have none on the web. What is missing is made, for the signing key `signer`.
    ///
    /// # Errors
    /// Name the file, or say why no DID can be made of the URL.
    pub fn open(
        data: &Path,
        kind: KeyKind,
        public_url: &Url,
        signer: &PublicKey,
        clock: &dyn Clock,
    ) -> Result<Option<Self>, StartError> {
        let folder = data.join("did");
        let stored = read(&folder.join(KEYS))?.map(|text| {
            serde_json::from_str::<PublishedKeys>(&text)
                .map_err(|_| StartError::new(&format!("{}: damaged", folder.join(KEYS).display())))
        });
        let keys = stored.transpose()?;
        let fresh = keys.is_none();
        let keys = keys.unwrap_or_else(|| PublishedKeys::first(signer));
        let (did, log) = match kind {
            KeyKind::DidWeb => (did::web::from_url(public_url)?, None),
            KeyKind::DidWebvh => {
                let log = match read(&folder.join(LOG))? {
                    Some(text) => OwnLog::open(text.as_bytes(), clock.now(), &Limits::DEFAULT)?,
                    None => {
                        let location = Location::from_url(public_url)?;
                        let (update, next) = (update_key(&folder, 1)?, update_key(&folder, 2)?);
                        let log = keys.create_log(&location, clock.now(), &update, next.public_key())?;
                        write(&folder.join(LOG), log.to_jsonl())?;
                        log
                    }
                };
                let webvh = log.did()?;
                if *webvh.location() != Location::from_url(public_url)? {
                    let detail =
                        format!("{}: the DID is that of another public URL", folder.join(LOG).display());
                    return Err(StartError::new(&detail));
                }
                (webvh.did().clone(), Some(log))
            }
            KeyKind::X5c | KeyKind::DidJwk | KeyKind::DidKey | KeyKind::WellKnown => return Ok(None),
        };
        let own = Self { data: data.to_owned(), folder, did, keys, log };
        if fresh || (!own.keys.is_deactivated() && read(&own.folder.join(DOCUMENT))?.is_none()) {
            own.save()?;
        }
        Ok(Some(own))
    }

    /// The DID.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The names of the published keys, oldest first.
    pub fn key_names(&self) -> Vec<&str> {
        self.keys.names().collect()
    }

    /// Whether the DID has ended.
    pub fn is_deactivated(&self) -> bool {
        self.keys.is_deactivated()
    }

    /// The DID URL of the signing key.
    ///
    /// # Errors
    /// When the key is not published, or the DID has ended: then nothing may be issued under it.
    pub(crate) fn method(&self, signer: &PublicKey) -> Result<DidUrl, StartError> {
        if self.keys.is_deactivated() {
            return Err(StartError::new(&format!("{}: this DID was deactivated", self.did)));
        }
        Ok(self.keys.method(&self.did, signer)?)
    }

    /// The document; of a `did:webvh`, that of its last version.
    ///
    /// # Errors
    /// When the stored keys are damaged.
    pub fn document(&self) -> Result<Value, StartError> {
        match &self.log {
            Some(log) => Ok(log.document()?.clone()),
            None => Ok(self.keys.document(&self.did)?),
        }
    }

    /// `did.json` as it is served now; `None` when the DID has ended.
    pub(crate) fn served_document(&self) -> std::io::Result<Option<String>> {
        contents(&self.folder.join(DOCUMENT))
    }

    /// `did.jsonl` as it is served now; `None` for `did:web`.
    pub(crate) fn served_log(&self) -> std::io::Result<Option<String>> {
        contents(&self.folder.join(LOG))
    }

    /// Makes a new signing key and publishes it beside the old ones, whose secret halves are destroyed; the service signs
    /// with it from its next start on. `forget` names a key that is taken out of the document, so that nothing it signed
    /// verifies any longer.
    ///
    /// An attempt that was interrupted is finished by the next.
    ///
    /// # Errors
    /// Name the file; also when the DID has ended, or the operator brought the certificate of the signing key.
    pub fn rotate(&mut self, clock: &dyn Clock, forget: Option<&str>) -> Result<(), StartError> {
        let next = keys::prepare_signing_key(&self.data)?;
        self.keys.add(next.public_key())?;
        if let Some(name) = forget {
            self.keys.forget(name)?;
        }
        self.update_log(clock, |keys, log, now, update, next| keys.update_log(log, now, update, next))?;
        self.save()?;
        keys::take_prepared_signing_key(&self.data)?;
        Ok(())
    }

    /// Ends the DID for ever: no credential that was issued under it verifies any longer.
    ///
    /// # Errors
    /// Name the file; also when the DID has ended before.
    pub fn deactivate(&mut self, clock: &dyn Clock) -> Result<(), StartError> {
        if self.keys.is_deactivated() {
            return Err(StartError::new(&format!("{}: this DID was deactivated before", self.did)));
        }
        self.update_log(clock, |_, log, now, update, _| log.deactivate(now, update))?;
        self.keys.deactivate();
        self.save()
    }

    /// Writes the next version of the history with the key that the last one committed to.
    fn update_log(
        &mut self,
        clock: &dyn Clock,
        write_version: impl FnOnce(
            &PublishedKeys,
            &mut OwnLog,
            carekey_core::clock::UnixTime,
            &SoftwareKey,
            &PublicKey,
        ) -> carekey_core::Result<()>,
    ) -> Result<(), StartError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let version = log.version_id()?.split('-').next().and_then(|number| number.parse::<u64>().ok());
        let number = version.unwrap_or_default().saturating_add(1);
        let kept = self.folder.join(format!("update-{number}.key"));
        if !kept.exists() {
            let detail = format!("{}: missing: the last version committed to this key", kept.display());
            return Err(StartError::new(&detail));
        }
        let update = update_key(&self.folder, number)?;
        let next = update_key(&self.folder, number.saturating_add(1))?;
        write_version(&self.keys, log, clock.now(), &update, next.public_key())?;
        Ok(())
    }

    /// History first: it is what a resolver of `did:webvh` believes.
    fn save(&self) -> Result<(), StartError> {
        if let Some(log) = &self.log {
            write(&self.folder.join(LOG), log.to_jsonl())?;
        }
        let keys = serde_json::to_string_pretty(&self.keys)
            .map_err(|_| StartError::new("the published keys cannot be written"))?;
        write(&self.folder.join(KEYS), &keys)?;
        let path = self.folder.join(DOCUMENT);
        if self.keys.is_deactivated() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(named(&path, &error)),
                _ => Ok(()),
            };
        }
        let document = match &self.log {
            // So that whoever knows did:web alone finds the keys too.
            Some(log) => parallel_did_web(log.document()?, log.did()?)?,
            None => self.keys.document(&self.did)?,
        };
        write(&path, &document.to_string())
    }
}

/// The key that may write version `number`; made before it is needed, since the version before commits to it.
fn update_key(folder: &Path, number: u64) -> Result<SoftwareKey, StartError> {
    let path = folder.join(format!("update-{number}.key"));
    Ok(keys::load_or_create_software_key(&path, SignatureAlgorithm::EdDsa)?)
}

fn contents(path: &Path) -> std::io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> Result<Option<String>, StartError> {
    contents(path).map_err(|error| named(path, &error))
}

fn write(path: &Path, text: &str) -> Result<(), StartError> {
    private_file::write(path, text.as_bytes()).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &std::io::Error) -> StartError {
    StartError::new(&format!("{}: {error}", path.display()))
}
