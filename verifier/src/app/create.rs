//! Making a request.

use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::clock::UnixTime;
use carekey_core::credential::CredentialFormat;
use carekey_core::protocol::openid4vp::client_id::{ClientId, ClientIdPrefix};
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::protocol::openid4vp::digital_credentials::DigitalCredentialRequest;
use carekey_core::protocol::openid4vp::link::{RequestLink, RequestUriMethod};
use carekey_core::protocol::openid4vp::request::{AuthorizationRequest, ResponseMode};
use carekey_core::store::{Expect, put_json};
use carekey_core::verifier::{NewRequest, PresentationRequest, StepUpCarrier, StepUpDemand};
use carekey_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::App;
use super::record::{Flow, REQUESTS, RequestRecord, RequestState, hash};
use crate::templates;

/// Shortest and longest life of a request, in seconds.
const LIFETIME: std::ops::RangeInclusive<i64> = 1..=86_400;
const MAX_AGE: u32 = 120;

/// The body of `POST /api/requests`: exactly one of `template` and `dcql_query`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// A named query: `patient_identity` or `insurance_coverage`.
    pub template: Option<String>,
    /// The credential format that the template asks for; `dc+sd-jwt` if absent.
    pub format: Option<CredentialFormat>,
    /// A DCQL query (OpenID4VP 1.0 section 6).
    pub dcql_query: Option<Value>,
    /// What for, in words for the person, 1 to 300 characters.
    pub purpose: String,
    /// BCP 47 language of the purpose.
    pub locale: Option<String>,
    /// The lowest level of a step-up; absent or `none`: no step-up.
    #[serde(default)]
    pub min_level: AssuranceLevel,
    /// Longest life of the approval in seconds, 120 if absent.
    pub max_age: Option<u32>,
    /// How the step-up is asked for.
    #[serde(default)]
    pub step_up: StepUpCarrier,
    /// How the answer travels.
    pub response_mode: Option<ResponseMode>,
    /// How this verifier names itself.
    pub client_id_prefix: Option<ClientIdPrefix>,
    /// How wallets fetch the request object.
    #[serde(default)]
    pub request_uri_method: RequestUriMethodName,
    /// Transaction data of registered types, as objects.
    #[serde(default)]
    pub transaction_data: Vec<Value>,
    /// The way between the page that asks and the wallet; `cross_device` if absent, but for response mode `fragment`, which
    /// is always on the same device.
    #[serde(default)]
    pub flow: Option<Flow>,
    /// The session of the portal's own front end, any text: on the same device the answer must come back in it.
    #[serde(default)]
    pub session: Option<String>,
    /// Origins of the pages that ask over the Digital Credentials API; this service's own if absent.
    #[serde(default)]
    pub expected_origins: Vec<String>,
    /// Where the wallet sends the person afterwards; a one-time `response_code` is added, and the outcome is withheld
    /// until it came back. With response mode `fragment`, where the answer itself goes. `{id}` in it stands for the
    /// request's name.
    pub redirect_uri: Option<Url>,
    /// Seconds until the request expires.
    pub expires_in: Option<i64>,
}

/// `request_uri_method` of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestUriMethodName {
    /// GET
    #[default]
    Get,
    /// POST, so that the wallet can send its nonce.
    Post,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct CreatedRequest {
    /// The name of the request in the management API.
    pub id: String,
    /// The full link for the wallet, for a QR code or a button; none over the Digital Credentials API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri: Option<String>,
    /// The argument of `navigator.credentials.get`, over the Digital Credentials API.
    #[serde(flatten)]
    pub digital: Option<DigitalArgument>,
    /// When the request expires.
    pub expires_at: UnixTime,
}

/// The argument of `navigator.credentials.get`.
#[derive(Debug, Clone, Serialize)]
pub struct DigitalArgument {
    /// Its member of that name.
    pub digital: DigitalRequests,
}

/// `DigitalCredentialRequestOptions`
#[derive(Debug, Clone, Serialize)]
pub struct DigitalRequests {
    /// The requests, one for each exchange protocol that may be used.
    pub requests: Vec<DigitalCredentialRequest>,
}

