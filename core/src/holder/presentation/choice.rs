//! What the person chose.

use serde::{Deserialize, Serialize};

use super::review::PresentationReview;
use super::{Answering, read, stored};
use crate::credential::claims::ClaimPath;
use crate::error::{Error, Result};
use crate::holder::StoredCredential;

/// The credentials that leave, and the claims that stay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selection {
    /// One entry per credential that leaves.
    pub choices: Vec<Choice>,
}

/// One credential for one query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The credential query.
    pub query_id: String,
    /// The wallet's id of the credential, one of the candidates.
    pub credential_id: String,
    /// Optional claims that the person keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<ClaimPath>,
}

impl PresentationReview {
    /// The smallest usual answer: for each required set its first possible option, for each query its first candidate,
    /// nothing optional beyond that. `None` where the request cannot be answered.
    pub fn default_selection(&self) -> Option<Selection> {
        let first = |id: &str| {
            let query = self.queries.iter().find(|query| query.id == id)?;
            let candidate = query.candidates.first()?;
            Some(Choice {
                query_id: id.to_owned(),
                credential_id: candidate.credential_id.clone(),
                leave_out: Vec::new(),
            })
        };
        let sets = self.request.dcql_query.credential_sets();
        let mut ids: Vec<&str> = Vec::new();
        if sets.is_empty() {
            ids.extend(self.queries.iter().map(|query| query.id.as_str()));
        }
        for set in sets.iter().filter(|set| set.required()) {
            let option = set.answered_by(&|id| first(id).is_some())?;
            ids.extend(option.iter().map(String::as_str));
        }
        // Each transaction needs one of its credentials, whatever the sets say.
        let step_up = self.step_up.iter().map(|step_up| &step_up.credential_ids);
        for approving in step_up.chain(self.transactions.iter().map(|one| &one.credential_ids)) {
            if !approving.iter().any(|id| ids.contains(&id.as_str())) {
                ids.push(approving.iter().find(|id| first(id).is_some())?);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Some(Selection { choices: ids.into_iter().map(first).collect::<Option<_>>()? })
    }

    /// The claim paths that leave under `selection`, if it answers the request with candidates of this review.
    ///
    /// # Errors
    /// `selection_candidate`, `selection_twice`, `credentials_missing`, and `claim_absent` when a claim is left out
    /// that the verifier demands.
    pub(super) fn answering(
        &self,
        selection: &Selection,
        credentials: &[StoredCredential],
    ) -> Result<Vec<Answering>> {
        let query = &self.request.dcql_query;
        query.check_answered(selection.choices.iter().map(|choice| choice.query_id.as_str()))?;
        let mut answering: Vec<Answering> = Vec::new();
        for choice in &selection.choices {
            let offered = self.queries.iter().find(|offered| offered.id == choice.query_id);
            let fits = offered.is_some_and(|offered| {
                offered.candidates.iter().any(|candidate| candidate.credential_id == choice.credential_id)
            });
            let (Some(offered), Some(asked), true) = (offered, query.credential(&choice.query_id), fits)
            else {
                return Err(Error::misuse(
                    "selection_candidate",
                    "a chosen credential is no candidate for its query",
                ));
            };
            let same_query = |other: &&Answering| other.query_id == choice.query_id;
            let earlier = answering.iter().filter(same_query);
            let twice = earlier.clone().any(|other| other.credential_id == choice.credential_id);
            if twice || (earlier.count() > 0 && !offered.multiple) {
                return Err(Error::misuse(
                    "selection_twice",
                    "a query is answered more often than it asks for",
                ));
            }
            let read = read(stored(credentials, &choice.credential_id)?)?;
            let selected = asked.select(read.claims(), &|claim| choice.leave_out.contains(claim.path()))?;
            answering.push(Answering {
                query_id: choice.query_id.clone(),
                credential_id: choice.credential_id.clone(),
                paths: selected.iter().map(|claim| claim.path().clone()).collect(),
                transaction_data: Vec::new(),
            });
        }
        Ok(answering)
    }
}
