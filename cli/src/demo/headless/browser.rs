//! What stands in for people and their browsers: staff calling the management APIs, and the wallet's page calling its
//! JSON API with a software authenticator in place of the passkey.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use carekey_core::authenticator::SoftwareAuthenticator;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::webauthn::options::{CreationOptions, RequestOptions};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::servers::Failure;

/// An answer of a server.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The body of a good answer.
    pub(super) fn good(self) -> Result<Value, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let code = self.code().unwrap_or("no code").to_owned();
        let detail = self.body.get("detail").and_then(Value::as_str).unwrap_or_default();
        Err(Failure::new(format!("status {}, {code}: {detail}", self.status)))
    }

    /// The stable code of an error.
    pub(super) fn code(&self) -> Option<&str> {
        self.body.get("code").and_then(Value::as_str)
    }
}

/// Sends one request and reads a JSON answer.
pub(super) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    let response = request.send().await.map_err(|error| Failure::new(format!("no answer: {error}")))?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.map_err(|error| Failure::new(format!("half an answer: {error}")))?;
    let body =
        if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
    Ok(Answer { status, body })
}

/// The wallet's page: session cookie, form value, and the passkey behind it.
pub(super) struct WalletPage {
    client: reqwest::Client,
    base: String,
    cookie: String,
    csrf: String,
    authenticator: Arc<SoftwareAuthenticator>,
}

impl WalletPage {
    /// Opens the page at `base` as a browser does.
    pub(super) async fn open(
        client: reqwest::Client,
        base: &str,
        authenticator: Arc<SoftwareAuthenticator>,
    ) -> Result<Self, Failure> {
        let response = client.get(format!("{base}/")).send().await.map_err(Failure::new)?;
        let cookie = response
            .headers()
            .get("set-cookie")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .ok_or_else(|| Failure::new("the wallet page sets no cookie"))?
            .to_owned();
        let html = response.text().await.map_err(Failure::new)?;
        let csrf = html
            .split_once("name=\"carekey-csrf\" content=\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(value, _)| value.to_owned())
            .ok_or_else(|| Failure::new("the wallet page has no form value"))?;
        Ok(Self { client, base: base.to_owned(), cookie, csrf, authenticator })
    }

    /// How often the person was asked.
    pub(super) fn prompts(&self) -> usize {
        self.authenticator.prompts()
    }

    /// What its requests carry.
    pub(super) fn headers(&self) -> HeaderMap {
        self.cookie.parse().map(|cookie| HeaderMap::from_iter([(header::COOKIE, cookie)])).unwrap_or_default()
    }

    /// The same page with another authenticator.
    pub(super) fn with_authenticator(&self, authenticator: Arc<SoftwareAuthenticator>) -> Self {
        Self {
            client: self.client.clone(),
            base: self.base.clone(),
            cookie: self.cookie.clone(),
            csrf: self.csrf.clone(),
            authenticator,
        }
    }

    /// Reads from the page's API.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.client.get(format!("{}{path}", self.base)).header("cookie", &self.cookie);
        send(request.header("x-carekey-csrf", &self.csrf)).await?.good()
    }

    /// Posts to the page's API.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .header("cookie", &self.cookie)
            .header("origin", &self.base)
            .header("x-carekey-csrf", &self.csrf);
        send(request.json(body)).await
    }

    /// `navigator.credentials.create()`, with the answer as the page sends it on.
    pub(super) fn register(&self, options: &Value) -> Result<Value, Failure> {
        let options: CreationOptions = typed(options)?;
        let response = self.authenticator.create(&options).map_err(Failure::new)?;
        let prf = salt(&options.extensions, None).map(|salt| prf(&response.id.0, &salt));
        Ok(json!({ "registration": serde_json::to_value(&response).map_err(Failure::new)?, "prf": prf }))
    }

    /// `navigator.credentials.get()`, with the answer as the page sends it on.
    pub(super) fn assert(&self, options: &Value) -> Result<Value, Failure> {
        let options: RequestOptions = typed(options)?;
        let response = self.authenticator.get(&options).map_err(Failure::new)?;
        let id = base64url::encode(&response.id.0);
        let prf = salt(&options.extensions, Some(&id)).map(|salt| prf(&response.id.0, &salt));
        Ok(json!({ "assertion": serde_json::to_value(&response).map_err(Failure::new)?, "prf": prf }))
    }
}

fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    serde_json::from_value(value.clone()).map_err(Failure::new)
}

/// The PRF salt of the options: for every key at registration, for the key `id` at an assertion.
fn salt(extensions: &Map<String, Value>, id: Option<&str>) -> Option<Vec<u8>> {
    let prf = extensions.get("prf")?;
    let values = match id {
        None => prf.get("eval")?,
        Some(id) => prf.get("evalByCredential")?.get(id)?,
    };
    base64url::decode(values.get("first")?.as_str()?).ok()
}

/// The PRF of the software authenticator: a secret of its own would only make this run harder to read.
fn prf(credential_id: &[u8], salt: &[u8]) -> String {
    base64url::encode(&sha256(&[b"carekey demo prf", credential_id, salt].concat()))
}
