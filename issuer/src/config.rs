//! The configuration of an issuer: TOML file and environment (`CAREKEY_ISSUER__…`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use carekey_core::attestation::android_key::AndroidPolicy;
use carekey_core::attestation::app_attest::ApplePolicy;
use carekey_core::attestation::key_attestation::KeyAttestationsRequired;
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::issuer::{Client, Demand, Settings, Wallet};
use carekey_service::fetch::FetchConfig;
use carekey_service::limit::LimitConfig;
use carekey_service::log::LogConfig;
use carekey_service::serve::ServerConfig;
use carekey_service::trust_snapshot::WalletProviderConfig;
use serde::Deserialize;
use url::Url;

use crate::external::ExternalServerConfig;
use crate::login::ProviderConfig;
use crate::patients::PatientsConfig;

/// Everything that the operator of an issuer may set; every member has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Address, public URL, TLS, limits of the server. The public URL is the credential issuer identifier.
    pub server: ServerConfig,
    /// Logging.
    pub log: LogConfig,
    /// Requests per client on the wallet endpoints.
    pub limit: LimitConfig,
    /// Folder of keys, certificates, secrets and the embedded store.
    pub data_dir: PathBuf,
    /// Names, links and the kind of signing key.
    pub issuer: IssuerConfig,
    /// Lifetimes in seconds; what is not set keeps its default.
    pub lifetimes: Lifetimes,
    /// Wallets whose WebAuthn registrations are taken.
    pub wallets: Vec<Wallet>,
    /// Providers whose word about wallets and their keys counts.
    pub wallet_providers: Vec<WalletProviderConfig>,
    /// What wallets must have attested about holder keys, per kind of credential or per configuration.
    pub key_attestations: BTreeMap<String, KeyAttestationsRequired>,
    /// Clients that may use the authorization code flow; without any, there is no such flow.
    pub clients: Vec<Client>,
    /// The hospital's OpenID Connect provider, for signing in.
    pub provider: Option<ProviderConfig>,
    /// Authorization servers beside the issuer itself whose access tokens count.
    pub authorization_servers: Vec<ExternalServerConfig>,
    /// Where the records of people come from who sign in without an offer of the desk.
    pub patients: Option<PatientsConfig>,
    /// Lowest assurance level per kind of credential.
    pub required_levels: BTreeMap<String, AssuranceLevel>,
    /// FIDO metadata for grading attestations.
    pub fido_metadata: Option<FidoMetadata>,
    /// Android Key Attestation; absent: such keys grade by their flags.
    pub android_attestation: Option<AndroidAttestation>,
    /// App Attest; absent: such keys grade by their flags.
    pub apple_attestation: Option<AppleAttestation>,
    /// The client that fetches status lists and speaks with the provider.
    pub fetch: FetchConfig,
    /// The W3C VC-API.
    pub vc_api: VcApiConfig,
}

/// The W3C VC-API: signs whatever credential an authenticated caller sends, by keys of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct VcApiConfig {
    /// Whether its routes exist.
    pub enabled: bool,
    /// Whether callers need the management token. `false` only when the server listens on loopback.
    pub authenticate: bool,
    /// Whether credentials can also be issued under the issuer's own DID, by the key that signs patients' credentials.
    /// Needs `issuer.key` to be `did_web` or `did_webvh`.
    pub own_did: bool,
    /// Whether `/credentials/issue` gives an entry in a status list to VCDM 2.0 credentials that have none.
    pub status: bool,
}

impl Default for VcApiConfig {
    fn default() -> Self {
        Self { enabled: false, authenticate: true, own_did: false, status: true }
    }
}

/// Names, links and the kind of signing key.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct IssuerConfig {
    /// Name that wallets show.
    pub name: String,
    /// BCP 47 language tag of the names.
    pub locale: String,
    /// Base of offer links.
    pub wallet_offer_link: String,
    /// How credentials name the signing key.
    pub key: KeyKind,
    /// Whether clients that are not in `wallets` get nothing.
    pub known_wallets_only: bool,
    /// Wrong transaction codes after which an offer is locked.
    pub tx_code_attempts: u32,
    /// Whether clients without DPoP get no access token.
    pub dpop_required: bool,
    /// Whether wallets authenticate themselves by attestations of their providers.
    pub wallet_attestation: Demand,
    /// Whether the proofs beside those attestations hold a challenge of the issuer.
    pub attestation_challenge: Demand,
    /// Whether credential requests come encrypted beyond TLS.
    pub request_encryption: Demand,
    /// Whether credential responses are encrypted beyond TLS.
    pub response_encryption: Demand,
    /// Most credentials of one request; 1 turns batches off.
    pub batch_size: u32,
    /// Entries of one status list.
    pub status_list_entries: usize,
    /// URI and version of the grading policy; absent: `<public URL>/policy/binding/1`.
    pub binding_policy: Option<String>,
}

