//! What the issuer says about itself: issuer and authorization server metadata, type metadata, its keys; and which claims
//! of a credential are selectively disclosable.

use serde_json::{Map, Value, json};

use super::client_attestation::Demand;
use super::configuration::Configuration;
use super::{
    AUTHORIZATION_PATH, CHALLENGE_PATH, CREDENTIAL_PATH, DEFERRED_PATH, Issuer, NOTIFICATION_PATH, PAR_PATH,
    TOKEN_PATH, header_members,
};
use crate::attestation::level::AssuranceLevel;
use crate::attestation::wallet_attestation;
use crate::binding::claim::{BIOMETRIC_BINDING_LEVEL, WEBAUTHN_BINDING};
use crate::credential::claims::{ClaimPath, PathElement};
use crate::credential::data_model::CONTEXT_V2;
use crate::did::document::{DidDocument, VerificationMethod};
use crate::did::{self, Did};
use crate::error::{Error, Result};
use crate::format::data_integrity::contexts::CAREKEY_HEALTH_V1;
use crate::format::sd_jwt_vc::issue::{DisclosureFrame, IssuerKeyHeader};
use crate::format::w3c::binding::{CONFIDENCE_METHOD, EVIDENCE};
use crate::format::w3c::issue::Security;
use crate::health::DatasetKind;
use crate::jose::jwk::Jwk;
use crate::key::{PublicKey, SignatureAlgorithm};
use crate::protocol::oauth::pkce::S256;
use crate::protocol::openid4vci::PRE_AUTHORIZED_CODE;
use crate::protocol::openid4vci::authorization_details::OPENID_CREDENTIAL;
use crate::protocol::openid4vci::metadata::{
    AuthorizationServerMetadata, BatchSupport, ClaimDescription, ClaimDisplay, CredentialConfiguration,
    CredentialDefinition, CredentialIssuerMetadata, CredentialMetadata, Display, IssuerDisplay,
    WebauthnBindingSupport, issuer_url,
};
use crate::protocol::openid4vci::signed_metadata;
use crate::protocol::openid4vci::token::{AUTHORIZATION_CODE, REFRESH_TOKEN};

/// Algorithms of key proofs.
pub(super) const PROOF_ALGORITHMS: [SignatureAlgorithm; 1] = [SignatureAlgorithm::Es256];

/// Seconds for which signed metadata holds.
const SIGNED_METADATA_LIFETIME: i64 = 86_400;

/// Names of the two claims of the binding, for people.
const BINDING_CLAIMS: [(&str, &str); 2] = [
    (WEBAUTHN_BINDING, "Key that needs your own confirmation"),
    (BIOMETRIC_BINDING_LEVEL, "How that key confirms you"),
];

/// Names of the two members of the binding in a W3C credential.
const W3C_BINDING_MEMBERS: [(&str, &str); 2] =
    [(CONFIDENCE_METHOD, "Key that needs your own confirmation"), (EVIDENCE, "How that key confirms you")];

/// `credential_definition` (OpenID4VCI 1.0 appendices A.1.1 and A.1.2).
fn definition(configuration: Configuration) -> Option<CredentialDefinition> {
    let security = configuration.w3c?;
    let context = match security {
        Security::Jwt => Vec::new(),
        Security::DataIntegrity | Security::Selective => vec![CONTEXT_V2.into(), CAREKEY_HEALTH_V1.into()],
    };
    let types = vec!["VerifiableCredential".into(), configuration.type_term().into()];
    Some(CredentialDefinition { context, types })
}

/// A kind of credential, in words.
fn words(kind: DatasetKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        DatasetKind::PatientIdentity => {
            ("Patient identity", "Who you are, as the hospital's record says.", "#0b5d6b")
        }
        DatasetKind::InsuranceCoverage => {
            ("Insurance coverage", "By whom and how you are insured.", "#5a3e85")
        }
    }
}

/// The name of a kind of credential for people.
pub fn title(kind: DatasetKind) -> &'static str {
    words(kind).0
}

/// Every claim can be disclosed alone: members of objects and elements of arrays too (recursive disclosures).
pub(super) fn frame(kind: DatasetKind) -> DisclosureFrame {
    let mut frame = DisclosureFrame::new();
    for info in kind.claims() {
        if let Some(path) = claim_path(info.path) {
            frame = frame.selective(&path.clone().then(PathElement::All)).selective(&path);
        }
    }
    for (name, _) in BINDING_CLAIMS {
        frame = frame.selective(&ClaimPath::member(name));
    }
    frame
}

