//! Phase one: what is offered, by whom.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{IssuanceContext, exchange};
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::holder::{ClaimLabel, CredentialDisplay};
use crate::limits::Limits;
use crate::protocol::oauth::pkce;
use crate::protocol::openid4vci::PRE_AUTHORIZED_CODE;
use crate::protocol::openid4vci::authorization_details::{AuthorizationDetail, OPENID_CREDENTIAL};
use crate::protocol::openid4vci::metadata::{
    self, AUTHORIZATION_SERVER, AuthorizationServerMetadata, CREDENTIAL_ISSUER, CredentialConfiguration,
    CredentialIssuerMetadata, CredentialMetadata,
};
use crate::protocol::openid4vci::offer::{
    CredentialOffer, Grants, OfferLink, PreAuthorizedCodeGrant, TxCode,
};
use crate::protocol::openid4vci::token::AUTHORIZATION_CODE;

/// What an offer contains, for a person to look at, and what the next phase needs. It holds the one-time code: keep it
/// where credentials are kept. `Debug` shows the issuer only.
#[derive(Clone, Serialize, Deserialize)]
pub struct OfferReview {
    /// Credential issuer identifier.
    pub credential_issuer: String,
    /// Its host: what a person should compare with where they are.
    pub issuer_host: String,
    /// The name that the issuer gives itself; not verified by anyone at this point.
    pub issuer_name: String,
    /// What can be collected, in the order of the offer.
    pub credentials: Vec<OfferedCredential>,
    /// Names of what the offer has besides, which this wallet cannot hold.
    pub unsupported: Vec<String>,
    /// What the person must enter, if anything.
    pub tx_code: Option<TxCode>,
    /// Most copies of each credential that the issuer gives out at once, each bound to a key of its own.
    pub batch_size: u32,
    /// The authorization details that ask for the credentials, where the server understands them.
    pub(super) details: Vec<AuthorizationDetail>,
    pub(super) flow: Flow,
    pub(super) deferred_endpoint: Option<Url>,
    pub(super) token_endpoint: Url,
    /// Whether the authorization server binds tokens to a key of the client.
    pub(super) dpop: bool,
    pub(super) credential_endpoint: Url,
    pub(super) nonce_endpoint: Option<Url>,
    pub(super) notification_endpoint: Option<Url>,
}

/// How the access token is had.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Flow {
    PreAuthorized(PreAuthorizedCodeGrant),
    AuthorizationCode(CodeFlow),
}

/// What the authorization code flow needs.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CodeFlow {
    /// Identifier of the authorization server: the `iss` of its answer.
    pub(super) server: String,
    pub(super) iss_required: bool,
    pub(super) authorization_endpoint: Url,
    pub(super) pushed_endpoint: Option<Url>,
    pub(super) issuer_state: Option<String>,
    /// One per credential; empty when one of them has none.
    pub(super) scopes: Vec<String>,
}

impl OfferReview {
    /// Whether the person has to sign in with the issuer first: then [`super::authorize`] comes before the rest.
    pub fn signs_in(&self) -> bool {
        matches!(self.flow, Flow::AuthorizationCode(_))
    }
}

/// One credential of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedCredential {
    /// Credential configuration.
    pub configuration_id: String,
    /// Credential format.
    pub format: CredentialFormat,
    /// `vct`, or the types of a W3C credential by their terms.
    pub types: Vec<String>,
    /// How to show it; its claims by name.
    pub display: CredentialDisplay,
    /// Whether the issuer binds a key that needs the person's own confirmation.
    pub binds_webauthn: bool,
    /// The assurance level without which the issuer does not issue it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_level: Option<String>,
}

impl fmt::Debug for OfferReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfferReview")
            .field("credential_issuer", &self.credential_issuer)
            .finish_non_exhaustive()
    }
}

/// Opens an offer link, fetches the issuer's metadata and says what is offered. Nothing is accepted by it.
///
/// # Errors
/// The codes of [`OfferLink::parse`] and [`CredentialOffer::parse`]; `offer_grant`: neither a pre-authorized code nor a sign-in;
/// `issuance_fetch`: the offer or metadata cannot be had; `metadata_issuer_mismatch`; `metadata_endpoint_host`: an
/// endpoint on a host other than the issuer's; `metadata_authorization_server`; `metadata_encryption`: the issuer
/// insists on encrypted messages; `offer_unsupported`: nothing of it can be held by this wallet.
pub async fn review(link: &str, context: &IssuanceContext<'_>) -> Result<OfferReview> {
    let offer = match OfferLink::parse(link, &Limits::DEFAULT)? {
        OfferLink::ByValue(offer) => offer,
        OfferLink::ByReference(url) => {
            CredentialOffer::parse(&exchange::fetch_json(url, context).await?, &Limits::DEFAULT)?
        }
    };
    review_offer(offer, context).await
}

