//! The whole logic of a wallet app: what an app, or the library that an app calls, translates and nothing more.
//!
//! ```text
//!  Wallet::open ─ add_hardware_entry, create_recovery_code ─ unlock / lock
//!    begin_issuance(link)     ─▶ IssuanceSession:     details ─ accept (one prompt) | dropped
//!      where the offer wants a sign-in: details ─ sign_in ─ browser ─ resume ─ accept
//!    begin_presentation(link) ─▶ PresentationSession: details ─ approve (one prompt) | decline
//!    refresh, refresh_due, check_pending; credentials, search, groups, activity, backup
//! ```
//!
//! [`platform`] is what the app provides, [`WalletError`] what it shows when something goes wrong. Everything that the
//! wallet keeps lies in the [`vault`](crate::vault); private keys lie in the device's key store and nowhere else.
//! Exactly one prompt comes per issuance and per presentation, whatever the number of credentials.

pub mod activity;
mod backup;
pub mod error;
pub mod platform;
pub mod software;

mod ceremony;
mod held;
mod issuing;
mod keys;
mod logo;
mod offer;
mod presenting;
mod renewing;
mod request;
mod signing_in;
mod status;
mod storing;
mod unfinished;
mod unlocking;
mod waiting;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use self::held::{CREDENTIAL, Held, LOGO, Summary};
use self::keys::DeviceKeys;
use crate::clock::{Clock, UnixTime};
use crate::did::DidResolver;
use crate::error::{Error, Result};
use crate::holder::issuance::{KeyAttester, WalletAttester};
use crate::holder::presentation::PresentationRules;
use crate::holder::{HttpClient, WalletIdentity};
use crate::random::Random;
use crate::trust::{IssuerTrust, VerifierTrust};
use crate::vault::records::{Batch, Place, Records};
use crate::vault::{RecordType, records};

pub use activity::{Activity, ActivityKind};
pub use backup::Restored;
pub use ceremony::AuthenticatorSource;
pub use error::{Advice, Party, WalletError};
pub use held::{
    ClaimText, CredentialDetails, CredentialGroup, CredentialState, CredentialSummary, GroupBy, KnownStatus,
    WhenUsedUp,
};
pub use issuing::{IssuanceOutcome, IssuanceSession};
pub use logo::Logo;
pub use offer::{OfferDetails, OfferedDetails, TxCodeDetails};
pub use platform::{
    GenerationAnchor, HardwareKeyStore, KeyWrapper, LogLevel, LogSink, PasskeyClient, Prompt, WalletStorage,
};
pub use presenting::PresentationSession;
pub use renewing::{NotRefreshed, RefreshReport};
pub use request::{
    CandidateChoice, ClaimChoice, PresentationOutcome, QueryChoice, RegistrationDetails, RequestDetails,
    RequestWarning, TransactionDetails, TransactionLine, UsedUp,
};
pub use software::SoftwareDevice;
pub use unlocking::EntrySummary;
pub use waiting::{PendingCredential, PendingReport, RefusedCredential};

const SETTINGS: RecordType = RecordType::new("settings");
const WALLET: &str = "wallet";

