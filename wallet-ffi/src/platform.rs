//! What the app implements, and how the wallet's engine reaches it.
//!
//! The traits of this module have the shapes of [`carekey_core::holder::wallet::platform`]; the records in them are those
//! of core. Every trait has an adapter here that hands a call on to the app and its answer back.

mod attestation;
mod http;
mod keys;
mod log;
mod storage;

use std::sync::Arc;

use carekey_core::clock::SystemClock;
use carekey_core::holder::dids::HttpDids;
use carekey_core::holder::issuance::{KeyAttester, WalletAttester};
use carekey_core::holder::{HttpClient, wallet as core};
use carekey_core::random::SystemRandom;

pub use attestation::{KeyAttestationWish, KeyToAttest, WalletProvider};
pub use http::{HttpError, HttpHeader, WalletHttpClient, WalletHttpRequest, WalletHttpResponse};
pub use keys::{HardwareKeyStore, KeyWrapper, PasskeyClient, PlatformError};
pub use log::LogSink;
pub use storage::{GenerationAnchor, StorageError, WalletStorage};

/// What the app provides. Three members are needed; leave out the others and the wallet does without.
#[derive(uniffi::Record)]
pub struct WalletPlatform {
    /// Keys in hardware.
    pub keys: Arc<dyn HardwareKeyStore>,
    /// Where everything else lies.
    pub storage: Arc<dyn WalletStorage>,
    /// The way to issuers and verifiers.
    pub http: Arc<dyn WalletHttpClient>,
    /// Unlocking by a key of the device.
    #[uniffi(default = None)]
    pub wrapper: Option<Arc<dyn KeyWrapper>>,
    /// Passkeys and security keys.
    #[uniffi(default = None)]
    pub passkeys: Option<Arc<dyn PasskeyClient>>,
    /// Where the generation of the storage is kept apart from it.
    #[uniffi(default = None)]
    pub anchor: Option<Arc<dyn GenerationAnchor>>,
    /// Who vouches for this app and its keys, for issuers that ask for it.
    #[uniffi(default = None)]
    pub provider: Option<Arc<dyn WalletProvider>>,
    /// The log.
    #[uniffi(default = None)]
    pub log: Option<Arc<dyn LogSink>>,
}

impl From<WalletPlatform> for core::WalletPlatform {
    fn from(platform: WalletPlatform) -> Self {
        let http: Arc<dyn HttpClient> = Arc::new(http::Http(platform.http));
        let provider = platform.provider.map(|provider| Arc::new(attestation::Provider(provider)));
        Self {
            keys: Arc::new(keys::Keys(platform.keys)),
            storage: Arc::new(storage::Storage(platform.storage)),
            anchor: platform
                .anchor
                .map(|anchor| -> Arc<dyn core::GenerationAnchor> { Arc::new(storage::Anchor(anchor)) }),
            wrapper: platform
                .wrapper
                .map(|wrapper| -> Arc<dyn core::KeyWrapper> { Arc::new(keys::Wrapper(wrapper)) }),
            passkeys: platform
                .passkeys
                .map(|passkeys| -> Arc<dyn core::PasskeyClient> { Arc::new(keys::Passkeys(passkeys)) }),
            wallet_attester: provider.clone().map(|provider| -> Arc<dyn WalletAttester> { provider }),
            key_attester: provider.map(|provider| -> Arc<dyn KeyAttester> { provider }),
            dids: Arc::new(HttpDids::new(http.clone())),
            http,
            log: platform.log.map(|log| -> Arc<dyn core::LogSink> { Arc::new(log::Log(log)) }),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }
}
