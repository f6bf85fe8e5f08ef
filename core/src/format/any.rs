//! One set of verbs for every credential format that travels over OpenID4VCI and OpenID4VP: read, verify what an issuer
//! hands out, choose what leaves, draft a presentation, verify a presentation.
//!
//! Issuer, wallet and verifier use these; what a format needs of its own stays in its folder.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::credential::claims::ClaimPath;
use crate::credential::issuer_key::{IssuerKey, IssuerKeyReference};
use crate::credential::validity::Validity;
use crate::error::{Error, Result};
use crate::format::sd_jwt_vc::key_binding::{
    KeyBindingCheck, KeyBindingDraft, KeyBindingInput, TransactionDataHashes,
};
use crate::format::sd_jwt_vc::present::Presentation as SdJwtPresentation;
use crate::format::sd_jwt_vc::verify::{
    Timing, UnverifiedSdJwtVc, VerifiedPresentation as BoundSdJwtVc, VerifiedSdJwtVc,
};
use crate::format::w3c::credential::BASE_TYPE;
use crate::format::w3c::{UnverifiedW3cVc, UnverifiedW3cVp, VerifiedW3cVp, present};
use crate::jose::jwk::Jwk;
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::limits::Limits;
use crate::random::Random;
use crate::status::bitstring_status_list::StatusEntry;
use crate::status::reference::StatusReference;

/// Claim of an SD-JWT VC that holds the biometric binding.
const BINDING_CLAIM: &str = "webauthn_binding";
/// Claim of a key-binding JWT that holds a WebAuthn assertion.
const ASSERTION_CLAIM: &str = "webauthn_assertion";

/// A credential as a wallet holds it or an issuer hands it out, read but not verified. `Debug` shows no claims.
#[derive(Debug, Clone)]
pub enum UnverifiedCredential {
    /// `dc+sd-jwt`.
    SdJwtVc(Box<UnverifiedSdJwtVc>),
    /// `ldp_vc` and `jwt_vc_json`.
    W3c(Box<UnverifiedW3cVc>),
}

/// Where the status of a credential is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusNamed {
    /// Nowhere.
    Nowhere,
    /// In a token status list.
    Token(StatusReference),
    /// In bitstring status lists, one per entry.
    Bitstring(Vec<StatusEntry>),
}

/// What the holder states about one presentation, whatever its format.
#[derive(Debug, Clone)]
pub struct Statement<'a> {
    /// The verifier: `aud`, or `domain` of a Data Integrity proof.
    pub audience: &'a str,
    /// The verifier's nonce: `nonce`, or `challenge`.
    pub nonce: &'a str,
    /// `iat`, or `created`.
    pub issued_at: UnixTime,
    /// `exp`, or `expires`.
    pub expires_at: Option<UnixTime>,
    /// The transaction data that is approved, if any was sent.
    pub transaction_data: Option<&'a TransactionDataHashes>,
    /// `jti` of a key-binding JWT; other formats have none.
    pub jti: Option<String>,
    /// `authentication_factors`: the wallet's own word about the approval.
    pub factors: Option<Value>,
    /// The WebAuthn assertion over [`Presentation::content_hash`].
    pub assertion: Option<Value>,
}

impl UnverifiedCredential {
    /// Reads a credential; errors of [`UnverifiedSdJwtVc::parse`] and [`UnverifiedW3cVc::parse`].
    pub fn parse(format: CredentialFormat, text: &str, limits: &Limits) -> Result<Self> {
        match format {
            CredentialFormat::DcSdJwt => Ok(Self::SdJwtVc(Box::new(UnverifiedSdJwtVc::parse(text, limits)?))),
            format => Ok(Self::W3c(Box::new(UnverifiedW3cVc::parse(format, text, limits)?))),
        }
    }

    /// `vct`, or the expanded types of a W3C credential, the base type included.
    pub fn types(&self) -> Vec<&str> {
        match self {
            Self::SdJwtVc(read) => vec![read.vct()],
            Self::W3c(read) => w3c_types(read),
        }
    }

    /// The types that an issuer must be trusted for: all but the base type of W3C credentials.
    pub fn own_types(&self) -> Vec<&str> {
        own(self.types())
    }

    /// `iss` or `issuer`, as claimed.
    pub fn iss(&self) -> Option<&str> {
        match self {
            Self::SdJwtVc(read) => read.iss(),
            Self::W3c(read) => Some(read.issuer()),
        }
    }

