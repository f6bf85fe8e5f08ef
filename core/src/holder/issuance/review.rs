//! Phase one: what is offered, by whom.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::attest::{AttestingServer, SignedMetadata};
use super::encryption::Encryption;
use super::{IssuanceContext, exchange};
use crate::attestation::key_attestation::KeyAttestationsRequired;
use crate::attestation::wallet_attestation;
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::holder::http::HttpRequest;
use crate::holder::{ClaimLabel, CredentialDisplay};
use crate::limits::Limits;
use crate::protocol::oauth::pkce;
use crate::protocol::openid4vci::PRE_AUTHORIZED_CODE;
use crate::protocol::openid4vci::authorization_details::{AuthorizationDetail, OPENID_CREDENTIAL};
use crate::protocol::openid4vci::metadata::{
    self, AUTHORIZATION_SERVER, AuthorizationServerMetadata, CREDENTIAL_ISSUER, CredentialConfiguration,
    CredentialIssuerMetadata, CredentialMetadata, ProofDemand, ProofType,
};
use crate::protocol::openid4vci::offer::{
    CredentialOffer, Grants, OfferLink, PreAuthorizedCodeGrant, TxCode,
};
use crate::protocol::openid4vci::signed_metadata;
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
    /// Who vouches for the issuer's metadata: the subject of the trust anchor of its signature; `None` where only TLS does.
    #[serde(default)]
    pub metadata_anchor: Option<String>,
    /// Where the wallet authenticates itself by an attestation.
    #[serde(default)]
    pub(super) attesting: Option<AttestingServer>,
    #[serde(default)]
    pub(super) encryption: Encryption,
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
    /// The type of key proof that the issuer takes.
    #[serde(default)]
    pub proof_type: ProofType,
    /// What must be attested about its holder keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_attestation: Option<KeyAttestationsRequired>,
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
/// insists on a way to encrypt messages that is not carried; `metadata_unsigned` and the codes of
/// [`signed_metadata::verify`]; `wallet_attestation_needed`, `key_attestation_needed`: the wallet has no such
/// attestations; `offer_unsupported`: nothing of it can be held by this wallet.
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
    let (issuer, metadata_anchor) = issuer_metadata(&offer.credential_issuer, context).await?;
    let encryption = Encryption::of(&issuer, context.policy.encrypt)?;
    let server = authorization_server(&issuer, &offer.grants, context).await?;
    let attesting = attesting(&server, context)?;
    let (credentials, unsupported) = offered(&offer, &issuer, context)?;
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
        metadata_anchor,
        attesting,
        encryption,
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

/// Where the wallet shows its attestation. A server that takes nothing else gets nothing from a wallet without one.
fn attesting(
    server: &AuthorizationServerMetadata,
    context: &IssuanceContext<'_>,
) -> Result<Option<AttestingServer>> {
    let methods = &server.token_endpoint_auth_methods_supported;
    if !methods.iter().any(|method| method == wallet_attestation::METHOD) {
        return Ok(None);
    }
    if context.policy.wallet_attester.is_none() && !methods.iter().any(|method| method == "none") {
        let detail = "the issuer serves wallets with a wallet attestation only, and this one has none";
        return Err(Error::unsupported("wallet_attestation_needed", detail));
    }
    let challenge_endpoint = server.challenge_endpoint.clone();
    Ok(Some(AttestingServer { server: server.issuer.clone(), challenge_endpoint }))
}

/// The metadata, with the anchor of its signature where it was signed by somebody who is trusted.
async fn fetch_metadata(
    issuer: &str,
    context: &IssuanceContext<'_>,
) -> Result<(CredentialIssuerMetadata, Option<String>)> {
    let url = metadata::well_known_url(issuer, CREDENTIAL_ISSUER)?;
    let policy = &context.policy;
    if policy.signed_metadata != SignedMetadata::Ignore {
        let accept = match policy.signed_metadata {
            SignedMetadata::Demand => "application/jwt",
            SignedMetadata::Prefer | SignedMetadata::Ignore => "application/jwt, application/json;q=0.5",
        };
        let response = context.http.send(HttpRequest::get(url.clone(), accept)).await?;
        let signed = response.status == 200 && response.media_type() == "application/jwt";
        let verified = match signed {
            true => signed_metadata::verify(
                &response.body,
                issuer,
                policy.metadata_anchors,
                context.clock.now(),
                &Limits::DEFAULT,
            ),
            false => Err(Error::untrusted("metadata_unsigned", "the issuer's metadata is not signed")),
        };
        match verified {
            Ok(verified) => return Ok((verified.metadata, Some(verified.anchor))),
            Err(error) if policy.signed_metadata == SignedMetadata::Demand => return Err(error),
            // Signed by somebody unknown: it counts for nothing (section 12.2.3).
            Err(_) => {}
        }
    }
    let document = exchange::fetch_json(url, context).await?;
    Ok((CredentialIssuerMetadata::parse(&document, issuer, &Limits::DEFAULT)?, None))
}

