//! An offer on the wallet's page: review, transaction code, one passkey, storing.

use carekey_core::encoding::base64url;
use carekey_core::error::{Error, Result};
use carekey_core::holder::issuance::{self, IssuanceContext, IssuancePolicy, OfferReview, PreparedIssuance};
use carekey_core::holder::{HolderKeys, StoredCredential, WalletIdentity};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::SignatureAlgorithm;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::notification::NotificationEvent;
use carekey_core::secret::Secret;
use carekey_core::webauthn::UserVerification;
use carekey_core::webauthn::registration::{self, RegistrationExpectation, RegistrationResponse};
use serde_json::{Value, json};

use super::activity::{Entry, What};
use super::keys::SoftwareKeys;
use super::records::Passkey;
use super::words::{self, visible};
use super::{CLIENT_ID, CREDENTIAL, RP_ID, Wallet};

/// An offer that is open on the page.
pub(super) enum Open {
    /// The person looks at it.
    Reviewed(Box<OfferReview>),
    /// The code was taken; the person is being asked for a passkey.
    Prepared(Box<Prepared>),
}

/// Everything that waits for the passkey.
pub(super) struct Prepared {
    issuance: PreparedIssuance,
    keys: SoftwareKeys,
    identity: WalletIdentity,
    prf_salt: String,
}

impl Prepared {
    /// The options for the page: the engine's, with the PRF input for the wallet's own records.
    fn options(&self) -> Result<Value> {
        let Some(options) = &self.issuance.creation_options else { return Ok(Value::Null) };
        let mut options = options.clone();
        options.extensions.insert("prf".into(), json!({ "eval": { "first": self.prf_salt } }));
        serde_json::to_value(options)
            .map_err(|_| Error::misuse("webauthn_options", "the options do not serialize"))
    }
}

impl Wallet {
    /// Who this wallet is; a new user handle per offer, so that no passkey overwrites another.
    fn identity(&self, account: &str) -> WalletIdentity {
        let handle: [u8; 32] = self.random.array();
        WalletIdentity {
            client_id: CLIENT_ID.to_owned(),
            rp_id: RP_ID.to_owned(),
            rp_name: "CareKey wallet (demo)".to_owned(),
            user_name: account.to_owned(),
            user_display_name: account.to_owned(),
            user_handle: base64url::encode(&handle),
        }
    }