fn claim_path(names: &[&str]) -> Option<ClaimPath> {
    ClaimPath::new(names.iter().map(|name| PathElement::from(*name)).collect()).ok()
}

impl Issuer {
    /// Credential issuer metadata (OpenID4VCI 1.0 section 12.2.4).
    ///
    /// # Errors
    /// `issuer_settings` when the identifier makes no URLs.
    pub fn credential_issuer_metadata(&self) -> Result<CredentialIssuerMetadata> {
        let mut configurations = Map::new();
        for one in self.configurations() {
            let configuration = serde_json::to_value(self.configuration(one))
                .map_err(|_| Error::misuse("issuer_settings", "a configuration cannot be written as JSON"))?;
            configurations.insert(one.id(), configuration);
        }
        Ok(CredentialIssuerMetadata {
            credential_issuer: self.settings.identifier.clone(),
            // Without others, the issuer is its own, and names none (section 12.2.4).
            authorization_servers: match self.settings.authorization_servers.as_slice() {
                [] => Vec::new(),
                others => {
                    let others = others.iter().map(|server| &server.issuer);
                    std::iter::once(&self.settings.identifier).chain(others).cloned().collect()
                }
            },
            credential_endpoint: self.settings.url(CREDENTIAL_PATH)?,
            nonce_endpoint: Some(self.settings.url("/oid4vci/nonce")?),
            deferred_credential_endpoint: Some(self.settings.url(DEFERRED_PATH)?),
            notification_endpoint: Some(self.settings.url(NOTIFICATION_PATH)?),
            batch_credential_issuance: Some(BatchSupport { batch_size: self.settings.batch_size })
                .filter(|batch| batch.batch_size > 1),
            credential_response_encryption: self.response_encryption(),
            credential_request_encryption: self.request_encryption(),
            display: vec![IssuerDisplay {
                name: Some(self.settings.name.clone()),
                locale: Some(self.settings.locale.clone()),
            }],
            credential_configurations_supported: configurations,
        })
    }

    /// The same, signed under the issuer's certificate; `None` where its key is named in another way.
    ///
    /// # Errors
    /// Those of [`Self::credential_issuer_metadata`] and of the signature.
    pub fn signed_issuer_metadata(&self) -> Result<Option<String>> {
        let header @ IssuerKeyHeader::X5c(_) = self.key_header() else { return Ok(None) };
        let (metadata, now) = (self.credential_issuer_metadata()?, self.now());
        let end = now.plus(SIGNED_METADATA_LIFETIME);
        signed_metadata::sign(&metadata, now, end, header_members(header), &*self.key.signer).map(Some)
    }

    fn configuration(&self, configuration: Configuration) -> CredentialConfiguration {
        let (kind, required) = (configuration.kind, self.required_level(configuration));
        let key = self.key.signer.public_key().algorithm();
        let algorithm = configuration.w3c.map_or(key.as_str(), |security| security.algorithm_name(key));
        let is_w3c = configuration.format().is_w3c();
        let by_did = ["did:jwk".to_owned(), "did:key".to_owned()].into_iter();
        let mut proof_types = Map::new();
        let algorithms: Vec<_> = PROOF_ALGORITHMS.iter().map(|alg| alg.as_str()).collect();
        let mut proof = json!({"proof_signing_alg_values_supported": algorithms});
        if let (Some(required), Some(members)) =
            (self.required_attestation(configuration), proof.as_object_mut())
        {
            members.insert("key_attestations_required".into(), json!(required));
        }
        if !self.wallet_providers().is_empty() {
            proof_types.insert("attestation".into(), proof.clone());
        }
        proof_types.insert("jwt".into(), proof);
        CredentialConfiguration {
            format: configuration.format().as_str().into(),
            scope: Some(configuration.id()),
            vct: (!is_w3c).then(|| self.settings.vct(kind)),
            credential_definition: definition(configuration),
            credential_signing_alg_values_supported: vec![algorithm.into()],
            // A W3C credential names its holder by a DID, made of the proof's key where that comes as a JWK.
            cryptographic_binding_methods_supported: match is_w3c {
                true => by_did.collect(),
                false => std::iter::once("jwk".to_owned()).chain(by_did).collect(),
            },
            proof_types_supported: proof_types,
            credential_metadata: Some(self.credential_metadata(configuration)),
            webauthn_binding: (!self.settings.wallets.is_empty()).then(|| WebauthnBindingSupport {
                required_level: (required != AssuranceLevel::None).then(|| required.as_str().to_owned()),
                attestation: "direct".into(),
            }),
        }
    }

