//! The wallet providers of the configuration: files become anchors and keys.

use std::path::{Path, PathBuf};

use carekey_core::attestation::wallet_provider::WalletProvider;
use carekey_core::format::sd_jwt_vc::jwt_vc_issuer::parse_jwk_set;
use carekey_core::limits::Limits;
use carekey_core::x509::TrustAnchor;
use serde::Deserialize;

use crate::app::{StartError, named};

/// A provider whose word about wallets (wallet attestations) and their keys (key attestations) counts: by certificates,
/// by pinned keys, or by both.
#[derive(Debug, Clone, Deserialize)]
pub struct WalletProviderConfig {
    /// Name in records.
    pub name: String,
    /// Files with the certificates that `x5c` of its attestations must lead to, PEM.
    #[serde(default)]
    pub anchors: Vec<PathBuf>,
    /// File with its keys, a JWK set, for attestations that name a key by `kid`.
    pub jwks: Option<PathBuf>,
}

impl WalletProviderConfig {
    /// Reads the files. Errors name the file, or the provider that has none.
    pub(crate) fn load(&self) -> Result<WalletProvider, StartError> {
        if self.anchors.is_empty() && self.jwks.is_none() {
            let detail = format!("key `wallet_providers`: {} has neither anchors nor jwks", self.name);
            return Err(StartError::new(&detail));
        }
        let read = |path: &Path| std::fs::read(path).map_err(|error| named(path, &error));
        let bad = |path: &Path, error: carekey_core::Error| {
            StartError::new(&format!("{}: {error}", path.display()))
        };
        let mut provider = WalletProvider { name: self.name.clone(), ..WalletProvider::default() };
        for path in &self.anchors {
            let anchors = TrustAnchor::from_pem(&read(path)?).map_err(|error| bad(path, error))?;
            provider.anchors.extend(anchors);
        }
        if let Some(path) = &self.jwks {
            let keys = parse_jwk_set(&read(path)?, &Limits::DEFAULT).map_err(|error| bad(path, error))?;
            provider.keys = keys.keys;
        }
        Ok(provider)
    }
}
