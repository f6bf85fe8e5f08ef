//! The VC-API without HTTP: signing what an authenticated caller sends, and the status lists of what was signed.
//!
//! The keys are the service's own, apart from the one that signs patients' credentials, and named by `did:key`.

mod keys;
mod status;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use carekey_core::clock::Clock;
use carekey_core::credential::data_model::{self, Version};
use carekey_core::did::DidUrl;
use carekey_core::error::Result as CoreResult;
use carekey_core::format::data_integrity::proof::MAX_PROOFS;
use carekey_core::format::data_integrity::{Contexts, UnverifiedProof};
use carekey_core::key::Signer;
use carekey_core::random::Random;
use carekey_core::status::bitstring_status_list::StatusPurpose;
use carekey_core::store::Store;
use carekey_service::metrics::Metrics;
use carekey_service::problem::Problem;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use self::keys::{Extras, Key, Securing};
use crate::app::StartError;
use crate::config::VcApiConfig;

pub(crate) use status::StatusChange;

/// What the VC-API is made of.
pub(crate) struct Parts<'a> {
    /// The key that signs under the issuer's own DID, where that is allowed.
    pub(crate) own: Option<(DidUrl, Arc<dyn Signer>)>,
    pub(crate) config: &'a VcApiConfig,
    pub(crate) listen: SocketAddr,
    pub(crate) data: &'a Path,
    /// The public URL, without a slash at its end.
    pub(crate) base: String,
    /// Seconds that a verifier may use a copy of a status list.
    pub(crate) ttl: i64,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The VC-API of an issuer.
pub(crate) struct VcApi {
    keys: Vec<Key>,
    contexts: Contexts,
    authenticate: bool,
    status: bool,
    base: String,
    ttl: i64,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    metrics: Arc<Metrics>,
}

/// The body of `/credentials/issue`.
#[derive(Deserialize)]
pub(crate) struct IssueRequest {
    credential: Value,
    options: Option<IssueOptions>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssueOptions {
    cryptosuite: Option<String>,
    credential_status: Option<StatusOption>,
    /// What a holder cannot leave out, for suites with selective disclosure.
    mandatory_pointers: Option<Vec<String>>,
}

/// Asks for an entry in a status list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusOption {
    r#type: String,
    status_purpose: Option<String>,
}

impl VcApi {
    /// Makes the keys that are missing. Errors name the setting or file.
    pub(crate) fn open(parts: Parts<'_>) -> Result<Self, StartError> {
        if !parts.config.authenticate && !parts.listen.ip().is_loopback() {
            return Err(StartError::new(
                "key `vc_api.authenticate`: only a server that listens on loopback may do without the token",
            ));
        }
        Ok(Self {
            keys: keys::open(&parts.data.join("vc_api"), &*parts.random, parts.own)?,
            contexts: Contexts::bundled()?,
            authenticate: parts.config.authenticate,
            status: parts.config.status,
            base: parts.base,
            ttl: parts.ttl,
            store: parts.store,
            clock: parts.clock,
            random: parts.random,
            metrics: parts.metrics,
        })
    }

    pub(crate) fn authenticates(&self) -> bool {
        self.authenticate
    }

    pub(crate) fn dids(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.keys.iter().map(|key| (key.name, key.did.to_string()))
    }

    /// `/credentials/issue`: the key is that of the credential's issuer.
    pub(crate) async fn issue(&self, request: IssueRequest) -> Result<Value, Problem> {
        let outcome = self.issue_any(request).await;
        self.count(outcome)
    }

    /// `/issuers/{suite}-{key}/credentials/issue`: the credential's issuer must be that key.
    pub(crate) async fn issue_as(&self, name: &str, request: IssueRequest) -> Result<Value, Problem> {
        let Some((securing, key)) = self.named(name) else {
            return Err(Problem::not_found("there is no issuer of that suite and key"));
        };
        let outcome = self.issue_by(key, securing, false, request).await;
        self.count(outcome)
    }

    fn count(&self, outcome: Result<Value, Problem>) -> Result<Value, Problem> {
        self.metrics.count("vc_api_issue", if outcome.is_ok() { "issued" } else { "refused" });
        outcome
    }

    async fn issue_any(&self, request: IssueRequest) -> Result<Value, Problem> {
        data_model::check_credential(&request.credential).map_err(refused)?;
        let issuer = issuer_of(&request.credential);
        let key = self.keys.iter().find(|key| Some(key.did.as_str()) == issuer);
        let key = key.ok_or_else(unknown_issuer)?;
        let securing = match request.options.as_ref().and_then(|options| options.cryptosuite.as_deref()) {
            None => Securing::Proof(key.suite),
            Some(name) => Securing::parse(name).map_err(refused)?,
        };
        self.issue_by(key, securing, self.status && key.signs_lists(), request).await
    }