    fn credential_metadata(&self, configuration: Configuration) -> CredentialMetadata {
        let (kind, format) = (configuration.kind, configuration.format());
        let (name, description, colour) = words(kind);
        let locale = Some(self.settings.locale.clone());
        let claim = |path: ClaimPath, mandatory: bool, label: &str| ClaimDescription {
            path: path.into(),
            mandatory,
            display: vec![ClaimDisplay { name: Some(label.to_owned()), locale: locale.clone() }],
        };
        let mut claims: Vec<_> = kind
            .claims()
            .iter()
            .filter_map(|info| Some(claim(format.claim_path(info.path).ok()?, info.mandatory, info.label)))
            .collect();
        if !self.settings.wallets.is_empty() {
            let names = if format.is_w3c() { W3C_BINDING_MEMBERS } else { BINDING_CLAIMS };
            claims.extend(names.map(|(name, label)| claim(ClaimPath::member(name), false, label)));
        }
        CredentialMetadata {
            display: vec![Display {
                name: name.into(),
                locale,
                description: Some(description.into()),
                background_color: Some(colour.into()),
                text_color: Some("#ffffff".into()),
                logo: None,
            }],
            claims,
        }
    }

    /// Authorization server metadata (RFC 8414): the issuer is its own authorization server.
    ///
    /// # Errors
    /// `issuer_settings` when the identifier makes no URLs.
    pub fn authorization_server_metadata(&self) -> Result<AuthorizationServerMetadata> {
        let code_flow = !self.settings.clients.is_empty();
        let mut grants = vec![PRE_AUTHORIZED_CODE.to_owned()];
        grants.extend(code_flow.then(|| AUTHORIZATION_CODE.to_owned()));
        grants.extend((self.settings.refresh_lifetime > 0).then(|| REFRESH_TOKEN.to_owned()));
        let attestation = self.settings.wallet_attestation;
        let mut methods = Vec::new();
        methods.extend((attestation != Demand::Required).then(|| "none".to_owned()));
        methods.extend((attestation != Demand::Off).then(|| wallet_attestation::METHOD.to_owned()));
        let algorithms: Vec<String> = PROOF_ALGORITHMS.iter().map(|alg| alg.as_str().into()).collect();
        let of_attestations = if attestation == Demand::Off { Vec::new() } else { algorithms.clone() };
        Ok(AuthorizationServerMetadata {
            issuer: self.settings.identifier.clone(),
            authorization_endpoint: code_flow.then_some(self.settings.url(AUTHORIZATION_PATH)?),
            pushed_authorization_request_endpoint: code_flow.then_some(self.settings.url(PAR_PATH)?),
            require_pushed_authorization_requests: code_flow,
            code_challenge_methods_supported: code_flow.then(|| S256.to_owned()).into_iter().collect(),
            authorization_response_iss_parameter_supported: code_flow,
            scopes_supported: self.configurations().map(Configuration::id).collect(),
            token_endpoint: self.settings.url(TOKEN_PATH)?,
            grant_types_supported: grants,
            response_types_supported: code_flow.then(|| "code".to_owned()).into_iter().collect(),
            token_endpoint_auth_methods_supported: methods,
            client_attestation_signing_alg_values_supported: of_attestations.clone(),
            client_attestation_pop_signing_alg_values_supported: of_attestations,
            challenge_endpoint: (self.challenges() != Demand::Off)
                .then_some(self.settings.url(CHALLENGE_PATH)?),
            dpop_signing_alg_values_supported: algorithms,
            authorization_details_types_supported: vec![OPENID_CREDENTIAL.into()],
            pre_authorized_grant_anonymous_access_supported: !self.settings.known_wallets_only
                && attestation != Demand::Required,
        })
    }

    /// SD-JWT VC type metadata of a kind of credential (draft-ietf-oauth-sd-jwt-vc section 4).
    pub fn type_metadata(&self, kind: DatasetKind) -> Value {
        let (name, description, colour) = words(kind);
        let locale = &self.settings.locale;
        let labelled = kind.claims().iter().map(|info| (json!(info.path), info.label, info.mandatory));
        let binding = BINDING_CLAIMS.iter().map(|(name, label)| (json!([name]), *label, false));
        let claims: Vec<Value> = labelled
            .chain(binding)
            .map(|(path, label, mandatory)| {
                json!({
                    "path": path,
                    "display": [{"locale": locale, "label": label}],
                    "mandatory": mandatory,
                    "sd": "always",
                })
            })
            .collect();
        json!({
            "vct": self.settings.vct(kind),
            "name": name,
            "description": description,
            "display": [{
                "locale": locale,
                "name": name,
                "description": description,
                "rendering": {"simple": {"background_color": colour, "text_color": "#ffffff"}},
            }],
            "claims": claims,
        })
    }

