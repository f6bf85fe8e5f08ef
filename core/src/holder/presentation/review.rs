//! What the person sees before anything leaves.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::registered::{Registered, RegistrationReview};
use super::{PresentationContext, answer, open, read};
use crate::binding::claim::is_technical;
use crate::binding::transaction::{StepUpRequest, visible};
use crate::credential::CredentialFormat;
use crate::credential::claims::ClaimPath;
use crate::error::{Error, Result};
use crate::format::any::UnverifiedCredential;
use crate::holder::{CredentialDisplay, StoredCredential};
use crate::limits::Limits;
use crate::protocol::openid4vp::dcql::{ClaimsQuery, CredentialQuery, CredentialSource};
use crate::protocol::openid4vp::digital_credentials::DigitalCredentialRequest;
use crate::protocol::openid4vp::request::AuthorizationRequest;
use crate::protocol::openid4vp::response::WalletError;
use crate::protocol::openid4vp::signed_request::{AuthenticatedRequest, VerifierIdentity};
use crate::protocol::openid4vp::transaction_data::TransactionData;
use crate::protocol::openid4vp::transaction_types::Transaction;

/// A request as the person sees it, and the state that the next phase needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresentationReview {
    /// Who asks, and how that was authenticated.
    pub verifier: VerifierIdentity,
    /// What for, in full; hidden characters are written out.
    pub purpose: Option<String>,
    /// The step-up that is asked for by transaction data, if any.
    pub step_up: Option<StepUpRequest>,
    /// The transactions that the answer approves: to be shown in full.
    #[serde(default)]
    pub transactions: Vec<Transaction>,
    /// The credential queries, each with the credentials that fit.
    pub queries: Vec<QueryReview>,
    /// Whether what the wallet holds can answer the request.
    pub answerable: bool,
    /// Whether the answer will be encrypted to the verifier beyond the transport.
    pub encrypted: bool,
    /// What registrars say about the verifier.
    #[serde(default)]
    pub registration: RegistrationReview,
    /// The authenticated request.
    pub(super) request: AuthorizationRequest,
}

impl PresentationReview {
    /// The verifier's client identifier, with its prefix.
    pub fn client_id(&self) -> &str {
        self.request.client_id.as_str()
    }
}

/// One credential query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryReview {
    /// Its id.
    pub id: String,
    /// Whether every answer must have it. Where it depends on what else is chosen, `false`.
    pub required: bool,
    /// Whether several credentials may answer it.
    pub multiple: bool,
    /// The fitting credentials.
    pub candidates: Vec<Candidate>,
    /// Claims that are asked for and that the verifier's registration does not cover; of all combinations that it would
    /// take. Empty where there is no registration to compare with.
    #[serde(default)]
    pub beyond_registration: Vec<ClaimPath>,
    /// Whether the registration does not cover this kind of credential at all.
    #[serde(default)]
    pub type_beyond_registration: bool,
}

/// A credential that fits a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The wallet's id of the credential.
    pub credential_id: String,
    /// Who issued it.
    pub issuer_name: String,
    /// Whether the wallet knows the issuer.
    pub issuer_trusted: bool,
    /// How to show it.
    pub display: CredentialDisplay,
    /// Exactly the claims that would leave, always visible ones included.
    pub claims: Vec<ClaimReview>,
}

/// One claim that would leave. `Debug` hides the values.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimReview {
    /// Where it is in the credential.
    pub path: ClaimPath,
    /// Its name for people: the issuer's, or the path.
    pub label: String,
    /// The value or values that leave.
    pub values: Vec<Value>,
    /// Whether the person may leave it out.
    pub optional: bool,
    /// Whether it says something about keys, not about the person.
    pub technical: bool,
    /// Whether the verifier asks for it without having registered that.
    #[serde(default)]
    pub beyond_registration: bool,
}

