//! Reading and verifying SD-JWT VCs (RFC 9901 section 7; draft-ietf-oauth-sd-jwt-vc "Verification and Processing").

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::disclosure::{DigestAlgorithm, Disclosure};
use super::key_binding::{KeyBindingCheck, UnverifiedKeyBinding, VerifiedKeyBinding};
use super::process::Tree;
use super::{LEGACY_TYP, NEVER_SELECTIVE, TYP};
use crate::clock::UnixTime;
use crate::credential::issuer_key::{IssuerKey, IssuerKeyReference};
use crate::credential::validity::Validity;
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::jose::jws::Header;
use crate::jose::jwt::UnverifiedJwt;
use crate::key::PublicKey;
use crate::limits::Limits;
use crate::status::reference::StatusReference;

/// The time of a check.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The time.
    pub now: UnixTime,
    /// Seconds that clocks may differ.
    pub skew: i64,
}

/// An SD-JWT VC, with or without Key Binding JWT, that was read but not verified.
///
/// Its structure is sound: every rule of RFC 9901 that needs no key holds. `Debug` shows no claims.
#[derive(Clone)]
pub struct UnverifiedSdJwtVc {
    pub(in crate::format) jwt: UnverifiedJwt,
    algorithm: DigestAlgorithm,
    disclosures: Vec<Disclosure>,
    claims: Map<String, Value>,
    key_binding: Option<UnverifiedKeyBinding>,
    max_depth: usize,
}