/// How credentials name the signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Certificate chain in the header; `iss` is the public URL.
    #[default]
    X5c,
    /// `did:web` of the public URL.
    DidWeb,
    /// `did:webvh` of the public URL: `did:web` with a history that cannot be rewritten.
    DidWebvh,
    /// `did:jwk`.
    DidJwk,
    /// `did:key`.
    DidKey,
    /// `/.well-known/jwt-vc-issuer`; `iss` is the public URL.
    WellKnown,
}

/// Lifetimes in seconds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Lifetimes {
    /// Of an offer that does not say otherwise.
    pub offer: Option<i64>,
    /// Longest that an offer may ask for.
    pub offer_max: Option<i64>,
    /// Of an access token.
    pub token: Option<i64>,
    /// Of the right to refresh; 0, the default: none.
    pub refresh: Option<i64>,
    /// Of an access token that waits for the desk.
    pub deferred: Option<i64>,
    /// Seconds between requests for deferred credentials.
    pub deferred_interval: Option<i64>,
    /// Of a sign-in.
    pub login: Option<i64>,
    /// Of an authorization code.
    pub code: Option<i64>,
    /// Of a nonce.
    pub nonce: Option<i64>,
    /// Of a DPoP nonce, and of the oldest DPoP proof.
    pub dpop: Option<i64>,
    /// Of a key proof.
    pub proof: Option<i64>,
    /// Of a credential.
    pub credential: Option<i64>,
    /// Of records of credentials after their end.
    pub record: Option<i64>,
    /// Of audit records of enrolments.
    pub audit: Option<i64>,
    /// `ttl` of status lists: the longest time a verifier may use a copy.
    pub status_ttl: Option<i64>,
    /// `exp - iat` of status lists.
    pub status: Option<i64>,
}

/// A FIDO Metadata Service BLOB that the operator downloaded, and the roots it is verified by.
#[derive(Debug, Clone, Deserialize)]
pub struct FidoMetadata {
    /// The BLOB, a compact JWS, read at start. One older than the last that was used is refused.
    pub blob: PathBuf,
    /// Root certificates, PEM.
    pub roots: Vec<PathBuf>,
    /// DNS name that the signing certificate must carry: `mds.fidoalliance.org` for the public BLOB.
    pub signer_dns_name: Option<String>,
    /// Days after `nextUpdate` for which the BLOB may still be used.
    #[serde(default)]
    pub grace_days: u16,
}

/// How Android Key Attestation is judged. The apps stand with their wallet, in `wallets`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct AndroidAttestation {
    /// Root certificates, PEM; empty: the two that Google has published.
    pub roots: Vec<PathBuf>,
    /// The revocation status list as a file, which the operator renews; read anew every ten minutes.
    pub status_list: Option<PathBuf>,
    /// Or the address to fetch it from: `https://android.googleapis.com/attestation/status`.
    pub status_url: Option<Url>,
    /// Hours for which a list may be used after it was written or fetched.
    pub status_max_age_hours: u16,
    /// Oldest month of security patches, `YYYYMM`.
    pub min_patch_level: Option<u32>,
    /// Whether keys that take the PIN as well are taken, as `biometric_capable`.
    pub accept_pin: bool,
}

impl Default for AndroidAttestation {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            status_list: None,
            status_url: None,
            status_max_age_hours: 72,
            min_patch_level: None,
            accept_pin: false,
        }
    }
}

/// How App Attest is judged. The App IDs stand with their wallet, in `wallets`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AppleAttestation {
    /// Root certificates, PEM; empty: the one that Apple has published.
    pub roots: Vec<PathBuf>,
    /// Whether keys of Apple's development environment are taken. Not in production.
    pub allow_development: bool,
}

impl Default for Config {
    fn default() -> Self {
        let server = ServerConfig { listen: ([127, 0, 0, 1], 8801).into(), ..ServerConfig::default() };
        Self {
            server,
            log: LogConfig::default(),
            limit: LimitConfig::default(),
            data_dir: PathBuf::from("data/issuer"),
            issuer: IssuerConfig::default(),
            lifetimes: Lifetimes::default(),
            wallets: Vec::new(),
            wallet_providers: Vec::new(),
            key_attestations: BTreeMap::new(),
            clients: Vec::new(),
            provider: None,
            authorization_servers: Vec::new(),
            patients: None,
            required_levels: BTreeMap::new(),
            fido_metadata: None,
            android_attestation: None,
            apple_attestation: None,
            fetch: FetchConfig::default(),
            vc_api: VcApiConfig::default(),
        }
    }
}

impl Default for IssuerConfig {
    fn default() -> Self {
        let usual = Settings::new("", "CareKey hospital");
        Self {
            name: usual.name,
            locale: usual.locale,
            wallet_offer_link: usual.wallet_offer_link,
            key: KeyKind::default(),
            known_wallets_only: usual.known_wallets_only,
            tx_code_attempts: usual.tx_code_attempts,
            dpop_required: usual.dpop_required,
            wallet_attestation: usual.wallet_attestation,
            attestation_challenge: usual.attestation_challenge,
            request_encryption: usual.request_encryption,
            response_encryption: usual.response_encryption,
            batch_size: usual.batch_size,
            status_list_entries: usual.status_list_entries,
            binding_policy: None,
        }
    }
}

