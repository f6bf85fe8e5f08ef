//! Credential Query and Claims Query (OpenID4VP 1.0 sections 6.1 and 6.3), and which claims they select (6.4.1).

use serde_json::{Map, Value, json};

use super::trusted_authorities::{CredentialSource, TrustedAuthorities};
use super::{MAX_ENTRIES, member};
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::credential::claims::ClaimPath;
use crate::error::{Error, Result};
use crate::trust::KnownAuthorities;

/// A request for one credential.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialQuery {
    id: String,
    format: String,
    multiple: bool,
    types: Vec<Vec<String>>,
    meta: Value,
    trusted_authorities: Vec<TrustedAuthorities>,
    holder_binding: bool,
    claims: Vec<ClaimsQuery>,
    claim_sets: Vec<Vec<String>>,
}

/// A request for one claim, or for all claims that its path selects.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimsQuery {
    id: Option<String>,
    path: ClaimPath,
    values: Vec<Value>,
}

impl CredentialQuery {
    pub(super) fn parse(value: &Value) -> Result<Self> {
        let query = member::object(value, "credentials")?;
        let required = |name: &'static str| query.get(name).ok_or_else(|| member::missing(name));
        let format = member::text(required("format")?, "format")?;
        let meta = required("meta")?;
        let members = member::object(meta, "meta")?;
        let types = match CredentialFormat::parse(&format) {
            Ok(CredentialFormat::DcSdJwt) => vct_values(members)?,
            Ok(CredentialFormat::LdpVc | CredentialFormat::JwtVcJson) => type_values(members)?,
            Err(_) => Vec::new(),
        };
        let claims = match member::list(query, "claims", MAX_ENTRIES)? {
            None => Vec::new(),
            Some(claims) => claims.iter().map(ClaimsQuery::parse).collect::<Result<_>>()?,
        };
        let trusted_authorities =
            member::list(query, "trusted_authorities", MAX_ENTRIES)?.unwrap_or_default();
        let query = Self {
            id: member::identifier(required("id")?, "id")?,
            format,
            multiple: member::boolean(query, "multiple", false)?,
            types,
            meta: meta.clone(),
            trusted_authorities: trusted_authorities
                .iter()
                .map(TrustedAuthorities::parse)
                .collect::<Result<_>>()?,
            holder_binding: member::boolean(query, "require_cryptographic_holder_binding", true)?,
            claims,
            claim_sets: member::identifier_lists(query, "claim_sets", MAX_ENTRIES)?.unwrap_or_default(),
        };
        query.check_claim_sets()?;
        Ok(query)
    }

