//! The design of CareKey, as pages to read.

#[doc = include_str!("manual/threats.md")]
pub mod threats {}

#[doc = include_str!("manual/defaults.md")]
pub mod defaults {}

#[doc = include_str!("manual/trust.md")]
pub mod trust {}

#[doc = include_str!("manual/howto.md")]
pub mod howto {}

#[doc = include_str!("manual/presentation.md")]
pub mod presentation {}

#[doc = include_str!("manual/openid4vp_requirements.md")]
pub mod openid4vp_requirements {}

#[doc = include_str!("manual/tampering.md")]
pub mod tampering {}

#[doc = include_str!("manual/interop.md")]
pub mod interop {}

#[doc = include_str!("manual/conformance.md")]
pub mod conformance {}

#[doc = include_str!("manual/vault.md")]
pub mod vault {}

#[doc = include_str!("manual/attestation.md")]
pub mod attestation {}

#[doc = include_str!("manual/decisions.md")]
pub mod decisions {}

#[doc = include_str!("manual/w3c.md")]
pub mod w3c {}

#[doc = include_str!("manual/openid4vci_requirements.md")]
pub mod openid4vci_requirements {}

#[doc = include_str!("manual/errors.md")]
pub mod errors {}

#[doc = include_str!("manual/phones.md")]
pub mod phones {}
