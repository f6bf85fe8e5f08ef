//! FHIR R4 `Coverage` to the dataset `insurance_coverage`.
//!
//! Payer and policy holder are read where their references lead inside the document (contained or entry of the Bundle);
//! a reference that leads outside is used by its `display`, never fetched.

use serde_json::{Map, Value, json};

use super::fhir::{Document, Period, Resource, View};
use super::patient::{concept_word, identifier_claim};
use super::{ClaimInfo, CredentialDataset, DatasetKind, Note};
use crate::clock::UnixTime;
use crate::error::{Error, Result};

const fn claim(path: &'static [&'static str], label: &'static str, mandatory: bool) -> ClaimInfo {
    ClaimInfo { path, label, mandatory }
}

/// The claims of the dataset.
pub const CLAIMS: &[ClaimInfo] = &[
    claim(&["member_id"], "Member number", true),
    claim(&["payer"], "Insurer", true),
    claim(&["payer", "name"], "Insurer", true),
    claim(&["payer", "identifier"], "Number of the insurer", false),
    claim(&["policy_holder"], "Policy holder", false),
    claim(&["coverage_type"], "Kind of coverage", false),
    claim(&["relationship"], "Relationship to the policy holder", false),
    claim(&["group"], "Group", false),
    claim(&["plan"], "Plan", false),
    claim(&["period_start"], "Covered from", false),
    claim(&["period_end"], "Covered until", false),
    claim(&["coverage_status"], "Status", true),
];

/// The dataset `insurance_coverage` of the one Coverage in `document`.
///
/// # Errors
/// As [`Document::read`], [`Document::only`] and [`View::check`];
/// [`Error::Malformed`]: `fhir_member_id_missing`, `fhir_payer_missing`, `fhir_payer_ambiguous`,
/// `fhir_reference_unresolved`, `fhir_beneficiary_mismatch` (the Bundle's only Patient is not the beneficiary);
/// [`Error::Unsupported`] `fhir_payer_unsupported` (not an Organization);
/// [`Error::Refused`] `fhir_coverage_inactive`; [`Error::NotCurrent`] `fhir_coverage_ended`.
pub fn dataset(document: &Value, now: UnixTime) -> Result<CredentialDataset> {
    let document = Document::read(document)?;
    let coverage = document.only("Coverage")?;
    let view = &coverage.view;
    let mut notes = view.check()?;
    if view.code("status", &["active", "cancelled", "draft", "entered-in-error"])? != Some("active") {
        return Err(Error::refused("fhir_coverage_inactive", "Coverage.status is not active"));
    }
    belongs_to_patient(&document, coverage)?;

    let mut claims = Map::new();
    claims.insert("coverage_status".into(), "active".into());
    period(view, now, &mut claims)?;
    claims.insert("member_id".into(), member_id(view, now)?.into());
    claims.insert("payer".into(), payer(&document, coverage, &mut notes)?);
    if let Some(holder) = view.object("policyHolder")?
        && let Some(name) = party(&document, coverage, &holder)?.name
    {
        claims.insert("policy_holder".into(), name.into());
    }
    for (element, name) in [("type", "coverage_type"), ("relationship", "relationship")] {
        if let Some(concept) = view.object(element)?
            && let Some(word) = concept_word(&concept)?
        {
            claims.insert(name.into(), word.into());
        }
    }
    classes(view, &mut claims, &mut notes)?;
    Ok(CredentialDataset::assemble(DatasetKind::InsuranceCoverage, claims, notes))
}

/// In a Bundle with one Patient the coverage must be that patient's.
fn belongs_to_patient(document: &Document<'_>, coverage: &Resource<'_>) -> Result<()> {
    if document.count("Patient") != 1 {
        return Ok(());
    }
    let reference = match coverage.view.object("beneficiary")? {
        Some(beneficiary) => beneficiary.text("reference")?,
        None => None,
    };
    let resolved = match reference {
        Some(reference) => document.resolve(coverage, reference)?,
        None => None,
    };
    match resolved {
        Some(found) if found.resource_type()? == "Patient" => Ok(()),
        _ => Err(Error::malformed(
            "fhir_beneficiary_mismatch",
            "Coverage.beneficiary does not lead to the Patient of this Bundle",
        )),
    }
}

fn period(coverage: &View<'_>, now: UnixTime, claims: &mut Map<String, Value>) -> Result<()> {
    let state = coverage.period(now)?;
    let Some(period) = coverage.object("period")? else { return Ok(()) };
    if let (Period::Ended, Some((_, end))) = (state, period.date("end")?) {
        return Err(Error::not_current("fhir_coverage_ended", "Coverage.period is over", now, end.last()));
    }
    for (element, name) in [("start", "period_start"), ("end", "period_end")] {
        if let Some((text, _)) = period.date(element)? {
            claims.insert(name.into(), text.into());
        }
    }
    Ok(())
}

