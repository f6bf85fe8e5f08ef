//! Adding proofs (Data Integrity 1.0 sections 4.2 and 4.3).

use serde_json::{Map, Value};

use super::contexts::{CREDENTIALS_V2, Contexts, DATA_INTEGRITY_V2};
use super::cryptosuite::{Cryptosuite, HashData};
use super::proof::{MAX_PROOFS, PROOF_TYPE, ProofPurpose, UnverifiedProof, proof_values};
use crate::clock::UnixTime;
use crate::did::DidUrl;
use crate::encoding::{date_time, multibase};
use crate::error::{Error, Result};
use crate::key::{PublicKey, Signer};

/// What a new proof says about itself.
#[derive(Debug, Clone)]
pub struct ProofOptions {
    /// The suite; the key must fit it.
    pub cryptosuite: Cryptosuite,
    /// The key's name.
    pub verification_method: DidUrl,
    /// What the proof is for.
    pub purpose: ProofPurpose,
    /// When it is made.
    pub created: Option<UnixTime>,
    /// When it ends.
    pub expires: Option<UnixTime>,
    /// For whom it is made.
    pub domain: Vec<String>,
    /// The verifier's challenge.
    pub challenge: Option<String>,
    /// The proof's own name, so that others can depend on it.
    pub id: Option<String>,
    /// Proofs of the document that this one signs too.
    pub previous_proof: Vec<String>,
}

impl ProofOptions {
    /// A proof that says no more than it must.
    pub fn new(cryptosuite: Cryptosuite, verification_method: DidUrl, purpose: ProofPurpose) -> Self {
        Self {
            cryptosuite,
            verification_method,
            purpose,
            created: None,
            expires: None,
            domain: Vec::new(),
            challenge: None,
            id: None,
            previous_proof: Vec::new(),
        }
    }

    /// The proof's members but for contexts and value.
    fn to_config(&self) -> Map<String, Value> {
        let mut config = Map::new();
        let mut put = |name: &str, value: Value| config.insert(name.to_owned(), value);
        if let Some(id) = &self.id {
            put("id", id.as_str().into());
        }
        put("type", PROOF_TYPE.into());
        put("cryptosuite", self.cryptosuite.as_str().into());
        for (name, time) in [("created", self.created), ("expires", self.expires)] {
            if let Some(time) = time {
                put(name, date_time::format(time).into());
            }
        }
        put("verificationMethod", self.verification_method.to_string().into());
        put("proofPurpose", self.purpose.as_str().into());
        for (name, texts) in [("domain", &self.domain), ("previousProof", &self.previous_proof)] {
            match texts.as_slice() {
                [] => {}
                [one] => drop(put(name, one.as_str().into())),
                many => drop(put(name, many.to_vec().into())),
            }
        }
        if let Some(challenge) = &self.challenge {
            put("challenge", challenge.as_str().into());
        }
        config
    }
}

/// Signs `document` and adds the proof to those that it has.
///
/// A document whose contexts do not define proofs gets the Data Integrity context (section 2.4.1), unless another proof
/// signs its contexts already.
///
/// [`Error::Misuse`] `proof_options` when `document` is no object, has too many proofs or none of the given names;
/// errors of [`Cryptosuite::hash_data`] and of the signer.
pub fn add_proof(
    document: &mut Value,
    options: &ProofOptions,
    signer: &dyn Signer,
    contexts: &Contexts,
) -> Result<()> {
    let (proof, _) = create_proof(document, options, signer, contexts)?;
    append(document, proof)
}

/// Adds `proof` to those that `document` has.
pub(super) fn append(document: &mut Value, proof: Value) -> Result<()> {
    UnverifiedProof::parse(&proof)?;
    let Some(members) = document.as_object_mut() else {
        return Err(options_error("the document is no object"));
    };
    match members.get_mut("proof") {
        None => drop(members.insert("proof".into(), proof)),
        Some(Value::Array(proofs)) => proofs.push(proof),
        Some(single) => {
            let first = single.take();
            *single = Value::Array(vec![first, proof]);
        }
    }
    Ok(())
}

/// The start of a base proof: `document` without proofs (with the context that it may need), and the proof's members.
pub(super) fn begin(document: &mut Value, options: &ProofOptions) -> Result<(Value, Map<String, Value>)> {
    match document.get("proof") {
        None => inject_context(document)?,
        Some(_) if proof_values(document)?.len() >= MAX_PROOFS => {
            return Err(options_error("the document has too many proofs"));
        }
        Some(_) => {}
    }
    Ok((with_proofs(document, Vec::new()), options.to_config()))
}