    fn check_claim_sets(&self) -> Result<()> {
        for (at, claim) in self.claims.iter().enumerate() {
            let earlier = self.claims.iter().take(at);
            if claim.id.is_some() && earlier.clone().any(|other| other.id == claim.id) {
                return Err(Error::malformed("dcql", "two claims queries have the same `id`"));
            }
            if claim.id.is_none() && !self.claim_sets.is_empty() {
                return Err(Error::malformed("dcql", "with `claim_sets` every claims query needs an `id`"));
            }
        }
        let known = |id: &String| self.claims.iter().any(|claim| claim.id.as_ref() == Some(id));
        match self.claim_sets.iter().flatten().all(known) {
            true => Ok(()),
            false => Err(Error::malformed("dcql", "`claim_sets` names a claims query that is not there")),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        let mut query = Map::new();
        query.insert("id".into(), json!(self.id));
        query.insert("format".into(), json!(self.format));
        if self.multiple {
            query.insert("multiple".into(), json!(true));
        }
        query.insert("meta".into(), self.meta.clone());
        if !self.trusted_authorities.is_empty() {
            let authorities = self.trusted_authorities.iter().map(TrustedAuthorities::to_value).collect();
            query.insert("trusted_authorities".into(), authorities);
        }
        if !self.holder_binding {
            query.insert("require_cryptographic_holder_binding".into(), json!(false));
        }
        if !self.claims.is_empty() {
            query.insert("claims".into(), self.claims.iter().map(ClaimsQuery::to_value).collect());
        }
        if !self.claim_sets.is_empty() {
            query.insert("claim_sets".into(), json!(self.claim_sets));
        }
        Value::Object(query)
    }

    pub(super) fn check_supported(&self) -> Result<()> {
        if self.credential_format().is_none() {
            return Err(Error::unsupported(
                "dcql_format",
                format!("credential query `{}`: its format is not carried", self.id),
            ));
        }
        if !self.holder_binding && self.credential_format() != Some(CredentialFormat::DcSdJwt) {
            return Err(Error::unsupported(
                "dcql_holder_binding",
                "W3C presentations without holder binding are not taken",
            ));
        }
        self.trusted_authorities.iter().try_for_each(TrustedAuthorities::check_supported)?;
        for (at, claim) in self.claims.iter().enumerate() {
            if self.claims.iter().take(at).any(|earlier| earlier.path == claim.path) {
                return Err(Error::malformed("dcql", format!("the claim {} is asked for twice", claim.path)));
            }
        }
        Ok(())
    }

    /// The name of this query in the response and in `credential_sets`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The credential format identifier.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// Whether several credentials may answer this query.
    pub fn multiple(&self) -> bool {
        self.multiple
    }

    /// The format, if it is one that is carried.
    pub fn credential_format(&self) -> Option<CredentialFormat> {
        CredentialFormat::parse(&self.format).ok()
    }

    /// The accepted types, each a set that the credential must have all of: `vct_values` (sets of one) or the expanded
    /// types of `type_values` (appendix B.1.1). Empty for formats that are not carried.
    pub fn accepted_types(&self) -> &[Vec<String>] {
        &self.types
    }

    /// Whether a proof of holder binding is demanded (the default).
    pub fn requires_holder_binding(&self) -> bool {
        self.holder_binding
    }

    /// Whether the query narrows the issuers by `trusted_authorities`.
    pub fn names_authorities(&self) -> bool {
        !self.trusted_authorities.is_empty()
    }

    /// Whether a credential comes from one of the authorities that the query names; always where it names none.
    pub fn accepts_source(
        &self,
        source: CredentialSource<'_>,
        known: &KnownAuthorities,
        now: UnixTime,
    ) -> bool {
        let mut entries = self.trusted_authorities.iter();
        entries.len() == 0 || entries.any(|entry| entry.matches(source, known, now))
    }

    /// The claims queries; empty means that no selectively disclosable claim is asked for.
    pub fn claims(&self) -> &[ClaimsQuery] {
        &self.claims
    }

    /// Whether a credential of that format and of these types (`vct`, or the expanded types of a W3C credential) can
    /// answer at all.
    pub fn accepts<S: AsRef<str>>(&self, format: CredentialFormat, types: &[S]) -> bool {
        let has = |wanted: &String| types.iter().any(|own| own.as_ref() == wanted);
        self.credential_format() == Some(format) && self.types.iter().any(|set| set.iter().all(has))
    }

    /// The combinations of claims that satisfy the query, the verifier's favourite first.
    pub fn alternatives(&self) -> Vec<Vec<&ClaimsQuery>> {
        if self.claim_sets.is_empty() {
            return vec![self.claims.iter().collect()];
        }
        let of = |id: &String| self.claims.iter().find(|claim| claim.id.as_ref() == Some(id));
        self.claim_sets.iter().map(|set| set.iter().filter_map(of).collect()).collect()
    }

    /// The claims to send from a credential with these claims: the first combination that it can satisfy, leaving out
    /// whatever `excluded` says (section 6.4.1).
    ///
    /// [`Error::Refused`] `claim_absent` where no combination can be satisfied.
    pub fn select(
        &self,
        claims: &Map<String, Value>,
        excluded: &dyn Fn(&ClaimsQuery) -> bool,
    ) -> Result<Vec<&ClaimsQuery>> {
        let mut first_fault = None;
        for alternative in self.alternatives() {
            match alternative.iter().try_for_each(|claim| claim.check(claims)) {
                Ok(()) if !alternative.iter().any(|claim| excluded(claim)) => return Ok(alternative),
                Ok(()) => {}
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        Err(first_fault.unwrap_or_else(|| {
            Error::refused("claim_absent", "without the excluded claims the query is not answered")
        }))
    }

    /// Whether disclosed claims satisfy the query, values included.
    pub fn check_satisfied(&self, disclosed: &Map<String, Value>) -> Result<()> {
        self.select(disclosed, &|_| false).map(drop)
    }

    /// Whether every answer must hold that claim: it is in each combination.
    pub fn is_mandatory(&self, claim: &ClaimsQuery) -> bool {
        self.alternatives().iter().all(|alternative| alternative.contains(&claim))
    }
}

/// `meta.vct_values` of SD-JWT VC (appendix B.3.5).
fn vct_values(meta: &Map<String, Value>) -> Result<Vec<Vec<String>>> {
    member::list(meta, "vct_values", MAX_ENTRIES)?
        .ok_or_else(|| member::missing("meta.vct_values"))?
        .iter()
        .map(|vct| Ok(vec![member::text(vct, "meta.vct_values")?]))
        .collect()
}

/// `meta.type_values` of W3C credentials (appendix B.1.1).
fn type_values(meta: &Map<String, Value>) -> Result<Vec<Vec<String>>> {
    const NAME: &str = "meta.type_values";
    let one =
        |set| member::elements(set, NAME, MAX_ENTRIES)?.iter().map(|text| member::text(text, NAME)).collect();
    let sets = member::list(meta, "type_values", MAX_ENTRIES)?.ok_or_else(|| member::missing(NAME))?;
    sets.iter().map(one).collect()
}

impl ClaimsQuery {
    fn parse(value: &Value) -> Result<Self> {
        let claim = member::object(value, "claims")?;
        let path =
            claim.get("path").and_then(Value::as_array).ok_or_else(|| member::missing("claims.path"))?;
        let path = ClaimPath::try_from(path.clone())
            .map_err(|error| Error::malformed("dcql", error.detail().to_owned()))?;
        let id = claim.get("id").map(|id| member::identifier(id, "claims.id")).transpose()?;
        let values = member::list(claim, "values", MAX_ENTRIES)?.unwrap_or_default().to_vec();
        let simple =
            |value: &Value| value.is_boolean() || value.is_i64() || value.is_u64() || value.is_string();
        match values.iter().all(simple) {
            true => Ok(Self { id, path, values }),
            false => Err(Error::malformed(
                "dcql",
                "`values` holds something else than strings, integers and booleans",
            )),
        }
    }

    fn to_value(&self) -> Value {
        let mut claim = Map::new();
        if let Some(id) = &self.id {
            claim.insert("id".into(), json!(id));
        }
        claim.insert("path".into(), Value::Array(self.path.clone().into()));
        if !self.values.is_empty() {
            claim.insert("values".into(), json!(self.values));
        }
        Value::Object(claim)
    }

    /// The name of this claims query in `claim_sets`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Which claim.
    pub fn path(&self) -> &ClaimPath {
        &self.path
    }

    /// The accepted values; empty means any.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Whether the claim is there with an accepted value (type and value equal).
    ///
    /// Where the path selects several claims, each must have an accepted value.
    ///
    /// [`Error::Refused`] `claim_absent`, `claim_value`.
    pub fn check(&self, claims: &Map<String, Value>) -> Result<()> {
        // A path that does not fit the claims selects nothing (section 7.1.1).
        let selected = self.path.select(claims).unwrap_or_default();
        if selected.is_empty() {
            return Err(Error::refused("claim_absent", format!("there is no claim {}", self.path)));
        }
        match self.values.is_empty() || selected.iter().all(|value| self.values.contains(value)) {
            true => Ok(()),
            false => {
                Err(Error::refused("claim_value", format!("the claim {} has no accepted value", self.path)))
            }
        }
    }
}
