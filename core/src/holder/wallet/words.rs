//! Claims and foreign texts in words for a person.

use serde_json::{Map, Value};

use super::held::ClaimText;
use crate::attestation::level::AssuranceLevel;
use crate::binding::claim::{BIOMETRIC_BINDING_LEVEL, WEBAUTHN_BINDING};
use crate::binding::transaction::visible;
use crate::error::Result;
use crate::format::any::UnverifiedCredential;
use crate::format::w3c::binding::{CONFIDENCE_METHOD, EVIDENCE};
use crate::holder::{ClaimLabel, CredentialDisplay, StoredCredential};
use crate::limits::Limits;

/// Members of a credential that are no claims about the person.
const TECHNICAL: [&str; 15] = [
    CONFIDENCE_METHOD,
    EVIDENCE,
    "iss",
    "iat",
    "nbf",
    "exp",
    "cnf",
    "vct",
    "vct#integrity",
    "status",
    "sub",
    "_sd_alg",
    "jti",
    WEBAUTHN_BINDING,
    BIOMETRIC_BINDING_LEVEL,
];

/// The claims of a stored credential, all of them.
pub(super) fn claims_of(credential: &StoredCredential) -> Result<Map<String, Value>> {
    let read = UnverifiedCredential::parse(credential.format, &credential.credential, &Limits::DEFAULT)?;
    Ok(read.person_claims())
}

/// The claims about the person in the issuer's order, then the rest.
pub(super) fn claims(display: &CredentialDisplay, claims: &Map<String, Value>) -> Vec<ClaimText> {
    let position = |name: &str| {
        let first = |label: &ClaimLabel| label.path.first().and_then(Value::as_str) == Some(name);
        display.claims.iter().position(first).unwrap_or(usize::MAX)
    };
    let mut members: Vec<_> = claims.iter().filter(|(name, _)| !TECHNICAL.contains(&name.as_str())).collect();
    members.sort_by_key(|(name, _)| position(name));
    let text = |(name, value): (&String, &Value)| ClaimText {
        label: label(display, &[Value::from(name.as_str())]),
        values: lines(value),
    };
    members.into_iter().map(text).collect()
}

/// The issuer's name for the claim at `path`, or the claim's own name made readable.
pub(super) fn label(display: &CredentialDisplay, path: &[Value]) -> String {
    for depth in (1..=path.len()).rev() {
        if let Some(text) = path.get(..depth).and_then(|path| display.label(path)) {
            return visible(text);
        }
    }
    let name = path.iter().filter_map(Value::as_str).next_back().unwrap_or("claim").replace('_', " ");
    let mut letters = name.chars();
    let first = letters.next().map(char::to_uppercase);
    visible(&first.into_iter().flatten().chain(letters).collect::<String>())
}

/// A value as lines of text: one per element of an array or member of an object.
pub(super) fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![visible(&text.replace('\n', ", "))],
        Value::Array(elements) => elements.iter().map(|element| lines(element).join(", ")).collect(),
        Value::Object(members) => match members.get("value").and_then(Value::as_str) {
            Some(value) => {
                let rest = ["type", "system"].iter().filter_map(|name| members.get(*name)?.as_str());
                let rest: Vec<&str> = rest.collect();
                let more = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
                vec![visible(&format!("{value}{more}"))]
            }
            None if members.contains_key("jwk") => {
                let level = members.get("level").and_then(Value::as_str).unwrap_or("unknown");
                vec![visible(level)]
            }
            None => members.values().flat_map(lines).collect(),
        },
        other => vec![other.to_string()],
    }
}

/// The level that the issuer signed into the credential.
pub(super) fn level_of(claims: &Map<String, Value>) -> AssuranceLevel {
    let binding = || claims.get(WEBAUTHN_BINDING).and_then(|binding| binding.get("level"));
    let name = claims.get(BIOMETRIC_BINDING_LEVEL).or_else(binding).and_then(Value::as_str);
    AssuranceLevel::ALL.into_iter().find(|level| Some(level.as_str()) == name).unwrap_or_default()
}

/// Names of the claims about the person that an offered credential can hold, as the issuer calls them.
pub(super) fn offered(display: &CredentialDisplay) -> Vec<String> {
    let top = display.claims.iter().filter(|label| label.path.len() == 1);
    let technical = |label: &&ClaimLabel| {
        label.path.first().and_then(Value::as_str).is_some_and(|name| TECHNICAL.contains(&name))
    };
    top.filter(|label| !technical(label)).map(|label| visible(&label.name)).collect()
}
