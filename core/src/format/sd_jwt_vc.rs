//! SD-JWT VC: credentials whose holder shows some claims and keeps the others.
//!
//! RFC 9901 (SD-JWT, SD-JWT+KB, compact serialization) and draft-ietf-oauth-sd-jwt-vc-19 on top of it. The verbs:
//! [`issue`], [`present`], [`verify`]; [`key_binding`] proves that the presenter holds the key in `cnf`; [`metadata`]
//! describes a type; [`jwt_vc_issuer`] publishes an issuer's keys.
//!
//! Not here: the JWS JSON serialization (optional in both), and `cnf` other than `jwk`.

pub mod disclosure;
pub mod issue;
pub mod jwt_vc_issuer;
pub mod key_binding;
pub mod metadata;
pub mod present;
mod process;
#[cfg(test)]
mod vectors;
pub mod verify;

/// `typ` of an issuer-signed JWT.
pub const TYP: &str = "dc+sd-jwt";
/// The `typ` until November 2024; still accepted when read, never written.
pub const LEGACY_TYP: &str = "vc+sd-jwt";
/// `typ` of a Key Binding JWT (RFC 9901 section 4.3).
pub const KEY_BINDING_TYP: &str = "kb+jwt";

/// Top-level claims that must never be selectively disclosable, their sub-claims included (draft-ietf-oauth-sd-jwt-vc,
/// "Registered JWT Claims").
pub const NEVER_SELECTIVE: [&str; 8] =
    ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"];
