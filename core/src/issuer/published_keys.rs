//! The keys that an issuer publishes under its DID: one signs, those before it stay so that what they signed verifies.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::UnixTime;
use crate::did::webvh::{Change, Location, OwnLog, next_key_hash};
use crate::did::{Did, DidDocument, DidUrl, VerificationMethod, key};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::key::{PublicKey, Signer};

/// Keys of one document: a rotation a month for eight years.
const MAX_KEYS: usize = 100;

/// The keys, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedKeys {
    keys: Vec<PublishedKey>,
    /// How many names were given out: none is given twice.
    named: u32,
    /// Whether the DID has ended.
    #[serde(default)]
    deactivated: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PublishedKey {
    name: String,
    jwk: Value,
}

impl PublishedKeys {
    /// One key, named `key-1`.
    pub fn first(key: &PublicKey) -> Self {
        let jwk = Jwk::from_key(key).to_value();
        let first = PublishedKey { name: "key-1".to_owned(), jwk };
        Self { keys: vec![first], named: 1, deactivated: false }
    }

    /// Adds the key that signs from now on; one that is there already is left alone.
    ///
    /// [`Error::Misuse`] `issuer_keys` when there are too many, or the DID has ended.
    pub fn add(&mut self, key: &PublicKey) -> Result<()> {
        if self.name_of(key).is_some() {
            return Ok(());
        }
        if self.deactivated || self.keys.len() >= MAX_KEYS {
            return Err(misuse("the DID has ended, or has too many keys: forget old ones first"));
        }
        self.named = self.named.saturating_add(1);
        let jwk = Jwk::from_key(key).to_value();
        self.keys.push(PublishedKey { name: format!("key-{}", self.named), jwk });
        Ok(())
    }

    /// Forgets a key: what it signed no longer verifies.
    ///
    /// [`Error::Misuse`] `issuer_keys` for a name that is unknown, or the only one.
    pub fn forget(&mut self, name: &str) -> Result<()> {
        let index = self.keys.iter().position(|key| key.name == name);
        let index = index.ok_or_else(|| misuse("there is no key of that name"))?;
        if self.keys.len() < 2 {
            return Err(misuse("the only key cannot be forgotten"));
        }
        self.keys.remove(index);
        Ok(())
    }

    /// The names, oldest first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    /// The name of `key`.
    pub fn name_of(&self, key: &PublicKey) -> Option<&str> {
        let jwk = Jwk::from_key(key).to_value();
        self.keys.iter().find(|published| published.jwk == jwk).map(|published| published.name.as_str())
    }

    /// Marks the DID as ended.
    pub fn deactivate(&mut self) {
        self.deactivated = true;
    }

    /// Whether the DID has ended.
    pub fn is_deactivated(&self) -> bool {
        self.deactivated
    }

    /// The DID document: every key for making claims and for authentication. Errors of [`Jwk::from_value`].
    pub fn document(&self, did: &Did) -> Result<Value> {
        let method = |published: &PublishedKey| {
            Ok(VerificationMethod::jwk(did.with_fragment(&published.name)?, Jwk::from_value(&published.jwk)?))
        };
        let methods = self.keys.iter().map(method).collect::<Result<_>>()?;
        Ok(DidDocument::for_signing(did.clone(), methods).to_value())
    }

    /// The DID URL of `key`; [`Error::Misuse`] `issuer_keys` when it is not published.
    pub fn method(&self, did: &Did, key: &PublicKey) -> Result<DidUrl> {
        did.with_fragment(self.name_of(key).ok_or_else(|| misuse("the signing key is not published"))?)
    }

    /// The document of a `did:webvh` in which `id` (the DID, or its placeholder before it exists) stands for the DID.
    fn webvh_document(&self, id: &str) -> Result<Value> {
        // A DID of the same length in text replaces nothing else: names are made by `with_fragment`.
        let stand_in = Did::parse("did:web:issuer.invalid")?;
        let text = self.document(&stand_in)?.to_string().replace(stand_in.as_str(), id);
        serde_json::from_str(&text).map_err(|_| misuse("the document cannot be written"))
    }

    /// The first version of a log under `location`, with pre-rotation: signed by `update`, to be followed by `next`.
    ///
    /// Errors of [`OwnLog::create`].
    pub fn create_log(
        &self,
        location: &Location,
        now: UnixTime,
        update: &dyn Signer,
        next: &PublicKey,
    ) -> Result<OwnLog> {
        let change = self.change(&location.placeholder(), update, next)?;
        OwnLog::create(location, &change, now, update)
    }

