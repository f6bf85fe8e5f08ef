//! What the wallet's provider says about this app and its keys.

use std::sync::Arc;

use async_trait::async_trait;
use carekey_core::holder::issuance::{KeyAttestationRequest, KeyAttester, WalletAttester};
use carekey_core::holder::wallet::platform as core;
use carekey_core::key::{SignatureAlgorithm, der_to_fixed};
use carekey_core::{Error, Result};

use super::keys::PlatformError;

/// A holder key that is to be attested.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct KeyToAttest {
    /// Its name in the key store.
    pub alias: String,
    /// P-256, uncompressed SEC 1: 65 bytes.
    pub public_key: Vec<u8>,
}

/// Which keys are to be attested, and how.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct KeyAttestationWish {
    /// The issuer that asks.
    pub credential_issuer: String,
    /// The keys: all must be in the attestation.
    pub keys: Vec<KeyToAttest>,
    /// The `nonce` of the attestation.
    pub nonce: Option<String>,
    /// One of these must be stated as `key_storage`, unless there is none.
    pub key_storage: Vec<String>,
    /// One of these must be stated as `user_authentication`, unless there is none.
    pub user_authentication: Vec<String>,
}

/// The provider of the wallet: a server of the app's maker that vouches for genuine copies of the app (OpenID4VCI 1.0
/// appendices D and E). Only for issuers that ask for it.
#[uniffi::export(foreign)]
#[async_trait]
pub trait WalletProvider: Send + Sync {
    /// The wallet attestation for the authorization server `server`: about an ES256 key that stays the same for as long as
    /// tokens of that server are used, another one for each server. `fresh`: the server refused the last one as too old.
    async fn wallet_attestation(&self, server: String, fresh: bool) -> Result<String, PlatformError>;

    /// Signs with the key that the attestation for `server` is about: ECDSA P-256 with SHA-256 in DER. No prompt.
    async fn sign(&self, server: String, message: Vec<u8>) -> Result<Vec<u8>, PlatformError>;

    /// A key attestation with `exp` for all the keys.
    async fn key_attestation(&self, wish: KeyAttestationWish) -> Result<String, PlatformError>;
}

/// The app's provider as the engine sees it.
pub(crate) struct Provider(pub(crate) Arc<dyn WalletProvider>);

fn told(error: PlatformError) -> Error {
    core::PlatformError::from(error).into()
}

#[async_trait]
impl WalletAttester for Provider {
    async fn attestation(&self, server: &str, fresh: bool) -> Result<String> {
        self.0.wallet_attestation(server.to_owned(), fresh).await.map_err(told)
    }

    async fn sign(&self, server: &str, message: &[u8]) -> Result<Vec<u8>> {
        let der = self.0.sign(server.to_owned(), message.to_vec()).await.map_err(told)?;
        der_to_fixed(SignatureAlgorithm::Es256, &der)
    }
}

#[async_trait]
impl KeyAttester for Provider {
    async fn attest(&self, request: &KeyAttestationRequest<'_>) -> Result<String> {
        let key = |key: &carekey_core::holder::HolderKeyInfo| KeyToAttest {
            alias: key.alias.clone(),
            public_key: key.public_key.to_sec1_uncompressed(),
        };
        let wish = KeyAttestationWish {
            credential_issuer: request.credential_issuer.to_owned(),
            keys: request.keys.iter().map(key).collect(),
            nonce: request.nonce.map(str::to_owned),
            key_storage: request.required.key_storage.clone(),
            user_authentication: request.required.user_authentication.clone(),
        };
        self.0.key_attestation(wish).await.map_err(told)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    use carekey_core::attestation::key_attestation::KeyAttestationsRequired;
    use carekey_core::holder::HolderKeyInfo;
    use carekey_core::key::{Signer, SoftwareKey};

    use super::*;

    /// A provider that answers at once.
    struct AtOnce {
        key: SoftwareKey,
        wishes: Mutex<Vec<KeyAttestationWish>>,
    }

    #[async_trait]
    impl WalletProvider for AtOnce {
        async fn wallet_attestation(&self, server: String, fresh: bool) -> Result<String, PlatformError> {
            match fresh {
                true => Err(PlatformError::NotAvailable { reason: "no connection".into() }),
                false => Ok(format!("attestation for {server}")),
            }
        }

        async fn sign(&self, _: String, message: Vec<u8>) -> Result<Vec<u8>, PlatformError> {
            Ok(self.key.sign_der(&message).unwrap())
        }

        async fn key_attestation(&self, wish: KeyAttestationWish) -> Result<String, PlatformError> {
            self.wishes.lock().unwrap().push(wish);
            Ok("key attestation".into())
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn what_the_app_answers_reaches_the_engine_in_its_form() {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let public_key = key.public_key().clone();
        let app = Arc::new(AtOnce { key, wishes: Mutex::default() });
        let provider = Provider(app.clone());
        assert_eq!(now(provider.attestation("https://a", false)).unwrap(), "attestation for https://a");
        let refused = now(provider.attestation("https://a", true)).unwrap_err();
        assert_eq!(refused.code(), "platform_not_available");
        let signature = now(WalletAttester::sign(&provider, "https://a", b"message")).unwrap();
        public_key.verify(b"message", &signature).unwrap();

        let required = KeyAttestationsRequired {
            key_storage: vec!["iso_18045_high".into()],
            ..KeyAttestationsRequired::default()
        };
        let keys = [HolderKeyInfo { alias: "hk.1".into(), public_key: public_key.clone() }];
        let request = KeyAttestationRequest {
            credential_issuer: "https://issuer.example",
            keys: &keys,
            nonce: Some("n"),
            required: &required,
        };
        assert_eq!(now(provider.attest(&request)).unwrap(), "key attestation");
        let wish = app.wishes.lock().unwrap().pop().unwrap();
        assert_eq!((wish.keys[0].public_key.len(), wish.nonce.as_deref()), (65, Some("n")));
        assert_eq!((wish.key_storage, wish.user_authentication), (required.key_storage, Vec::new()));
    }
}
