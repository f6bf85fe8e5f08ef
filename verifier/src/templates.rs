//! Named queries: what a portal usually asks for.

use carekey_core::binding::claim::binding_paths;
use carekey_core::credential::CredentialFormat;
use carekey_core::credential::claims::ClaimPath;
use carekey_core::format::w3c::VOCABULARY;
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::{Error, Result};
use serde_json::json;

use crate::config::TypesConfig;

struct Template {
    id: &'static str,
    /// Term of the type in W3C credentials.
    type_term: &'static str,
    mandatory: &'static [&'static str],
    optional: &'static [&'static str],
}

const PATIENT: Template = Template {
    id: "patient",
    type_term: "PatientIdentity",
    mandatory: &["given_name", "family_name", "birthdate"],
    optional: &["identifiers"],
};
const COVERAGE: Template = Template {
    id: "coverage",
    type_term: "InsuranceCoverage",
    mandatory: &["member_id", "payer"],
    optional: &["period_start", "period_end"],
};

/// The query of a template, for credentials of `format`; with `step_up` it also asks for the biometric binding.
///
/// The credential queries are called `patient` and `coverage`. Optional claims may be left out, all of them together.
///
/// Errors: [`Error::Malformed`] `template_unknown`; [`Error::Misuse`] `template_types` when no credential type is
/// configured for it.
pub fn query(name: &str, types: &TypesConfig, format: CredentialFormat, step_up: bool) -> Result<DcqlQuery> {
    let (template, vcts) = match name {
        "patient_identity" => (PATIENT, &types.patient_identity),
        "insurance_coverage" => (COVERAGE, &types.insurance_coverage),
        _ => return Err(Error::malformed("template_unknown", "there is no template of that name")),
    };
    if vcts.is_empty() && !format.is_w3c() {
        return Err(Error::misuse("template_types", "no credential type is configured for the template"));
    }
    let binding = if step_up { binding_paths(format) } else { Vec::new() };
    let named = |names: &[&str]| -> Result<Vec<(String, ClaimPath)>> {
        names.iter().map(|name| Ok(((*name).to_owned(), format.claim_path(&[name])?))).collect()
    };
    let binding = binding.into_iter().map(|path| (path.to_string(), path));
    let mut claims: Vec<_> = named(template.mandatory)?.into_iter().chain(binding).collect();
    let least: Vec<String> = claims.iter().map(|(id, _)| id.clone()).collect();
    claims.extend(named(template.optional)?);
    let all: Vec<&String> = claims.iter().map(|(id, _)| id).collect();
    let meta = match format.is_w3c() {
        true => json!({ "type_values": [[format!("{VOCABULARY}{}", template.type_term)]] }),
        false => json!({ "vct_values": vcts }),
    };
    DcqlQuery::parse(&json!({ "credentials": [{
        "id": template.id,
        "format": format,
        "meta": meta,
        "claims": claims.iter().map(|(id, path)| json!({ "id": id, "path": path })).collect::<Vec<_>>(),
        "claim_sets": [all, least],
    }] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let types = TypesConfig { patient_identity: vec!["urn:t".into()], ..TypesConfig::default() };
        let format = CredentialFormat::DcSdJwt;
        for (format, counts) in [(format, [5, 4]), (CredentialFormat::LdpVc, [6, 5])] {
            let query = query("patient_identity", &types, format, true).unwrap();
            let patient = query.credential("patient").unwrap();
            assert_eq!(patient.alternatives().iter().map(Vec::len).collect::<Vec<_>>(), counts);
            query.check_supported().unwrap();
        }
        assert_eq!(super::query("nothing", &types, format, false).unwrap_err().code(), "template_unknown");
        let none = super::query("insurance_coverage", &types, format, false).unwrap_err();
        assert_eq!(none.code(), "template_types");
    }
}
