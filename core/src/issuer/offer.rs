//! Making offers (OpenID4VCI 1.0 section 4): the desk's half of the pre-authorized code flow.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::{CODES, CodeRecord, DATASETS, DatasetRecord, OFFERS, OfferRecord, SUBJECTS, SignInCode};
use super::{Issuer, fresh, hashed};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::health::CredentialDataset;
use crate::protocol::openid4vci::offer::{
    AuthorizationCodeGrant, CredentialOffer, Grants, InputMode, PreAuthorizedCodeGrant, TxCode,
};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::{Expect, Write, read_json, scan_json};

/// Digits of a transaction code.
const TX_CODE_DIGITS: u32 = 6;
/// Longest identifier of a person, in bytes.
const MAX_SUBJECT: usize = 255;
/// Longest desk reference, in characters.
const MAX_REFERENCE: usize = 128;

/// By which flow an offer can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferFlow {
    /// With the code in the link, and the transaction code if there is one.
    #[default]
    PreAuthorized,
    /// By signing in: as the person that the offer is for, or with the code of the desk.
    AuthorizationCode,
}

/// What the desk says about issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Not decided.
    Pending,
    /// Yes.
    Approved,
    /// No.
    Denied,
}

/// What the desk asks for.
#[derive(Clone, Default)]
pub struct NewOffer {
    /// Kinds of credentials: not empty, no repetition.
    pub configuration_ids: Vec<String>,
    /// A FHIR R4 resource or Bundle from which every kind can be made.
    pub fhir: Value,
    /// Whether the person must enter a code from the desk: a transaction code in the wallet, or on the sign-in page.
    pub tx_code: bool,
    /// By which flow it can be taken.
    pub flow: OfferFlow,
    /// Who it is for, as the hospital's OpenID Connect provider calls them (authorization code flow only).
    pub subject: Option<String>,
    /// The authorization server for signing in; absent: the issuer itself where it has clients, otherwise the first of
    /// the others (authorization code flow only).
    pub authorization_server: Option<String>,
    /// Whether the desk wants to approve once more when the wallet asks for the credentials (deferred issuance).
    pub approval: bool,
    /// Whether the link refers to the offer instead of carrying it.
    pub by_reference: bool,
    /// Lifetime in seconds; the issuer's default when absent.
    pub expires_in: Option<i64>,
    /// The desk's own reference (a case number, no claim), kept with the credentials.
    pub reference: Option<String>,
    /// An earlier offer that this one replaces, for a person who lost their phone or its keys: each credential that is
    /// issued revokes, in the same commit, what the earlier offer gave of the same kind.
    pub replaces: Option<String>,
}

impl fmt::Debug for NewOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewOffer").field("configuration_ids", &self.configuration_ids).finish_non_exhaustive()
    }
}

/// What will be issued, for the person at the desk.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Kind of credential.
    pub configuration_id: String,
    /// Its claims, for people and for the credential.
    pub dataset: CredentialDataset,
}

/// A fresh offer. `Debug` hides codes.
#[derive(Clone)]
pub struct CreatedOffer {
    /// Identifier, random.
    pub id: String,
    /// The whole link for the wallet.
    pub link: String,
    /// The offer object.
    pub offer: CredentialOffer,
    /// The transaction code, shown once: it is not kept in clear.
    pub tx_code: Option<Secret<String>>,
    /// End of the offer.
    pub expires_at: UnixTime,
    /// What will be issued.
    pub previews: Vec<Preview>,
}

impl fmt::Debug for CreatedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedOffer")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Where an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// Waits for a wallet.
    Open,
    /// A wallet has used the code.
    Redeemed,
    /// Everything offered was issued.
    Issued,
    /// Too many wrong transaction codes.
    Locked,
    /// Its time is over and not everything was issued.
    Expired,
}

