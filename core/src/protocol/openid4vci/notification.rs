//! Notification request (OpenID4VCI 1.0 section 11.1).

use serde::{Deserialize, Serialize};

use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// What became of an issued credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationEvent {
    /// The wallet stored it.
    CredentialAccepted,
    /// The wallet could not store it.
    CredentialFailure,
    /// The person declined or deleted it.
    CredentialDeleted,
}

/// A notification request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationRequest {
    /// From the credential response.
    pub notification_id: String,
    /// What happened.
    pub event: NotificationEvent,
    /// Explanation for developers; ASCII without `"` and `\`. It is read, checked and thrown away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_description: Option<String>,
}

impl NotificationRequest {
    /// Parses a request body. Unknown members are ignored.
    ///
    /// # Errors
    /// JSON and size: the codes of [`json::parse`]. `notification_description`: characters that section 11.1 forbids.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let request: Self = json::parse_as(bytes, limits)?;
        let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        if request.event_description.as_ref().is_some_and(|text| !text.chars().all(allowed)) {
            return Err(Error::malformed(
                "notification_description",
                "event_description has forbidden characters",
            ));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let parse = |text: &str| NotificationRequest::parse(text.as_bytes(), &Limits::DEFAULT);
        let ok = parse(
            r#"{"notification_id":"3fwe98js","event":"credential_failure","event_description":"Full.","x":1}"#,
        );
        assert_eq!(ok.unwrap().event, NotificationEvent::CredentialFailure);
        for bad in [
            r#"{"event":"credential_accepted"}"#,
            r#"{"notification_id":"a","event":"credential_eaten"}"#,
            r#"{"notification_id":1,"event":"credential_accepted"}"#,
            r#"{"notification_id":"a","event":"credential_accepted","event_description":"ä"}"#,
            r#"{"notification_id":"a","notification_id":"b","event":"credential_accepted"}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
