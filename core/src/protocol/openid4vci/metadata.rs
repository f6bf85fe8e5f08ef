//! Credential issuer metadata (OpenID4VCI 1.0 section 12.2) and authorization server metadata (RFC 8414, section 12.3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::attestation::key_attestation::KeyAttestationsRequired;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::jose::jwe::{self, ContentEncryption, KeyManagement};
use crate::jose::jwk::Jwk;
use crate::limits::Limits;

/// Well-known name of credential issuer metadata.
pub const CREDENTIAL_ISSUER: &str = "openid-credential-issuer";
/// Well-known name of authorization server metadata.
pub const AUTHORIZATION_SERVER: &str = "oauth-authorization-server";

/// A credential issuer identifier as a URL: http(s), a host, no query, no fragment, no credentials.
///
/// Whether plain http is allowed is the caller's policy.
///
/// # Errors
/// `issuer_url`.
pub fn issuer_url(identifier: &str) -> Result<Url> {
    let bad = || Error::malformed("issuer_url", "not a plain http(s) URL without query and fragment");
    let url = Url::parse(identifier).map_err(|_| bad())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if plain { Ok(url) } else { Err(bad()) }
}

/// The URL of a well-known document: `/.well-known/{name}` inserted between host and path (section 12.2.2, RFC 8414
/// section 3.1).
///
/// # Errors
/// `issuer_url`.
pub fn well_known_url(identifier: &str, name: &str) -> Result<Url> {
    let mut url = issuer_url(identifier)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("/.well-known/{name}{path}"));
    Ok(url)
}

/// Credential issuer metadata. Unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CredentialIssuerMetadata {
    /// The issuer's identifier; must equal the one the document was fetched for.
    pub credential_issuer: String,
    /// Authorization servers; empty when the issuer is its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// Credential endpoint.
    pub credential_endpoint: Url,
    /// Nonce endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce_endpoint: Option<Url>,
    /// Deferred credential endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_credential_endpoint: Option<Url>,
    /// Notification endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_endpoint: Option<Url>,
    /// Present when more than one key proof per request is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_credential_issuance: Option<BatchSupport>,
    /// Present when responses can be encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_response_encryption: Option<ResponseEncryption>,
    /// Present when requests can be encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_request_encryption: Option<RequestEncryption>,
    /// How to show the issuer, one per language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<IssuerDisplay>,
    /// The kinds of credentials.
    pub credential_configurations_supported: Map<String, Value>,
}

/// How many credentials one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchSupport {
    /// Most key proofs of one request, 2 or more.
    pub batch_size: u32,
}

/// `credential_request_encryption` (section 12.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEncryption {
    /// The issuer's keys, each read on demand: some may be of kinds that are not carried.
    #[serde(default)]
    pub jwks: UnreadKeys,
    /// Names of content encryptions.
    #[serde(default)]
    pub enc_values_supported: Vec<String>,
    /// Names of compressions; none is used here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zip_values_supported: Vec<String>,
    /// Whether plain requests are refused.
    pub encryption_required: bool,
}

/// A JWK set whose keys were not read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnreadKeys {
    keys: Vec<Value>,
}

impl From<Vec<Value>> for UnreadKeys {
    fn from(keys: Vec<Value>) -> Self {
        Self { keys }
    }
}

impl RequestEncryption {
    /// The first key and content encryption by which a request can be encrypted here; `None` when there is none.
    pub fn choose(&self) -> Option<(Jwk, ContentEncryption)> {
        // Section 10: `alg` must be there, and in a set every key has a name.
        let usable =
            |jwk: &Jwk| jwk.alg.is_some() && jwk.kid.is_some() && jwe::recipient_algorithm(jwk).is_some();
        let keys = self.jwks.keys.iter().filter_map(|value| Jwk::from_value(value).ok());
        Some((keys.into_iter().find(usable)?, content_encryption(&self.enc_values_supported)?))
    }
}

/// `credential_response_encryption` (section 12.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseEncryption {
    /// Names of key management algorithms.
    #[serde(default)]
    pub alg_values_supported: Vec<String>,
    /// Names of content encryptions.
    #[serde(default)]
    pub enc_values_supported: Vec<String>,
    /// Names of compressions; none is used here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zip_values_supported: Vec<String>,
    /// Whether responses are given encrypted only.
    pub encryption_required: bool,
}

impl ResponseEncryption {
    /// The first algorithms by which a response can be decrypted here; `None` when there are none.
    pub fn choose(&self) -> Option<(KeyManagement, ContentEncryption)> {
        let named = |alg: &KeyManagement| self.alg_values_supported.iter().any(|name| name == alg.as_str());
        Some((KeyManagement::ALL.into_iter().find(named)?, content_encryption(&self.enc_values_supported)?))
    }
}

