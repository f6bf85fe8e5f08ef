//! Ways to unlock: by a key of the device, by a passkey, by the recovery code.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use zeroize::Zeroize;

use super::activity::{self, Activity, ActivityKind};
use super::ceremony::to_json;
use super::held::CREDENTIAL;
use super::platform::{KeyWrapper, LogLevel, Prompt};
use super::{LockState, Party, SETTINGS, Settings, WALLET, Wallet, WalletError, device};
use crate::clock::UnixTime;
use crate::encoding::{base64url, json as strict_json};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::key::SignatureAlgorithm;
use crate::limits::Limits;
use crate::secret::Secret;
use crate::vault::records::{self, Batch, OlderState, Records};
use crate::vault::{Opener, RecoveryCode, UnlockKind, UnlockPasskey, Vault};
use crate::webauthn::assertion::{self, AssertionExpectation, AuthenticationResponse};
use crate::webauthn::options::{CreationOptions, CredentialDescriptor, RelyingParty, RequestOptions, User};
use crate::webauthn::registration::{self, RegistrationExpectation, RegistrationResponse};
use crate::webauthn::{Bytes, CredentialType, UserVerification};

/// Ways to unlock that must be there before the first credential.
const ENTRIES_NEEDED: usize = 2;

/// A way to unlock, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySummary {
    /// Its id.
    pub id: String,
    /// What unlocks.
    pub kind: UnlockKind,
    /// Its name for the person.
    pub label: String,
    /// When it was added.
    pub created_at: UnixTime,
}

fn person(error: Error) -> WalletError {
    WalletError::of(Party::Person, error)
}

impl Wallet {
    /// The ways to unlock, oldest first; also of a locked wallet.
    ///
    /// # Errors
    /// [`WalletError::Storage`].
    pub async fn entries(&self) -> Result<Vec<EntrySummary>, WalletError> {
        let openers = self.openers().await?;
        let summary = |opener: Opener| EntrySummary {
            id: opener.id().to_owned(),
            kind: opener.kind(),
            label: opener.label.clone(),
            created_at: opener.created_at,
        };
        Ok(openers.into_iter().map(summary).collect())
    }

    /// Files that the vault does not know (any more) are no way to unlock; a locked vault cannot tell.
    async fn openers(&self) -> Result<Vec<Opener>, WalletError> {
        let mut openers = records::openers(&self.place()).await.map_err(device)?;
        let open = self.state().open.clone();
        if let Some(records) = open {
            let known = records.entry_ids().await;
            openers.retain(|opener| known.contains(opener.id()));
        }
        Ok(openers)
    }

    /// Unlocks by a key of the device or a passkey: the entry `entry_id`, or the newest that is one of these.
    ///
    /// # Errors
    /// `vault_entry_unknown`; `vault_entry_lost`: the device has destroyed the key, so another way must be taken;
    /// `vault_rolled_back`: the storage holds an older state than was seen before (see
    /// [`Self::unlock_older_state`]); [`WalletError::UserCancelled`] and its kin; of the storage.
    pub async fn unlock(&self, entry_id: Option<&str>, prompt: &Prompt) -> Result<(), WalletError> {
        self.unlock_state(entry_id, prompt, OlderState::Refuse).await
    }

    /// [`Self::unlock`] after `vault_rolled_back`, when the person was told and wants to go on with the older state:
    /// credentials and entries of the log that came later are gone, and used copies may be back.
    ///
    /// # Errors
    /// Those of [`Self::unlock`], without `vault_rolled_back`.
    pub async fn unlock_older_state(
        &self,
        entry_id: Option<&str>,
        prompt: &Prompt,
    ) -> Result<(), WalletError> {
        self.unlock_state(entry_id, prompt, OlderState::Accept).await
    }

    async fn unlock_state(
        &self,
        entry_id: Option<&str>,
        prompt: &Prompt,
        older: OlderState,
    ) -> Result<(), WalletError> {
        let asks = |opener: &Opener| matches!(opener.kind(), UnlockKind::Hardware | UnlockKind::Prf);
        let openers = self.openers().await?;
        let wanted = |opener: &&Opener| entry_id.map_or(asks(opener), |id| opener.id() == id);
        let opener = openers.iter().rev().find(wanted).ok_or_else(|| person(unknown_entry()))?;
        let vault = match opener.kind() {
            UnlockKind::Hardware => self.open_by_hardware(opener, prompt).await.map_err(person)?,
            UnlockKind::Prf => self.open_by_passkey(opener).await.map_err(person)?,
            UnlockKind::Recovery | UnlockKind::Device => {
                let detail = "this way to unlock wants its code";
                return Err(person(Error::misuse("vault_entry_kind", detail)));
            }
        };
        self.opened(vault, opener, older).await
    }

