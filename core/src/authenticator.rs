//! The authenticator embedded in a wallet: it makes registrations and assertions in their WebAuthn form over a key that
//! lives elsewhere (WebAuthn Level 3 §5.8.1, §6.1, §6.5).
//!
//! [`ceremony`] runs both ceremonies over a key of the platform, with its evidence; [`embedded`] builds the bytes;
//! [`software`] is a whole authenticator with keys in memory
//! for demonstrations without hardware and for tests, which can make it misbehave.
//!
//! An embedded authenticator asserts origin and RP ID itself: the trust in them rests on the attestation of app and key.

pub mod ceremony;
pub mod embedded;
pub mod software;

pub use embedded::{AttestationSource, AuthenticatorKey};
pub use software::{Behaviour, SoftwareAuthenticator};