/// An offer as the desk sees it afterwards: no claims, no codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfferSummary {
    /// Identifier.
    pub id: String,
    /// Where it stands.
    pub state: OfferState,
    /// Kinds of credentials.
    pub configuration_ids: Vec<String>,
    /// The desk's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was made.
    pub created_at: UnixTime,
    /// Its end.
    pub expires_at: UnixTime,
    /// Ids of the credentials that came of it.
    pub credentials: Vec<String>,
    /// The earlier offer that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What the desk says about issuing, where it wants to be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Whether a wallet waits for the desk's decision now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
}

impl OfferRecord {
    fn summary(self, now: UnixTime) -> OfferSummary {
        let waiting = matches!(self.state, OfferState::Open | OfferState::Redeemed);
        let state = if waiting && now >= self.expires_at { OfferState::Expired } else { self.state };
        OfferSummary {
            id: self.id,
            state,
            configuration_ids: self.configuration_ids,
            reference: self.reference,
            created_at: self.created_at,
            expires_at: self.expires_at,
            credentials: self.credentials,
            replaces: self.replaces,
            waiting: self.waiting && self.approval == Some(Approval::Pending),
            approval: self.approval,
        }
    }
}

impl Issuer {
    /// The datasets that `fhir` gives for `configuration_ids`: what [`Self::create_offer`] would offer.
    ///
    /// # Errors
    /// `offer_configurations` (empty or repeated), `dataset_unknown`, and the codes of [`crate::health::DatasetKind::extract`].
    pub fn preview(&self, configuration_ids: &[String], fhir: &Value) -> Result<Vec<Preview>> {
        let repeated = configuration_ids
            .iter()
            .enumerate()
            .any(|(i, id)| configuration_ids.iter().take(i).any(|x| x == id));
        if configuration_ids.is_empty() || repeated {
            return Err(Error::malformed("offer_configurations", "no kind of credential, or one twice"));
        }
        let one = |id: &String| {
            let dataset = self.offered(id)?.kind.extract(fhir, self.now())?;
            Ok(Preview { configuration_id: id.clone(), dataset })
        };
        configuration_ids.iter().map(one).collect()
    }

