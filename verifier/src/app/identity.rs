//! Who this verifier is towards wallets: its certificates, its DID, and the client identifiers made of them.

use std::path::Path;
use std::sync::Arc;

use carekey_core::clock::Clock;
use carekey_core::did::{self, Did, DidDocument, VerificationMethod};
use carekey_core::encoding::{base64, base64url, json, sha256};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::Signer;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::client_id::{ClientId, ClientIdPrefix};
use carekey_core::protocol::openid4vp::request::AuthorizationRequest;
use carekey_core::protocol::openid4vp::signed_request::{self, FEDERATION_ROLE, RequestKeyName};
use carekey_core::protocol::openid4vp::verifier_attestation::VerifierAttestation;
use carekey_core::protocol::openid4vp::verifier_info::VerifierInfo;
use carekey_core::random::Random;
use carekey_core::trust::federation::UnverifiedTrustChain;
use carekey_core::trust::registration::UnverifiedRegistration;
use carekey_core::{Error, Result};
use carekey_service::keys::ServiceKeys;
use url::Url;

pub(super) struct Identity {
    keys: ServiceKeys,
    signer: Arc<dyn Signer>,
    host: String,
    did: Did,
    attestation: Option<Attestation>,
    membership: Option<Membership>,
    /// The registration certificate, as compact JWT.
    registration: Option<String>,
}

/// The place in a federation.
struct Membership {
    /// The trust chain, from this verifier's Entity Configuration upwards.
    chain: Vec<String>,
    entity_id: String,
    /// Name of this service's key in the metadata.
    kid: String,
}

impl Membership {
    fn read(path: &Path, signer: &dyn Signer) -> std::io::Result<Self> {
        let named = |reason: &str| std::io::Error::other(format!("{}: {reason}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| named(&error.to_string()))?;
        let chain: Vec<String> =
            json::parse_as(&bytes, &Limits::DEFAULT).map_err(|error| named(error.detail()))?;
        let parsed = UnverifiedTrustChain::parse(&chain, &Limits::DEFAULT);
        let parsed = parsed.map_err(|error| named(error.detail()))?;
        let own = Jwk::from_key(signer.public_key()).thumbprint();
        let keys = parsed.claimed_keys(FEDERATION_ROLE).map_err(|error| named(error.detail()))?;
        let kid = keys.keys.into_iter().find(|jwk| jwk.thumbprint() == own).and_then(|jwk| jwk.kid);
        let kid = kid.ok_or_else(|| {
            named("the metadata does not name this service's key (/.well-known/did.json) with a kid")
        })?;
        Ok(Self { entity_id: parsed.subject().to_owned(), chain, kid })
    }
}

/// The verifier attestation, as compact JWT, and the identifier that it gives.
struct Attestation {
    jwt: String,
    subject: String,
}

impl Attestation {
    fn read(path: &Path, signer: &dyn Signer) -> std::io::Result<Self> {
        let named = |reason: &str| std::io::Error::other(format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(&error.to_string()))?;
        let jwt = text.trim().to_owned();
        let parsed = VerifierAttestation::parse(&jwt, &Limits::DEFAULT);
        let parsed = parsed.map_err(|error| named(error.detail()))?;
        match parsed.claimed().key == *signer.public_key() {
            true => Ok(Self { subject: parsed.claimed().subject.clone(), jwt }),
            false => {
                Err(named("the attestation is for another key than this service's (/.well-known/did.json)"))
            }
        }
    }
}

/// What wallets could not read is an error at the start.
fn read_registration(path: &Path) -> std::io::Result<String> {
    let named = |reason: &str| std::io::Error::other(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| named(&error.to_string()))?;
    match UnverifiedRegistration::parse(text.trim(), &Limits::DEFAULT) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => Err(named(error.detail())),
    }
}

/// Name of the signing key in the DID document.
const KEY: &str = "signing";

impl Identity {
    /// `attestation` and `trust_chain` are the files of verifier attestation and trust chain, if there are any; they must
    /// name the key of these `keys`. `registration` is the file of the registration certificate.
    pub(super) fn open(
        keys: ServiceKeys,
        public_url: &Url,
        attestation: Option<&Path>,
        trust_chain: Option<&Path>,
        registration: Option<&Path>,
    ) -> std::io::Result<Self> {
        let host = public_url.host_str().unwrap_or_default().to_owned();
        let did = did::web::from_url(public_url).map_err(std::io::Error::other)?;
        let signer = keys.signer();
        let attestation = attestation.map(|path| Attestation::read(path, &*signer)).transpose()?;
        let membership = trust_chain.map(|path| Membership::read(path, &*signer)).transpose()?;
        let registration = registration.map(read_registration).transpose()?;
        Ok(Self { signer, keys, host, did, attestation, membership, registration })
    }

