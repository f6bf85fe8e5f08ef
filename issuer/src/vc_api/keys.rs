//! The keys of the VC-API, and the ways in which each can secure a credential.

use std::path::Path;
use std::sync::Arc;

use carekey_core::clock::UnixTime;
use carekey_core::did::{self, Did, DidUrl};
use carekey_core::error::{Error, Result as CoreResult};
use carekey_core::format::data_integrity::ecdsa_sd::{self, BaseSecrets};
use carekey_core::format::data_integrity::selective::DEFAULT_MANDATORY_POINTERS;
use carekey_core::format::data_integrity::{
    Contexts, Cryptosuite, ProofOptions, ProofPurpose, add_proof, bbs as bbs_suite,
};
use carekey_core::format::sd_jwt_vc::issue::DisclosureFrame;
use carekey_core::format::vc_jose::envelope::Enveloped;
use carekey_core::format::vc_jose::issue::{self as envelope, IssueInput};
use carekey_core::format::vc_jose::{Content, EnvelopeType, Mechanism};
use carekey_core::key::{SignatureAlgorithm, Signer, bbs};
use carekey_core::random::Random;
use carekey_service::keys;
use serde_json::{Map, Value};

use crate::app::StartError;

/// Name, file, algorithm, and the suite that `/credentials/issue` takes.
const KEYS: [(&str, &str, SignatureAlgorithm, Cryptosuite); 3] = [
    ("ed25519", "ed25519.key", SignatureAlgorithm::EdDsa, Cryptosuite::EddsaRdfc2022),
    ("P-256", "p-256.key", SignatureAlgorithm::Es256, Cryptosuite::EcdsaRdfc2019),
    ("P-384", "p-384.key", SignatureAlgorithm::Es384, Cryptosuite::EcdsaRdfc2019),
];
/// Name and file of the BBS key.
const BBS: (&str, &str) = ("bls", "bls.key");

/// Name of the key under the issuer's own DID.
const OWN: &str = "issuer";

/// One key and its DID: a `did:key`, or the issuer's own.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) did: Did,
    method: DidUrl,
    /// What `/credentials/issue` takes.
    pub(super) suite: Cryptosuite,
    secret: Secret,
}

enum Secret {
    Plain(Arc<dyn Signer>),
    Bbs(Box<bbs::SecretKey>),
}

/// How a credential is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Securing {
    /// A Data Integrity proof.
    Proof(Cryptosuite),
    /// An envelope of VC-JOSE-COSE, in an EnvelopedVerifiableCredential.
    Envelope(Mechanism),
}

impl Securing {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let envelopes = [Mechanism::Jwt, Mechanism::SdJwt, Mechanism::Cose].map(Self::Envelope);
        Cryptosuite::ALL.into_iter().map(Self::Proof).chain(envelopes)
    }

    /// The suite's name, or that of the media type with `-` for `+`.
    pub(super) fn name(self) -> String {
        match self {
            Self::Proof(suite) => suite.as_str().to_owned(),
            Self::Envelope(mechanism) => {
                EnvelopeType { content: Content::Credential, mechanism }.typ().replace('+', "-")
            }
        }
    }

    /// The one of this name; [`Error::Unsupported`] `proof_cryptosuite`.
    pub(super) fn parse(name: &str) -> CoreResult<Self> {
        match Self::all().find(|securing| securing.name() == name) {
            Some(securing) => Ok(securing),
            None => Cryptosuite::parse(name).map(Self::Proof),
        }
    }
}

/// What goes into one credential beside itself.
pub(super) struct Extras<'a> {
    pub(super) now: UnixTime,
    /// What a holder cannot leave out, for suites with selective disclosure; empty: the default.
    pub(super) mandatory_pointers: &'a [String],
    pub(super) random: &'a dyn Random,
    pub(super) contexts: &'a Contexts,
}

