//! The verifier: makes requests, and judges what is presented.
//!
//! Three steps (the manual's words): [`UnverifiedPresentation::parse`] reads a response; the service gathers issuer keys
//! and status lists into [`Evidence`]; [`verify`] judges, as a pure function: the same answer for the same input for ever.

pub mod evidence;
pub mod outcome;
pub mod request;
mod verify;

pub use evidence::{Evidence, SourceEvidence, StatusEvidence, UnverifiedPresentation};
pub use outcome::{Check, Refusal, RefusalCode, StepUpOutcome, VerifiedCredential, VerifiedPresentation};
pub use request::{NewRequest, PresentationRequest, StepUpCarrier, StepUpDemand};
pub use verify::{Policy, verify};
