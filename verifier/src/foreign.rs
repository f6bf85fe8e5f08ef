//! The feature `foreign-suites`: proofs from before Data Integrity 1.0, and DID methods that core does not carry, verified
//! by the library `ssi`.
//!
//! `ssi` sees no document that core has not bounded first: bytes, depth, nodes, statements, and the work of naming blank
//! nodes. It gets the contexts that core has bundled and no others, keys that core resolved (or that the DID itself
//! holds), and a thread with a large stack of its own, because its JSON-LD recurses. It never fetches anything. What a
//! proof says beside its signature, core judges, as for its own suites.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use carekey_core::did::DidUrl;
use carekey_core::did::key::encode_multikey;
use carekey_core::encoding::{base64url, json, multibase};
use carekey_core::format::data_integrity::rdfc::{self, HashAlgorithm};
use carekey_core::format::data_integrity::{Contexts, UnverifiedProof, contexts, jsonld};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{PublicKey, SignatureAlgorithm};
use carekey_core::limits::Limits;
use carekey_core::{Error, Result};
use serde_json::{Map, Value, json};
use ssi::claims::VerificationParameters;
use ssi::claims::data_integrity::AnyDataIntegrity;
use ssi::dids::{AnyDidMethod, VerificationMethodDIDResolver};
use ssi::json_ld::ContextLoader;
use ssi::verification_methods::{
    AnyMethod, GenericVerificationMethod, ReferenceOrOwned, ReferenceOrOwnedRef, ResolutionOptions,
    VerificationMethod as _, VerificationMethodResolver as _,
};
use tokio::sync::{Semaphore, oneshot};

/// Bytes of a document.
const MAX_BYTES: usize = 64 * 1024;
/// Proofs of a document.
const MAX_PROOFS: usize = 4;
/// Of what `ssi` walks through.
const LIMITS: Limits = Limits { json_bytes: MAX_BYTES, json_nodes: 2_000, ..Limits::DEFAULT };
/// Of naming blank nodes, by core first and by `ssi`, which has no bound, after.
const NAMING: rdfc::Limits = rdfc::Limits { quads: 2_000, work: 2_000, depth: 16 };
/// Deepest JSON that passes [`LIMITS`] takes a fraction of it.
const STACK: usize = 16 * 1024 * 1024;
/// How long a caller waits; the thread itself ends by the bounds above.
const LONGEST: Duration = Duration::from_secs(5);
/// Threads at once.
static THREADS: Semaphore = Semaphore::const_new(2);

/// A proof type, and how `ssi` calls the kind of key that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// `Ed25519Signature2018`
    Ed25519Signature2018,
    /// `Ed25519Signature2020`
    Ed25519Signature2020,
    /// `JsonWebSignature2020`: Ed25519, P-256, P-384
    JsonWebSignature2020,
    /// `EcdsaSecp256k1Signature2019`
    EcdsaSecp256k1Signature2019,
    /// `EcdsaSecp256k1RecoverySignature2020`, whose key is known by an address only
    EcdsaSecp256k1RecoverySignature2020,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 5] = [
        Self::Ed25519Signature2018,
        Self::Ed25519Signature2020,
        Self::JsonWebSignature2020,
        Self::EcdsaSecp256k1Signature2019,
        Self::EcdsaSecp256k1RecoverySignature2020,
    ];

    /// The value of `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519Signature2018 => "Ed25519Signature2018",
            Self::Ed25519Signature2020 => "Ed25519Signature2020",
            Self::JsonWebSignature2020 => "JsonWebSignature2020",
            Self::EcdsaSecp256k1Signature2019 => "EcdsaSecp256k1Signature2019",
            Self::EcdsaSecp256k1RecoverySignature2020 => "EcdsaSecp256k1RecoverySignature2020",
        }
    }

    fn of(proof: &Value) -> Option<Self> {
        let name = proof.get("type")?.as_str()?;
        Self::ALL.into_iter().find(|suite| suite.as_str() == name)
    }

    /// The JWS algorithms that may sign; none where the signature is no JWS.
    const fn algorithms(self) -> &'static [&'static str] {
        match self {
            Self::Ed25519Signature2018 => &["EdDSA"],
            Self::Ed25519Signature2020 => &[],
            Self::JsonWebSignature2020 => &["EdDSA", "ES256", "ES384"],
            Self::EcdsaSecp256k1Signature2019 => &["ES256K"],
            Self::EcdsaSecp256k1RecoverySignature2020 => &["ES256K-R"],
        }
    }

    /// The type of verification method for `ssi`.
    const fn method_type(self) -> &'static str {
        match self {
            Self::Ed25519Signature2018 => "Ed25519VerificationKey2018",
            Self::Ed25519Signature2020 => "Ed25519VerificationKey2020",
            Self::JsonWebSignature2020 => "JsonWebKey2020",
            Self::EcdsaSecp256k1Signature2019 => "EcdsaSecp256k1VerificationKey2019",
            Self::EcdsaSecp256k1RecoverySignature2020 => "EcdsaSecp256k1RecoveryMethod2020",
        }
    }

    /// The DID methods whose identifiers hold such a key or its address; `None` where core finds the key.
    const fn derived_from(self) -> Option<&'static [&'static str]> {
        match self {
            Self::EcdsaSecp256k1Signature2019 => Some(&["key", "ethr"]),
            Self::EcdsaSecp256k1RecoverySignature2020 => Some(&["pkh", "ethr"]),
            _ => None,
        }
    }
}

