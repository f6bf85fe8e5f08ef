//! Reading and verifying secured credentials and presentations (VC-JOSE-COSE section 5).

use std::fmt;

use serde_json::{Map, Value};

use super::cose::UnverifiedSign1;
use super::envelope::Enveloped;
use super::{Content, EnvelopeType, Mechanism, require_algorithm, wrong_cty, wrong_typ};
use crate::clock::UnixTime;
use crate::credential::data_model;
use crate::credential::issuer_key::IssuerKeyReference;
use crate::credential::validity::Validity;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::format::sd_jwt_vc::key_binding::{KeyBindingCheck, VerifiedKeyBinding};
use crate::format::sd_jwt_vc::verify::{Timing, UnverifiedSdJwtVc};
use crate::jose::jwk::Jwk;
use crate::jose::jws::Header;
use crate::jose::jwt::UnverifiedJwt;
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::limits::Limits;

/// Claims that must stand in the payload itself. The members of [`super::issue::NEVER_SELECTIVE`] may be disclosed by
/// other issuers: the specification only recommends otherwise.
const NEVER_DISCLOSED: [&str; 4] = ["iss", "exp", "nbf", "cnf"];

#[derive(Clone)]
enum Secured {
    Jwt(Box<UnverifiedJwt>),
    SdJwt(Box<UnverifiedSdJwtVc>),
    Cose(UnverifiedSign1),
}

/// A secured credential or presentation that was read but not verified. `Debug` shows no claims.
#[derive(Clone)]
pub struct UnverifiedEnvelope {
    kind: EnvelopeType,
    secured: Secured,
    document: Map<String, Value>,
}

impl UnverifiedEnvelope {
    /// Reads `data`: compact text, or a COSE message.
    ///
    /// [`Error::Malformed`] `vc_jose_typ` (not the media type of `kind`), `vc_jose_cty`, `json_syntax` (text that is not
    /// UTF-8), and of [`UnverifiedJwt::parse`] and SD-JWT (`sd_jwt…`), `cose_sign1`, `cbor`; [`Error::Unsupported`]
    /// `jws_crit`, `cose_crit`, `alg_unsupported`; [`Error::Untrusted`] `alg_none`.
    pub fn parse(kind: EnvelopeType, data: &[u8], limits: &Limits) -> Result<Self> {
        let text = || {
            let wrong = |_| Error::malformed("json_syntax", "a JWT is text");
            std::str::from_utf8(data).map_err(wrong)
        };
        let (secured, document) = match kind.mechanism {
            Mechanism::Jwt => {
                let jwt = UnverifiedJwt::parse(text()?, limits)?;
                check_header(jwt.header(), kind)?;
                let document = jwt.claims().clone();
                (Secured::Jwt(Box::new(jwt)), document)
            }
            Mechanism::SdJwt => {
                let read = UnverifiedSdJwtVc::read(text()?, &NEVER_DISCLOSED, limits)?;
                check_header(read.header(), kind)?;
                let document = read.claims().clone();
                (Secured::SdJwt(Box::new(read)), document)
            }
            Mechanism::Cose => {
                let message = UnverifiedSign1::parse(data, kind, limits)?;
                let Value::Object(document) = json::parse(&message.payload, limits)? else {
                    return Err(Error::malformed("jwt_claims", "the payload is not a JSON object"));
                };
                (Secured::Cose(message), document)
            }
        };
        Ok(Self { kind, secured, document })
    }

    /// How it is secured.
    pub const fn kind(&self) -> EnvelopeType {
        self.kind
    }

    /// `kid`, as claimed: which key of the issuer or holder signed.
    pub fn key_id(&self) -> Option<&str> {
        match &self.secured {
            Secured::Jwt(jwt) => jwt.header().kid.as_deref(),
            Secured::SdJwt(read) => read.header().kid.as_deref(),
            Secured::Cose(message) => message.key_id.as_deref().and_then(|id| std::str::from_utf8(id).ok()),
        }
    }

    /// Where the issuer's key is found, as the header and `issuer` (or `iss`) say; errors of
    /// [`IssuerKeyReference::of`], and for COSE [`Error::Unsupported`] `issuer_key_reference`.
    pub fn issuer_key_reference(&self) -> Result<IssuerKeyReference> {
        let header = match &self.secured {
            Secured::Jwt(jwt) => jwt.header(),
            Secured::SdJwt(read) => read.header(),
            Secured::Cose(_) => {
                let detail = "the header of COSE does not tell whose key it is";
                return Err(Error::unsupported("issuer_key_reference", detail));
            }
        };
        IssuerKeyReference::of(header, self.signer())
    }