    /// Where claims paths begin (OpenID4VP 1.0 section 7 and appendix B.1.2): the payload, or the W3C credential.
    pub fn claims(&self) -> &Map<String, Value> {
        match self {
            Self::SdJwtVc(read) => read.claims(),
            Self::W3c(read) => read.document(),
        }
    }

    /// The claims about the person, with the biometric binding, in the shape of an SD-JWT VC: what a wallet shows of a
    /// credential that it holds.
    pub fn person_claims(&self) -> Map<String, Value> {
        match self {
            Self::SdJwtVc(read) => read.claims().clone(),
            Self::W3c(read) => {
                let mut claims = read.subject().cloned().unwrap_or_default();
                claims.remove("id");
                claims.extend(read.webauthn_binding().map(|binding| (BINDING_CLAIM.to_owned(), binding)));
                claims
            }
        }
    }

    /// Where the issuer's key is found.
    ///
    /// Errors of [`IssuerKeyReference::of`].
    pub fn issuer_key_reference(&self) -> Result<IssuerKeyReference> {
        match self {
            Self::SdJwtVc(read) => read.issuer_key_reference(),
            Self::W3c(read) => read.issuer_key_reference(),
        }
    }

    /// HK: the key that the credential is bound to, as claimed.
    ///
    /// `holder_key_missing`; errors of [`Jwk::public_key`] and [`UnverifiedW3cVc::holder`].
    pub fn holder_key(&self) -> Result<PublicKey> {
        match self {
            Self::SdJwtVc(read) => {
                let jwk = read.claims().get("cnf").and_then(|cnf| cnf.get("jwk"));
                let missing =
                    || Error::malformed("holder_key_missing", "the credential names no key of its holder");
                Jwk::from_value(jwk.ok_or_else(missing)?)?.public_key()
            }
            Self::W3c(read) => Ok(read.holder()?.1),
        }
    }

    /// The biometric binding, in the form of the claim `webauthn_binding`, if the credential shows one.
    pub fn webauthn_binding(&self) -> Option<Value> {
        match self {
            Self::SdJwtVc(read) => read.claims().get(BINDING_CLAIM).cloned(),
            Self::W3c(read) => read.webauthn_binding(),
        }
    }

    /// Whether the holder can leave claims out.
    pub fn is_selective(&self) -> bool {
        match self {
            Self::SdJwtVc(_) => true,
            Self::W3c(read) => read.is_selective(),
        }
    }

    /// Verifies signature and time of a credential that its issuer hands out; the issuer's name and the credential's
    /// period. Status is not checked.
    ///
    /// Errors of [`UnverifiedSdJwtVc::verify_issued`] and [`UnverifiedW3cVc::verify_issued`].
    pub fn verify_issued(self, key: &IssuerKey, timing: Timing) -> Result<(String, Validity)> {
        match self {
            Self::SdJwtVc(read) => {
                let verified = read.verify_issued(key, timing)?;
                Ok((verified.issuer().to_owned(), verified.validity()))
            }
            Self::W3c(read) => {
                let verified = read.verify_issued(key, timing)?;
                Ok((verified.credential().issuer().to_owned(), verified.validity()))
            }
        }
    }

    /// What leaves for the claims at `paths`; of a format without selective disclosure, everything.
    ///
    /// Errors of [`UnverifiedSdJwtVc::present`] and [`UnverifiedW3cVc::present`].
    pub fn present(&self, paths: &[ClaimPath], random: &dyn Random) -> Result<Presentation> {
        match self {
            Self::SdJwtVc(read) => Ok(Presentation::SdJwtVc(read.present(paths)?)),
            Self::W3c(read) => Ok(Presentation::W3c(Box::new(read.present(paths, random)?))),
        }
    }
}

/// The part of a credential that will leave. `Debug` shows no claims.
#[derive(Debug, Clone)]
pub enum Presentation {
    /// An SD-JWT with some of its disclosures.
    SdJwtVc(SdJwtPresentation),
    /// A W3C credential, whole or derived.
    W3c(Box<present::Presentation>),
}

impl Presentation {
    /// What leaves: what to show before the person agrees.
    pub fn claims(&self) -> &Map<String, Value> {
        match self {
            Self::SdJwtVc(leaves) => leaves.claims(),
            Self::W3c(leaves) => leaves.claims(),
        }
    }

