//! Who the wallet is and whom it trusts.

use carekey_core::did::Did;
use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::AuthenticatorSource;
use carekey_core::trust::{IssuerRule, IssuerTrust, VerifierTrust};
use carekey_core::x509::TrustAnchor;
use carekey_core::{Error, Result};

/// Where the WebAuthn keys of new credentials live.
#[uniffi::remote(Enum)]
pub enum AuthenticatorSource {
    /// In the device's key store, behind the authenticator embedded in this library.
    Embedded,
    /// In the platform's passkeys or a security key.
    Passkey,
}

/// Who the wallet is, whom it trusts, and how it behaves.
#[derive(Debug, Clone, uniffi::Record)]
pub struct WalletConfig {
    /// OAuth client identifier under which issuers know this wallet app.
    pub client_id: String,
    /// RP ID of the wallet's WebAuthn keys: a domain of the app's maker with no other use.
    pub rp_id: String,
    /// The wallet's name, for the prompts of passkeys.
    pub name: String,
    /// The origin that the embedded authenticator states: `https://…`, or `android:apk-key-hash:…`.
    pub origin: String,
    /// The person's language, a BCP 47 tag.
    pub locale: String,
    /// Which issuers the wallet knows; others are collected from too, and marked as unknown.
    #[uniffi(default = [])]
    pub issuers: Vec<TrustedIssuers>,
    /// Which verifiers the wallet knows.
    pub verifiers: TrustedVerifiers,
    /// Where WebAuthn keys of new credentials live.
    pub authenticator: AuthenticatorSource,
    /// Whether a separate security chip is preferred for new keys.
    #[uniffi(default = true)]
    pub prefer_strongbox: bool,
    /// Copies of each credential that are collected at once where the issuer gives several: each is shown to one verifier
    /// only, so that two cannot tell that it was the same person. 1: one copy, shown to all.
    #[uniffi(default = 1)]
    pub copies: u32,
    /// Seconds without use after which the wallet locks itself.
    #[uniffi(default = 300)]
    pub lock_after_secs: i64,
}

/// Issuers that a rule vouches for.
#[derive(Debug, Clone, uniffi::Record)]
pub struct TrustedIssuers {
    /// For which credential types; empty means all.
    #[uniffi(default = [])]
    pub kinds: Vec<String>,
    /// Certificates of authorities, each in DER.
    #[uniffi(default = [])]
    pub anchors: Vec<Vec<u8>>,
    /// DIDs.
    #[uniffi(default = [])]
    pub dids: Vec<String>,
    /// `https` issuers whose keys come from their own metadata.
    #[uniffi(default = [])]
    pub https_issuers: Vec<String>,
    /// Hosts, beside the issuer's own, from which status lists may be fetched.
    #[uniffi(default = [])]
    pub status_hosts: Vec<String>,
}

/// Verifiers that the wallet knows.
#[derive(Debug, Clone, uniffi::Record)]
pub struct TrustedVerifiers {
    /// Certificates of authorities, each in DER.
    #[uniffi(default = [])]
    pub anchors: Vec<Vec<u8>>,
    /// DIDs.
    #[uniffi(default = [])]
    pub dids: Vec<String>,
    /// Whether requests of other DIDs are taken; they are shown as unknown.
    #[uniffi(default = false)]
    pub unknown_dids: bool,
    /// Whether unsigned requests are taken; their verifier is shown as not authenticated.
    #[uniffi(default = false)]
    pub unsigned: bool,
}

impl TryFrom<WalletConfig> for core::WalletConfig {
    type Error = Error;

    fn try_from(config: WalletConfig) -> Result<Self> {
        let issuers = config.issuers.into_iter().map(IssuerRule::try_from).collect::<Result<_>>()?;
        Ok(Self {
            client_id: config.client_id,
            rp_id: config.rp_id,
            name: config.name,
            origin: config.origin,
            locale: config.locale,
            authenticator: config.authenticator,
            prefer_strongbox: config.prefer_strongbox,
            copies: config.copies,
            lock_after_secs: config.lock_after_secs,
            issuers: IssuerTrust::new(issuers),
            verifiers: config.verifiers.try_into()?,
        })
    }
}

impl TryFrom<TrustedIssuers> for IssuerRule {
    type Error = Error;

    fn try_from(rule: TrustedIssuers) -> Result<Self> {
        Ok(Self {
            vcts: rule.kinds,
            anchors: anchors(&rule.anchors)?,
            dids: dids(&rule.dids)?,
            https_issuers: rule.https_issuers,
            status_hosts: rule.status_hosts,
            ..Self::default()
        })
    }
}

impl TryFrom<TrustedVerifiers> for VerifierTrust {
    type Error = Error;

    fn try_from(rule: TrustedVerifiers) -> Result<Self> {
        let mut trust = Self::new(anchors(&rule.anchors)?, dids(&rule.dids)?);
        if rule.unknown_dids {
            trust = trust.with_unknown_dids();
        }
        if rule.unsigned {
            trust = trust.with_unsigned();
        }
        Ok(trust)
    }
}

fn anchors(der: &[Vec<u8>]) -> Result<Vec<TrustAnchor>> {
    der.iter().map(|der| TrustAnchor::from_der(der)).collect()
}

fn dids(texts: &[String]) -> Result<Vec<Did>> {
    texts.iter().map(|text| Did::parse(text)).collect()
}