fn content_encryption(names: &[String]) -> Option<ContentEncryption> {
    ContentEncryption::ALL.into_iter().find(|enc| names.iter().any(|name| name == enc.as_str()))
}

/// Name and logo of the issuer in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerDisplay {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

impl CredentialIssuerMetadata {
    /// Parses metadata that was fetched for `identifier`.
    ///
    /// # Errors
    /// JSON and size: the codes of [`json::parse`]. `metadata_issuer_mismatch`: `credential_issuer` is not exactly
    /// `identifier` (section 12.2.4: the data must not be used).
    pub fn parse(bytes: &[u8], identifier: &str, limits: &Limits) -> Result<Self> {
        let metadata: Self = json::parse_as(bytes, limits)?;
        if metadata.credential_issuer != identifier {
            return Err(Error::untrusted("metadata_issuer_mismatch", "credential_issuer is another issuer"));
        }
        if metadata.batch_credential_issuance.is_some_and(|batch| batch.batch_size < 2) {
            return Err(Error::malformed("metadata_batch_size", "batch_size is less than 2"));
        }
        Ok(metadata)
    }

    /// The configuration named `id`. Configurations of other formats may have any shape, so each is read on demand.
    ///
    /// # Errors
    /// `metadata_configuration_unknown`, `metadata_configuration`.
    pub fn configuration(&self, id: &str) -> Result<CredentialConfiguration> {
        let value = self.credential_configurations_supported.get(id).ok_or_else(|| {
            Error::malformed("metadata_configuration_unknown", "the metadata has no such configuration")
        })?;
        let configuration: CredentialConfiguration = serde_json::from_value(value.clone()).map_err(|_| {
            Error::malformed("metadata_configuration", "the configuration's members have the wrong types")
        })?;
        configuration.check()?;
        Ok(configuration)
    }
}

/// One kind of credential (section 12.2.4, `credential_configurations_supported`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CredentialConfiguration {
    /// Credential format identifier.
    pub format: String,
    /// OAuth scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Credential type (`dc+sd-jwt` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vct: Option<String>,
    /// Contexts and types (`ldp_vc` and `jwt_vc_json`, appendix A.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_definition: Option<CredentialDefinition>,
    /// Algorithms of the issuer: of JWS, for `ldp_vc` cryptosuites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential_signing_alg_values_supported: Vec<Value>,
    /// `jwk`, `did:key`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cryptographic_binding_methods_supported: Vec<String>,
    /// Proof types by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub proof_types_supported: Map<String, Value>,
    /// Display data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_metadata: Option<CredentialMetadata>,
    /// CareKey's own extension: the issuer takes `webauthn_registrations` for this configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webauthn_binding: Option<WebauthnBindingSupport>,
}

/// `credential_definition` of a W3C credential (appendix A.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialDefinition {
    /// `@context`, with `ldp_vc` only.
    #[serde(rename = "@context", default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Value>,
    /// The types by their terms, `VerifiableCredential` included.
    #[serde(rename = "type")]
    pub types: Vec<String>,
}

/// What an issuer that binds WebAuthn keys asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebauthnBindingSupport {
    /// The lowest assurance level that is accepted; absent when a registration is optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_level: Option<String>,
    /// WebAuthn attestation conveyance to ask for: `none` or `direct`.
    #[serde(default = "direct")]
    pub attestation: String,
}

fn direct() -> String {
    "direct".into()
}

impl CredentialConfiguration {
    fn check(&self) -> Result<()> {
        let claims = self.credential_metadata.as_ref().map(|m| m.claims.as_slice()).unwrap_or_default();
        let valid = claims.iter().enumerate().all(|(i, claim)| {
            !claim.path.is_empty()
                && claim.path.iter().all(|part| part.is_string() || part.is_u64() || part.is_null())
                && claims.iter().take(i).all(|earlier| earlier.path != claim.path)
        });
        if valid {
            Ok(())
        } else {
            Err(Error::malformed("metadata_claims", "a claim path is empty, malformed or repeated"))
        }
    }