    /// What a WebAuthn assertion commits to: `sd_hash`, or the digest of the W3C presentation with everything that
    /// `statement` says but the assertion.
    ///
    /// Errors of [`present::Presentation::content_hash`].
    pub fn content_hash(&self, statement: &Statement<'_>) -> Result<String> {
        match self {
            Self::SdJwtVc(leaves) => Ok(leaves.sd_hash()),
            Self::W3c(leaves) => leaves.content_hash(statement),
        }
    }

    /// The presentation, to be signed by the holder's key, which is of P-256.
    ///
    /// Errors of [`SdJwtPresentation::bind`] and [`present::Presentation::draft`].
    pub fn draft(self, statement: &Statement<'_>) -> Result<Draft> {
        let leaves = match self {
            Self::W3c(leaves) => return Ok(Draft::W3c(leaves.draft(statement)?)),
            Self::SdJwtVc(leaves) => leaves,
        };
        let mut extra = Map::new();
        extra.extend(statement.jti.clone().map(|jti| ("jti".to_owned(), jti.into())));
        extra.extend(statement.factors.clone().map(|value| ("authentication_factors".to_owned(), value)));
        extra.extend(statement.assertion.clone().map(|value| (ASSERTION_CLAIM.to_owned(), value)));
        let input = KeyBindingInput {
            audience: statement.audience,
            nonce: statement.nonce,
            issued_at: statement.issued_at,
            expires_at: statement.expires_at,
            transaction_data: statement.transaction_data,
            extra,
        };
        Ok(Draft::SdJwtVc(leaves.bind(SignatureAlgorithm::Es256, input)?))
    }
}

/// A presentation that lacks only the signature of the holder's key.
#[derive(Debug, Clone)]
pub enum Draft {
    /// An SD-JWT+KB.
    SdJwtVc(KeyBindingDraft),
    /// A W3C presentation.
    W3c(present::Draft),
}

impl Draft {
    /// The bytes that the holder's key signs.
    pub fn signing_input(&self) -> Vec<u8> {
        match self {
            Self::SdJwtVc(draft) => draft.signing_input().to_vec(),
            Self::W3c(draft) => draft.signing_input(),
        }
    }

    /// The presentation as text; `signature` as JOSE has it (r‖s). Errors of [`present::Draft::assemble`].
    pub fn assemble(self, signature: &[u8]) -> Result<String> {
        match self {
            Self::SdJwtVc(draft) => Ok(draft.assemble(signature)),
            Self::W3c(draft) => draft.assemble(signature),
        }
    }
}

/// One presentation, read but not verified. `Debug` shows no claims.
#[derive(Debug, Clone)]
pub enum UnverifiedPresented {
    /// An SD-JWT+KB.
    SdJwtVc(Box<UnverifiedSdJwtVc>),
    /// A W3C presentation of one credential.
    W3c(Box<UnverifiedW3cVp>),
}

impl UnverifiedPresented {
    /// Reads a presentation; errors of [`UnverifiedSdJwtVc::parse`] and [`UnverifiedW3cVp::parse`].
    pub fn parse(format: CredentialFormat, text: &str, limits: &Limits) -> Result<Self> {
        match format {
            CredentialFormat::DcSdJwt => Ok(Self::SdJwtVc(Box::new(UnverifiedSdJwtVc::parse(text, limits)?))),
            format => Ok(Self::W3c(Box::new(UnverifiedW3cVp::parse(format, text, limits)?))),
        }
    }

    /// The format.
    pub fn format(&self) -> CredentialFormat {
        match self {
            Self::SdJwtVc(_) => CredentialFormat::DcSdJwt,
            Self::W3c(read) => read.credential().format(),
        }
    }

    /// As [`UnverifiedCredential::types`].
    pub fn types(&self) -> Vec<&str> {
        match self {
            Self::SdJwtVc(read) => vec![read.vct()],
            Self::W3c(read) => w3c_types(read.credential()),
        }
    }

    /// As [`UnverifiedCredential::own_types`].
    pub fn own_types(&self) -> Vec<&str> {
        own(self.types())
    }

    /// `iss` or `issuer`, as claimed.
    pub fn iss(&self) -> Option<&str> {
        match self {
            Self::SdJwtVc(read) => read.iss(),
            Self::W3c(read) => Some(read.credential().issuer()),
        }
    }