    /// The next version of `log`: these keys, signed by `update`, which the last version committed to, and committing to
    /// `next`.
    ///
    /// Errors of [`OwnLog::update`].
    pub fn update_log(
        &self,
        log: &mut OwnLog,
        now: UnixTime,
        update: &dyn Signer,
        next: &PublicKey,
    ) -> Result<()> {
        let change = self.change(&log.did()?.to_string(), update, next)?;
        log.update(&change, now, update)
    }

    fn change(&self, id: &str, update: &dyn Signer, next: &PublicKey) -> Result<Change> {
        Ok(Change {
            document: Some(self.webvh_document(id)?),
            update_keys: Some(vec![key::encode_multikey(update.public_key())?]),
            next_key_hashes: Some(vec![next_key_hash(&key::encode_multikey(next)?)]),
            ..Change::default()
        })
    }
}

fn misuse(detail: &'static str) -> Error {
    Error::misuse("issuer_keys", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::did::VerificationPurpose;
    use crate::did::webvh::{self, VersionSelector};
    use crate::key::{SignatureAlgorithm, SoftwareKey};
    use crate::limits::Limits;

    fn key(algorithm: SignatureAlgorithm) -> SoftwareKey {
        SoftwareKey::generate(algorithm).unwrap()
    }

    #[test]
    fn old_keys_stay_until_they_are_forgotten() {
        let (one, two) = (key(SignatureAlgorithm::Es256), key(SignatureAlgorithm::Es256));
        let mut keys = PublishedKeys::first(one.public_key());
        assert_eq!(keys.forget("key-1").unwrap_err().code(), "issuer_keys");
        keys.add(two.public_key()).unwrap();
        keys.add(two.public_key()).unwrap();
        assert_eq!(keys.names().collect::<Vec<_>>(), ["key-1", "key-2"]);
        let did = Did::parse("did:web:a.example").unwrap();
        let document = DidDocument::from_value(&did, &keys.document(&did).unwrap()).unwrap();
        for key in [&one, &two] {
            let method = keys.method(&did, key.public_key()).unwrap();
            for purpose in [VerificationPurpose::AssertionMethod, VerificationPurpose::Authentication] {
                assert_eq!(document.verification_key(&method, purpose).unwrap(), *key.public_key());
            }
        }
        let stored = serde_json::to_string(&keys).unwrap();
        let mut keys: PublishedKeys = serde_json::from_str(&stored).unwrap();
        keys.forget("key-1").unwrap();
        assert!(keys.method(&did, one.public_key()).is_err());
        assert!(keys.forget("key-1").is_err());
        // A name is never given twice.
        keys.add(one.public_key()).unwrap();
        assert_eq!(keys.names().collect::<Vec<_>>(), ["key-2", "key-3"]);
        keys.deactivate();
        let error = keys.add(key(SignatureAlgorithm::Es256).public_key()).unwrap_err();
        assert_eq!((keys.is_deactivated(), error.code()), (true, "issuer_keys"));
    }

    #[test]
    fn a_log_with_pre_rotation() {
        let updates: Vec<SoftwareKey> = (0..4).map(|_| key(SignatureAlgorithm::EdDsa)).collect();
        let at = |secs: i64| UnixTime::from_secs(1_795_000_000 + secs);
        let (one, two) = (key(SignatureAlgorithm::Es256), key(SignatureAlgorithm::Es256));
        let mut keys = PublishedKeys::first(one.public_key());
        let location = Location::parse("a.example:hospital").unwrap();
        let mut log = keys.create_log(&location, at(0), &updates[0], updates[1].public_key()).unwrap();
        keys.add(two.public_key()).unwrap();
        // The key that was not committed to cannot update: not even the one that signed last.
        for wrong in [&updates[0], &updates[2]] {
            let error = keys.update_log(&mut log.clone(), at(9), wrong, updates[3].public_key()).unwrap_err();
            assert_eq!(error.code(), "webvh_pre_rotation_key");
        }
        keys.update_log(&mut log, at(9), &updates[1], updates[2].public_key()).unwrap();
        let did = log.did().unwrap();
        let resolve = |version| {
            let text = log.to_jsonl().as_bytes();
            webvh::resolve(did, &version, text, None, at(20), &Limits::DEFAULT)
                .unwrap()
                .did_document()
                .unwrap()
        };
        let (first, last) = (resolve(VersionSelector::Number(1)), resolve(VersionSelector::Latest));
        assert_eq!((first.verification_methods.len(), last.verification_methods.len()), (1, 2));
        let method = keys.method(did.did(), one.public_key()).unwrap();
        let purpose = VerificationPurpose::AssertionMethod;
        assert_eq!(last.verification_key(&method, purpose).unwrap(), *one.public_key());
        let mut ended = log.clone();
        assert!(ended.deactivate(at(30), &updates[1]).is_err());
        ended.deactivate(at(30), &updates[2]).unwrap();
        assert!(ended.is_deactivated());
    }
}
