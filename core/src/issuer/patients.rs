//! Where the records of people come from who sign in without an offer of the desk.

use async_trait::async_trait;
use serde_json::Value;

use crate::error::Result;

/// The hospital's records, by the identifier under which its OpenID Connect provider knows a person.
#[async_trait]
pub trait PatientSource: Send + Sync {
    /// The person's own FHIR R4 resource or Bundle; `None` when there is no such person.
    ///
    /// # Errors
    /// When the records cannot be had.
    async fn record(&self, subject: &str) -> Result<Option<Value>>;
}
