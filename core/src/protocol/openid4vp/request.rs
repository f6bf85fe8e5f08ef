//! The authorization request (OpenID4VP 1.0 section 5): its parameters, as a request object or in a link.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use url::Url;

use super::client_id::{ClientId, ClientIdPrefix};
use super::dcql::DcqlQuery;
use super::link::web_url;
use super::verifier_info::VerifierInfo;
use crate::clock::UnixTime;
use crate::credential::CredentialFormat;
use crate::error::{Error, Result};
use crate::format::data_integrity::Cryptosuite;
use crate::jose::jwe::{self, ContentEncryption, Curve, KeyManagement};
use crate::jose::jwk::Jwk;
use crate::jose::jwt;

/// `typ` of a signed request (section 5, RFC 9101).
pub const REQUEST_OBJECT_TYP: &str = "oauth-authz-req+jwt";
/// `aud` of a request whose wallet is not known beforehand (section 5.8).
pub const SELF_ISSUED: &str = "https://self-issued.me/v2";
/// Most entries of `expected_origins`.
pub const MAX_ORIGINS: usize = 32;
/// Our own parameter with the purpose in words, for requests without transaction data; other wallets ignore it.
pub const PURPOSE_PARAMETER: &str = "urn:carekey:purpose:1";

/// How the answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// Posted as a form (section 8.2).
    #[serde(rename = "direct_post")]
    DirectPost,
    /// Posted as a form, encrypted (section 8.3.1).
    #[serde(rename = "direct_post.jwt")]
    DirectPostJwt,
    /// In the fragment of the address to which the wallet sends the browser (section 5.6); the default.
    #[serde(rename = "fragment")]
    Fragment,
    /// Over the Digital Credentials API (appendix A).
    #[serde(rename = "dc_api")]
    DcApi,
    /// Over the Digital Credentials API, encrypted (appendix A).
    #[serde(rename = "dc_api.jwt")]
    DcApiJwt,
}

impl ResponseMode {
    /// All that are carried.
    pub const ALL: [Self; 5] =
        [Self::DirectPost, Self::DirectPostJwt, Self::Fragment, Self::DcApi, Self::DcApiJwt];

    /// The parameter's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DirectPost => "direct_post",
            Self::DirectPostJwt => "direct_post.jwt",
            Self::Fragment => "fragment",
            Self::DcApi => "dc_api",
            Self::DcApiJwt => "dc_api.jwt",
        }
    }

    /// The mode of a parameter's value; [`Error::Unsupported`] `response_mode`.
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|mode| mode.as_str() == name);
        known.ok_or_else(|| Error::unsupported("response_mode", "this response mode is not supported"))
    }

    /// Whether the answer is encrypted to the verifier.
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::DirectPostJwt | Self::DcApiJwt)
    }

    /// Whether request and answer travel over the Digital Credentials API.
    pub const fn is_dc_api(self) -> bool {
        matches!(self, Self::DcApi | Self::DcApiJwt)
    }

    /// The parameter with the address of the answer; `None` where the platform carries it.
    const fn destination_parameter(self) -> Option<&'static str> {
        match self {
            Self::DirectPost | Self::DirectPostJwt => Some("response_uri"),
            Self::Fragment => Some("redirect_uri"),
            Self::DcApi | Self::DcApiJwt => None,
        }
    }
}