/// What an issuer has of `configuration_ids`, without an offer of it: the person will sign in (section 3.3.1).
///
/// # Errors
/// Those of [`review`].
pub async fn review_issuer(
    credential_issuer: &str,
    configuration_ids: &[String],
    context: &IssuanceContext<'_>,
) -> Result<OfferReview> {
    let offer = CredentialOffer {
        credential_issuer: credential_issuer.to_owned(),
        credential_configuration_ids: configuration_ids.to_vec(),
        grants: Grants::default(),
    };
    review_offer(offer, context).await
}

async fn review_offer(offer: CredentialOffer, context: &IssuanceContext<'_>) -> Result<OfferReview> {
    let issuer = issuer_metadata(&offer.credential_issuer, context).await?;
    let server = authorization_server(&issuer, &offer.grants, context).await?;
    let (credentials, unsupported) = offered(&offer, &issuer, context.locale)?;
    let details = if server.authorization_details_types_supported.iter().any(|kind| kind == OPENID_CREDENTIAL)
    {
        credentials.iter().map(|one| detail(one, &issuer)).collect()
    } else {
        Vec::new()
    };
    let url = metadata::issuer_url(&offer.credential_issuer)?;
    let host = url.host_str().unwrap_or_default();
    let issuer_host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let name = metadata::for_locale(&issuer.display, context.locale, |display| display.locale.as_deref());
    Ok(OfferReview {
        issuer_name: name.and_then(|display| display.name.clone()).unwrap_or_else(|| issuer_host.clone()),
        issuer_host,
        credentials,
        unsupported,
        tx_code: offer.grants.pre_authorized_code.as_ref().and_then(|grant| grant.tx_code.clone()),
        batch_size: issuer.batch_credential_issuance.map_or(1, |batch| batch.batch_size),
        details,
        flow: flow(&offer, &issuer, &server)?,
        deferred_endpoint: issuer.deferred_credential_endpoint,
        token_endpoint: server.token_endpoint,
        dpop: server.dpop_signing_alg_values_supported.iter().any(|alg| alg == "ES256"),
        credential_endpoint: issuer.credential_endpoint,
        nonce_endpoint: issuer.nonce_endpoint,
        notification_endpoint: issuer.notification_endpoint,
        credential_issuer: offer.credential_issuer,
    })
}

/// The pre-authorized code where there is one; otherwise a sign-in, if the server can be reached by it and knows PKCE.
fn flow(
    offer: &CredentialOffer,
    issuer: &CredentialIssuerMetadata,
    server: &AuthorizationServerMetadata,
) -> Result<Flow> {
    if let Some(grant) = &offer.grants.pre_authorized_code {
        return Ok(Flow::PreAuthorized(grant.clone()));
    }
    let methods = &server.code_challenge_methods_supported;
    let endpoint = server.authorization_endpoint.clone().filter(|_| methods.iter().any(|m| m == pkce::S256));
    let authorization_endpoint = endpoint.ok_or_else(|| {
        Error::unsupported("offer_grant", "neither a pre-authorized code nor a sign-in with PKCE")
    })?;
    let scopes: Option<Vec<String>> = offer
        .credential_configuration_ids
        .iter()
        .map(|id| issuer.configuration(id).ok().and_then(|configuration| configuration.scope))
        .collect();
    let grant = offer.grants.authorization_code.clone().unwrap_or_default();
    Ok(Flow::AuthorizationCode(CodeFlow {
        server: server.issuer.clone(),
        iss_required: server.authorization_response_iss_parameter_supported,
        authorization_endpoint,
        pushed_endpoint: server.pushed_authorization_request_endpoint.clone(),
        issuer_state: grant.issuer_state,
        scopes: scopes.unwrap_or_default(),
    }))
}

/// Section 5.1.1: where the issuer names authorization servers, they must learn whose credential it is.
fn detail(offered: &OfferedCredential, issuer: &CredentialIssuerMetadata) -> AuthorizationDetail {
    let of_several = !issuer.authorization_servers.is_empty();
    let locations = of_several.then(|| issuer.credential_issuer.clone());
    AuthorizationDetail {
        locations: locations.into_iter().collect(),
        ..AuthorizationDetail::of(&offered.configuration_id)
    }
}

async fn issuer_metadata(issuer: &str, context: &IssuanceContext<'_>) -> Result<CredentialIssuerMetadata> {
    let url = metadata::well_known_url(issuer, CREDENTIAL_ISSUER)?;
    let document = exchange::fetch_json(url, context).await?;
    let parsed = CredentialIssuerMetadata::parse(&document, issuer, &Limits::DEFAULT)?;
    let own = metadata::issuer_url(issuer)?.origin();
    let endpoints = [
        Some(&parsed.credential_endpoint),
        parsed.nonce_endpoint.as_ref(),
        parsed.deferred_credential_endpoint.as_ref(),
        parsed.notification_endpoint.as_ref(),
    ];
    if endpoints.into_iter().flatten().any(|endpoint| endpoint.origin() != own) {
        let detail = "an endpoint of the issuer is on another host than the issuer";
        return Err(Error::untrusted("metadata_endpoint_host", detail));
    }
    let encryption = [&parsed.credential_request_encryption, &parsed.credential_response_encryption];
    if encryption.into_iter().flatten().any(|support| support.encryption_required) {
        return Err(Error::unsupported("metadata_encryption", "the issuer insists on encrypted messages"));
    }
    Ok(parsed)
}