    async fn issue_by(
        &self,
        key: &Key,
        securing: Securing,
        status: bool,
        request: IssueRequest,
    ) -> Result<Value, Problem> {
        let IssueRequest { mut credential, options } = request;
        data_model::check_credential(&credential).map_err(refused)?;
        if issuer_of(&credential) != Some(key.did.as_str()) {
            return Err(unknown_issuer());
        }
        if credential.get("proof").and_then(Value::as_array).is_some_and(|proofs| proofs.len() >= MAX_PROOFS)
        {
            return Err(Problem::bad_request("proof_too_many", "the credential has too many proofs"));
        }
        if credential.get("proof").is_some() {
            UnverifiedProof::of(&credential).map_err(refused)?;
        }
        if credential.get("proof").is_some() && matches!(securing, Securing::Envelope(_)) {
            let detail = "a credential that has a proof is not put into an envelope";
            return Err(Problem::bad_request("vc_proof_present", detail));
        }
        key.check(securing).map_err(refused)?;
        let options = options.unwrap_or_default();
        let pointers = options.mandatory_pointers.unwrap_or_default();
        let purpose = match options.credential_status {
            Some(option) if key.signs_lists() => Some(option.purpose()?),
            Some(_) => {
                let detail = "there are no status lists by a key whose proofs disclose selectively";
                return Err(Problem::bad_request("vc_status_option", detail));
            }
            None => {
                let wanted = status
                    && credential.get("credentialStatus").is_none()
                    && credential.get("proof").is_none()
                    && data_model::version(&credential).map_err(refused)? == Version::V2;
                wanted.then_some(StatusPurpose::Revocation)
            }
        };
        // First without an entry: a credential that cannot be signed takes no place in a list.
        let plain = self.signed(key, securing, &pointers, credential.clone()).map_err(refused)?;
        let Some(purpose) = purpose else { return Ok(plain) };
        if credential.get("credentialStatus").is_some() || credential.get("proof").is_some() {
            let detail = "the credential has a status or a proof already";
            return Err(Problem::bad_request("vc_status_present", detail));
        }
        let entry = self.allocate(key, purpose).await?.to_value()?;
        if let Some(members) = credential.as_object_mut() {
            members.insert("credentialStatus".into(), entry);
        }
        self.signed(key, securing, &pointers, credential).map_err(refused)
    }

    fn signed(
        &self,
        key: &Key,
        securing: Securing,
        mandatory_pointers: &[String],
        credential: Value,
    ) -> CoreResult<Value> {
        let (now, random, contexts) = (self.clock.now(), &*self.random, &self.contexts);
        key.secure(securing, credential, &Extras { now, mandatory_pointers, random, contexts })
    }

    /// What `{suite}-{key}` stands for.
    fn named(&self, name: &str) -> Option<(Securing, &Key)> {
        Securing::all().find_map(|securing| {
            let rest = name.strip_prefix(&securing.name())?.strip_prefix('-')?;
            let key = self.keys.iter().find(|key| key.name.eq_ignore_ascii_case(rest))?;
            key.check(securing).ok().map(|()| (securing, key))
        })
    }

    /// Every `{suite}-{key}` there is.
    pub(crate) fn names(&self) -> Vec<String> {
        let fitting = |securing: Securing| {
            let keys = self.keys.iter().filter(move |key| key.check(securing).is_ok());
            keys.map(move |key| format!("{}-{}", securing.name(), key.name))
        };
        Securing::all().flat_map(fitting).collect()
    }
}

impl StatusOption {
    fn purpose(&self) -> Result<StatusPurpose, Problem> {
        let purpose = StatusPurpose::from(self.status_purpose.as_deref().unwrap_or("revocation"));
        let known = status::is_ours(&purpose);
        if self.r#type != carekey_core::status::bitstring_status_list::ENTRY_TYPE || !known {
            let detail =
                "options.credentialStatus must be a BitstringStatusListEntry for revocation or suspension";
            return Err(Problem::bad_request("vc_status_option", detail));
        }
        Ok(purpose)
    }
}

/// The issuer that a checked credential names.
fn issuer_of(credential: &Value) -> Option<&str> {
    let issuer = credential.get("issuer")?;
    issuer.as_str().or_else(|| issuer.get("id")?.as_str())
}

fn unknown_issuer() -> Problem {
    Problem::bad_request("vc_issuer_unknown", "the credential's issuer is no key of this address")
}

/// What the caller sent cannot be signed: 400, whichever rule it breaks.
pub(crate) fn refused(error: carekey_core::Error) -> Problem {
    let problem = Problem::from(error);
    if problem.status() == StatusCode::FORBIDDEN {
        problem.with_status(StatusCode::BAD_REQUEST)
    } else {
        problem
    }
}
