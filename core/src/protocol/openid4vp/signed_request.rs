//! Signed request objects (OpenID4VP 1.0 sections 5, 5.9.3 and 5.10): made by the verifier, authenticated by the wallet.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client_id::{ClientId, ClientIdPrefix};
use super::request::{AuthorizationRequest, REQUEST_OBJECT_TYP};
use super::verifier_attestation::VerifierAttestation;
use crate::clock::UnixTime;
use crate::did::{Did, DidDocument, DidUrl, VerificationPurpose};
use crate::encoding::json as strict_json;
use crate::error::{Error, Result};
use crate::jose::jwt::{self, UnverifiedJwt};
use crate::key::{PublicKey, Signer};
use crate::limits::Limits;
use crate::trust::VerifierTrust;
use crate::trust::federation::UnverifiedTrustChain;
use crate::x509::UnverifiedChain;

/// Clock difference that is forgiven, in seconds.
const SKEW: i64 = 60;
/// `organizationIdentifier` (X.520): how registers name a legal person (ETSI EN 319 412-1 clause 5.1.4).
const ORGANIZATION_IDENTIFIER: &str = "2.5.4.97";

/// How a request object names the key that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestKeyName {
    /// `x5c`: certificates, leaf first, base64 DER.
    X5c(Vec<String>),
    /// `kid`: a DID URL.
    Kid(String),
    /// `jwt`: a verifier attestation (section 12).
    Attestation(String),
    /// `trust_chain`: the verifier's place in a federation (OpenID Federation 1.0 section 4.3), and `kid`: which of its keys.
    TrustChain {
        /// Statements from the verifier's Entity Configuration upwards.
        chain: Vec<String>,
        /// Name of the key in the verifier's metadata.
        kid: String,
    },
}

/// The role of verifiers in a federation (OpenID Federation for Wallet Architectures).
pub const FEDERATION_ROLE: &str = "openid_credential_verifier";

/// The signed request object.
pub fn sign(
    request: &AuthorizationRequest,
    key_name: &RequestKeyName,
    signer: &dyn Signer,
) -> Result<String> {
    let mut header = Map::new();
    match key_name {
        RequestKeyName::X5c(chain) => header.insert("x5c".into(), json!(chain)),
        RequestKeyName::Kid(kid) => header.insert("kid".into(), json!(kid)),
        RequestKeyName::Attestation(attestation) => header.insert("jwt".into(), json!(attestation)),
        RequestKeyName::TrustChain { chain, kid } => {
            header.insert("trust_chain".into(), json!(chain));
            header.insert("kid".into(), json!(kid))
        }
    };
    jwt::sign(REQUEST_OBJECT_TYP, header, &request.to_claims(), signer)
}

/// A request object whose signature nobody checked.
#[derive(Debug, Clone)]
pub struct UnverifiedRequest {
    jwt: UnverifiedJwt,
    request: AuthorizationRequest,
}

/// What the wallet knows when it authenticates a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestEvidence<'a> {
    /// `client_id` of the link; `None` over the Digital Credentials API, which has none.
    pub client_id: Option<&'a ClientId>,
    /// The nonce that the wallet sent with POST.
    pub wallet_nonce: Option<&'a str>,
    /// Which verifiers the wallet knows.
    pub trust: &'a VerifierTrust,
    /// The document of [`UnverifiedRequest::did`].
    pub did_document: Option<&'a DidDocument>,
    /// The time.
    pub now: UnixTime,
}

/// How the verifier was authenticated, for the person to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifierAuthentication {
    /// A certificate under one of the wallet's anchors.
    Certificate,
    /// A key of its DID.
    Did,
    /// An attestation of somebody whom the wallet trusts for it.
    Attestation,
    /// A trust chain to the anchor of a federation that the wallet knows.
    Federation,
    /// Only by the platform, which says from which web origin or app the request came.
    Origin,
    /// Not at all: only the address of the response is known.
    None,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifierIdentity {
    /// The name to show: DNS name, certificate subject, DID, or host of the response address.
    pub name: String,
    /// How it was authenticated.
    pub authentication: VerifierAuthentication,
    /// Whether the wallet's trust rules name this verifier.
    pub trusted: bool,
    /// What that rests on: subject of the trust anchor's certificate, the DID, the attester, or the Entity Identifier of the
    /// federation's anchor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Under which identifiers a registrar may know it, authenticated: the client identifier, and the
    /// `organizationIdentifier` of its certificate. Empty where it was not authenticated.
    #[serde(default)]
    pub identifiers: Vec<String>,
}

