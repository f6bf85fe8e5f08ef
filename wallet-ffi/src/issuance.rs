//! An offer, from the link to the stored credential.

use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::{IssuanceOutcome, OfferDetails, Prompt};

use crate::error::WalletError;

/// An offer that the person looks at. Closing it refuses the offer; the issuer is not told. Keys that were made for it are
/// forgotten at the next unlocking, or by `abandon` at once.
#[derive(uniffi::Object)]
pub struct IssuanceSession(pub(crate) core::IssuanceSession);

#[uniffi::export]
impl IssuanceSession {
    /// What is offered.
    pub fn details(&self) -> OfferDetails {
        self.0.details().clone()
    }

    /// Where an offer wants a sign-in (`signs_in` of the details): the address to open in the system's browser. Called
    /// again, it begins a new sign-in.
    pub async fn sign_in(&self) -> Result<String, WalletError> {
        Ok(self.0.sign_in().await?.into())
    }

    /// Takes the address with which the browser came back; then `accept` goes on. State, issuer and PKCE are checked:
    /// after an answer of somebody else the session still waits for the right one. When the app was restarted in
    /// between, use `resume_issuance` of the wallet.
    pub async fn resume(&self, returned_url: String) -> Result<(), WalletError> {
        Ok(self.0.resume(&returned_url).await?)
    }

    /// Accepts the offer: exactly one prompt, whatever the number of credentials, and they are stored. What the issuer
    /// gives later stands under `waiting`: ask with `check_pending` of the wallet, also after a restart of the app.
    ///
    /// After `UserCancelled` and its kin it can be called again, without the transaction code; after a wrong transaction
    /// code too, with another one.
    pub async fn accept(
        &self,
        tx_code: Option<String>,
        prompt: Prompt,
    ) -> Result<IssuanceOutcome, WalletError> {
        Ok(self.0.accept(tx_code.as_deref(), &prompt).await?)
    }

    /// Gives the offer up: forgets the keys that were made for it. The issuer is not told.
    pub async fn abandon(&self) -> Result<(), WalletError> {
        Ok(self.0.abandon().await?)
    }
}
