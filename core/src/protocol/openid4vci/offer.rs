//! Credential offers (OpenID4VCI 1.0 section 4.1): the object, and the link that carries it by value or by reference.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Most configurations one offer may name; more is refused as `offer_configurations`.
pub const MAX_CONFIGURATIONS: usize = 32;

/// A credential offer (section 4.1.1). Unknown members are ignored, as the specification demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialOffer {
    /// Credential issuer identifier.
    pub credential_issuer: String,
    /// Keys of `credential_configurations_supported`; not empty, no repetition.
    pub credential_configuration_ids: Vec<String>,
    /// Grants that the issuer is prepared to process.
    #[serde(default, skip_serializing_if = "Grants::is_empty")]
    pub grants: Grants,
}

/// The grants of an offer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// `authorization_code`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code: Option<AuthorizationCodeGrant>,
    /// `urn:ietf:params:oauth:grant-type:pre-authorized_code`
    #[serde(
        rename = "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub pre_authorized_code: Option<PreAuthorizedCodeGrant>,
}

impl Grants {
    fn is_empty(&self) -> bool {
        self.pre_authorized_code.is_none() && self.authorization_code.is_none()
    }
}

/// The authorization code grant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationCodeGrant {
    /// To be sent with the authorization request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_state: Option<String>,
    /// Which authorization server to use, when the issuer names several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_server: Option<String>,
}

/// The pre-authorized code grant. `Debug` hides the code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreAuthorizedCodeGrant {
    /// The one-time code.
    #[serde(rename = "pre-authorized_code")]
    pub pre_authorized_code: String,
    /// Present, even when empty: a transaction code must be sent with the token request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_code: Option<TxCode>,
    /// Which authorization server to use, when the issuer names several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_server: Option<String>,
}

impl fmt::Debug for PreAuthorizedCodeGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreAuthorizedCodeGrant").field("tx_code", &self.tx_code).finish_non_exhaustive()
    }
}

/// What the wallet should ask the person for (never the code itself).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxCode {
    /// Character set; `numeric` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_mode: Option<InputMode>,
    /// Number of characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// How the person gets the code; at most 300 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Character set of a transaction code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputMode {
    /// Digits only.
    Numeric,
    /// Any characters.
    Text,
}

impl CredentialOffer {
    /// Parses and checks an offer object.
    ///
    /// # Errors
    /// JSON and size: the codes of [`json::parse`]. `offer_configurations`: empty, repeated or too many configuration
    /// ids. `offer_tx_code`: a description over 300 characters. `offer_issuer`: the issuer is no plain absolute URL.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let offer: Self = json::parse_as(bytes, limits)?;
        offer.check()?;
        Ok(offer)
    }

    fn check(&self) -> Result<()> {
        let ids = &self.credential_configuration_ids;
        let repeated = ids.iter().enumerate().any(|(i, id)| ids.iter().take(i).any(|earlier| earlier == id));
        if ids.is_empty() || repeated || ids.len() > MAX_CONFIGURATIONS {
            return Err(Error::malformed(
                "offer_configurations",
                "configuration ids are empty, repeated or too many",
            ));
        }
        let tx_code = self.grants.pre_authorized_code.as_ref().and_then(|grant| grant.tx_code.as_ref());
        if let Some(description) = tx_code.and_then(|tx| tx.description.as_ref())
            && description.chars().count() > 300
        {
            return Err(Error::malformed("offer_tx_code", "the description is longer than 300 characters"));
        }
        super::metadata::issuer_url(&self.credential_issuer)
            .map_err(|_| Error::malformed("offer_issuer", "credential_issuer is no plain absolute URL"))?;
        Ok(())
    }

    /// The link that carries this offer by value. `base` is the wallet's offer endpoint, `openid-credential-offer://`
    /// or an http(s) URL.
    ///
    /// # Errors
    /// `offer_link_base` when `base` is no URL.
    pub fn link_by_value(&self, base: &str) -> Result<String> {
        let text = serde_json::to_string(self)
            .map_err(|_| Error::misuse("offer_not_json", "the offer cannot be written as JSON"))?;
        link(base, "credential_offer", &text)
    }

    /// The link that refers to an offer at `uri`.
    ///
    /// # Errors
    /// `offer_link_base` when `base` is no URL.
    pub fn link_by_reference(base: &str, uri: &Url) -> Result<String> {
        link(base, "credential_offer_uri", uri.as_str())
    }
}

fn link(base: &str, name: &str, value: &str) -> Result<String> {
    let bad = || Error::misuse("offer_link_base", "the wallet's offer link is no URL");
    let scheme = base.split_once("://").ok_or_else(bad)?.0;
    if scheme.is_empty() || base.contains(['?', '#', ' ']) {
        return Err(bad());
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    // Form encoding writes a space as `+`; in a URI of another scheme only `%20` is safe.
    Ok(format!("{base}?{}", query.replace('+', "%20")))
}

/// What an offer link carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferLink {
    /// The offer itself.
    ByValue(CredentialOffer),
    /// Where the offer is.
    ByReference(Url),
}

