//! Trusted Authorities Query (OpenID4VP 1.0 section 6.1.1): which issuers, by the authority that stands behind them.

use serde_json::{Value, json};

use super::{MAX_ENTRIES, member};
use crate::clock::UnixTime;
use crate::credential::issuer_key::IssuerKeyReference;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::trust::KnownAuthorities;
use crate::x509::UnverifiedChain;

/// One entry: a credential matches when it matches one of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthorities {
    kind: AuthorityKind,
    values: Vec<String>,
}

/// How the authority is named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AuthorityKind {
    /// Authority key identifier of a certificate of the credential, base64url.
    Aki,
    /// Identifier of an ETSI trusted list.
    EtsiTl,
    /// Entity of an OpenID Federation.
    OpenidFederation,
    /// A type that is not known: no credential matches it.
    Other(String),
}

/// What a credential says about its issuer, in the credential itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct CredentialSource<'a> {
    /// `x5c` of its header.
    pub x5c: Option<&'a [String]>,
    /// Its issuer identifier.
    pub issuer: Option<&'a str>,
    /// `trust_chain` of its header (OpenID Federation 1.0 section 4.3).
    pub trust_chain: Option<&'a [String]>,
}

impl<'a> CredentialSource<'a> {
    /// What a credential of `issuer` says by the way in which it names its key.
    pub fn of(key: Option<&'a IssuerKeyReference>, issuer: Option<&'a str>) -> Self {
        match key {
            Some(IssuerKeyReference::X5c { chain, .. }) => {
                Self { x5c: Some(chain), trust_chain: None, issuer }
            }
            Some(IssuerKeyReference::TrustChain { chain, .. }) => {
                Self { x5c: None, trust_chain: Some(chain), issuer }
            }
            _ => Self { x5c: None, trust_chain: None, issuer },
        }
    }
}

impl TrustedAuthorities {
    pub(super) fn parse(value: &Value) -> Result<Self> {
        let entry = member::object(value, "trusted_authorities")?;
        let kind = member::text(
            entry.get("type").ok_or_else(|| member::missing("trusted_authorities.type"))?,
            "trusted_authorities.type",
        )?;
        let values = member::list(entry, "values", MAX_ENTRIES)?
            .ok_or_else(|| member::missing("trusted_authorities.values"))?;
        let kind = match kind.as_str() {
            "aki" => AuthorityKind::Aki,
            "etsi_tl" => AuthorityKind::EtsiTl,
            "openid_federation" => AuthorityKind::OpenidFederation,
            _ => AuthorityKind::Other(kind),
        };
        let values = values.iter().map(|value| member::text(value, "trusted_authorities.values"));
        Ok(Self { kind, values: values.collect::<Result<_>>()? })
    }

    pub(super) fn to_value(&self) -> Value {
        let kind = match &self.kind {
            AuthorityKind::Aki => "aki",
            AuthorityKind::EtsiTl => "etsi_tl",
            AuthorityKind::OpenidFederation => "openid_federation",
            AuthorityKind::Other(kind) => kind,
        };
        json!({ "type": kind, "values": self.values })
    }

    pub(super) fn check_supported(&self) -> Result<()> {
        match self.kind {
            AuthorityKind::Other(_) => Err(Error::unsupported(
                "dcql_trusted_authorities",
                "a type of `trusted_authorities` is not known",
            )),
            _ => Ok(()),
        }
    }

    /// Whether the credential matches one of the values.
    pub fn matches(&self, source: CredentialSource<'_>, known: &KnownAuthorities, now: UnixTime) -> bool {
        let chain = source.x5c.and_then(|x5c| UnverifiedChain::parse(x5c, &Limits::DEFAULT).ok());
        self.values.iter().any(|value| match (&self.kind, &chain, source.issuer) {
            (AuthorityKind::Aki, Some(chain), _) => has_authority_key(chain, value),
            (AuthorityKind::EtsiTl, Some(chain), _) => known.on_etsi_list(value, chain, now),
            (AuthorityKind::OpenidFederation, _, Some(issuer)) => {
                known.in_federation(value, issuer, source.trust_chain, now)
            }
            _ => false,
        })
    }
}

/// Section 6.1.1.1: the raw bytes match those of one certificate of the chain.
fn has_authority_key(chain: &UnverifiedChain, value: &str) -> bool {
    let Ok(wanted) = base64url::decode(value) else { return false };
    chain.certificates().any(|certificate| certificate.authority_key_id() == Some(wanted.as_slice()))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::encoding::base64;
    use crate::x509::{Certificate, TrustAnchor};

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    /// A CA and a leaf that names the CA's key.
    fn chain() -> (TrustAnchor, String) {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec!["issuer.example".to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&params, &ca_key)).unwrap();
        (TrustAnchor::from_der(ca.der()).unwrap(), base64::encode(leaf.der()))
    }

    fn entry(kind: &str, values: &[&str]) -> TrustedAuthorities {
        TrustedAuthorities::parse(&json!({ "type": kind, "values": values })).unwrap()
    }

    #[test]
    fn key_identifiers() {
        let (_, leaf) = chain();
        let der = base64::decode(&leaf).unwrap();
        let certificate = Certificate::from_der(&der).unwrap();
        let id = base64url::encode(certificate.authority_key_id().unwrap());
        let x5c = [leaf];
        let source = CredentialSource { x5c: Some(&x5c), ..CredentialSource::default() };
        let matches =
            |values: &[&str], source| entry("aki", values).matches(source, &KnownAuthorities::default(), NOW);
        assert!(matches(&[&id], source));
        assert!(matches(&["AAAA", &id], source));
        for other in ["AAAA", "not base64url!", &format!("{id}AA")] {
            assert!(!matches(&[other], source), "{other}");
        }
        assert!(!matches(&[&id], CredentialSource::default()), "no certificates");
    }

    #[test]
    fn lists_and_federations_that_are_known_here() {
        let ((anchor, leaf), (other, _)) = (chain(), chain());
        let x5c = [leaf];
        let source =
            CredentialSource { x5c: Some(&x5c), issuer: Some("https://issuer.example"), trust_chain: None };
        let known = KnownAuthorities::default()
            .with_etsi_list("https://lotl.example", &[other.clone(), anchor])
            .with_etsi_list("https://other.example", &[other])
            .with_federation("https://anchor.example", ["https://issuer.example".to_owned()]);
        let matches = |kind, value| entry(kind, &[value]).matches(source, &known, NOW);
        assert!(matches("etsi_tl", "https://lotl.example"));
        assert!(!matches("etsi_tl", "https://other.example"));
        assert!(!matches("etsi_tl", "https://unknown.example"));
        assert!(matches("openid_federation", "https://anchor.example"));
        assert!(!matches("openid_federation", "https://lotl.example"));
        let stranger = CredentialSource { issuer: Some("https://stranger.example"), ..source };
        assert!(!entry("openid_federation", &["https://anchor.example"]).matches(stranger, &known, NOW));
        assert!(!matches("https://example.org/own", "x"));
        assert_eq!(entry("own", &["x"]).check_supported().unwrap_err().code(), "dcql_trusted_authorities");
    }
}
