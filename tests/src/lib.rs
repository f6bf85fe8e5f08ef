//! What the whole-system tests and benchmarks share.

pub mod handset;
pub mod phone;
pub mod securing;
#[cfg(feature = "oracles")]
pub mod ssi;
pub mod story;
pub mod world;