/// A request for presentations. Parsing it authenticates nobody.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client_id: ClientId,
    /// How the answer travels.
    pub response_mode: ResponseMode,
    /// Where the answer goes: `response_uri`, or `redirect_uri` for [`ResponseMode::Fragment`]; `None` over the Digital
    /// Credentials API.
    pub destination: Option<Url>,
    /// `expected_origins` of signed requests over the Digital Credentials API.
    pub expected_origins: Vec<String>,
    /// The origin from which it came over the Digital Credentials API, as the platform says: never a parameter.
    pub origin: Option<String>,
    /// Fresh value that presentations must contain.
    pub nonce: String,
    /// Comes back with the answer.
    pub state: Option<String>,
    /// What is asked for.
    pub dcql_query: DcqlQuery,
    /// `client_metadata`.
    pub client_metadata: ClientMetadata,
    /// `transaction_data`: the base64url strings as sent.
    pub transaction_data: Vec<String>,
    /// `verifier_info`: what others attest about the verifier.
    pub verifier_info: Vec<VerifierInfo>,
    /// Echo of the wallet's own nonce (section 5.10).
    pub wallet_nonce: Option<String>,
    /// [`PURPOSE_PARAMETER`].
    pub purpose: Option<String>,
    /// `iat`
    pub issued_at: Option<UnixTime>,
    /// `exp`
    pub expires_at: Option<UnixTime>,
}

/// Member of our own records; requests that come from outside are never read with it.
const OWN_ORIGIN: &str = "urn:carekey:origin:1";

impl Serialize for AuthorizationRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut claims = self.to_claims();
        if let Some(origin) = &self.origin {
            claims.insert(OWN_ORIGIN.to_owned(), origin.as_str().into());
        }
        claims.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuthorizationRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut claims = Map::deserialize(deserializer)?;
        let origin = claims.shift_remove(OWN_ORIGIN);
        let request = match origin.as_ref().and_then(Value::as_str) {
            Some(origin) => Self::from_platform(&claims, origin),
            None => Self::from_claims(&claims),
        };
        request.map_err(|error| serde::de::Error::custom(error.code()))
    }
}

/// The members of `client_metadata` that this build uses (section 5.1).
#[derive(Debug, Clone, PartialEq)]
pub struct ClientMetadata {
    /// The key for an encrypted answer, one that [`jwe::encrypt`] can encrypt to.
    pub encryption_key: Option<Jwk>,
    /// `encrypted_response_enc_values_supported`; empty means the default, `A128GCM`.
    pub content_encryptions: Vec<String>,
    /// `vp_formats_supported`
    pub vp_formats_supported: Value,
}

/// `vp_formats_supported` of this build (appendices B.1.3 and B.3.4), with these algorithms for the holder's proof.
pub fn vp_formats(holder_algorithms: &[&str]) -> Value {
    let algorithms = ["ES256", "ES384", "ES512", "EdDSA"];
    let suites = Cryptosuite::ALL.map(Cryptosuite::as_str);
    let suites: Vec<_> = suites.into_iter().filter(|suite| *suite != Cryptosuite::Bbs2023.as_str()).collect();
    json!({
        CredentialFormat::DcSdJwt.as_str(): {
            "sd-jwt_alg_values": algorithms, "kb-jwt_alg_values": holder_algorithms,
        },
        CredentialFormat::LdpVc.as_str(): {
            "proof_type_values": ["DataIntegrityProof"], "cryptosuite_values": suites,
        },
        CredentialFormat::JwtVcJson.as_str(): { "alg_values": algorithms },
    })
}

impl Default for ClientMetadata {
    /// No encryption; the formats and algorithms of this build.
    fn default() -> Self {
        let formats = vp_formats(&["ES256", "ES384", "EdDSA"]);
        Self { encryption_key: None, content_encryptions: Vec::new(), vp_formats_supported: formats }
    }
}

impl AuthorizationRequest {
    /// Reads the parameters; unknown ones are ignored (section 5). Requests for the Digital Credentials API are refused:
    /// they come with an origin ([`Self::from_platform`]).
    ///
    /// Errors: [`Error::Malformed`] `request_object`, `request_url`, `dcql`, `client_id`; [`Error::Unsupported`]
    /// `response_type`, `response_mode`, `request_scope`, `client_id_prefix`; [`Error::Refused`] `request_audience`.
    pub fn from_claims(claims: &Map<String, Value>) -> Result<Self> {
        let request = Self::read(claims, required(claims, "client_id")?.parse()?, None)?;
        match request.response_mode.is_dc_api() {
            true => Err(Error::unsupported("response_mode", "the Digital Credentials API was not used")),
            false => Ok(request),
        }
    }

