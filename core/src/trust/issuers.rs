//! Which issuers count, for which credential types, and by which kind of key.
//!
//! A rule names credential types and the issuers that may sign them: certificates under an anchor or under one that a
//! trusted list names, DIDs, members of a federation, or https issuers whose `/.well-known/jwt-vc-issuer` may be fetched.
//! Nothing else is trusted, and nothing is fetched from an address that only a credential names: status lists come from
//! the issuer's own host or from a host of the rule.
//!
//! Rules are indexed once; a look-up takes the same time for ten issuers and for ten thousand.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use url::Url;

use crate::clock::UnixTime;
use crate::credential::issuer_key::IssuerKey;
use crate::did::{Did, DidDocument, DidUrl};
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::limits::Limits;
use crate::trust::federation::{self, FederationAnchor, UnverifiedTrustChain};
use crate::trust::trusted_list::VerifiedTrustedList;
use crate::x509::{AnchorIndex, TrustAnchor, UnverifiedChain};

/// The role of issuers in a federation (OpenID4VCI 1.0, as OpenID Federation names it).
const FEDERATION_ROLE: &str = "openid_credential_issuer";

/// One rule. All lists empty trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct IssuerRule {
    /// What verdicts call the rule; may be empty.
    pub name: String,
    /// Credential types; empty means all.
    pub vcts: Vec<String>,
    /// Anchors of issuer certificates.
    pub anchors: Vec<TrustAnchor>,
    /// Anchors of issuer certificates that trusted lists name.
    pub listed: Vec<ListedAnchor>,
    /// Federations whose credential issuers count.
    pub federations: Vec<FederationAnchor>,
    /// Issuers by DID.
    pub dids: Vec<Did>,
    /// `iss` values whose issuer metadata may be fetched.
    pub https_issuers: Vec<String>,
    /// Hosts, beside the issuer's own, from which status lists may be fetched.
    pub status_hosts: Vec<String>,
}

/// An anchor that a trusted list names for the service of a rule.
#[derive(Debug, Clone)]
pub struct ListedAnchor {
    /// The certificate.
    pub anchor: TrustAnchor,
    /// The entity that the list names.
    pub entity: String,
    /// Operator and number of the list.
    pub list: String,
}

impl ListedAnchor {
    /// The certificates of the active services of `service_types` in a list that was judged.
    pub fn of(list: &VerifiedTrustedList, service_types: &[String]) -> Vec<Self> {
        let source = format!("{}, list {}", list.operator(), list.sequence());
        let listed = |(entity, anchor): (&str, &TrustAnchor)| Self {
            anchor: anchor.clone(),
            entity: entity.to_owned(),
            list: source.clone(),
        };
        list.certificates(service_types).map(listed).collect()
    }
}

/// A verifier's rules about issuers. The default trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct IssuerTrust {
    /// Without their anchors, which stand in the index.
    rules: Vec<IssuerRule>,
    anchors: AnchorIndex,
    /// Where an anchor (SHA-256 of its certificate) comes from.
    places: HashMap<[u8; 32], Vec<Place>>,
    /// Credential types for which some rule names an anchor; `None` stands for all.
    anchored: HashSet<Option<String>>,
    /// The same for anchors of federations.
    federated: HashSet<Option<String>>,
    /// Rules by the Entity Identifier of an anchor.
    federations: HashMap<String, Vec<usize>>,
    dids: HashMap<Did, Vec<usize>>,
    https_issuers: HashMap<String, Vec<usize>>,
    generation: u64,
}

/// A rule that names an anchor.
#[derive(Debug, Clone)]
struct Place {
    rule: usize,
    /// Entity and list.
    listed: Option<(String, String)>,
}

/// What a verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct TrustBasis {
    /// The trust anchor: the subject of its certificate, the DID, the https issuer, or the anchor's Entity Identifier.
    pub anchor: String,
    /// SHA-256 of the anchor's certificate, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Name of the rule, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The entity that a trusted list names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Operator and number of that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

/// Why an issuer key is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustedBy {
    /// Its certificate leads to an anchor.
    Certificate,
    /// Its DID is on the list.
    Did,
    /// Its https metadata, fetched from a listed issuer.
    IssuerMetadata,
    /// A trust chain to the anchor of a federation.
    Federation,
}

/// An issuer key that a rule accepts for a credential type. Made only by [`IssuerTrust`].
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    vct: String,
    key: IssuerKey,
    by: TrustedBy,
    basis: TrustBasis,
    valid_until: Option<UnixTime>,
    status_hosts: Vec<String>,
}

impl IssuerRule {
    fn covers(&self, vct: &str) -> bool {
        self.vcts.is_empty() || self.vcts.iter().any(|own| own == vct)
    }

    fn basis(&self, anchor: String) -> TrustBasis {
        let rule = Some(self.name.clone()).filter(|name| !name.is_empty());
        TrustBasis { anchor, rule, ..TrustBasis::default() }
    }
}

