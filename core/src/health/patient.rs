//! FHIR R4 `Patient` to the dataset `patient_identity`.
//!
//! Names stay as they are written, in their order, with their diacritics. Which name, address or number is taken, when
//! there are several, is decided by `use`, `period` and `rank` as FHIR R4 section 2.24 defines them, never by guessing.

use serde_json::{Map, Value, json};

use super::date::Precision;
use super::fhir::{Document, Period, Resource, View};
use super::{ClaimInfo, CredentialDataset, DatasetKind, Note};
use crate::clock::UnixTime;
use crate::error::{Error, Result};

/// Identifiers of one patient.
const MAX_IDENTIFIERS: usize = 32;

const fn claim(path: &'static [&'static str], label: &'static str, mandatory: bool) -> ClaimInfo {
    ClaimInfo { path, label, mandatory }
}

/// The claims of the dataset.
pub const CLAIMS: &[ClaimInfo] = &[
    claim(&["given_name"], "Given names", false),
    claim(&["family_name"], "Family name", false),
    claim(&["birthdate"], "Date of birth", true),
    claim(&["gender"], "Administrative gender", false),
    claim(&["identifiers"], "Identifier", false),
    claim(&["address"], "Address", false),
    claim(&["address", "street_address"], "Street", false),
    claim(&["address", "locality"], "City", false),
    claim(&["address", "region"], "Region", false),
    claim(&["address", "postal_code"], "Postal code", false),
    claim(&["address", "country"], "Country", false),
    claim(&["phone_number"], "Telephone", false),
    claim(&["email"], "E-mail", false),
];

/// The dataset `patient_identity` of the one Patient in `document`.
///
/// # Errors
/// As [`Document::read`], [`Document::only`] and [`View::check`];
/// [`Error::Malformed`]: `fhir_name_missing`, `fhir_birth_date_missing`, `fhir_birth_date_future`, and those of the
/// elements; [`Error::Refused`]: `fhir_patient_inactive`, `fhir_patient_replaced`.
pub fn dataset(document: &Value, now: UnixTime) -> Result<CredentialDataset> {
    let document = Document::read(document)?;
    let patient = document.only("Patient")?;
    let mut notes = patient.view.check()?;
    in_use(patient)?;

    let mut claims = Map::new();
    name(&patient.view, now, &mut claims, &mut notes)?;
    birth_date(&patient.view, now, &mut claims, &mut notes)?;
    if let Some(gender) = patient.view.code("gender", &["male", "female", "other", "unknown"])? {
        claims.insert("gender".into(), gender.into());
    }
    let identifiers = identifiers(&patient.view, now, &mut notes)?;
    if !identifiers.is_empty() {
        claims.insert("identifiers".into(), Value::Array(identifiers));
    }
    if let Some(address) = address(&patient.view, now, &mut notes)? {
        claims.insert("address".into(), Value::Object(address));
    }
    for (system, claim) in [("phone", "phone_number"), ("email", "email")] {
        if let Some(value) = contact_point(&patient.view, system, now)? {
            claims.insert(claim.into(), value.into());
        }
    }
    Ok(CredentialDataset::assemble(DatasetKind::PatientIdentity, claims, notes))
}

/// Refuses records that the source itself has closed.
fn in_use(patient: &Resource<'_>) -> Result<()> {
    let view = &patient.view;
    if view.boolean("active")? == Some(false) {
        return Err(Error::refused(
            "fhir_patient_inactive",
            "Patient.active is false: the record is not in use",
        ));
    }
    for link in view.objects("link")? {
        if link.code("type", &["replaced-by", "replaces", "refer", "seealso"])? == Some("replaced-by") {
            let detail = "another record replaces this one (Patient.link): issue from that one";
            return Err(Error::refused("fhir_patient_replaced", detail));
        }
    }
    view.choice(&["deceasedBoolean", "deceasedDateTime"])?;
    view.choice(&["multipleBirthBoolean", "multipleBirthInteger"])?;
    Ok(())
}

const USES: &[&str] = &["usual", "official", "temp", "nickname", "anonymous", "old", "maiden"];