    /// Reads the parameters of a request that came from `origin` over the Digital Credentials API (appendix A.2). Without
    /// `client_id` it is unsigned, and the verifier is its origin.
    ///
    /// Errors: those of [`Self::from_claims`].
    pub fn from_platform(claims: &Map<String, Value>, origin: &str) -> Result<Self> {
        let client_id = match text(claims, "client_id")? {
            Some(client_id) => client_id.parse()?,
            None => ClientId::new(ClientIdPrefix::Origin, origin),
        };
        let request = Self::read(claims, client_id, Some(origin))?;
        match request.response_mode.is_dc_api() {
            true => Ok(request),
            false => Err(Error::unsupported("response_mode", "the response mode is not dc_api(.jwt)")),
        }
    }

    fn read(claims: &Map<String, Value>, client_id: ClientId, origin: Option<&str>) -> Result<Self> {
        let text = |name: &'static str| text(claims, name);
        if required(claims, "response_type")? != "vp_token" {
            return Err(Error::unsupported("response_type", "the only response type is vp_token"));
        }
        let response_mode = text("response_mode")?.map_or(Ok(ResponseMode::Fragment), ResponseMode::parse)?;
        if claims.contains_key("scope") {
            return Err(Error::unsupported("request_scope", "`scope` is not carried; use `dcql_query`"));
        }
        let destination = destination(claims, response_mode, &client_id)?;
        // Credo-TS names the verifier's own address; a request that says so is for no other wallet.
        let own = |audience: &str| {
            let origin = Url::parse(audience).ok().map(|url| url.origin());
            origin.is_some() && origin == destination.as_ref().map(Url::origin)
        };
        if text("aud")?.is_some_and(|audience| audience != SELF_ISSUED && !own(audience)) {
            return Err(Error::refused("request_audience", "the request is meant for another wallet"));
        }
        let request = Self {
            response_mode,
            destination,
            expected_origins: match origin {
                Some(_) => expected_origins(claims.get("expected_origins"))?,
                None => Vec::new(),
            },
            origin: origin.map(str::to_owned),
            nonce: url_safe(required(claims, "nonce")?, "nonce")?,
            state: text("state")?.map(|state| url_safe(state, "state")).transpose()?,
            dcql_query: DcqlQuery::parse(
                claims.get("dcql_query").ok_or_else(|| malformed("`dcql_query` is missing"))?,
            )?,
            client_metadata: ClientMetadata::from_value(claims.get("client_metadata"))?,
            transaction_data: transaction_data(claims.get("transaction_data"))?,
            verifier_info: VerifierInfo::parse_all(claims.get("verifier_info"))?,
            wallet_nonce: text("wallet_nonce")?.map(str::to_owned),
            purpose: text(PURPOSE_PARAMETER)?.map(str::to_owned),
            issued_at: jwt::time(claims, "iat")?,
            expires_at: jwt::time(claims, "exp")?,
            client_id,
        };
        // A federation's metadata takes the place of this one.
        match request.client_id.prefix() {
            ClientIdPrefix::OpenidFederation => Ok(request),
            _ => request.with_encryption_key(),
        }
    }

    /// The same, with the verifier's metadata from where its client identifier prefix says.
    ///
    /// Errors: [`Error::Malformed`] `request_object`.
    pub(super) fn with_client_metadata(mut self, metadata: &Value) -> Result<Self> {
        self.client_metadata = ClientMetadata::from_value(Some(metadata))?;
        self.with_encryption_key()
    }

    fn with_encryption_key(self) -> Result<Self> {
        match self.response_mode.is_encrypted() && self.client_metadata.encryption_key.is_none() {
            true => Err(malformed("the verifier's metadata has no key for the encrypted response")),
            false => Ok(self),
        }
    }

