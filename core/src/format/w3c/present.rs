//! Presenting: from a held credential to a presentation that lacks only the signature of the holder's key.

use std::fmt;

use serde_json::{Map, Value};

use super::JSON_TERMS;
use super::credential::UnverifiedW3cVc;
use super::presentation::{VP_JWT, WEBAUTHN_ASSERTION, content_hash};
use crate::credential::CredentialFormat;
use crate::credential::claims::{ClaimPath, PathElement};
use crate::credential::data_model::CONTEXT_V2;
use crate::did::DidUrl;
use crate::error::{Error, Result};
use crate::format::any::Statement;
use crate::format::data_integrity::contexts::CAREKEY_HEALTH_V1;
use crate::format::data_integrity::{
    Contexts, Cryptosuite, Presentation as Derivation, ProofDraft, ProofOptions, ProofPurpose, derive,
    draft_proof,
};
use crate::format::vc_jose::envelope::Enveloped;
use crate::format::vc_jose::{Content, EnvelopeType, Mechanism};
use crate::jose::jws;
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::random::Random;

/// The part of a credential that will leave. `Debug` shows no claims.
#[derive(Clone)]
pub struct Presentation {
    format: CredentialFormat,
    credential: Value,
    claims: Map<String, Value>,
    holder: DidUrl,
    holder_key: PublicKey,
}

impl UnverifiedW3cVc {
    /// What leaves for the claims at `paths`: the whole credential, or of one with a base proof the part that they and
    /// the issuer's mandatory pointers select.
    ///
    /// [`Error::Refused`] `claim_absent` when a path selects nothing; `claim_path_type`; errors of [`Self::holder`] and
    /// [`derive`].
    pub fn present(&self, paths: &[ClaimPath], random: &dyn Random) -> Result<Presentation> {
        let mut pointers = Vec::new();
        for path in paths {
            if path.select(self.document())?.is_empty() {
                return Err(Error::refused("claim_absent", format!("the credential has no claim {path}")));
            }
            pointers.extend(json_pointers(self.document(), path));
        }
        let (holder, holder_key) = self.holder()?;
        let whole = Value::Object(self.document().clone());
        let credential = match (self.format(), self.is_selective()) {
            (CredentialFormat::JwtVcJson, _) => {
                let kind = EnvelopeType { content: Content::Credential, mechanism: Mechanism::Jwt };
                Enveloped::text(kind, &self.text)?.to_value()
            }
            (_, true) => derive(&whole, &pointers, &Derivation::new(random), Contexts::shared()?)?,
            (_, false) => whole.clone(),
        };
        let leaves = if self.is_selective() { &credential } else { &whole };
        let claims = leaves.as_object().cloned().unwrap_or_default();
        Ok(Presentation { format: self.format(), credential, claims, holder, holder_key })
    }
}

impl Presentation {
    /// The members of the credential that leave: what to show before the person agrees.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// What a WebAuthn assertion for this presentation commits to; `statement.assertion` makes no difference.
    ///
    /// Errors of canonicalization.
    pub fn content_hash(&self, statement: &Statement<'_>) -> Result<String> {
        content_hash(&self.document(statement))
    }

    /// The presentation, to be signed by the holder's key.
    ///
    /// [`Error::Unsupported`] `alg_unsupported` unless that key is of P-256; errors of [`draft_proof`].
    pub fn draft(&self, statement: &Statement<'_>) -> Result<Draft> {
        if self.holder_key.algorithm() != SignatureAlgorithm::Es256 {
            return Err(Error::unsupported("alg_unsupported", "holder keys are of P-256"));
        }
        let mut document = Value::Object(self.document(statement));
        if self.format == CredentialFormat::JwtVcJson {
            let mut header = Map::new();
            header.insert("alg".into(), SignatureAlgorithm::Es256.as_str().into());
            header.insert("typ".into(), VP_JWT.typ().into());
            header.insert("cty".into(), Content::Presentation.as_str().into());
            header.insert("kid".into(), self.holder.to_string().into());
            return Ok(Draft::Jwt(jws::signing_input(&header, document.to_string().as_bytes())?));
        }
        let mut options =
            ProofOptions::new(Cryptosuite::EcdsaRdfc2019, self.holder.clone(), ProofPurpose::Authentication);
        options.created = Some(statement.issued_at);
        options.expires = statement.expires_at;
        options.domain = vec![statement.audience.to_owned()];
        options.challenge = Some(statement.nonce.to_owned());
        let proof = draft_proof(&mut document, &options, &self.holder_key, Contexts::shared()?)?;
        Ok(Draft::Proof(Box::new((document, proof))))
    }

