//! The biometric binding: a second, WebAuthn key (AK) beside the holder key (HK), bound to it by the issuer.
//!
//! At enrolment the challenge of the WebAuthn registration is a hash of the [`statement::EnrolmentStatement`], which names
//! HK; HK's key proof names AK (`ak_jkt`). The issuer grades the authenticator and signs a [`claim::WebauthnBinding`]
//! into the credential. At a presentation the challenge of the assertion is a hash of the
//! [`statement::PresentationStatement`]; the assertion travels inside the key-binding JWT that HK signs. A verifier that
//! asked for step-up checks both with [`verify::verify_step_up`], offline.
//!
//! The names of the claims, the transaction data type and the domain separation string are this project's own.

pub mod claim;
pub mod enrolment;
pub mod report;
pub mod statement;
pub mod transaction;
pub mod verify;
