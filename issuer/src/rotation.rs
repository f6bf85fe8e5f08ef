//! Rotation of a signing key that is named by a certificate (`x5c`) or in `/.well-known/jwt-vc-issuer` (`well_known`).
//!
//! The new key gets a certificate of the same authority at the next start; what the old key signed stays verifiable by the
//! certificate that it carries, and by the public half that `earlier-keys.json` in the data folder keeps published. The
//! secret half of the old key is destroyed. Keys under a DID are rotated by [`crate::did`].

use std::path::{Path, PathBuf};

use carekey_core::jose::jwk::{Jwk, JwkSet};
use carekey_core::key::PublicKey;
use carekey_service::{keys, private_file};

use crate::app::{StartError, named};
use crate::config::KeyKind;

const EARLIER: &str = "earlier-keys.json";

/// Keys that may stay published: a rotation a month for eight years.
const MAX_KEYS: usize = 100;

/// The keys of an issuer by their names, which are thumbprints.
#[derive(Debug)]
pub struct SigningKeys {
    data: PathBuf,
    current: PublicKey,
    earlier: Vec<PublicKey>,
}

impl SigningKeys {
    /// The keys in the data folder `data`, where `current` signs.
    ///
    /// # Errors
    /// Names the file that is damaged; also when a key of this kind cannot be rotated so.
    pub fn open(data: &Path, kind: KeyKind, current: &PublicKey) -> Result<Self, StartError> {
        match kind {
            KeyKind::X5c | KeyKind::WellKnown => {}
            KeyKind::DidWeb | KeyKind::DidWebvh => {
                return Err(StartError::new("key `issuer.key`: a DID on the web: `carekey did rotate`"));
            }
            KeyKind::DidJwk | KeyKind::DidKey => {
                return Err(StartError::new(
                    "key `issuer.key`: this DID is its key: another key, another issuer",
                ));
            }
        }
        Ok(Self { data: data.to_owned(), current: current.clone(), earlier: earlier(data)? })
    }

    /// The name of the key that signs.
    pub fn current(&self) -> String {
        Jwk::from_key(&self.current).thumbprint()
    }

    /// The names of keys that signed before and are published.
    pub fn earlier(&self) -> Vec<String> {
        self.earlier.iter().map(|key| Jwk::from_key(key).thumbprint()).collect()
    }

    /// Puts a new key in the place of the one that signs; the service signs with it from its next start on. An attempt
    /// that was interrupted is finished by the next.
    ///
    /// # Errors
    /// Names the file; also when the operator brought the certificate of the signing key.
    pub fn rotate(&mut self) -> Result<(), StartError> {
        if self.earlier.len() >= MAX_KEYS {
            return Err(StartError::new("too many earlier keys: forget old ones first"));
        }
        let next = keys::prepare_signing_key(&self.data)?;
        if !self.earlier.contains(&self.current) {
            self.earlier.push(self.current.clone());
        }
        self.save()?;
        keys::take_prepared_signing_key(&self.data)?;
        self.current = next_public(&next);
        Ok(())
    }

    /// Takes an earlier key out of what is published. What it signed still carries its certificate, where it has one.
    ///
    /// # Errors
    /// When there is no earlier key of that name, or the file cannot be written.
    pub fn forget(&mut self, name: &str) -> Result<(), StartError> {
        let before = self.earlier.len();
        self.earlier.retain(|key| Jwk::from_key(key).thumbprint() != name);
        if self.earlier.len() == before {
            return Err(StartError::new("there is no earlier key of that name"));
        }
        self.save()
    }

    fn save(&self) -> Result<(), StartError> {
        let path = self.data.join(EARLIER);
        let set = JwkSet { keys: self.earlier.iter().map(Jwk::from_key).collect() };
        let text =
            serde_json::to_string_pretty(&set).map_err(|_| StartError::new("keys cannot be written"))?;
        private_file::write(&path, text.as_bytes()).map_err(|error| named(&path, &error))
    }
}

fn next_public(next: &carekey_core::key::SoftwareKey) -> PublicKey {
    use carekey_core::key::Signer as _;
    next.public_key().clone()
}

/// The keys that signed before, as the data folder keeps them.
pub(crate) fn earlier(data: &Path) -> Result<Vec<PublicKey>, StartError> {
    let path = data.join(EARLIER);
    let damaged = || StartError::new(&format!("{}: damaged", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let set: JwkSet = serde_json::from_str(&text).map_err(|_| damaged())?;
            set.keys.iter().map(|jwk| jwk.public_key().map_err(|_| damaged())).collect()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(named(&path, &error)),
    }
}