    /// Makes an offer and keeps its datasets until they are issued or the offer ends.
    ///
    /// # Errors
    /// Those of [`Self::preview`]; `offer_lifetime`, `offer_reference`, `offer_replaces`, `offer_sign_in`,
    /// `offer_authorization_server`; when the store fails.
    pub async fn create_offer(&self, new: &NewOffer) -> Result<CreatedOffer> {
        let previews = self.preview(&new.configuration_ids, &new.fhir)?;
        let lifetime = new.expires_in.unwrap_or(self.settings.offer_lifetime);
        if lifetime <= 0 || lifetime > self.settings.offer_lifetime_max {
            return Err(Error::malformed("offer_lifetime", "expires_in is not positive or too long"));
        }
        if new.reference.as_ref().is_some_and(|text| text.chars().count() > MAX_REFERENCE || text.is_empty())
        {
            return Err(Error::malformed("offer_reference", "the reference is empty or too long"));
        }
        if let Some(earlier) = &new.replaces {
            let known = read_json::<OfferRecord>(self.store(), OFFERS, bounded_key(earlier)).await?;
            known.ok_or_else(|| {
                Error::malformed("offer_replaces", "there is no offer of that id to replace")
            })?;
        }
        check_sign_in(new)?;
        let server = self.server_of(new)?;
        let now = self.now();
        let expires_at = now.plus(lifetime);
        let (id, code) = (fresh(&*self.random), fresh(&*self.random));
        let tx_code = new.tx_code.then(|| digits(&*self.random));
        let offer = self.offer(new, server, &id, code.clone());
        let by_code = new.flow == OfferFlow::AuthorizationCode;
        let tx_mac = tx_code.as_ref().map(|tx| self.tx_code_mac(&id, tx.expose()));
        let link = if new.by_reference {
            let uri = self.settings.url(&format!("/oid4vci/offers/{id}"))?;
            CredentialOffer::link_by_reference(&self.settings.wallet_offer_link, &uri)?
        } else {
            offer.link_by_value(&self.settings.wallet_offer_link)?
        };

        let record = OfferRecord {
            id: id.clone(),
            state: OfferState::Open,
            configuration_ids: new.configuration_ids.clone(),
            reference: new.reference.clone(),
            created_at: now,
            expires_at,
            offer: new.by_reference.then(|| offer.clone()),
            credentials: Vec::new(),
            replaces: new.replaces.clone(),
            code_flow: by_code,
            subject: new.subject.clone(),
            sign_in: tx_mac.filter(|_| by_code).map(|code| SignInCode { code, wrong_attempts: 0 }),
            approval: new.approval.then_some(Approval::Pending),
            waiting: false,
        };
        // The desk can look at an offer for as long as at the credentials that came of it.
        let forget = expires_at.plus(self.settings.record_retention);
        let mut writes = vec![Write::put_json(OFFERS, id.as_bytes(), Expect::Absent, &record, Some(forget))?];
        if !by_code {
            let record = CodeRecord {
                offer_id: id.clone(),
                configuration_ids: new.configuration_ids.clone(),
                tx_code: tx_mac,
                wrong_attempts: 0,
            };
            writes.push(Write::put_json(CODES, hashed(&code), Expect::Absent, &record, Some(expires_at))?);
        }
        if let Some(subject) = &new.subject {
            writes.push(Write::put_json(SUBJECTS, hashed(subject), Expect::Any, &id, Some(expires_at))?);
        }
        // The last token can be had at the last second of the offer.
        let dataset_end = Some(expires_at.plus(self.settings.token_lifetime));
        for preview in &previews {
            let dataset = DatasetRecord { claims: preview.dataset.claims.clone() };
            let key = dataset_key(&id, &preview.configuration_id);
            writes.push(Write::put_json(DATASETS, key, Expect::Absent, &dataset, dataset_end)?);
        }
        self.store.commit(writes).await?;
        Ok(CreatedOffer { id, link, offer, tx_code, expires_at, previews })
    }

    /// Keeps what the hospital's records say about a person who signed in, as if the desk had prepared it: the id of the
    /// offer, which nobody sees.
    pub(super) async fn prepare_for(&self, subject: &str, ids: &[String], fhir: &Value) -> Result<String> {
        let new = NewOffer {
            configuration_ids: ids.to_vec(),
            fhir: fhir.clone(),
            flow: OfferFlow::AuthorizationCode,
            subject: Some(subject.to_owned()),
            ..NewOffer::default()
        };
        Ok(self.create_offer(&new).await?.id)
    }

    /// The authorization server of an offer, named where there are several.
    fn server_of(&self, new: &NewOffer) -> Result<Option<String>> {
        let (own, others) = (&self.settings.identifier, &self.settings.authorization_servers);
        let bad = |detail: &'static str| Err(Error::malformed("offer_authorization_server", detail));
        let by_code = new.flow == OfferFlow::AuthorizationCode;
        let known = |server: &String| others.iter().any(|other| other.issuer == *server);
        let server = match (&new.authorization_server, others.first()) {
            (Some(server), _) if server != own && !(by_code && known(server)) => {
                return bad("another server is named, or one for an offer that needs no sign-in");
            }
            (Some(server), Some(_)) => server,
            (None, Some(first)) if by_code && self.settings.clients.is_empty() => &first.issuer,
            (None, Some(_)) => own,
            (_, None) => return Ok(None),
        };
        if server != own && new.tx_code {
            return bad("a code of the desk is entered on the issuer's own sign-in page");
        }
        Ok(Some(server.clone()))
    }