    /// Where the issuer's key is found; errors of [`IssuerKeyReference::of`].
    pub fn issuer_key_reference(&self) -> Result<IssuerKeyReference> {
        match self {
            Self::SdJwtVc(read) => read.issuer_key_reference(),
            Self::W3c(read) => read.credential().issuer_key_reference(),
        }
    }

    /// Where the status is published, as claimed; errors of [`StatusReference::from_claims`] and
    /// [`StatusEntry::of_credential`].
    pub fn status(&self) -> Result<StatusNamed> {
        match self {
            Self::SdJwtVc(read) => {
                Ok(read.status_reference()?.map_or(StatusNamed::Nowhere, StatusNamed::Token))
            }
            Self::W3c(read) => w3c_status(read.credential()),
        }
    }

    /// Whether a holder's proof came with it. A W3C presentation cannot be read without.
    pub fn has_holder_proof(&self) -> bool {
        match self {
            Self::SdJwtVc(read) => read.key_binding().is_some(),
            Self::W3c(_) => true,
        }
    }

    /// The hashes of the transaction data that the holder approves, as claimed.
    pub fn transaction_data_hashes(&self) -> Option<&Value> {
        match self {
            Self::SdJwtVc(read) => read.key_binding()?.claims().get("transaction_data_hashes"),
            Self::W3c(read) => read.transaction_data_hashes(),
        }
    }

    /// For whom the holder made it, as claimed.
    pub fn claimed_audience(&self) -> Option<&str> {
        match self {
            Self::SdJwtVc(read) => read.key_binding()?.claims().get("aud")?.as_str(),
            Self::W3c(read) => read.claimed_audience(),
        }
    }

    /// Verifies the credential by its issuer's key alone, of an SD-JWT VC that came without a holder's proof: whoever
    /// sent it may have it from somebody else.
    ///
    /// Errors of [`UnverifiedSdJwtVc::verify_credential`]; [`Error::Unsupported`] `dcql_holder_binding` for other formats.
    pub fn verify_unbound(self, issuer: &IssuerKey, timing: Timing) -> Result<VerifiedPresented> {
        match self {
            Self::SdJwtVc(read) => {
                Ok(VerifiedPresented::Unbound(Box::new(read.verify_credential(issuer, timing)?)))
            }
            Self::W3c(_) => {
                let detail = "a W3C presentation without the holder's proof is not taken";
                Err(Error::unsupported("dcql_holder_binding", detail))
            }
        }
    }

    /// Verifies the credential by its issuer's key and the presentation by the holder's.
    ///
    /// Errors of [`UnverifiedSdJwtVc::verify_presentation`] and [`UnverifiedW3cVp::verify`].
    pub fn verify(
        self,
        issuer: &IssuerKey,
        timing: Timing,
        check: &KeyBindingCheck<'_>,
    ) -> Result<VerifiedPresented> {
        match self {
            Self::SdJwtVc(read) => {
                Ok(VerifiedPresented::SdJwtVc(Box::new(read.verify_presentation(issuer, timing, check)?)))
            }
            Self::W3c(read) => Ok(VerifiedPresented::W3c(Box::new(read.verify(issuer, timing, check)?))),
        }
    }
}

/// A verified credential, presented by the holder of its key, but for [`Self::Unbound`]. Its status was **not** checked.
/// `Debug` shows no claims.
#[derive(Debug, Clone)]
pub enum VerifiedPresented {
    /// An SD-JWT+KB.
    SdJwtVc(Box<BoundSdJwtVc>),
    /// A W3C presentation of one credential.
    W3c(Box<VerifiedW3cVp>),
    /// An SD-JWT VC without the holder's proof.
    Unbound(Box<VerifiedSdJwtVc>),
}

impl VerifiedPresented {
    /// Whether the holder proved the key that the credential names.
    pub fn is_holder_bound(&self) -> bool {
        !matches!(self, Self::Unbound(_))
    }

    /// As [`UnverifiedCredential::claims`]: what is disclosed.
    pub fn claims(&self) -> &Map<String, Value> {
        match self {
            Self::SdJwtVc(bound) => bound.credential().claims(),
            Self::Unbound(credential) => credential.claims(),
            Self::W3c(bound) => bound.credential().credential().document(),
        }
    }

