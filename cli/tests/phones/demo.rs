//! The running demo: a hospital and a portal, and what their staff does.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

const PATIENT: &str = include_str!("../../../issuer/patients/zofie-testova.json");

pub(crate) struct Demo {
    /// What the demo says about itself.
    pub(crate) told: Value,
    process: Child,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Demo {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_carekey"));
        command.args(["demo", "--json", "--data", folder.path().to_str().unwrap()]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { told: serde_json::from_str(&line).unwrap(), process, client, _folder: folder }
    }

    async fn call(&self, party: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.told[party].as_str().unwrap());
        let request = match body {
            Some(body) => self.client.post(url).json(&body),
            None => self.client.get(url),
        };
        let token = self.told[format!("{party}_token")].as_str().unwrap();
        let response = request.bearer_auth(token).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap()
    }

    /// The desk's offer as a step describes it; `before` is the offer before it.
    pub(crate) async fn offer(&self, step: &Value, before: &Value) -> Value {
        let fhir: Value = serde_json::from_str(PATIENT).unwrap();
        let mut offer = json!({ "credential_configuration_ids": step["kinds"], "fhir": fhir });
        for name in ["tx_code", "approval", "flow"] {
            if let Some(value) = step.get(name) {
                offer[name] = value.clone();
            }
        }
        if step.get("replaces").is_some() {
            offer["replaces"] = before["id"].clone();
        }
        self.call("hospital", "api/offers", Some(offer)).await
    }

    /// The desk approves what an offer promised; a wallet may ask again after a second.
    pub(crate) async fn approve(&self, offer: &Value) {
        let id = offer["id"].as_str().unwrap();
        self.call("hospital", &format!("api/offers/{id}/approve"), Some(json!({}))).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// What the person does in the system's browser: the hospital's page, the desk's code, and back to the app.
    pub(crate) async fn browse(&self, url: &str, code: &str) -> String {
        let redirect = reqwest::redirect::Policy::none();
        let browser = reqwest::Client::builder().no_proxy().redirect(redirect).build().unwrap();
        let opened = browser.get(url).send().await.unwrap();
        let cookie = opened.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let hospital = self.told["hospital"].as_str().unwrap().trim_end_matches('/');
        let entered = browser
            .post(format!("{hospital}/oid4vci/login/code"))
            .header("cookie", cookie)
            .header("origin", hospital)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("code={code}"));
        let page = entered.send().await.unwrap().text().await.unwrap();
        let back = self.told["app"]["redirect_uri"].as_str().unwrap();
        let link = page.split("href=\"").find(|part| part.starts_with(back)).unwrap();
        link.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
    }

    pub(crate) async fn request(&self, body: &Value) -> Value {
        self.call("portal", "api/requests", Some(body.clone())).await
    }

    pub(crate) async fn state(&self, request: &Value) -> Value {
        let id = request["id"].as_str().unwrap();
        self.call("portal", &format!("api/requests/{id}"), None).await["state"].clone()
    }

    /// Revokes everything of that kind.
    pub(crate) async fn revoke(&self, kind: &str) {
        let all = self.call("hospital", "api/credentials", None).await;
        for credential in all["credentials"].as_array().unwrap() {
            if credential["configuration_id"] == kind {
                let id = credential["id"].as_str().unwrap();
                self.call("hospital", &format!("api/credentials/{id}/revoke"), Some(json!({}))).await;
            }
        }
        // The portal may use its copy of the status list for two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
