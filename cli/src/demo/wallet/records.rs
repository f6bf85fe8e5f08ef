//! The wallet's records: sealed by the vault before they reach the disk.
//!
//! The vault's data key is wrapped by the PRF of each passkey whose authenticator offers one; as long as there is none,
//! by a key in a file of this device, which protects only against somebody who has the database but not that file, and
//! the page says so. The first passkey with PRF replaces the file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carekey_core::clock::{Clock, UnixTime};
use carekey_core::encoding::base64url;
use carekey_core::error::{Error, Result};
use carekey_core::jose::jwk::Jwk;
use carekey_core::random::Random;
use carekey_core::secret::Secret;
use carekey_core::store::{Expect, Store, Table, Write, put_json, scan_json};
use carekey_core::vault::{RecordType, UnlockEntry, Vault};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const UNLOCK: Table = Table::new("wallet_unlock");
/// Name of the entry that the device file opens.
const DEVICE: &str = "device";
const MOST: usize = 10_000;
/// After this many seconds without use the wallet locks itself.
pub(super) const IDLE_SECS: i64 = 600;

/// A way to open the vault; not secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Opener {
    /// Absent for a passkey whose authenticator offers PRF but gave no result yet.
    pub(super) entry: Option<UnlockEntry>,
    /// The passkey whose PRF opens it; `None` for the device file.
    pub(super) passkey: Option<Passkey>,
}

/// What is needed to ask a passkey for its PRF result and to check its answer.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Passkey {
    /// WebAuthn credential id, base64url.
    pub(super) id: String,
    pub(super) public_key: Jwk,
    pub(super) backup_eligible: bool,
    /// PRF input, base64url; random per passkey.
    pub(super) prf_salt: String,
    pub(super) transports: Vec<String>,
}

/// How the records are protected now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protection {
    /// Nothing is stored yet.
    Empty,
    /// By passkeys.
    PasskeyPrf,
    /// By a file beside them.
    DeviceFile,
}

struct State {
    vault: Option<Arc<Vault>>,
    protection: Protection,
    /// Sessions that unlocked the wallet; not asked for under [`Protection::DeviceFile`].
    sessions: BTreeSet<String>,
    used_at: UnixTime,
}

/// The records and the lock before them.
pub(super) struct Records {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    device_key: PathBuf,
    state: Mutex<State>,
}

fn locked() -> Error {
    Error::refused("wallet_locked", "the wallet is locked: please unlock it first")
}