    /// `alg`, as claimed.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        match &self.secured {
            Secured::Jwt(jwt) => jwt.header().alg,
            Secured::SdJwt(read) => read.header().alg,
            Secured::Cose(message) => message.algorithm,
        }
    }

    /// The credential or presentation, as claimed.
    pub const fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Who secured it, as claimed: `issuer` of a credential, `holder` of a presentation, or `iss`.
    pub fn signer(&self) -> Option<&str> {
        party(&self.document, self.kind.content).or_else(|| self.document.get("iss").and_then(Value::as_str))
    }

    /// Verifies the signature, and that what was signed is a sound credential or presentation. **Time is not judged**
    /// ([`VerifiedEnvelope::check_time`]), nor whether `key` is the issuer's: that is how the caller found it.
    ///
    /// [`Error::Untrusted`] `alg_mismatch`, `signature_invalid`, `vc_jose_iss` (`iss` names somebody else than `issuer`
    /// or `holder`), `vc_jose_unsecured` (a presentation with a credential that is not enveloped);
    /// [`Error::Malformed`] `vc_jose_claim_name` (`vc` or `vp`), `kb_jwt_unexpected`, the errors of
    /// [`data_model::check_credential`] and of [`Enveloped::from_value`]; [`Error::Unsupported`] `alg_unsupported`.
    pub fn verify(self, key: &PublicKey) -> Result<VerifiedEnvelope> {
        if let Secured::SdJwt(read) = &self.secured
            && read.key_binding().is_some()
        {
            return Err(Error::malformed("kb_jwt_unexpected", "a Key Binding JWT was not expected"));
        }
        self.verify_signed(key)
    }

    /// As [`Self::verify`], for an SD-JWT that a holder presents: with a Key Binding JWT by the key in `cnf.jwk`.
    ///
    /// Besides: [`Error::Untrusted`] `kb_jwt_missing`, `holder_key_missing`, and the errors of key binding (`kb_jwt_…`).
    pub fn verify_bound(
        mut self,
        key: &PublicKey,
        timing: Timing,
        check: &KeyBindingCheck<'_>,
    ) -> Result<(VerifiedEnvelope, VerifiedKeyBinding)> {
        let bound = match &mut self.secured {
            Secured::SdJwt(read) => read.key_binding().cloned().map(|binding| (binding, read.sd_hash())),
            Secured::Jwt(_) | Secured::Cose(_) => None,
        };
        let (binding, sd_hash) =
            bound.ok_or_else(|| Error::untrusted("kb_jwt_missing", "the Key Binding JWT is missing"))?;
        let verified = self.verify_signed(key)?;
        let holder_key = verified.holder_key()?.ok_or_else(|| {
            Error::untrusted("holder_key_missing", "the credential names no key of its holder (cnf.jwk)")
        })?;
        let binding = binding.verify(&holder_key, &sd_hash, timing, check)?;
        Ok((verified, binding))
    }

    fn verify_signed(self, key: &PublicKey) -> Result<VerifiedEnvelope> {
        require_algorithm(key.algorithm())?;
        match &self.secured {
            Secured::Jwt(jwt) => jwt.check(key)?,
            Secured::SdJwt(read) => read.jwt.check(key)?,
            Secured::Cose(message) => message.check(key)?,
        }
        check_replicated(&self.document, self.kind.content)?;
        let (document, enveloped) = checked(self.document, self.kind.content)?;
        Ok(VerifiedEnvelope { kind: self.kind, document, enveloped })
    }
}

impl fmt::Debug for UnverifiedEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("UnverifiedEnvelope");
        out.field("kind", &self.kind).field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

/// A credential or presentation whose signature holds under the key that was given. `Debug` shows no claims.
#[derive(Clone)]
pub struct VerifiedEnvelope {
    kind: EnvelopeType,
    document: Value,
    enveloped: Vec<Enveloped>,
}

impl VerifiedEnvelope {
    /// How it was secured.
    pub const fn kind(&self) -> EnvelopeType {
        self.kind
    }

    /// The credential or presentation, with claims that were signed beside it. Of an SD-JWT, what is disclosed.
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// The credentials of a presentation, still to be verified by their own issuers' keys.
    pub fn credentials(&self) -> &[Enveloped] {
        &self.enveloped
    }