    fn issuance_context<'a>(
        &'a self,
        keys: &'a dyn HolderKeys,
        wallet: &'a WalletIdentity,
    ) -> IssuanceContext<'a> {
        IssuanceContext {
            http: &*self.http,
            dids: &*self.dids,
            keys,
            trust: &self.issuers,
            wallet,
            locale: "en",
            clock: &*self.clock,
            random: &*self.random,
            policy: IssuancePolicy::default(),
        }
    }

    /// Opens an offer link.
    pub(super) async fn open_offer(&self, session: &str, link: &str) -> Result<Value> {
        let (keys, identity) = (self.keys(session), self.identity(""));
        let review = issuance::review(link, &self.issuance_context(&keys, &identity)).await?;
        let name = self.random.token(16);
        let view = json!({
            "kind": "offer",
            "session": name,
            "issuer": visible(&review.issuer_name),
            "issuer_url": visible(&review.credential_issuer),
            "tx_code": review.tx_code,
            "configurations": review.credentials.iter().map(|offered| json!({
                "id": offered.configuration_id,
                "format": offered.format,
                "format_text": words::format(offered.format),
                "name": visible(&offered.display.name),
                "description": offered.display.description.as_deref().map(visible),
                "binds_passkey": offered.binds_webauthn,
                "claims": words::offered_claims(&offered.display),
            })).collect::<Vec<_>>(),
        });
        self.offers.put(name, session, Open::Reviewed(Box::new(review)), self.clock.now());
        Ok(view)
    }

    /// Takes the transaction code; returns the options of the one passkey ceremony. Asked again, it returns the same
    /// options: the code is used, and the prompt may have been closed.
    pub(super) async fn prepare_offer(
        &self,
        session: &str,
        name: &str,
        tx_code: Option<String>,
    ) -> Result<Value> {
        let now = self.clock.now();
        let review = match self.offers.take(name, session, now)? {
            Open::Prepared(prepared) => {
                let options = prepared.options();
                self.offers.put(name.to_owned(), session, Open::Prepared(prepared), now);
                return Ok(json!({ "options": options? }));
            }
            Open::Reviewed(review) => review,
        };
        let keys = self.keys(session);
        let identity = self.identity(&visible(&review.issuer_name));
        let tx_code = tx_code.map(|code| code.trim().to_owned());
        let context = self.issuance_context(&keys, &identity);
        match issuance::prepare(&review, tx_code.as_deref(), &context).await {
            Ok(issuance) => {
                let salt: [u8; 32] = self.random.array();
                let prf_salt = base64url::encode(&salt);
                let prepared = Box::new(Prepared { issuance, keys, identity, prf_salt });
                let options = prepared.options()?;
                self.offers.put(name.to_owned(), session, Open::Prepared(prepared), now);
                Ok(json!({ "options": options }))
            }
            Err(error) => {
                self.offers.put(name.to_owned(), session, Open::Reviewed(review), now);
                Err(error)
            }
        }
    }

    /// Takes the new passkey, collects the credentials and stores them.
    pub(super) async fn finish_offer(
        &self,
        session: &str,
        name: &str,
        registration: Option<RegistrationResponse>,
        prf: Option<Secret<Vec<u8>>>,
        offers_prf: bool,
    ) -> Result<Value> {
        let now = self.clock.now();
        let prepared = match self.offers.take(name, session, now)? {
            Open::Prepared(prepared) => prepared,
            reviewed @ Open::Reviewed(_) => {
                self.offers.put(name.to_owned(), session, reviewed, now);
                return Err(Error::misuse("offer_not_prepared", "the transaction code comes first"));
            }
        };
        match self.collect(session, &prepared, registration.as_ref(), prf.as_ref(), offers_prf).await {
            Ok(credentials) => Ok(json!({
                "credentials": credentials.iter().map(words::credential).collect::<Vec<_>>(),
                "protection": self.records.protection(),
                "protection_text": words::protection(self.records.protection()),
            })),
            Err(error) => {
                self.offers.put(name.to_owned(), session, Open::Prepared(prepared), now);
                Err(error)
            }
        }
    }

    async fn collect(
        &self,
        session: &str,
        prepared: &Prepared,
        registration: Option<&RegistrationResponse>,
        prf: Option<&Secret<Vec<u8>>>,
        offers_prf: bool,
    ) -> Result<Vec<StoredCredential>> {
        // 1. The passkey opens the records, before anything that must be kept is asked for.
        if let (Some(options), Some(response)) = (&prepared.issuance.creation_options, registration) {
            let passkey = self.passkey(&options.challenge.0, response, &prepared.prf_salt)?;
            self.records.enrol(session, passkey, prf, offers_prf || prf.is_some()).await?;
        } else {
            self.records.enrol_without_passkey(session).await?;
        }
        prepared.keys.keep().await?;
        // 2. Collect, store, and only then tell the issuer that it is stored.
        let context = self.issuance_context(&prepared.keys, &prepared.identity);
        let finished = issuance::finish(&prepared.issuance, registration, &context).await?;
        for credential in &finished.credentials {
            self.records.put(session, CREDENTIAL, &credential.id, credential).await?;
        }
        let names: Vec<String> =
            finished.credentials.iter().map(|credential| visible(&credential.display.name)).collect();
        let entry = Entry {
            at: self.clock.now(),
            kind: What::Received,
            title: format!("{} received", names.join(" and ")),
            party: visible(&prepared.issuance.review.issuer_name),
            purpose: None,
            claims: Vec::new(),
        };
        self.note(session, &entry).await?;
        // the credentials are here, whatever becomes of the note to the issuer
        let _ = issuance::notify(&finished, NotificationEvent::CredentialAccepted, &context).await;
        Ok(finished.credentials)
    }

    /// The passkey that was just made, checked as the issuer will check it.
    fn passkey(&self, challenge: &[u8], response: &RegistrationResponse, prf_salt: &str) -> Result<Passkey> {
        let expected = RegistrationExpectation {
            challenge,
            origins: &[self.own.origin().to_owned()],
            rp_id: RP_ID,
            user_verification: UserVerification::Required,
            algorithms: &[SignatureAlgorithm::Es256],
        };
        let verified = registration::verify(response, &expected, &Limits::DEFAULT)?;
        Ok(Passkey {
            id: base64url::encode(&verified.credential_id),
            public_key: Jwk::from_key(&verified.public_key),
            backup_eligible: verified.backup_eligible,
            prf_salt: prf_salt.to_owned(),
            transports: response.response.transports.clone(),
        })
    }

    /// The person does not want the offer: nothing is sent, the offer ends by itself.
    pub(super) async fn decline_offer(&self, session: &str, name: &str) -> Result<()> {
        let party = match self.offers.take(name, session, self.clock.now())? {
            Open::Reviewed(review) => review.issuer_name,
            Open::Prepared(prepared) => prepared.issuance.review.issuer_name,
        };
        if self.records.protection() == super::records::Protection::Empty {
            return Ok(()); // there is no log yet
        }
        let entry = Entry {
            at: self.clock.now(),
            kind: What::Declined,
            title: "Offer declined".into(),
            party: visible(&party),
            purpose: None,
            claims: Vec::new(),
        };
        self.note(session, &entry).await
    }

    /// Removes a credential with its holder key.
    pub(super) async fn forget(&self, session: &str, credential: &StoredCredential) -> Result<()> {
        self.records.delete(session, CREDENTIAL, &credential.id).await?;
        self.keys(session).delete(&credential.hk_alias).await
    }
}
