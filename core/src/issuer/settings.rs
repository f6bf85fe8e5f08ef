//! What the operator of an issuer decides.

use std::collections::BTreeMap;

use url::Url;

use super::authorization::Client;
use super::client_attestation::Demand;
use super::configuration::Configuration;
use super::enrolment::Wallet;
use super::external::AuthorizationServer;
use crate::attestation::GradingPolicy;
use crate::attestation::key_attestation::KeyAttestationsRequired;
use crate::attestation::level::AssuranceLevel;
use crate::error::{Error, Result};
use crate::health::DatasetKind;
use crate::protocol::openid4vci::credential::MAX_PROOFS;
use crate::protocol::openid4vci::metadata::issuer_url;

/// Longest lifetime of an access token that is not bound to a key, in seconds (OpenID4VCI 1.0 section 13.9).
pub const MAX_BEARER_LIFETIME: i64 = 300;

/// Rules and names of one issuer. Durations are in seconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Credential issuer identifier: the public URL, without a trailing slash.
    pub identifier: String,
    /// Name for people, with its language.
    pub name: String,
    /// BCP 47 tag of the names.
    pub locale: String,
    /// Base of offer links: `openid-credential-offer://` or a wallet's URL.
    pub wallet_offer_link: String,
    /// Lifetime of an offer that does not say otherwise.
    pub offer_lifetime: i64,
    /// Longest lifetime an offer may ask for.
    pub offer_lifetime_max: i64,
    /// Wrong transaction codes after which the offer is locked.
    pub tx_code_attempts: u32,
    /// Lifetime of an access token that is bound to a key; a bearer token lives [`MAX_BEARER_LIFETIME`] at most.
    pub token_lifetime: i64,
    /// Lifetime of the right to refresh, from the first token on; 0: nothing is refreshed, and claims are forgotten once
    /// they are issued. Only clients with DPoP get refresh tokens.
    pub refresh_lifetime: i64,
    /// Lifetime of an access token (bound to a key) that waits for the desk's approval.
    pub deferred_lifetime: i64,
    /// Seconds that a wallet should wait before it asks again for deferred credentials.
    pub deferred_interval: i64,
    /// Clients that may use the authorization code flow.
    pub clients: Vec<Client>,
    /// Authorization servers beside the issuer itself whose access tokens (RFC 9068) count.
    pub authorization_servers: Vec<AuthorizationServer>,
    /// Lifetime of a pushed authorization request.
    pub pushed_lifetime: i64,
    /// Time for signing in.
    pub login_lifetime: i64,
    /// Lifetime of an authorization code.
    pub code_lifetime: i64,
    /// Whether access tokens are given only to clients that prove a key by DPoP.
    pub dpop_required: bool,
    /// Whether wallets authenticate themselves by attestations of their providers, where they ask for authorization and
    /// for tokens.
    pub wallet_attestation: Demand,
    /// Whether the proofs beside them hold a challenge of this server. Without one, a proof rests on its time, and counts
    /// once all the same.
    pub attestation_challenge: Demand,
    /// Whether credential requests come encrypted.
    pub request_encryption: Demand,
    /// Whether credential responses are encrypted; only encrypted requests can ask for it.
    pub response_encryption: Demand,
    /// Lifetime of DPoP nonces and of challenges for wallet attestations, and oldest proof of either kind.
    pub dpop_max_age: i64,
    /// Lifetime of a nonce: the person's time for the authenticator's prompt is in it.
    pub nonce_lifetime: i64,
    /// Oldest key proof.
    pub proof_max_age: i64,
    /// How far ahead a wallet's clock may be.
    pub skew: i64,
    /// Most credentials of one request, each for a key of its own; 1 turns batches off.
    pub batch_size: u32,
    /// Lifetime of a credential.
    pub credential_lifetime: i64,
    /// How long records of credentials stay after the credentials' end.
    pub record_retention: i64,
    /// How long the audit record of an enrolment, with the raw attestation, stays.
    pub audit_retention: i64,
    /// Entries of one status list; a multiple of 4.
    pub status_list_entries: usize,
    /// `ttl` of status list tokens: the longest time a verifier may use a copy.
    pub status_ttl: i64,
    /// `exp - iat` of status list tokens.
    pub status_lifetime: i64,
    /// Wallets whose WebAuthn registrations are taken.
    pub wallets: Vec<Wallet>,
    /// Whether other clients get nothing at all.
    pub known_wallets_only: bool,
    /// Lowest level per configuration, or per kind for all its formats; what is not here asks for no second key.
    pub required_levels: BTreeMap<String, AssuranceLevel>,
    /// What must be attested about holder keys, per configuration, or per kind for all its formats; what is not here takes
    /// keys without attestations.
    pub key_attestations: BTreeMap<String, KeyAttestationsRequired>,
    /// URI and version of the policy by which enrolments are graded; goes into the credential.
    pub binding_policy: String,
    /// How attestations are graded.
    pub grading: GradingPolicy,
}