/// Who the wallet is, whom it trusts, and how it behaves.
#[derive(Debug, Clone)]
pub struct WalletConfig {
    /// OAuth client identifier under which issuers know this wallet app.
    pub client_id: String,
    /// RP ID of the wallet's WebAuthn keys: a domain of the app's maker with no other use.
    pub rp_id: String,
    /// The wallet's name, for the prompts of passkeys.
    pub name: String,
    /// The origin that the embedded authenticator states: `https://…`, or `android:apk-key-hash:…`.
    pub origin: String,
    /// The person's language, a BCP 47 tag.
    pub locale: String,
    /// Where WebAuthn keys of new credentials live.
    pub authenticator: AuthenticatorSource,
    /// Whether a separate security chip is preferred for new keys.
    pub prefer_strongbox: bool,
    /// Copies of each credential that are collected at once where the issuer gives several: each is shown to one verifier
    /// only, so that two cannot tell that it was the same person. 1: one copy, shown to all.
    pub copies: u32,
    /// Whether the last copy is shown again where the issuer gives no fresh ones, rather than that the credential cannot
    /// be shown any more. The person is warned: those who see it can tell that it was the same person.
    pub reuse_last_copy: bool,
    /// Where issuers send the browser back to after a sign-in, as registered with them; `None`: no offers with a sign-in.
    pub redirect_uri: Option<String>,
    /// Seconds without use after which the wallet locks itself.
    pub lock_after_secs: i64,
    /// Which issuers the wallet knows; others are collected from too, and marked as unknown.
    pub issuers: IssuerTrust,
    /// Which verifiers the wallet knows.
    pub verifiers: VerifierTrust,
    /// Transaction data that the app can show, and authorities that queries may name.
    pub rules: PresentationRules,
}

/// What the app around the wallet provides.
#[derive(Clone)]
pub struct WalletPlatform {
    /// Keys in hardware.
    pub keys: Arc<dyn HardwareKeyStore>,
    /// Where everything else lies.
    pub storage: Arc<dyn WalletStorage>,
    /// Where the generation of the storage is kept apart from it.
    pub anchor: Option<Arc<dyn GenerationAnchor>>,
    /// Unlocking by a key of the device.
    pub wrapper: Option<Arc<dyn KeyWrapper>>,
    /// Passkeys and security keys.
    pub passkeys: Option<Arc<dyn PasskeyClient>>,
    /// The way to issuers and verifiers.
    pub http: Arc<dyn HttpClient>,
    /// For parties with a DID.
    pub dids: Arc<dyn DidResolver>,
    /// Attestations of this wallet by its provider, for issuers that take only wallets that they know.
    pub wallet_attester: Option<Arc<dyn WalletAttester>>,
    /// Attestations of holder keys, for issuers that demand them.
    pub key_attester: Option<Arc<dyn KeyAttester>>,
    /// The log.
    pub log: Option<Arc<dyn LogSink>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Keys, nonces, names.
    pub random: Arc<dyn Random>,
}

impl fmt::Debug for WalletPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WalletPlatform(…)")
    }
}

/// Whether the wallet can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockState {
    /// There is no vault yet: add a way to unlock.
    New,
    /// There is one, and its key is not in memory.
    Locked,
    /// It is open.
    Unlocked,
}

/// A wallet. See the [module](self).
pub struct Wallet {
    config: WalletConfig,
    platform: WalletPlatform,
    state: Mutex<State>,
    /// Held while tokens are used that count once.
    renewing: futures_util::lock::Mutex<()>,
}

struct State {
    exists: bool,
    open: Option<Arc<Records>>,
    /// The newest generation that this process saw: an older one is not taken, even without an anchor.
    seen: u64,
    used_at: UnixTime,
    /// Collections that run in this process.
    live: BTreeSet<String>,
}

/// What belongs to the wallet as such.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// WebAuthn user handle; random, says nothing.
    user_handle: String,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("client_id", &self.config.client_id).finish_non_exhaustive()
    }
}

impl Wallet {
    /// Looks whether there is a vault in the platform's storage. It stays locked.
    ///
    /// # Errors
    /// [`WalletError::Storage`].
    pub async fn open(config: WalletConfig, platform: WalletPlatform) -> Result<Arc<Self>, WalletError> {
        let used_at = platform.clock.now();
        let state = State { exists: false, open: None, seen: 0, used_at, live: BTreeSet::new() };
        let renewing = futures_util::lock::Mutex::new(());
        let wallet = Self { config, platform, state: Mutex::new(state), renewing };
        wallet.state().exists = records::exists(&wallet.place()).await.map_err(device)?;
        Ok(Arc::new(wallet))
    }

    /// Whether the wallet can be used now.
    pub fn lock_state(&self) -> LockState {
        self.lock_if_idle();
        let state = self.state();
        match (&state.open, state.exists) {
            (Some(_), _) => LockState::Unlocked,
            (None, true) => LockState::Locked,
            (None, false) => LockState::New,
        }
    }

