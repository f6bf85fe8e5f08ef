//! The hospital's FHIR R4 server: the record of a person who signed in without an offer of the desk.

use std::path::PathBuf;

use async_trait::async_trait;
use carekey_core::error::{Error, Result};
use carekey_core::holder::http::{HttpClient, HttpRequest};
use carekey_core::issuer::PatientSource;
use carekey_core::limits::Limits;
use carekey_core::secret::Secret;
use carekey_service::fetch::Fetcher;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// The FHIR server, as the operator describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct PatientsConfig {
    /// Base URL of the FHIR R4 server.
    pub base: Url,
    /// System of the `Patient.identifier` that the provider's subject is the value of; without it, the subject is the
    /// patient's logical id.
    pub identifier_system: Option<String>,
    /// File with a bearer token for the server.
    pub bearer_token: Option<PathBuf>,
}

/// The way to the server.
pub(crate) struct FhirServer {
    base: String,
    identifier_system: Option<String>,
    token: Option<Secret<String>>,
    fetcher: Fetcher,
}

impl FhirServer {
    /// Errors name the file of the token.
    pub(crate) fn open(config: &PatientsConfig, fetcher: Fetcher) -> std::io::Result<Self> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path);
            let text = text
                .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            Ok::<_, std::io::Error>(Secret::new(text.trim().to_owned()))
        };
        Ok(Self {
            base: config.base.as_str().trim_end_matches('/').to_owned(),
            identifier_system: config.identifier_system.clone(),
            token: config.bearer_token.as_ref().map(read).transpose()?,
            fetcher,
        })
    }

    /// The entries of a searchset.
    async fn search(&self, kind: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
        let bad = |detail: String| Error::unavailable("fhir_server", detail);
        let mut url = Url::parse(&format!("{}/{kind}", self.base))
            .map_err(|_| Error::misuse("fhir_server_base", "the FHIR server has no URL"))?;
        url.query_pairs_mut().extend_pairs(parameters);
        let mut request = HttpRequest::get(url, "application/fhir+json");
        if let Some(token) = &self.token {
            request = request.bearer(token.expose());
        }
        let answer = self.fetcher.send(request).await?;
        if answer.status != 200 {
            return Err(bad(format!("the FHIR server answers {}", answer.status)));
        }
        let mut bundle = answer.json(&Limits::DEFAULT).map_err(|error| bad(error.detail().to_owned()))?;
        if bundle.get("resourceType").and_then(Value::as_str) != Some("Bundle") {
            return Err(bad("the FHIR server gives no Bundle".to_owned()));
        }
        match bundle.get_mut("entry").map(Value::take) {
            Some(Value::Array(entries)) => Ok(entries),
            _ => Ok(Vec::new()),
        }
    }

    async fn patient(&self, subject: &str) -> Result<Option<Value>> {
        let parameter = match &self.identifier_system {
            Some(system) => ("identifier", format!("{}|{}", escaped(system), escaped(subject))),
            // What is no id names nobody, and must not become a list of ids.
            None if !is_id(subject) => return Ok(None),
            None => ("_id", subject.to_owned()),
        };
        let found = self.search("Patient", &[(parameter.0, &parameter.1), ("_count", "2")]).await?;
        let mut patients = found.into_iter().filter(|entry| is_a(entry, "Patient"));
        match (patients.next(), patients.next()) {
            (one, None) => Ok(one),
            _ => Err(Error::unavailable(
                "fhir_server",
                "the FHIR server knows several patients by one subject",
            )),
        }
    }
}

#[async_trait]
impl PatientSource for FhirServer {
    async fn record(&self, subject: &str) -> Result<Option<Value>> {
        let Some(patient) = self.patient(subject).await? else { return Ok(None) };
        let id = patient.pointer("/resource/id").and_then(Value::as_str).filter(|id| is_id(id));
        let Some(id) = id.map(str::to_owned) else {
            return Err(Error::unavailable("fhir_server", "the FHIR server gives a patient without an id"));
        };
        let reference = format!("Patient/{id}");
        let coverages = [("beneficiary", reference.as_str()), ("_include", "Coverage:payor")];
        let mut entries = vec![patient];
        entries.extend(self.search("Coverage", &coverages).await?);
        Ok(Some(json!({"resourceType": "Bundle", "type": "collection", "entry": entries})))
    }
}

fn is_a(entry: &Value, kind: &str) -> bool {
    entry.pointer("/resource/resourceType").and_then(Value::as_str) == Some(kind)
}

/// FHIR's `id`.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// A value of a search parameter: the separators of FHIR R4 section 3.1.1.4.0.1 stand for themselves.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | ',' | '|' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_cannot_widen_a_search() {
        assert_eq!(escaped(r"a,b|c$d\e"), r"a\,b\|c\$d\\e");
        assert!(is_id("p-1.x") && !is_id("a,b") && !is_id("") && !is_id(&"x".repeat(65)));
    }
}