    /// The audience of the presentations (appendix B.3.6): over the Digital Credentials API the origin, else the client.
    pub fn audience(&self) -> String {
        match &self.origin {
            Some(origin) => format!("origin:{origin}"),
            None => self.client_id.as_str().to_owned(),
        }
    }

    /// The parameters as they are sent.
    pub fn to_claims(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| {
            claims.insert(name.to_owned(), value);
        };
        if self.client_id.prefix() != ClientIdPrefix::Origin {
            put("client_id", self.client_id.as_str().into());
        }
        put("response_type", "vp_token".into());
        put("response_mode", self.response_mode.as_str().into());
        if let (Some(name), Some(url)) = (self.response_mode.destination_parameter(), &self.destination) {
            put(name, url.as_str().into());
        }
        if !self.expected_origins.is_empty() {
            put("expected_origins", json!(self.expected_origins));
        }
        put("nonce", self.nonce.as_str().into());
        if let Some(state) = &self.state {
            put("state", state.as_str().into());
        }
        put("dcql_query", self.dcql_query.to_value());
        put("client_metadata", self.client_metadata.to_value());
        if !self.transaction_data.is_empty() {
            put("transaction_data", json!(self.transaction_data));
        }
        if !self.verifier_info.is_empty() {
            put("verifier_info", self.verifier_info.iter().map(VerifierInfo::to_value).collect());
        }
        if let Some(nonce) = &self.wallet_nonce {
            put("wallet_nonce", nonce.as_str().into());
        }
        if let Some(purpose) = &self.purpose {
            put(PURPOSE_PARAMETER, purpose.as_str().into());
        }
        // In a link, numbers would become texts: only request objects carry times.
        if self.client_id.prefix().is_signed() {
            put("aud", SELF_ISSUED.into());
            for (name, time) in [("iat", self.issued_at), ("exp", self.expires_at)] {
                if let Some(time) = time {
                    put(name, time.as_secs().into());
                }
            }
        }
        claims
    }

    /// The content encryption for the answer: `A256GCM` where it is offered (HAIP 1.0 section 5), else the first that both
    /// sides know.
    pub fn content_encryption(&self) -> Result<ContentEncryption> {
        let offered = &self.client_metadata.content_encryptions;
        if offered.is_empty() {
            return Ok(ContentEncryption::A128Gcm);
        }
        let mut known = offered.iter().filter_map(|name| ContentEncryption::parse(name).ok());
        let best = known.clone().find(|enc| *enc == ContentEncryption::A256Gcm).or_else(|| known.next());
        best.ok_or_else(|| {
            Error::unsupported("response_encryption", "none of the content encryptions is supported")
        })
    }
}

impl ClientMetadata {
    fn from_value(value: Option<&Value>) -> Result<Self> {
        let Some(value) = value else { return Ok(Self::default()) };
        let metadata = value.as_object().ok_or_else(|| malformed("`client_metadata` is not an object"))?;
        let keys = match metadata.get("jwks").map(|jwks| jwks.get("keys").and_then(Value::as_array)) {
            None => &Vec::new(),
            Some(Some(keys)) => keys,
            Some(None) => return Err(malformed("`client_metadata.jwks` is not a key set")),
        };
        let content_encryptions = match metadata.get("encrypted_response_enc_values_supported") {
            None => Vec::new(),
            Some(Value::Array(names)) if !names.is_empty() => names
                .iter()
                .map(|name| {
                    name.as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| malformed("an `enc` value is not a string"))
                })
                .collect::<Result<_>>()?,
            Some(_) => {
                return Err(malformed("`encrypted_response_enc_values_supported` is not a non-empty array"));
            }
        };
        Ok(Self {
            // Keys of other kinds and for other uses may stand beside it. `alg` must be there (section 8.3).
            encryption_key: encryption_key(keys),
            content_encryptions,
            vp_formats_supported: metadata.get("vp_formats_supported").cloned().unwrap_or(Value::Null),
        })
    }

    fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("vp_formats_supported".into(), self.vp_formats_supported.clone());
        if let Some(key) = &self.encryption_key {
            metadata.insert("jwks".into(), json!({ "keys": [key] }));
        }
        if !self.content_encryptions.is_empty() {
            metadata
                .insert("encrypted_response_enc_values_supported".into(), json!(self.content_encryptions));
        }
        Value::Object(metadata)
    }
}

