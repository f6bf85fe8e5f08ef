//! `did:webvh` 1.0 (DIF): a DID whose document lies on the web together with its whole history, each version hashed
//! into the next, signed by keys that the version before authorized, and optionally approved by witnesses.
//!
//! Resolving is a pure function: whoever fetched `did.jsonl` (and `did-witness.json`, if [`uses_witnesses`] says so)
//! from the addresses that [`WebvhDid`] names passes the bytes to [`resolve`]. Publishing goes through [`OwnLog`].
//!
//! When a version changes who its witnesses are, the old ones still have to approve that version, as the text and its
//! editor say (didwebvh-ts issue 117). Of the published test suite's five logs of that kind, four lack such an approval;
//! they are refused here, and two of their authors publish that refusal themselves.
//!
//! Not here: fetching, watchers, and dereferencing paths (`/whois`); the implicit services for them are in the document.

mod identifier;
mod log;
mod parameters;
mod proof;
mod publish;
mod resolution;
mod witness;

pub use self::identifier::{Location, SCID_PLACEHOLDER, WebvhDid, WebvhUrl};
pub use self::log::{MAX_ENTRIES, MAX_LOG_BYTES, uses_witnesses};
pub use self::parameters::{METHOD, WitnessRule, next_key_hash};
pub use self::publish::{Change, OwnLog, parallel_did_web};
pub use self::resolution::{Resolution, VersionSelector, resolve};
pub use self::witness::{approve, witness_file};
