//! Whom a party trusts from the start: issuers by credential type, for verifiers; verifiers, for wallets.

pub mod issuers;
pub mod verifiers;

pub use issuers::{IssuerRule, IssuerTrust, TrustedBy, TrustedIssuer};
pub use verifiers::VerifierTrust;