    /// Unlocks by the recovery code, as the person typed it.
    ///
    /// # Errors
    /// `recovery_code_mistyped`; `vault_wrong_key`: it is well formed, but not the code of this wallet. Nothing is lost
    /// by trying. Otherwise those of [`Self::unlock`].
    pub async fn unlock_with_code(&self, code: &str) -> Result<(), WalletError> {
        let code = RecoveryCode::parse(code).map_err(person)?;
        let mut wrong = unknown_entry();
        for opener in self.openers().await?.iter().filter(|opener| opener.kind() == UnlockKind::Recovery) {
            match opener.open_with_code(&code) {
                Ok(vault) => return self.opened(vault, opener, OlderState::Refuse).await,
                Err(error) => wrong = error,
            }
        }
        Err(person(wrong))
    }

    async fn opened(&self, vault: Vault, opener: &Opener, older: OlderState) -> Result<(), WalletError> {
        let seen = self.state().seen;
        let records = Records::open(vault, self.place(), opener, seen, older).await.map_err(device)?;
        // What an interrupted write has left behind; it harms nobody if it stays.
        let _ = records.sweep().await;
        let records = self.take(records).await;
        // Keys of collections that ended with the app; what cannot be forgotten now is tried again next time.
        if let Err(error) = self.sweep(&records).await {
            self.log(LogLevel::Warn, &format!("unfinished collections stay: {}", error.code()));
        }
        Ok(())
    }

    async fn take(&self, records: Records) -> Arc<Records> {
        let generation = records.generation().await;
        let now = self.now();
        let records = Arc::new(records);
        let mut state = self.state();
        state.exists = true;
        state.open = Some(Arc::clone(&records));
        state.seen = generation;
        state.used_at = now;
        records
    }

    async fn open_by_hardware(&self, opener: &Opener, prompt: &Prompt) -> Result<Vault> {
        let wrapped = opener.wrapped.as_deref().map(base64url::decode).transpose()?;
        let wrapped =
            wrapped.ok_or_else(|| Error::malformed("vault_entry", "the unlock entry is damaged"))?;
        let secret = self.wrapper()?.unwrap_secret(opener.id(), &wrapped, Some(prompt)).await;
        let secret = secret.map_err(Error::from).map_err(|error| match error.code() {
            "key_invalidated" => Error::refused(
                "vault_entry_lost",
                "the device has destroyed the key of this way to unlock: take another one",
            ),
            _ => error,
        })?;
        opener.open(secret.expose())
    }

    async fn open_by_passkey(&self, opener: &Opener) -> Result<Vault> {
        let passkey = opener.passkey.as_ref();
        let passkey =
            passkey.ok_or_else(|| Error::malformed("vault_entry", "the unlock entry is damaged"))?;
        let secret = self.ask_passkey(passkey).await?;
        opener.open(secret.expose())
    }

    /// One ceremony that returns the passkey's PRF output. The answer is verified, user verification included, although
    /// an output for another key or without verification would not open the vault anyway.
    async fn ask_passkey(&self, passkey: &UnlockPasskey) -> Result<Secret<Vec<u8>>> {
        let id = Bytes(base64url::decode(&passkey.credential_id)?);
        let mut options = RequestOptions {
            challenge: Bytes(self.random().array::<32>().to_vec()),
            timeout: None,
            rp_id: self.config.rp_id.clone(),
            allow_credentials: vec![CredentialDescriptor {
                kind: CredentialType::PublicKey,
                id,
                transports: passkey.transports.clone(),
            }],
            user_verification: "required".to_owned(),
            extensions: Map::new(),
        };
        let salts = json!({ &passkey.credential_id: { "first": passkey.prf_salt } });
        options.extensions.insert("prf".into(), json!({ "evalByCredential": salts }));
        let (answer, secret) = with_prf(self.passkeys()?.get(&to_json(&options)?).await?)?;
        let answer: AuthenticationResponse = answer;
        let expected = AssertionExpectation {
            challenge: &options.challenge.0,
            origins: std::slice::from_ref(&self.config.origin),
            rp_id: &self.config.rp_id,
            public_key: &passkey.public_key.public_key()?,
            backup_eligible: passkey.backup_eligible,
            user_verification: UserVerification::Required,
        };
        assertion::verify(answer.assertion()?, &expected, &Limits::DEFAULT)?;
        secret.ok_or_else(no_prf)
    }

