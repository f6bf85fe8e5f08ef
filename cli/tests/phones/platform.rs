//! A phone in memory behind the traits that apps implement.

use std::sync::Arc;

use async_trait::async_trait;
use carekey_core::holder::wallet::platform::{
    self as core, DeviceCapabilities, KeyInfo, KeySpec, Prompt, WalletStorage as _,
};
use carekey_core::holder::wallet::{
    SoftwareDevice, platform::HardwareKeyStore as _, platform::KeyWrapper as _,
};
use carekey_core::holder::{HttpClient, HttpRequest, Method, SignItem};
use carekey_core::secret::Secret;
use carekey_core::vault::MemoryStorage;
use carekey_service::fetch::{FetchConfig, Fetcher};
use carekey_wallet_ffi::WalletPlatform;
use carekey_wallet_ffi::platform::{
    HardwareKeyStore, HttpError, HttpHeader, KeyWrapper, PlatformError, StorageError, WalletHttpClient,
    WalletHttpRequest, WalletHttpResponse, WalletStorage,
};

pub(crate) fn of(device: &Arc<SoftwareDevice>, storage: &Arc<MemoryStorage>) -> WalletPlatform {
    let http = Fetcher::new(FetchConfig { loopback: true, ..FetchConfig::default() }).unwrap();
    WalletPlatform {
        keys: Arc::new(Device(device.clone())),
        storage: Arc::new(Storage(storage.clone())),
        http: Arc::new(Http(http)),
        wrapper: Some(Arc::new(Device(device.clone()))),
        passkeys: None,
        anchor: None,
        provider: None,
        log: None,
    }
}

struct Device(Arc<SoftwareDevice>);

fn told(error: core::PlatformError) -> PlatformError {
    match error {
        core::PlatformError::UserCancelled => PlatformError::UserCancelled,
        core::PlatformError::BiometryLockout => PlatformError::BiometryLockout,
        core::PlatformError::BiometryNotEnrolled => PlatformError::BiometryNotEnrolled,
        core::PlatformError::KeyInvalidated => PlatformError::KeyInvalidated,
        core::PlatformError::NotAvailable { reason } => PlatformError::NotAvailable { reason },
        core::PlatformError::Unexpected { reason } => PlatformError::Unexpected { reason },
    }
}

#[async_trait]
impl HardwareKeyStore for Device {
    async fn capabilities(&self) -> Result<DeviceCapabilities, PlatformError> {
        self.0.capabilities().await.map_err(told)
    }

    async fn generate(&self, spec: KeySpec) -> Result<KeyInfo, PlatformError> {
        self.0.generate(spec).await.map_err(told)
    }

    async fn sign(
        &self,
        items: Vec<SignItem>,
        prompt: Option<Prompt>,
    ) -> Result<Vec<Vec<u8>>, PlatformError> {
        self.0.sign(items, prompt.as_ref()).await.map_err(told)
    }

    async fn delete(&self, alias: String) -> Result<(), PlatformError> {
        self.0.delete(&alias).await.map_err(told)
    }
}

#[async_trait]
impl KeyWrapper for Device {
    async fn wrap(&self, slot: String, secret: Vec<u8>) -> Result<Vec<u8>, PlatformError> {
        self.0.wrap(&slot, &Secret::new(secret)).await.map_err(told)
    }

    async fn unwrap_secret(
        &self,
        slot: String,
        wrapped: Vec<u8>,
        prompt: Option<Prompt>,
    ) -> Result<Vec<u8>, PlatformError> {
        let secret = self.0.unwrap_secret(&slot, &wrapped, prompt.as_ref()).await.map_err(told)?;
        Ok(secret.expose().clone())
    }

    async fn forget(&self, slot: String) -> Result<(), PlatformError> {
        self.0.forget(&slot).await.map_err(told)
    }
}

struct Storage(Arc<MemoryStorage>);

fn failed(error: core::StorageError) -> StorageError {
    StorageError::Failed { reason: error.reason }
}

#[async_trait]
impl WalletStorage for Storage {
    async fn get(&self, name: String) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.get(&name).await.map_err(failed)
    }

    async fn put(&self, name: String, value: Vec<u8>) -> Result<(), StorageError> {
        self.0.put(&name, value).await.map_err(failed)
    }

    async fn remove(&self, name: String) -> Result<(), StorageError> {
        self.0.remove(&name).await.map_err(failed)
    }

    async fn list(&self, prefix: String) -> Result<Vec<String>, StorageError> {
        self.0.list(&prefix).await.map_err(failed)
    }
}

struct Http(Fetcher);

#[async_trait]
impl WalletHttpClient for Http {
    async fn send(&self, request: WalletHttpRequest) -> Result<WalletHttpResponse, HttpError> {
        let failed = |problem: String| HttpError::Unreachable { reason: problem };
        let sent = HttpRequest {
            method: if request.method == "GET" { Method::Get } else { Method::Post },
            url: request.url.parse().map_err(|_| failed("not a URL".into()))?,
            headers: request.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: request.body,
        };
        let response = self.0.send(sent).await.map_err(|error| failed(error.to_string()))?;
        let content_type = response.content_type.into_iter().map(|value| ("content-type".to_owned(), value));
        let headers = content_type.chain(response.headers).map(|(name, value)| HttpHeader { name, value });
        Ok(WalletHttpResponse { status: response.status, headers: headers.collect(), body: response.body })
    }
}