/// Whether a proof of `document` is of one of these suites.
pub fn is_foreign(document: &Value) -> bool {
    proofs(document).iter().any(|proof| Suite::of(proof).is_some())
}

fn proofs(document: &Value) -> &[Value] {
    match document.get("proof") {
        Some(Value::Array(proofs)) => proofs,
        Some(proof) => std::slice::from_ref(proof),
        None => &[],
    }
}

/// A document with proofs of these suites, within bounds, not verified.
#[derive(Debug)]
pub struct UnverifiedForeign {
    text: String,
    suites: Vec<Suite>,
    statements: Vec<UnverifiedProof>,
}

/// A document whose proofs `ssi` verified: another library's word, and so another type than core's `VerifiedDocument`.
#[derive(Debug)]
pub struct VerifiedForeign {
    suites: Vec<Suite>,
}

impl VerifiedForeign {
    /// The suite of each proof.
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }
}

/// Where the key of a proof comes from.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    /// Found by core, as a verification method.
    Known(Value),
    /// Held by the DID.
    Derived,
}

impl UnverifiedForeign {
    /// Reads the proofs, and bounds what `ssi` will have to do.
    ///
    /// [`Error::Malformed`] `foreign_proof` (members that these suites do not have, suites mixed with others),
    /// `foreign_context` (a context that is not named by its URL), `foreign_too_many`, `json_too_large` and kin,
    /// `jsonld_…`, `rdf_too_complex`; codes of [`UnverifiedProof::parse`].
    pub fn parse(document: &Value, bundled: &Contexts) -> Result<Self> {
        let text = document.to_string();
        let document = &json::parse(text.as_bytes(), &LIMITS)?;
        check_contexts(document)?;
        let proofs = proofs(document);
        if proofs.len() > MAX_PROOFS {
            return Err(Error::malformed("foreign_too_many", "the document has too many proofs"));
        }
        let read = proofs.iter().map(statement).collect::<Result<Vec<_>>>()?;
        let (suites, statements) = read.into_iter().unzip();
        let quads = jsonld::to_quads(document, bundled)?;
        rdfc::canonicalize(&quads, HashAlgorithm::Sha256, &NAMING)?;
        Ok(Self { text, suites, statements })
    }

    /// What the proofs say, for core to judge; suite and signature in it mean nothing.
    pub fn statements(&self) -> &[UnverifiedProof] {
        &self.statements
    }

    /// The proofs whose keys core must find, by their place.
    pub fn wanted(&self) -> impl Iterator<Item = (usize, &UnverifiedProof)> {
        let all = self.suites.iter().zip(&self.statements).enumerate();
        all.filter(|(_, (suite, _))| suite.derived_from().is_none()).map(|(place, (_, proof))| (place, proof))
    }

