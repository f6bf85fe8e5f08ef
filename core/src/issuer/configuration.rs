//! The credential configurations: each kind of dataset in each format.

use super::Issuer;
use crate::attestation::key_attestation::KeyAttestationsRequired;
use crate::attestation::level::AssuranceLevel;
use crate::credential::CredentialFormat;
use crate::did::{self, DidUrl};
use crate::error::{Error, Result};
use crate::format::sd_jwt_vc::issue::IssuerKeyHeader;
use crate::format::w3c::issue::Security;
use crate::health::DatasetKind;
use crate::key::SignatureAlgorithm;
use crate::status::bitstring_status_list::{StatusEntry, StatusPurpose};

use super::catalogue::{DID_KEY_FRAGMENT, did_web};

/// A kind of credential in one format. Its identifier is the kind's, with the format's ending: `patient_identity`,
/// `patient_identity_ldp`, `patient_identity_ldp_sd`, `patient_identity_jwt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// What it says.
    pub kind: DatasetKind,
    /// How it is secured; `None` is SD-JWT VC.
    pub w3c: Option<Security>,
}

const ENDINGS: [(Option<Security>, &str); 4] = [
    (None, ""),
    (Some(Security::DataIntegrity), "_ldp"),
    (Some(Security::Selective), "_ldp_sd"),
    (Some(Security::Jwt), "_jwt"),
];

impl Configuration {
    /// Every configuration, SD-JWT VC first.
    pub fn all() -> impl Iterator<Item = Self> {
        ENDINGS.into_iter().flat_map(|(w3c, _)| DatasetKind::ALL.map(|kind| Self { kind, w3c }))
    }

    /// The identifier.
    pub fn id(self) -> String {
        let ending = ENDINGS.iter().find(|(w3c, _)| *w3c == self.w3c).map_or("", |(_, ending)| ending);
        format!("{}{ending}", self.kind.as_str())
    }

    /// The configuration of an identifier; [`Error::Unsupported`] `dataset_unknown`.
    pub fn parse(id: &str) -> Result<Self> {
        Self::all().find(|one| one.id() == id).ok_or_else(|| {
            Error::unsupported("dataset_unknown", "no credential of that name can be made from FHIR")
        })
    }

    /// The format.
    pub fn format(self) -> CredentialFormat {
        self.w3c.map_or(CredentialFormat::DcSdJwt, Security::format)
    }

    /// The type's term beside `VerifiableCredential`, in W3C formats.
    pub const fn type_term(self) -> &'static str {
        match self.kind {
            DatasetKind::PatientIdentity => "PatientIdentity",
            DatasetKind::InsuranceCoverage => "InsuranceCoverage",
        }
    }

    /// Whether a key of this algorithm can sign it.
    pub fn fits(self, key: SignatureAlgorithm) -> bool {
        self.w3c != Some(Security::Selective) || key == SignatureAlgorithm::Es256
    }
}

impl Issuer {
    /// What this issuer offers: every configuration that its key can sign.
    pub fn configurations(&self) -> impl Iterator<Item = Configuration> {
        let key = self.key.signer.public_key().algorithm();
        Configuration::all().filter(move |one| one.fits(key))
    }

    /// The configuration of an identifier, if it is offered; `dataset_unknown`.
    pub(super) fn offered(&self, id: &str) -> Result<Configuration> {
        let found = Configuration::parse(id)?;
        match found.fits(self.key.signer.public_key().algorithm()) {
            true => Ok(found),
            false => {
                Err(Error::unsupported("dataset_unknown", "this issuer's key cannot sign that credential"))
            }
        }
    }

    /// The lowest level for a configuration: its own, otherwise that of its kind.
    pub(super) fn required_level(&self, configuration: Configuration) -> AssuranceLevel {
        let levels = &self.settings.required_levels;
        let own = levels.get(&configuration.id()).or_else(|| levels.get(configuration.kind.as_str()));
        own.copied().unwrap_or_default()
    }

    /// What must be attested about the holder keys of a configuration: its own rule, otherwise that of its kind.
    pub(super) fn required_attestation(
        &self,
        configuration: Configuration,
    ) -> Option<&KeyAttestationsRequired> {
        let rules = &self.settings.key_attestations;
        rules.get(&configuration.id()).or_else(|| rules.get(configuration.kind.as_str()))
    }

    /// The key of W3C credentials: the DID URL that headers name, otherwise the same key under `did:web`, or under
    /// `did:jwk` where the issuer's address makes no `did:web`.
    ///
    /// # Errors
    /// Those of [`did::jwk::encode`].
    pub fn verification_method(&self) -> Result<DidUrl> {
        if let IssuerKeyHeader::Kid(kid) = self.key_header()
            && kid.starts_with("did:")
        {
            return DidUrl::parse(&kid);
        }
        match did_web(&self.settings.identifier) {
            Ok(did) => did.with_fragment(DID_KEY_FRAGMENT),
            Err(_) => did::jwk::encode(self.key.signer.public_key())?.with_fragment(did::jwk::FRAGMENT),
        }
    }

    /// The URL of the bitstring status list for one purpose: the same entries as status list number `list`.
    pub(super) fn bitstring_uri(&self, list: u64, purpose: &StatusPurpose) -> String {
        format!("{}/{purpose}", self.status_list_uri(list))
    }

    pub(super) fn bitstring_entries(&self, list: u64, index: u64) -> Vec<StatusEntry> {
        let purposes = [StatusPurpose::Revocation, StatusPurpose::Suspension];
        purposes
            .into_iter()
            .map(|purpose| {
                let uri = self.bitstring_uri(list, &purpose);
                StatusEntry::new(purpose, index, &uri)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        let ids: Vec<String> = Configuration::all().map(Configuration::id).collect();
        assert_eq!(ids.len(), 8);
        for id in &ids {
            assert_eq!(Configuration::parse(id).unwrap().id(), *id);
        }
        assert_eq!(ids[0], "patient_identity");
        assert_eq!(Configuration::parse("patient_identity_ldp").unwrap().format(), CredentialFormat::LdpVc);
        assert_eq!(Configuration::parse("patient_identity_mdoc").unwrap_err().code(), "dataset_unknown");
        let selective = Configuration::parse("insurance_coverage_ldp_sd").unwrap();
        assert!(selective.fits(SignatureAlgorithm::Es256) && !selective.fits(SignatureAlgorithm::EdDsa));
    }
}
