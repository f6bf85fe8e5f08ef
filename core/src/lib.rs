//! CareKey core: every rule of the field, without network or disk; time and randomness come in through traits.
//!
//! Three roles, three modules of the same name: [`issuer`] signs credentials, [`holder`] keeps and presents them under
//! keys that need the person's own user verification, [`verifier`] judges what was presented.
//!
//! ```text
//! issuer  ──issues──▶  holder  ──presents──▶  verifier
//!    └────────┬──────────┴─────────┬─────────────┘
//!   format, binding, status     protocol
//!             └──────────┬─────────┘
//!   credential, did, webauthn, jose, key
//! ```
//!
//! Data flows in three steps everywhere: **parse** (bytes to `Unverified…`, limits apply), **gather** (the service
//! fetches issuer keys, status lists and trust anchors) and **judge** (a pure function that returns `Verified…`).
//!
//! | looking for | begin at |
//! | --- | --- |
//! | the key that only the patient's finger can use | [`binding`], [`webauthn`], [`attestation`], [`authenticator`] |
//! | SD-JWT VC | [`format::sd_jwt_vc`] |
//! | W3C credentials | [`credential::data_model`], [`format::data_integrity`], [`format::vc_jose`] |
//! | revocation | [`status`] |
//! | DIDs and certificates | [`did`], [`x509`], [`trust`] |
//! | OpenID4VCI and OpenID4VP messages | [`protocol`] |
//! | FHIR | [`health`] |
//! | records at rest | [`store`], [`vault`] |
//! | threats, defaults, how-tos, decisions, error codes | [`manual`] |

pub mod attestation;
pub mod authenticator;
pub mod binding;
pub mod clock;
pub mod credential;
pub mod did;
pub mod encoding;
pub mod error;
pub mod format;
pub mod health;
pub mod holder;
pub mod issuer;
pub mod jose;
pub mod key;
pub mod limits;
pub mod manual;
pub mod protocol;
pub mod random;
pub mod secret;
pub mod status;
pub mod store;
pub mod trust;
pub mod vault;
pub mod verifier;
pub mod webauthn;
pub mod x509;

pub use clock::{Clock, UnixTime};
pub use error::{Error, Result};
