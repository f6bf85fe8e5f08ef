//! W3C credentials (VCDM 2.0) as OpenID4VCI and OpenID4VP carry them: `ldp_vc`, secured by a Data Integrity proof, and
//! `jwt_vc_json`, secured as `vc+jwt` of VC-JOSE-COSE.
//!
//! What [`data_integrity`](super::data_integrity) and [`vc_jose`](super::vc_jose) leave to their callers is decided here:
//! one proof, by the issuer; contexts that are known and stand at the top only, so that JSON means what was signed; one
//! subject, whose `id` is a `did:jwk` or `did:key` of the holder; a presentation of exactly one credential, signed by
//! that holder's key for one verifier and nonce.

pub mod binding;
pub mod credential;
pub mod issue;
pub mod present;
pub mod presentation;

pub use credential::{UnverifiedW3cVc, VerifiedW3cVc};
pub use presentation::{UnverifiedW3cVp, VerifiedW3cVp};

/// Where CareKey's own types and terms are: `urn:carekey:health:1#PatientIdentity`.
pub const VOCABULARY: &str = "urn:carekey:health:1#";

/// Terms whose values are JSON literals: they are signed, and disclosed, as one piece.
const JSON_TERMS: [&str; 2] = ["identifiers", "identifier"];
