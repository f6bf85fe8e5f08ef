//! The verifier's configuration: a TOML file and `CAREKEY_VERIFIER__…` variables.

use std::path::{Path, PathBuf};

use carekey_core::attestation::level::KeyProtection;
use carekey_core::did::Did;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::client_id::ClientIdPrefix;
use carekey_core::protocol::openid4vp::request::ResponseMode;
use carekey_core::protocol::openid4vp::transaction_types::TransactionType;
use carekey_core::trust::federation::FederationAnchor;
use carekey_core::trust::{IssuerRule, KnownAuthorities};
use carekey_core::verifier::Policy;
use carekey_service::fetch::FetchConfig;
use carekey_service::limit::LimitConfig;
use carekey_service::log::LogConfig;
use carekey_service::serve::ServerConfig;
use carekey_service::trust_snapshot;
use carekey_service::trusted_lists::{self, ListConfig};
use serde::Deserialize;

/// Everything that an operator sets.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Address, TLS, limits of the server.
    pub server: ServerConfig,
    /// The log.
    pub log: LogConfig,
    /// How often one client may ask the public endpoints.
    pub limit: LimitConfig,
    /// Bounds of outgoing requests.
    pub fetch: FetchConfig,
    /// Keys, management token and the embedded store.
    pub data_dir: PathBuf,
    /// The verifier's name on its pages.
    pub name: String,
    /// What request links begin with: a scheme, or the address of a wallet page.
    pub wallet_request_link: String,
    /// How this verifier names and authenticates itself, unless a request says otherwise.
    pub client_id_prefix: ClientIdPrefix,
    /// How answers travel, unless a request says otherwise.
    pub response_mode: ResponseMode,
    /// Seconds that a request waits for its answer.
    pub request_seconds: i64,
    /// Seconds after which presented data is deleted.
    pub retention_seconds: i64,
    /// Seconds after its end that the state of a request (without presented data) can be read.
    pub state_seconds: i64,
    /// Seconds that a response code can be redeemed.
    pub response_code_seconds: i64,
    /// What is accepted.
    pub policy: PolicyConfig,
    /// Credential types of the named templates.
    pub types: TypesConfig,
    /// Which issuers count, for which credential types. Nobody else.
    pub trust: Vec<TrustRule>,
    /// Copies of the trusted lists and federations that queries may name in `trusted_authorities`.
    pub authorities: Vec<AuthorityConfig>,
    /// Transaction data types that requests may use, beside the biometric step-up.
    pub transaction_types: Vec<TransactionType>,
    /// File with the verifier attestation (a JWT) for the client identifier prefix `verifier_attestation`.
    pub verifier_attestation: Option<PathBuf>,
    /// File with this verifier's trust chain (a JSON array of entity statements) for the client identifier prefix
    /// `openid_federation`.
    pub trust_chain: Option<PathBuf>,
    /// File with the registration certificate (a JWT of a registrar), which goes with every request: wallets that know the
    /// registrar warn where more is asked for than was registered.
    pub registration_certificate: Option<PathBuf>,
    /// The W3C VC-API.
    pub vc_api: VcApiConfig,
    /// The DID resolver.
    pub resolver: ResolverConfig,
}

/// The W3C VC-API: verifies W3C credentials and presentations of any issuer for an authenticated caller.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct VcApiConfig {
    /// Whether its routes exist.
    pub enabled: bool,
    /// Whether callers need the management token. `false` only when the server listens on loopback.
    pub authenticate: bool,
    /// Whose keys may sign.
    pub issuer_binding: IssuerBinding,
    /// Whether presentations without proof, and credentials without proof in presentations, are accepted when their
    /// form is right.
    pub accept_unsecured: bool,
    /// Whether proofs from before Data Integrity 1.0 count, verified by the library `ssi`; only in a build with the
    /// feature `foreign-suites`.
    pub foreign_suites: bool,
}

/// Whether a credential's key must be its issuer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerBinding {
    /// Always: at least one proof is by the issuer that the credential names.
    #[default]
    Required,
    /// Only where the issuer is a DID; other issuers may use any key, and the caller must know it.
    DidsOnly,
}

/// `GET /1.0/identifiers/{did}`
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct ResolverConfig {
    /// Whether it answers.
    pub enabled: bool,
}

