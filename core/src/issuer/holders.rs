//! The holder keys of a credential request: proven by themselves, attested by a wallet provider, or both (OpenID4VCI 1.0
//! appendices D and F).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::records::{Copy, GrantRecord};
use super::{Configuration, Issuer, catalogue};
use crate::attestation::key_attestation::{
    self, KeyAttestationExpectation, KeyAttestationsRequired, VerifiedKeyAttestation,
};
use crate::attestation::level::{AssuranceLevel, KeyProtection};
use crate::did;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::key::PublicKey;
use crate::protocol::openid4vci::credential::{CredentialRequest, Proofs};
use crate::protocol::openid4vci::key_proof::{self, KeyProofExpectation, VerifiedKeyProof};

/// What a wallet provider says about a holder key, in the words of the ladder. It is the provider's word, and never
/// stands for a WebAuthn key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedKey {
    /// The provider, as the operator calls it.
    pub provider: String,
    /// Where the key lies.
    pub key_protection: KeyProtection,
    /// What its use asks of the person.
    pub level: AssuranceLevel,
}

impl AttestedKey {
    fn of(attestation: &VerifiedKeyAttestation) -> Self {
        Self {
            provider: attestation.provider.clone(),
            key_protection: attestation.protection(),
            level: attestation.level(),
        }
    }
}

/// The keys of a request.
pub(super) struct Holders {
    /// Keys that signed a proof, in the order of the proofs.
    pub(super) proofs: Vec<VerifiedKeyProof>,
    /// Further keys that are attested only.
    attested: Vec<PublicKey>,
    /// Every nonce of proofs and attestations.
    pub(super) nonces: Vec<String>,
    attestations: Vec<VerifiedKeyAttestation>,
}

impl Holders {
    /// What is attested of `key`.
    pub(super) fn attestation(&self, key: &PublicKey) -> Option<AttestedKey> {
        self.attestations.iter().find(|one| one.keys.contains(key)).map(AttestedKey::of)
    }

    /// The credentials for keys that are attested only: no holder key vouched for a WebAuthn key with them.
    pub(super) fn attested_copies(&self) -> Result<Vec<Copy>> {
        let copy = |key: &PublicKey| {
            Ok(Copy {
                holder: Jwk::from_key(key),
                did: did::jwk::encode(key)?.to_string(),
                key: None,
                enrolment: None,
                attested: self.attestation(key),
            })
        };
        self.attested.iter().map(copy).collect()
    }

    fn has(&self, key: &PublicKey) -> bool {
        self.attested.contains(key) || self.proofs.iter().any(|proof| proof.key() == key)
    }

    /// Takes further keys of its attestations, until there are `most`.
    fn extend(&mut self, most: usize) {
        let keys: Vec<PublicKey> = self.attestations.iter().flat_map(|one| one.keys.clone()).collect();
        for key in keys {
            let room = self.proofs.len().saturating_add(self.attested.len()) < most;
            if room && catalogue::PROOF_ALGORITHMS.contains(&key.algorithm()) && !self.has(&key) {
                self.attested.push(key);
            }
        }
    }
}

impl Issuer {
    /// The keys that credentials are to be bound to, at most as many as a batch has. Each proof is for a key of its own;
    /// a key attestation brings every key in it.
    ///
    /// # Errors
    /// `proof_count`, `proof_key_repeated`, `proof_type`, `key_attestation_missing`, `key_attestation_nonce`,
    /// `key_attestation_keys`, and the codes of [`key_proof::verify`] and [`key_attestation::verify`].
    pub(super) fn holders(
        &self,
        grant: &GrantRecord,
        configuration: Configuration,
        request: &CredentialRequest,
    ) -> Result<Holders> {
        let most = usize::try_from(self.settings.batch_size).unwrap_or(1);
        let required = self.required_attestation(configuration);
        let mut holders = Holders {
            proofs: Vec::new(),
            attested: Vec::new(),
            nonces: Vec::new(),
            attestations: Vec::new(),
        };
        match &request.proofs {
            Proofs::Jwt(proofs) => {
                holders.proofs = self.key_proofs(grant, proofs, most)?;
                self.judge_attestations(&mut holders, required)?;
                holders.nonces.extend(holders.proofs.iter().map(|proof| proof.nonce().to_owned()));
                // Where a WebAuthn key is needed, a holder key has to vouch for it by a proof of its own.
                if self.required_level(configuration) == AssuranceLevel::None {
                    holders.extend(most);
                }
            }
            Proofs::Attestation(_) if self.wallet_providers().is_empty() => {
                let detail = "key attestations are not taken here, as the metadata says";
                return Err(Error::unsupported("proof_type", detail));
            }
            Proofs::Attestation(compact) => {
                let attestation = self.key_attestation(compact, false)?;
                if let Some(required) = required {
                    attestation.check_required(required)?;
                }
                holders.nonces.push(attestation_nonce(&attestation)?);
                holders.attestations.push(attestation);
                holders.extend(most);
                if holders.attested.is_empty() {
                    let detail = "no attested key is one that credentials are bound to here";
                    return Err(Error::unsupported("key_attestation_keys", detail));
                }
            }
        }
        Ok(holders)
    }