/// A request whose sender was authenticated as far as its client identifier allows.
#[derive(Debug, Clone)]
pub struct AuthenticatedRequest {
    request: AuthorizationRequest,
    verifier: VerifierIdentity,
}

impl UnverifiedRequest {
    /// Reads a request object: errors of [`UnverifiedJwt::parse`] and [`AuthorizationRequest::from_claims`], and
    /// `jws_typ` where `typ` is not `oauth-authz-req+jwt`.
    pub fn parse(compact: &str, limits: &Limits) -> Result<Self> {
        let jwt = UnverifiedJwt::parse(compact, limits)?;
        jwt.header().require_typ(REQUEST_OBJECT_TYP)?;
        let request = AuthorizationRequest::from_claims(jwt.claims())?;
        Ok(Self { jwt, request })
    }

    /// A request object that came from `origin` over the Digital Credentials API.
    pub(super) fn from_platform(
        jwt: UnverifiedJwt,
        claims: &Map<String, Value>,
        origin: &str,
    ) -> Result<Self> {
        let request = AuthorizationRequest::from_platform(claims, origin)?;
        Ok(Self { jwt, request })
    }

    /// Who claims to be asking.
    pub fn client_id(&self) -> &ClientId {
        &self.request.client_id
    }

    /// The DID to resolve before [`Self::authenticate`], for the prefix `decentralized_identifier`.
    pub fn did(&self) -> Result<Option<Did>> {
        match self.request.client_id.prefix() {
            ClientIdPrefix::DecentralizedIdentifier => {
                Did::parse(self.request.client_id.original()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Authenticates the verifier by the rules of its client identifier prefix.
    ///
    /// Errors, beside those of signatures, certificates and DIDs: `client_id_mismatch`, `wallet_nonce_mismatch`,
    /// `request_expired`, `request_from_future`, `request_key`, `verifier_unknown`, `response_uri_foreign`,
    /// `request_signed` (the prefix `redirect_uri` cannot sign).
    pub fn authenticate(self, evidence: &RequestEvidence<'_>) -> Result<AuthenticatedRequest> {
        let request = &self.request;
        // Section 5.10.1: link and object name the same verifier, and the wallet's nonce came back.
        if evidence.client_id.is_some_and(|linked| *linked != request.client_id) {
            return Err(Error::untrusted(
                "client_id_mismatch",
                "the request object names another verifier than the link",
            ));
        }
        if evidence.wallet_nonce.is_some() && request.wallet_nonce.as_deref() != evidence.wallet_nonce {
            return Err(Error::untrusted(
                "wallet_nonce_mismatch",
                "the request object does not echo the wallet's nonce",
            ));
        }
        check_times(request, evidence.now)?;
        // Appendix A.2: as texts, without any interpretation.
        if request.origin.as_ref().is_some_and(|origin| !request.expected_origins.contains(origin)) {
            return Err(Error::untrusted(
                "request_origin",
                "the request was made for another origin than the one it comes from",
            ));
        }
        let prefix = request.client_id.prefix();
        if prefix == ClientIdPrefix::OpenidFederation {
            return self.by_federation(evidence);
        }
        let (key, verifier) = match prefix {
            ClientIdPrefix::X509SanDns | ClientIdPrefix::X509Hash => self.by_certificate(evidence)?,
            ClientIdPrefix::DecentralizedIdentifier => self.by_did(evidence)?,
            ClientIdPrefix::VerifierAttestation => self.by_attestation(evidence)?,
            ClientIdPrefix::RedirectUri | ClientIdPrefix::Origin | ClientIdPrefix::OpenidFederation => {
                return Err(Error::untrusted(
                    "request_signed",
                    "requests of this client identifier cannot be signed",
                ));
            }
        };
        self.jwt.check(&key)?;
        Ok(AuthenticatedRequest { request: self.request, verifier })
    }

    fn by_certificate(&self, evidence: &RequestEvidence<'_>) -> Result<(PublicKey, VerifierIdentity)> {
        let no_chain = || Error::malformed("request_key", "the request object has no `x5c`");
        let x5c = self.jwt.header().x5c.as_ref().ok_or_else(no_chain)?;
        let chain = UnverifiedChain::parse(x5c, &Limits::DEFAULT)?;
        let client_id = &self.request.client_id;
        let verified = chain.verify(evidence.trust.anchors(), evidence.now)?;
        let name = match client_id.prefix() {
            ClientIdPrefix::X509SanDns => {
                let dns = client_id.original();
                if !verified.san_dns().iter().any(|name| name.eq_ignore_ascii_case(dns)) {
                    return Err(Error::untrusted(
                        "client_id_mismatch",
                        "the certificate is not for this DNS name",
                    ));
                }
                // The verifier is not free to choose where the answer goes, unless the wallet's rules say so.
                let own_host =
                    |url: &url::Url| url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(dns));
                let elsewhere = self.request.destination.as_ref().is_some_and(|url| !own_host(url));
                if elsewhere && !evidence.trust.may_choose_destination(client_id.as_str()) {
                    return Err(Error::untrusted(
                        "response_uri_foreign",
                        "the answer would go to another host",
                    ));
                }
                dns.to_owned()
            }
            _ => {
                let hash = crate::encoding::base64url::encode(&chain.leaf_sha256());
                if hash != client_id.original() {
                    return Err(Error::untrusted(
                        "client_id_mismatch",
                        "the certificate is not the one that is named",
                    ));
                }
                verified.san_dns().first().cloned().unwrap_or_else(|| verified.leaf().subject().to_owned())
            }
        };
        let authentication = VerifierAuthentication::Certificate;
        let anchor = Some(verified.anchor_subject().to_owned());
        let own = verified.leaf().subject_attribute(ORGANIZATION_IDENTIFIER).map(str::to_owned);
        let identifiers = std::iter::once(client_id.as_str().to_owned()).chain(own).collect();
        let verifier = VerifierIdentity { name, authentication, trusted: true, anchor, identifiers };
        Ok((verified.leaf_key().clone(), verifier))
    }

    fn by_did(&self, evidence: &RequestEvidence<'_>) -> Result<(PublicKey, VerifierIdentity)> {
        let did = Did::parse(self.request.client_id.original())?;
        let no_kid = || Error::malformed("request_key", "the request object has no `kid`");
        let kid = DidUrl::parse(self.jwt.header().kid.as_deref().ok_or_else(no_kid)?)?;
        if *kid.did() != did {
            return Err(Error::untrusted("client_id_mismatch", "the key belongs to another DID"));
        }
        let missing = || Error::misuse("request_did_document", "the DID document was not resolved");
        let document = evidence.did_document.filter(|document| document.id == did).ok_or_else(missing)?;
        let key = document.verification_key(&kid, VerificationPurpose::Authentication)?;
        let trusted = evidence.trust.knows_did(&did);
        if !trusted && !evidence.trust.takes_unknown_dids() {
            return Err(Error::untrusted(
                "verifier_unknown",
                "the verifier's DID is not on the wallet's list",
            ));
        }
        let name = did.as_str().to_owned();
        let anchor = trusted.then(|| name.clone());
        let authentication = VerifierAuthentication::Did;
        let identifiers = vec![self.request.client_id.as_str().to_owned()];
        Ok((key, VerifierIdentity { name, authentication, trusted, anchor, identifiers }))
    }

    /// Sections 5.9.3 and 12: an attestation of a trusted issuer names this verifier and the key that signed the request.
    fn by_attestation(&self, evidence: &RequestEvidence<'_>) -> Result<(PublicKey, VerifierIdentity)> {
        let missing = || Error::malformed("request_key", "the request object has no attestation (`jwt`)");
        let attestation = self.jwt.header().others.get("jwt").and_then(Value::as_str).ok_or_else(missing)?;
        let attestation = VerifierAttestation::parse(attestation, &Limits::DEFAULT)?;
        let attested = attestation.verify(evidence.trust, evidence.now)?;
        if attested.subject != self.request.client_id.original() {
            return Err(Error::untrusted("client_id_mismatch", "the attestation is for another verifier"));
        }
        let destination = self.request.destination.as_ref().map(url::Url::as_str);
        let allowed =
            |url: &str| attested.redirect_uris.as_ref().is_none_or(|list| list.iter().any(|own| own == url));
        if destination.is_some_and(|url| !allowed(url)) {
            let detail = "the attestation does not allow the address of the answer";
            return Err(Error::untrusted("response_uri_foreign", detail));
        }
        let authentication = VerifierAuthentication::Attestation;
        let anchor = Some(attestation.issuer().to_owned());
        let identifiers = vec![self.request.client_id.as_str().to_owned()];
        let name = attested.subject;
        Ok((attested.key, VerifierIdentity { name, authentication, trusted: true, anchor, identifiers }))
    }

    /// Section 5.9.3, `openid_federation`: the chain is the verifier's, leads to an anchor of the wallet, and gives key and
    /// metadata; `client_metadata` of the request is ignored.
    fn by_federation(self, evidence: &RequestEvidence<'_>) -> Result<AuthenticatedRequest> {
        let header = self.jwt.header();
        let chain = header.others.get("trust_chain").or_else(|| self.jwt.claims().get("trust_chain"));
        let missing = || Error::malformed("request_key", "the request object has no `trust_chain`");
        let chain: Vec<String> =
            strict_json::from_value(chain.cloned().ok_or_else(missing)?).map_err(|_| missing())?;
        let chain = UnverifiedTrustChain::parse(&chain, &Limits::DEFAULT)?;
        let name = self.request.client_id.original().to_owned();
        if chain.subject() != name {
            return Err(Error::untrusted(
                "client_id_mismatch",
                "the trust chain is that of another verifier",
            ));
        }
        let verified = chain.verify(evidence.trust.federations(), evidence.now)?;
        let keys = verified.keys(FEDERATION_ROLE)?;
        let unknown = || Error::untrusted("request_key", "the federation names no such key of this verifier");
        let key = keys.find(header.kid.as_deref()).ok_or_else(unknown)?.public_key()?;
        self.jwt.check(&key)?;
        let metadata = verified.metadata(FEDERATION_ROLE).cloned().unwrap_or_default();
        // Answers stay with the verifier, unless its superiors let it name other addresses.
        let listed = |url: &str| {
            let named = metadata.get("redirect_uris").and_then(Value::as_array);
            named.is_some_and(|list| list.iter().any(|own| own == url))
        };
        let entity = url::Url::parse(&name).ok();
        let place = |url: &url::Url| (url.host_str().map(str::to_owned), url.port());
        let own = |url: &url::Url| entity.as_ref().is_some_and(|entity| place(entity) == place(url));
        let foreign = |url: &&url::Url| !own(url) && !listed(url.as_str());
        if self.request.destination.as_ref().filter(foreign).is_some() {
            let detail = "the federation does not allow the address of the answer";
            return Err(Error::untrusted("response_uri_foreign", detail));
        }
        let identifiers = vec![self.request.client_id.as_str().to_owned()];
        let request = self.request.with_client_metadata(&Value::Object(metadata))?;
        let authentication = VerifierAuthentication::Federation;
        let anchor = Some(verified.anchor().to_owned());
        let verifier = VerifierIdentity { name, authentication, trusted: true, anchor, identifiers };
        Ok(AuthenticatedRequest { request, verifier })
    }
}

impl AuthenticatedRequest {
    /// An unsigned request, if the wallet takes such requests at all: under the prefix `redirect_uri`, or over the Digital
    /// Credentials API.
    ///
    /// Errors: `request_unsigned`, `response_uri_foreign`, `request_expired`.
    pub fn unsigned(request: AuthorizationRequest, trust: &VerifierTrust, now: UnixTime) -> Result<Self> {
        if request.client_id.prefix().is_signed() || !trust.takes_unsigned() {
            return Err(Error::untrusted("request_unsigned", "unsigned requests are not accepted here"));
        }
        check_times(&request, now)?;
        let (name, authentication) = match &request.destination {
            // Appendix A.2: nobody but the platform says who asks.
            None => (request.client_id.original(), VerifierAuthentication::Origin),
            // Section 5.9.3: the identifier is the address of the response.
            Some(url) if request.client_id.original() == url.as_str() => {
                (url.host_str().unwrap_or_default(), VerifierAuthentication::None)
            }
            Some(_) => {
                return Err(Error::untrusted(
                    "response_uri_foreign",
                    "the answer would go elsewhere than the identifier says",
                ));
            }
        };
        let (name, identifiers) = (name.to_owned(), Vec::new());
        let verifier = VerifierIdentity { name, authentication, trusted: false, anchor: None, identifiers };
        Ok(Self { request, verifier })
    }

    /// What is asked for.
    pub fn request(&self) -> &AuthorizationRequest {
        &self.request
    }

    /// Who asks.
    pub fn verifier(&self) -> &VerifierIdentity {
        &self.verifier
    }
}

fn check_times(request: &AuthorizationRequest, now: UnixTime) -> Result<()> {
    if let Some(limit) = request.expires_at.filter(|limit| now >= limit.plus(SKEW)) {
        return Err(Error::not_current("request_expired", "the request has expired", now, limit));
    }
    if let Some(limit) = request.issued_at.filter(|limit| now < limit.plus(-SKEW)) {
        return Err(Error::not_current(
            "request_from_future",
            "the request was made in the future",
            now,
            limit,
        ));
    }
    Ok(())
}
