//! The notification endpoint (OpenID4VCI 1.0 section 11): what became of a credential.

use super::access::ValidToken;
use super::offer::bounded_key;
use super::records::{CREDENTIALS, CredentialRecord, NOTIFICATIONS, NotificationRecord};
use super::{Caller, Issuer, NOTIFICATION_PATH};
use crate::error::{Error, Result};
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::protocol::openid4vci::notification::NotificationRequest;
use crate::store::{read_json, update_json};

impl Issuer {
    /// Takes a notification. Repetitions are welcome; the last event counts.
    ///
    /// # Errors
    /// `invalid_token`, `invalid_notification_request`, `invalid_notification_id` (`notification_unknown`).
    pub async fn notify(&self, caller: &Caller<'_>, body: &[u8]) -> Result<(), Refusal> {
        let ValidToken { grant, proof, .. } = self.valid_token(caller, NOTIFICATION_PATH).await?;
        let request = NotificationRequest::parse(body, &self.limits)
            .map_err(ErrorCode::InvalidNotificationRequest.refuse())?;
        let server = ErrorCode::ServerError.refuse();
        let known = read_json::<NotificationRecord>(
            self.store(),
            NOTIFICATIONS,
            bounded_key(&request.notification_id),
        );
        let known = known.await.map_err(&server)?;
        let known = known.filter(|known| known.is_live(self.now()) && known.value.grant == grant);
        let known = known.ok_or_else(|| {
            let detail = "there is no such notification id for this access token";
            ErrorCode::InvalidNotificationId.refuse()(Error::refused("notification_unknown", detail))
        })?;
        self.use_proof(proof).await?;
        for id in known.value.credential_ids {
            update_json(self.store(), CREDENTIALS, id, self.now(), |credential: &mut CredentialRecord| {
                credential.summary.event = Some(request.event);
                Ok(())
            })
            .await
            .map_err(&server)?;
        }
        Ok(())
    }
}