impl OfferLink {
    /// Reads an offer link of any scheme: `openid-credential-offer://?…`, `https://wallet/…?…`.
    ///
    /// # Errors
    /// `offer_link` when it is no URL, or has neither or both or a repeated parameter; the codes of
    /// [`CredentialOffer::parse`].
    pub fn parse(link: &str, limits: &Limits) -> Result<Self> {
        let bad = |detail: &'static str| Error::malformed("offer_link", detail);
        if link.len() > limits.json_bytes {
            return Err(bad("the link is too long"));
        }
        let url = Url::parse(link.trim()).map_err(|_| bad("not a URL"))?;
        let named: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| name == "credential_offer" || name == "credential_offer_uri")
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        match named.as_slice() {
            [(name, value)] if name == "credential_offer" => {
                CredentialOffer::parse(value.as_bytes(), limits).map(Self::ByValue)
            }
            [(_, value)] => {
                let uri = Url::parse(value).map_err(|_| bad("credential_offer_uri is no URL"))?;
                Ok(Self::ByReference(uri))
            }
            [] => Err(bad("neither credential_offer nor credential_offer_uri")),
            _ => Err(bad("exactly one of credential_offer and credential_offer_uri is allowed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> CredentialOffer {
        CredentialOffer {
            credential_issuer: "https://hospital.example".into(),
            credential_configuration_ids: vec!["patient_identity".into()],
            grants: Grants {
                pre_authorized_code: Some(PreAuthorizedCodeGrant {
                    pre_authorized_code: "c0de".into(),
                    tx_code: Some(TxCode {
                        input_mode: Some(InputMode::Numeric),
                        length: Some(6),
                        description: Some("Ask at the desk + sign".into()),
                    }),
                    authorization_server: None,
                }),
                ..Grants::default()
            },
        }
    }

    #[test]
    fn a_link_by_value_reads_back() {
        for base in ["openid-credential-offer://", "http://localhost:8802/"] {
            let link = offer().link_by_value(base).unwrap();
            assert!(link.starts_with(base) && !link.contains(' ') && !link.contains('+'));
            assert_eq!(OfferLink::parse(&link, &Limits::DEFAULT).unwrap(), OfferLink::ByValue(offer()));
        }
    }

    #[test]
    fn a_link_by_reference_reads_back() {
        let uri = Url::parse("https://hospital.example/oid4vci/offers/x?y=1&z=2").unwrap();
        let link = CredentialOffer::link_by_reference("openid-credential-offer://", &uri).unwrap();
        assert_eq!(OfferLink::parse(&link, &Limits::DEFAULT).unwrap(), OfferLink::ByReference(uri));
    }

    #[test]
    fn bad_links_and_offers() {
        let both =
            "openid-credential-offer://?credential_offer=%7B%7D&credential_offer_uri=https://a.example/";
        let twice = "openid-credential-offer://?credential_offer_uri=https://a.example/&credential_offer_uri=https://a.example/";
        for link in ["", "x", "openid-credential-offer://", both, twice, "x://?credential_offer_uri=no url"] {
            assert_eq!(OfferLink::parse(link, &Limits::DEFAULT).unwrap_err().code(), "offer_link", "{link}");
        }
        let table = [
            (
                r#"{"credential_issuer":"https://a.example","credential_configuration_ids":[]}"#,
                "offer_configurations",
            ),
            (
                r#"{"credential_issuer":"https://a.example","credential_configuration_ids":["x","x"]}"#,
                "offer_configurations",
            ),
            (
                r#"{"credential_issuer":"https://a.example?q","credential_configuration_ids":["x"]}"#,
                "offer_issuer",
            ),
            (r#"{"credential_issuer":"a","credential_configuration_ids":["x"]}"#, "offer_issuer"),
        ];
        for (text, code) in table {
            assert_eq!(
                CredentialOffer::parse(text.as_bytes(), &Limits::DEFAULT).unwrap_err().code(),
                code,
                "{text}"
            );
        }
        for text in ["[]", "{}", r#"{"credential_issuer":1,"credential_configuration_ids":["x"]}"#, "\u{0}"] {
            assert!(CredentialOffer::parse(text.as_bytes(), &Limits::DEFAULT).is_err(), "{text}");
        }
    }

    #[test]
    fn published_examples() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/openid4vci/1.0/examples/");
        let names = [
            "credential_offer_by_reference.json",
            "credential_offer_multiple_credentials.json",
            "credential_offer_pre-authz_code.json",
        ];
        let mut read = 0;
        for name in names {
            let Ok(bytes) = std::fs::read(format!("{folder}{name}")) else {
                println!("skipped: {name} absent");
                continue;
            };
            let offer = CredentialOffer::parse(&bytes, &Limits::DEFAULT).unwrap();
            assert!(offer.grants.pre_authorized_code.unwrap().tx_code.is_some());
            read += 1;
        }
        assert!(read == 0 || read == names.len());
    }

    #[test]
    fn the_code_does_not_print() {
        assert!(!format!("{:?}", offer()).contains("c0de"));
    }
}