    /// Forgets the key of the vault. What runs ends as soon as it needs the vault again.
    pub fn lock(&self) {
        self.state().open = None;
    }

    fn lock_if_idle(&self) {
        let now = self.now();
        let mut state = self.state();
        if now.since(state.used_at) >= self.config.lock_after_secs {
            state.open = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves its value whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixTime {
        self.platform.clock.now()
    }

    fn random(&self) -> &dyn Random {
        &*self.platform.random
    }

    fn place(&self) -> Place {
        Place {
            storage: self.platform.storage.clone(),
            anchor: self.platform.anchor.clone(),
            random: self.platform.random.clone(),
        }
    }

    fn log(&self, level: LogLevel, message: &str) {
        if let Some(log) = &self.platform.log {
            log.log(level, "carekey::wallet", message);
        }
    }

    /// The open records; every use puts off the locking.
    fn records(&self) -> Result<Arc<Records>, WalletError> {
        self.lock_if_idle();
        let mut state = self.state();
        state.used_at = self.platform.clock.now();
        state.open.clone().ok_or(WalletError::Locked)
    }

    async fn commit(&self, records: &Records, batch: Batch) -> Result<(), WalletError> {
        Box::pin(records.commit(batch)).await.map_err(device)?;
        let generation = records.generation().await;
        let mut state = self.state();
        state.seen = state.seen.max(generation);
        Ok(())
    }

    fn device_keys(&self, with_second_key: bool, prompt: Option<Prompt>) -> DeviceKeys<'_> {
        let strongbox = self.config.prefer_strongbox;
        DeviceKeys::new(&*self.platform.keys, self.random(), strongbox, with_second_key, prompt)
    }

    fn passkeys(&self) -> Result<&dyn PasskeyClient> {
        self.platform
            .passkeys
            .as_deref()
            .ok_or_else(|| Error::unavailable("platform_not_available", "this app brings no passkeys"))
    }

    async fn identity(&self, records: &Records) -> Result<WalletIdentity> {
        let settings: Option<Settings> = records.read(SETTINGS, WALLET).await?;
        let settings = settings
            .ok_or_else(|| Error::untrusted("vault_record", "the settings of the wallet are missing"))?;
        Ok(WalletIdentity {
            client_id: self.config.client_id.clone(),
            rp_id: self.config.rp_id.clone(),
            rp_name: self.config.name.clone(),
            user_name: self.config.name.clone(),
            user_display_name: self.config.name.clone(),
            user_handle: settings.user_handle,
        })
    }
}

/// What the wallet holds.
impl Wallet {
    /// All credentials, newest first.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn credentials(&self) -> Result<Vec<CredentialSummary>, WalletError> {
        let listed = self.records()?.list::<Summary>(CREDENTIAL).await.map_err(device)?;
        if listed.damaged > 0 {
            self.log(LogLevel::Error, &format!("{} credentials do not open", listed.damaged));
        }
        let summaries = listed.records.into_iter().map(|(_, summary)| self.shown(summary));
        let mut credentials: Vec<_> = summaries.collect();
        credentials.sort_by(|one, other| (other.issued_at, &other.id).cmp(&(one.issued_at, &one.id)));
        Ok(credentials)
    }

    /// Those in which every word of `text` occurs: in name, kind, description or issuer.
    ///
    /// # Errors
    /// Those of [`Self::credentials`].
    pub async fn search(&self, text: &str) -> Result<Vec<CredentialSummary>, WalletError> {
        let mut credentials = self.credentials().await?;
        credentials.retain(|credential| credential.matches(text));
        Ok(credentials)
    }

    /// All credentials in groups, by title; newest first within each.
    ///
    /// # Errors
    /// Those of [`Self::credentials`].
    pub async fn groups(&self, by: GroupBy) -> Result<Vec<CredentialGroup>, WalletError> {
        Ok(held::group(self.credentials().await?, by))
    }

