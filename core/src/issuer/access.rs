//! Access tokens at the protected endpoints (RFC 6750), and the grants behind them.

use super::records::{GRANTS, GrantRecord, TOKENS, TokenRecord};
use super::{Issuer, fresh, hashed};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::store::{Expect, Write, read_json};

/// An access token that holds, with its grant.
pub(super) struct ValidToken {
    /// Key of the grant.
    pub(super) grant: String,
    /// Version of the grant's record.
    pub(super) version: u64,
    /// End of the grant.
    pub(super) expires_at: Option<UnixTime>,
    pub(super) record: GrantRecord,
}

impl Issuer {
    /// Looks an access token and its grant up.
    ///
    /// # Errors
    /// [`ErrorCode::MissingToken`] (`access_token_missing`), [`ErrorCode::InvalidToken`] (`access_token_invalid`).
    pub(super) async fn valid_token(&self, access_token: Option<&str>) -> Result<ValidToken, Refusal> {
        let Some(access_token) = access_token else {
            let error = Error::refused("access_token_missing", "no access token was sent");
            return Err(ErrorCode::MissingToken.refuse()(error));
        };
        let token = read_json::<TokenRecord>(self.store(), TOKENS, hashed(access_token)).await;
        let token = token.map_err(ErrorCode::ServerError.refuse())?.filter(|token| token.is_live(self.now()));
        let grant = token.ok_or_else(invalid_token)?.value.grant;
        let stored = read_json::<GrantRecord>(self.store(), GRANTS, &grant).await;
        let stored = stored.map_err(ErrorCode::ServerError.refuse())?;
        // A grant that was withdrawn takes its tokens with it.
        let stored = stored.filter(|stored| stored.is_live(self.now())).ok_or_else(invalid_token)?;
        Ok(ValidToken { grant, version: stored.version, expires_at: stored.expires_at, record: stored.value })
    }

    /// A fresh grant with its first access token: the token, and the writes that make both.
    pub(super) fn new_grant(&self, grant: &GrantRecord) -> Result<(String, Vec<Write>)> {
        let (id, access_token) = (fresh(&*self.random), fresh(&*self.random));
        let end = Some(self.now().plus(self.settings.token_lifetime));
        let token = TokenRecord { grant: id.clone() };
        let writes = vec![
            Write::put_json(GRANTS, id, Expect::Absent, grant, end)?,
            Write::put_json(TOKENS, hashed(&access_token), Expect::Absent, &token, end)?,
        ];
        Ok((access_token, writes))
    }
}

fn invalid_token() -> Refusal {
    let error = Error::refused("access_token_invalid", "the access token is unknown or has expired");
    ErrorCode::InvalidToken.refuse()(error)
}
