//! Who the wallet is and whom it trusts.

use carekey_core::did::Did;
use carekey_core::holder::presentation::PresentationRules;
use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::AuthenticatorSource;
use carekey_core::protocol::openid4vp::transaction_types::{
    self, FieldKind, TransactionType, TransactionTypes,
};
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
    /// Whether the last copy is shown again where the issuer gives no fresh ones, rather than that the credential cannot
    /// be shown any more. The person is warned: those who see it can tell that it was the same person.
    #[uniffi(default = false)]
    pub reuse_last_copy: bool,
    /// Where issuers send the browser back to after a sign-in, as registered with them; without it, offers that want a
    /// sign-in cannot be accepted.
    #[uniffi(default = None)]
    pub redirect_uri: Option<String>,
    /// What the app can show in full when a verifier asks the person to approve it; requests with anything else are
    /// refused. The biometric step-up is always known.
    #[uniffi(default = [])]
    pub transaction_types: Vec<TransactionKind>,
    /// Seconds without use after which the wallet locks itself.
    #[uniffi(default = 300)]
    pub lock_after_secs: i64,
}

/// A kind of transaction that a verifier may ask the person to approve (OpenID4VP `transaction_data`).
#[derive(Debug, Clone, uniffi::Record)]
pub struct TransactionKind {
    /// The value of `type`: a URL or URN.
    pub name: String,
    /// What it is, in the person's language.
    pub title: String,
    /// Its members, in the order in which they are shown; any other is refused.
    pub fields: Vec<TransactionField>,
}

/// One member of a kind of transaction.
#[derive(Debug, Clone, uniffi::Record)]
pub struct TransactionField {
    /// The member's name.
    pub name: String,
    /// Its name in the person's language.
    pub label: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it may be absent.
    #[uniffi(default = false)]
    pub optional: bool,
}

/// What a member of a transaction holds.
#[uniffi::remote(Enum)]
pub enum FieldKind {
    /// 1 to 500 characters.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
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
    /// Certificates of registrars, each in DER: with any, the person is warned of a verifier that shows no registration
    /// or asks for more than it says.
    #[uniffi(default = [])]
    pub registrars: Vec<Vec<u8>>,
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
            reuse_last_copy: config.reuse_last_copy,
            redirect_uri: config.redirect_uri,
            rules: PresentationRules {
                transaction_types: TransactionTypes::new(
                    config.transaction_types.into_iter().map(TransactionType::from).collect(),
                )?,
                ..PresentationRules::default()
            },
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
        trust = trust.with_registrars(anchors(&rule.registrars)?);
        if rule.unknown_dids {
            trust = trust.with_unknown_dids();
        }
        if rule.unsigned {
            trust = trust.with_unsigned();
        }
        Ok(trust)
    }
}

impl From<TransactionKind> for TransactionType {
    fn from(kind: TransactionKind) -> Self {
        let fields = kind.fields.into_iter().map(|field| transaction_types::TransactionField {
            name: field.name,
            label: field.label,
            kind: field.kind,
            optional: field.optional,
        });
        Self { name: kind.name, title: kind.title, fields: fields.collect() }
    }
}

fn anchors(der: &[Vec<u8>]) -> Result<Vec<TrustAnchor>> {
    der.iter().map(|der| TrustAnchor::from_der(der)).collect()
}

fn dids(texts: &[String]) -> Result<Vec<Did>> {
    texts.iter().map(|text| Did::parse(text)).collect()
}
