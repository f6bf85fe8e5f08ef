//! Claims and foreign texts in words for the wallet's page.

use carekey_core::attestation::level::AssuranceLevel;
// every text of somebody else is shown with its hidden characters written out
pub(super) use carekey_core::binding::transaction::visible;
use carekey_core::credential::CredentialFormat;
use carekey_core::error::Result;
use carekey_core::format::any::UnverifiedCredential;
use carekey_core::holder::{ClaimLabel, CredentialDisplay, StoredCredential};
use carekey_core::limits::Limits;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::records::Protection;

/// One claim as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ClaimView {
    pub(super) label: String,
    pub(super) values: Vec<String>,
}

/// Members of a credential that are no claims about the patient.
const TECHNICAL: [&str; 15] = [
    "confidenceMethod",
    "evidence",
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
    "webauthn_binding",
    "biometric_binding_level",
];

/// The claims in the issuer's order, then the rest.
pub(super) fn claims(display: &CredentialDisplay, claims: &Map<String, Value>) -> Vec<ClaimView> {
    let position = |name: &str| {
        let first = |label: &ClaimLabel| label.path.first().and_then(Value::as_str) == Some(name);
        display.claims.iter().position(first).unwrap_or(usize::MAX)
    };
    let mut names: Vec<&String> = claims.keys().filter(|name| !TECHNICAL.contains(&name.as_str())).collect();
    names.sort_by_key(|name| position(name));
    names
        .into_iter()
        .filter_map(|name| {
            let path = [Value::from(name.as_str())];
            let values = lines(claims.get(name)?);
            Some(ClaimView { label: label(display, &path), values })
        })
        .collect()
}

/// The issuer's name for the claim at `path`, or the claim's own name made readable.
pub(super) fn label(display: &CredentialDisplay, path: &[Value]) -> String {
    let technical = match path.first().and_then(Value::as_str) {
        Some("webauthn_binding" | "confidenceMethod") => {
            Some("Public half of your passkey, signed by the issuer")
        }
        Some("biometric_binding_level" | "evidence") => Some("How strongly the credential is bound to you"),
        _ => None,
    };
    if let Some(text) = technical {
        return text.to_owned();
    }
    for depth in (1..=path.len()).rev() {
        if let Some(text) = path.get(..depth).and_then(|path| display.label(path)) {
            return visible(text);
        }
    }
    let name = path.iter().filter_map(Value::as_str).next_back().unwrap_or("claim").replace('_', " ");
    let mut letters = name.chars();
    visible(
        &letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default(),
    )
}

/// Names of the claims that an offered credential can hold, as the issuer calls them; the technical ones left out.
pub(super) fn offered_claims(display: &CredentialDisplay) -> Vec<String> {
    let top = display.claims.iter().filter(|label| label.path.len() == 1);
    let about_patient = top.filter(|label| {
        !label.path.first().and_then(Value::as_str).is_some_and(|name| TECHNICAL.contains(&name))
    });
    about_patient.map(|label| visible(&label.name)).collect()
}

/// A value as lines of text: one per element of an array or member of an object.
pub(super) fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![visible(&text.replace('\n', ", "))],
        Value::Array(elements) => elements.iter().map(|element| lines(element).join(", ")).collect(),
        Value::Object(members) => match members.get("value").and_then(Value::as_str) {
            Some(value) => {
                let rest: Vec<&str> =
                    ["type", "system"].iter().filter_map(|name| members.get(*name)?.as_str()).collect();
                vec![visible(&if rest.is_empty() {
                    value.to_owned()
                } else {
                    format!("{value} ({})", rest.join(", "))
                })]
            }
            None if members.contains_key("publicKeyJwk") => {
                vec![
                    "lets this verifier check your confirmation, and recognise this passkey again".to_owned(),
                ]
            }
            None if members.contains_key("jwk") => {
                let level = members.get("level").and_then(Value::as_str).unwrap_or("unknown");
                vec![format!(
                    "level {level}; lets this verifier check your confirmation, and recognise this passkey again"
                )]
            }
            None => members.values().flat_map(lines).collect(),
        },
        other => vec![other.to_string()],
    }
}

/// What the card says in large letters: the patient's name, else the insurer, else the kind.
pub(super) fn headline(credential: &StoredCredential, claims: &Map<String, Value>) -> String {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let name: Vec<&str> = ["given_name", "family_name"].into_iter().filter_map(text).collect();
    if !name.is_empty() {
        return visible(&name.join(" "));
    }
    let payer = claims.get("payer").and_then(|payer| payer.get("name")).and_then(Value::as_str);
    visible(payer.unwrap_or(&credential.display.name))
}

