//! X.509 certificates (RFC 5280) as far as signatures on credentials, request objects, metadata and attestation need
//! them: one way of judging a chain for all four.
//!
//! Paths are built here and not with a TLS library, because those ask for what TLS servers have: a `packed`
//! attestation certificate (WebAuthn section 8.2.1) has no subject alternative name, and extended key usages of every
//! kind occur. What is checked of a path, in the order of `x5c` (leaf first, each certified by the next, RFC 7515
//! section 4.1.6):
//!
//! * every signature: ECDSA on P-256, P-384 and P-521, Ed25519, RSA PKCS #1 v1.5 from 2048 bits, all with SHA-2;
//! * every validity period, at the `now` that the caller names;
//! * issuer and subject names of neighbours, byte for byte;
//! * version 3 of every certificate in the path, `basicConstraints` with its path length and `keyCertSign` of every CA;
//! * that the leaf's key usage, where stated, allows signing;
//! * that no critical extension goes unheeded, and no extension occurs twice.
//!
//! **Not** checked: revocation by CRL or OCSP; extended key usage; certificate policies. A CA with name constraints or
//! policy constraints is refused, since they are not evaluated. The anchor's own validity period does not matter, as in
//! RFC 5280 section 6.1.1.

mod certificate;
mod chain;
mod signature;

pub use self::certificate::{Certificate, Extension};
pub use self::chain::{AnchorIndex, TrustAnchor, UnverifiedChain, VerifiedChain};
