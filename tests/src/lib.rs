//! What the whole-system tests and benchmarks share.

pub mod story;
pub mod world;