    fn key_proofs(&self, grant: &GrantRecord, all: &[String], most: usize) -> Result<Vec<VerifiedKeyProof>> {
        if all.len() > most {
            return Err(Error::unsupported("proof_count", "more key proofs than batch_size of the metadata"));
        }
        let expectation = KeyProofExpectation {
            audience: &self.settings.identifier,
            client_id: grant.client_id.as_deref(),
            algorithms: &catalogue::PROOF_ALGORITHMS,
            max_age: self.settings.proof_max_age,
            skew: self.settings.skew,
            now: self.now(),
        };
        let mut proofs: Vec<VerifiedKeyProof> = Vec::new();
        for compact in all {
            let proof = key_proof::verify(compact, &expectation, &self.limits)?;
            if proofs.iter().any(|earlier| earlier.key() == proof.key()) {
                return Err(Error::malformed("proof_key_repeated", "two key proofs are for the same key"));
            }
            proofs.push(proof);
        }
        Ok(proofs)
    }

    /// The attestations in the headers of proofs. What nobody asked for and no known provider signed counts as absent.
    fn judge_attestations(
        &self,
        holders: &mut Holders,
        required: Option<&KeyAttestationsRequired>,
    ) -> Result<()> {
        // Proofs of one batch carry the same attestation: it is read once.
        let mut read: BTreeMap<&str, Option<VerifiedKeyAttestation>> = BTreeMap::new();
        for proof in &holders.proofs {
            let Some(compact) = proof.key_attestation() else {
                if required.is_none() {
                    continue;
                }
                let detail = "this credential is for keys with a key attestation";
                return Err(Error::malformed("key_attestation_missing", detail));
            };
            if !read.contains_key(compact) {
                let verified = match self.key_attestation(compact, true) {
                    Ok(attestation) => Some(attestation),
                    Err(error) if required.is_none() && error.code() == "wallet_provider_unknown" => None,
                    Err(error) => return Err(error),
                };
                read.insert(compact, verified);
            }
            let Some(Some(attestation)) = read.get(compact) else { continue };
            attestation.check_key(proof.key())?;
            if let Some(required) = required {
                attestation.check_required(required)?;
            }
        }
        let attestations: Vec<_> = read.into_values().flatten().collect();
        for attestation in &attestations {
            holders.nonces.push(attestation_nonce(attestation)?);
        }
        holders.attestations = attestations;
        Ok(())
    }

    fn key_attestation(&self, compact: &str, beside_proof: bool) -> Result<VerifiedKeyAttestation> {
        let providers = self.wallet_providers();
        let expectation = KeyAttestationExpectation {
            providers: providers.providers(),
            algorithms: &catalogue::PROOF_ALGORITHMS,
            expiry_required: beside_proof,
            // It cannot be older than its nonce.
            max_age: self.settings.nonce_lifetime.saturating_add(self.settings.skew),
            skew: self.settings.skew,
            now: self.now(),
        };
        key_attestation::verify(compact, &expectation, &self.limits)
    }
}

fn attestation_nonce(attestation: &VerifiedKeyAttestation) -> Result<String> {
    attestation.nonce.clone().filter(|nonce| !nonce.is_empty()).ok_or_else(|| {
        Error::malformed("key_attestation_nonce", "the key attestation has no nonce of this issuer")
    })
}
