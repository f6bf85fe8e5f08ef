//! What registrars say about the verifier, compared with what it asks for.

use serde::{Deserialize, Serialize};

use super::PresentationContext;
use crate::credential::claims::ClaimPath;
use crate::limits::Limits;
use crate::protocol::openid4vp::dcql::{ClaimsQuery, CredentialQuery};
use crate::protocol::openid4vp::signed_request::AuthenticatedRequest;
use crate::protocol::openid4vp::verifier_info::VerifierInfo;
use crate::trust::registration::{Registration, UnverifiedRegistration};

/// Whether a registrar that the wallet knows vouches for what the verifier may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// This wallet knows no registrar.
    #[default]
    NotChecked,
    /// The request has no registration certificate.
    Missing,
    /// It has one that does not count: not of a known registrar, not current, or of somebody else.
    Invalid,
    /// It has one that counts.
    Valid,
}

/// The verifier's registration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RegistrationReview {
    /// Whether there is one.
    pub state: RegistrationState,
    /// Those that count.
    pub registrations: Vec<Registration>,
}

/// The registrations that count, each with the queries that it is for.
pub(super) struct Registered {
    state: RegistrationState,
    valid: Vec<(VerifierInfo, Registration)>,
}

impl Registered {
    pub(super) fn of(authenticated: &AuthenticatedRequest, context: &PresentationContext<'_>) -> Self {
        let registrars = context.trust.registrars();
        let infos = authenticated.request().verifier_info.iter();
        let certificates: Vec<_> =
            infos.filter_map(|info| Some((info, info.registration_certificate()?))).collect();
        if registrars.is_empty() || certificates.is_empty() {
            let none = registrars.is_empty();
            let state = if none { RegistrationState::NotChecked } else { RegistrationState::Missing };
            return Self { state, valid: Vec::new() };
        }
        let identifiers = &authenticated.verifier().identifiers;
        let judged = certificates.into_iter().map(|(info, compact)| {
            let registration = UnverifiedRegistration::parse(compact, &Limits::DEFAULT)
                .and_then(|one| one.verify(registrars, identifiers, context.clock.now()));
            registration.ok().map(|registration| (info.clone(), registration))
        });
        // One that does not count makes nothing better: the person is told.
        match judged.collect::<Option<Vec<_>>>() {
            Some(valid) => Self { state: RegistrationState::Valid, valid },
            None => Self { state: RegistrationState::Invalid, valid: Vec::new() },
        }
    }

    fn concerning(&self, query: &CredentialQuery) -> impl Iterator<Item = &Registration> {
        self.valid.iter().filter(|(info, _)| info.concerns(query.id())).map(|(_, registration)| registration)
    }

    /// The claims that `query` asks for in any combination and that no registration covers.
    pub(super) fn beyond(&self, query: &CredentialQuery) -> Vec<ClaimPath> {
        if self.state != RegistrationState::Valid {
            return Vec::new();
        }
        let covered = |claim: &&ClaimsQuery| {
            let (format, types) = (query.format(), query.accepted_types());
            self.concerning(query).any(|registration| registration.covers(format, types, claim.path()))
        };
        query.claims().iter().filter(|claim| !covered(claim)).map(|claim| claim.path().clone()).collect()
    }

    /// Whether no registration covers the kind of credential.
    pub(super) fn type_beyond(&self, query: &CredentialQuery) -> bool {
        let (format, types) = (query.format(), query.accepted_types());
        self.state == RegistrationState::Valid
            && !self.concerning(query).any(|registration| registration.covers_types(format, types))
    }

    pub(super) fn into_review(self) -> RegistrationReview {
        let registrations = self.valid.into_iter().map(|(_, registration)| registration).collect();
        RegistrationReview { state: self.state, registrations }
    }
}
