//! What lies in the (sealed) store.

use carekey_core::clock::UnixTime;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::store::Table;
use carekey_core::verifier::{PresentationRequest, Refusal, RefusalCode, VerifiedPresentation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// Requests and their states; no presented data.
pub(super) const REQUESTS: Table = Table::new("vp_requests");
/// Presented data and checks, for a short time.
pub(super) const OUTCOMES: Table = Table::new("vp_outcomes");
/// Response codes by their hash, each to be taken once.
pub(super) const CODES: Table = Table::new("vp_response_codes");

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Nobody has opened it.
    Pending,
    /// A wallet has fetched it.
    Opened,
    /// An answer came, and every check passed.
    Verified,
    /// An answer came, and a check failed.
    Refused,
    /// The wallet answered with an error: usually the person declined.
    Declined,
    /// Nobody answered in time.
    Expired,
}

impl RequestState {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Opened)
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Opened => "opened",
            Self::Verified => "verified",
            Self::Refused => "refused",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }
}

/// One request in [`REQUESTS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RequestRecord {
    pub(super) request: PresentationRequest,
    pub(super) state: RequestState,
    /// Hash of the browser session that the request was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// Where the wallet sends the person afterwards, with a response code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) redirect_uri: Option<Url>,
    /// Whether the outcome may be read: at once, or only after the response code came back.
    pub(super) released: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) finished_at: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<RefusalCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wallet_error: Option<String>,
    pub(super) link: String,
}

impl RequestRecord {
    /// The state at `now`: time ends a request by itself.
    pub(super) fn state_at(&self, now: UnixTime) -> RequestState {
        match self.state {
            state if state.is_final() => state,
            _ if now >= self.request.expires_at => RequestState::Expired,
            state => state,
        }
    }

    pub(super) fn in_session(&self, session: Option<&str>) -> bool {
        session.is_none_or(|session| self.session == Some(hash(session)))
    }
}

/// What is written into [`OUTCOMES`].
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NewOutcome<'a> {
    Verified(&'a VerifiedPresentation),
    Refused(&'a Refusal),
}

/// What is read from [`OUTCOMES`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeRecord {
    Verified(Value),
    Refused(Refusal),
}

/// One code in [`CODES`].
#[derive(Serialize, Deserialize)]
pub(super) struct CodeRecord {
    pub(super) request_id: String,
}

/// Codes and sessions are secrets: only their hashes are kept.
pub(super) fn hash(secret: &str) -> String {
    base64url::encode(&sha256(secret.as_bytes()))
}
