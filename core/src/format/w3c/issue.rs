//! Making a credential: the document, and its security.

use serde_json::{Map, Value};

use super::binding;
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::credential::data_model::CONTEXT_V2;
use crate::did::{Did, DidUrl};
use crate::encoding::date_time;
use crate::error::{Error, Result};
use crate::format::data_integrity::contexts::{CAREKEY_HEALTH_V1, JWK_V1};
use crate::format::data_integrity::ecdsa_sd::{BaseSecrets, add_base_proof};
use crate::format::data_integrity::{Contexts, Cryptosuite, ProofOptions, ProofPurpose, add_proof};
use crate::format::vc_jose::Content;
use crate::format::vc_jose::issue as jose;
use crate::key::{SignatureAlgorithm, Signer};
use crate::random::Random;
use crate::status::bitstring_status_list::StatusEntry;

/// What the holder of a selective credential can never leave out.
const MANDATORY: [&str; 4] = ["/issuer", "/validFrom", "/validUntil", "/credentialStatus"];

/// What is to be issued.
#[derive(Debug, Clone)]
pub struct IssueInput<'a> {
    /// The type's term in CareKey's context, beside `VerifiableCredential`.
    pub kind: &'a str,
    /// The issuer's key; its DID is the issuer.
    pub verification_method: &'a DidUrl,
    /// The holder: `credentialSubject.id`.
    pub holder: &'a Did,
    /// Claims about the subject, by terms of CareKey's context.
    pub claims: Map<String, Value>,
    /// `validFrom`.
    pub valid_from: UnixTime,
    /// `validUntil`.
    pub valid_until: UnixTime,
    /// `credentialStatus`.
    pub status: &'a [StatusEntry],
    /// AK and what was established about it: a value of the claim `webauthn_binding`.
    pub binding: Option<&'a Value>,
}

/// How a credential is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// A Data Integrity proof over the whole: `eddsa-rdfc-2022` or `ecdsa-rdfc-2019`, as the key is.
    DataIntegrity,
    /// `ecdsa-sd-2023`: the holder discloses a part. Needs a key of P-256.
    Selective,
    /// `vc+jwt`.
    Jwt,
}

impl Security {
    /// The format that it makes.
    pub const fn format(self) -> CredentialFormat {
        match self {
            Self::DataIntegrity | Self::Selective => CredentialFormat::LdpVc,
            Self::Jwt => CredentialFormat::JwtVcJson,
        }
    }

    /// The name of the algorithm in `credential_signing_alg_values_supported`: a cryptosuite, or a JOSE algorithm.
    pub const fn algorithm_name(self, key: SignatureAlgorithm) -> &'static str {
        match (self, key) {
            (Self::Jwt, key) => key.as_str(),
            (Self::Selective, _) => Cryptosuite::EcdsaSd2023.as_str(),
            (Self::DataIntegrity, SignatureAlgorithm::EdDsa) => Cryptosuite::EddsaRdfc2022.as_str(),
            (Self::DataIntegrity, _) => Cryptosuite::EcdsaRdfc2019.as_str(),
        }
    }
}

/// Issues a credential, as text.
///
/// [`Error::Misuse`] `webauthn_binding`, and `proof_options` for a key that the suite does not take; codes of the data
/// model and of JSON-LD for claims without a term; errors of the signer.
pub fn issue(
    input: &IssueInput<'_>,
    security: Security,
    signer: &dyn Signer,
    random: &dyn Random,
) -> Result<String> {
    let mut document = document(input)?;
    let method = input.verification_method;
    if security == Security::Jwt {
        let kid = method.to_string();
        let Value::Object(members) = &document else {
            return Err(Error::misuse("vc_shape", "the credential is no JSON object"));
        };
        let mut claims = Map::new();
        for (name, time) in [("iat", input.valid_from), ("exp", input.valid_until)] {
            claims.insert(name.into(), time.as_secs().into());
        }
        let input = jose::IssueInput { document: members, key_id: Some(&kid), claims };
        return jose::jwt(Content::Credential, &input, signer);
    }
    let contexts = Contexts::shared()?;
    let suite = Cryptosuite::parse(security.algorithm_name(signer.public_key().algorithm()))?;
    let mut options = ProofOptions::new(suite, method.clone(), ProofPurpose::AssertionMethod);
    options.created = Some(input.valid_from);
    match security {
        Security::Selective => {
            let present = |pointer: &&&str| document.pointer(pointer).is_some();
            let mandatory: Vec<&str> = MANDATORY.iter().filter(present).copied().collect();
            let secrets = BaseSecrets::generate(random)?;
            add_base_proof(&mut document, &options, &mandatory, signer, &secrets, contexts)?;
        }
        Security::DataIntegrity | Security::Jwt => add_proof(&mut document, &options, signer, contexts)?,
    }
    Ok(document.to_string())
}

fn document(input: &IssueInput<'_>) -> Result<Value> {
    let mut contexts = vec![CONTEXT_V2, CAREKEY_HEALTH_V1];
    if input.binding.is_some() {
        contexts.push(JWK_V1);
    }
    let mut subject = Map::new();
    subject.insert("id".into(), input.holder.as_str().into());
    subject.extend(input.claims.clone());
    let mut document = Map::new();
    document.insert("@context".into(), contexts.into());
    document.insert("type".into(), vec!["VerifiableCredential", input.kind].into());
    document.insert("issuer".into(), input.verification_method.did().as_str().into());
    document.insert("validFrom".into(), date_time::format(input.valid_from).into());
    document.insert("validUntil".into(), date_time::format(input.valid_until).into());
    if !input.status.is_empty() {
        let entries = input.status.iter().map(StatusEntry::to_value).collect::<Result<Vec<_>>>()?;
        document.insert("credentialStatus".into(), entries.into());
    }
    document.insert("credentialSubject".into(), subject.into());
    if let Some(claim) = input.binding {
        let members = binding::to_members(claim, input.holder.as_str())?;
        document.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(document.into())
}
