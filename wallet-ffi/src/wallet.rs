//! The wallet, and one credential in it.

use std::sync::Arc;

use carekey_core::Error;
use carekey_core::encoding::base64url;
use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::{
    Activity, CredentialDetails, CredentialGroup, CredentialSummary, GroupBy, LockState, Party,
    PendingCredential, Prompt,
};

use crate::config::WalletConfig;
use crate::error::{ErrorFacts, WalletError};
use crate::issuance::IssuanceSession;
use crate::platform::WalletPlatform;
use crate::presentation::PresentationSession;
use crate::records::CredentialLogo;
use crate::vault::Vault;

type Answer<T> = Result<T, WalletError>;

/// Opens the wallet that lies in the platform's storage, or a new one. It stays locked until `unlock`; a new one until
/// the first entry of its `vault` is made.
#[uniffi::export]
pub async fn open_wallet(config: WalletConfig, platform: WalletPlatform) -> Answer<Arc<Wallet>> {
    let wrong = |error: Error| Error::misuse("wallet_config", error.detail().to_owned());
    let config = core::WalletConfig::try_from(config).map_err(wrong);
    let config = config.map_err(|error| core::WalletError::of(Party::App, error))?;
    Ok(Arc::new(Wallet(core::Wallet::open(config, platform.into()).await?)))
}

/// The version of this library.
#[uniffi::export]
pub fn library_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// A wallet: its credentials, its log, and the sessions in which credentials come in and go out.
#[derive(uniffi::Object)]
pub struct Wallet(Arc<core::Wallet>);

#[uniffi::export]
impl Wallet {
    /// Whether the wallet can be used now.
    pub fn lock_state(&self) -> LockState {
        self.0.lock_state()
    }

    /// Unlocks by a key of the device or a passkey: the entry `entry_id`, or the newest that is one of these.
    pub async fn unlock(&self, entry_id: Option<String>, prompt: Prompt) -> Answer<()> {
        Ok(self.0.unlock(entry_id.as_deref(), &prompt).await?)
    }

    /// Unlocks by the recovery code, as the person typed it. Nothing is lost by trying.
    pub async fn unlock_with_code(&self, code: String) -> Answer<()> {
        Ok(self.0.unlock_with_code(&code).await?)
    }

    /// `unlock` after the error `vault_rolled_back`, when the person was told and wants to go on with the older state.
    pub async fn unlock_older_state(&self, entry_id: Option<String>, prompt: Prompt) -> Answer<()> {
        Ok(self.0.unlock_older_state(entry_id.as_deref(), &prompt).await?)
    }

    /// Forgets the key of the vault: call it when the app goes to the background. What runs ends as soon as it needs the
    /// vault again.
    pub fn lock(&self) {
        self.0.lock();
    }

    /// Forgets everything: credentials, log, ways to unlock, and the keys of the device.
    pub async fn erase(&self) -> Answer<()> {
        Ok(self.0.erase().await?)
    }

    /// The ways to unlock.
    pub fn vault(&self) -> Arc<Vault> {
        Arc::new(Vault(self.0.clone()))
    }

    /// All credentials, newest first.
    pub async fn credentials(&self) -> Answer<Vec<CredentialSummary>> {
        Ok(self.0.credentials().await?)
    }

    /// Asks the issuers' status lists what became of the credentials, and returns all of them. A list that does not answer
    /// changes nothing.
    pub async fn refresh_status(&self) -> Answer<Vec<CredentialSummary>> {
        Ok(self.0.refresh_status().await?)
    }

    /// Those in which every word of `text` occurs: in name, kind, description or issuer.
    pub async fn search(&self, text: String) -> Answer<Vec<CredentialSummary>> {
        Ok(self.0.search(&text).await?)
    }

    /// All credentials in groups, by title; newest first within each.
    pub async fn groups(&self, by: GroupBy) -> Answer<Vec<CredentialGroup>> {
        Ok(self.0.groups(by).await?)
    }

    /// One credential.
    pub async fn credential(&self, id: String) -> Answer<Arc<Credential>> {
        let details = self.0.credential(&id).await?;
        Ok(Arc::new(Credential { wallet: self.0.clone(), details }))
    }

    /// Opens an offer link and fetches what there is to know. Nothing is accepted by it.
    pub async fn begin_issuance(&self, offer_link: String) -> Answer<Arc<IssuanceSession>> {
        Ok(Arc::new(IssuanceSession(self.0.begin_issuance(&offer_link).await?)))
    }

    /// Goes on with a sign-in after a restart of the app: takes the address with which the browser came back. The session
    /// that returns is to be accepted.
    pub async fn resume_issuance(&self, returned_url: String) -> Answer<Arc<IssuanceSession>> {
        Ok(Arc::new(IssuanceSession(self.0.resume_issuance(&returned_url).await?)))
    }

    /// Credentials that an issuer gives later, longest waiting first.
    pub async fn pending(&self) -> Answer<Vec<PendingCredential>> {
        Ok(self.0.pending().await?)
    }

    /// Asks the issuers for what is still to come, each when its time has come: when the app starts, and from time to time.
    /// Nobody is prompted.
    pub async fn check_pending(&self) -> Answer<PendingReport> {
        Ok(self.0.check_pending().await?.into())
    }

