//! FHIR resources of others: the examples of SMART Health Cards, and the synthetic patients that the desk offers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};

use carekey_core::UnixTime;
use carekey_core::health::DatasetKind;
use serde_json::Value;

const NOW: UnixTime = UnixTime::from_secs(1_795_348_800);

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        println!("skipped: {} is absent", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn patients_of_smart_health_cards() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/smart-health-cards"));
    let files = json_files(folder);
    if files.is_empty() {
        return;
    }
    let mut names = Vec::new();
    for file in files {
        let document = read(&file);
        if document.get("resourceType").and_then(Value::as_str) != Some("Bundle") {
            continue;
        }
        let found = DatasetKind::PatientIdentity.extract(&document, NOW);
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let text = |name: &str| found.claims[name].as_str().unwrap().to_owned();
        names.push(format!("{} {} {}", text("given_name"), text("family_name"), text("birthdate")));
        // None of these records holds an insurance.
        let insurance = DatasetKind::InsuranceCoverage.extract(&document, NOW).unwrap_err();
        assert_eq!(insurance.code(), "fhir_resource_missing");
    }
    let expected = [
        "Martha DeLarosa 1972-05-01",
        "John B. Anyperson 1951-01-20",
        "John B. Anyperson 1951-01-20",
        "Martha DeLarosa 1972-05-01",
        "Johnny Revoked 1960-04-22",
    ];
    assert_eq!(names, expected);
}

#[test]
fn synthetic_patients_of_the_desk() {
    let files = json_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../issuer/patients")));
    assert!(files.len() >= 3, "{} synthetic patients", files.len());
    let mut insured = 0;
    for file in files {
        let document = read(&file);
        let found = DatasetKind::PatientIdentity.extract(&document, NOW);
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for claim in ["given_name", "family_name", "birthdate", "identifiers"] {
            assert!(found.claims.contains_key(claim), "{}: no {claim}", file.display());
        }
        match DatasetKind::InsuranceCoverage.extract(&document, NOW) {
            Ok(_) => insured += 1,
            // One is not insured, and the insurance of another has ended.
            Err(error) => {
                let known = ["fhir_resource_missing", "fhir_coverage_ended"].contains(&error.code());
                assert!(known, "{}: {error}", file.display());
            }
        }
    }
    assert!(insured > 0, "no synthetic patient is insured");
}
