//! Asking issuers what became of credentials: suspended, revoked.
//!
//! One list per issuer answers for many credentials, and is asked for when the person wants to know, not when a credential
//! is shown: who serves it learns that somebody looks, and nothing else.

use std::collections::BTreeMap;

use url::Url;

use super::held::{CREDENTIAL, CredentialSummary, Held, KnownStatus};
use super::platform::LogLevel;
use super::{Wallet, WalletError, device};
use crate::error::{Error, Result};
use crate::format::any::UnverifiedCredential;
use crate::holder::HttpRequest;
use crate::holder::issuance::{IssuanceContext, credential_key};
use crate::limits::Limits;
use crate::status::token_status_list::{MEDIA_TYPE, Status, UnverifiedStatusListToken, VerifiedStatusList};
use crate::vault::records::{Batch, Records};

/// Seconds that the issuer's clock may be ahead.
const SKEW: i64 = 60;

/// Lists that were fetched in one go, by address; `None`: it cannot be had.
type Lists = BTreeMap<String, Option<VerifiedStatusList>>;

impl Wallet {
    /// Asks the status lists of all credentials once, and returns the credentials with what is known now. A list that
    /// cannot be had leaves what was known; revoked stays revoked.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn refresh_status(&self) -> Result<Vec<CredentialSummary>, WalletError> {
        let records = self.records()?;
        let identity = self.identity(&records).await.map_err(device)?;
        let keys = self.device_keys(true, None);
        let context = self.issuance_context(&identity, &keys);
        let (mut lists, mut batch) = (Lists::new(), Batch::new());
        for (id, held) in self.all_held(&records).await.map_err(device)? {
            let status = match status_of(&held, &mut lists, &context).await {
                Ok(Some(status)) => status,
                Ok(None) => continue,
                Err(error) => {
                    self.log(LogLevel::Info, &format!("no status of a credential: {}", error.code()));
                    continue;
                }
            };
            self.note_status(&records, &mut batch, &id, &held, status).await.map_err(device)?;
        }
        if !batch.is_empty() {
            self.commit(&records, batch).await?;
        }
        self.credentials().await
    }

    async fn note_status(
        &self,
        records: &Records,
        batch: &mut Batch,
        id: &str,
        held: &Held,
        status: KnownStatus,
    ) -> Result<()> {
        let Some(mut summary) = records.summary::<super::held::Summary>(CREDENTIAL, id).await? else {
            return Ok(());
        };
        if summary.status != status && summary.status != KnownStatus::Revoked {
            summary.status = status;
            batch.put(CREDENTIAL, id, &summary, held)?;
        }
        Ok(())
    }
}

/// The status of the copy that would be shown next; `None` where the credential has no status list.
async fn status_of(
    held: &Held,
    lists: &mut Lists,
    context: &IssuanceContext<'_>,
) -> Result<Option<KnownStatus>> {
    let Some(front) = held.front() else { return Ok(None) };
    let credential = UnverifiedCredential::parse(front.format, &front.credential, &Limits::DEFAULT)?;
    // Token status lists; those of W3C credentials are asked by verifiers only.
    let UnverifiedCredential::SdJwtVc(read) = &credential else { return Ok(None) };
    let Some(reference) = read.status_reference()? else { return Ok(None) };
    if !lists.contains_key(&reference.uri) {
        let list = fetch(&credential, &front.credential_issuer, &reference.uri, context).await;
        lists.insert(reference.uri.clone(), list.as_ref().ok().cloned());
        list?;
    }
    let unavailable = || Error::unavailable("status_list_fetch", "the status list cannot be had");
    let list = lists.get(&reference.uri).and_then(Option::as_ref).ok_or_else(unavailable)?;
    Ok(Some(match list.status_at(reference.idx)? {
        Status::Valid => KnownStatus::Valid,
        Status::Revoked => KnownStatus::Revoked,
        Status::Suspended | Status::Other(_) => KnownStatus::Suspended,
    }))
}

/// The list, from the issuer's own host and signed by the key that signed the credential.
async fn fetch(
    credential: &UnverifiedCredential,
    credential_issuer: &str,
    uri: &str,
    context: &IssuanceContext<'_>,
) -> Result<VerifiedStatusList> {
    let url = Url::parse(uri).ok();
    let host = Url::parse(credential_issuer).ok().map(|issuer| issuer.origin());
    let url = url.filter(|url| Some(url.origin()) == host);
    let url = url.ok_or_else(|| {
        Error::untrusted("status_host", "the status list lies on a host that no trust rule allows")
    })?;
    let key = credential_key(credential, credential_issuer, context).await?;
    let response = context.http.send(HttpRequest::get(url, MEDIA_TYPE)).await?;
    let unavailable = || Error::unavailable("status_list_fetch", "the status list cannot be had");
    let text = std::str::from_utf8(&response.body).ok().filter(|_| response.is_success());
    let token = UnverifiedStatusListToken::parse(text.ok_or_else(unavailable)?, &Limits::DEFAULT)?;
    token.verify(key.key(), uri, context.clock.now(), SKEW, &Limits::DEFAULT)
}
