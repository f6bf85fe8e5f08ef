//! Verifying proofs, proof sets and proof chains (Data Integrity 1.0 sections 4.4 and 4.5).

use serde_json::Value;

use super::contexts::Contexts;
use super::cryptosuite::Cryptosuite;
use super::issue::{matching, with_proofs};
use super::proof::{ProofPurpose, UnverifiedProof, proof_values};
use super::{bbs, ecdsa_sd};
use crate::clock::UnixTime;
use crate::did::resolver::resolve_offline;
use crate::did::{DidDocument, DidUrl};
use crate::error::{Error, Result};
use crate::key::PublicKey;

/// The keys that a verifier gathered, each with the purpose that its controller's document gives it.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    keys: Vec<(DidUrl, ProofPurpose, Result<PublicKey>)>,
    bbs_keys: Vec<(DidUrl, ProofPurpose, crate::key::bbs::PublicKey)>,
}

impl Evidence {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the keys of a controller's document, parsed once here and used often.
    pub fn add(&mut self, document: &DidDocument) {
        for method in &document.verification_methods {
            for purpose in [ProofPurpose::AssertionMethod, ProofPurpose::Authentication] {
                let key = document.verification_key(&method.id, purpose.relationship());
                if let Ok(key) = document.bbs_key(&method.id, purpose.relationship()) {
                    self.bbs_keys.push((method.id.clone(), purpose, key));
                }
                self.keys.push((method.id.clone(), purpose, key));
            }
        }
    }

    /// Adds one key that was gathered and judged by itself: only for this purpose.
    pub fn add_key(&mut self, method: DidUrl, purpose: ProofPurpose, key: PublicKey) {
        self.keys.push((method, purpose, Ok(key)));
    }

    /// Adds the documents of `did:key` and `did:jwk` that the proofs of `document` name; others are left to the caller.
    ///
    /// Errors of [`verification_methods`], and of a DID of these methods that names no key.
    pub fn add_offline(&mut self, document: &Value) -> Result<()> {
        for method in verification_methods(document)? {
            if matches!(method.did().method(), "key" | "jwk") && !self.knows(&method) {
                self.add(&resolve_offline(method.did())?);
            }
        }
        Ok(())
    }

    /// [`Error::Untrusted`] `proof_key_type` when the key is of another type; errors of [`Self::key`].
    fn bbs_key(&self, method: &DidUrl, purpose: ProofPurpose) -> Result<&crate::key::bbs::PublicKey> {
        let key = self.bbs_keys.iter().find(|(id, for_, _)| id == method && *for_ == purpose);
        if let Some((_, _, key)) = key {
            return Ok(key);
        }
        match self.key(method, purpose) {
            Err(error) if error.code() != "multikey" => Err(error),
            _ => Err(Error::untrusted("proof_key_type", "the proof's key is not one of BBS")),
        }
    }

    fn knows(&self, method: &DidUrl) -> bool {
        self.keys.iter().any(|(id, _, _)| id.did() == method.did())
    }

    /// [`Error::Untrusted`] `proof_method_unknown` when nobody gathered the key; errors of
    /// [`DidDocument::verification_key`].
    fn key(&self, method: &DidUrl, purpose: ProofPurpose) -> Result<PublicKey> {
        let key = self.keys.iter().find(|(id, for_, _)| id == method && *for_ == purpose);
        match key {
            Some((_, _, key)) => key.clone(),
            None => {
                Err(Error::untrusted("proof_method_unknown", "no controller's document has the proof's key"))
            }
        }
    }
}

/// The names of the keys that a verifier must gather for the proofs of `document`; errors of [`UnverifiedProof::of`].
pub fn verification_methods(document: &Value) -> Result<Vec<DidUrl>> {
    Ok(UnverifiedProof::of(document)?.into_iter().map(|proof| proof.verification_method).collect())
}

/// Who must control the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControllerPolicy {
    /// At least one proof by the party that the document names: a credential's `issuer`, a presentation's `holder` if it
    /// names one.
    Named,
    /// Anybody: only with other means of knowing whose key it is.
    Any,
}

/// What the proofs must say.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// What they are for.
    pub purpose: ProofPurpose,
    /// For whom; `None` takes every domain.
    pub domain: Option<&'a str>,
    /// The challenge that was given; `None` takes every challenge.
    pub challenge: Option<&'a str>,
    /// Who must control the keys.
    pub controller: ControllerPolicy,
    /// The time of the check.
    pub now: UnixTime,
    /// Seconds by which clocks may differ.
    pub skew: i64,
}

impl Expectation<'_> {
    /// Proofs of a credential by its issuer.
    pub const fn credential(now: UnixTime) -> Self {
        Self {
            purpose: ProofPurpose::AssertionMethod,
            domain: None,
            challenge: None,
            controller: ControllerPolicy::Named,
            now,
            skew: 60,
        }
    }
}

