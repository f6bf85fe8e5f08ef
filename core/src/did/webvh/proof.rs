//! `eddsa-jcs-2022` as logs and witnesses use it: the key is always the `did:key` that the proof names (W3C Data
//! Integrity EdDSA Cryptosuites 1.0 section 3.3; did:webvh "Authorized Keys").

use serde_json::{Map, Value, json};

use crate::clock::UnixTime;
use crate::did::key;
use crate::encoding::{canonical_json, date_time, multibase, sha256};
use crate::error::{Error, Result};
use crate::key::{PublicKey, SignatureAlgorithm, Signer};

const SUITE: &str = "eddsa-jcs-2022";
/// More proofs on one entry are refused.
const MAX_PROOFS: usize = 16;

/// A proof as it was read; nothing about it is verified.
pub(super) struct UnverifiedProof<'a> {
    config: Map<String, Value>,
    multikey: &'a str,
    key: PublicKey,
    signature: Vec<u8>,
}

impl<'a> UnverifiedProof<'a> {
    /// Errors: `webvh_proof` (missing or malformed member, another type), `webvh_proof_cryptosuite`,
    /// `webvh_proof_purpose`, `webvh_proof_method` (not `did:key:X#X`), `webvh_proof_expired`.
    pub(super) fn parse(value: &'a Value, now: UnixTime) -> Result<Self> {
        let members = value.as_object().ok_or_else(|| malformed("proof"))?;
        let text =
            |name: &'static str| members.get(name).and_then(Value::as_str).ok_or_else(|| malformed(name));
        if text("type")? != "DataIntegrityProof" || members.contains_key("@context") {
            return Err(malformed("type"));
        }
        if text("cryptosuite").ok() != Some(SUITE) {
            let detail = "the proof's cryptosuite is not eddsa-jcs-2022";
            return Err(Error::untrusted("webvh_proof_cryptosuite", detail));
        }
        if text("proofPurpose")? != "assertionMethod" {
            return Err(Error::untrusted("webvh_proof_purpose", "the proof was made for another purpose"));
        }
        if members.contains_key("created") {
            date_time::parse(text("created")?).map_err(|_| malformed("created"))?;
        }
        if members.contains_key("expires") {
            let end = date_time::parse(text("expires")?).map_err(|_| malformed("expires"))?;
            if now > end {
                return Err(Error::not_current("webvh_proof_expired", "the proof has expired", now, end));
            }
        }
        let method = || Error::untrusted("webvh_proof_method", "the proof's key is not named as did:key:X#X");
        let name = text("verificationMethod")?.strip_prefix("did:key:").and_then(|name| name.split_once('#'));
        let multikey = name.filter(|(body, fragment)| body == fragment).ok_or_else(method)?.0;
        let key = ed25519(multikey).ok_or_else(method)?;
        let signature = multibase::decode(text("proofValue")?, 64).ok().filter(|bytes| bytes.len() == 64);
        let signature = signature.ok_or_else(|| malformed("proofValue"))?;
        let mut config = members.clone();
        config.remove("proofValue");
        Ok(Self { config, multikey, key, signature })
    }

    /// The Multikey that the proof names.
    pub(super) fn multikey(&self) -> &'a str {
        self.multikey
    }

    /// Checks the signature over `document`, which must not hold the proof; `webvh_proof_signature`.
    pub(super) fn verify(&self, document: &Map<String, Value>) -> Result<()> {
        let message = message(&self.config, document)?;
        self.key.verify(&message, &self.signature).map_err(|_| {
            Error::untrusted("webvh_proof_signature", "the signature of the proof does not verify")
        })
    }
}

/// The proofs of an entry: an array, or one alone.
pub(super) fn list(value: Option<&Value>) -> Result<&[Value]> {
    match value {
        Some(Value::Array(proofs)) if (1..=MAX_PROOFS).contains(&proofs.len()) => Ok(proofs),
        Some(proof @ Value::Object(_)) => Ok(std::slice::from_ref(proof)),
        _ => Err(malformed("proof")),
    }
}

/// The proof of `document` by `signer`; [`Error::Misuse`] `webvh_signer` when its key is not Ed25519.
pub(super) fn sign(document: &Map<String, Value>, created: UnixTime, signer: &dyn Signer) -> Result<Value> {
    if signer.public_key().algorithm() != SignatureAlgorithm::EdDsa {
        return Err(Error::misuse("webvh_signer", "a did:webvh log is signed with Ed25519 only"));
    }
    let multikey = key::encode_multikey(signer.public_key())?;
    let mut config = json!({
        "type": "DataIntegrityProof",
        "cryptosuite": SUITE,
        "verificationMethod": format!("did:key:{multikey}#{multikey}"),
        "created": date_time::format(created),
        "proofPurpose": "assertionMethod",
    });
    let members = config.as_object_mut().ok_or_else(|| malformed("proof"))?;
    let signature = signer.sign(&message(members, document)?)?;
    members.insert("proofValue".into(), multibase::encode_base58btc(&signature).into());
    Ok(config)
}

/// The Ed25519 key of a Multikey in its canonical form.
pub(super) fn ed25519(multikey: &str) -> Option<PublicKey> {
    let key = key::decode_multikey(multikey).ok()?;
    let fits = key.algorithm() == SignatureAlgorithm::EdDsa;
    (fits && key::encode_multikey(&key).ok()? == multikey).then_some(key)
}

fn message(config: &Map<String, Value>, document: &Map<String, Value>) -> Result<Vec<u8>> {
    let config = sha256(&canonical_json::object_to_vec(config)?);
    let document = sha256(&canonical_json::object_to_vec(document)?);
    Ok([config, document].concat())
}

fn malformed(member: &'static str) -> Error {
    Error::malformed("webvh_proof", format!("{member} of the proof is missing or malformed"))
}
