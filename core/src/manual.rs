//! The design of CareKey, as pages to read.

#[doc = include_str!("manual/errors.md")]
pub mod errors {}