/// The proof that [`add_proof`] adds, and what it signs. The Data Integrity context is added to `document` if need be.
pub fn create_proof(
    document: &mut Value,
    options: &ProofOptions,
    signer: &dyn Signer,
    contexts: &Contexts,
) -> Result<(Value, HashData)> {
    let draft = draft_proof(document, options, signer.public_key(), contexts)?;
    let signature = signer.sign(&draft.data.to_signed())?;
    let data = draft.data.clone();
    Ok((draft.complete(&signature)?, data))
}

/// A proof that lacks only its signature: for keys that sign elsewhere, or later.
#[derive(Debug, Clone)]
pub struct ProofDraft {
    config: Map<String, Value>,
    data: HashData,
}

impl ProofDraft {
    /// The bytes that the key signs.
    pub fn signing_input(&self) -> Vec<u8> {
        self.data.to_signed()
    }

    /// The proof; `signature` as JOSE has it (r‖s, or 64 bytes of Ed25519). Errors of [`UnverifiedProof::parse`].
    pub fn complete(mut self, signature: &[u8]) -> Result<Value> {
        self.config.insert("proofValue".into(), multibase::encode_base58btc(signature).into());
        let proof = Value::Object(self.config);
        UnverifiedProof::parse(&proof)?;
        Ok(proof)
    }
}

/// [`create_proof`] for a key that is not at hand.
pub fn draft_proof(
    document: &mut Value,
    options: &ProofOptions,
    key: &PublicKey,
    contexts: &Contexts,
) -> Result<ProofDraft> {
    let existing = match document.get("proof") {
        None => Vec::new(),
        Some(_) => proof_values(document)?.to_vec(),
    };
    if existing.len() >= MAX_PROOFS {
        return Err(options_error("the document has too many proofs"));
    }
    if existing.is_empty() {
        inject_context(document)?;
    }
    let matching = matching(&existing, &options.previous_proof)
        .ok_or_else(|| options_error("a previous proof is not in the document"))?;
    let mut config = options.to_config();
    if options.cryptosuite.is_jcs()
        && let Some(context) = document.get("@context")
    {
        config.insert("@context".into(), context.clone());
    }
    let unsecured = with_proofs(document, matching);
    let hash = options.cryptosuite.hash_algorithm(key)?;
    let data = options.cryptosuite.hash_data(hash, &unsecured, &config, contexts)?;
    Ok(ProofDraft { config, data })
}

/// Section 2.4.1: the contexts of VCDM 2.0 and of Data Integrity itself define proofs.
fn inject_context(document: &mut Value) -> Result<()> {
    let members = document.as_object_mut().ok_or_else(|| options_error("the document is no object"))?;
    let defines = |value: &Value| {
        value.as_str().is_some_and(|url| {
            url == CREDENTIALS_V2
                || url == DATA_INTEGRITY_V2
                || url == "https://w3id.org/security/data-integrity/v1"
        })
    };
    match members.get_mut("@context") {
        None => return Ok(()), // plain JSON, which only the JCS suites sign
        Some(Value::Array(urls)) => {
            if !urls.iter().any(defines) {
                urls.push(DATA_INTEGRITY_V2.into());
            }
        }
        Some(single) => {
            if !defines(single) {
                let first = single.take();
                *single = Value::Array(vec![first, DATA_INTEGRITY_V2.into()]);
            }
        }
    }
    Ok(())
}

/// The proofs of the given names, in the order in which they stand; `None` when one is missing.
pub(super) fn matching(proofs: &[Value], names: &[String]) -> Option<Vec<Value>> {
    let id = |proof: &Value| proof.get("id").and_then(Value::as_str).map(str::to_owned);
    if names.iter().any(|name| !proofs.iter().any(|proof| id(proof).as_ref() == Some(name))) {
        return None;
    }
    let matching = proofs.iter().filter(|proof| id(proof).is_some_and(|id| names.contains(&id)));
    Some(matching.cloned().collect())
}

/// `document` with these proofs and no others.
pub(super) fn with_proofs(document: &Value, proofs: Vec<Value>) -> Value {
    let mut members = Map::new();
    for (name, value) in document.as_object().into_iter().flatten().filter(|(name, _)| *name != "proof") {
        members.insert(name.clone(), value.clone());
    }
    if !proofs.is_empty() {
        members.insert("proof".into(), Value::Array(proofs));
    }
    Value::Object(members)
}

fn options_error(detail: &'static str) -> Error {
    Error::misuse("proof_options", detail)
}