/// A key on P-256 for `ECDH-ES` (HAIP 1.0 section 5) where there is one, else the first that can be encrypted to.
fn encryption_key(keys: &[Value]) -> Option<Jwk> {
    let usable = keys.iter().filter_map(|key| {
        let key = Jwk::from_value(key).ok().filter(|key| key.alg.is_some())?;
        Some((jwe::recipient_algorithm(&key)?, key))
    });
    let mut usable: Vec<_> = usable.collect();
    let preferred = (KeyManagement::EcdhEs, Curve::P256);
    usable.sort_by_key(|(algorithm, _)| *algorithm != preferred);
    usable.into_iter().next().map(|(_, key)| key)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 2048 => Ok(Some(text.as_str())),
        Some(_) => Err(malformed(format!("`{name}` must be a string of 1 to 2048 bytes"))),
    }
}

fn required<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str> {
    text(claims, name)?.ok_or_else(|| malformed(format!("`{name}` is missing")))
}

/// Where the answer goes. Only the parameter of the response mode may be there (section 8.2); the prefix `redirect_uri` may
/// leave it out, since the identifier is the address (section 5.9.3).
fn destination(claims: &Map<String, Value>, mode: ResponseMode, client_id: &ClientId) -> Result<Option<Url>> {
    let Some(name) = mode.destination_parameter() else { return Ok(None) };
    let other = if name == "response_uri" { "redirect_uri" } else { "response_uri" };
    if claims.contains_key(other) {
        return Err(malformed(format!("`{other}` must not be present with {}", mode.as_str())));
    }
    let address = match (text(claims, name)?, client_id.prefix()) {
        (Some(address), _) => address,
        (None, ClientIdPrefix::RedirectUri) => client_id.original(),
        (None, _) => return Err(malformed(format!("`{name}` is missing"))),
    };
    web_url(address, name).map(Some)
}

/// `expected_origins` (appendix A.2): texts that are compared with the platform's word, and never interpreted.
fn expected_origins(value: Option<&Value>) -> Result<Vec<String>> {
    let fault = || malformed("`expected_origins` is not an array of 1 to 32 strings");
    let origin = |value: &Value| value.as_str().filter(|text| text.len() <= 2048).map(str::to_owned);
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) if (1..=MAX_ORIGINS).contains(&list.len()) => {
            list.iter().map(|value| origin(value).ok_or_else(fault)).collect()
        }
        Some(_) => Err(fault()),
    }
}

fn transaction_data(value: Option<&Value>) -> Result<Vec<String>> {
    let fault = || {
        Error::malformed("invalid_transaction_data", "`transaction_data` is not a non-empty array of strings")
    };
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(entries)) if !entries.is_empty() => {
            entries.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or_else(fault)).collect()
        }
        Some(_) => Err(fault()),
    }
}