impl fmt::Debug for ClaimReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimReview").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Opens a request link: fetches the request object, authenticates the verifier, and finds the credentials that fit.
///
/// A request of an authenticated verifier that this wallet cannot answer in principle (unknown transaction data, for
/// example) is answered with the error code of section 8.5 before the error returns.
///
/// # Errors
/// Those of [`RequestLink`](crate::protocol::openid4vp::link::RequestLink::parse) and of
/// [`UnverifiedRequest`](crate::protocol::openid4vp::signed_request::UnverifiedRequest), of
/// [`TransactionData::parse_all`]; `request_fetch` when the object cannot be had; `dcql_format`, `vp_formats` and `response_encryption` for what this wallet does not carry.
pub async fn review(
    link: &str,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<PresentationReview> {
    let authenticated = open::link(link, context).await?;
    match summary(&authenticated, credentials, context) {
        Ok(review) => Ok(review),
        Err(fault) => {
            // Best effort: what the person needs to know is the fault itself.
            let error = WalletError::for_fault(&fault);
            let _ = answer::send_error(authenticated.request(), error, context).await;
            Err(fault)
        }
    }
}

/// Opens a request that came over the Digital Credentials API from `origin`, as the platform says: the first of `requests`
/// whose protocol and verifier this wallet takes.
///
/// On an error cancel the call: an error response would tell the page, before the person agreed, what the wallet holds
/// (section 15.9.2).
///
/// # Errors
/// Those of [`review`] but for links; `request_origin`; `dc_api_protocol` when there is no request at all.
pub async fn review_digital(
    requests: &[DigitalCredentialRequest],
    origin: &str,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<PresentationReview> {
    let mut fault = Error::unsupported("dc_api_protocol", "none of the requests is of a known protocol");
    for request in requests {
        match open::platform(request, origin, context).await {
            Ok(authenticated) => return summary(&authenticated, credentials, context),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

fn summary(
    authenticated: &AuthenticatedRequest,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> Result<PresentationReview> {
    let request = authenticated.request();
    let query = &request.dcql_query;
    let asked: Vec<_> = query.credentials().iter().filter_map(CredentialQuery::credential_format).collect();
    if asked.is_empty() {
        return Err(Error::unsupported(
            "dcql_format",
            "none of the credential formats is known to this wallet",
        ));
    }
    let taken = &request.client_metadata.vp_formats_supported;
    if !asked.iter().any(|format| takes_our_algorithms(taken, *format)) {
        let detail = "the verifier does not take the format or algorithms of this wallet";
        return Err(Error::unsupported("vp_formats", detail));
    }
    let encrypted = request.response_mode.is_encrypted();
    if encrypted {
        request.content_encryption()?;
    }
    let types = &context.rules.transaction_types;
    let entries = TransactionData::parse_all(&request.transaction_data, query, types, &Limits::DEFAULT)?;
    let approving: Vec<Vec<String>> = entries.iter().map(|one| one.credential_ids().to_vec()).collect();
    let (mut step_up, mut transactions) = (None, Vec::new());
    for entry in entries {
        match entry {
            TransactionData::StepUp(one) => step_up = Some(one),
            TransactionData::Registered(one) => transactions.push(one),
        }
    }
    let registered = Registered::of(authenticated, context);
    let queries: Vec<_> = query
        .credentials()
        .iter()
        .map(|one| query_review(one, request, &step_up, &registered, credentials, context))
        .collect();
    let has = |id: &str| queries.iter().any(|one| one.id == id && !one.candidates.is_empty());
    let held: Vec<&str> = queries.iter().map(|one| one.id.as_str()).filter(|id| has(id)).collect();
    // Transaction data needs one of its credentials (section 8.5).
    let approvable = approving.iter().all(|ids| ids.iter().any(|id| has(id)));
    let answerable = approvable && query.check_answered(held.into_iter()).is_ok();
    let purpose = step_up.as_ref().map(|step_up| &step_up.purpose).or(request.purpose.as_ref());
    Ok(PresentationReview {
        verifier: VerifierIdentity {
            name: visible(&authenticated.verifier().name),
            ..authenticated.verifier().clone()
        },
        purpose: purpose.map(|purpose| visible(purpose)),
        answerable,
        encrypted,
        registration: registered.into_review(),
        queries,
        step_up,
        transactions,
        request: request.clone(),
    })
}

/// Whether `vp_formats_supported` (appendices B.1.3 and B.3.4), where it says something, allows this format with a
/// holder's proof as this wallet makes it.
fn takes_our_algorithms(formats: &Value, format: CredentialFormat) -> bool {
    let Some(formats) = formats.as_object() else { return true };
    let Some(supported) = formats.get(format.as_str()) else { return false };
    let ours: &[(&str, &str)] = match format {
        CredentialFormat::DcSdJwt => &[("kb-jwt_alg_values", "ES256")],
        CredentialFormat::JwtVcJson => &[("alg_values", "ES256")],
        CredentialFormat::LdpVc => {
            &[("proof_type_values", "DataIntegrityProof"), ("cryptosuite_values", "ecdsa-rdfc-2019")]
        }
    };
    ours.iter().all(|(member, name)| {
        let values = supported.get(*member).and_then(Value::as_array);
        values.is_none_or(|values| values.iter().any(|value| value == name))
    })
}

fn query_review(
    query: &CredentialQuery,
    request: &AuthorizationRequest,
    step_up: &Option<StepUpRequest>,
    registered: &Registered,
    credentials: &[StoredCredential],
    context: &PresentationContext<'_>,
) -> QueryReview {
    let beyond = registered.beyond(query);
    // Whether all other queries together would do without this one.
    let others =
        request.dcql_query.credentials().iter().map(CredentialQuery::id).filter(|id| *id != query.id());
    let required = request.dcql_query.check_answered(others).is_err();
    let taken = &request.client_metadata.vp_formats_supported;
    // Only a credential with a second key can carry a step-up that no other query could carry.
    let needs_key = step_up.as_ref().is_some_and(|step_up| step_up.credential_ids == [query.id()]);
    let fitting = credentials
        .iter()
        .filter(|one| query.credential_format() == Some(one.format))
        .filter(|one| takes_our_algorithms(taken, one.format) && (!needs_key || one.ak.is_some()));
    QueryReview {
        id: query.id().to_owned(),
        required,
        multiple: query.multiple(),
        candidates: fitting.filter_map(|credential| candidate(query, &beyond, credential, context)).collect(),
        type_beyond_registration: registered.type_beyond(query),
        beyond_registration: beyond,
    }
}

/// `None` where the credential lacks what is asked for: it counts as not there (section 6.4.2).
fn candidate(
    query: &CredentialQuery,
    beyond: &[ClaimPath],
    credential: &StoredCredential,
    context: &PresentationContext<'_>,
) -> Option<Candidate> {
    let read = read(credential).ok()?;
    if !query.accepts(credential.format, &read.types()) {
        return None;
    }
    if !from_authority(query, &read, context) {
        return None;
    }
    let selected = query.select(read.claims(), &|_| false).ok()?;
    let paths: Vec<ClaimPath> = selected.iter().map(|claim| claim.path().clone()).collect();
    let leaves = read.present(&paths, context.random).ok()?;
    let asked = selected.iter().map(|claim| {
        // What leaves anyway cannot be left out.
        let optional = read.is_selective() && !query.is_mandatory(claim);
        let beyond_registration = beyond.contains(claim.path());
        ClaimReview { beyond_registration, ..claim_review(claim, optional, credential, leaves.claims()) }
    });
    let beside = beside(credential.format, leaves.claims()).into_iter();
    // Of a selective credential no more than was asked for leaves inside an object; of others the whole object.
    let shown = |path: &ClaimPath| {
        paths.iter().any(|asked| match read.is_selective() {
            true => asked.elements().starts_with(path.elements()),
            false => asked == path,
        })
    };
    let beside = beside.filter(|(path, _)| !shown(path)).map(|(path, value)| ClaimReview {
        label: label(credential, &path),
        values: vec![value.clone()],
        optional: false,
        technical: is_technical(credential.format, &path),
        beyond_registration: false,
        path,
    });
    Some(Candidate {
        credential_id: credential.id.clone(),
        issuer_name: credential.issuer_name.clone(),
        issuer_trusted: credential.issuer_trusted,
        display: credential.display.clone(),
        claims: asked.chain(beside).collect(),
    })
}

/// Whether the credential comes from an authority that the query names, as far as is known here (section 6.1.1).
fn from_authority(
    query: &CredentialQuery,
    credential: &UnverifiedCredential,
    context: &PresentationContext<'_>,
) -> bool {
    let key = credential.issuer_key_reference().ok();
    let source = CredentialSource::of(key.as_ref(), credential.iss());
    query.accepts_source(source, &context.rules.authorities, context.clock.now())
}

fn claim_review(
    claim: &ClaimsQuery,
    optional: bool,
    credential: &StoredCredential,
    leaves: &serde_json::Map<String, Value>,
) -> ClaimReview {
    let path = claim.path().clone();
    ClaimReview {
        label: label(credential, &path),
        values: path.select(leaves).unwrap_or_default().into_iter().cloned().collect(),
        optional,
        technical: is_technical(credential.format, &path),
        beyond_registration: false,
        path,
    }
}

fn label(credential: &StoredCredential, path: &ClaimPath) -> String {
    let pointer: Vec<Value> = path.clone().into();
    credential.display.label(&pointer).map_or_else(|| path.to_string(), str::to_owned)
}

/// Everything that leaves and says something: the members of an SD-JWT VC, of a W3C credential those of the subject and
/// of the credential itself.
fn beside(format: CredentialFormat, leaves: &serde_json::Map<String, Value>) -> Vec<(ClaimPath, &Value)> {
    let mut found = Vec::new();
    for (name, value) in leaves.iter().filter(|(name, _)| !is_registered(format, name)) {
        match value.as_object().filter(|_| format.is_w3c() && name == "credentialSubject") {
            None => found.push((ClaimPath::member(name), value)),
            Some(subject) => {
                let claims = subject.iter().filter(|(name, _)| *name != "id" && *name != "type");
                let path = |name: &str| ClaimPath::member("credentialSubject").then(name);
                found.extend(claims.map(|(name, value)| (path(name), value)));
            }
        }
    }
    found
}

/// Claims that every presentation of the credential shows, and that say nothing about the person.
fn is_registered(format: CredentialFormat, name: &str) -> bool {
    const SD_JWT_VC: &[&str] =
        &["iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status", "_sd_alg"];
    const W3C: &[&str] = &[
        "@context",
        "type",
        "issuer",
        "validFrom",
        "validUntil",
        "credentialStatus",
        "proof",
        "iss",
        "iat",
        "nbf",
        "exp",
    ];
    if format.is_w3c() { W3C.contains(&name) } else { SD_JWT_VC.contains(&name) }
}
