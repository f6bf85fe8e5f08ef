//! Which verifiers a wallet knows.

use crate::did::Did;
use crate::jose::jwk::JwkSet;
use crate::trust::federation::FederationAnchor;
use crate::x509::TrustAnchor;

/// The wallet's rules about verifiers. The default knows nobody and takes only what a rule names.
#[derive(Debug, Clone, Default)]
pub struct VerifierTrust {
    anchors: Vec<TrustAnchor>,
    dids: Vec<Did>,
    attesters: Vec<Attester>,
    federations: Vec<FederationAnchor>,
    client_ids: Vec<String>,
    registrars: Vec<TrustAnchor>,
    unknown_dids: bool,
    unsigned: bool,
}

/// Somebody who attests who verifiers are (OpenID4VP 1.0 section 12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attester {
    /// `iss` of its attestations.
    pub issuer: String,
    /// The keys that sign them.
    pub keys: JwkSet,
}

impl VerifierTrust {
    /// Verifiers with certificates under `anchors`, and those with one of `dids`.
    pub fn new(anchors: Vec<TrustAnchor>, dids: Vec<Did>) -> Self {
        Self { anchors, dids, ..Self::default() }
    }

    /// Also takes requests of DIDs that are not listed; they are shown as unknown.
    #[must_use]
    pub fn with_unknown_dids(mut self) -> Self {
        self.unknown_dids = true;
        self
    }

    /// Also takes unsigned requests (prefix `redirect_uri`); their verifier is shown as not authenticated.
    #[must_use]
    pub fn with_unsigned(mut self) -> Self {
        self.unsigned = true;
        self
    }

    /// Also takes verifiers that one of these attests, and that prove the attested key.
    #[must_use]
    pub fn with_attesters(mut self, attesters: Vec<Attester>) -> Self {
        self.attesters = attesters;
        self
    }

    /// Also takes verifiers that are members of one of these federations, by the trust chain that they bring.
    #[must_use]
    pub fn with_federations(mut self, anchors: Vec<FederationAnchor>) -> Self {
        self.federations = anchors;
        self
    }

    /// These client identifiers (with their prefix) may have their answers sent to a host of their choice (OpenID4VP 1.0
    /// section 5.9.3 on `x509_san_dns`).
    #[must_use]
    pub fn with_free_destinations(mut self, client_ids: Vec<String>) -> Self {
        self.client_ids = client_ids;
        self
    }

    /// Reads registration certificates of these registrars ([`registration`](super::registration)), and warns where a
    /// verifier has none or asks for more than it says.
    #[must_use]
    pub fn with_registrars(mut self, registrars: Vec<TrustAnchor>) -> Self {
        self.registrars = registrars;
        self
    }

    pub(crate) fn registrars(&self) -> &[TrustAnchor] {
        &self.registrars
    }

    pub(crate) fn attester(&self, issuer: &str) -> Option<&Attester> {
        self.attesters.iter().find(|attester| attester.issuer == issuer)
    }

    pub(crate) fn federations(&self) -> &[FederationAnchor] {
        &self.federations
    }

    pub(crate) fn may_choose_destination(&self, client_id: &str) -> bool {
        self.client_ids.iter().any(|own| own == client_id)
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor] {
        &self.anchors
    }

    pub(crate) fn knows_did(&self, did: &Did) -> bool {
        self.dids.contains(did)
    }

    pub(crate) fn takes_unknown_dids(&self) -> bool {
        self.unknown_dids
    }

    pub(crate) fn takes_unsigned(&self) -> bool {
        self.unsigned
    }
}
