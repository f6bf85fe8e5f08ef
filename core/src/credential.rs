//! What every credential format shares: how a claim is addressed, when a credential counts, and whose key signed it.

pub mod claims;
pub mod data_model;
pub mod format;
pub mod issuer_key;
pub mod validity;

pub use format::CredentialFormat;
