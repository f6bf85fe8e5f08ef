//! Unlocking: one assertion by a passkey of this wallet, checked here, whose PRF result opens the vault.

use carekey_core::encoding::base64url;
use carekey_core::error::{Error, Result};
use carekey_core::limits::Limits;
use carekey_core::secret::Secret;
use carekey_core::webauthn::assertion::{self, AssertionExpectation, AuthenticationResponse};
use carekey_core::webauthn::options::{CredentialDescriptor, RequestOptions};
use carekey_core::webauthn::{Bytes, CredentialType, UserVerification};
use serde_json::{Map, Value, json};

use super::records::Passkey;
use super::{RP_ID, Wallet};

impl Wallet {
    /// The options of the unlocking ceremony: any passkey that opens the vault, each with its own PRF input.
    pub(super) async fn unlock_options(&self, session: &str) -> Result<Value> {
        let passkeys = self.records.unlocking_passkeys().await?;
        if passkeys.is_empty() {
            return Err(Error::refused("nothing_to_unlock", "this wallet is not locked by a passkey"));
        }
        let challenge: [u8; 32] = self.random.array();
        self.unlocks.put(session.to_owned(), session, challenge, self.clock.now());
        let mut options = RequestOptions {
            challenge: Bytes(challenge.to_vec()),
            timeout: None,
            rp_id: RP_ID.to_owned(),
            allow_credentials: Vec::new(),
            user_verification: "required".to_owned(),
            extensions: Map::new(),
        };
        for passkey in &passkeys {
            options.allow_credentials.push(CredentialDescriptor {
                kind: CredentialType::PublicKey,
                id: Bytes(base64url::decode(&passkey.id)?),
                transports: passkey.transports.clone(),
            });
        }
        options.extensions = prf_inputs(&passkeys);
        serde_json::to_value(options)
            .map_err(|_| Error::misuse("webauthn_options", "the options do not serialize"))
    }

    /// Checks the answer to [`Wallet::unlock_options`] (user verification included) and opens the vault.
    pub(super) async fn unlock(
        &self,
        session: &str,
        answer: &AuthenticationResponse,
        prf: &Secret<Vec<u8>>,
    ) -> Result<()> {
        let challenge = self.unlocks.take(session, session, self.clock.now())?;
        let id = base64url::encode(&answer.id.0);
        let unknown = || Error::refused("passkey_unknown", "this passkey does not open this wallet");
        let passkeys = self.records.unlocking_passkeys().await?;
        let passkey = passkeys.iter().find(|passkey| passkey.id == id).ok_or_else(unknown)?;
        let expected = AssertionExpectation {
            challenge: &challenge,
            origins: &[self.own.origin().to_owned()],
            rp_id: RP_ID,
            public_key: &passkey.public_key.public_key()?,
            backup_eligible: passkey.backup_eligible,
            user_verification: UserVerification::Required,
        };
        assertion::verify(answer.assertion()?, &expected, &Limits::DEFAULT)?;
        self.records.unlock(session, &id, prf).await
    }

    /// Adds the PRF input to the options of a presentation whose passkey could not give its result when it was made.
    pub(super) async fn ask_for_prf(&self, options: &mut RequestOptions) -> Result<()> {
        let mut waiting = Vec::new();
        for descriptor in &options.allow_credentials {
            waiting.extend(self.records.waiting_passkey(&base64url::encode(&descriptor.id.0)).await?);
        }
        if !waiting.is_empty() {
            options.extensions.extend(prf_inputs(&waiting));
        }
        Ok(())
    }

    /// Takes the PRF result of such a passkey: from now on it opens the vault.
    pub(super) async fn take_prf(
        &self,
        session: &str,
        id: &str,
        prf: Option<&Secret<Vec<u8>>>,
    ) -> Result<()> {
        match (self.records.waiting_passkey(id).await?, prf) {
            (Some(passkey), Some(prf)) => self.records.enrol(session, passkey, Some(prf), true).await,
            _ => Ok(()),
        }
    }
}

/// `prf` as in `AuthenticationExtensionsClientInputsJSON`.
fn prf_inputs(passkeys: &[Passkey]) -> Map<String, Value> {
    let inputs: Map<String, Value> =
        passkeys.iter().map(|passkey| (passkey.id.clone(), json!({ "first": passkey.prf_salt }))).collect();
    let mut extensions = Map::new();
    extensions.insert("prf".into(), json!({ "evalByCredential": inputs }));
    extensions
}
