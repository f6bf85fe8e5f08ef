//! The formats that travel over OpenID4VCI and OpenID4VP.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::claims::ClaimPath;
use crate::error::{Error, Result};

/// A credential format (OpenID4VCI 1.0 appendix A, OpenID4VP 1.0 appendix B), by its identifier on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CredentialFormat {
    /// `dc+sd-jwt`: IETF SD-JWT VC.
    #[serde(rename = "dc+sd-jwt")]
    DcSdJwt,
    /// `ldp_vc`: a W3C credential with a Data Integrity proof.
    #[serde(rename = "ldp_vc")]
    LdpVc,
    /// `jwt_vc_json`: a W3C credential of VCDM 2.0 in the JWT of VC-JOSE-COSE (`vc+jwt`).
    #[serde(rename = "jwt_vc_json")]
    JwtVcJson,
}

impl CredentialFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::DcSdJwt, Self::LdpVc, Self::JwtVcJson];

    /// The identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DcSdJwt => "dc+sd-jwt",
            Self::LdpVc => "ldp_vc",
            Self::JwtVcJson => "jwt_vc_json",
        }
    }

    /// The format of an identifier; [`Error::Unsupported`] `credential_format`.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == name);
        found.ok_or_else(|| Error::unsupported("credential_format", "this credential format is not carried"))
    }

    /// Whether the credential follows the W3C data model, whose claims stand in `credentialSubject`.
    pub const fn is_w3c(self) -> bool {
        matches!(self, Self::LdpVc | Self::JwtVcJson)
    }

    /// Where a claim of the subject is addressed: at the root of an SD-JWT VC, under `credentialSubject` of a W3C
    /// credential (OpenID4VP 1.0 appendix B.1.2).
    pub fn claim_path(self, names: &[&str]) -> Result<ClaimPath> {
        let root = self.is_w3c().then_some("credentialSubject");
        ClaimPath::new(root.into_iter().chain(names.iter().copied()).map(Into::into).collect())
    }
}

/// A credential or presentation as it stands in a JSON message: an object where its text is one (`ldp_vc`), otherwise a
/// string.
pub fn to_message(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => object,
        _ => Value::String(text.to_owned()),
    }
}

/// The text of a credential or presentation in a JSON message; `None` when it is neither a string nor an object.
pub fn from_message(message: &Value) -> Option<String> {
    match message {
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => Some(message.to_string()),
        _ => None,
    }
}

impl fmt::Display for CredentialFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn identifiers_and_forms() {
        for format in CredentialFormat::ALL {
            assert_eq!(CredentialFormat::parse(format.as_str()).unwrap(), format);
            assert_eq!(json!(format), json!(format.as_str()));
        }
        assert_eq!(CredentialFormat::parse("mso_mdoc").unwrap_err().code(), "credential_format");
        for text in ["eyJ.a.b", r#"{"type":"x"}"#] {
            let message = to_message(text);
            assert_eq!(message.is_object(), text.starts_with('{'));
            assert_eq!(from_message(&message).as_deref(), Some(text));
        }
        assert_eq!(from_message(&json!([])), None);
    }

    #[test]
    fn claims_stand_at_the_root_or_in_the_subject() {
        let path = |format: CredentialFormat| format.claim_path(&["payer", "name"]).unwrap().to_string();
        assert_eq!(path(CredentialFormat::DcSdJwt), "payer.name");
        assert_eq!(path(CredentialFormat::JwtVcJson), "credentialSubject.payer.name");
    }
}
