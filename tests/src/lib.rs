//! What the whole-system tests and benchmarks share.

#[cfg(feature = "oracles")]
pub mod ssi;
pub mod story;
pub mod world;