    /// The presentation's members without the proof.
    fn document(&self, statement: &Statement<'_>) -> Map<String, Value> {
        let mut own = Map::new();
        if let Some(data) = statement.transaction_data {
            own.insert("transaction_data_hashes".into(), data.hashes().to_vec().into());
            own.insert("transaction_data_hashes_alg".into(), data.algorithm().as_str().into());
        }
        own.extend(statement.factors.clone().map(|value| ("authentication_factors".to_owned(), value)));
        own.extend(statement.assertion.clone().map(|value| (WEBAUTHN_ASSERTION.to_owned(), value)));
        let mut contexts = vec![CONTEXT_V2];
        if !own.is_empty() {
            contexts.push(CAREKEY_HEALTH_V1);
        }
        let mut document = Map::new();
        document.insert("@context".into(), contexts.into());
        document.insert("type".into(), vec!["VerifiablePresentation"].into());
        document.insert("holder".into(), self.holder.did().as_str().into());
        document.insert("verifiableCredential".into(), Value::Array(vec![self.credential.clone()]));
        if self.format == CredentialFormat::JwtVcJson {
            document.insert("aud".into(), statement.audience.into());
            document.insert("nonce".into(), statement.nonce.into());
            document.insert("iat".into(), statement.issued_at.as_secs().into());
            document.extend(statement.expires_at.map(|time| ("exp".to_owned(), time.as_secs().into())));
        }
        document.extend(own);
        document
    }
}

impl fmt::Debug for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presentation").field("format", &self.format).finish_non_exhaustive()
    }
}

/// A presentation that lacks only the signature of the holder's key.
#[derive(Debug, Clone)]
pub enum Draft {
    /// The document and the proof to be.
    Proof(Box<(Value, ProofDraft)>),
    /// The JWS signing input.
    Jwt(String),
}

impl Draft {
    /// The bytes that the holder's key signs.
    pub fn signing_input(&self) -> Vec<u8> {
        match self {
            Self::Proof(both) => both.1.signing_input(),
            Self::Jwt(input) => input.as_bytes().to_vec(),
        }
    }

    /// The presentation as text; `signature` as JOSE has it (r‖s). Errors of [`ProofDraft::complete`].
    pub fn assemble(self, signature: &[u8]) -> Result<String> {
        match self {
            Self::Jwt(input) => Ok(jws::assemble(input, signature)),
            Self::Proof(both) => {
                let (mut document, draft) = *both;
                let proof = draft.complete(signature)?;
                if let Some(members) = document.as_object_mut() {
                    members.insert("proof".into(), proof);
                }
                Ok(document.to_string())
            }
        }
    }
}

/// The JSON Pointers (RFC 6901) of what `path` selects. A JSON literal is selected whole.
fn json_pointers(document: &Map<String, Value>, path: &ClaimPath) -> Vec<String> {
    let root = Value::Object(document.clone());
    let mut found: Vec<(String, &Value)> = vec![(String::new(), &root)];
    for element in path.elements() {
        let mut next = Vec::new();
        for (pointer, value) in found {
            match (element, value) {
                (PathElement::Name(name), Value::Object(members)) => {
                    let escaped = name.replace('~', "~0").replace('/', "~1");
                    next.extend(members.get(name).map(|value| (format!("{pointer}/{escaped}"), value)));
                }
                (PathElement::Index(index), Value::Array(items)) => {
                    next.extend(items.get(*index).map(|value| (format!("{pointer}/{index}"), value)));
                }
                (PathElement::All, Value::Array(items)) => {
                    next.extend(
                        items.iter().enumerate().map(|(at, value)| (format!("{pointer}/{at}"), value)),
                    );
                }
                _ => {}
            }
        }
        found = next;
        if matches!(element, PathElement::Name(name) if JSON_TERMS.contains(&name.as_str())) {
            break;
        }
    }
    found.into_iter().map(|(pointer, _)| pointer).collect()
}