impl Settings {
    /// Settings for `identifier` with the usual lifetimes: offers an hour, tokens 10 minutes, nonces 10 minutes,
    /// credentials 90 days, audit records 400 days, status copies 5 minutes.
    pub fn new(identifier: &str, name: &str) -> Self {
        Self {
            identifier: identifier.to_owned(),
            name: name.to_owned(),
            locale: "en".into(),
            wallet_offer_link: "openid-credential-offer://".into(),
            offer_lifetime: 3600,
            offer_lifetime_max: 7 * 86_400,
            tx_code_attempts: 5,
            token_lifetime: 600,
            refresh_lifetime: 0,
            deferred_lifetime: 7 * 86_400,
            deferred_interval: 5,
            clients: Vec::new(),
            authorization_servers: Vec::new(),
            pushed_lifetime: 90,
            login_lifetime: 600,
            code_lifetime: 60,
            dpop_required: false,
            wallet_attestation: Demand::Off,
            attestation_challenge: Demand::Accepted,
            request_encryption: Demand::Off,
            response_encryption: Demand::Off,
            dpop_max_age: 300,
            nonce_lifetime: 600,
            proof_max_age: 300,
            skew: 60,
            batch_size: 10,
            credential_lifetime: 90 * 86_400,
            record_retention: 30 * 86_400,
            audit_retention: 400 * 86_400,
            status_list_entries: 131_072,
            status_ttl: 300,
            status_lifetime: 86_400,
            wallets: Vec::new(),
            known_wallets_only: false,
            required_levels: BTreeMap::new(),
            key_attestations: BTreeMap::new(),
            binding_policy: format!("{identifier}/policy/binding/1"),
            grading: GradingPolicy::default(),
        }
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// `issuer_settings` names the member; `issuer_url` when the identifier is no plain URL.
    pub fn check(&self) -> Result<()> {
        let bad = |detail: String| Err(Error::misuse("issuer_settings", detail));
        issuer_url(&self.identifier)?;
        if self.identifier.ends_with('/') {
            return bad("identifier must not end with a slash".into());
        }
        let positive = [
            ("offer_lifetime", self.offer_lifetime),
            ("offer_lifetime_max", self.offer_lifetime_max),
            ("token_lifetime", self.token_lifetime),
            ("nonce_lifetime", self.nonce_lifetime),
            ("dpop_max_age", self.dpop_max_age),
            ("deferred_lifetime", self.deferred_lifetime),
            ("deferred_interval", self.deferred_interval),
            ("pushed_lifetime", self.pushed_lifetime),
            ("login_lifetime", self.login_lifetime),
            ("code_lifetime", self.code_lifetime),
            ("proof_max_age", self.proof_max_age),
            ("credential_lifetime", self.credential_lifetime),
            ("audit_retention", self.audit_retention),
            ("status_ttl", self.status_ttl),
            ("status_lifetime", self.status_lifetime),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, seconds)| *seconds <= 0) {
            return bad(format!("{name} must be positive"));
        }
        if self.skew < 0 || self.record_retention < 0 || self.tx_code_attempts == 0 {
            return bad("skew, record_retention or tx_code_attempts is out of range".into());
        }
        if self.refresh_lifetime < 0 {
            return bad("refresh_lifetime must not be negative".into());
        }
        for (i, client) in self.clients.iter().enumerate() {
            let twice = self.clients.iter().take(i).any(|earlier| earlier.client_id == client.client_id);
            let redirects = client.redirect_uris.iter().all(|uri| redirect_uri(uri));
            if client.client_id.is_empty() || twice || client.redirect_uris.is_empty() || !redirects {
                return bad(format!(
                    "client {} is there twice or has no good redirect URI",
                    client.client_id
                ));
            }
        }
        if self.response_encryption != Demand::Off && self.request_encryption == Demand::Off {
            return bad("response_encryption needs request_encryption".into());
        }
        for (i, server) in self.authorization_servers.iter().enumerate() {
            issuer_url(&server.issuer)?;
            let twice = self.authorization_servers.iter().take(i).any(|one| one.issuer == server.issuer);
            if twice || server.issuer == self.identifier || server.subject_claim.is_empty() {
                let detail = "is there twice, is the issuer itself, or has no subject_claim";
                return bad(format!("authorization server {} {detail}", server.issuer));
            }
        }
        if self.batch_size == 0 || usize::try_from(self.batch_size).is_ok_and(|size| size > MAX_PROOFS) {
            return bad(format!("batch_size must be 1 to {MAX_PROOFS}"));
        }
        if self.status_ttl > self.status_lifetime {
            return bad("status_ttl must not be longer than status_lifetime".into());
        }
        if self.status_list_entries == 0 || !self.status_list_entries.is_multiple_of(4) {
            return bad("status_list_entries must be a positive multiple of 4".into());
        }
        if let Some(unknown) = self.required_levels.keys().find(|id| Configuration::parse(id).is_err()) {
            return bad(format!("required_levels names the unknown configuration {unknown}"));
        }
        if let Some(unknown) = self.key_attestations.keys().find(|id| Configuration::parse(id).is_err()) {
            return bad(format!("key_attestations names the unknown configuration {unknown}"));
        }
        for (i, wallet) in self.wallets.iter().enumerate() {
            wallet.check()?;
            if self.wallets.iter().take(i).any(|earlier| earlier.client_id == wallet.client_id) {
                return bad(format!("wallet {} is there twice", wallet.client_id));
            }
        }
        Ok(())
    }

    /// The wallet known as `client_id`.
    pub fn wallet(&self, client_id: &str) -> Option<&Wallet> {
        self.wallets.iter().find(|wallet| wallet.client_id == client_id)
    }

    /// The URL of `path` (beginning with `/`) at this issuer.
    ///
    /// # Errors
    /// `issuer_settings` when it is no URL.
    pub fn url(&self, path: &str) -> Result<Url> {
        Url::parse(&format!("{}{path}", self.identifier))
            .map_err(|_| Error::misuse("issuer_settings", "the identifier and a path make no URL"))
    }

    /// The `vct` of a kind of credential: `<identifier>/vct/patient-identity`.
    pub fn vct(&self, kind: DatasetKind) -> String {
        format!("{}/vct/{}", self.identifier, kind.as_str().replace('_', "-"))
    }
}

/// An absolute URL without fragment (RFC 6749 section 3.1.2) of any scheme but those that run something.
fn redirect_uri(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        url.fragment().is_none()
            && !matches!(url.scheme(), "javascript" | "data" | "vbscript" | "file" | "blob")
    })
}