    fn wrapper(&self) -> Result<&dyn KeyWrapper> {
        self.platform
            .wrapper
            .as_deref()
            .ok_or_else(|| Error::unavailable("platform_not_available", "this app brings no wrapping key"))
    }
}

/// Adding and removing.
impl Wallet {
    /// Throws everything away, without asking for a key: for a wallet that no way to unlock opens any more, or that the
    /// person wants gone. Keys of credentials stay in the device's key store only where the wallet was locked.
    ///
    /// # Errors
    /// Of the storage.
    pub async fn erase(&self) -> Result<(), WalletError> {
        if let Ok(records) = self.records() {
            for (_, held) in self.all_held(&records).await.map_err(device)? {
                self.forget_keys(&records, &held, true).await;
            }
            self.sweep_all(&records).await?;
        }
        self.lock();
        if let Some(wrapper) = &self.platform.wrapper {
            for opener in self.openers().await?.iter().filter(|opener| opener.kind() == UnlockKind::Hardware)
            {
                // The entry goes with the rest; its key is of no use to anybody.
                let _ = wrapper.forget(opener.id()).await;
            }
        }
        records::erase(&self.place()).await.map_err(device)?;
        let mut state = self.state();
        state.exists = false;
        state.seen = 0;
        Ok(())
    }

    /// Adds unlocking by a key of the device. On a new wallet this makes the vault and leaves it open.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the platform and the storage.
    pub async fn add_hardware_entry(&self, label: &str) -> Result<EntrySummary, WalletError> {
        let id = self.random().token(16);
        let secret = Secret::new(self.random().array::<32>().to_vec());
        let wrapped = self.wrapper().map_err(device)?.wrap(&id, &secret).await?;
        let now = self.now();
        let make = |vault: &Vault| {
            let mut opener = Opener::new(vault.add_hardware_entry(&id, &secret, self.random())?, label, now);
            opener.wrapped = Some(base64url::encode(&wrapped));
            Ok(opener)
        };
        self.add_entry(make).await
    }

    /// Adds unlocking by a passkey that has the PRF extension. One prompt, or two where the authenticator gives its
    /// output only when it is asked again. On a new wallet this makes the vault and leaves it open.
    ///
    /// # Errors
    /// `passkey_prf`: the authenticator has no PRF; [`WalletError::Locked`]; of the platform and the storage.
    pub async fn add_passkey_entry(&self, label: &str) -> Result<EntrySummary, WalletError> {
        let (passkey, secret) = self.make_passkey().await.map_err(device)?;
        let now = self.now();
        let make = |vault: &Vault| {
            let entry = vault.add_prf_entry(&self.random().token(16), secret.expose(), self.random())?;
            let mut opener = Opener::new(entry, label, now);
            opener.passkey = Some(passkey);
            Ok(opener)
        };
        self.add_entry(make).await
    }

