//! `authorization_details` of type `openid_credential` (RFC 9396; OpenID4VCI 1.0 sections 5.1.1 and 6.2).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// The only type of authorization detail here.
pub const OPENID_CREDENTIAL: &str = "openid_credential";

/// Most entries of one parameter; more is refused.
pub const MAX_DETAILS: usize = 32;

/// One credential that is wanted (in requests) or granted (in the token response). Unknown members are ignored, as
/// section 5.1.1 demands; `claims` is not read: an issuer here always issues the whole dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationDetail {
    /// `openid_credential`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The configuration that it is about.
    pub credential_configuration_id: String,
    /// Resource servers (RFC 9396 section 2.2): the credential issuer, when its metadata names authorization servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<String>,
    /// Names of the credential datasets; in token responses only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential_identifiers: Vec<String>,
}

impl AuthorizationDetail {
    /// The detail that asks for a configuration.
    pub fn of(credential_configuration_id: &str) -> Self {
        Self {
            kind: OPENID_CREDENTIAL.to_owned(),
            credential_configuration_id: credential_configuration_id.to_owned(),
            locations: Vec::new(),
            credential_identifiers: Vec::new(),
        }
    }
}

/// Parses the parameter of a request: a JSON array with at least one entry.
///
/// # Errors
/// `authorization_details`: no such array, too long, another type, or a configuration named twice; the codes of
/// [`json::parse`].
pub fn parse(text: &str, limits: &Limits) -> Result<Vec<AuthorizationDetail>> {
    let bad = |detail: &'static str| Error::malformed("authorization_details", detail);
    let Value::Array(all) = json::parse(text.as_bytes(), limits)? else {
        return Err(bad("authorization_details is no array"));
    };
    if all.is_empty() || all.len() > MAX_DETAILS {
        return Err(bad("authorization_details is empty or too long"));
    }
    let mut details: Vec<AuthorizationDetail> = Vec::new();
    for value in all {
        if value.get("type").and_then(Value::as_str) != Some(OPENID_CREDENTIAL) {
            return Err(bad("only authorization details of type openid_credential are understood"));
        }
        let detail: AuthorizationDetail =
            serde_json::from_value(value).map_err(|_| bad("a member is missing or of the wrong type"))?;
        if details.iter().any(|d| d.credential_configuration_id == detail.credential_configuration_id) {
            return Err(bad("a configuration is named twice"));
        }
        details.push(detail);
    }
    Ok(details)
}

/// The details as the value of a request parameter.
///
/// # Errors
/// None in practice: the details are plain JSON.
pub fn to_parameter(details: &[AuthorizationDetail]) -> Result<String> {
    serde_json::to_string(details)
        .map_err(|_| Error::misuse("authorization_details_not_json", "the details cannot be written as JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let details = vec![AuthorizationDetail::of("a"), AuthorizationDetail::of("b")];
        let text = to_parameter(&details).unwrap();
        assert_eq!(parse(&text, &Limits::DEFAULT).unwrap(), details);
        for bad in [
            "{}",
            "[]",
            "[1]",
            r#"[{"type":"payment","credential_configuration_id":"a"}]"#,
            r#"[{"type":"openid_credential"}]"#,
            r#"[{"type":"openid_credential","credential_configuration_id":1}]"#,
            r#"[{"type":"openid_credential","credential_configuration_id":"a"},{"type":"openid_credential","credential_configuration_id":"a"}]"#,
        ] {
            assert_eq!(parse(bad, &Limits::DEFAULT).unwrap_err().code(), "authorization_details", "{bad}");
        }
        assert!(parse("[", &Limits::DEFAULT).is_err());
    }

    #[test]
    fn published_examples() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/openid4vci/1.0/examples/");
        let names = [
            "authorization_details.json",
            "authorization_details_multiple_credentials.json",
            "authorization_details_sd_jwt_vc.json",
            "authorization_details_with_as.json",
        ];
        let mut read = 0;
        for name in names {
            let Ok(text) = std::fs::read_to_string(format!("{folder}{name}")) else {
                println!("skipped: {name} absent");
                continue;
            };
            assert!(!parse(&text, &Limits::DEFAULT).unwrap().is_empty(), "{name}");
            read += 1;
        }
        assert!(read == 0 || read == names.len());
    }
}