    /// One credential with its claims.
    ///
    /// # Errors
    /// `credential_unknown`; [`WalletError::Locked`]; of the storage.
    pub async fn credential(&self, id: &str) -> Result<CredentialDetails, WalletError> {
        let records = self.records()?;
        let held = self.held(&records, id).await?;
        let has_logo = records.read::<Logo>(LOGO, id).await.ok().flatten().is_some();
        let summary = held.summary(id, has_logo).map_err(device)?;
        let claims = match held.front() {
            Some(front) => words::claims(&front.display, &words::claims_of(front).map_err(device)?),
            None => Vec::new(),
        };
        Ok(CredentialDetails { summary: self.shown(summary), claims })
    }

    fn shown(&self, summary: Summary) -> CredentialSummary {
        CredentialSummary::new(summary, self.now(), self.config.reuse_last_copy)
    }

    /// The issuer's picture for a credential, as it was when the credential was collected.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn logo(&self, id: &str) -> Result<Option<Logo>, WalletError> {
        self.records()?.read(LOGO, id).await.map_err(device)
    }

    /// Deletes a credential with its keys. The issuer is not told.
    ///
    /// # Errors
    /// `credential_unknown`; [`WalletError::Locked`]; of the storage.
    pub async fn delete_credential(&self, id: &str) -> Result<(), WalletError> {
        let records = self.records()?;
        let held = self.held(&records, id).await?;
        let mut batch = Batch::new();
        batch.delete(CREDENTIAL, id);
        batch.delete(LOGO, id);
        let names = held.front().map(|front| front.display.name.clone()).into_iter().collect();
        let entry = Activity::own(self.now(), ActivityKind::Deleted, names);
        activity::note(&records, &mut batch, &entry).await.map_err(device)?;
        self.commit(&records, batch).await?;
        self.forget_keys(&records, &held, false).await;
        self.release_right(&records, held.renewal.as_deref()).await
    }

    /// Deletes the device keys of a credential that is gone; AK only when no other credential uses it, or `all` go.
    async fn forget_keys(&self, records: &Records, held: &Held, all: bool) {
        let mut aliases: Vec<String> = held.copies.iter().map(|copy| copy.hk_alias.clone()).collect();
        if held.embedded {
            let others = if all { Vec::new() } else { self.all_held(records).await.unwrap_or_default() };
            let awaited = self.awaited_authenticators(records).await;
            let held_by_others = others.iter().flat_map(|(_, held)| &held.copies).filter_map(ak_id);
            let used: Vec<_> = held_by_others.chain(awaited.iter().map(String::as_str)).collect();
            let own = held.copies.iter().filter_map(ak_id).filter(|id| !used.contains(id));
            aliases.extend(own.map(ceremony::alias));
        }
        for alias in aliases {
            self.forget_key(&alias).await;
        }
    }

    async fn held(&self, records: &Records, id: &str) -> Result<Held, WalletError> {
        let held = records.read(CREDENTIAL, id).await.map_err(device)?;
        held.ok_or_else(|| {
            let error = Error::misuse("credential_unknown", "the wallet holds no credential of that id");
            WalletError::of(Party::App, error)
        })
    }

    /// Every credential that opens, with its id.
    async fn all_held(&self, records: &Records) -> Result<Vec<(String, Held)>> {
        let listed = records.list::<Summary>(CREDENTIAL).await?;
        let mut all = Vec::with_capacity(listed.records.len());
        for (id, _) in listed.records {
            // A damaged record hides no other.
            if let Ok(Some(held)) = records.read(CREDENTIAL, &id).await {
                all.push((id, held));
            }
        }
        Ok(all)
    }
}

fn ak_id(copy: &crate::holder::StoredCredential) -> Option<&str> {
    copy.ak.as_ref().map(|key| key.credential_id.as_str())
}

fn device(error: Error) -> WalletError {
    WalletError::of(Party::Device, error)
}