impl<'a> Expectation<'a> {
    /// Proofs of a presentation, made for `domain` over `challenge`.
    pub const fn presentation(now: UnixTime, domain: &'a str, challenge: &'a str) -> Self {
        Self {
            purpose: ProofPurpose::Authentication,
            domain: Some(domain),
            challenge: Some(challenge),
            controller: ControllerPolicy::Named,
            now,
            skew: 60,
        }
    }
}

impl Expectation<'_> {
    /// What the proofs of `document` say about themselves, and by whom they are, against what is expected; nothing is
    /// verified.
    ///
    /// [`Error::Untrusted`] `proof_purpose_mismatch`, `proof_domain`, `proof_challenge`, `proof_controller`;
    /// [`Error::NotCurrent`] `proof_expired`, `proof_created_in_future`.
    pub fn check(&self, document: &Value, proofs: &[UnverifiedProof]) -> Result<()> {
        for proof in proofs {
            check(proof, self)?;
        }
        check_controller(document, proofs, self)
    }
}

/// A document whose proofs all hold.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedDocument {
    document: Value,
    proofs: Vec<UnverifiedProof>,
}

impl VerifiedDocument {
    /// The document without its proofs.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The proofs, each verified.
    pub fn proofs(&self) -> &[UnverifiedProof] {
        &self.proofs
    }
}

/// Verifies every proof of `document`; one that does not hold fails them all.
///
/// [`Error::Untrusted`]: `proof_signature`, `proof_purpose_mismatch`, `proof_domain`, `proof_challenge`,
/// `proof_controller`, `proof_context`, `proof_previous_missing`, `proof_method_unknown`, `proof_key_type`,
/// `did_method_…`, `proof_base` (a base proof, which only [`verify_base_proofs`] takes); [`Error::Unsupported`]
/// `proof_previous_selective`; [`Error::Malformed`] `sd_labels`, `sd_indexes`; [`Error::NotCurrent`]: `proof_expired`, `proof_created_in_future`; errors of [`UnverifiedProof::of`]
/// and [`Cryptosuite::hash_data`].
pub fn verify_proofs(
    document: &Value,
    evidence: &Evidence,
    expected: &Expectation<'_>,
    contexts: &Contexts,
) -> Result<VerifiedDocument> {
    verify_all(document, evidence, expected, contexts, false)
}

/// [`verify_proofs`] for a holder who received base proofs of suites with selective disclosure; derived ones are refused
/// with [`Error::Malformed`] `proof_base_missing`.
pub fn verify_base_proofs(
    document: &Value,
    evidence: &Evidence,
    expected: &Expectation<'_>,
    contexts: &Contexts,
) -> Result<VerifiedDocument> {
    verify_all(document, evidence, expected, contexts, true)
}

fn verify_all(
    document: &Value,
    evidence: &Evidence,
    expected: &Expectation<'_>,
    contexts: &Contexts,
    base: bool,
) -> Result<VerifiedDocument> {
    let proofs = UnverifiedProof::of(document)?;
    expected.check(document, &proofs)?;
    let values = proof_values(document)?;
    let unsecured = with_proofs(document, Vec::new());
    let mut verified = unsecured.clone();
    for proof in &proofs {
        if proof.cryptosuite.is_selective() {
            verify_selective(proof, &unsecured, evidence, contexts, base)?;
            continue;
        }
        let key = evidence.key(&proof.verification_method, expected.purpose)?;
        let chained = match proof.previous_proof.as_slice() {
            [] => None,
            names => {
                let previous = matching(values, names).ok_or_else(|| {
                    Error::untrusted("proof_previous_missing", "a proof that another depends on is missing")
                })?;
                Some(with_proofs(document, previous))
            }
        };
        let signed = chained.as_ref().unwrap_or(&unsecured);
        if let Some(context) = verify_signature(proof, signed, &key, contexts)? {
            keep_signed_contexts(&mut verified, context);
        }
    }
    Ok(VerifiedDocument { document: verified, proofs })
}

/// What a proof says about itself, against what is expected (section 4.4, steps 6 to 9).
fn check(proof: &UnverifiedProof, expected: &Expectation<'_>) -> Result<()> {
    if proof.purpose != expected.purpose {
        return Err(Error::untrusted("proof_purpose_mismatch", "the proof was made for another purpose"));
    }
    if let Some(expires) = proof.expires.filter(|expires| expected.now.since(*expires) >= expected.skew) {
        return Err(Error::not_current("proof_expired", "the proof has expired", expected.now, expires));
    }
    if let Some(created) = proof.created.filter(|created| created.since(expected.now) > expected.skew) {
        let detail = "the proof says that it was made in the future";
        return Err(Error::not_current("proof_created_in_future", detail, expected.now, created));
    }
    if expected
        .domain
        .is_some_and(|domain| !proof.domain.iter().all(|own| own == domain) || proof.domain.is_empty())
    {
        return Err(Error::untrusted("proof_domain", "the proof was made for another domain"));
    }
    if expected.challenge.is_some_and(|challenge| proof.challenge.as_deref() != Some(challenge)) {
        return Err(Error::untrusted("proof_challenge", "the proof was made over another challenge"));
    }
    Ok(())
}