/// The number on the card: the identifier of type `MB` (member number), else `subscriberId`, else the first identifier.
fn member_id<'a>(coverage: &View<'a>, now: UnixTime) -> Result<&'a str> {
    let mut first = None;
    for identifier in coverage.objects("identifier")? {
        let old = identifier.code("use", &["usual", "official", "temp", "secondary", "old"])? == Some("old");
        let Some(value) = identifier.text("value")? else { continue };
        if old || identifier.period(now)? != Period::Current {
            continue;
        }
        if let Some(kind) = identifier.object("type")?
            && concept_word(&kind)? == Some("MB")
        {
            return Ok(value);
        }
        first = first.or(Some(value));
    }
    coverage.text("subscriberId")?.or(first).ok_or_else(|| {
        let detail = "Coverage has neither a current identifier nor a subscriberId";
        Error::malformed("fhir_member_id_missing", detail)
    })
}

fn payer(document: &Document<'_>, coverage: &Resource<'_>, notes: &mut Vec<Note>) -> Result<Value> {
    let payors = coverage.view.objects("payor")?;
    let payor = match payors.as_slice() {
        [] => return Err(Error::malformed("fhir_payer_missing", "Coverage.payor is missing")),
        [one] => one,
        _ => {
            return Err(Error::malformed("fhir_payer_ambiguous", "Coverage.payor names more than one payer"));
        }
    };
    let party = party(document, coverage, payor)?;
    if party.resource_type.is_some_and(|kind| kind != "Organization") {
        let detail = "Coverage.payor is a person: only insurers can be written into this credential";
        return Err(Error::unsupported("fhir_payer_unsupported", detail));
    }
    let Some(name) = party.name else {
        let detail = "Coverage.payor leads outside the document and has no display";
        return Err(Error::malformed("fhir_reference_unresolved", detail));
    };
    if !party.resolved {
        let text = "the insurer is not in the document: its display was taken";
        notes.push(Note { path: payor.path().into(), text });
    }
    let mut claim = Map::new();
    claim.insert("name".into(), name.into());
    if let Some(identifier) = party.identifier {
        claim.insert("identifier".into(), identifier);
    }
    Ok(Value::Object(claim))
}

struct Party<'a> {
    resource_type: Option<&'a str>,
    resolved: bool,
    name: Option<String>,
    identifier: Option<Value>,
}

/// What a `Reference` says about a person or organization: the resource itself, else display and logical identifier.
fn party<'a>(document: &Document<'a>, from: &Resource<'a>, reference: &View<'a>) -> Result<Party<'a>> {
    let target = match reference.text("reference")? {
        Some(address) => document.resolve(from, address)?,
        None => None,
    };
    let Some(target) = target else {
        let identifier = match reference.object("identifier")? {
            Some(identifier) => identifier_claim(&identifier)?,
            None => None,
        };
        let by_address = reference.text("reference")?.and_then(|address| address.split('/').rev().nth(1));
        let named = match reference.text("type")? {
            Some(kind) => Some(kind),
            None => by_address.filter(|kind| ["Patient", "RelatedPerson", "Organization"].contains(kind)),
        };
        let name = reference.text("display")?.map(str::to_owned);
        return Ok(Party { resource_type: named, resolved: false, name, identifier });
    };
    target.check()?;
    let resource_type = target.resource_type()?;
    let name = match resource_type {
        "Organization" => target.text("name")?.map(str::to_owned),
        _ => person_name(&target)?,
    };
    let display = reference.text("display")?.map(str::to_owned);
    let identifier = match target.objects("identifier")?.first() {
        Some(identifier) => identifier_claim(identifier)?,
        None => None,
    };
    Ok(Party { resource_type: Some(resource_type), resolved: true, name: name.or(display), identifier })
}

/// The first name of a Patient or RelatedPerson in full.
fn person_name(person: &View<'_>) -> Result<Option<String>> {
    let names = person.objects("name")?;
    let Some(name) = names.first() else { return Ok(None) };
    if let Some(text) = name.text("text")? {
        return Ok(Some(text.to_owned()));
    }
    let mut parts = name.texts("given")?;
    parts.extend(name.text("family")?);
    Ok(if parts.is_empty() { None } else { Some(parts.join(" ")) })
}

/// `group` and `plan` of `Coverage.class`; its other kinds do not become claims.
fn classes(coverage: &View<'_>, claims: &mut Map<String, Value>, notes: &mut Vec<Note>) -> Result<()> {
    for class in coverage.objects("class")? {
        let kind = match class.object("type")? {
            Some(concept) => concept_word(&concept)?,
            None => None,
        };
        let value = class.text("name")?.or(class.text("value")?);
        match (kind, value) {
            (Some(kind @ ("group" | "plan")), Some(value)) if !claims.contains_key(kind) => {
                claims.insert(kind.into(), json!(value));
            }
            _ => {
                let text = "this class of coverage does not become a claim";
                notes.push(Note { path: class.path().into(), text });
            }
        }
    }
    Ok(())
}