impl IssuerTrust {
    /// These rules; the first that fits counts.
    pub fn new(mut rules: Vec<IssuerRule>) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        let mut trust = Self { generation, ..Self::default() };
        let mut anchors = Vec::new();
        for (rule, own) in rules.iter_mut().enumerate() {
            let listed = std::mem::take(&mut own.listed).into_iter();
            let listed = listed.map(|listed| (listed.anchor, Some((listed.entity, listed.list))));
            let configured = std::mem::take(&mut own.anchors).into_iter().map(|anchor| (anchor, None));
            let types: Vec<_> = match own.vcts.is_empty() {
                true => vec![None],
                false => own.vcts.iter().cloned().map(Some).collect(),
            };
            for (anchor, listed) in configured.chain(listed) {
                trust.anchored.extend(types.iter().cloned());
                let places = trust.places.entry(anchor.certificate().sha256()).or_default();
                if places.is_empty() {
                    anchors.push(anchor);
                }
                places.push(Place { rule, listed });
            }
            for anchor in &own.federations {
                trust.federated.extend(types.iter().cloned());
                trust.federations.entry(anchor.entity_id.clone()).or_default().push(rule);
            }
            for did in &own.dids {
                trust.dids.entry(did.clone()).or_default().push(rule);
            }
            for issuer in &own.https_issuers {
                trust.https_issuers.entry(issuer.clone()).or_default().push(rule);
            }
        }
        Self { rules, anchors: AnchorIndex::new(anchors), ..trust }
    }

    /// Another number for every set of rules of this process: what was found by one set is no find of the next.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The first of these rules that covers `vct`.
    fn first(&self, places: Option<&Vec<usize>>, vct: &str) -> Result<&IssuerRule> {
        let rules = places.into_iter().flatten().filter_map(|place| self.rules.get(*place));
        rules.into_iter().find(|rule| rule.covers(vct)).ok_or_else(untrusted)
    }

    /// The first rule for `vct` that names an anchor.
    fn place(&self, anchor: [u8; 32], vct: &str) -> Option<(&IssuerRule, &Place)> {
        let places = self.places.get(&anchor).into_iter().flatten();
        places
            .filter_map(|place| self.rules.get(place.rule).map(|rule| (rule, place)))
            .find(|(rule, _)| rule.covers(vct))
    }

    /// The key of `x5c` (SD-JWT VC "Inline X.509 Certificates"): the chain leads to an anchor of a rule for `vct`, and the
    /// leaf's subject alternative names cover `iss`, where the credential has one.
    ///
    /// Errors: `issuer_untrusted`, those of the chain, and of [`IssuerKey::from_certificate_chain`].
    pub fn by_certificate(
        &self,
        vct: &str,
        iss: Option<&str>,
        x5c: &[String],
        now: UnixTime,
    ) -> Result<TrustedIssuer> {
        let chain = UnverifiedChain::parse(x5c, &Limits::DEFAULT)?;
        let fits = |anchor: &TrustAnchor| self.place(anchor.certificate().sha256(), vct).is_some();
        if !covers(&self.anchored, vct) {
            return Err(untrusted());
        }
        let verified = chain.verify_with(&self.anchors, fits, now)?;
        let (rule, place) = self.place(verified.anchor_sha256(), vct).ok_or_else(untrusted)?;
        let key = IssuerKey::from_certificate_chain(&verified, iss)?;
        let (entity, list) = place.listed.clone().unzip();
        let sha256 = Some(data_encoding::HEXLOWER.encode(&verified.anchor_sha256()));
        let basis = TrustBasis { sha256, entity, list, ..rule.basis(verified.anchor_subject().to_owned()) };
        let valid_until = Some(verified.expires_at());
        Ok(TrustedIssuer::new(rule, vct, key, (TrustedBy::Certificate, basis), valid_until))
    }

    /// The key that a federation vouches for (OpenID Federation 1.0 section 4.3, `trust_chain`): the chain is that of
    /// `iss`, leads to an anchor of a rule for `vct`, and names the key `kid` in the role of credential issuer.
    ///
    /// Errors: `issuer_untrusted`, `federation_subject`, those of [`UnverifiedTrustChain::verify`] and of
    /// [`IssuerKey::from_jwk_set`].
    pub fn by_trust_chain(
        &self,
        vct: &str,
        iss: &str,
        kid: Option<&str>,
        statements: &[String],
        now: UnixTime,
    ) -> Result<TrustedIssuer> {
        let chain = UnverifiedTrustChain::parse(statements, &Limits::DEFAULT)?;
        if chain.subject() != iss {
            return Err(Error::untrusted("federation_subject", "the trust chain is that of another issuer"));
        }
        let mut fault = match covers(&self.federated, vct) {
            true => federation::unknown_anchor(),
            false => untrusted(),
        };
        let rules = self.federations.get(chain.claimed_anchor()).into_iter().flatten();
        let rules = rules.filter_map(|rule| self.rules.get(*rule)).filter(|rule| rule.covers(vct));
        for rule in rules {
            match chain.verify(&rule.federations, now) {
                Ok(verified) => {
                    let key = IssuerKey::from_jwk_set(&verified.keys(FEDERATION_ROLE)?, kid, iss)?;
                    let by = (TrustedBy::Federation, rule.basis(verified.anchor().to_owned()));
                    return Ok(TrustedIssuer::new(rule, vct, key, by, Some(verified.expires_at())));
                }
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }

    /// Whether a rule for `vct` lists that DID: asked before its document is fetched. Error: `issuer_untrusted`.
    pub fn check_did(&self, vct: &str, did: &Did) -> Result<()> {
        self.did_rule(vct, did).map(drop)
    }

    fn did_rule(&self, vct: &str, did: &Did) -> Result<&IssuerRule> {
        self.first(self.dids.get(did), vct)
    }

    /// The key `url` of a listed DID, which is also `iss` where the credential has one.
    ///
    /// Errors: `issuer_untrusted`, and those of [`IssuerKey::from_did_document`].
    pub fn by_did(
        &self,
        vct: &str,
        iss: Option<&str>,
        url: &DidUrl,
        document: &DidDocument,
    ) -> Result<TrustedIssuer> {
        let rule = self.did_rule(vct, url.did())?;
        let key = IssuerKey::from_did_document(document, url, iss)?;
        let by = (TrustedBy::Did, rule.basis(url.did().to_string()));
        Ok(TrustedIssuer::new(rule, vct, key, by, None))
    }

    /// Whether the metadata of that https issuer may be fetched. Error: `issuer_untrusted`.
    pub fn check_https_issuer(&self, vct: &str, iss: &str) -> Result<()> {
        self.https_rule(vct, iss).map(drop)
    }

    fn https_rule(&self, vct: &str, iss: &str) -> Result<&IssuerRule> {
        self.first(self.https_issuers.get(iss), vct)
    }

    /// A key of a listed https issuer, from its metadata (SD-JWT VC "JWT VC Issuer Metadata").
    ///
    /// Errors: `issuer_untrusted`, and those of [`IssuerKey::from_jwk_set`].
    pub fn by_metadata(
        &self,
        vct: &str,
        iss: &str,
        kid: Option<&str>,
        keys: &JwkSet,
    ) -> Result<TrustedIssuer> {
        let rule = self.https_rule(vct, iss)?;
        let key = IssuerKey::from_jwk_set(keys, kid, iss)?;
        let by = (TrustedBy::IssuerMetadata, rule.basis(iss.to_owned()));
        Ok(TrustedIssuer::new(rule, vct, key, by, None))
    }
}

impl TrustedIssuer {
    fn new(
        rule: &IssuerRule,
        vct: &str,
        key: IssuerKey,
        (by, basis): (TrustedBy, TrustBasis),
        valid_until: Option<UnixTime>,
    ) -> Self {
        let status_hosts = status_hosts(rule, key.issuer());
        Self { vct: vct.to_owned(), key, by, basis, valid_until, status_hosts }
    }

    /// `iss`: the address or DID of the issuer.
    pub fn iss(&self) -> &str {
        self.key.issuer()
    }

    /// The credential type that it was found for.
    pub fn vct(&self) -> &str {
        &self.vct
    }

    /// The key, tied to that issuer.
    pub fn issuer_key(&self) -> &IssuerKey {
        &self.key
    }

    /// Why it is trusted.
    pub fn trusted_by(&self) -> TrustedBy {
        self.by
    }

    /// The anchor that this rests on.
    pub fn basis(&self) -> &TrustBasis {
        &self.basis
    }

    /// [`Error::NotCurrent`] `issuer_certificate_expired` from the end of the certificates or of the trust chain on.
    pub fn check_current(&self, now: UnixTime) -> Result<()> {
        match self.valid_until.filter(|limit| now > *limit) {
            None => Ok(()),
            Some(limit) => Err(Error::not_current(
                "issuer_certificate_expired",
                "the certificate or trust chain of the issuer has expired",
                now,
                limit,
            )),
        }
    }

    /// The address of a status list of this issuer, if it may be fetched. Error: `status_host`.
    pub fn status_list_url(&self, uri: &str) -> Result<Url> {
        let url = Url::parse(uri).ok();
        let allowed =
            |url: &Url| url.host_str().is_some_and(|host| self.status_hosts.iter().any(|own| own == host));
        url.filter(allowed).ok_or_else(|| {
            Error::untrusted("status_host", "the status list lies on a host that no trust rule allows")
        })
    }
}

/// Whether a set of types, in which `None` stands for all, has that one.
fn covers(types: &HashSet<Option<String>>, vct: &str) -> bool {
    types.contains(&None) || types.contains(&Some(vct.to_owned()))
}

fn status_hosts(rule: &IssuerRule, iss: &str) -> Vec<String> {
    let own = match iss.strip_prefix("did:web:") {
        Some(rest) => {
            rest.split(':').next().map(|host| host.split("%3A").next().unwrap_or_default().to_owned())
        }
        None => Url::parse(iss).ok().and_then(|url| url.host_str().map(str::to_owned)),
    };
    rule.status_hosts.iter().cloned().chain(own).collect()
}

fn untrusted() -> Error {
    Error::untrusted("issuer_untrusted", "no trust rule accepts this issuer for this type of credential")
}

#[cfg(test)]
mod tests;
