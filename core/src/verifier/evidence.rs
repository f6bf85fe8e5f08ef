//! What the judge sees: the presentation as it was read, and everything that was gathered for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::request::PresentationRequest;
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::format::any::UnverifiedPresented;
use crate::limits::Limits;
use crate::protocol::openid4vp::dcql::DcqlQuery;
use crate::status::bitstring_status_list::StatusList;
use crate::status::token_status_list::VerifiedStatusList;
use crate::trust::TrustedIssuer;

/// The presentations of one response, read but not verified.
#[derive(Debug)]
pub struct UnverifiedPresentation {
    pub(super) entries: Vec<(String, UnverifiedPresented)>,
}

impl UnverifiedPresentation {
    /// Reads a `vp_token` for `query` (OpenID4VP 1.0 section 8.6, step 1 and the format of step 2).
    ///
    /// [`Error::Malformed`] `presentation_not_asked` (no such credential query), `presentation_count` (several where
    /// `multiple` is false), or what [`UnverifiedPresented::parse`] says; [`Error::Unsupported`] `credential_format`.
    pub fn parse(
        vp_token: &BTreeMap<String, Vec<String>>,
        query: &DcqlQuery,
        limits: &Limits,
    ) -> Result<Self> {
        let mut entries = Vec::new();
        for (id, presentations) in vp_token {
            let asked = query.credential(id).ok_or_else(|| {
                Error::malformed(
                    "presentation_not_asked",
                    "the response answers a credential query that was not asked",
                )
            })?;
            if presentations.len() != 1 && !asked.multiple() {
                return Err(Error::malformed(
                    "presentation_count",
                    "one presentation was asked for, several came",
                ));
            }
            for presentation in presentations {
                let format = CredentialFormat::parse(asked.format())?;
                entries.push((id.clone(), UnverifiedPresented::parse(format, presentation, limits)?));
            }
        }
        Ok(Self { entries })
    }

    /// The presentations with the ids of their credential queries, in a fixed order: what to gather evidence for.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &UnverifiedPresented)> {
        self.entries.iter().map(|(id, credential)| (id.as_str(), credential))
    }
}

/// Everything that a judgement depends on, beside the policy.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// What was asked for; its nonce is taken by the same store transaction that writes the outcome.
    pub request: &'a PresentationRequest,
    /// The time.
    pub now: UnixTime,
    /// One per presentation, in the order of [`UnverifiedPresentation::iter`].
    pub sources: Vec<SourceEvidence>,
}

/// What was gathered about the source of one presentation.
#[derive(Debug, Clone)]
pub struct SourceEvidence {
    /// The issuer's key, or why there is none.
    pub issuer: Result<Arc<TrustedIssuer>>,
    /// The status list.
    pub status: StatusEvidence,
}

/// What is known about the status of a credential.
#[derive(Debug, Clone)]
pub enum StatusEvidence {
    /// The credential names no status list.
    NotNamed,
    /// A list, and when it was fetched.
    List {
        /// The list, its signature verified with a key of the credential's issuer.
        list: Arc<VerifiedStatusList>,
        /// When this copy was fetched.
        fetched_at: UnixTime,
    },
    /// Bitstring status lists of a W3C credential.
    Bitstrings {
        /// One per entry of the credential, in its order; each in a credential that the same issuer signed.
        lists: Vec<Arc<StatusList>>,
        /// When the oldest of these copies was fetched.
        fetched_at: UnixTime,
    },
    /// No list could be had, and why.
    Unavailable(Error),
}