impl Default for VcApiConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            authenticate: true,
            issuer_binding: IssuerBinding::Required,
            accept_unsecured: false,
            foreign_suites: false,
        }
    }
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// What a verifier accepts.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct PolicyConfig {
    /// Seconds that clocks may differ.
    pub clock_skew_seconds: u32,
    /// Seconds that the holder's proof may be old.
    pub key_binding_seconds: u32,
    /// Seconds that a copy of a status list may be old; 0: a fresh copy for each presentation.
    pub status_seconds: u64,
    /// Whether a credential counts although its status list cannot be had.
    pub accept_unknown_status: bool,
    /// Whether every credential must name a status list.
    pub require_status: bool,
    /// Whether only answers count that are tied to the session that asked: no cross-device requests (HAIP 1.0 section 5.1).
    pub require_session_binding: bool,
    /// The lowest protection of the second key in a step-up.
    pub min_key_protection: KeyProtection,
    /// Seconds that the issuer's grading of the second key may be old; absent: as old as the credential.
    pub evaluation_seconds: Option<u32>,
}

/// Credential types (`vct`) of the named templates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TypesConfig {
    /// Types of the template `patient_identity`.
    pub patient_identity: Vec<String>,
    /// Types of the template `insurance_coverage`.
    pub insurance_coverage: Vec<String>,
}

/// One rule about issuers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TrustRule {
    /// What verdicts call the rule.
    pub name: String,
    /// Credential types; empty: all.
    pub vcts: Vec<String>,
    /// PEM files with trust anchors of issuer certificates.
    pub anchors: Vec<PathBuf>,
    /// Lists of trusted entities (ETSI TS 119 602) whose certificates are trust anchors too.
    pub lists: Vec<ListConfig>,
    /// Federations (OpenID Federation 1.0) whose credential issuers count.
    pub federations: Vec<FederationConfig>,
    /// DIDs of issuers.
    pub dids: Vec<String>,
    /// https issuers whose `/.well-known/jwt-vc-issuer` is fetched.
    pub issuers: Vec<String>,
    /// Hosts, beside the issuer's own, that status lists are fetched from.
    pub status_hosts: Vec<String>,
}

/// The trust anchor of a federation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FederationConfig {
    /// Its Entity Identifier.
    pub entity_id: String,
    /// File with its Federation Entity Keys, a JWK Set.
    pub jwks: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig { listen: ([127, 0, 0, 1], 8803).into(), ..ServerConfig::default() },
            log: LogConfig::default(),
            limit: LimitConfig::default(),
            fetch: FetchConfig::default(),
            data_dir: PathBuf::from("data/verifier"),
            name: "CareKey portal".to_owned(),
            wallet_request_link: "openid4vp://".to_owned(),
            client_id_prefix: ClientIdPrefix::X509Hash,
            response_mode: ResponseMode::DirectPostJwt,
            request_seconds: 300,
            retention_seconds: 600,
            state_seconds: 86_400,
            response_code_seconds: 300,
            policy: PolicyConfig::default(),
            types: TypesConfig::default(),
            trust: Vec::new(),
            authorities: Vec::new(),
            transaction_types: Vec::new(),
            verifier_attestation: None,
            trust_chain: None,
            registration_certificate: None,
            vc_api: VcApiConfig::default(),
            resolver: ResolverConfig::default(),
        }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            clock_skew_seconds: policy.clock_skew,
            key_binding_seconds: policy.key_binding_max_age,
            status_seconds: policy.status_max_age,
            accept_unknown_status: policy.accept_unknown_status,
            require_status: policy.require_status,
            require_session_binding: false,
            min_key_protection: policy.min_key_protection,
            evaluation_seconds: policy.max_evaluation_age,
        }
    }
}

impl PolicyConfig {
    /// The policy of core.
    pub fn policy(&self) -> Policy {
        Policy {
            clock_skew: self.clock_skew_seconds,
            key_binding_max_age: self.key_binding_seconds,
            status_max_age: self.status_seconds,
            accept_unknown_status: self.accept_unknown_status,
            require_status: self.require_status,
            min_key_protection: self.min_key_protection,
            max_evaluation_age: self.evaluation_seconds,
            authorities: KnownAuthorities::NONE,
            limits: Limits::DEFAULT,
        }
    }
}

