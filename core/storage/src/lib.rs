//! The store traits of carekey-core on sled, every acknowledged write synced to disk.
//!
//! [`SledStore`] is the embedded default. `carekey_core::store` says what a store promises, and holds the one in memory.

pub mod sled_store;

pub use sled_store::{OpenError, SledStore};