impl Config {
    /// The rules of core, for the credential issuer identifier `identifier`; without the wallet providers, which
    /// lie in files.
    pub fn settings(&self, identifier: &str) -> Settings {
        let mut settings = Settings::new(identifier, &self.issuer.name);
        settings.locale.clone_from(&self.issuer.locale);
        settings.wallet_offer_link.clone_from(&self.issuer.wallet_offer_link);
        settings.known_wallets_only = self.issuer.known_wallets_only;
        settings.tx_code_attempts = self.issuer.tx_code_attempts;
        settings.dpop_required = self.issuer.dpop_required;
        settings.wallet_attestation = self.issuer.wallet_attestation;
        settings.attestation_challenge = self.issuer.attestation_challenge;
        settings.request_encryption = self.issuer.request_encryption;
        settings.response_encryption = self.issuer.response_encryption;
        settings.key_attestations.clone_from(&self.key_attestations);
        settings.batch_size = self.issuer.batch_size;
        settings.status_list_entries = self.issuer.status_list_entries;
        settings.wallets.clone_from(&self.wallets);
        settings.clients.clone_from(&self.clients);
        settings.authorization_servers =
            self.authorization_servers.iter().map(ExternalServerConfig::settings).collect();
        settings.required_levels.clone_from(&self.required_levels);
        if let Some(android) = &self.android_attestation {
            settings.grading.android =
                AndroidPolicy { min_patch_level: android.min_patch_level, accept_pin: android.accept_pin };
        }
        if let Some(apple) = &self.apple_attestation {
            settings.grading.apple = ApplePolicy { allow_development: apple.allow_development };
        }
        if let Some(policy) = &self.issuer.binding_policy {
            settings.binding_policy.clone_from(policy);
        }
        let lifetimes = &self.lifetimes;
        for (member, set) in [
            (&mut settings.offer_lifetime, lifetimes.offer),
            (&mut settings.offer_lifetime_max, lifetimes.offer_max),
            (&mut settings.token_lifetime, lifetimes.token),
            (&mut settings.nonce_lifetime, lifetimes.nonce),
            (&mut settings.refresh_lifetime, lifetimes.refresh),
            (&mut settings.deferred_lifetime, lifetimes.deferred),
            (&mut settings.deferred_interval, lifetimes.deferred_interval),
            (&mut settings.login_lifetime, lifetimes.login),
            (&mut settings.code_lifetime, lifetimes.code),
            (&mut settings.dpop_max_age, lifetimes.dpop),
            (&mut settings.proof_max_age, lifetimes.proof),
            (&mut settings.credential_lifetime, lifetimes.credential),
            (&mut settings.record_retention, lifetimes.record),
            (&mut settings.audit_retention, lifetimes.audit),
            (&mut settings.status_ttl, lifetimes.status_ttl),
            (&mut settings.status_lifetime, lifetimes.status),
        ] {
            *member = set.unwrap_or(*member);
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use carekey_service::config;

    use super::*;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");

    fn load(variables: &[(&str, &str)]) -> Result<Config, config::ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config::load_from(Some(Path::new(EXAMPLE)), "CAREKEY_ISSUER", variables)
    }

    #[test]
    fn the_example_is_valid_and_says_what_it_means() {
        let config = load(&[]).unwrap();
        let settings = config.settings("https://id.hospital.example");
        settings.check().unwrap();
        assert_eq!(settings.name, "St. Example Hospital");
        assert_eq!(settings.required_levels["patient_identity"], AssuranceLevel::Uv);
        assert_eq!(settings.wallet("wallet.example").unwrap().rp_id, "present.wallet.example");
        assert_eq!((settings.credential_lifetime, settings.status_ttl), (7_776_000, 300));
        assert_eq!(settings.record_retention, Settings::new("https://x.example", "").record_retention);
        Config::default().settings("https://id.hospital.example").check().unwrap();
    }

    #[test]
    fn the_environment_overrides_and_mistakes_are_named() {
        let config = load(&[
            ("CAREKEY_ISSUER__ISSUER__KEY", "did_web"),
            ("CAREKEY_ISSUER__LIFETIMES__STATUS_TTL", "5"),
        ]);
        let config = config.unwrap();
        assert_eq!((config.issuer.key, config.lifetimes.status_ttl), (KeyKind::DidWeb, Some(5)));
        for (variable, key) in [
            ("CAREKEY_ISSUER__ISSUER__NAMES", "issuer.names"),
            ("CAREKEY_ISSUER__ISSUER__KEY", "issuer.key"),
            ("CAREKEY_ISSUER__LIFETIMES__OFFER", "lifetimes.offer"),
        ] {
            let error = load(&[(variable, "nonsense")]).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