impl DigitalArgument {
    pub(super) fn of(requests: &[DigitalCredentialRequest]) -> Option<Self> {
        let requests = requests.to_vec();
        (!requests.is_empty()).then_some(Self { digital: DigitalRequests { requests } })
    }
}

impl App {
    /// Makes a request. `session`, where given, is the browser session that alone may read its outcome on the pages.
    ///
    /// # Errors
    /// Those of [`PresentationRequest::new`], [`DcqlQuery::parse`] and [`templates::query`]; `request_query` unless
    /// exactly one of template and query is given; `request_lifetime`; `redirect_uri`; `request_flow` for a flow that the
    /// response mode cannot have, or that the policy excludes.
    pub async fn create_request(&self, new: CreateRequest, session: Option<&str>) -> Result<CreatedRequest> {
        let now = self.now();
        let step_up = (new.min_level != AssuranceLevel::None).then(|| StepUpDemand {
            min_level: new.min_level,
            max_age: new.max_age.unwrap_or(MAX_AGE),
            carrier: new.step_up,
        });
        let query = match (&new.template, &new.dcql_query) {
            (Some(name), None) => {
                let format = new.format.unwrap_or(CredentialFormat::DcSdJwt);
                templates::query(name, &self.config.types, format, step_up.is_some())?
            }
            (None, Some(query)) if new.format.is_none() => DcqlQuery::parse(query)?,
            _ => {
                let detail =
                    "exactly one of `template` (with `format`, if wanted) and `dcql_query` must be given";
                return Err(Error::malformed("request_query", detail));
            }
        };
        let lifetime = new.expires_in.unwrap_or(self.config.request_seconds);
        if !LIFETIME.contains(&lifetime) {
            return Err(Error::malformed("request_lifetime", "a request lives 1 to 86400 seconds"));
        }
        if new.redirect_uri.as_ref().is_some_and(|uri| !matches!(uri.scheme(), "https" | "http")) {
            return Err(Error::malformed("redirect_uri", "`redirect_uri` is not a web address"));
        }
        let response_mode = new.response_mode.unwrap_or(self.config.response_mode);
        let flow = self.flow(response_mode, new.flow, new.redirect_uri.as_ref())?;
        let expected_origins = match (response_mode.is_dc_api(), new.expected_origins.is_empty()) {
            (true, true) => vec![self.public_url.origin().ascii_serialization()],
            _ => new.expected_origins,
        };
        let id = self.random.token(16);
        let redirect_uri = new.redirect_uri.map(|uri| with_id(&uri, &id)).transpose()?;
        let response_uri = match (response_mode, &redirect_uri) {
            (ResponseMode::Fragment, Some(uri)) => uri.clone(),
            _ => self.address(&["oid4vp", "responses", &id])?,
        };
        let prefix = new.client_id_prefix.unwrap_or(self.config.client_id_prefix);
        if prefix == ClientIdPrefix::OpenidFederation && response_mode.is_encrypted() {
            // The federation's metadata replaces the request's, and with it the key that is made for each request.
            let detail = "with `openid_federation` answers cannot be encrypted to a key of the request";
            return Err(Error::unsupported("federation_encryption", detail));
        }
        let request = PresentationRequest::new(
            id.clone(),
            NewRequest {
                query,
                purpose: new.purpose,
                locale: new.locale,
                step_up,
                transaction_data: new.transaction_data,
                transaction_types: self.transaction_types.clone(),
                expected_origins,
                response_mode,
                lifetime,
            },
            self.identity.client_id(prefix, &response_uri)?,
            response_uri,
            now,
            &*self.random,
        )?;
        let digital = match response_mode.is_dc_api() {
            true => vec![self.digital_request(&request)?],
            false => Vec::new(),
        };
        let link = match prefix.is_signed() {
            true => RequestLink::ByReference {
                client_id: request.client_id.clone(),
                request_uri: self.address(&["oid4vp", "requests", &id])?,
                method: match new.request_uri_method {
                    RequestUriMethodName::Get => RequestUriMethod::Get,
                    RequestUriMethodName::Post => RequestUriMethod::Post,
                },
            },
            false => RequestLink::ByValue(Box::new(request.authorization_request(None)?)),
        };
        let link = digital.is_empty().then(|| link.to_link(&self.config.wallet_request_link));
        let expires_at = request.expires_at;
        let record = RequestRecord {
            request,
            state: RequestState::Pending,
            session: session.or(new.session.as_deref()).map(hash),
            released: redirect_uri.is_none() || response_mode == ResponseMode::Fragment,
            redirect_uri: redirect_uri.filter(|_| response_mode != ResponseMode::Fragment),
            finished_at: None,
            refusal: None,
            wallet_error: None,
            link: link.clone(),
            digital,
            flow,
        };
        let keep_until = Some(expires_at.plus(self.config.state_seconds));
        put_json(&*self.store, REQUESTS, &id, Expect::Absent, &record, keep_until).await?;
        self.metrics.count("request", "created");
        Ok(CreatedRequest {
            id,
            request_uri: link,
            digital: DigitalArgument::of(&record.digital),
            expires_at,
        })
    }

