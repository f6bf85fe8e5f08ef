//! Collecting credentials (OpenID4VCI 1.0), in two phases around one WebAuthn ceremony.
//!
//! ```text
//!  review(link)                 who offers what, in plain data; nothing was accepted yet
//!  prepare(review, tx_code)     access token, holder keys, options of the one WebAuthn registration
//!  finish(prepared, response)   key proofs, credentials, each verified before it is handed out
//!  notify(finished, event)      what became of them, once the wallet has stored them
//!  abandon(prepared)            instead of finish: forgets the keys that were made
//!
//!  authorize(review, redirect)  instead of prepare, where the offer wants a sign-in: an address for the browser
//!  prepare_authorized(…, url)   what the browser came back with, then as prepare
//!  resume(pending)              asks again for what the issuer deferred
//!  renew(renewal, copies)       fresh copies later, then as prepare
//! ```
//!
//! However many credentials an offer has, the person is asked once: the first credential request carries the
//! registration of the WebAuthn key (AK), further ones name it by `ak_jkt`, each signed by a holder key (HK) of its own.

mod attest;
mod authorize;
mod encryption;
mod exchange;
mod finish;
mod prepare;
mod renew;
mod review;
mod session;
mod tokens;
mod verify;

use std::fmt;

use crate::clock::Clock;
use crate::did::resolver::DidResolver;
use crate::holder::{HolderKeys, HttpClient, WalletIdentity};
use crate::random::Random;
use crate::trust::issuers::IssuerTrust;

pub use attest::{IssuancePolicy, KeyAttestationRequest, KeyAttester, SignedMetadata, WalletAttester};
pub use authorize::{Authorization, authorize, prepare_authorized};
pub(in crate::holder) use finish::notify_keeping;
pub use finish::{FinishedIssuance, Pending, abandon, finish, finish_copies, notify};
pub use prepare::{Acceptance, PreparedIssuance, prepare};
pub use renew::{Renewal, Resumed, renew, resume};
pub use review::{OfferReview, OfferedCredential, review, review_issuer};
pub(in crate::holder) use verify::credential_key;

/// What the engine needs from its surroundings.
#[derive(Clone, Copy)]
pub struct IssuanceContext<'a> {
    /// The way to the issuer; it decides which addresses and schemes may be reached.
    pub http: &'a dyn HttpClient,
    /// For issuers with a DID.
    pub dids: &'a dyn DidResolver,
    /// The holder keys.
    pub keys: &'a dyn HolderKeys,
    /// Which issuers the wallet knows; others are collected from too, and marked as unknown.
    pub trust: &'a IssuerTrust,
    /// Who this wallet is.
    pub wallet: &'a WalletIdentity,
    /// The person's language, a BCP 47 tag.
    pub locale: &'a str,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Identifiers.
    pub random: &'a dyn Random,
    /// What is optional: attestations, encryption, signed metadata.
    pub policy: IssuancePolicy<'a>,
}

impl fmt::Debug for IssuanceContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuanceContext").field("wallet", &self.wallet.client_id).finish_non_exhaustive()
    }
}
