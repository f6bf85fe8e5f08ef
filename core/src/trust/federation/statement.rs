//! Entity Statements (OpenID Federation 1.0 section 3).

use serde_json::{Map, Value};
use url::Url;

use super::metadata_policy::MetadataPolicy;
use crate::clock::UnixTime;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::limits::Limits;

/// `typ` of an Entity Statement.
pub(super) const TYP: &str = "entity-statement+jwt";

/// A statement whose form is right and whose signature nobody checked.
#[derive(Debug, Clone)]
pub(super) struct EntityStatement {
    jwt: UnverifiedJwt,
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) iat: UnixTime,
    pub(super) exp: UnixTime,
    pub(super) keys: JwkSet,
    pub(super) authority_hints: Vec<String>,
    pub(super) metadata: Map<String, Value>,
    pub(super) policy: Option<MetadataPolicy>,
    pub(super) constraints: Constraints,
}

/// What a superior allows below it (section 6.2).
#[derive(Debug, Clone, Default)]
pub(super) struct Constraints {
    pub(super) max_path_length: Option<u64>,
    pub(super) permitted: Option<Vec<String>>,
    pub(super) excluded: Vec<String>,
    pub(super) allowed_entity_types: Option<Vec<String>>,
}

impl EntityStatement {
    /// The steps of section 3.2 that need no key and no clock.
    ///
    /// Errors: those of [`UnverifiedJwt::parse`]; [`Error::Malformed`] `jws_typ`, `federation_statement`;
    /// [`Error::Unsupported`] `federation_critical`; `federation_policy`.
    pub(super) fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        let jwt = UnverifiedJwt::parse(compact, limits)?;
        jwt.header().require_typ(TYP)?;
        let claims = jwt.claims();
        let (iss, sub) = (entity_id(claims, "iss")?, entity_id(claims, "sub")?);
        let own = iss == sub;
        if claims.contains_key("crit") || claims.contains_key("metadata_policy_crit") {
            let detail = "an entity statement calls something critical that is not understood";
            return Err(Error::unsupported("federation_critical", detail));
        }
        // What superiors say stands in statements about others, and the hints in those about oneself.
        let misplaced: &[&str] = match own {
            true => &["metadata_policy", "constraints", "source_endpoint"],
            false => &[
                "authority_hints",
                "trust_anchor_hints",
                "trust_marks",
                "trust_mark_issuers",
                "trust_mark_owners",
            ],
        };
        if misplaced.iter().any(|name| claims.contains_key(*name)) {
            return Err(malformed("a claim stands in the wrong kind of entity statement"));
        }
        let keys: JwkSet = json::from_value(claims.get("jwks").cloned().unwrap_or_default())
            .map_err(|_| malformed("an entity statement has no key set"))?;
        let named = |name: &str| keys.keys.iter().filter(|jwk| jwk.kid.as_deref() == Some(name)).count();
        if keys.keys.iter().any(|jwk| jwk.kid.as_deref().is_none_or(|kid| kid.is_empty() || named(kid) > 1)) {
            return Err(malformed("every key of an entity has a name of its own"));
        }
        if jwt.header().kid.as_deref().is_none_or(str::is_empty) {
            return Err(malformed("an entity statement names the key that signed it"));
        }
        Ok(Self {
            iat: jwt::required_time(claims, "iat")?,
            exp: jwt::required_time(claims, "exp")?,
            authority_hints: texts(claims.get("authority_hints"))?.unwrap_or_default(),
            metadata: metadata(claims.get("metadata"))?,
            policy: claims.get("metadata_policy").map(MetadataPolicy::parse).transpose()?,
            constraints: claims
                .get("constraints")
                .map_or_else(|| Ok(Constraints::default()), Constraints::parse)?,
            iss,
            sub,
            keys,
            jwt,
        })
    }

    /// Whether this is the statement of an entity about itself.
    pub(super) fn is_configuration(&self) -> bool {
        self.iss == self.sub
    }

    /// Signed by the key of `keys` that the header names. [`Error::Untrusted`] `federation_key_unknown`,
    /// `federation_signature`, and errors of reading the key.
    pub(super) fn check_signature(&self, keys: &JwkSet) -> Result<()> {
        let unknown = || {
            Error::untrusted(
                "federation_key_unknown",
                "the key of an entity statement is not one of its issuer's",
            )
        };
        let key = keys.find(self.jwt.header().kid.as_deref()).ok_or_else(unknown)?;
        self.jwt.check(&key.public_key()?).map_err(|_| {
            Error::untrusted("federation_signature", "the signature of an entity statement does not hold")
        })
    }

    /// `iat` in the past, `exp` in the future, with `leeway` seconds. [`Error::NotCurrent`] `federation_statement_time`.
    pub(super) fn check_times(&self, now: UnixTime, leeway: i64) -> Result<()> {
        let stale = |limit| {
            Error::not_current(
                "federation_statement_time",
                "an entity statement is outside its time",
                now,
                limit,
            )
        };
        match () {
            () if now < self.iat.plus(-leeway) => Err(stale(self.iat)),
            () if now >= self.exp.plus(leeway) => Err(stale(self.exp)),
            () => Ok(()),
        }
    }
}