    /// The flow of a request, if the response mode can have it and the policy allows it.
    fn flow(&self, mode: ResponseMode, wanted: Option<Flow>, redirect_uri: Option<&Url>) -> Result<Flow> {
        let unfit = |detail| Err(Error::malformed("request_flow", detail));
        let back = redirect_uri.is_some();
        let flow = match (mode, wanted) {
            (ResponseMode::DcApi | ResponseMode::DcApiJwt, None | Some(Flow::DigitalCredentials)) => {
                Flow::DigitalCredentials
            }
            (ResponseMode::Fragment, None | Some(Flow::SameDevice)) => Flow::SameDevice,
            (ResponseMode::DirectPost | ResponseMode::DirectPostJwt, Some(Flow::SameDevice)) => {
                Flow::SameDevice
            }
            (ResponseMode::DirectPost | ResponseMode::DirectPostJwt, Some(Flow::CrossDevice)) => {
                Flow::CrossDevice
            }
            // Whoever wants the browser back means the same device.
            (ResponseMode::DirectPost | ResponseMode::DirectPostJwt, None) if back => Flow::SameDevice,
            (ResponseMode::DirectPost | ResponseMode::DirectPostJwt, None) => Flow::CrossDevice,
            _ => return unfit("the response mode cannot be used in this flow"),
        };
        match flow {
            Flow::SameDevice if !back => {
                Err(Error::malformed("redirect_uri", "on the same device `redirect_uri` is needed"))
            }
            Flow::DigitalCredentials if back => {
                unfit("`redirect_uri` has no place in the Digital Credentials API")
            }
            Flow::CrossDevice if self.config.policy.require_session_binding => {
                Err(Error::refused("request_flow", "this verifier takes no answers without session binding"))
            }
            flow => Ok(flow),
        }
    }

    /// What the page hands to the platform: signed where the client identifier can sign (appendix A.3).
    fn digital_request(&self, request: &PresentationRequest) -> Result<DigitalCredentialRequest> {
        let parameters = request.authorization_request(None)?;
        match parameters.client_id.prefix().is_signed() {
            true => Ok(DigitalCredentialRequest::signed(&self.identity.sign(&parameters)?)),
            false => {
                let client_id = ClientId::new(ClientIdPrefix::Origin, "");
                Ok(DigitalCredentialRequest::unsigned(&AuthorizationRequest { client_id, ..parameters }))
            }
        }
    }

    /// The address of a path of this service.
    fn address(&self, path: &[&str]) -> Result<Url> {
        let mut url = self.public_url.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(path);
            }
            Err(()) => return Err(Error::misuse("public_url", "the public URL is not a web address")),
        }
        Ok(url)
    }
}

/// `{id}`, which a parsed address holds percent-encoded in its path.
fn with_id(uri: &Url, id: &str) -> Result<Url> {
    let text = uri.as_str().replace("%7Bid%7D", id).replace("{id}", id);
    Url::parse(&text).map_err(|_| Error::malformed("redirect_uri", "`redirect_uri` is not a web address"))
}