    /// `issuer` of a credential, `holder` of a presentation.
    pub fn signer(&self) -> Option<&str> {
        self.document.as_object().and_then(|document| party(document, self.kind.content))
    }

    /// The key in `cnf.jwk`; [`Error::Malformed`] of [`Jwk::public_key`].
    pub fn holder_key(&self) -> Result<Option<PublicKey>> {
        self.document.pointer("/cnf/jwk").map(|jwk| Jwk::from_value(jwk)?.public_key()).transpose()
    }

    /// Checks that it counts at `now`, give or take `skew` seconds: `iat`, `nbf` and `exp` of the signature, and the
    /// period of a credential (section 3.1.3 keeps them apart).
    ///
    /// [`Error::NotCurrent`] `credential_expired`, `credential_not_yet_valid`, `credential_issued_in_future`;
    /// [`Error::Malformed`] `jwt_claim` when one of the claims is not a number of seconds.
    pub fn check_time(&self, now: UnixTime, skew: i64) -> Result<()> {
        if let Some(claims) = self.document.as_object() {
            Validity::from_claims(claims)?.check(now, skew)?;
        }
        match self.kind.content {
            Content::Credential => data_model::check_time(&self.document, now, skew),
            Content::Presentation => Ok(()),
        }
    }
}

impl fmt::Debug for VerifiedEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedEnvelope").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn check_header(header: &Header, kind: EnvelopeType) -> Result<()> {
    require_algorithm(header.alg)?;
    if !header.has_typ(kind.typ()) {
        return Err(wrong_typ());
    }
    match header.others.get("cty") {
        None => Ok(()),
        Some(Value::String(cty)) => {
            let short = cty.to_ascii_lowercase();
            match short.strip_prefix("application/").unwrap_or(&short) == kind.content.as_str() {
                true => Ok(()),
                false => Err(wrong_cty()),
            }
        }
        Some(_) => Err(wrong_cty()),
    }
}

/// `issuer` or `holder`: the text, or the `id` of the object.
fn party(document: &Map<String, Value>, content: Content) -> Option<&str> {
    let party = match content {
        Content::Credential => document.get("issuer"),
        Content::Presentation => document.get("holder"),
    }?;
    party.as_str().or_else(|| party.get("id").and_then(Value::as_str))
}

/// What VC-JOSE-COSE demands of claims: no `vc` and `vp` (section 3.1.3), and `iss` equal to issuer or holder
/// (section 4.1.2).
pub(super) fn check_replicated(document: &Map<String, Value>, content: Content) -> Result<()> {
    if document.contains_key("vc") || document.contains_key("vp") {
        return Err(Error::malformed("vc_jose_claim_name", "the claims vc and vp must not be present"));
    }
    match (document.get("iss"), party(document, content)) {
        (None, _) => Ok(()),
        (Some(Value::String(_)), None) => Ok(()),
        (Some(Value::String(iss)), Some(party)) if iss == party => Ok(()),
        _ => Err(Error::untrusted("vc_jose_iss", "iss names somebody else than the document does")),
    }
}

/// The data model, and that every credential of a presentation is secured by an envelope (sections 3.1.2, 3.2.2, 3.3.2).
pub(super) fn check_document(document: &Map<String, Value>, content: Content) -> Result<()> {
    checked(document.clone(), content).map(|_| ())
}

fn checked(document: Map<String, Value>, content: Content) -> Result<(Value, Vec<Enveloped>)> {
    let document = Value::Object(document);
    if data_model::version(&document)? != data_model::Version::V2 {
        let detail = "VC-JOSE-COSE secures VCDM 2.0 only";
        return Err(Error::unsupported("vc_jose_version", detail));
    }
    if content == Content::Credential {
        data_model::check_credential(&document)?;
        return Ok((document, Vec::new()));
    }
    let credentials = match document.get("verifiableCredential") {
        None => &[][..],
        Some(Value::Array(items)) => items,
        Some(one) => std::slice::from_ref(one),
    };
    if credentials.iter().any(|item| item.is_object() && !data_model::is_enveloped(item)) {
        let detail = "a credential of the presentation is not secured by an envelope";
        return Err(Error::untrusted("vc_jose_unsecured", detail));
    }
    data_model::check_presentation(&document)?;
    let enveloped = credentials.iter().map(|item| Enveloped::from_value(item, Content::Credential));
    let enveloped = enveloped.collect::<Result<Vec<_>>>()?;
    Ok((document, enveloped))
}