    /// Waits no more for a credential. The issuer is not told.
    pub async fn cancel_pending(&self, id: String) -> Answer<()> {
        Ok(self.0.cancel_pending(&id).await?)
    }

    /// Fetches fresh copies of everything that expires soon, has expired or has no copy left: when the app starts, and
    /// after a presentation that used up the last copy. Without a prompt nobody is asked: what needs a confirmation is
    /// left.
    pub async fn refresh_due(&self, prompt: Option<Prompt>) -> Answer<RefreshReport> {
        Ok(self.0.refresh_due(prompt.as_ref()).await?.into())
    }

    /// Opens a request that came over the Digital Credentials API: `request_json` is what the platform hands over, with
    /// `requests`; `origin` is the page's, as the platform says. `platform_response` of the outcome goes back to it; after
    /// an error, or when the person says no, cancel its call.
    pub async fn begin_digital_presentation(
        &self,
        request_json: String,
        origin: String,
    ) -> Answer<Arc<PresentationSession>> {
        let session = self.0.begin_digital_presentation(&request_json, &origin).await?;
        Ok(Arc::new(PresentationSession(session)))
    }

    /// Opens a request link, authenticates the verifier and finds what fits. Nothing about the person leaves.
    pub async fn begin_presentation(&self, request_link: String) -> Answer<Arc<PresentationSession>> {
        Ok(Arc::new(PresentationSession(self.0.begin_presentation(&request_link).await?)))
    }

    /// The newest lines of the log, newest first: up to `limit`, after leaving out the `skip` newest.
    pub async fn activity(&self, limit: u32, skip: u32) -> Answer<Vec<Activity>> {
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(self.0.activity(size(limit), size(skip)).await?)
    }

    /// The whole log as a JSON array, oldest first.
    pub async fn export_activity(&self) -> Answer<String> {
        Ok(self.0.export_activity().await?)
    }
}

/// One credential.
#[derive(uniffi::Object)]
pub struct Credential {
    wallet: Arc<core::Wallet>,
    details: CredentialDetails,
}

#[uniffi::export]
impl Credential {
    /// What it is and what is in it, as it was when `credential` was called.
    pub fn details(&self) -> CredentialDetails {
        self.details.clone()
    }

    /// The issuer's picture for it, as it was when the credential was collected.
    pub async fn logo(&self) -> Answer<Option<CredentialLogo>> {
        Ok(self.wallet.logo(&self.details.summary.id).await?.map(CredentialLogo::from))
    }

    /// Fetches fresh copies of it, and of what else came with it and wants some. The person is asked once where it has no
    /// second key, and otherwise not at all.
    pub async fn refresh(&self, prompt: Prompt) -> Answer<Vec<CredentialSummary>> {
        Ok(self.wallet.refresh(&self.details.summary.id, &prompt).await?)
    }

    /// Deletes it with its keys. The issuer is not told.
    pub async fn delete(&self) -> Answer<()> {
        Ok(self.wallet.delete_credential(&self.details.summary.id).await?)
    }
}

/// What `refresh_due` did.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RefreshReport {
    /// Credentials with fresh copies.
    pub refreshed: Vec<CredentialSummary>,
    /// Credentials that wanted some and got none.
    pub left: Vec<NotRefreshed>,
}

/// A credential without fresh copies.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NotRefreshed {
    /// The wallet's id of the credential.
    pub credential_id: String,
    /// Why. `refresh_unavailable` and `refresh_ended`: a new offer of the issuer is needed; `refresh_prompt`: the person
    /// has to confirm.
    pub reason: ErrorFacts,
}

/// What `check_pending` learned.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PendingReport {
    /// What came, and is in the wallet now.
    pub arrived: Vec<CredentialSummary>,
    /// What still waits.
    pub waiting: Vec<PendingCredential>,
    /// What will not come; it waits no more.
    pub refused: Vec<RefusedCredential>,
}

/// A credential that the issuer does not give.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RefusedCredential {
    /// What it was.
    pub credential: PendingCredential,
    /// What the issuer says.
    pub reason: ErrorFacts,
}

fn facts(error: core::WalletError) -> ErrorFacts {
    WalletError::from(error).explain()
}

impl From<core::RefreshReport> for RefreshReport {
    fn from(report: core::RefreshReport) -> Self {
        let left = report.left.into_iter();
        let left =
            left.map(|one| NotRefreshed { credential_id: one.credential_id, reason: facts(one.reason) });
        Self { refreshed: report.refreshed, left: left.collect() }
    }
}

impl From<core::PendingReport> for PendingReport {
    fn from(report: core::PendingReport) -> Self {
        let refused = report.refused.into_iter();
        let refused =
            refused.map(|one| RefusedCredential { credential: one.credential, reason: facts(one.reason) });
        Self { arrived: report.arrived, waiting: report.waiting, refused: refused.collect() }
    }
}

impl From<core::Logo> for CredentialLogo {
    fn from(logo: core::Logo) -> Self {
        let data = base64url::decode(&logo.data).unwrap_or_default();
        Self { media_type: logo.media_type, data, alt_text: logo.alt_text }
    }
}
