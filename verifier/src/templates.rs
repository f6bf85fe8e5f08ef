//! Named queries: what a portal usually asks for.

use carekey_core::binding::claim::WEBAUTHN_BINDING;
use carekey_core::credential::CredentialFormat;
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::{Error, Result};
use serde_json::{Value, json};

use crate::config::TypesConfig;

struct Template {
    id: &'static str,
    mandatory: &'static [&'static str],
    optional: &'static [&'static str],
}

const PATIENT: Template = Template {
    id: "patient",
    mandatory: &["given_name", "family_name", "birthdate"],
    optional: &["identifiers"],
};
const COVERAGE: Template = Template {
    id: "coverage",
    mandatory: &["member_id", "payer"],
    optional: &["period_start", "period_end"],
};

/// The query of a template; with `step_up` it also asks for the claim `webauthn_binding`.
///
/// The credential queries are called `patient` and `coverage`. Optional claims may be left out, all of them together.
///
/// Errors: [`Error::Malformed`] `template_unknown`; [`Error::Misuse`] `template_types` when no credential type is
/// configured for it.
pub fn query(name: &str, types: &TypesConfig, step_up: bool) -> Result<DcqlQuery> {
    let (template, vcts) = match name {
        "patient_identity" => (PATIENT, &types.patient_identity),
        "insurance_coverage" => (COVERAGE, &types.insurance_coverage),
        _ => return Err(Error::malformed("template_unknown", "there is no template of that name")),
    };
    if vcts.is_empty() {
        return Err(Error::misuse("template_types", "no credential type is configured for the template"));
    }
    let binding: &[&str] = if step_up { &[WEBAUTHN_BINDING] } else { &[] };
    let least = [template.mandatory, binding].concat();
    let all = [least.as_slice(), template.optional].concat();
    let claims: Vec<Value> = all.iter().map(|name| json!({ "id": name, "path": [name] })).collect();
    DcqlQuery::parse(&json!({ "credentials": [{
        "id": template.id,
        "format": CredentialFormat::DcSdJwt,
        "meta": { "vct_values": vcts },
        "claims": claims,
        "claim_sets": [all, least],
    }] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let types = TypesConfig { patient_identity: vec!["urn:t".into()], ..TypesConfig::default() };
        let query = query("patient_identity", &types, true).unwrap();
        let patient = query.credential("patient").unwrap();
        assert_eq!(patient.alternatives().iter().map(Vec::len).collect::<Vec<_>>(), [5, 4]);
        query.check_supported().unwrap();
        assert_eq!(super::query("nothing", &types, false).unwrap_err().code(), "template_unknown");
        assert_eq!(super::query("insurance_coverage", &types, false).unwrap_err().code(), "template_types");
    }
}
