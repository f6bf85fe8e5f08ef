//! Attestation: what evidence about an authenticator is worth.

pub mod level;