/// The trust rules without what their lists add, files read relative to `folder`. The error names file or DID.
pub fn trust(rules: &[TrustRule], folder: &Path) -> std::io::Result<Vec<IssuerRule>> {
    rules.iter().map(|rule| read_rule(rule, folder)).collect()
}

/// A copy of a trusted list or of a federation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AuthorityConfig {
    /// Identifier of an ETSI trusted list.
    pub etsi_tl: Option<String>,
    /// PEM files with the certificates on that list and on those that it refers to.
    pub certificates: Vec<PathBuf>,
    /// Entity of an OpenID Federation.
    pub openid_federation: Option<String>,
    /// Issuers with a valid trust chain to that entity.
    pub issuers: Vec<String>,
}

/// The copies of lists and federations, certificates read from their files (relative to `folder`). The error names the
/// file.
pub fn authorities(list: &[AuthorityConfig], folder: &Path) -> std::io::Result<KnownAuthorities> {
    let mut known = KnownAuthorities::NONE;
    for one in list {
        if let Some(id) = &one.etsi_tl {
            known = known.with_etsi_list(id, &trusted_lists::read_anchors(&one.certificates, folder)?);
        }
        if let Some(id) = &one.openid_federation {
            known = known.with_federation(id, one.issuers.iter().cloned());
        }
    }
    Ok(known)
}

fn read_rule(rule: &TrustRule, folder: &Path) -> std::io::Result<IssuerRule> {
    let did = |did: &String| Did::parse(did).map_err(|_| std::io::Error::other(format!("not a DID: {did}")));
    Ok(IssuerRule {
        name: rule.name.clone(),
        vcts: rule.vcts.clone(),
        anchors: trusted_lists::read_anchors(&rule.anchors, folder)?,
        listed: Vec::new(),
        federations: rule
            .federations
            .iter()
            .map(|federation| read_federation(federation, folder))
            .collect::<std::io::Result<_>>()?,
        dids: rule.dids.iter().map(did).collect::<std::io::Result<_>>()?,
        https_issuers: rule.issuers.clone(),
        status_hosts: rule.status_hosts.clone(),
    })
}

fn read_federation(federation: &FederationConfig, folder: &Path) -> std::io::Result<FederationAnchor> {
    let keys = trust_snapshot::read_jwks(&folder.join(&federation.jwks))?;
    Ok(FederationAnchor { entity_id: federation.entity_id.clone(), keys })
}

#[cfg(test)]
mod tests {
    use carekey_service::config;

    use super::*;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");

    fn load(variables: &[(&str, &str)]) -> Result<Config, config::ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config::load_from(Some(Path::new(EXAMPLE)), "CAREKEY_VERIFIER", variables)
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        let (config, default) = (load(&[]).unwrap(), Config::default());
        assert_eq!(config.name, "Example portal");
        assert_eq!(config.policy.policy(), default.policy.policy());
        assert_eq!(config.client_id_prefix, default.client_id_prefix);
        assert_eq!(config.response_mode, default.response_mode);
        let seconds = |config: &Config| {
            [
                config.request_seconds,
                config.retention_seconds,
                config.state_seconds,
                config.response_code_seconds,
            ]
        };
        assert_eq!(seconds(&config), seconds(&default));
        trust(&config.trust, Path::new("")).unwrap();
    }

    #[test]
    fn the_environment_overrides_and_mistakes_are_named() {
        let config = load(&[("CAREKEY_VERIFIER__POLICY__STATUS_SECONDS", "0")]).unwrap();
        assert_eq!(config.policy.policy().status_max_age, 0);
        for (variable, key) in [
            ("CAREKEY_VERIFIER__POLICY__STATUS", "policy.status"),
            ("CAREKEY_VERIFIER__RESPONSE_MODE", "response_mode"),
            ("CAREKEY_VERIFIER__REQUEST_SECONDS", "request_seconds"),
        ] {
            let error = load(&[(variable, "nonsense")]).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
        let missing = TrustRule { anchors: vec!["/nowhere/ca.pem".into()], ..TrustRule::default() };
        assert!(trust(&[missing], Path::new("")).unwrap_err().to_string().contains("/nowhere/ca.pem"));
        let rubbish = TrustRule { dids: vec!["nonsense".into()], ..TrustRule::default() };
        assert!(trust(&[rubbish], Path::new("")).is_err());
    }
}
