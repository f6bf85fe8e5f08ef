//! What lies in the (sealed) store.

use carekey_core::clock::UnixTime;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::protocol::openid4vp::digital_credentials::DigitalCredentialRequest;
use carekey_core::protocol::openid4vp::request::ResponseMode;
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

/// The way between the page that asks and the wallet: how sure it is that both are in front of the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The wallet may be on another device: nothing ties the answer to the browser that asked, and somebody may have been
    /// made to scan a stranger's code (OpenID4VP 1.0 section 14.2).
    #[default]
    CrossDevice,
    /// The wallet sends the person's browser back, and the outcome is given only to the session that asked.
    SameDevice,
    /// Over the Digital Credentials API: the platform carries the request from this page and the answer back to it, and the
    /// answer is made for the page's origin.
    DigitalCredentials,
}

/// What ties an outcome to the session that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionBinding {
    /// Nothing: the answer is genuine, but whoever sees the outcome may not be whoever answered.
    None,
    /// A one-time code that came back with the person's browser (section 8.2).
    ResponseCode,
    /// The answer itself came with the person's browser (response mode `fragment`).
    Fragment,
    /// The platform carried the answer to the page of this origin (appendix A).
    Origin,
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
    /// The link for the wallet; none over the Digital Credentials API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
    /// What the page hands to the platform, over the Digital Credentials API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) digital: Vec<DigitalCredentialRequest>,
    #[serde(default)]
    pub(super) flow: Flow,
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

    /// What ties a released outcome to the session.
    pub(super) fn session_binding(&self) -> SessionBinding {
        match (self.flow, self.request.response_mode) {
            (Flow::CrossDevice, _) => SessionBinding::None,
            (Flow::SameDevice, ResponseMode::Fragment) => SessionBinding::Fragment,
            (Flow::SameDevice, _) => SessionBinding::ResponseCode,
            (Flow::DigitalCredentials, _) => SessionBinding::Origin,
        }
    }

    /// Whether something that a browser brought comes from the session that asked: where the request has one, it must.
    pub(super) fn brought_by(&self, session: Option<&str>) -> bool {
        self.session.as_ref().is_none_or(|own| session.map(hash).as_ref() == Some(own))
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
