//! A request, from the link to the answer.

use carekey_core::holder::presentation::{Choice, Selection};
use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::{PresentationOutcome, Prompt, QueryChoice, RequestDetails};

use crate::error::WalletError;

type Answer<T> = Result<T, WalletError>;

/// One credential that leaves for one query.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SelectedCredential {
    /// The query.
    pub query_id: String,
    /// The wallet's id of the credential, one of the query's candidates.
    pub credential_id: String,
    /// The `path`s of optional claims that the person keeps.
    #[uniffi(default = [])]
    pub leave_out: Vec<String>,
}

/// A request that the person looks at. Closing it says nothing to the verifier; `decline` does.
#[derive(uniffi::Object)]
pub struct PresentationSession(pub(crate) core::PresentationSession);

#[uniffi::export]
impl PresentationSession {
    /// Who asks, and what for.
    pub fn details(&self) -> RequestDetails {
        self.0.details().clone()
    }

    /// What is asked for, with what fits.
    pub fn choices(&self) -> Vec<QueryChoice> {
        self.0.choices().to_vec()
    }

    /// The smallest usual answer; none where nothing fits.
    pub fn default_selection(&self) -> Option<Vec<SelectedCredential>> {
        let selection = self.0.default_selection()?;
        Some(selection.choices.into_iter().map(SelectedCredential::from).collect())
    }

    /// Sends the answer: exactly one prompt, whatever the number of credentials.
    ///
    /// A verifier that refuses is no error but an outcome: the claims left the device. After `UserCancelled` and its kin
    /// it can be called again.
    pub async fn approve(
        &self,
        selection: Vec<SelectedCredential>,
        prompt: Prompt,
    ) -> Answer<PresentationOutcome> {
        let choice =
            |one: &SelectedCredential| self.0.choice(&one.query_id, &one.credential_id, &one.leave_out);
        let choices = selection.iter().map(choice).collect::<Result<_, _>>()?;
        Ok(self.0.approve(&Selection { choices }, &prompt).await?)
    }

    /// Tells the verifier that the person said no. Returns where the person's browser goes next, if the verifier says.
    pub async fn decline(&self) -> Answer<Option<String>> {
        Ok(self.0.decline().await?.map(String::from))
    }
}

impl From<Choice> for SelectedCredential {
    fn from(Choice { query_id, credential_id, .. }: Choice) -> Self {
        // The usual answer leaves nothing out.
        Self { query_id, credential_id, leave_out: Vec::new() }
    }
}