    /// The type metadata behind the last part of a `vct`: `patient-identity`.
    pub fn type_metadata_by_name(&self, name: &str) -> Option<Value> {
        let kind = DatasetKind::ALL.into_iter().find(|kind| kind.as_str().replace('_', "-") == name)?;
        Some(self.type_metadata(kind))
    }

    /// JWT VC Issuer Metadata (draft-ietf-oauth-sd-jwt-vc section 3): the signing key under the name that headers use.
    pub fn jwt_vc_issuer_metadata(&self) -> Value {
        let kid = match &self.key.header {
            IssuerKeyHeader::Kid(kid) | IssuerKeyHeader::TrustChain { kid, .. } => Some(kid.clone()),
            IssuerKeyHeader::X5c(_) => None,
        };
        let current = self.key.signer.public_key();
        // The key that signs comes first; those before it stay, so that what they signed verifies.
        let earlier = self.earlier_keys.iter().filter(|key| *key != current);
        let keys = std::iter::once(published(current, kid)).chain(earlier.map(|key| published(key, None)));
        json!({"issuer": self.settings.identifier, "jwks": {"keys": keys.collect::<Vec<_>>()}})
    }

    /// The DID document behind `did:web` of this issuer.
    ///
    /// # Errors
    /// `did_web_base` when no `did:web` can be made of the identifier (an IPv6 address, for example).
    pub fn did_document(&self) -> Result<Value> {
        let did = did_web(&self.settings.identifier)?;
        let key = Jwk::from_key(self.key.signer.public_key());
        let method = VerificationMethod::jwk(did.with_fragment(DID_KEY_FRAGMENT)?, key);
        Ok(DidDocument::for_signing(did, vec![method]).to_value())
    }

    /// What the `policy` of a binding means, for verifiers and people; `None` for a version that there is not, or when
    /// the operator names a policy of their own.
    pub fn binding_policy_document(&self, version: &str) -> Option<Value> {
        let uri = format!("{}/policy/binding/{version}", self.settings.identifier);
        (version == "1" && uri == self.settings.binding_policy)
            .then(|| json!({"policy": uri, "rules": BINDING_RULES}))
    }
}

/// A signing key as it is published; its name is its thumbprint where it has no other.
fn published(key: &PublicKey, kid: Option<String>) -> Value {
    let mut jwk = Jwk::from_key(key);
    jwk.kid = Some(kid.unwrap_or_else(|| jwk.thumbprint()));
    jwk.alg = Some(key.algorithm().as_str().into());
    jwk.use_ = Some("sig".into());
    jwk.to_value()
}

/// How this version of the issuer grades WebAuthn keys.
const BINDING_RULES: [&str; 10] = [
    "The registration answers a challenge over this issuer, the wallet, its RP ID, the holder key and a one-time nonce.",
    "The holder key names the WebAuthn key in its own proof, so that neither can be swapped alone.",
    "User verification is required; only wallets on the issuer's list and their exact origins are taken.",
    "uv: some user verification at each use; it may be a PIN, and the key may be synchronised.",
    "biometric_capable: attested by packed attestation and FIDO metadata; a biometric is one of the alternatives.",
    "biometric_capable: or an Android key of which secure hardware says that a biometric or the PIN opens it, by policy.",
    "biometric_app_asserted: App Attest: a genuine app on a genuine device made the key and says it needs a biometric.",
    "biometric_attested: packed, where every alternative needs a biometric, and the key cannot be backed up.",
    "biometric_attested: or an Android key of which secure hardware says that every use needs a biometric.",
    "Attestations that this issuer has no roots or registered app for count as none. Raw attestations stay with the issuer for a limited time.",
];

/// Fragment of the signing key in the issuer's DID document.
pub const DID_KEY_FRAGMENT: &str = "key-1";

/// The `did:web` of an issuer's URL.
///
/// # Errors
/// `issuer_url`, `did_web_base`.
pub fn did_web(identifier: &str) -> Result<Did> {
    did::web::from_url(&issuer_url(identifier)?)
}