    /// Lets `ssi` verify every proof, with these keys by the places of [`Self::wanted`].
    ///
    /// [`Error::Untrusted`] `proof_signature`, `proof_method_unknown`, `proof_key_type`; [`Error::Unsupported`]
    /// `foreign_did_method`; [`Error::Unavailable`] `foreign_busy`.
    pub async fn verify(self, found: &[(usize, PublicKey)]) -> Result<VerifiedForeign> {
        let mut keys = Vec::new();
        for (place, (suite, proof)) in self.suites.iter().zip(&self.statements).enumerate() {
            keys.push((*suite, key(*suite, place, &proof.verification_method, found)?));
        }
        let busy =
            || Error::unavailable("foreign_busy", "the verifier of older proofs did not answer in time");
        let permit = tokio::time::timeout(LONGEST, THREADS.acquire()).await.map_err(|_| busy())?;
        let permit = permit.map_err(|_| busy())?;
        let (send, answer) = oneshot::channel();
        let (text, runtime) = (self.text, tokio::runtime::Handle::current());
        let thread = std::thread::Builder::new().name("foreign-suites".to_owned()).stack_size(STACK);
        let run = move || {
            let _permit = permit;
            // A panic drops the sender: not verified.
            let _ = send.send(runtime.block_on(by_ssi(&text, &keys)));
        };
        thread.spawn(run).map_err(|_| busy())?;
        match tokio::time::timeout(LONGEST, answer).await {
            Ok(Ok(true)) => Ok(VerifiedForeign { suites: self.suites }),
            Ok(_) => {
                let detail = "the proof's signature does not fit the document (as the library `ssi` says)";
                Err(Error::untrusted("proof_signature", detail))
            }
            Err(_) => Err(busy()),
        }
    }
}

