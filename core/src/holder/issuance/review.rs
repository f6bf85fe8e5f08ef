//! Phase one: what is offered, by whom.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{IssuanceContext, exchange};
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::holder::{ClaimLabel, CredentialDisplay};
use crate::limits::Limits;
use crate::protocol::openid4vci::PRE_AUTHORIZED_CODE;
use crate::protocol::openid4vci::authorization_details::{AuthorizationDetail, OPENID_CREDENTIAL};
use crate::protocol::openid4vci::metadata::{
    self, AUTHORIZATION_SERVER, AuthorizationServerMetadata, CREDENTIAL_ISSUER, CredentialConfiguration,
    CredentialIssuerMetadata, CredentialMetadata,
};
use crate::protocol::openid4vci::offer::{CredentialOffer, OfferLink, PreAuthorizedCodeGrant, TxCode};

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
    pub(super) grant: PreAuthorizedCodeGrant,
    pub(super) token_endpoint: Url,
    pub(super) credential_endpoint: Url,
    pub(super) nonce_endpoint: Option<Url>,
    pub(super) notification_endpoint: Option<Url>,
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
/// The codes of [`OfferLink::parse`] and [`CredentialOffer::parse`]; `offer_grant`: no pre-authorized code;
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
    let grant = offer.grants.pre_authorized_code.clone().ok_or_else(|| {
        Error::unsupported("offer_grant", "the offer has no pre-authorized code, and this wallet needs one")
    })?;
    let issuer = issuer_metadata(&offer.credential_issuer, context).await?;
    let server = authorization_server(&issuer, &grant, context).await?;
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
        tx_code: grant.tx_code.clone(),
        batch_size: issuer.batch_credential_issuance.map_or(1, |batch| batch.batch_size),
        details,
        grant,
        token_endpoint: server.token_endpoint,
        credential_endpoint: issuer.credential_endpoint,
        nonce_endpoint: issuer.nonce_endpoint,
        notification_endpoint: issuer.notification_endpoint,
        credential_issuer: offer.credential_issuer,
    })
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
    grant: &PreAuthorizedCodeGrant,
    context: &IssuanceContext<'_>,
) -> Result<AuthorizationServerMetadata> {
    let bad = |detail: &'static str| Error::untrusted("metadata_authorization_server", detail);
    let listed = &issuer.authorization_servers;
    let identifier = match &grant.authorization_server {
        Some(hint) if listed.contains(hint) => hint,
        Some(_) => return Err(bad("the offer names a server that the issuer does not list")),
        None => listed.first().unwrap_or(&issuer.credential_issuer),
    };
    let url = metadata::well_known_url(identifier, AUTHORIZATION_SERVER)?;
    let document = exchange::fetch_json(url, context).await?;
    let server = AuthorizationServerMetadata::parse(&document, identifier, &Limits::DEFAULT)?;
    let grants = &server.grant_types_supported;
    if !grants.is_empty() && !grants.iter().any(|grant| grant == PRE_AUTHORIZED_CODE) {
        return Err(bad("the authorization server does not take pre-authorized codes"));
    }
    if server.token_endpoint.origin() != metadata::issuer_url(identifier)?.origin() {
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
