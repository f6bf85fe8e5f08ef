//! What is known here, without asking anybody, about the authorities that a query may name (OpenID4VP 1.0 section 6.1.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::UnixTime;
use crate::limits::Limits;
use crate::trust::federation::{FederationAnchor, UnverifiedTrustChain};
use crate::x509::{AnchorIndex, TrustAnchor, UnverifiedChain};

/// Trusted lists and federations. The default knows none: then nothing matches them. Copies share what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownAuthorities {
    /// The certificates of each ETSI trusted list, the lists below it included.
    lists: BTreeMap<String, Arc<Certificates>>,
    /// Issuers below each entity of a federation.
    federations: BTreeMap<String, BTreeSet<String>>,
    /// Anchors under which trust chains of credentials are judged.
    anchors: Vec<FederationAnchor>,
}

/// Certificates, found by the name of an issuer and by themselves.
#[derive(Debug, Clone, Default)]
struct Certificates {
    sha256: BTreeSet<[u8; 32]>,
    index: AnchorIndex,
}

impl PartialEq for Certificates {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for Certificates {}

impl KnownAuthorities {
    /// Nothing.
    pub const NONE: Self = Self { lists: BTreeMap::new(), federations: BTreeMap::new(), anchors: Vec::new() };

    /// Adds the certificates of the trusted list `id` and of the lists that it refers to.
    #[must_use]
    pub fn with_etsi_list<'a>(
        mut self,
        id: &str,
        certificates: impl IntoIterator<Item = &'a TrustAnchor>,
    ) -> Self {
        let own = Arc::make_mut(self.lists.entry(id.to_owned()).or_default());
        for anchor in certificates {
            if own.sha256.insert(anchor.certificate().sha256()) {
                own.index.insert(anchor.clone());
            }
        }
        self
    }

    /// Adds issuers with a valid trust chain to the federation entity `id`.
    #[must_use]
    pub fn with_federation(mut self, id: &str, issuers: impl IntoIterator<Item = String>) -> Self {
        self.federations.entry(id.to_owned()).or_default().extend(issuers);
        self
    }

    /// Adds the anchors of federations: an issuer whose credential brings its trust chain to one of them belongs to every
    /// entity on the way.
    #[must_use]
    pub fn with_federation_anchors(mut self, anchors: impl IntoIterator<Item = FederationAnchor>) -> Self {
        for anchor in anchors {
            if !self.anchors.contains(&anchor) {
                self.anchors.push(anchor);
            }
        }
        self
    }

    /// Whether `chain` holds a certificate of the trusted list `id`, or leads to one.
    pub fn on_etsi_list(&self, id: &str, chain: &UnverifiedChain, now: UnixTime) -> bool {
        self.lists.get(id).is_some_and(|list| {
            chain.certificates().any(|own| list.sha256.contains(&own.sha256()))
                || chain.verify_with(&list.index, |_| true, now).is_ok()
        })
    }

    /// Whether `issuer` is known below the federation entity `id`, or `trust_chain` (section 4.3 of OpenID Federation 1.0)
    /// leads from it over that entity to an anchor.
    pub fn in_federation(
        &self,
        id: &str,
        issuer: &str,
        trust_chain: Option<&[String]>,
        now: UnixTime,
    ) -> bool {
        let listed = self.federations.get(id).is_some_and(|issuers| issuers.contains(issuer));
        listed
            || trust_chain
                .filter(|_| !self.anchors.is_empty())
                .and_then(|statements| UnverifiedTrustChain::parse(statements, &Limits::DEFAULT).ok())
                .filter(|chain| chain.subject() == issuer)
                .and_then(|chain| chain.verify(&self.anchors, now).ok())
                .is_some_and(|chain| chain.leads_over(id))
    }
}