/// How well a name fits an identity document; `None`: never.
fn name_rank(name: &View<'_>, now: UnixTime) -> Result<Option<u8>> {
    let rank = match name.code("use", USES)? {
        Some("official") => Some(0),
        Some("usual") => Some(1),
        None => Some(2),
        Some("temp") => Some(3),
        Some(_) => None,
    };
    Ok(if name.period(now)? == Period::Current { rank } else { None })
}

fn name(
    patient: &View<'_>,
    now: UnixTime,
    claims: &mut Map<String, Value>,
    notes: &mut Vec<Note>,
) -> Result<()> {
    let names = patient.objects("name")?;
    let mut best: Option<(u8, View<'_>)> = None;
    for name in &names {
        let has_parts = name.text("family")?.is_some() || !name.texts("given")?.is_empty();
        if let (Some(rank), true) = (name_rank(name, now)?, has_parts)
            && best.as_ref().is_none_or(|(other, _)| rank < *other)
        {
            best = Some((rank, name.clone()));
        }
    }
    let Some((rank, best)) = best else {
        let detail = if names.is_empty() {
            "Patient.name is missing"
        } else {
            "no current official or usual name with family or given parts (old, maiden, nickname, anonymous, ended and \
             text-only names do not count)"
        };
        return Err(Error::malformed("fhir_name_missing", detail));
    };
    let given = best.texts("given")?.join(" ");
    match (given.is_empty(), best.text("family")?) {
        (false, Some(family)) => {
            claims.insert("given_name".into(), given.into());
            claims.insert("family_name".into(), family.into());
        }
        (false, None) => {
            claims.insert("given_name".into(), given.into());
            notes.push(Note { path: best.path().into(), text: "the record has no family name" });
        }
        (true, family) => {
            claims.insert("family_name".into(), family.into());
            notes.push(Note { path: best.path().into(), text: "the record has no given name" });
        }
    }
    if rank == 3 {
        notes.push(Note { path: best.path().into(), text: "only a temporary name is on record" });
    }
    for part in ["prefix", "suffix"] {
        if !best.texts(part)?.is_empty() {
            let path = format!("{}.{part}", best.path());
            notes.push(Note { path, text: "titles do not become claims" });
        }
    }
    if names.len() > 1 {
        notes.push(Note { path: "Patient.name".into(), text: "one of several names was taken by its use" });
    }
    Ok(())
}

fn birth_date(
    patient: &View<'_>,
    now: UnixTime,
    claims: &mut Map<String, Value>,
    notes: &mut Vec<Note>,
) -> Result<()> {
    let Some((text, date)) = patient.date("birthDate")? else {
        return Err(Error::malformed("fhir_birth_date_missing", "Patient.birthDate is missing"));
    };
    match date.precision() {
        Precision::Instant => {
            return Err(Error::malformed("fhir_date_invalid", "Patient.birthDate is a date, not a time"));
        }
        Precision::Year | Precision::Month => {
            notes
                .push(Note { path: "Patient.birthDate".into(), text: "the date is incomplete and stays so" });
        }
        Precision::Day => {}
    }
    // A day of grace: the day begins earlier in the east than in UTC.
    if date.first() > now.plus(86_400) {
        return Err(Error::malformed("fhir_birth_date_future", "Patient.birthDate lies in the future"));
    }
    claims.insert("birthdate".into(), text.into());
    Ok(())
}

const IDENTIFIER_USES: &[&str] = &["usual", "official", "temp", "secondary", "old"];

/// `{system, value, type?}` of every identifier that is current and names its system.
fn identifiers(patient: &View<'_>, now: UnixTime, notes: &mut Vec<Note>) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for identifier in patient.objects("identifier")? {
        let skip = |text| Note { path: identifier.path().to_owned(), text };
        let old = identifier.code("use", IDENTIFIER_USES)? == Some("old");
        let (system, value) = (identifier.text("system")?, identifier.text("value")?);
        let (Some(system), Some(value)) = (system, value) else {
            notes.push(skip("an identifier without system or value was left out"));
            continue;
        };
        if old || identifier.period(now)? != Period::Current {
            notes.push(skip("an identifier that is no longer or not yet in use was left out"));
            continue;
        }
        if found.len() == MAX_IDENTIFIERS {
            return Err(Error::malformed("fhir_too_large", "Patient.identifier has too many entries"));
        }
        let mut claim = Map::new();
        claim.insert("system".into(), system.into());
        claim.insert("value".into(), value.into());
        if let Some(kind) = identifier.object("type")?
            && let Some(word) = concept_word(&kind)?
        {
            claim.insert("type".into(), word.into());
        }
        let claim = Value::Object(claim);
        if !found.contains(&claim) {
            found.push(claim);
        }
    }
    Ok(found)
}

