//! Which verifiers a wallet knows.

use crate::did::Did;
use crate::x509::TrustAnchor;

/// The wallet's rules about verifiers. The default knows nobody and takes only what a rule names.
#[derive(Debug, Clone, Default)]
pub struct VerifierTrust {
    anchors: Vec<TrustAnchor>,
    dids: Vec<Did>,
    unknown_dids: bool,
    unsigned: bool,
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