impl Records {
    /// Opens the records in `store`; `device_key` is where the key file lies while no passkey offers PRF.
    pub(super) async fn open(
        store: Arc<dyn Store>,
        device_key: PathBuf,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self> {
        let records = Self {
            state: Mutex::new(State {
                vault: None,
                protection: Protection::Empty,
                sessions: BTreeSet::new(),
                used_at: clock.now(),
            }),
            store,
            clock,
            random,
            device_key,
        };
        let openers = records.openers().await?;
        let device =
            openers.iter().find(|opener| opener.passkey.is_none()).and_then(|opener| opener.entry.as_ref());
        if let Some(entry) = device {
            let vault = entry.open(&records.read_device_key()?)?;
            let mut state = records.state();
            state.vault = Some(Arc::new(vault));
            state.protection = Protection::DeviceFile;
        } else if !openers.is_empty() {
            records.state().protection = Protection::PasskeyPrf;
        }
        Ok(records)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the records are protected.
    pub(super) fn protection(&self) -> Protection {
        self.state().protection
    }

    /// Whether `session` has to unlock the wallet first. Idle time counts from the last use.
    pub(super) fn is_locked(&self, session: &str) -> bool {
        self.lock_if_idle();
        let state = self.state();
        match state.protection {
            Protection::Empty | Protection::DeviceFile => false,
            Protection::PasskeyPrf => state.vault.is_none() || !state.sessions.contains(session),
        }
    }

    /// Forgets the data key when nobody has used the wallet for [`IDLE_SECS`].
    pub(super) fn lock_if_idle(&self) {
        let idle = self.clock.now().since(self.state().used_at);
        if idle >= IDLE_SECS {
            self.lock();
        }
    }

    /// Forgets the data key. With a device file there is nothing to lock: the key lies beside the records.
    pub(super) fn lock(&self) {
        let mut state = self.state();
        if state.protection == Protection::PasskeyPrf {
            state.vault = None;
            state.sessions.clear();
        }
    }

    /// The vault, for `session`.
    fn vault(&self, session: &str) -> Result<Arc<Vault>> {
        if self.is_locked(session) {
            return Err(locked());
        }
        let mut state = self.state();
        state.used_at = self.clock.now();
        state.vault.clone().ok_or_else(locked)
    }

    /// Notes that `session` is being used.
    pub(super) fn touch(&self, session: &str) {
        if !self.is_locked(session) {
            self.state().used_at = self.clock.now();
        }
    }

    /// Every way to open the vault.
    pub(super) async fn openers(&self) -> Result<Vec<Opener>> {
        let all = scan_json::<Opener>(&*self.store, UNLOCK, None, MOST).await?;
        Ok(all.into_iter().map(|(_, stored)| stored.value).collect())
    }

    /// The passkeys that can open the vault.
    pub(super) async fn unlocking_passkeys(&self) -> Result<Vec<Passkey>> {
        let openers = self.openers().await?;
        Ok(openers
            .into_iter()
            .filter(|opener| opener.entry.is_some())
            .filter_map(|opener| opener.passkey)
            .collect())
    }

    /// A passkey that offers PRF but could not give its result when it was made.
    pub(super) async fn waiting_passkey(&self, id: &str) -> Result<Option<Passkey>> {
        let waiting = self.openers().await?.into_iter().filter(|opener| opener.entry.is_none());
        Ok(waiting.filter_map(|opener| opener.passkey).find(|passkey| passkey.id == id))
    }

    /// Opens the vault with the PRF result of `passkey`, for `session`.
    ///
    /// # Errors
    /// `passkey_unknown`; what the vault says when the result is not that passkey's.
    pub(super) async fn unlock(&self, session: &str, passkey: &str, prf: &Secret<Vec<u8>>) -> Result<()> {
        let openers = self.openers().await?;
        let is_it = |opener: &&Opener| opener.passkey.as_ref().is_some_and(|key| key.id == passkey);
        let entry = openers
            .iter()
            .find(is_it)
            .and_then(|opener| opener.entry.as_ref())
            .ok_or_else(|| Error::refused("passkey_unknown", "this passkey does not open this wallet"))?;
        let vault = entry.open(prf.expose())?;
        let mut state = self.state();
        state.vault = Some(Arc::new(vault));
        state.sessions.insert(session.to_owned());
        state.used_at = self.clock.now();
        Ok(())
    }

    /// Takes a passkey, for `session`: its PRF result becomes a way to open the vault. Without a result the passkey is
    /// remembered if it `offers_prf`, and an empty wallet is opened by a device file for the time being. The first
    /// passkey of an empty wallet makes the vault.
    pub(super) async fn enrol(
        &self,
        session: &str,
        passkey: Passkey,
        prf: Option<&Secret<Vec<u8>>>,
        offers_prf: bool,
    ) -> Result<()> {
        let fresh = self.protection() == Protection::Empty;
        let vault = if fresh { Arc::new(Vault::create(&*self.random)) } else { self.vault(session)? };
        let name = passkey.id.clone();
        if let Some(prf) = prf {
            let entry = Some(vault.add_prf_entry(&name, prf.expose(), &*self.random)?);
            self.put_opener(&name, &Opener { entry, passkey: Some(passkey) }).await?;
            self.drop_device_key().await?;
            self.opened(session, vault, Protection::PasskeyPrf);
            return Ok(());
        }
        if fresh {
            self.open_by_device_file(session, vault).await?;
        }
        if offers_prf {
            self.put_opener(&name, &Opener { entry: None, passkey: Some(passkey) }).await?;
        }
        Ok(())
    }

    /// Makes sure that there is a vault although the issuer wanted no passkey.
    pub(super) async fn enrol_without_passkey(&self, session: &str) -> Result<()> {
        if self.protection() == Protection::Empty {
            self.open_by_device_file(session, Arc::new(Vault::create(&*self.random))).await?;
        }
        Ok(())
    }

    async fn open_by_device_file(&self, session: &str, vault: Arc<Vault>) -> Result<()> {
        let key: [u8; 32] = self.random.array();
        carekey_service::private_file::write(&self.device_key, base64url::encode(&key).as_bytes())
            .map_err(|error| Error::unavailable("device_key", format!("the device key: {error}")))?;
        let entry = Some(vault.add_device_entry(DEVICE, &key, &*self.random)?);
        self.put_opener(DEVICE, &Opener { entry, passkey: None }).await?;
        self.opened(session, vault, Protection::DeviceFile);
        Ok(())
    }

    fn opened(&self, session: &str, vault: Arc<Vault>, protection: Protection) {
        let mut state = self.state();
        state.vault = Some(vault);
        state.protection = protection;
        state.sessions.insert(session.to_owned());
        state.used_at = self.clock.now();
    }

    async fn put_opener(&self, name: &str, opener: &Opener) -> Result<()> {
        Ok(put_json(&*self.store, UNLOCK, name.as_bytes(), Expect::Any, opener, None).await?)
    }

    /// A passkey opens the vault now: the file would only weaken it.
    async fn drop_device_key(&self) -> Result<()> {
        self.store.commit(vec![Write::delete(UNLOCK, DEVICE, Expect::Any)]).await?;
        match std::fs::remove_file(&self.device_key) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::unavailable("device_key", format!("the device key: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Throws away every way to open the vault: its records can never be read again.
    pub(super) async fn erase(&self) -> Result<()> {
        let names = scan_json::<Opener>(&*self.store, UNLOCK, None, MOST).await?;
        let writes = names.into_iter().map(|(name, _)| Write::delete(UNLOCK, name, Expect::Any)).collect();
        self.store.commit(writes).await?;
        self.drop_device_key().await?;
        let mut state = self.state();
        state.vault = None;
        state.sessions.clear();
        state.protection = Protection::Empty;
        Ok(())
    }

    fn read_device_key(&self) -> Result<Vec<u8>> {
        let missing =
            |error: std::io::Error| Error::unavailable("device_key", format!("the device key: {error}"));
        base64url::decode(std::fs::read_to_string(&self.device_key).map_err(missing)?.trim())
    }
}

/// The sealed records themselves.
impl Records {
    /// Writes a record.
    pub(super) async fn put<T: Serialize + Sync>(
        &self,
        session: &str,
        of: RecordType,
        id: &str,
        value: &T,
    ) -> Result<()> {
        self.vault(session)?.put(&*self.store, of, id, value, &*self.random).await
    }

    /// Reads a record.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        session: &str,
        of: RecordType,
        id: &str,
    ) -> Result<Option<T>> {
        self.vault(session)?.read(&*self.store, of, id).await
    }

    /// Reads every record of a type.
    pub(super) async fn all<T: DeserializeOwned>(&self, session: &str, of: RecordType) -> Result<Vec<T>> {
        if self.protection() == Protection::Empty {
            return Ok(Vec::new());
        }
        let listed = self.vault(session)?.list(&*self.store, of).await?;
        if listed.damaged > 0 {
            tracing::warn!(damaged = listed.damaged, "records of the wallet do not open");
        }
        Ok(listed.records.into_iter().map(|(_, value)| value).collect())
    }

    /// Deletes a record; one that is not there is no error.
    pub(super) async fn delete(&self, session: &str, of: RecordType, id: &str) -> Result<()> {
        self.vault(session)?.delete(&*self.store, of, id).await.map(drop)
    }
}
