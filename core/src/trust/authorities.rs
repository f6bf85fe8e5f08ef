//! What is known here, without asking anybody, about the authorities that a query may name (OpenID4VP 1.0 section 6.1.1).

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::UnixTime;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// Copies of trusted lists and federations. The default knows none: then nothing matches them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownAuthorities {
    /// DER certificates of each ETSI trusted list, the lists below it included.
    lists: BTreeMap<String, Vec<Vec<u8>>>,
    /// Issuers below each entity of a federation.
    federations: BTreeMap<String, BTreeSet<String>>,
}

impl KnownAuthorities {
    /// Nothing.
    pub const NONE: Self = Self { lists: BTreeMap::new(), federations: BTreeMap::new() };

    /// Adds the certificates of the trusted list `id` and of the lists that it refers to.
    #[must_use]
    pub fn with_etsi_list(mut self, id: &str, certificates: &[TrustAnchor]) -> Self {
        let own = self.lists.entry(id.to_owned()).or_default();
        own.extend(certificates.iter().map(|anchor| anchor.certificate().as_der().to_vec()));
        self
    }

    /// Adds issuers with a valid trust chain to the federation entity `id`.
    #[must_use]
    pub fn with_federation(mut self, id: &str, issuers: impl IntoIterator<Item = String>) -> Self {
        self.federations.entry(id.to_owned()).or_default().extend(issuers);
        self
    }

    /// Whether `chain` holds a certificate of the trusted list `id`, or leads to one.
    pub fn on_etsi_list(&self, id: &str, chain: &UnverifiedChain, now: UnixTime) -> bool {
        let Some(list) = self.lists.get(id) else { return false };
        let held = |der: &Vec<u8>| chain.certificates().any(|own| own.as_der() == der);
        let anchors: Vec<_> = list.iter().filter_map(|der| TrustAnchor::from_der(der).ok()).collect();
        list.iter().any(held) || chain.verify(&anchors, now).is_ok()
    }

    /// Whether `issuer` is known below the federation entity `id`.
    pub fn in_federation(&self, id: &str, issuer: &str) -> bool {
        self.federations.get(id).is_some_and(|issuers| issuers.contains(issuer))
    }
}