async fn issuer_metadata(
    issuer: &str,
    context: &IssuanceContext<'_>,
) -> Result<(CredentialIssuerMetadata, Option<String>)> {
    let (parsed, anchor) = fetch_metadata(issuer, context).await?;
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
    Ok((parsed, anchor))
}

/// Most authorization servers of one issuer that are asked whether they take an offer.
const MAX_SERVERS: usize = 4;

/// Section 12.2.4, `authorization_servers`: the one that the offer names, otherwise the first that takes this kind of
/// grant; without any the issuer is its own.
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
    let candidates = match hint {
        Some(hint) if listed.contains(hint) => std::slice::from_ref(hint),
        Some(_) => return Err(bad("the offer names a server that the issuer does not list")),
        None if listed.is_empty() => std::slice::from_ref(&issuer.credential_issuer),
        None => listed.get(..MAX_SERVERS).unwrap_or(listed),
    };
    let mut fault = bad("the issuer names no authorization server");
    for identifier in candidates {
        match server_for(identifier, grant_type, context).await {
            Ok(server) => return Ok(server),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

/// The metadata of one server, if it takes this kind of grant.
async fn server_for(
    identifier: &str,
    grant_type: &str,
    context: &IssuanceContext<'_>,
) -> Result<AuthorizationServerMetadata> {
    let bad = |detail: &'static str| Error::untrusted("metadata_authorization_server", detail);
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
    context: &IssuanceContext<'_>,
) -> Result<(Vec<OfferedCredential>, Vec<String>)> {
    let (mut credentials, mut unsupported) = (Vec::new(), Vec::new());
    let mut unattested = false;
    for id in &offer.credential_configuration_ids {
        let configuration = issuer.configuration(id)?;
        match holdable(&configuration) {
            Some((_, _, demand)) if demand.needs_attestation() && context.policy.key_attester.is_none() => {
                unattested = true;
                unsupported.push(id.clone());
            }
            Some((format, types, demand)) => credentials.push(OfferedCredential {
                configuration_id: id.clone(),
                format,
                types,
                display: display(id, configuration.credential_metadata.as_ref(), context.locale),
                proof_type: demand.kind,
                key_attestation: demand.key_attestation,
                binds_webauthn: configuration.webauthn_binding.is_some(),
                required_level: configuration.webauthn_binding.and_then(|support| support.required_level),
            }),
            None => unsupported.push(id.clone()),
        }
    }
    if credentials.is_empty() && unattested {
        return Err(no_key_attester());
    }
    if credentials.is_empty() {
        return Err(Error::unsupported(
            "offer_unsupported",
            "this wallet can hold nothing of what is offered",
        ));
    }
    Ok((credentials, unsupported))
}

/// What is missing where an issuer demands key attestations.
pub(super) fn no_key_attester() -> Error {
    let detail = "the issuer demands key attestations, and this wallet has none";
    Error::unsupported("key_attestation_needed", detail)
}

/// Format and types, when this wallet can hold the credential: one of its formats, bound to a P-256 key by a key proof
/// of type `jwt` or `attestation`.
fn holdable(configuration: &CredentialConfiguration) -> Option<(CredentialFormat, Vec<String>, ProofDemand)> {
    let demand = configuration.proof_demand().ok()??;
    let format = CredentialFormat::parse(&configuration.format).ok()?;
    let types = match format.is_w3c() {
        true => configuration.credential_definition.clone()?.types,
        false => vec![configuration.vct.clone()?],
    };
    let fits = !types.is_empty() && demand.algorithms.iter().any(|name| name == "ES256");
    fits.then_some((format, types, demand))
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