    /// What is demanded of key proofs; `None` when no key proof is needed. Type `jwt` comes first where it is taken.
    ///
    /// # Errors
    /// `metadata_proof_types`: proofs are needed, but neither of type `jwt` nor `attestation`, or what is demanded cannot
    /// be read.
    pub fn proof_demand(&self) -> Result<Option<ProofDemand>> {
        let bad = |detail: &'static str| Error::unsupported("metadata_proof_types", detail);
        if self.proof_types_supported.is_empty() {
            return Ok(None);
        }
        let known = [ProofType::Jwt, ProofType::Attestation].into_iter();
        let mut known = known.filter_map(|kind| Some((kind, self.proof_types_supported.get(kind.as_str())?)));
        let (kind, announced) =
            known.next().ok_or_else(|| bad("the issuer takes no key proof of type jwt or attestation"))?;
        let names = announced.get("proof_signing_alg_values_supported").and_then(Value::as_array);
        let algorithms = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let required = announced.get("key_attestations_required").cloned();
        let required = required.map(serde_json::from_value::<KeyAttestationsRequired>).transpose();
        let key_attestation = required.map_err(|_| bad("key_attestations_required has the wrong types"))?;
        Ok(Some(ProofDemand { kind, algorithms, key_attestation }))
    }
}

/// A type of key proof (appendix F).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofType {
    /// A JWT by the key.
    #[default]
    Jwt,
    /// A key attestation alone.
    Attestation,
}

impl ProofType {
    /// The name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Attestation => "attestation",
        }
    }
}

/// What an issuer demands of key proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofDemand {
    /// The type.
    pub kind: ProofType,
    /// Algorithms of proof and attestation.
    pub algorithms: Vec<String>,
    /// What must be attested of the keys; `None`: nothing.
    pub key_attestation: Option<KeyAttestationsRequired>,
}

impl ProofDemand {
    /// Whether nothing is issued without a key attestation.
    pub fn needs_attestation(&self) -> bool {
        self.kind == ProofType::Attestation || self.key_attestation.is_some()
    }
}

/// Display data of a credential (section 12.2.4, `credential_metadata`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CredentialMetadata {
    /// One entry per language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<Display>,
    /// Claims in the order of display.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimDescription>,
}

/// How to show a credential in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Display {
    /// Name.
    pub name: String,
    /// BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// CSS colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_color: Option<String>,
    /// CSS colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_color: Option<String>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<LogoReference>,
}

/// Where a picture is (`logo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoReference {
    /// Its address, or a `data:` URL.
    pub uri: String,
    /// What it shows, for people who do not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_text: Option<String>,
}

/// One claim (appendix B.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimDescription {
    /// Claims path pointer: strings, indexes and null.
    pub path: Vec<Value>,
    /// Whether every credential of this kind has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mandatory: bool,
    /// Names, one per language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<ClaimDisplay>,
}

/// A claim's name in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimDisplay {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// Authorization server metadata (RFC 8414), the members that the pre-authorized code grant needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServerMetadata {
    /// Identifier; must equal the one the document was fetched for.
    pub issuer: String,
    /// Authorization endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<Url>,
    /// Pushed authorization request endpoint (RFC 9126 section 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// Whether requests must be pushed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_pushed_authorization_requests: bool,
    /// PKCE methods (RFC 8414).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code_challenge_methods_supported: Vec<String>,
    /// Whether answers carry `iss` (RFC 9207 section 3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authorization_response_iss_parameter_supported: bool,
    /// Scope values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// Token endpoint.
    pub token_endpoint: Url,
    /// Grant types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_types_supported: Vec<String>,
    /// Response types of the authorization endpoint; empty for servers of the pre-authorized code grant only.
    #[serde(default)]
    pub response_types_supported: Vec<String>,
    /// Client authentication methods of the token endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Algorithms of wallet attestations; empty when the server does not take them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_attestation_signing_alg_values_supported: Vec<String>,
    /// Algorithms of the proofs beside wallet attestations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_attestation_pop_signing_alg_values_supported: Vec<String>,
    /// Where challenges for those proofs come from (attestation-based client authentication, draft 07 section 8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_endpoint: Option<Url>,
    /// Algorithms of DPoP proofs (RFC 9449 section 5.1); empty when the server does not take them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// Types of authorization details (RFC 9396 section 10).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types_supported: Vec<String>,
    /// Whether the pre-authorized code grant works without `client_id`.
    #[serde(rename = "pre-authorized_grant_anonymous_access_supported", default)]
    pub pre_authorized_grant_anonymous_access_supported: bool,
}

impl AuthorizationServerMetadata {
    /// Parses metadata that was fetched for `identifier`.
    ///
    /// # Errors
    /// JSON and size: the codes of [`json::parse`]. `metadata_issuer_mismatch`: `issuer` is not exactly `identifier`
    /// (RFC 8414 section 3.3).
    pub fn parse(bytes: &[u8], identifier: &str, limits: &Limits) -> Result<Self> {
        let metadata: Self = json::parse_as(bytes, limits)?;
        if metadata.issuer != identifier {
            return Err(Error::untrusted(
                "metadata_issuer_mismatch",
                "issuer is another authorization server",
            ));
        }
        Ok(metadata)
    }
}