    fn offer(&self, new: &NewOffer, server: Option<String>, id: &str, code: String) -> CredentialOffer {
        let tx_code = new.tx_code.then(|| TxCode {
            input_mode: Some(InputMode::Numeric),
            length: Some(TX_CODE_DIGITS),
            description: Some(format!("{} gives you this code in person.", self.settings.name)),
        });
        CredentialOffer {
            credential_issuer: self.settings.identifier.clone(),
            credential_configuration_ids: new.configuration_ids.clone(),
            grants: match new.flow {
                OfferFlow::PreAuthorized => Grants {
                    pre_authorized_code: Some(PreAuthorizedCodeGrant {
                        pre_authorized_code: code,
                        tx_code,
                        authorization_server: server,
                    }),
                    ..Grants::default()
                },
                OfferFlow::AuthorizationCode => Grants {
                    authorization_code: Some(AuthorizationCodeGrant {
                        issuer_state: Some(id.to_owned()),
                        authorization_server: server,
                    }),
                    ..Grants::default()
                },
            },
        }
    }

    /// The offer object behind a link by reference; `None` when there is none, it was used, or its time is over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn offer_by_reference(&self, id: &str) -> Result<Option<CredentialOffer>> {
        let Some(stored) = read_json::<OfferRecord>(self.store(), OFFERS, bounded_key(id)).await? else {
            return Ok(None);
        };
        let open = stored.value.state == OfferState::Open && self.now() < stored.value.expires_at;
        Ok(stored.value.offer.filter(|_| open))
    }

    /// An offer as it stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn offer_summary(&self, id: &str) -> Result<Option<OfferSummary>> {
        let stored = read_json::<OfferRecord>(self.store(), OFFERS, bounded_key(id)).await?;
        Ok(stored.map(|stored| stored.value.summary(self.now())))
    }

    /// Up to `limit` offers after the one named `after`, in the order of their ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn offers(&self, after: Option<&str>, limit: usize) -> Result<Vec<OfferSummary>> {
        let page = scan_json::<OfferRecord>(self.store(), OFFERS, after.map(bounded_key), limit).await?;
        Ok(page.into_iter().map(|(_, stored)| stored.value.summary(self.now())).collect())
    }

    /// Keyed hash of a transaction code: six digits alone would be guessed from a plain hash.
    pub(super) fn tx_code_mac(&self, offer_id: &str, tx_code: &str) -> [u8; 32] {
        self.mac("carekey tx_code v1", format!("{offer_id}\n{tx_code}").as_bytes())
    }
}

/// Nobody may take an offer of the code flow by signing in as anybody.
fn check_sign_in(new: &NewOffer) -> Result<()> {
    let bad = |detail: &'static str| Err(Error::malformed("offer_sign_in", detail));
    if new.subject.as_ref().is_some_and(|subject| subject.is_empty() || subject.len() > MAX_SUBJECT) {
        return bad("the subject is empty or too long");
    }
    match (new.flow, &new.subject, new.tx_code) {
        (OfferFlow::PreAuthorized, None, _) => Ok(()),
        (OfferFlow::AuthorizationCode, None, true) | (OfferFlow::AuthorizationCode, Some(_), _) => Ok(()),
        (OfferFlow::PreAuthorized, Some(_), _) => bad("a subject signs in: the flow is authorization_code"),
        (OfferFlow::AuthorizationCode, None, false) => {
            bad("an offer of the code flow needs a subject or a code")
        }
    }
}

/// An id from outside as a store key: never empty and never too long, so that it is simply not found.
pub(super) fn bounded_key(id: &str) -> &[u8] {
    match id.as_bytes() {
        [] => b"-",
        long if long.len() > 256 => b"-",
        fits => fits,
    }
}

pub(super) fn dataset_key(offer_id: &str, configuration_id: &str) -> Vec<u8> {
    format!("{offer_id}/{configuration_id}").into_bytes()
}

/// Uniform decimal digits, by rejection.
fn digits(random: &dyn Random) -> Secret<String> {
    let modulus = 10_u32.pow(TX_CODE_DIGITS);
    let fair = u32::MAX - u32::MAX % modulus;
    loop {
        let value = u32::from_be_bytes(random.array());
        if value < fair {
            return Secret::new(format!("{:06}", value % modulus));
        }
    }
}