    /// Makes a recovery code, which replaces the one before, and returns it: the only time that it is seen.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn create_recovery_code(&self, label: &str) -> Result<Secret<String>, WalletError> {
        let code = RecoveryCode::generate(self.random());
        let now = self.now();
        let make = |vault: &Vault| {
            let entry = vault.add_recovery_entry(&self.random().token(16), &code, self.random())?;
            Ok(Opener::new(entry, label, now))
        };
        let added = self.add_entry(make).await?;
        let records = self.records()?;
        self.keep_backup_key(&records, &code).await?;
        for opener in self.openers().await? {
            if opener.kind() == UnlockKind::Recovery && opener.id() != added.id {
                records.remove_opener(opener.id()).await.map_err(device)?;
            }
        }
        Ok(code.to_text())
    }

    /// Removes a way to unlock; no other is needed or changed.
    ///
    /// # Errors
    /// `vault_entry_unknown`; `vault_last_entries`: fewer than two would be left beside credentials, or none at all;
    /// [`WalletError::Locked`]; of the storage.
    pub async fn remove_entry(&self, id: &str) -> Result<(), WalletError> {
        let records = self.records()?;
        let needed = if records.count(CREDENTIAL).await > 0 { ENTRIES_NEEDED } else { 1 };
        let openers = self.openers().await?;
        let opener =
            openers.iter().find(|opener| opener.id() == id).ok_or_else(|| person(unknown_entry()))?;
        if openers.len() <= needed {
            let detail = "add another way to unlock before you remove this one";
            return Err(person(Error::refused("vault_last_entries", detail)));
        }
        records.remove_opener(id).await.map_err(device)?;
        if let (UnlockKind::Hardware, Some(wrapper)) = (opener.kind(), &self.platform.wrapper) {
            // The entry is gone; its key is of no use to anybody.
            let _ = wrapper.forget(id).await;
        }
        self.note_unlock_change(&records).await
    }

    /// `vault_entries_too_few` unless the vault can be opened in two ways: asked before a credential is stored.
    pub(super) async fn check_entries(&self, records: &Records) -> Result<()> {
        if records.entry_ids().await.len() >= ENTRIES_NEEDED {
            return Ok(());
        }
        let detail = "add a second way to unlock, for example a recovery code, before you store a credential";
        Err(Error::refused("vault_entries_too_few", detail))
    }

    async fn add_entry(
        &self,
        make: impl FnOnce(&Vault) -> Result<Opener>,
    ) -> Result<EntrySummary, WalletError> {
        let opener = if self.lock_state() == LockState::New {
            let vault = Vault::create(self.random());
            let opener = make(&vault).map_err(device)?;
            let records = Records::create(vault, self.place(), &opener).await.map_err(device)?;
            let mut batch = Batch::new();
            let settings = Settings { user_handle: base64url::encode(&self.random().array::<32>()) };
            batch.put(SETTINGS, WALLET, &(), &settings).map_err(device)?;
            records.commit(batch).await.map_err(device)?;
            self.take(records).await;
            opener
        } else {
            let records = self.records()?;
            let opener = make(records.vault()).map_err(device)?;
            records.add_opener(&opener).await.map_err(device)?;
            self.note_unlock_change(&records).await?;
            opener
        };
        Ok(EntrySummary {
            id: opener.id().to_owned(),
            kind: opener.kind(),
            label: opener.label.clone(),
            created_at: opener.created_at,
        })
    }

    async fn note_unlock_change(&self, records: &Records) -> Result<(), WalletError> {
        let mut batch = Batch::new();
        let entry = Activity::own(self.now(), ActivityKind::UnlockChanged, Vec::new());
        activity::note(records, &mut batch, &entry).await.map_err(device)?;
        self.commit(records, batch).await
    }

    async fn make_passkey(&self) -> Result<(UnlockPasskey, Secret<Vec<u8>>)> {
        let salt = base64url::encode(&self.random().array::<32>());
        let rp = RelyingParty { id: self.config.rp_id.clone(), name: self.config.name.clone() };
        let user = User {
            id: Bytes(self.random().array::<32>().to_vec()),
            name: self.config.name.clone(),
            display_name: self.config.name.clone(),
        };
        let mut options = CreationOptions::enrolment(rp, user, self.random().array());
        "none".clone_into(&mut options.attestation);
        options.extensions.insert("prf".into(), json!({ "eval": { "first": salt } }));
        let (answer, secret) = with_prf(self.passkeys()?.create(&to_json(&options)?).await?)?;
        let answer: RegistrationResponse = answer;
        let expected = RegistrationExpectation {
            challenge: &options.challenge.0,
            origins: std::slice::from_ref(&self.config.origin),
            rp_id: &self.config.rp_id,
            user_verification: UserVerification::Required,
            algorithms: &[SignatureAlgorithm::Es256],
        };
        let verified = registration::verify(&answer, &expected, &Limits::DEFAULT)?;
        let passkey = UnlockPasskey {
            credential_id: base64url::encode(&verified.credential_id),
            public_key: Jwk::from_key(&verified.public_key),
            backup_eligible: verified.backup_eligible,
            prf_salt: salt,
            transports: answer.response.transports,
        };
        let secret = match secret {
            Some(secret) => secret,
            None => self.ask_passkey(&passkey).await?,
        };
        Ok((passkey, secret))
    }
}

fn unknown_entry() -> Error {
    Error::refused("vault_entry_unknown", "there is no such way to unlock")
}

fn no_prf() -> Error {
    Error::unsupported("passkey_prf", "this passkey gives no secret to unlock with (no PRF extension)")
}

/// Takes the PRF output out of a client's answer: the rest of the answer, parsed, never holds it.
fn with_prf<T: serde::de::DeserializeOwned>(mut answer: String) -> Result<(T, Option<Secret<Vec<u8>>>)> {
    let parsed = strict_json::parse_as::<T>(answer.as_bytes(), &Limits::DEFAULT);
    let results = strict_json::parse(answer.as_bytes(), &Limits::DEFAULT);
    answer.zeroize();
    let mut results = results?;
    let first = results.pointer_mut("/clientExtensionResults/prf/results/first").map(Value::take);
    let secret = match first {
        Some(Value::String(mut text)) => {
            let bytes = base64url::decode(&text);
            text.zeroize();
            Some(Secret::new(bytes?))
        }
        _ => None,
    };
    Ok((parsed?, secret))
}