/// The claims that a stored credential holds, all of them.
pub(super) fn read(credential: &StoredCredential) -> Result<Map<String, Value>> {
    let read = UnverifiedCredential::parse(credential.format, &credential.credential, &Limits::DEFAULT)?;
    Ok(read.person_claims())
}

/// A format for people who want to know.
pub(super) const fn format(format: CredentialFormat) -> &'static str {
    match format {
        CredentialFormat::DcSdJwt => "SD-JWT VC (dc+sd-jwt)",
        CredentialFormat::LdpVc => "W3C credential with a Data Integrity proof (ldp_vc)",
        CredentialFormat::JwtVcJson => "W3C credential in a JWT (jwt_vc_json)",
    }
}

/// Whether nothing of the credential can be kept back when it is shown.
pub(super) fn leaves_whole(credential: &StoredCredential) -> bool {
    UnverifiedCredential::parse(credential.format, &credential.credential, &Limits::DEFAULT)
        .is_ok_and(|read| !read.is_selective())
}

/// A credential as the page shows it.
pub(super) fn credential(credential: &StoredCredential) -> Value {
    let claims = read(credential).unwrap_or_default();
    json!({
        "id": credential.id,
        "kind": credential.configuration_id,
        "format": credential.format,
        "format_text": format(credential.format),
        "leaves_whole": leaves_whole(credential),
        "name": visible(&credential.display.name),
        "issuer": visible(&credential.issuer_name),
        "issuer_trusted": credential.issuer_trusted,
        "headline": headline(credential, &claims),
        "level": level(&claims),
        "issued_at": credential.issued_at,
        "expires_at": credential.expires_at,
        "passkey": credential.ak.as_ref().map(|key| &key.credential_id),
        "claims": self::claims(&credential.display, &claims),
    })
}

/// How the wallet's records are protected, honestly.
pub(super) const fn protection(protection: Protection) -> &'static str {
    match protection {
        Protection::Empty => {
            "Nothing is stored yet. The first passkey decides how the records are protected."
        }
        Protection::PasskeyPrf => {
            "The records are encrypted. The key to them comes out of your passkey (WebAuthn PRF) and is not on the disk."
        }
        Protection::DeviceFile => {
            "The records are encrypted, but your authenticator offers no key for that (no PRF), so the key lies in a file of this computer: whoever can read your files can read them."
        }
    }
}

/// The level that the issuer signed into the credential.
pub(super) fn assurance(claims: &Map<String, Value>) -> AssuranceLevel {
    let binding = || claims.get("webauthn_binding").and_then(|binding| binding.get("level"));
    let name = claims.get("biometric_binding_level").or_else(binding).and_then(Value::as_str);
    AssuranceLevel::ALL.into_iter().find(|level| Some(level.as_str()) == name).unwrap_or_default()
}

/// The same in the wallet's words.
fn level(claims: &Map<String, Value>) -> &'static str {
    match assurance(claims) {
        AssuranceLevel::None => "bound to this wallet",
        AssuranceLevel::Uv => "needs you: user verification",
        AssuranceLevel::BiometricCapable => "needs you: authenticator with biometrics",
        AssuranceLevel::BiometricAppAsserted => "needs your biometrics (said by the app)",
        AssuranceLevel::BiometricAttested => "needs your biometrics (attested)",
    }
}

#[cfg(test)]
mod tests {
    use carekey_core::holder::ClaimLabel;
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_have_the_issuers_names_and_order() {
        let display = CredentialDisplay {
            claims: vec![
                ClaimLabel { path: vec![json!("family_name")], name: "Family name".into() },
                ClaimLabel { path: vec![json!("address"), json!("country")], name: "Country".into() },
            ],
            ..CredentialDisplay::default()
        };
        let Value::Object(map) = json!({
            "iss": "x", "cnf": {}, "birthdate": "1987", "family_name": "T",
            "identifiers": [{"value": "1", "type": "MR"}], "address": {"street_address": "a\nb", "country": "CZ"},
        }) else {
            unreachable!()
        };
        let views = claims(&display, &map);
        assert_eq!(views[0], ClaimView { label: "Family name".into(), values: vec!["T".into()] });
        assert_eq!(views.len(), 4);
        assert!(views.iter().any(|view| view.label == "Birthdate"));
        assert!(views.iter().any(|view| view.values == ["a, b", "CZ"]));
        assert!(views.iter().any(|view| view.values == ["1 (MR)"]));
        assert_eq!(label(&display, &[json!("address"), json!("country")]), "Country");
    }
}