impl Constraints {
    fn parse(claim: &Value) -> Result<Self> {
        let members = claim.as_object().ok_or_else(|| malformed("constraints are an object"))?;
        let max_path_length = match members.get("max_path_length") {
            None => None,
            Some(length) => {
                Some(length.as_u64().ok_or_else(|| malformed("a path length is a number from 0 on"))?)
            }
        };
        let names = members.get("naming_constraints");
        if names.is_some_and(|names| !names.is_object()) {
            return Err(malformed("naming constraints are an object"));
        }
        let list = |name: &str| texts(names.and_then(|names| names.get(name)));
        Ok(Self {
            max_path_length,
            permitted: list("permitted")?,
            excluded: list("excluded")?.unwrap_or_default(),
            allowed_entity_types: texts(members.get("allowed_entity_types"))?,
        })
    }

    /// Whether the host of an entity identifier is allowed (section 6.2.2, RFC 5280 section 4.2.1.10).
    pub(super) fn allow_name(&self, entity_id: &str) -> bool {
        let url = Url::parse(entity_id).ok();
        let Some(host) = url.as_ref().and_then(Url::host_str) else { return false };
        let within = |constraint: &String| match constraint.strip_prefix('.') {
            Some(_) => host.len() > constraint.len() && host.ends_with(&constraint.to_ascii_lowercase()),
            None => host.eq_ignore_ascii_case(constraint),
        };
        !self.excluded.iter().any(within)
            && self.permitted.as_ref().is_none_or(|list| list.iter().any(within))
    }
}

/// An Entity Identifier: an https URL with a host and without fragment (section 1.2).
fn entity_id(claims: &jwt::Claims, name: &'static str) -> Result<String> {
    let text = jwt::required_text(claims, name)?;
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.has_host() && url.fragment().is_none() => {
            Ok(text.to_owned())
        }
        _ => Err(malformed("an entity identifier is an https URL")),
    }
}

fn metadata(claim: Option<&Value>) -> Result<Map<String, Value>> {
    let no_nulls = |of_type: &Value| of_type.as_object().is_some_and(|own| !own.values().any(Value::is_null));
    match claim {
        None => Ok(Map::new()),
        Some(Value::Object(types)) if types.values().all(no_nulls) => Ok(types.clone()),
        Some(_) => Err(malformed("metadata are objects by entity type, without null")),
    }
}

fn texts(value: Option<&Value>) -> Result<Option<Vec<String>>> {
    value
        .map(|value| json::from_value(value.clone()).map_err(|_| malformed("a list is not one of texts")))
        .transpose()
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("federation_statement", detail)
}
