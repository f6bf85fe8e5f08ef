//! Which issuers count, for which credential types, and by which kind of key.
//!
//! A rule names credential types and the issuers that may sign them: certificates under an anchor, DIDs, or https
//! issuers whose `/.well-known/jwt-vc-issuer` may be fetched. Nothing else is trusted, and nothing is fetched from an
//! address that only a credential names: status lists come from the issuer's own host or from a host of the rule.

use url::Url;

use crate::clock::UnixTime;
use crate::credential::issuer_key::IssuerKey;
use crate::did::{Did, DidDocument, DidUrl};
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::limits::Limits;
use crate::x509::{TrustAnchor, UnverifiedChain};

/// One rule. All lists empty trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct IssuerRule {
    /// Credential types; empty means all.
    pub vcts: Vec<String>,
    /// Anchors of issuer certificates.
    pub anchors: Vec<TrustAnchor>,
    /// Issuers by DID.
    pub dids: Vec<Did>,
    /// `iss` values whose issuer metadata may be fetched.
    pub https_issuers: Vec<String>,
    /// Hosts, beside the issuer's own, from which status lists may be fetched.
    pub status_hosts: Vec<String>,
}

/// A verifier's rules about issuers. The default trusts nobody.
#[derive(Debug, Clone, Default)]
pub struct IssuerTrust {
    rules: Vec<IssuerRule>,
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
}

/// An issuer key that a rule accepts for a credential type. Made only by [`IssuerTrust`].
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    vct: String,
    key: IssuerKey,
    by: TrustedBy,
    valid_until: Option<UnixTime>,
    status_hosts: Vec<String>,
}

impl IssuerTrust {
    /// These rules; the first that fits counts.
    pub fn new(rules: Vec<IssuerRule>) -> Self {
        Self { rules }
    }

    fn rules_for<'a>(&'a self, vct: &str) -> impl Iterator<Item = &'a IssuerRule> {
        self.rules.iter().filter(move |rule| rule.vcts.is_empty() || rule.vcts.iter().any(|own| own == vct))
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
        let mut fault = untrusted();
        for rule in self.rules_for(vct).filter(|rule| !rule.anchors.is_empty()) {
            match chain.verify(&rule.anchors, now) {
                Ok(verified) => {
                    let key = IssuerKey::from_certificate_chain(&verified, iss)?;
                    let valid_until = Some(verified.expires_at());
                    return Ok(TrustedIssuer::new(rule, vct, key, TrustedBy::Certificate, valid_until));
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
        self.rules_for(vct).find(|rule| rule.dids.contains(did)).ok_or_else(untrusted)
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
        Ok(TrustedIssuer::new(rule, vct, key, TrustedBy::Did, None))
    }

    /// Whether the metadata of that https issuer may be fetched. Error: `issuer_untrusted`.
    pub fn check_https_issuer(&self, vct: &str, iss: &str) -> Result<()> {
        self.https_rule(vct, iss).map(drop)
    }

    fn https_rule(&self, vct: &str, iss: &str) -> Result<&IssuerRule> {
        self.rules_for(vct).find(|rule| rule.https_issuers.iter().any(|own| own == iss)).ok_or_else(untrusted)
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
        Ok(TrustedIssuer::new(rule, vct, key, TrustedBy::IssuerMetadata, None))
    }
}

impl TrustedIssuer {
    fn new(
        rule: &IssuerRule,
        vct: &str,
        key: IssuerKey,
        by: TrustedBy,
        valid_until: Option<UnixTime>,
    ) -> Self {
        let status_hosts = status_hosts(rule, key.issuer());
        Self { vct: vct.to_owned(), key, by, valid_until, status_hosts }
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

    /// [`Error::NotCurrent`] `issuer_certificate_expired` from the end of the certificate chain on.
    pub fn check_current(&self, now: UnixTime) -> Result<()> {
        match self.valid_until.filter(|limit| now > *limit) {
            None => Ok(()),
            Some(limit) => Err(Error::not_current(
                "issuer_certificate_expired",
                "the issuer's certificate has expired",
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
