//! Credentials with Data Integrity proofs by a fresh key under its own did:key, of every suite in the same way.

use carekey_core::UnixTime;
use carekey_core::did::{Did, DidUrl, key};
use carekey_core::error::Result;
use carekey_core::format::data_integrity::selective::DEFAULT_MANDATORY_POINTERS;
use carekey_core::format::data_integrity::{
    Contexts, Cryptosuite, Evidence, Expectation, Presentation, ProofOptions, ProofPurpose, VerifiedDocument,
    add_proof, bbs, derive, ecdsa_sd, verify_base_proofs, verify_proofs,
};
use carekey_core::key::bbs::SecretKey;
use carekey_core::key::{SignatureAlgorithm, Signer as _, SoftwareKey};
use carekey_core::random::{Random, SystemRandom};
use serde_json::Value;

/// When proofs are made: 2026-11-22T12:00:00Z.
pub const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);

enum Key {
    Signing(SoftwareKey),
    Bbs(SecretKey),
}

/// An issuer with one key and one suite.
pub struct Issuer {
    key: Key,
    options: ProofOptions,
    contexts: Contexts,
}

impl Issuer {
    /// A fresh key of `algorithm`, or of BBS if the suite is `bbs-2023`; proofs say that they were made at `created`.
    pub fn new(suite: Cryptosuite, algorithm: SignatureAlgorithm, created: UnixTime) -> Result<Self> {
        let (key, did) = if suite == Cryptosuite::Bbs2023 {
            let key = SecretKey::generate(&SystemRandom)?;
            let did = Did::parse(&format!("did:key:{}", key.public_key().to_multikey()))?;
            (Key::Bbs(key), did)
        } else {
            let key = SoftwareKey::generate(algorithm)?;
            let did = key::encode(key.public_key())?;
            (Key::Signing(key), did)
        };
        let method: DidUrl = did.with_fragment(did.method_specific_id())?;
        let options = ProofOptions::new(suite, method, ProofPurpose::AssertionMethod);
        Ok(Self {
            key,
            options: ProofOptions { created: Some(created), ..options },
            contexts: Contexts::bundled()?,
        })
    }

    /// The did:key.
    pub fn did(&self) -> &str {
        self.options.verification_method.did().as_str()
    }

    /// `credential` with this issuer and a proof; a base proof with suites that disclose selectively.
    pub fn issue(&self, credential: &Value) -> Result<Value> {
        let (mut document, pointers) = (credential.clone(), DEFAULT_MANDATORY_POINTERS);
        document["issuer"] = self.did().into();
        let (out, options, contexts) = (&mut document, &self.options, &self.contexts);
        match &self.key {
            Key::Bbs(key) => {
                let random: &dyn Random = &SystemRandom;
                bbs::add_base_proof(out, options, &pointers, key, &random.array(), contexts)?;
            }
            Key::Signing(key) if options.cryptosuite == Cryptosuite::EcdsaSd2023 => {
                let secrets = ecdsa_sd::BaseSecrets::generate(&SystemRandom)?;
                ecdsa_sd::add_base_proof(out, options, &pointers, key, &secrets, contexts)?;
            }
            Key::Signing(key) => add_proof(out, options, key, contexts)?,
        }
        Ok(document)
    }
}

/// What a holder shows.
pub fn present<S: AsRef<str>>(document: &Value, pointers: &[S]) -> Result<Value> {
    derive(document, pointers, &Presentation::new(&SystemRandom), &Contexts::bundled()?)
}

/// Verifies the proofs of a credential, base proofs if `base`; the keys are those of did:key.
pub fn verify(document: &Value, base: bool, now: UnixTime) -> Result<VerifiedDocument> {
    let mut evidence = Evidence::new();
    evidence.add_offline(document)?;
    let verify = if base { verify_base_proofs } else { verify_proofs };
    verify(document, &evidence, &Expectation::credential(now), &Contexts::bundled()?)
}