fn check_controller(document: &Value, proofs: &[UnverifiedProof], expected: &Expectation<'_>) -> Result<()> {
    if expected.controller == ControllerPolicy::Any {
        return Ok(());
    }
    let name = match expected.purpose {
        ProofPurpose::AssertionMethod => "issuer",
        ProofPurpose::Authentication => "holder",
    };
    let party = document.get(name);
    if party.is_none() && expected.purpose == ProofPurpose::Authentication {
        return Ok(());
    }
    let id = party.and_then(|party| party.as_str().or_else(|| party.get("id")?.as_str()));
    if proofs.iter().any(|proof| Some(proof.verification_method.did().as_str()) == id) {
        return Ok(());
    }
    Err(Error::untrusted("proof_controller", "no proof is by the issuer or holder that the document names"))
}

/// Verifies one proof of a suite with selective disclosure.
fn verify_selective(
    proof: &UnverifiedProof,
    unsecured: &Value,
    evidence: &Evidence,
    contexts: &Contexts,
    base: bool,
) -> Result<()> {
    if !proof.previous_proof.is_empty() {
        let detail = "proofs with selective disclosure cannot depend on others";
        return Err(Error::unsupported("proof_previous_selective", detail));
    }
    signed_context(proof.cryptosuite, proof, unsecured)?;
    let (method, config) = (&proof.verification_method, &proof.config);
    if proof.cryptosuite == Cryptosuite::Bbs2023 {
        let key = evidence.bbs_key(method, proof.purpose)?;
        return match (bbs::ProofValue::parse(&proof.signature)?, base) {
            (bbs::ProofValue::Derived(value), false) => {
                bbs::verify_derived(&value, config, unsecured, key, contexts)
            }
            (bbs::ProofValue::Base(value), true) => {
                bbs::verify_base(&value, config, unsecured, key, contexts)
            }
            (_, base) => Err(wrong_form(base)),
        };
    }
    let key = evidence.key(method, proof.purpose)?;
    proof.cryptosuite.hash_algorithm(&key)?;
    match (ecdsa_sd::ProofValue::parse(&proof.signature)?, base) {
        (ecdsa_sd::ProofValue::Derived(value), false) => {
            ecdsa_sd::verify_derived(&value, config, unsecured, &key, contexts)
        }
        (ecdsa_sd::ProofValue::Base(value), true) => {
            ecdsa_sd::verify_base(&value, config, unsecured, &key, contexts)
        }
        (_, base) => Err(wrong_form(base)),
    }
}

/// A derived proof where a base proof was wanted, or the other way about.
fn wrong_form(base: bool) -> Error {
    if base {
        Error::malformed("proof_base_missing", "the proof is derived already")
    } else {
        let detail = "a base proof is for its holder, who derives proofs for verifiers from it";
        Error::untrusted("proof_base", detail)
    }
}

/// Verifies one signature; what comes back are the contexts that were signed when the document has more.
fn verify_signature(
    proof: &UnverifiedProof,
    unsecured: &Value,
    key: &PublicKey,
    contexts: &Contexts,
) -> Result<Option<Value>> {
    let suite = proof.cryptosuite;
    let hash = suite.hash_algorithm(key)?;
    let fewer = signed_context(suite, proof, unsecured)?;
    let data = match &fewer {
        None => suite.hash_data(hash, unsecured, &proof.config, contexts)?,
        Some(context) => {
            let mut replaced = unsecured.clone();
            if let Some(members) = replaced.as_object_mut() {
                members.insert("@context".into(), context.clone());
            }
            suite.hash_data(hash, &replaced, &proof.config, contexts)?
        }
    };
    key.verify(&data.to_signed(), &proof.signature).map_err(|_| {
        Error::untrusted("proof_signature", "the proof's signature does not fit the document")
    })?;
    Ok(fewer)
}

/// The verified document has no context that a proof left unsigned: the shortest list wins.
fn keep_signed_contexts(verified: &mut Value, signed: Value) {
    let len = |value: &Value| value.as_array().map_or(1, Vec::len);
    if let Some(context) = verified.get_mut("@context").filter(|context| len(&signed) < len(context)) {
        *context = signed;
    }
}

/// The contexts that a proof carries.
///
/// JCS suites, section 3.3.2, step 4: the document's contexts begin with the proof's, which are what was signed. RDF
/// suites sign the document's contexts with the proof, so that others in the proof would not be signed.
fn signed_context(suite: Cryptosuite, proof: &UnverifiedProof, unsecured: &Value) -> Result<Option<Value>> {
    let Some(own) = proof.config.get("@context") else { return Ok(None) };
    let context = unsecured.get("@context");
    if context == Some(own) {
        return Ok(None);
    }
    let mismatch = || Error::untrusted("proof_context", "the proof's contexts are not those of the document");
    if !suite.is_jcs() {
        return Err(mismatch());
    }
    let list = |value: &'_ Value| match value {
        Value::Array(items) => items.clone(),
        single => vec![single.clone()],
    };
    if !list(context.ok_or_else(mismatch)?).starts_with(&list(own)) {
        return Err(mismatch());
    }
    Ok(Some(own.clone()))
}
