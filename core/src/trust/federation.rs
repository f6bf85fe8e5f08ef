//! Trust chains of OpenID Federation 1.0, judged offline: from the Entity Configuration of a party, over the statements
//! of its superiors, to a trust anchor that was configured with its keys.
//!
//! The chain comes with what it vouches for, in the `trust_chain` header member (section 4.3); nothing is fetched. Trust
//! marks are not evaluated, and chains under several anchors are judged one by one.

mod metadata_policy;
mod statement;

use serde_json::{Map, Value};

use self::metadata_policy::MetadataPolicy;
use self::statement::EntityStatement;
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::limits::Limits;

/// Seconds that clocks may differ.
const LEEWAY: i64 = 60;
/// The entity type that no constraint removes (section 6.2.3).
const FEDERATION_ENTITY: &str = "federation_entity";

/// A trust anchor of a federation, as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederationAnchor {
    /// Its Entity Identifier.
    pub entity_id: String,
    /// Its Federation Entity Keys, obtained out of band.
    pub keys: JwkSet,
}

/// A trust chain as somebody sent it; only the form of its statements is checked.
#[derive(Debug, Clone)]
pub struct UnverifiedTrustChain {
    subject: EntityStatement,
    superiors: Vec<EntityStatement>,
}

impl UnverifiedTrustChain {
    /// Reads the value of a `trust_chain` header member: statements from the subject's configuration upwards, with or
    /// without the anchor's own configuration at the end.
    ///
    /// [`Error::Malformed`] `federation_chain` (none, or more than `limits.certificates`), `federation_statement`,
    /// `jws_typ` and errors of reading a JWT; [`Error::Unsupported`] `federation_critical`; [`Error::Untrusted`]
    /// `federation_policy`.
    pub fn parse(statements: &[String], limits: &Limits) -> Result<Self> {
        if statements.len() > limits.certificates {
            return Err(malformed("the trust chain has more statements than allowed"));
        }
        let mut read = statements.iter().map(|statement| EntityStatement::parse(statement, limits));
        let subject = read.next().ok_or_else(|| malformed("the trust chain is empty"))??;
        Ok(Self { subject, superiors: read.collect::<Result<_>>()? })
    }

    /// Entity Identifier of the subject, as claimed.
    pub fn subject(&self) -> &str {
        &self.subject.sub
    }

    /// Entity Identifier of the trust anchor, as claimed.
    pub fn claimed_anchor(&self) -> &str {
        &self.superiors.last().unwrap_or(&self.subject).iss
    }

    /// The subject's own keys in a role, as it says itself: for the party that the chain is about. [`Error::Untrusted`]
    /// `federation_role`.
    pub fn claimed_keys(&self, entity_type: &str) -> Result<JwkSet> {
        let metadata = self.subject.metadata.get(entity_type);
        keys_of(metadata.and_then(|metadata| metadata.get("jwks")))
    }

    /// Judges the chain (section 10.2) and resolves the subject's metadata (section 6.1.4).
    ///
    /// [`Error::NotCurrent`] `federation_statement_time`; [`Error::Untrusted`] `federation_anchor` (it leads to none of
    /// `anchors`), `federation_chain`, `federation_key_unknown`, `federation_signature`, `federation_constraint`,
    /// `federation_policy`.
    pub fn verify(&self, anchors: &[FederationAnchor], now: UnixTime) -> Result<VerifiedTrustChain> {
        let statements = || std::iter::once(&self.subject).chain(&self.superiors);
        // 1. Every statement is current.
        let mut expires_at = self.subject.exp;
        for statement in statements() {
            statement.check_times(now, LEEWAY)?;
            expires_at = expires_at.min(statement.exp);
        }
        // 2. The first is the subject's about itself, signed by itself.
        if !self.subject.is_configuration() {
            return Err(broken("a trust chain begins with what its subject says about itself"));
        }
        self.subject.check_signature(&self.subject.keys)?;
        // 3. Each is issued by the subject of the next, under one of the keys that the next vouches for.
        for (statement, next) in statements().zip(&self.superiors) {
            if statement.iss != next.sub {
                return Err(broken("a statement is not about the issuer of the one before"));
            }
            statement.check_signature(&next.keys)?;
        }
        // 4. The last is by an anchor, under the keys that were configured for it.
        let last = self.superiors.last().unwrap_or(&self.subject);
        let anchor = anchors.iter().find(|anchor| anchor.entity_id == last.iss).ok_or_else(unknown_anchor)?;
        last.check_signature(&anchor.keys)?;
        // 5. In between there are statements of superiors only, and the subject names the nearest (section 3.2).
        let subordinate: Vec<&EntityStatement> = match self.superiors.split_last() {
            Some((last, rest)) if last.is_configuration() => rest.iter().collect(),
            _ => self.superiors.iter().collect(),
        };
        if subordinate.iter().any(|statement| statement.is_configuration()) {
            return Err(broken("a statement about itself stands in the middle of a trust chain"));
        }
        if subordinate.first().is_some_and(|first| !self.subject.authority_hints.contains(&first.iss)) {
            return Err(broken("the subject does not name its superior"));
        }
        check_constraints(&subordinate)?;
        let metadata = self.resolve_metadata(&subordinate)?;
        Ok(VerifiedTrustChain {
            subject: self.subject.sub.clone(),
            anchor: anchor.entity_id.clone(),
            entities: statements().map(|statement| statement.iss.clone()).collect(),
            expires_at,
            metadata,
        })
    }