/// Contexts by URL only: what `ssi` compiles are the bundled files.
fn check_contexts(document: &Value) -> Result<()> {
    let mut rest = vec![document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => {
                for (name, value) in members {
                    let is_url = match value {
                        Value::Array(items) => items.iter().all(Value::is_string),
                        single => single.is_string(),
                    };
                    if name == "@context" && !is_url {
                        let detail = "contexts must be named by URL where older proofs are verified";
                        return Err(Error::malformed("foreign_context", detail));
                    }
                    rest.push(value);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a proof says: the members beside the signature are those of Data Integrity, and core reads them as such.
fn statement(proof: &Value) -> Result<(Suite, UnverifiedProof)> {
    let (Some(suite), Some(members)) = (Suite::of(proof), proof.as_object()) else {
        let detail = "proofs from before Data Integrity cannot stand beside others";
        return Err(Error::malformed("foreign_proof", detail));
    };
    let signature = if suite.algorithms().is_empty() { "proofValue" } else { "jws" };
    let known = |name: &str| {
        let common = [
            "@context",
            "id",
            "type",
            "created",
            "expires",
            "verificationMethod",
            "proofPurpose",
            "domain",
            "challenge",
            "nonce",
        ];
        name == signature || common.contains(&name)
    };
    let plain = |value: &Value| match value {
        Value::Array(items) => items.iter().all(Value::is_string),
        single => single.is_string(),
    };
    if !members.iter().all(|(name, value)| known(name) && plain(value)) {
        let detail = "a proof has members that its suite does not have";
        return Err(Error::malformed("foreign_proof", detail));
    }
    let mut same = members.clone();
    if let Some(jws) = same.remove("jws") {
        check_jws(suite, jws.as_str().unwrap_or_default())?;
        same.insert("proofValue".into(), "z1".into());
    }
    same.insert("type".into(), "DataIntegrityProof".into());
    same.insert("cryptosuite".into(), "eddsa-rdfc-2022".into());
    Ok((suite, UnverifiedProof::parse(&Value::Object(same))?))
}

/// A detached JWS over bytes (RFC 7797), by an algorithm of the suite and with no other header.
fn check_jws(suite: Suite, jws: &str) -> Result<()> {
    let malformed = || Error::malformed("foreign_proof", "`jws` is not a detached JWS of the proof's suite");
    let (header, signature) = jws.split_once("..").ok_or_else(malformed)?;
    if signature.contains('.') || header.len() > 1024 || signature.len() > 256 {
        return Err(malformed());
    }
    base64url::decode(signature).map_err(|_| malformed())?;
    let header = json::parse(&base64url::decode(header).map_err(|_| malformed())?, &Limits::DEFAULT)?;
    let header: &Map<String, Value> = header.as_object().ok_or_else(malformed)?;
    let fits = header.iter().all(|(name, value)| match name.as_str() {
        "alg" => value.as_str().is_some_and(|alg| suite.algorithms().contains(&alg)),
        "b64" => *value == Value::Bool(false),
        "crit" => *value == json!(["b64"]),
        _ => false,
    });
    if fits && header.len() == 3 { Ok(()) } else { Err(malformed()) }
}

fn key(suite: Suite, place: usize, method: &DidUrl, found: &[(usize, PublicKey)]) -> Result<Key> {
    if let Some(methods) = suite.derived_from() {
        // `ssi` panics at percent signs that stand for no text; none of these identifiers has one.
        if methods.contains(&method.did().method()) && !method.did().as_str().contains('%') {
            return Ok(Key::Derived);
        }
        let detail = "this DID method does not go with the proof's suite";
        return Err(Error::unsupported("foreign_did_method", detail));
    }
    let key = found.iter().find(|(index, _)| *index == place).map(|(_, key)| key).ok_or_else(|| {
        Error::untrusted("proof_method_unknown", "no controller's document has the proof's key")
    })?;
    let fits = match suite {
        Suite::JsonWebSignature2020 => matches!(
            key.algorithm(),
            SignatureAlgorithm::EdDsa | SignatureAlgorithm::Es256 | SignatureAlgorithm::Es384
        ),
        _ => key.algorithm() == SignatureAlgorithm::EdDsa,
    };
    if !fits {
        return Err(Error::untrusted(
            "proof_key_type",
            "the proof's key is of another type than its suite's",
        ));
    }
    let mut value =
        json!({"id": method.to_string(), "type": suite.method_type(), "controller": method.did().as_str()});
    let (name, material) = match suite {
        Suite::Ed25519Signature2018 => {
            let base58 = multibase::encode_base58btc(key.as_bytes());
            ("publicKeyBase58", base58.strip_prefix('z').unwrap_or_default().into())
        }
        Suite::Ed25519Signature2020 => ("publicKeyMultibase", encode_multikey(key)?.into()),
        _ => ("publicKeyJwk", Jwk::from_key(key).to_value()),
    };
    if let Some(members) = value.as_object_mut() {
        members.insert(name.into(), material);
    }
    Ok(Key::Known(value))
}

/// The contexts that core has bundled.
fn loader() -> Option<&'static ContextLoader> {
    static LOADER: OnceLock<Option<ContextLoader>> = OnceLock::new();
    let make = || {
        let file = |url: &str| String::from_utf8(contexts::published(url).first()?.to_vec()).ok();
        let files = contexts::urls().map(|url| Some((url.to_owned(), file(url)?)));
        ContextLoader::empty().with_context_map_from(files.collect::<Option<HashMap<_, _>>>()?).ok()
    };
    LOADER.get_or_init(make).as_ref()
}

/// Whether `ssi` accepts every proof.
async fn by_ssi(text: &str, keys: &[(Suite, Key)]) -> bool {
    let Ok(document) = serde_json::from_str::<AnyDataIntegrity>(text) else { return false };
    let Some(loader) = loader() else { return false };
    if document.proofs.len() != keys.len() {
        return false;
    }
    let derive = VerificationMethodDIDResolver::<AnyDidMethod, AnyMethod>::new(AnyDidMethod::default());
    let mut methods = HashMap::new();
    for (proof, (suite, key)) in document.proofs.iter().zip(keys) {
        // A key within the proof is whosever wants it to be.
        let ReferenceOrOwned::Reference(name) = &proof.verification_method else { return false };
        let method = match key {
            Key::Known(value) => {
                let generic = serde_json::from_value::<GenericVerificationMethod>(value.clone());
                generic.ok().and_then(|generic| AnyMethod::try_from(generic).ok())
            }
            Key::Derived => {
                let options = ResolutionOptions { accept: Some(Box::new(suite.method_type())) };
                let name = Some(ReferenceOrOwnedRef::Reference(name));
                let found = derive.resolve_verification_method_with(None, name, options).await;
                found.ok().map(std::borrow::Cow::into_owned)
            }
        };
        let Some(method) = method.filter(|method| method.id() == name.as_iri()) else { return false };
        methods.insert(name.clone(), method);
    }
    let parameters = VerificationParameters::from_resolver(methods).with_json_ld_loader(loader.clone());
    matches!(document.verify(&parameters).await, Ok(Ok(())))
}