/// Section 12.2.4, `authorization_servers`; without it the issuer is its own.
async fn authorization_server(
    issuer: &CredentialIssuerMetadata,
    grants: &Grants,
    context: &IssuanceContext<'_>,
) -> Result<AuthorizationServerMetadata> {
    let bad = |detail: &'static str| Error::untrusted("metadata_authorization_server", detail);
    let listed = &issuer.authorization_servers;
    let (grant_type, hint) = match (&grants.pre_authorized_code, &grants.authorization_code) {
        (Some(grant), _) => (PRE_AUTHORIZED_CODE, grant.authorization_server.as_ref()),
        (None, Some(grant)) => (AUTHORIZATION_CODE, grant.authorization_server.as_ref()),
        (None, None) => (AUTHORIZATION_CODE, None),
    };
    let identifier = match hint {
        Some(hint) if listed.contains(hint) => hint,
        Some(_) => return Err(bad("the offer names a server that the issuer does not list")),
        None => listed.first().unwrap_or(&issuer.credential_issuer),
    };
    let url = metadata::well_known_url(identifier, AUTHORIZATION_SERVER)?;
    let document = exchange::fetch_json(url, context).await?;
    let server = AuthorizationServerMetadata::parse(&document, identifier, &Limits::DEFAULT)?;
    let supported = &server.grant_types_supported;
    // RFC 8414 section 2: what is left out means the code grant.
    let usual = supported.is_empty() && grant_type == AUTHORIZATION_CODE;
    let silent = supported.is_empty() && grant_type == PRE_AUTHORIZED_CODE;
    if !(usual || silent || supported.iter().any(|one| one == grant_type)) {
        return Err(bad("the authorization server does not take this kind of offer"));
    }
    let own = metadata::issuer_url(identifier)?.origin();
    let endpoints = [
        Some(&server.token_endpoint),
        server.authorization_endpoint.as_ref(),
        server.pushed_authorization_request_endpoint.as_ref(),
    ];
    if endpoints.into_iter().flatten().any(|endpoint| endpoint.origin() != own) {
        return Err(Error::untrusted("metadata_endpoint_host", "the token endpoint is on another host"));
    }
    Ok(server)
}

fn offered(
    offer: &CredentialOffer,
    issuer: &CredentialIssuerMetadata,
    locale: &str,
) -> Result<(Vec<OfferedCredential>, Vec<String>)> {
    let (mut credentials, mut unsupported) = (Vec::new(), Vec::new());
    for id in &offer.credential_configuration_ids {
        let configuration = issuer.configuration(id)?;
        match holdable(&configuration) {
            Some((format, types)) => credentials.push(OfferedCredential {
                configuration_id: id.clone(),
                format,
                types,
                display: display(id, configuration.credential_metadata.as_ref(), locale),
                binds_webauthn: configuration.webauthn_binding.is_some(),
                required_level: configuration.webauthn_binding.and_then(|support| support.required_level),
            }),
            None => unsupported.push(id.clone()),
        }
    }
    if credentials.is_empty() {
        return Err(Error::unsupported(
            "offer_unsupported",
            "this wallet can hold nothing of what is offered",
        ));
    }
    Ok((credentials, unsupported))
}

/// Format and types, when this wallet can hold the credential: one of its formats, bound to a P-256 key by a key proof
/// of type `jwt`.
fn holdable(configuration: &CredentialConfiguration) -> Option<(CredentialFormat, Vec<String>)> {
    let algorithms = configuration.jwt_proof_algorithms().ok()??;
    let format = CredentialFormat::parse(&configuration.format).ok()?;
    let types = match format.is_w3c() {
        true => configuration.credential_definition.clone()?.types,
        false => vec![configuration.vct.clone()?],
    };
    let fits = !types.is_empty() && algorithms.iter().any(|name| name == "ES256");
    fits.then_some((format, types))
}

fn display(id: &str, metadata: Option<&CredentialMetadata>, locale: &str) -> CredentialDisplay {
    let Some(metadata) = metadata else {
        return CredentialDisplay { name: id.to_owned(), ..CredentialDisplay::default() };
    };
    let shown =
        metadata::for_locale(&metadata.display, locale, |d| d.locale.as_deref()).cloned().unwrap_or_default();
    let claims = metadata.claims.iter().filter_map(|claim| {
        let name = metadata::for_locale(&claim.display, locale, |display| display.locale.as_deref());
        let path = match claim.path.as_slice() {
            [first, rest @ ..] if first == "credentialSubject" && !rest.is_empty() => rest,
            path => path,
        };
        Some(ClaimLabel { path: path.to_vec(), name: name?.name.clone()? })
    });
    CredentialDisplay {
        name: if shown.name.is_empty() { id.to_owned() } else { shown.name },
        description: shown.description,
        background_color: shown.background_color,
        text_color: shown.text_color,
        logo: shown.logo,
        claims: claims.collect(),
    }
}
