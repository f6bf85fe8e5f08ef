//! The synthetic patients that the desk offers: FHIR R4 Bundles, each tagged `HTEST`.

use carekey_core::encoding::json;
use carekey_core::error::Result;
use carekey_core::limits::Limits;
use serde_json::Value;

/// File name without ending, and content.
const BUNDLED: [(&str, &str); 6] = [
    ("zofie-testova", include_str!("../../../patients/zofie-testova.json")),
    ("anais-dexemple", include_str!("../../../patients/anais-dexemple.json")),
    ("bjorn-profunarson", include_str!("../../../patients/bjorn-profunarson.json")),
    ("shiken-hanako", include_str!("../../../patients/shiken-hanako.json")),
    ("layla-tajriba", include_str!("../../../patients/layla-tajriba.json")),
    ("maria-jose-muestra", include_str!("../../../patients/maria-jose-muestra.json")),
];

/// One patient as the desk lists it.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) name: String,
    pub(super) initial: String,
    pub(super) about: Vec<String>,
}

/// All bundled patients.
pub(super) fn all() -> Vec<Person> {
    BUNDLED.iter().filter_map(|(id, _)| Some(person(id, &document(id)?.ok()?))).collect()
}

/// The record of a bundled patient; `None` when there is no such patient.
pub(super) fn document(id: &str) -> Option<Result<Value>> {
    let (_, text) = BUNDLED.iter().find(|(known, _)| *known == id)?;
    Some(json::parse(text.as_bytes(), &Limits::default()))
}

/// The name in a FHIR Patient, alone or in a Bundle: for headings only.
pub(super) fn name(document: &Value) -> Option<&str> {
    let patient = patient(document)?;
    patient.pointer("/name/0/text").or_else(|| patient.pointer("/name/0/family"))?.as_str()
}

/// The first identifier of a FHIR Patient, as the desk's own reference of what it issues.
pub(super) fn record_number(document: &Value) -> Option<String> {
    let number = patient(document)?.pointer("/identifier/0/value")?.as_str()?;
    (number.len() <= 64).then(|| number.to_owned())
}

fn patient(document: &Value) -> Option<&Value> {
    let is_patient = |value: &&Value| value.get("resourceType").and_then(Value::as_str) == Some("Patient");
    Some(document).filter(is_patient).or_else(|| {
        document.get("entry")?.as_array()?.iter().filter_map(|entry| entry.get("resource")).find(is_patient)
    })
}

fn person(id: &'static str, document: &Value) -> Person {
    let text = |pointer: &str| patient(document).and_then(|p| p.pointer(pointer)).and_then(Value::as_str);
    let name = name(document).unwrap_or(id).to_owned();
    let mut about = Vec::new();
    about.extend(text("/birthDate").map(|date| format!("born {date}")));
    about.extend(text("/identifier/0/value").map(str::to_owned));
    if let (Some(given), Some(family)) = (text("/contact/0/name/given/0"), text("/contact/0/name/family")) {
        about.push(format!("guardian {given} {family}"));
    }
    Person { id, initial: name.chars().next().map(String::from).unwrap_or_default(), name, about }
}

#[cfg(test)]
mod tests {
    use carekey_core::clock::UnixTime;
    use carekey_core::health::DatasetKind;

    use super::*;

    #[test]
    fn every_bundled_patient_makes_a_credential() {
        let people = all();
        assert_eq!(people.len(), BUNDLED.len());
        let now = UnixTime::from_secs(1_795_351_200); // 2026-11-22
        let mut coverages = 0;
        for person in people {
            let document = document(person.id).unwrap().unwrap();
            DatasetKind::PatientIdentity.extract(&document, now).unwrap();
            coverages += usize::from(DatasetKind::InsuranceCoverage.extract(&document, now).is_ok());
            assert!(document.to_string().contains("HTEST"), "marked as synthetic");
        }
        assert_eq!(coverages, 5);
        assert!(document("nobody").is_none());
    }
}
