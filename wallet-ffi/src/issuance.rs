//! An offer, from the link to the stored credential.

use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::{CredentialSummary, OfferDetails, Prompt};

use crate::error::WalletError;

/// An offer that the person looks at. Closing it refuses the offer; the issuer is not told.
#[derive(uniffi::Object)]
pub struct IssuanceSession(pub(crate) core::IssuanceSession);

#[uniffi::export]
impl IssuanceSession {
    /// What is offered.
    pub fn details(&self) -> OfferDetails {
        self.0.details().clone()
    }

    /// Accepts the offer: exactly one prompt, whatever the number of credentials, and they are stored.
    ///
    /// After `UserCancelled` and its kin it can be called again, without the transaction code; after a wrong transaction
    /// code too, with another one.
    pub async fn accept(
        &self,
        tx_code: Option<String>,
        prompt: Prompt,
    ) -> Result<Vec<CredentialSummary>, WalletError> {
        Ok(self.0.accept(tx_code.as_deref(), &prompt).await?)
    }
}
