//! The link that opens a wallet (OpenID4VP 1.0 sections 5 and 5.10): a reference to the request, or an unsigned request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use super::client_id::ClientId;
use super::request::AuthorizationRequest;
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// How the wallet fetches the request object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestUriMethod {
    /// `get`, also where the parameter is absent.
    Get,
    /// `post`: the wallet may send `wallet_nonce` and `wallet_metadata` (section 5.10).
    Post,
}

/// A parsed link. Nothing of it is authenticated.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestLink {
    /// The request object lies at `request_uri`.
    ByReference {
        /// Who the link says is asking; the request object must say the same.
        client_id: ClientId,
        /// Where the request object lies.
        request_uri: Url,
        /// How to fetch it.
        method: RequestUriMethod,
    },
    /// An unsigned request in the parameters themselves, for the prefix `redirect_uri`.
    ByValue(Box<AuthorizationRequest>),
}

impl RequestLink {
    /// Reads a link of any scheme; only its query counts.
    ///
    /// Errors: `request_link` (malformed), `client_id_prefix`, `request_uri_method`, and those of the request itself.
    pub fn parse(link: &str, limits: &Limits) -> Result<Self> {
        if link.len() > limits.json_bytes {
            return Err(Error::malformed("request_link", "the link is too long"));
        }
        let query = link.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
        let query = query.ok_or_else(|| Error::malformed("request_link", "the link has no parameters"))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(Error::malformed("request_link", "a parameter occurs twice"));
            }
        }
        let client_id: ClientId = parameters
            .get("client_id")
            .ok_or_else(|| Error::malformed("request_link", "`client_id` is missing"))?
            .parse()?;
        if parameters.contains_key("request") {
            return Err(Error::unsupported(
                "request_by_value",
                "signed requests are taken by reference only",
            ));
        }
        let method = match parameters.get("request_uri_method").map(String::as_str) {
            None | Some("get") => RequestUriMethod::Get,
            Some("post") => RequestUriMethod::Post,
            Some(_) => {
                return Err(Error::malformed(
                    "request_uri_method",
                    "`request_uri_method` is neither get nor post",
                ));
            }
        };
        match parameters.get("request_uri") {
            Some(uri) => {
                Ok(Self::ByReference { client_id, request_uri: web_url(uri, "request_uri")?, method })
            }
            None if parameters.contains_key("request_uri_method") => {
                Err(Error::malformed("request_uri_method", "`request_uri_method` without `request_uri`"))
            }
            None => Self::by_value(&parameters, limits),
        }
    }

    fn by_value(parameters: &BTreeMap<String, String>, limits: &Limits) -> Result<Self> {
        // Objects and arrays travel as JSON texts (section 5.1).
        let mut request = Map::new();
        for (name, value) in parameters {
            let value = match name.as_str() {
                "dcql_query" | "client_metadata" | "transaction_data" | "verifier_info" => {
                    json::parse(value.as_bytes(), limits)?
                }
                _ => Value::String(value.clone()),
            };
            request.insert(name.clone(), value);
        }
        let request = AuthorizationRequest::from_claims(&request)?;
        match request.client_id.prefix().is_signed() {
            true => Err(Error::untrusted(
                "request_unsigned",
                "this kind of client identifier demands a signed request",
            )),
            false => Ok(Self::ByValue(Box::new(request))),
        }
    }

    /// The link under `base`: a scheme (`openid4vp://`) or the address of a wallet page (`http://localhost:8802/`).
    pub fn to_link(&self, base: &str) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        match self {
            Self::ByReference { client_id, request_uri, method } => {
                pairs.append_pair("client_id", client_id.as_str());
                pairs.append_pair("request_uri", request_uri.as_str());
                if *method == RequestUriMethod::Post {
                    pairs.append_pair("request_uri_method", "post");
                }
            }
            Self::ByValue(request) => {
                for (name, value) in request.to_claims() {
                    match value {
                        Value::String(text) => pairs.append_pair(&name, &text),
                        other => pairs.append_pair(&name, &other.to_string()),
                    };
                }
            }
        }
        format!("{base}?{}", pairs.finish())
    }
}

/// An absolute `https` or `http` URL with a host and without credentials or fragment; the HTTP client decides about
/// plain `http`.
pub(super) fn web_url(text: &str, name: &str) -> Result<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && text.len() <= 2048
    });
    url.ok_or_else(|| Error::malformed("request_url", format!("`{name}` is not a web address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(link: &str) -> Result<RequestLink> {
        RequestLink::parse(link, &Limits::DEFAULT)
    }

    #[test]
    fn by_reference() {
        for base in ["openid4vp://", "http://localhost:8802/", "haip-vp://authorize"] {
            for method in [RequestUriMethod::Get, RequestUriMethod::Post] {
                let link = RequestLink::ByReference {
                    client_id: "x509_san_dns:client.example.org".parse().unwrap(),
                    request_uri: Url::parse("https://client.example.org/567545564?a=b&c").unwrap(),
                    method,
                };
                assert_eq!(parse(&link.to_link(base)).unwrap(), link);
            }
        }
    }

    #[test]
    fn refused() {
        let code = |link: &str| parse(link).unwrap_err().code();
        let good = "openid4vp://?client_id=x509_hash:abc&request_uri=https%3A%2F%2Fc.example%2F1";
        assert!(parse(good).is_ok());
        assert_eq!(code("openid4vp://"), "request_link");
        assert_eq!(code(&format!("{good}&client_id=x509_hash:abc")), "request_link");
        assert_eq!(code("openid4vp://?request_uri=https%3A%2F%2Fc.example%2F1"), "request_link");
        assert_eq!(
            code("openid4vp://?client_id=client&request_uri=https%3A%2F%2Fc.example%2F1"),
            "client_id_prefix"
        );
        assert_eq!(code(&format!("{good}&request_uri_method=POST")), "request_uri_method");
        assert_eq!(
            code("openid4vp://?client_id=x509_hash:abc&request_uri_method=post"),
            "request_uri_method"
        );
        assert_eq!(code("openid4vp://?client_id=x509_hash:abc&request=ey"), "request_by_value");
        for uri in [
            "ftp://c.example/1",
            "file:///etc/passwd",
            "https://u:p@c.example/",
            "/1",
            "https://c.example/%23#x",
        ] {
            let uri: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
            assert_eq!(
                code(&format!("openid4vp://?client_id=x509_hash:abc&request_uri={uri}")),
                "request_url"
            );
        }
        assert_eq!(code(&format!("openid4vp://?{}", "x".repeat(300_000))), "request_link");
    }
}