/// The word of a `CodeableConcept`: the first coding's code, else its text.
pub(super) fn concept_word<'a>(concept: &View<'a>) -> Result<Option<&'a str>> {
    for coding in concept.objects("coding")? {
        if let Some(code) = coding.text("code")? {
            return Ok(Some(code));
        }
    }
    concept.text("text")
}

/// The address where the patient lives: `home`, else one without use, else `work`, else `temp`.
fn address(patient: &View<'_>, now: UnixTime, notes: &mut Vec<Note>) -> Result<Option<Map<String, Value>>> {
    let mut best: Option<((u8, bool), View<'_>)> = None;
    for address in patient.objects("address")? {
        let rank = match address.code("use", &["home", "work", "temp", "old", "billing"])? {
            Some("home") => 0,
            None => 1,
            Some("work") => 2,
            Some("temp") => 3,
            Some(_) => continue,
        };
        let postal = address.code("type", &["postal", "physical", "both"])? == Some("postal");
        let current = address.period(now)? == Period::Current;
        if current && best.as_ref().is_none_or(|(other, _)| (rank, postal) < *other) {
            best = Some(((rank, postal), address));
        }
    }
    let Some((_, address)) = best else { return Ok(None) };
    let mut claim = Map::new();
    let lines = address.texts("line")?;
    if !lines.is_empty() {
        claim.insert("street_address".into(), lines.join("\n").into());
    }
    for (element, name) in
        [("city", "locality"), ("state", "region"), ("postalCode", "postal_code"), ("country", "country")]
    {
        if let Some(text) = address.text(element)? {
            claim.insert(name.into(), text.into());
        }
    }
    if address.text("district")?.is_some() {
        let path = format!("{}.district", address.path());
        notes.push(Note { path, text: "the district does not become a claim" });
    }
    if claim.is_empty() {
        notes.push(Note { path: address.path().into(), text: "an address of text only was left out" });
        return Ok(None);
    }
    Ok(Some(claim))
}

const SYSTEMS: &[&str] = &["phone", "fax", "email", "pager", "url", "sms", "other"];

/// The preferred contact point of that system: lowest `rank` first, then mobile, home, none, work, temporary.
fn contact_point<'a>(patient: &View<'a>, system: &str, now: UnixTime) -> Result<Option<&'a str>> {
    let mut best: Option<((u64, u8), &'a str)> = None;
    for point in patient.objects("telecom")? {
        let (Some(found), Some(value)) = (point.code("system", SYSTEMS)?, point.text("value")?) else {
            continue;
        };
        let by_use = match point.code("use", &["home", "work", "temp", "old", "mobile"])? {
            Some("mobile") => 0,
            Some("home") => 1,
            None => 2,
            Some("work") => 3,
            Some("temp") => 4,
            Some(_) => continue,
        };
        let key = (point.positive("rank")?.unwrap_or(u64::MAX), by_use);
        let fits = found == system && point.period(now)? == Period::Current;
        if fits && best.is_none_or(|(other, _)| key < other) {
            best = Some((key, value));
        }
    }
    Ok(best.map(|(_, value)| value))
}

/// `{system?, value}` of an identifier, for parties.
pub(super) fn identifier_claim(identifier: &View<'_>) -> Result<Option<Value>> {
    Ok(match (identifier.text("system")?, identifier.text("value")?) {
        (Some(system), Some(value)) => Some(json!({ "system": system, "value": value })),
        (None, Some(value)) => Some(json!({ "value": value })),
        (_, None) => None,
    })
}
