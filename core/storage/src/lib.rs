//! The storage traits of carekey-core on disk, every acknowledged write synced.
//!
//! [`SledStore`] is the services' embedded default (`carekey_core::store` says what a store promises, and holds the one
//! in memory); [`WalletFile`] keeps a wallet in one file (`carekey_core::vault`).

#[cfg(feature = "sled")]
pub mod sled_store;
pub mod wallet_file;

#[cfg(feature = "sled")]
pub use sled_store::{OpenError, SledStore};
pub use wallet_file::WalletFile;