impl UnverifiedSdJwtVc {
    /// Reads the compact serialization (RFC 9901 section 4) and processes the disclosures (section 7.1 steps 1 and 3 to
    /// 5).
    ///
    /// [`Error::Malformed`] `token_too_large`, `sd_jwt` (no `~`, an empty part), `sd_jwt_too_many_disclosures`,
    /// `sd_jwt_vc_typ`, `sd_jwt_vc_claims` (`vct` missing, or a registered claim of the wrong type), and the errors of
    /// [`UnverifiedJwt::parse`], [`DigestAlgorithm::of_payload`], [`Disclosure::parse`], and of processing:
    /// `sd_jwt_duplicate_disclosure`, `sd_jwt_duplicate_digest`, `sd_jwt_unreferenced_disclosure`,
    /// `sd_jwt_disclosure_kind`, `sd_jwt_claim_collision`, `sd_jwt_reserved_name`, `sd_jwt_too_deep`,
    /// `sd_jwt_vc_never_selective`.
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        let read = Self::read(compact, &NEVER_SELECTIVE, limits)?;
        let header = read.jwt.header();
        if !header.has_typ(TYP) && !header.has_typ(LEGACY_TYP) {
            return Err(Error::malformed("sd_jwt_vc_typ", "typ is not dc+sd-jwt"));
        }
        let claims = read.jwt.claims();
        if claims.get("vct").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(bad_claims("vct is missing or not text"));
        }
        if claims.get("iss").is_some_and(|iss| !iss.is_string()) {
            return Err(bad_claims("iss is not text"));
        }
        if claims.get("vct#integrity").is_some_and(|integrity| !integrity.is_string()) {
            return Err(bad_claims("vct#integrity is not text"));
        }
        if claims.get("aka_vcts").is_some_and(|types| !sound_types(types, claims.get("vct"))) {
            return Err(bad_claims("aka_vcts is not a list of further types"));
        }
        Ok(read)
    }

    /// Reads any SD-JWT, of whatever type: what RFC 9901 alone demands.
    pub(in crate::format) fn read(compact: &str, never_selective: &[&str], limits: &Limits) -> Result<Self> {
        if compact.len() > limits.token_bytes {
            return Err(Error::malformed("token_too_large", "the SD-JWT is longer than allowed"));
        }
        // 1. Separate the parts.
        let (sd_jwt, key_binding) =
            compact.rsplit_once('~').ok_or_else(|| malformed("there is no ~ in the SD-JWT"))?;
        let mut parts = sd_jwt.split('~');
        let jwt = UnverifiedJwt::parse(parts.next().unwrap_or_default(), limits)?;
        // 2.5 The digest algorithm.
        let algorithm = DigestAlgorithm::of_payload(jwt.claims())?;
        // 3. The disclosures.
        let count = parts.clone().count();
        if count > limits.disclosures {
            return Err(Error::malformed(
                "sd_jwt_too_many_disclosures",
                "there are more disclosures than allowed",
            ));
        }
        let mut disclosures = Vec::with_capacity(count);
        for part in parts {
            if part.is_empty() {
                return Err(malformed("a disclosure is empty"));
            }
            disclosures.push(Disclosure::parse(part, algorithm, limits)?);
        }
        let key_binding = match key_binding.is_empty() {
            true => None,
            false => Some(UnverifiedKeyBinding::parse(key_binding, limits)?),
        };
        let max_depth = limits.json_depth;
        let claims = Tree::new(jwt.claims(), &disclosures)?.processed(never_selective, max_depth)?;
        Ok(Self { jwt, algorithm, disclosures, claims, key_binding, max_depth })
    }

    /// The header of the issuer-signed JWT.
    pub fn header(&self) -> &Header {
        self.jwt.header()
    }

    /// `iss`, as claimed.
    pub fn iss(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// `vct`, as claimed.
    pub fn vct(&self) -> &str {
        self.claims.get("vct").and_then(Value::as_str).unwrap_or_default()
    }

    /// The processed payload, as claimed: everything that is disclosed.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The disclosures, in the order they came.
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// `_sd_alg`.
    pub const fn digest_algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The SD-JWT without Key Binding JWT: issuer-signed JWT and disclosures, a `~` behind each.
    pub fn sd_jwt(&self) -> String {
        self.parts().collect()
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let parts =
            std::iter::once(self.jwt.as_str()).chain(self.disclosures.iter().map(Disclosure::encoded));
        parts.flat_map(|part| [part, "~"])
    }

    /// The Key Binding JWT, when one came with it.
    pub const fn key_binding(&self) -> Option<&UnverifiedKeyBinding> {
        self.key_binding.as_ref()
    }

    /// Where the issuer's key is to be found; errors of [`IssuerKeyReference::of`].
    pub fn issuer_key_reference(&self) -> Result<IssuerKeyReference> {
        IssuerKeyReference::of(self.header(), self.iss())
    }

    /// Where the status is to be found; errors of [`StatusReference::from_claims`].
    pub fn status_reference(&self) -> Result<Option<StatusReference>> {
        StatusReference::from_claims(&self.claims)
    }

    /// Base64url digest of [`Self::sd_jwt`] (RFC 9901 section 4.3.1).
    pub fn sd_hash(&self) -> String {
        self.algorithm.digest_of(self.parts())
    }

    pub(super) fn tree(&self) -> Result<Tree<'_>> {
        Tree::new(self.jwt.claims(), &self.disclosures)
    }

    pub(super) fn tree_of<'a>(&'a self, disclosures: &'a [Disclosure]) -> Result<Tree<'a>> {
        Tree::new(self.jwt.claims(), disclosures)
    }

    pub(super) const fn max_depth(&self) -> usize {
        self.max_depth
    }

    pub(super) fn issuer_jwt(&self) -> &str {
        self.jwt.as_str()
    }

    /// Verifies what a holder received from an issuer (RFC 9901 section 7.2): as [`Self::verify_credential`], and
    /// without Key Binding JWT ([`Error::Malformed`] `kb_jwt_unexpected`).
    pub fn verify_issued(self, issuer_key: &IssuerKey, timing: Timing) -> Result<VerifiedSdJwtVc> {
        if self.key_binding.is_some() {
            return Err(Error::malformed(
                "kb_jwt_unexpected",
                "an issued credential carries no Key Binding JWT",
            ));
        }
        self.verify_credential(issuer_key, timing)
    }

    /// Verifies the issuer's part alone (RFC 9901 section 7.1). **Nothing is said about who presents it**: a Key
    /// Binding JWT is neither demanded nor looked at.
    ///
    /// [`Error::Untrusted`] `issuer_mismatch`, `alg_mismatch`, `credential_signature_invalid`;
    /// [`Error::NotCurrent`] `credential_expired`, `credential_not_yet_valid`, `credential_issued_in_future`;
    /// [`Error::Malformed`] `status_claim`, `sd_jwt_vc_cnf`, or of the key; [`Error::Unsupported`] `status_mechanism`.
    pub fn verify_credential(self, issuer_key: &IssuerKey, timing: Timing) -> Result<VerifiedSdJwtVc> {
        // 2.2, 2.3 Signature by a key of this issuer.
        issuer_key.require(self.iss())?;
        self.jwt.check(issuer_key.key()).map_err(|error| relabel(error, "credential_signature_invalid"))?;
        // 6. Times; and what others will rely on has the right shape.
        let validity = Validity::from_claims(&self.claims)?;
        validity.check(timing.now, timing.skew)?;
        let status = StatusReference::from_claims(&self.claims)?;
        let holder_key = self.claims.get("cnf").map(holder_key).transpose()?.flatten();
        let sd_hash = OnceLock::new();
        Ok(VerifiedSdJwtVc {
            issuer: issuer_key.issuer().to_owned(),
            validity,
            status,
            holder_key,
            sd_hash,
            read: self,
        })
    }

    /// Verifies a presentation (RFC 9901 section 7.3): the issuer's part as [`Self::verify_credential`], and the Key
    /// Binding JWT by the key in `cnf`.
    ///
    /// Besides: [`Error::Untrusted`] `kb_jwt_missing`, `holder_key_missing`, and the errors of
    /// the checks of [`KeyBindingCheck`] (`kb_jwt_…`).
    pub fn verify_presentation(
        mut self,
        issuer_key: &IssuerKey,
        timing: Timing,
        check: &KeyBindingCheck<'_>,
    ) -> Result<VerifiedPresentation> {
        let key_binding = self.key_binding.take();
        let key_binding = key_binding
            .ok_or_else(|| Error::untrusted("kb_jwt_missing", "the Key Binding JWT is missing"))?;
        let credential = self.verify_credential(issuer_key, timing)?;
        let holder_key = credential.holder_key().ok_or_else(|| {
            Error::untrusted("holder_key_missing", "the credential names no key of its holder (cnf.jwk)")
        })?;
        let key_binding = key_binding.verify(holder_key, credential.sd_hash(), timing, check)?;
        Ok(VerifiedPresentation { credential, key_binding })
    }
}