/// `nonce` and `state` are made of ASCII URL safe characters only (sections 5.1 and 5.2).
fn url_safe(text: &str, name: &str) -> Result<String> {
    match text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')) {
        true => Ok(text.to_owned()),
        false => Err(malformed(format!("`{name}` has a character outside the URL safe ones"))),
    }
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::malformed("request_object", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Value {
        // Section 8.2's example, completed.
        json!({
            "client_id": "redirect_uri:https://client.example.org/post",
            "response_uri": "https://client.example.org/post",
            "response_type": "vp_token",
            "response_mode": "direct_post",
            "dcql_query": {"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:t"]}}]},
            "nonce": "n-0S6_WzA2Mj",
            "state": "eyJhb.6-sVA"
        })
    }

    fn read(claims: &Value) -> Result<AuthorizationRequest> {
        AuthorizationRequest::from_claims(claims.as_object().unwrap())
    }

    #[test]
    fn round_trip() {
        let request = read(&claims()).unwrap();
        assert_eq!(AuthorizationRequest::from_claims(&request.to_claims()).unwrap(), request);
        let mut without_uri = claims();
        without_uri.as_object_mut().unwrap().remove("response_uri");
        assert_eq!(read(&without_uri).unwrap(), request);
    }

    /// The key set of section 8.3: the P-256 key is taken, the others are passed over.
    #[test]
    fn picks_the_encryption_key() {
        let mut encrypted = claims();
        encrypted["response_mode"] = json!("direct_post.jwt");
        encrypted["client_metadata"] = json!({
            "jwks": {"keys": [
                {"kty": "OKP", "kid": "jc", "use": "enc", "crv": "X25519", "alg": "ECDH-ES",
                    "x": "WPX7wnwq10hFNK9aDSyG1QlLswE_CJY14LdhcFUIVVc"},
                {"kty": "EC", "kid": "ac", "use": "enc", "crv": "P-256", "alg": "ECDH-ES",
                    "x": "YO4epjifD-KWeq1sL2tNmm36BhXnkJ0He-WqMYrp9Fk",
                    "y": "Hekpm0zfK7C-YccH5iBjcIXgf6YdUvNUac_0At55Okk"}
            ]},
            "encrypted_response_enc_values_supported": ["A128CBC-HS256", "A256GCM"]
        });
        let request = read(&encrypted).unwrap();
        assert_eq!(request.client_metadata.encryption_key.as_ref().unwrap().kid.as_deref(), Some("ac"));
        assert_eq!(request.content_encryption().unwrap(), ContentEncryption::A256Gcm);
        assert_eq!(AuthorizationRequest::from_claims(&request.to_claims()).unwrap(), request);

        encrypted["client_metadata"]["jwks"]["keys"][1]["use"] = json!("sig");
        let request = read(&encrypted).unwrap();
        assert_eq!(request.client_metadata.encryption_key.as_ref().unwrap().kid.as_deref(), Some("jc"));
        encrypted["client_metadata"]["jwks"]["keys"][0].as_object_mut().unwrap().remove("alg");
        assert_eq!(read(&encrypted).unwrap_err().code(), "request_object");
        encrypted["client_metadata"]["jwks"]["keys"][1]["use"] = json!("enc");
        encrypted["client_metadata"]["encrypted_response_enc_values_supported"] = json!(["A192GCM"]);
        assert_eq!(read(&encrypted).unwrap().content_encryption().unwrap_err().code(), "response_encryption");
    }

    #[test]
    fn a_verifier_may_name_itself_as_the_audience() {
        let mut request = claims();
        let own = Url::parse(request["response_uri"].as_str().unwrap()).unwrap();
        request["aud"] = json!(own.join("/requests/1").unwrap());
        read(&request).unwrap();
    }

    #[test]
    fn refused() {
        for (name, value, code) in [
            ("client_id", json!("client"), "client_id_prefix"),
            ("client_id", json!(7), "request_object"),
            ("response_type", json!("code"), "response_type"),
            ("response_type", json!(null), "request_object"),
            ("response_mode", json!("fragment"), "request_object"), // with a `response_uri`
            ("response_mode", json!("query"), "response_mode"),
            ("response_mode", json!("dc_api"), "response_mode"), // without a platform
            ("client_id", json!("origin:https://client.example.org"), "client_id_prefix"),
            ("response_mode", json!("direct_post.jwt"), "request_object"),
            ("response_uri", json!("javascript:alert(1)"), "request_url"),
            ("redirect_uri", json!("https://client.example.org/cb"), "request_object"),
            ("scope", json!("openid"), "request_scope"),
            ("aud", json!("https://other.example"), "request_audience"),
            ("nonce", json!(""), "request_object"),
            ("nonce", json!("a b"), "request_object"),
            ("nonce", json!("x".repeat(3000)), "request_object"),
            ("state", json!("ä"), "request_object"),
            ("dcql_query", json!({}), "dcql"),
            ("dcql_query", json!("{}"), "dcql"),
            ("client_metadata", json!([]), "request_object"),
            ("client_metadata", json!({"jwks": []}), "request_object"),
            ("client_metadata", json!({"encrypted_response_enc_values_supported": []}), "request_object"),
            ("transaction_data", json!([]), "invalid_transaction_data"),
            ("transaction_data", json!([{}]), "invalid_transaction_data"),
            ("exp", json!("soon"), "jwt_claim"),
        ] {
            let mut bad = claims();
            bad[name] = value;
            assert_eq!(read(&bad).unwrap_err().code(), code, "{name}");
        }
        for name in ["client_id", "response_type", "response_mode", "dcql_query", "nonce"] {
            let mut bad = claims();
            bad.as_object_mut().unwrap().remove(name);
            assert!(read(&bad).is_err(), "{name}");
        }
    }

    /// Section 5.6: the default mode, to the `redirect_uri` that the identifier names.
    #[test]
    fn fragment() {
        let mut claims = claims();
        let members = claims.as_object_mut().unwrap();
        members.remove("response_uri");
        members.remove("response_mode");
        let request = read(&claims).unwrap();
        assert_eq!(request.response_mode, ResponseMode::Fragment);
        assert_eq!(request.destination.as_ref().unwrap().as_str(), "https://client.example.org/post");
        assert_eq!(request.to_claims()["redirect_uri"], "https://client.example.org/post");
        assert_eq!(AuthorizationRequest::from_claims(&request.to_claims()).unwrap(), request);
        claims["redirect_uri"] = json!("https://client.example.org/post#x");
        assert_eq!(read(&claims).unwrap_err().code(), "request_url");
    }

    /// Appendix A.2.
    #[test]
    fn from_a_platform() {
        let mut claims = claims();
        let members = claims.as_object_mut().unwrap();
        for name in ["client_id", "response_uri", "state"] {
            members.remove(name);
        }
        members.insert("response_mode".into(), json!("dc_api"));
        let read = |claims: &Value| {
            AuthorizationRequest::from_platform(claims.as_object().unwrap(), "https://portal.example")
        };
        let unsigned = read(&claims).unwrap();
        assert_eq!(unsigned.audience(), "origin:https://portal.example");
        assert!(!unsigned.to_claims().contains_key("client_id"));
        claims["client_id"] = json!("x509_san_dns:portal.example");
        claims["expected_origins"] = json!(["https://portal.example"]);
        let signed = read(&claims).unwrap();
        assert_eq!(signed.audience(), "origin:https://portal.example", "even though it is signed");
        for request in [unsigned, signed] {
            let own = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<AuthorizationRequest>(&own).unwrap(), request);
        }
        for (name, value, code) in [
            ("response_mode", json!("direct_post"), "request_object"),
            ("expected_origins", json!([]), "request_object"),
            ("expected_origins", json!("https://portal.example"), "request_object"),
            ("expected_origins", json!([1]), "request_object"),
            ("expected_origins", json!(vec!["https://portal.example"; MAX_ORIGINS + 1]), "request_object"),
            ("client_id", json!("origin:https://portal.example"), "client_id_prefix"),
            ("response_mode", json!("dc_api.jwt"), "request_object"), // without a key
        ] {
            let mut bad = claims.clone();
            bad[name] = value;
            assert_eq!(read(&bad).unwrap_err().code(), code, "{name}");
        }
    }
}