    /// The claims about the subject: of a W3C credential `credentialSubject` without its `id`, of an SD-JWT VC all that
    /// is disclosed.
    pub fn subject(&self) -> Map<String, Value> {
        match self {
            Self::SdJwtVc(bound) => bound.credential().claims().clone(),
            Self::Unbound(credential) => credential.claims().clone(),
            Self::W3c(bound) => {
                let mut subject = bound.credential().credential().subject().cloned().unwrap_or_default();
                subject.remove("id");
                subject
            }
        }
    }

    /// As [`UnverifiedCredential::own_types`].
    pub fn own_types(&self) -> Vec<&str> {
        match self {
            Self::SdJwtVc(bound) => vec![bound.credential().vct()],
            Self::Unbound(credential) => vec![credential.vct()],
            Self::W3c(bound) => own(w3c_types(bound.credential().credential())),
        }
    }

    /// Who issued it.
    pub fn issuer(&self) -> &str {
        match self {
            Self::SdJwtVc(bound) => bound.credential().issuer(),
            Self::Unbound(credential) => credential.issuer(),
            Self::W3c(bound) => bound.credential().credential().issuer(),
        }
    }

    /// When the credential counts.
    pub fn validity(&self) -> Validity {
        match self {
            Self::SdJwtVc(bound) => bound.credential().validity(),
            Self::Unbound(credential) => credential.validity(),
            Self::W3c(bound) => bound.credential().validity(),
        }
    }

    /// Where its status is published; errors of [`StatusEntry::of_credential`].
    pub fn status(&self) -> Result<StatusNamed> {
        match self {
            Self::SdJwtVc(bound) => {
                Ok(bound.credential().status().cloned().map_or(StatusNamed::Nowhere, StatusNamed::Token))
            }
            Self::Unbound(credential) => {
                Ok(credential.status().cloned().map_or(StatusNamed::Nowhere, StatusNamed::Token))
            }
            Self::W3c(bound) => w3c_status(bound.credential().credential()),
        }
    }

    /// HK.
    pub fn holder_key(&self) -> Option<&PublicKey> {
        match self {
            Self::SdJwtVc(bound) => bound.credential().holder_key(),
            Self::Unbound(credential) => credential.holder_key(),
            Self::W3c(bound) => Some(bound.holder_key()),
        }
    }

    /// What the holder signed, in the names of the claims of a key-binding JWT.
    pub fn statements(&self) -> &Map<String, Value> {
        match self {
            Self::SdJwtVc(bound) => bound.key_binding().claims(),
            Self::Unbound(_) => {
                static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
                &NOTHING
            }
            Self::W3c(bound) => bound.statements(),
        }
    }

    /// The transaction data that was approved, if any was sent.
    pub fn transaction_data(&self) -> Option<&TransactionDataHashes> {
        match self {
            Self::SdJwtVc(bound) => bound.key_binding().transaction_data(),
            Self::Unbound(_) => None,
            Self::W3c(bound) => bound.transaction_data(),
        }
    }

    /// As [`UnverifiedCredential::webauthn_binding`].
    pub fn webauthn_binding(&self) -> Option<Value> {
        match self {
            Self::SdJwtVc(bound) => bound.credential().claims().get(BINDING_CLAIM).cloned(),
            Self::Unbound(credential) => credential.claims().get(BINDING_CLAIM).cloned(),
            Self::W3c(bound) => bound.credential().credential().webauthn_binding(),
        }
    }

    /// As [`Presentation::content_hash`].
    pub fn content_hash(&self) -> &str {
        match self {
            Self::SdJwtVc(bound) => bound.credential().sd_hash(),
            Self::Unbound(credential) => credential.sd_hash(),
            Self::W3c(bound) => bound.content_hash(),
        }
    }
}

fn w3c_types(read: &UnverifiedW3cVc) -> Vec<&str> {
    read.types().iter().map(String::as_str).collect()
}

fn own(mut types: Vec<&str>) -> Vec<&str> {
    types.retain(|name| *name != BASE_TYPE);
    types
}

fn w3c_status(read: &UnverifiedW3cVc) -> Result<StatusNamed> {
    let entries = read.status_entries()?;
    Ok(if entries.is_empty() { StatusNamed::Nowhere } else { StatusNamed::Bitstring(entries) })
}