impl fmt::Debug for UnverifiedSdJwtVc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("UnverifiedSdJwtVc");
        out.field("header", self.header()).field("vct", &self.vct());
        out.field("disclosures", &self.disclosures.len()).finish_non_exhaustive()
    }
}

/// The key in `cnf`; `None` when `cnf` names it in another way than `jwk`.
fn holder_key(cnf: &Value) -> Result<Option<PublicKey>> {
    if !cnf.is_object() {
        return Err(Error::malformed("sd_jwt_vc_cnf", "cnf is not an object"));
    }
    cnf.get("jwk").map(|jwk| Jwk::from_value(jwk)?.public_key()).transpose()
}

fn sound_types(types: &Value, vct: Option<&Value>) -> bool {
    types.as_array().is_some_and(|types| {
        !types.is_empty() && types.iter().all(|other| other.is_string() && Some(other) != vct)
    })
}

/// `error` under another code, where its own only says that a signature does not hold.
pub(super) fn relabel(error: Error, code: &'static str) -> Error {
    match error {
        Error::Untrusted { code: "signature_invalid", detail } => Error::Untrusted { code, detail },
        other => other,
    }
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("sd_jwt", detail)
}

fn bad_claims(detail: &'static str) -> Error {
    Error::malformed("sd_jwt_vc_claims", detail)
}

/// An SD-JWT VC that its issuer signed and that is within its time. Its status was **not** checked.
#[derive(Clone)]
pub struct VerifiedSdJwtVc {
    read: UnverifiedSdJwtVc,
    issuer: String,
    validity: Validity,
    status: Option<StatusReference>,
    holder_key: Option<PublicKey>,
    sd_hash: OnceLock<String>,
}

impl VerifiedSdJwtVc {
    /// The processed payload: the claims that are disclosed, registered ones included.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.read.claims
    }

    /// Who issued it: `iss`, or the subject of the issuer's certificate.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `vct`: the type.
    pub fn vct(&self) -> &str {
        self.read.vct()
    }

    /// All types: `vct`, then `aka_vcts`.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        let others = self.claims().get("aka_vcts").and_then(Value::as_array).into_iter().flatten();
        std::iter::once(self.vct()).chain(others.filter_map(Value::as_str))
    }

    /// `vct#integrity`.
    pub fn vct_integrity(&self) -> Option<&str> {
        self.claims().get("vct#integrity").and_then(Value::as_str)
    }

    /// The key in `cnf.jwk`.
    pub const fn holder_key(&self) -> Option<&PublicKey> {
        self.holder_key.as_ref()
    }

    /// The entry of the status list that must be looked up.
    pub const fn status(&self) -> Option<&StatusReference> {
        self.status.as_ref()
    }

    /// `iat`, `nbf`, `exp`.
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// Base64url digest of what was presented (RFC 9901 section 4.3.1).
    pub fn sd_hash(&self) -> &str {
        self.sd_hash.get_or_init(|| self.read.sd_hash())
    }

    /// What was verified.
    pub const fn sd_jwt_vc(&self) -> &UnverifiedSdJwtVc {
        &self.read
    }
}

impl fmt::Debug for VerifiedSdJwtVc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("VerifiedSdJwtVc");
        out.field("issuer", &self.issuer).field("vct", &self.vct()).field("status", &self.status);
        out.finish_non_exhaustive()
    }
}

/// A verified credential, presented by the holder of its key.
#[derive(Debug, Clone)]
pub struct VerifiedPresentation {
    credential: VerifiedSdJwtVc,
    key_binding: VerifiedKeyBinding,
}

impl VerifiedPresentation {
    /// The credential.
    pub const fn credential(&self) -> &VerifiedSdJwtVc {
        &self.credential
    }

    /// What the holder signed.
    pub const fn key_binding(&self) -> &VerifiedKeyBinding {
        &self.key_binding
    }
}

/// Positions of disclosures, in the order of the credential.
pub(super) type Chosen = BTreeSet<usize>;
