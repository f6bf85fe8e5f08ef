//! The biometric binding in a W3C credential: AK in `confidenceMethod`, what the issuer established about it in `evidence`.
//!
//! The members have the names that they have in the claim `webauthn_binding` of SD-JWT VC, but for the key, which stands
//! in `publicKeyJwk`, and the date, which is written as one.

use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::encoding::date_time;
use crate::error::{Error, Result};
use crate::format::data_integrity::contexts::CAREKEY_HEALTH_V1;

/// Member of the credential that holds AK.
pub const CONFIDENCE_METHOD: &str = "confidenceMethod";
/// Member of the credential that holds the level.
pub const EVIDENCE: &str = "evidence";

const METHOD_TYPE: &str = "WebauthnBinding";
const EVIDENCE_TYPE: &str = "BiometricBindingEvidence";
const METHOD_MEMBERS: [&str; 5] = ["rp_id", "origins", "client", "uv", "backup_eligible"];
const EVIDENCE_MEMBERS: [&str; 5] = ["level", "key_protection", "modality", "cert_level", "policy"];

/// `confidenceMethod` and `evidence` for a value of the claim `webauthn_binding`; `controller` is the holder's DID.
///
/// [`Error::Misuse`] `webauthn_binding` when it is no such value.
pub fn to_members(binding: &Value, controller: &str) -> Result<[(&'static str, Value); 2]> {
    let bad = || Error::misuse("webauthn_binding", "the binding has not the shape of the claim");
    let claim = binding.as_object().ok_or_else(bad)?;
    let copy = |names: &[&str]| -> Map<String, Value> {
        names.iter().filter_map(|name| Some(((*name).to_owned(), claim.get(*name)?.clone()))).collect()
    };
    let evaluated_at = claim.get("evaluated_at").and_then(Value::as_i64).ok_or_else(bad)?;
    let mut method = Map::new();
    method.insert("type".into(), vec!["JsonWebKey", METHOD_TYPE].into());
    method.insert("controller".into(), controller.into());
    method.insert("publicKeyJwk".into(), claim.get("jwk").ok_or_else(bad)?.clone());
    method.extend(copy(&METHOD_MEMBERS));
    let mut evidence = Map::new();
    evidence.insert("type".into(), vec![EVIDENCE_TYPE].into());
    evidence.extend(copy(&EVIDENCE_MEMBERS));
    evidence.insert("evaluated_at".into(), date_time::format(UnixTime::from_secs(evaluated_at)).into());
    Ok([(CONFIDENCE_METHOD, method.into()), (EVIDENCE, evidence.into())])
}

/// The value that the claim `webauthn_binding` would have; `None` unless the credential uses CareKey's context and holds
/// exactly one confidence method and one evidence of the binding.
pub fn of_credential(credential: &Map<String, Value>) -> Option<Value> {
    let contexts = credential.get("@context")?.as_array()?;
    if !contexts.iter().any(|url| url == CAREKEY_HEALTH_V1) {
        return None;
    }
    let method = only(credential.get(CONFIDENCE_METHOD)?, METHOD_TYPE)?;
    let evidence = only(credential.get(EVIDENCE)?, EVIDENCE_TYPE)?;
    let mut claim = Map::new();
    claim.insert("jwk".into(), method.get("publicKeyJwk")?.clone());
    let take = |from: &Map<String, Value>, names: &[&str], claim: &mut Map<String, Value>| {
        for name in names {
            claim.extend(from.get(*name).map(|value| ((*name).to_owned(), value.clone())));
        }
    };
    take(method, &METHOD_MEMBERS, &mut claim);
    take(evidence, &EVIDENCE_MEMBERS, &mut claim);
    // An RDF processor makes no difference between one origin and a list of one.
    if let Some(origins) = claim.get_mut("origins").filter(|origins| origins.is_string()) {
        *origins = Value::Array(vec![origins.take()]);
    }
    let evaluated_at = date_time::parse(evidence.get("evaluated_at")?.as_str()?).ok()?;
    claim.insert("evaluated_at".into(), evaluated_at.as_secs().into());
    Some(claim.into())
}

fn only<'a>(value: &'a Value, kind: &str) -> Option<&'a Map<String, Value>> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let is_kind = |item: &&Value| match item.get("type") {
        Some(Value::Array(types)) => types.iter().any(|name| name == kind),
        Some(Value::String(name)) => name == kind,
        _ => false,
    };
    let mut found = items.iter().filter(is_kind);
    match (found.next(), found.next()) {
        (Some(one), None) => one.as_object(),
        _ => None,
    }
}
