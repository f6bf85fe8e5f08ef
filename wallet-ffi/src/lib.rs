//! The CareKey wallet for apps in Kotlin, Swift and Python.
//!
//! Translation only: what the wallet does stands in [`carekey_core::holder::wallet`]. [`open_wallet`] opens a [`Wallet`]
//! over the [`WalletPlatform`] that the app provides; an offer becomes an [`IssuanceSession`], a request a
//! [`PresentationSession`], both to be looked at by the person and then accepted or refused.

pub mod config;
pub mod error;
pub mod issuance;
pub mod platform;
pub mod presentation;
pub mod records;
pub mod vault;
pub mod wallet;

pub use config::{TransactionField, TransactionKind, TrustedIssuers, TrustedVerifiers, WalletConfig};
pub use error::{ErrorFacts, WalletError};
pub use issuance::IssuanceSession;
pub use platform::WalletPlatform;
pub use presentation::{PresentationSession, SelectedCredential};
pub use vault::Vault;
pub use wallet::{
    Credential, NotRefreshed, PendingReport, RefreshReport, RefusedCredential, Wallet, library_version,
    open_wallet,
};

uniffi::setup_scaffolding!();