/// The keys in `folder`; those that are missing are made.
pub(super) fn open(
    folder: &Path,
    random: &dyn Random,
    own: Option<(DidUrl, Arc<dyn Signer>)>,
) -> Result<Vec<Key>, StartError> {
    let by_itself = |did: &Did| did.with_fragment(did.method_specific_id());
    let mut all = Vec::new();
    for (name, file, algorithm, suite) in KEYS {
        let signer = keys::load_or_create_software_key(&folder.join(file), algorithm)?;
        let did = did::key::encode(signer.public_key())?;
        let (method, secret) = (by_itself(&did)?, Secret::Plain(Arc::new(signer)));
        all.push(Key { name, did, method, suite, secret });
    }
    let (name, file) = BBS;
    let material = keys::load_or_create_secret(&folder.join(file), random)?;
    let secret = bbs::SecretKey::from_key_material(material.expose())?;
    let did = did::key::encode_bbs(secret.public_key())?;
    let (method, suite) = (by_itself(&did)?, Cryptosuite::Bbs2023);
    all.push(Key { name, did, method, suite, secret: Secret::Bbs(Box::new(secret)) });
    if let Some((method, signer)) = own {
        let (did, suite) = (method.did().clone(), Cryptosuite::EcdsaRdfc2019);
        all.push(Key { name: OWN, did, method, suite, secret: Secret::Plain(signer) });
    }
    Ok(all)
}

impl Key {
    /// Whether the key can sign a whole document, as status lists need.
    pub(super) fn signs_lists(&self) -> bool {
        !self.suite.is_selective()
    }

    /// [`Error::Untrusted`] `proof_key_type` when the key is not of the type that is needed.
    pub(super) fn check(&self, securing: Securing) -> CoreResult<()> {
        match (&self.secret, securing) {
            (Secret::Plain(signer), Securing::Proof(suite)) => {
                suite.hash_algorithm(signer.public_key()).map(|_| ())
            }
            (Secret::Plain(_), Securing::Envelope(_))
            | (Secret::Bbs(_), Securing::Proof(Cryptosuite::Bbs2023)) => Ok(()),
            (Secret::Bbs(_), _) => Err(Error::untrusted("proof_key_type", "the key is one of BBS")),
        }
    }

    /// `credential`, secured; errors of [`Self::check`] and of the suites and envelopes.
    pub(super) fn secure(
        &self,
        securing: Securing,
        mut credential: Value,
        extras: &Extras<'_>,
    ) -> CoreResult<Value> {
        self.check(securing)?;
        let method = &self.method;
        let pointers: Vec<&str> = match extras.mandatory_pointers {
            [] => DEFAULT_MANDATORY_POINTERS.to_vec(),
            given => given.iter().map(String::as_str).collect(),
        };
        let options = |suite| {
            let mut options = ProofOptions::new(suite, method.clone(), ProofPurpose::AssertionMethod);
            options.created = Some(extras.now);
            options
        };
        let (document, contexts) = (&mut credential, extras.contexts);
        match (&self.secret, securing) {
            (Secret::Plain(signer), Securing::Envelope(mechanism)) => {
                let document = credential.as_object().cloned().unwrap_or_default();
                return enveloped(mechanism, &document, &method.to_string(), &**signer, extras.random);
            }
            (Secret::Plain(signer), Securing::Proof(suite)) if suite.is_selective() => {
                let secrets = BaseSecrets::generate(extras.random)?;
                let options = options(suite);
                ecdsa_sd::add_base_proof(document, &options, &pointers, &**signer, &secrets, contexts)?;
            }
            (Secret::Plain(signer), Securing::Proof(suite)) => {
                add_proof(document, &options(suite), &**signer, contexts)?;
            }
            (Secret::Bbs(key), _) => {
                let (options, hmac_key) = (options(Cryptosuite::Bbs2023), extras.random.array());
                bbs_suite::add_base_proof(document, &options, &pointers, key, &hmac_key, contexts)?;
            }
        }
        Ok(credential)
    }
}

/// The secured credential in the object that stands for it. Of an SD-JWT everything is visible: which claims to hide is
/// nothing that this interface can say.
fn enveloped(
    mechanism: Mechanism,
    document: &Map<String, Value>,
    method: &str,
    signer: &dyn Signer,
    random: &dyn Random,
) -> CoreResult<Value> {
    let input = IssueInput { document, key_id: Some(method), claims: Map::new() };
    let (content, kind) = (Content::Credential, EnvelopeType { content: Content::Credential, mechanism });
    let enveloped = match mechanism {
        Mechanism::Jwt => Enveloped::text(kind, &envelope::jwt(content, &input, signer)?)?,
        Mechanism::SdJwt => {
            let compact = envelope::sd_jwt(content, &input, &DisclosureFrame::new(), signer, random)?;
            Enveloped::text(kind, &compact)?
        }
        Mechanism::Cose => Enveloped::cose(content, envelope::cose(content, &input, signer)?),
    };
    Ok(enveloped.to_value())
}
