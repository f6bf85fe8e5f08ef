//! What an attacker does to an answer on its way.

use carekey_core::encoding::{base64url, sha256};
use carekey_core::holder::{HolderKeys, SignItem, StoredCredential};
use carekey_core::key::SoftwareKey;
use serde_json::{Value, json};

use crate::servers::Failure;

/// Reads the form of a `direct_post` answer: the one presentation in it, and how to write the form with another.
struct Answered {
    pairs: Vec<(String, String)>,
    presentation: String,
}

impl Answered {
    fn read(form: &[u8]) -> Result<Self, Failure> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(form).into_owned().collect();
        let token = pairs.iter().find(|(name, _)| name == "vp_token").map(|(_, value)| value.as_str());
        let token: Value = serde_json::from_str(token.unwrap_or_default()).map_err(Failure::new)?;
        let presentation = token.as_object().and_then(|all| all.values().next()).and_then(|one| one.get(0));
        let presentation =
            presentation.and_then(Value::as_str).ok_or_else(|| Failure::new("no presentation"))?;
        Ok(Self { presentation: presentation.to_owned(), pairs })
    }

    fn with(self, other: &str) -> Vec<u8> {
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.pairs {
            out.append_pair(name, &value.replace(&self.presentation, other));
        }
        out.finish().into_bytes()
    }
}

/// Another birth date in the disclosure that carries it.
pub(super) fn with_other_birth_date(form: &[u8]) -> Result<Vec<u8>, Failure> {
    let answered = Answered::read(form)?;
    for part in answered.presentation.split('~') {
        let Ok(decoded) = base64url::decode(part) else { continue };
        let Ok(disclosure) = serde_json::from_slice::<Value>(&decoded) else { continue };
        if disclosure.get(1).and_then(Value::as_str) == Some("birthdate") {
            let other = json!([disclosure[0], "birthdate", "1947-04-23"]);
            let other = answered.presentation.replace(part, &base64url::encode(other.to_string().as_bytes()));
            return Ok(answered.with(&other));
        }
    }
    Err(Failure::new("the answer discloses no birth date"))
}

/// Another birth date in the W3C credential of the one presentation.
pub(super) fn with_other_w3c_birth_date(form: &[u8]) -> Result<Vec<u8>, Failure> {
    let strange = || Failure::new("the answer is not as expected");
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(form) {
        let mut value = value.into_owned();
        if name == "vp_token" {
            let mut token: Value = serde_json::from_str(&value).map_err(Failure::new)?;
            let presentation = token.as_object_mut().and_then(|all| all.values_mut().next());
            let claim = presentation
                .and_then(|one| one.pointer_mut("/0/verifiableCredential/0/credentialSubject/birthdate"));
            *claim.ok_or_else(strange)? = json!("1947-04-23");
            value = token.to_string();
        }
        out.append_pair(&name, &value);
    }
    Ok(out.finish().into_bytes())
}

/// The assertion signed by `other` instead of the passkey, and the key-binding JWT signed anew by the stolen holder key.
pub(super) async fn with_other_assertion(
    form: &[u8],
    other: &SoftwareKey,
    credentials: &[StoredCredential],
    keys: &dyn HolderKeys,
) -> Result<Vec<u8>, Failure> {
    let answered = Answered::read(form)?;
    let strange = || Failure::new("the answer is not as expected");
    let (bound, kb_jwt) = answered.presentation.rsplit_once('~').ok_or_else(strange)?;
    let issuer_jwt = bound.split('~').next().ok_or_else(strange)?;
    let stolen = credentials.iter().find(|one| one.credential.split('~').next() == Some(issuer_jwt));
    let (header, rest) = kb_jwt.split_once('.').ok_or_else(strange)?;
    let (payload, _) = rest.split_once('.').ok_or_else(strange)?;
    let payload = base64url::decode(payload).map_err(Failure::new)?;
    let mut payload: Value = serde_json::from_slice(&payload).map_err(Failure::new)?;
    let assertion = payload.get_mut("webauthn_assertion").ok_or_else(strange)?;
    let bytes = |name: &str| {
        let text = assertion.get(name).and_then(Value::as_str).ok_or_else(strange)?;
        base64url::decode(text).map_err(Failure::new)
    };
    let message = [bytes("authenticator_data")?, sha256(&bytes("client_data_json")?).to_vec()].concat();
    let signature = other.sign_der(&message).map_err(Failure::new)?;
    assertion["signature"] = json!(base64url::encode(&signature));
    let input = format!("{header}.{}", base64url::encode(payload.to_string().as_bytes()));
    let alias = stolen.ok_or_else(strange)?.hk_alias.clone();
    let item = SignItem { alias, message: input.clone().into_bytes() };
    let signatures = keys.sign(vec![item]).await.map_err(Failure::new)?;
    let signature = signatures.first().ok_or_else(strange)?;
    let forged = format!("{bound}~{input}.{}", base64url::encode(signature));
    Ok(answered.with(&forged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tampering_changes_one_disclosure() {
        let disclosure = base64url::encode(br#"["salt","birthdate","1987-04-23"]"#);
        let token = format!(r#"{{"patient":["eyJ.e.s~{disclosure}~eyJ.k.b"]}}"#);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("state", "s")
            .append_pair("vp_token", &token)
            .finish();
        let other = with_other_birth_date(form.as_bytes()).unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(&other).into_owned().collect();
        assert_eq!(pairs[0].1, "s");
        assert!(pairs[1].1.starts_with("{\"patient\":[\"eyJ.e.s~") && pairs[1].1.ends_with("~eyJ.k.b\"]}"));
        assert!(!pairs[1].1.contains(&disclosure));
        assert!(with_other_birth_date(b"vp_token=x").is_err());
    }

    #[test]
    fn tampering_changes_one_w3c_claim() {
        let token = r#"{"patient":[{"verifiableCredential":[{"credentialSubject":{"birthdate":"1987-04-23","x":1}}]}]}"#;
        let form =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("vp_token", token).finish();
        let other = with_other_w3c_birth_date(form.as_bytes()).unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(&other).into_owned().collect();
        assert_eq!(pairs[0].1, token.replace("1987", "1947"));
        assert!(with_other_w3c_birth_date(b"vp_token={}").is_err());
    }
}
