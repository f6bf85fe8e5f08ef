//! Presenting (OpenID4VP 1.0): request → review → choice → one user verification → answer.
//!
//! [`review`] fetches and authenticates the request and says in plain data who asks, what for, and exactly which claims
//! each fitting credential would disclose. [`prepare`] takes the person's choice and returns the options of the one
//! WebAuthn ceremony, however many credentials leave. [`finish`] checks the authenticator's answer, signs and sends.
//! [`decline`] tells the verifier that the person said no. A request that came over the Digital Credentials API begins with
//! [`review_digital`], and its answer goes back to the platform ([`Delivery::platform`]).
//!
//! The ceremony is made for every presentation. Where the verifier asked for a step-up, the assertion's challenge commits
//! to the presentation and the assertion travels in the key-binding JWT or W3C presentation; otherwise it stays in the wallet.

mod answer;
mod choice;
mod open;
mod prepare;
mod registered;
mod review;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::did::DidResolver;
use crate::error::{Error, Result};
use crate::format::any::UnverifiedCredential;
use crate::holder::{HolderKeys, HttpClient, StoredCredential};
use crate::limits::Limits;
use crate::protocol::openid4vp::transaction_types::TransactionTypes;
use crate::random::Random;
use crate::trust::{KnownAuthorities, VerifierTrust};

pub use answer::{Delivery, decline, finish, finish_by_holder_keys};
pub use choice::{Choice, Selection};
pub use prepare::{PreparedPresentation, prepare};
pub use registered::{RegistrationReview, RegistrationState};
pub use review::{Candidate, ClaimReview, PresentationReview, QueryReview, review, review_digital};

/// What the wallet knows beside its credentials. The default: only the biometric step-up, and no authorities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PresentationRules {
    /// Transaction data types that the wallet can show.
    pub transaction_types: TransactionTypes,
    /// Copies of trusted lists and federations, for queries that name one.
    pub authorities: KnownAuthorities,
}

impl PresentationRules {
    /// Only the biometric step-up, and no authorities.
    pub fn none() -> &'static Self {
        static NONE: PresentationRules = PresentationRules {
            transaction_types: TransactionTypes::NONE,
            authorities: KnownAuthorities::NONE,
        };
        &NONE
    }
}

/// What the engine needs from the wallet around it.
#[derive(Clone, Copy)]
pub struct PresentationContext<'a> {
    /// The way to the verifier.
    pub http: &'a dyn HttpClient,
    /// For verifiers with a DID.
    pub dids: &'a dyn DidResolver,
    /// The holder keys.
    pub keys: &'a dyn HolderKeys,
    /// Which verifiers the wallet knows.
    pub trust: &'a VerifierTrust,
    /// What else the wallet knows.
    pub rules: &'a PresentationRules,
    /// The wallet's own RP ID.
    pub rp_id: &'a str,
    /// The origin of the wallet's page or app, as its authenticator states it.
    pub origin: &'a str,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Nonces and identifiers.
    pub random: &'a dyn Random,
}

impl fmt::Debug for PresentationContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentationContext").field("rp_id", &self.rp_id).finish_non_exhaustive()
    }
}

/// Which credential answers which query; part of the states between the phases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Answering {
    query_id: String,
    credential_id: String,
    paths: Vec<crate::credential::claims::ClaimPath>,
    /// The transaction data that it approves, as sent.
    #[serde(default)]
    transaction_data: Vec<String>,
}

/// The credential with that id. Error: `credential_unknown`.
fn stored<'a>(credentials: &'a [StoredCredential], id: &str) -> Result<&'a StoredCredential> {
    let found = credentials.iter().find(|credential| credential.id == id);
    found.ok_or_else(|| Error::misuse("credential_unknown", "the wallet holds no credential of that id"))
}

fn read(credential: &StoredCredential) -> Result<UnverifiedCredential> {
    UnverifiedCredential::parse(credential.format, &credential.credential, &Limits::DEFAULT)
}
