//! The desk's pages as data: what the templates in `issuer/templates/` show.

use askama::Template;
use carekey_core::clock::UnixTime;
use carekey_core::format::w3c::issue::Security;
use carekey_core::health::{CredentialDataset, DatasetKind};
use carekey_core::issuer::{Configuration, CredentialStatus, CredentialSummary, OfferSummary};
use carekey_service::pages::{Frame, utc};
use serde_json::Value;

use super::people::Person;

#[derive(Template)]
#[template(path = "desk.html")]
pub(super) struct DeskPage {
    pub(super) frame: Frame,
    pub(super) csrf: String,
    pub(super) people: Vec<Person>,
    pub(super) pasted: String,
    pub(super) waiting: Vec<WaitingView>,
    pub(super) credentials: Vec<CredentialView>,
}

#[derive(Template)]
#[template(path = "preview.html")]
pub(super) struct PreviewPage {
    pub(super) frame: Frame,
    pub(super) csrf: String,
    pub(super) name: String,
    pub(super) patient: Option<String>,
    pub(super) fhir: String,
    pub(super) previews: Vec<PreviewView>,
    pub(super) absent: Vec<AbsentView>,
}

#[derive(Template)]
#[template(path = "offer.html")]
pub(super) struct OfferPage {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) link: String,
    pub(super) qr: Option<String>,
    pub(super) tx_code: Option<String>,
    pub(super) expires_at: String,
    pub(super) state: &'static str,
    pub(super) tone: &'static str,
    pub(super) titles: Vec<String>,
}

/// An offer whose wallet waits for a decision.
pub(super) struct WaitingView {
    pub(super) id: String,
    pub(super) titles: Vec<String>,
    pub(super) reference: String,
    pub(super) offered_at: String,
}

impl From<OfferSummary> for WaitingView {
    fn from(summary: OfferSummary) -> Self {
        Self {
            titles: summary.configuration_ids.iter().map(|id| title_of(id)).collect(),
            reference: summary.reference.unwrap_or_else(|| summary.id.chars().take(10).collect()),
            offered_at: utc(summary.created_at),
            id: summary.id,
        }
    }
}

/// One issued credential in the list.
pub(super) struct CredentialView {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) reference: String,
    pub(super) issued_at: String,
    pub(super) level: &'static str,
    pub(super) status: &'static str,
    pub(super) tone: &'static str,
    pub(super) can_suspend: bool,
    pub(super) can_reinstate: bool,
    pub(super) can_revoke: bool,
}

impl From<CredentialSummary> for CredentialView {
    fn from(summary: CredentialSummary) -> Self {
        let (status, tone) = match summary.status {
            CredentialStatus::Valid => ("valid", "good"),
            CredentialStatus::Suspended => ("suspended", "warn"),
            CredentialStatus::Revoked => ("revoked", "bad"),
        };
        Self {
            title: title_of(&summary.configuration_id),
            reference: summary.reference.unwrap_or_else(|| summary.id.chars().take(10).collect()),
            issued_at: utc(summary.issued_at),
            level: level_words(summary.level.as_deref()),
            status,
            tone,
            can_suspend: summary.status == CredentialStatus::Valid,
            can_reinstate: summary.status == CredentialStatus::Suspended,
            can_revoke: summary.status != CredentialStatus::Revoked,
            id: summary.id,
        }
    }
}

/// The claims that one kind of credential would hold.
pub(super) struct PreviewView {
    pub(super) configuration: &'static str,
    pub(super) title: &'static str,
    pub(super) explanation: &'static str,
    pub(super) claims: Vec<ClaimView>,
    pub(super) notes: Vec<String>,
}

/// One claim in words.
pub(super) struct ClaimView {
    pub(super) label: String,
    pub(super) values: Vec<String>,
}

/// A kind of credential that the record does not suffice for.
pub(super) struct AbsentView {
    pub(super) title: &'static str,
    pub(super) reason: String,
    pub(super) code: &'static str,
}

/// What could be issued from a record, and what could not and why.
pub(super) fn previews(record: &Value, now: UnixTime) -> (Vec<PreviewView>, Vec<AbsentView>) {
    let (mut views, mut absent) = (Vec::new(), Vec::new());
    for kind in DatasetKind::ALL {
        match kind.extract(record, now) {
            Ok(dataset) => views.push(preview(kind, &dataset)),
            Err(error) => absent.push(AbsentView {
                title: title(kind),
                reason: error.detail().to_owned(),
                code: error.code(),
            }),
        }
    }
    (views, absent)
}

fn preview(kind: DatasetKind, dataset: &CredentialDataset) -> PreviewView {
    let mut claims: Vec<ClaimView> = Vec::new();
    for line in &dataset.preview {
        match claims.last_mut().filter(|claim| claim.label == line.label) {
            Some(claim) => claim.values.push(line.value.clone()),
            None => claims.push(ClaimView { label: line.label.clone(), values: vec![line.value.clone()] }),
        }
    }
    let explanation = match kind {
        DatasetKind::PatientIdentity => "Who the patient is: for portals, check-in and other hospitals.",
        DatasetKind::InsuranceCoverage => "Who pays: for billing and admission.",
    };
    let notes = dataset.notes.iter().map(|note| format!("{}: {}", note.path, note.text)).collect();
    PreviewView { configuration: kind.as_str(), title: title(kind), explanation, claims, notes }
}

/// The name of a kind of credential for people.
pub(super) const fn title(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::PatientIdentity => "Patient identity",
        DatasetKind::InsuranceCoverage => "Insurance coverage",
    }
}

/// [`title`] and the format by configuration id; the default format goes without saying.
pub(super) fn title_of(configuration: &str) -> String {
    let Ok(known) = Configuration::parse(configuration) else { return "Credential".to_owned() };
    let format = match known.w3c {
        None => return title(known.kind).to_owned(),
        Some(Security::DataIntegrity) => "W3C, Data Integrity",
        Some(Security::Selective) => "W3C, selective disclosure",
        Some(Security::Jwt) => "W3C, JWT",
    };
    format!("{} ({format})", title(known.kind))
}

fn level_words(level: Option<&str>) -> &'static str {
    match level {
        None | Some("none") => "wallet key only",
        Some("uv") => "passkey, user verification",
        Some("biometric_capable") => "authenticator with biometrics",
        Some("biometric_app_asserted") => "biometrics, asserted by the app",
        Some("biometric_attested") => "biometrics, attested by hardware",
        Some(_) => "passkey",
    }
}
