//! The client data of a ceremony (WebAuthn Level 3 §5.8.1, `CollectedClientData`).

use serde_json::Value;

use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Which ceremony the client data must belong to (`type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    /// `webauthn.create`.
    Registration,
    /// `webauthn.get`.
    Assertion,
}

impl Ceremony {
    /// The value of `type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "webauthn.create",
            Self::Assertion => "webauthn.get",
        }
    }
}

/// Parsed client data; nothing in it is believed before [`ClientData::check`] and the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientData {
    /// `type`.
    pub kind: String,
    /// `challenge`, base64url as it stands there.
    pub challenge: String,
    /// `origin`.
    pub origin: String,
    /// `crossOrigin`; absent means `false`.
    pub cross_origin: bool,
    /// Whether `topOrigin` is there.
    pub has_top_origin: bool,
}

impl ClientData {
    /// Parses `clientDataJSON`: strict JSON, duplicate members refused, at most `limits.client_data_bytes` bytes.
    ///
    /// Unknown members are allowed, as §5.8.1 demands. Errors: `client_data_size`, `client_data`.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        if bytes.len() > limits.client_data_bytes {
            return Err(Error::malformed("client_data_size", "the client data is too large"));
        }
        let Ok(Value::Object(mut members)) = json::parse(bytes, limits) else {
            return Err(Error::malformed("client_data", "the client data is not a strict JSON object"));
        };
        let mut text = |name: &'static str| match members.remove(name) {
            Some(Value::String(value)) => Ok(value),
            _ => Err(Error::malformed(
                "client_data",
                format!("member {name} of the client data is not a string"),
            )),
        };
        let (kind, challenge, origin) = (text("type")?, text("challenge")?, text("origin")?);
        let cross_origin = match members.get("crossOrigin") {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => return Err(Error::malformed("client_data", "member crossOrigin is not a boolean")),
        };
        Ok(Self { kind, challenge, origin, cross_origin, has_top_origin: members.contains_key("topOrigin") })
    }

    /// The checks that both ceremonies share: §7.1 steps 7–10 and §7.2 steps 10–13, in this order.
    ///
    /// `challenge` is the base64url text that is expected, `origins` the exact strings that are allowed (never compared
    /// by suffix). Errors: `client_data_type`, `challenge_mismatch`, `origin_not_allowed`, `cross_origin`, `top_origin`.
    pub fn check<S: AsRef<str>>(&self, ceremony: Ceremony, challenge: &str, origins: &[S]) -> Result<()> {
        if self.kind != ceremony.as_str() {
            return Err(Error::untrusted("client_data_type", "the client data belongs to another ceremony"));
        }
        if self.challenge != challenge {
            return Err(Error::untrusted(
                "challenge_mismatch",
                "the client data was made for another challenge",
            ));
        }
        if !origins.iter().any(|allowed| allowed.as_ref() == self.origin) {
            return Err(Error::untrusted(
                "origin_not_allowed",
                "the client data comes from an origin that is not allowed",
            ));
        }
        if self.cross_origin {
            return Err(Error::untrusted("cross_origin", "the ceremony ran inside a page of another origin"));
        }
        if self.has_top_origin {
            return Err(Error::untrusted("top_origin", "the ceremony ran below another top-level origin"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClientData> {
        ClientData::parse(text.as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn parses_and_tolerates_unknown_members() {
        let data = parse(
            r#"{"type":"webauthn.get","challenge":"AA","origin":"https://a.example","crossOrigin":false,"x":{"y":[1]}}"#,
        );
        let data = data.unwrap();
        data.check(Ceremony::Assertion, "AA", &["https://b.example", "https://a.example"]).unwrap();
        let code = |c, challenge, origin| data.check(c, challenge, &[origin]).unwrap_err().code();
        assert_eq!(code(Ceremony::Registration, "AA", "https://a.example"), "client_data_type");
        assert_eq!(code(Ceremony::Assertion, "AB", "https://a.example"), "challenge_mismatch");
        assert_eq!(code(Ceremony::Assertion, "AA", "a.example"), "origin_not_allowed");
        assert_eq!(code(Ceremony::Assertion, "AA", "https://a.example/"), "origin_not_allowed");
    }

    #[test]
    fn cross_origin_and_top_origin() {
        let check = |extra: &str| {
            let text = format!(r#"{{"type":"webauthn.get","challenge":"AA","origin":"o"{extra}}}"#);
            parse(&text).and_then(|d| d.check(Ceremony::Assertion, "AA", &["o"]))
        };
        check("").unwrap();
        assert_eq!(check(r#","crossOrigin":true"#).unwrap_err().code(), "cross_origin");
        assert_eq!(check(r#","topOrigin":"https://t.example""#).unwrap_err().code(), "top_origin");
        assert_eq!(check(r#","crossOrigin":"no""#).unwrap_err().code(), "client_data");
    }

    #[test]
    fn refuses() {
        for bad in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"type":"webauthn.get","challenge":"AA"}"#,
            r#"{"type":1,"challenge":"AA","origin":"o"}"#,
            r#"{"type":"a","type":"webauthn.get","challenge":"AA","origin":"o"}"#,
            r#"{"type":"webauthn.get","challenge":"AA","origin":"o","x":1,"x":2}"#,
            r#"{"type":"webauthn.get","challenge":"AA","origin":"o"} "x""#,
            "\u{feff}{\"type\":\"webauthn.get\",\"challenge\":\"AA\",\"origin\":\"o\"}",
        ] {
            assert_eq!(parse(bad).unwrap_err().code(), "client_data", "{bad}");
        }
        let bytes = b"{\"type\":\"webauthn.get\",\"challenge\":\"AA\",\"origin\":\"\xff\"}";
        assert_eq!(ClientData::parse(bytes, &Limits::DEFAULT).unwrap_err().code(), "client_data");
        assert_eq!(parse(&" ".repeat(5000)).unwrap_err().code(), "client_data_size");
        let deep = format!(
            r#"{{"type":"webauthn.get","challenge":"AA","origin":"o","x":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        assert_eq!(parse(&deep).unwrap_err().code(), "client_data");
    }
}