    /// The subject's own metadata, what its superior says of it, what is allowed of that, and then the policies from the
    /// anchor downwards.
    fn resolve_metadata(&self, subordinate: &[&EntityStatement]) -> Result<Map<String, Value>> {
        let mut metadata = self.subject.metadata.clone();
        for (entity_type, given) in subordinate.first().into_iter().flat_map(|first| &first.metadata) {
            if let (Some(Value::Object(own)), Value::Object(given)) = (metadata.get_mut(entity_type), given) {
                own.extend(given.clone());
            }
        }
        for statement in subordinate {
            if let Some(allowed) = &statement.constraints.allowed_entity_types {
                metadata.retain(|entity_type, _| {
                    entity_type == FEDERATION_ENTITY || allowed.contains(entity_type)
                });
            }
        }
        let policies = subordinate.iter().rev().filter_map(|statement| statement.policy.clone());
        let policy = policies.into_iter().try_fold(MetadataPolicy::default(), MetadataPolicy::merge)?;
        policy.apply(&mut metadata)?;
        Ok(metadata)
    }
}

/// Path length and names; `subordinate` are the statements of superiors, the nearest first.
fn check_constraints(subordinate: &[&EntityStatement]) -> Result<()> {
    let mut below: Vec<&str> = Vec::new();
    for (intermediates, statement) in (0_u64..).zip(subordinate) {
        below.push(&statement.sub);
        let constraints = &statement.constraints;
        if constraints.max_path_length.is_some_and(|max| intermediates > max) {
            return Err(constraint("a superior allows fewer intermediates below it"));
        }
        if !below.iter().all(|entity_id| constraints.allow_name(entity_id)) {
            return Err(constraint("a superior does not allow the name of an entity below it"));
        }
    }
    Ok(())
}

/// A party whose place in a federation was proven.
#[derive(Debug, Clone)]
pub struct VerifiedTrustChain {
    subject: String,
    anchor: String,
    /// Who made the statements, the subject first.
    entities: Vec<String>,
    expires_at: UnixTime,
    metadata: Map<String, Value>,
}

impl VerifiedTrustChain {
    /// Entity Identifier of the party.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Entity Identifier of the trust anchor.
    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    /// Whether `entity_id` is the party itself, an entity between it and the anchor, or the anchor.
    pub fn leads_over(&self, entity_id: &str) -> bool {
        self.entities.iter().any(|entity| entity == entity_id)
    }

    /// From this time on some statement of the chain has expired.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// The party's metadata as an entity of that type (`openid_credential_issuer`, `openid_wallet_provider`, …), after
    /// all policies; `None` when it does not have that role.
    pub fn metadata(&self, entity_type: &str) -> Option<&Map<String, Value>> {
        self.metadata.get(entity_type).and_then(Value::as_object)
    }

    /// The keys (`jwks`) that the party uses in that role. [`Error::Untrusted`] `federation_role`: it does not have the
    /// role, or none of its keys stands in the metadata itself.
    pub fn keys(&self, entity_type: &str) -> Result<JwkSet> {
        keys_of(self.metadata(entity_type).and_then(|metadata| metadata.get("jwks")))
    }
}

fn keys_of(jwks: Option<&Value>) -> Result<JwkSet> {
    jwks.cloned().and_then(|keys| serde_json::from_value(keys).ok()).ok_or_else(|| {
        Error::untrusted("federation_role", "the federation vouches for no keys of this party in this role")
    })
}

/// The chain leads to an anchor that nobody configured.
pub(in crate::trust) fn unknown_anchor() -> Error {
    Error::untrusted("federation_anchor", "the trust chain leads to no trust anchor of this party")
}

fn malformed(detail: &'static str) -> Error {
    Error::malformed("federation_chain", detail)
}

fn broken(detail: &'static str) -> Error {
    Error::untrusted("federation_chain", detail)
}

fn constraint(detail: &'static str) -> Error {
    Error::untrusted("federation_constraint", detail)
}

#[cfg(test)]
mod tests;