    pub(super) fn anchor(&self) -> Option<Vec<u8>> {
        self.keys.anchor()
    }

    pub(super) fn renew(&self, random: &dyn Random, clock: &dyn Clock) -> std::io::Result<bool> {
        self.keys.renew(random, clock)
    }

    pub(super) fn client_id(&self, prefix: ClientIdPrefix, response_uri: &Url) -> Result<ClientId> {
        let original = match prefix {
            ClientIdPrefix::RedirectUri => response_uri.to_string(),
            ClientIdPrefix::X509SanDns => self.host.clone(),
            ClientIdPrefix::X509Hash => {
                let chain = self.keys.chain();
                let leaf = chain
                    .first()
                    .ok_or_else(|| Error::misuse("no_certificate", "there is no certificate"))?;
                base64url::encode(&sha256(leaf))
            }
            ClientIdPrefix::DecentralizedIdentifier => self.did.as_str().to_owned(),
            ClientIdPrefix::VerifierAttestation => self.attestation()?.subject.clone(),
            ClientIdPrefix::OpenidFederation => self.membership()?.entity_id.clone(),
            ClientIdPrefix::Origin => {
                let detail = "the platform makes this client identifier, nobody asks under it";
                return Err(Error::unsupported("client_id_prefix", detail));
            }
        };
        Ok(ClientId::new(prefix, &original))
    }

    /// The request object, with what goes with every signed request.
    pub(super) fn sign(&self, request: &AuthorizationRequest) -> Result<String> {
        let mut request = request.clone();
        request.verifier_info.extend(self.registration.as_deref().map(VerifierInfo::registration));
        let key_name = match request.client_id.prefix() {
            ClientIdPrefix::DecentralizedIdentifier => {
                RequestKeyName::Kid(self.did.with_fragment(KEY)?.to_string())
            }
            ClientIdPrefix::VerifierAttestation => {
                RequestKeyName::Attestation(self.attestation()?.jwt.clone())
            }
            ClientIdPrefix::OpenidFederation => {
                let Membership { chain, kid, .. } = self.membership()?;
                RequestKeyName::TrustChain { chain: chain.clone(), kid: kid.clone() }
            }
            _ => RequestKeyName::X5c(self.keys.chain().iter().map(|der| base64::encode(der)).collect()),
        };
        signed_request::sign(&request, &key_name, &*self.signer)
    }

    /// The algorithm that signs request objects.
    pub(super) fn algorithm(&self) -> &'static str {
        self.signer.public_key().algorithm().as_str()
    }

    fn attestation(&self) -> Result<&Attestation> {
        let missing = || Error::unsupported("no_attestation", "no verifier attestation is configured");
        self.attestation.as_ref().ok_or_else(missing)
    }

    fn membership(&self) -> Result<&Membership> {
        let missing = || Error::unsupported("no_trust_chain", "no trust chain is configured");
        self.membership.as_ref().ok_or_else(missing)
    }

    pub(super) fn did_document(&self) -> Result<DidDocument> {
        let jwk = Jwk::from_key(self.signer.public_key());
        let method = VerificationMethod::jwk(self.did.with_fragment(KEY)?, jwk);
        Ok(DidDocument::for_signing(self.did.clone(), vec![method]))
    }
}
