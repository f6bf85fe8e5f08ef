//! Wallet attestations at the endpoints where clients authenticate themselves (attestation-based client authentication,
//! draft 07, as OpenID4VCI 1.0 appendix E and HAIP 1.0 section 4.4.1 use it).
//!
//! Challenges are made like nonces and cost no state. The `jti` of a proof is written down in the same commit as what the
//! request changes, and forgotten when the proof would be too old anyway.

use serde::{Deserialize, Serialize};

use super::dpop::UsedProof;
use super::records::ATTESTATION_PROOFS;
use super::{Caller, Issuer, catalogue, hashed};
use crate::attestation::wallet_attestation::{self, VerifiedWallet, WalletAttestationExpectation};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::store::Write;

const LABEL: &str = "carekey attestation_challenge v1";

/// Whether something is asked of a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// It is neither announced nor looked at.
    #[default]
    Off,
    /// It is judged where it comes; wallets may do without.
    Accepted,
    /// Without it, nothing is given.
    Required,
}

/// A wallet that its provider vouches for, and that proved to be the instance.
pub(super) struct AttestedClient {
    pub(super) client_id: String,
    /// Thumbprint of the instance's key.
    pub(super) instance: String,
    /// Uses the proof up.
    write: Write,
}

/// What a client of the authorization server proved.
#[derive(Default)]
pub(super) struct ClientProofs {
    pub(super) dpop: Option<UsedProof>,
    pub(super) attested: Option<AttestedClient>,
}

impl ClientProofs {
    /// Thumbprint of the key that tokens are to be bound to.
    pub(super) fn jkt(&self) -> Option<&str> {
        self.dpop.as_ref().map(|proof| proof.jkt.as_str())
    }

    /// Thumbprint of the key of the wallet's instance.
    pub(super) fn instance(&self) -> Option<&str> {
        self.attested.as_ref().map(|client| client.instance.as_str())
    }

    /// The client: the one that was attested, otherwise the one that the request names.
    pub(super) fn client_id<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        self.attested.as_ref().map(|client| client.client_id.as_str()).or(named)
    }

    /// Uses all of it up.
    pub(super) fn into_writes(self) -> impl Iterator<Item = Write> {
        self.dpop.map(|proof| proof.write).into_iter().chain(self.attested.map(|client| client.write))
    }
}

impl Issuer {
    /// Whether challenges are given out, and needed.
    pub(super) fn challenges(&self) -> Demand {
        match self.settings.wallet_attestation {
            Demand::Off => Demand::Off,
            Demand::Accepted | Demand::Required => self.settings.attestation_challenge,
        }
    }

    /// A fresh challenge for the proof beside a wallet attestation; `None` where none are looked at.
    pub fn attestation_challenge(&self) -> Option<String> {
        let lifetime = self.settings.dpop_max_age;
        (self.challenges() != Demand::Off).then(|| self.timed_nonce(LABEL, lifetime))
    }

    /// Verifies the caller's wallet attestation, which must be about `client_id` where the request names one.
    ///
    /// # Errors
    /// `invalid_client` (`client_attestation_missing`, `client_attestation_seen`, and the codes of
    /// [`wallet_attestation::verify`]); `use_attestation_challenge` (`client_attestation_challenge`);
    /// `use_fresh_attestation` (`token_expired`).
    pub(super) async fn attested_client(
        &self,
        caller: &Caller<'_>,
        client_id: Option<&str>,
    ) -> Result<Option<AttestedClient>, Refusal> {
        let invalid = ErrorCode::InvalidClient.refuse();
        let missing = |detail: &'static str| Error::malformed("client_attestation_missing", detail);
        let demand = self.settings.wallet_attestation;
        let (attestation, pop) = match (demand, caller.attestation, caller.attestation_pop) {
            (Demand::Off, ..) | (Demand::Accepted, None, None) => return Ok(None),
            (_, Some(attestation), Some(pop)) => (attestation, pop),
            (_, None, None) => {
                return Err(invalid(missing("this issuer serves wallets with a wallet attestation only")));
            }
            _ => return Err(invalid(missing("a wallet attestation and its proof come together"))),
        };
        let providers = self.wallet_providers();
        let expectation = WalletAttestationExpectation {
            providers: providers.providers(),
            algorithms: &catalogue::PROOF_ALGORITHMS,
            audience: &self.settings.identifier,
            client_id,
            max_age: self.settings.dpop_max_age,
            skew: self.settings.skew,
            now: self.now(),
        };
        let verified = wallet_attestation::verify(attestation, pop, &expectation, &self.limits);
        let verified = verified.map_err(|error| match error.code() {
            "token_expired" => ErrorCode::UseFreshAttestation.refuse()(error),
            _ => invalid(error),
        })?;
        let known = |challenge: &String| self.known_timed_nonce(LABEL, challenge).is_ok();
        let fresh = match (self.challenges(), &verified.challenge) {
            (Demand::Off, _) | (Demand::Accepted, None) => true,
            (Demand::Required, None) => false,
            (Demand::Accepted | Demand::Required, Some(challenge)) => known(challenge),
        };
        if !fresh {
            let detail = "the proof has no current challenge of this server";
            let error = Error::refused("client_attestation_challenge", detail);
            return Err(ErrorCode::UseAttestationChallenge.refuse()(error));
        }
        self.unused(verified).await.map(Some)
    }

    async fn unused(&self, verified: VerifiedWallet) -> Result<AttestedClient, Refusal> {
        let instance = Jwk::from_key(&verified.key).thumbprint();
        let key = hashed(&format!("{instance}\n{}", verified.jti));
        let seen = self.store.read(ATTESTATION_PROOFS, &key).await;
        if seen.map_err(ErrorCode::ServerError.refuse())?.is_some() {
            let error = Error::refused("client_attestation_seen", "this proof was used already");
            return Err(ErrorCode::InvalidClient.refuse()(error));
        }
        // From then on the proof is too old.
        let end = verified.proved_at.plus(self.settings.dpop_max_age.saturating_add(1));
        let write = Write::put(ATTESTATION_PROOFS, key, crate::store::Expect::Absent, Vec::new(), Some(end));
        Ok(AttestedClient { client_id: verified.client_id, instance, write })
    }
}