/// The entry for `locale` (exact tag, then same language, then the first one).
pub fn for_locale<'a, T>(entries: &'a [T], locale: &str, tag: impl Fn(&T) -> Option<&str>) -> Option<&'a T> {
    let language = |text: &str| text.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let exact = entries.iter().find(|e| tag(e).is_some_and(|t| t.eq_ignore_ascii_case(locale)));
    let near = || entries.iter().find(|e| tag(e).is_some_and(|t| language(t) == language(locale)));
    exact.or_else(near).or_else(|| entries.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_goes_between_host_and_path() {
        let table = [
            ("https://a.example", "https://a.example/.well-known/x"),
            ("https://a.example/", "https://a.example/.well-known/x"),
            ("https://a.example:8443/tenant", "https://a.example:8443/.well-known/x/tenant"),
        ];
        for (identifier, url) in table {
            assert_eq!(well_known_url(identifier, "x").unwrap().as_str(), url);
        }
        for bad in
            ["ftp://a.example", "https://a.example?x", "https://a.example#x", "https://u:p@a.example", "a"]
        {
            assert_eq!(issuer_url(bad).unwrap_err().code(), "issuer_url", "{bad}");
        }
    }

    #[test]
    fn published_metadata() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/vectors/openid4vci/1.0/examples/credential_issuer_metadata_sd_jwt_long.json"
        );
        let Ok(bytes) = std::fs::read(path) else {
            println!("skipped: {path} absent");
            return;
        };
        let identifier = "https://credential-issuer.example.com";
        let metadata = CredentialIssuerMetadata::parse(&bytes, identifier, &Limits::DEFAULT).unwrap();
        let configuration = metadata.configuration("SD_JWT_VC_example_in_OpenID4VCI").unwrap();
        assert_eq!(configuration.credential_metadata.as_ref().unwrap().claims.len(), 13);
        let demand = configuration.proof_demand().unwrap().unwrap();
        assert_eq!(
            (demand.kind, demand.algorithms.as_slice()),
            (ProofType::Jwt, ["ES256".to_owned()].as_slice())
        );
        let attested = demand.key_attestation.unwrap();
        assert!(!attested.key_storage.is_empty() && !attested.user_authentication.is_empty());
        let requests = metadata.credential_request_encryption.as_ref().unwrap();
        assert!(requests.encryption_required && requests.choose().is_some());
        let responses = metadata.credential_response_encryption.as_ref().unwrap();
        assert!(responses.choose().is_some());
        assert_eq!(metadata.configuration("no").unwrap_err().code(), "metadata_configuration_unknown");
        let other = CredentialIssuerMetadata::parse(
            &bytes,
            "https://credential-issuer.example.com/",
            &Limits::DEFAULT,
        );
        assert_eq!(other.unwrap_err().code(), "metadata_issuer_mismatch");
    }

    #[test]
    fn contradictory_claims_are_refused() {
        let document = |claims: Value| {
            let mut all = Map::new();
            all.insert(
                "c".into(),
                serde_json::json!({"format": "dc+sd-jwt", "vct": "x", "credential_metadata": {"claims": claims}}),
            );
            CredentialIssuerMetadata {
                credential_issuer: "https://a.example".into(),
                authorization_servers: vec![],
                credential_endpoint: Url::parse("https://a.example/c").unwrap(),
                nonce_endpoint: None,
                deferred_credential_endpoint: None,
                notification_endpoint: None,
                batch_credential_issuance: None,
                credential_response_encryption: None,
                credential_request_encryption: None,
                display: vec![],
                credential_configurations_supported: all,
            }
        };
        assert!(
            document(serde_json::json!([{"path": ["a", null]}, {"path": ["b"]}])).configuration("c").is_ok()
        );
        for bad in [
            serde_json::json!([{"path": []}]),
            serde_json::json!([{"path": ["a"]}, {"path": ["a"]}]),
            serde_json::json!([{"path": [1.5]}]),
        ] {
            assert_eq!(document(bad).configuration("c").unwrap_err().code(), "metadata_claims");
        }
        assert_eq!(
            document(serde_json::json!([{"path": "a"}])).configuration("c").unwrap_err().code(),
            "metadata_configuration"
        );
    }

    #[test]
    fn locale_choice() {
        let all = [("en-US", 1), ("de-DE", 2)];
        let pick = |l| for_locale(&all, l, |e| Some(e.0)).map(|e| e.1);
        assert_eq!(
            (pick("de-DE"), pick("de-AT"), pick("fr"), pick("en-us")),
            (Some(2), Some(2), Some(1), Some(1))
        );
    }
}
