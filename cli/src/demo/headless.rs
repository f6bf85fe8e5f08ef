//! `carekey demo --headless`: the whole journey over HTTP against the three real servers, with a software authenticator
//! in place of the passkey, then revocation, W3C credentials, and four attacks. One JSON line per step.
#![allow(clippy::indexing_slicing)] // only of JSON values, where a missing member reads as null

mod attacks;
mod browser;
pub(super) mod recorder;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use carekey_core::authenticator::SoftwareAuthenticator;
use carekey_core::encoding::{base64url, json as strict_json};
use carekey_core::holder::HttpRequest;
use carekey_core::key::{SignatureAlgorithm, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use serde_json::{Value, json};

use super::running::{Running, STATUS_SECONDS};
use crate::servers::Failure;
use browser::{Answer, WalletPage, send};
use recorder::{Answers, Recorder};

const PATIENT: &str = include_str!("../../../issuer/patients/zofie-testova.json");
const PURPOSE: &str = "Release the discharge letter of 20 November 2026 to the patient portal";

/// Prints one line per step, and remembers whether all went as it should.
struct Journal {
    started: tokio::time::Instant,
    good: bool,
}

impl Journal {
    fn note(&mut self, step: &str, outcome: Result<Value, Failure>) -> Result<(), Failure> {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.started = tokio::time::Instant::now();
        let (ok, facts) = match &outcome {
            Ok(facts) => (true, facts.clone()),
            Err(failure) => (false, json!({ "error": failure.to_string() })),
        };
        let mut line = json!({ "step": step, "ok": ok, "millis": millis });
        if let (Some(line), Value::Object(facts)) = (line.as_object_mut(), facts) {
            line.extend(facts);
        }
        writeln!(std::io::stdout(), "{line}").map_err(Failure::new)?;
        self.good &= ok;
        outcome.map(|_| ())
    }
}

/// Walks the journey; `Ok` only if every step went as it should.
pub(super) async fn run() -> Result<(), Failure> {
    let mut journal = Journal { started: tokio::time::Instant::now(), good: true };
    let folder = tempfile::tempdir().map_err(Failure::new)?;
    let running = Running::start_headless(folder.path()).await;
    let walked = match running {
        Ok((running, recorder)) => {
            let walked = walk(&running, &recorder, &mut journal).await;
            let stopped = running.stop().await;
            walked.and(journal.note("servers_stopped", stopped.map(|()| json!({}))))
        }
        Err(failure) => journal.note("servers_started", Err(failure)),
    };
    walked?;
    if journal.good { Ok(()) } else { Err(Failure::new("the journey did not go as it should")) }
}

struct Walk<'a> {
    running: &'a Running,
    recorder: &'a Recorder,
    client: reqwest::Client,
    wallet: WalletPage,
}

async fn walk(running: &Running, recorder: &Recorder, journal: &mut Journal) -> Result<(), Failure> {
    let addresses = json!({
        "hospital": running.hospital.as_str(), "wallet": running.wallet.as_str(), "portal": running.portal.as_str(),
    });
    journal.note("servers_started", Ok(addresses))?;
    let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::new)?;
    let origin = running.wallet_origin();
    let authenticator = Arc::new(SoftwareAuthenticator::new(origin.clone(), Arc::new(SystemRandom)));
    let wallet = WalletPage::open(client.clone(), &origin, Arc::clone(&authenticator)).await?;
    let mut walk = Walk { running, recorder, client, wallet };

    let offer = match walk.offer(["patient_identity", "insurance_coverage"]).await {
        Ok((facts, offer)) => {
            journal.note("offer_created", Ok(facts))?;
            offer
        }
        Err(failure) => return journal.note("offer_created", Err(failure)),
    };
    journal.note("credential_issued", walk.collect(&offer).await)?;
    journal.note("wallet_locked_and_unlocked", walk.lock_and_unlock().await)?;
    for (mode, step) in [("direct_post.jwt", "presented_encrypted"), ("direct_post", "presented")] {
        journal.note(step, walk.present(mode).await)?;
    }
    journal.note("declined", walk.decline().await)?;
    journal.note("attack_replayed_response", walk.replay().await)?;
    journal.note("attack_other_key", walk.other_key().await)?;
    journal.note("attack_tampered_disclosure", walk.tamper().await)?;
    journal.note("suspended_refused", walk.after_status("suspend", "credential_suspended").await)?;
    journal.note("reinstated_accepted", walk.reinstated().await)?;
    journal.note("revoked_refused", walk.after_status("revoke", "credential_revoked").await)?;
    let w3c = match walk.offer(["patient_identity_ldp", "patient_identity_jwt"]).await {
        Ok((facts, offer)) => {
            journal.note("w3c_offer_created", Ok(facts))?;
            offer
        }
        Err(failure) => return journal.note("w3c_offer_created", Err(failure)),
    };
    journal.note("w3c_credentials_issued", walk.collect(&w3c).await)?;
    for (format, step) in [("ldp_vc", "presented_ldp_vc"), ("jwt_vc_json", "presented_jwt_vc_json")] {
        journal.note(step, walk.present_as(format, "direct_post.jwt").await)?;
    }
    journal.note("attack_tampered_w3c_claim", walk.tamper_w3c().await)?;
    journal.note("activity", walk.activity().await)
}

struct Offer {
    link: String,
    tx_code: String,
}

impl Walk<'_> {
    async fn hospital(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        let url = self.running.hospital.join(path).map_err(Failure::new)?;
        send(self.client.post(url).bearer_auth(self.running.hospital_token.expose()).json(body)).await
    }

    async fn portal(&self, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let url = self.running.portal.join(path).map_err(Failure::new)?;
        let request = match body {
            Some(body) => self.client.post(url).json(body),
            None => self.client.get(url),
        };
        send(request.bearer_auth(self.running.portal_token.expose())).await
    }

    /// The desk offers two credentials of one patient.
    async fn offer(&mut self, configurations: [&str; 2]) -> Result<(Value, Offer), Failure> {
        let fhir = strict_json::parse(PATIENT.as_bytes(), &Limits::DEFAULT).map_err(Failure::new)?;
        let asked = json!({
            "credential_configuration_ids": configurations,
            "fhir": fhir, "tx_code": true, "by_reference": true,
        });
        let made = self.hospital("/api/offers", &asked).await?.good()?;
        let offer = Offer { link: text(&made, "credential_offer_uri")?, tx_code: text(&made, "tx_code")? };
        let facts =
            json!({ "configurations": 2, "tx_code_digits": offer.tx_code.len(), "by_reference": true });
        Ok((facts, offer))
    }

    /// The wallet opens the offer, the person enters the code and confirms once.
    async fn collect(&mut self, offer: &Offer) -> Result<Value, Failure> {
        let prompts = self.wallet.prompts();
        let review = self.wallet.post("/api/open", &json!({ "link": offer.link })).await?.good()?;
        let session = text(&review, "session")?;
        let prepare = format!("/api/offers/{session}/prepare");
        let wrong = self.wallet.post(&prepare, &json!({ "tx_code": wrong_code(&offer.tx_code) })).await?;
        let wrong_code = wrong.code().unwrap_or_default().to_owned();
        if wrong.good().is_ok() {
            return Err(Failure::new("a wrong transaction code was taken"));
        }
        let prepared = self.wallet.post(&prepare, &json!({ "tx_code": offer.tx_code })).await?.good()?;
        let answer = self.wallet.register(&prepared["options"])?;
        let done = self.wallet.post(&format!("/api/offers/{session}/finish"), &answer).await?.good()?;
        let stored = done["credentials"].as_array().map_or(0, Vec::len);
        let prompts = self.wallet.prompts() - prompts;
        expect(stored == 2, "two credentials are stored")?;
        expect(prompts == 1, "the person was asked once")?;
        Ok(json!({
            "issuer": review["issuer"], "wrong_code_refused": wrong_code, "credentials": stored, "prompts": prompts,
            "protection": done["protection"], "level": done["credentials"][0]["level"],
        }))
    }

    async fn lock_and_unlock(&self) -> Result<Value, Failure> {
        self.wallet.post("/api/lock", &json!({})).await?.good()?;
        let refused = self.wallet.post("/api/open", &json!({ "link": "openid4vp://?x" })).await?;
        expect(refused.code() == Some("wallet_locked"), "a locked wallet opens nothing")?;
        self.unlock().await?;
        let all = self.wallet.get("/api/credentials").await?;
        Ok(json!({ "credentials": all["credentials"].as_array().map_or(0, Vec::len) }))
    }

    async fn unlock(&self) -> Result<(), Failure> {
        let options = self.wallet.post("/api/unlock/options", &json!({})).await?.good()?;
        let answer = self.wallet.assert(&options["options"])?;
        self.wallet.post("/api/unlock", &answer).await?.good().map(|_| ())
    }

    /// A new request of the portal: its id and link.
    async fn request(&self, mode: &str) -> Result<(String, String), Failure> {
        self.request_as("dc+sd-jwt", mode).await
    }

    /// The same for a credential format.
    async fn request_as(&self, format: &str, mode: &str) -> Result<(String, String), Failure> {
        let asked = json!({
            "template": "patient_identity", "format": format, "purpose": PURPOSE, "min_level": "uv",
            "response_mode": mode,
        });
        let made = self.portal("/api/requests", Some(&asked)).await?.good()?;
        Ok((text(&made, "id")?, text(&made, "request_uri")?))
    }

    /// The wallet opens a request and answers with what is needed, through `page`'s authenticator.
    async fn answer(&self, link: &str, page: &WalletPage) -> Result<(Value, Answer), Failure> {
        let review = page.post("/api/open", &json!({ "link": link })).await?.good()?;
        let session = text(&review, "session")?;
        let mut selection = serde_json::Map::new();
        for query in review["queries"].as_array().into_iter().flatten() {
            let candidate = &query["candidates"][0];
            let needed: Vec<&Value> = candidate["claims"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|claim| claim["required"] == json!(true))
                .map(|claim| &claim["path"])
                .collect();
            let chosen = json!({ "credential_id": candidate["credential_id"], "claims": needed });
            selection.insert(text(query, "id")?, chosen);
        }
        let body = json!({ "selection": selection });
        let prepared = page.post(&format!("/api/requests/{session}/prepare"), &body).await?.good()?;
        let answer = page.assert(&prepared["options"])?;
        let sent = page.post(&format!("/api/requests/{session}/finish"), &answer).await?;
        Ok((review, sent))
    }

    async fn state(&self, id: &str) -> Result<Value, Failure> {
        self.portal(&format!("/api/requests/{id}"), None).await?.good()
    }

    async fn present(&self, mode: &str) -> Result<Value, Failure> {
        self.present_as("dc+sd-jwt", mode).await
    }

    async fn present_as(&self, format: &str, mode: &str) -> Result<Value, Failure> {
        let prompts = self.wallet.prompts();
        let (id, link) = self.request_as(format, mode).await?;
        let (review, sent) = self.answer(&link, &self.wallet).await?;
        let sent = sent.good()?;
        expect(sent["accepted"] == json!(true), "the portal accepts")?;
        let prompts = self.wallet.prompts() - prompts;
        expect(prompts == 1, "the person was asked once")?;
        let state = self.state(&id).await?;
        expect(state["state"] == json!("verified"), "the portal's page is green")?;
        let outcome = &state["outcome"]["presentation"];
        let credential = &outcome["credentials"][0];
        let claims: Vec<&String> =
            credential["claims"].as_object().into_iter().flat_map(|map| map.keys()).collect();
        let checks = outcome["checks"].as_array().map_or(0, Vec::len);
        Ok(json!({
            "verifier": review["verifier"]["name"], "verifier_trusted": review["verifier"]["trusted"],
            "prompts": prompts, "level": outcome["level"], "claims": claims, "checks": checks,
            "format": credential["format"],
        }))
    }

    async fn decline(&self) -> Result<Value, Failure> {
        let (id, link) = self.request("direct_post.jwt").await?;
        let review = self.wallet.post("/api/open", &json!({ "link": link })).await?.good()?;
        let path = format!("/api/requests/{}/decline", text(&review, "session")?);
        self.wallet.post(&path, &json!({})).await?.good()?;
        let state = self.state(&id).await?;
        expect(state["state"] == json!("declined"), "the portal knows that the person declined")?;
        Ok(json!({ "state": "declined" }))
    }

    async fn resend(&self, request: &HttpRequest) -> Result<Answer, Failure> {
        let mut sent = self.client.post(request.url.clone()).body(request.body.clone());
        for (name, value) in &request.headers {
            sent = sent.header(name, value);
        }
        send(sent).await
    }

    /// Attack 1: the answer that was accepted is sent again.
    async fn replay(&self) -> Result<Value, Failure> {
        let (id, link) = self.request("direct_post").await?;
        self.answer(&link, &self.wallet).await?.1.good()?;
        let copy = self.recorder.last().ok_or_else(|| Failure::new("nothing was recorded"))?;
        let again = refusal(self.resend(&copy).await?)?;
        let state = self.state(&id).await?;
        expect(state["state"] == json!("verified"), "the first answer stays what it was")?;
        Ok(json!({ "refused": again }))
    }

    /// Attack 2: a thief with the wallet's records, holder key included, confirms with a passkey of their own. The wallet
    /// does not let it out; sent past the wallet, the portal refuses it.
    async fn other_key(&self) -> Result<Value, Failure> {
        let (id, link) = self.request("direct_post").await?;
        let thief =
            Arc::new(SoftwareAuthenticator::new(self.running.wallet_origin(), Arc::new(SystemRandom)));
        for credential in
            self.wallet.get("/api/credentials").await?["credentials"].as_array().into_iter().flatten()
        {
            let known = base64url::decode(&text(credential, "passkey")?).map_err(Failure::new)?;
            thief.insert_key(&known, "localhost", es256()?);
        }
        let (_, stopped) = self.answer(&link, &self.wallet.with_authenticator(thief)).await?;
        let by_wallet = refusal(stopped)?;
        let mut copy = self.held_answer(&link).await?;
        let (credentials, keys) =
            self.running.holder.stolen(&self.wallet.headers()).await.map_err(Failure::new)?;
        copy.body = attacks::with_other_assertion(&copy.body, &es256()?, &credentials, &keys).await?;
        let refused = refusal(self.resend(&copy).await?)?;
        let mut facts = self.refused(&id, "assertion_signature").await?;
        expect(refused == "assertion_signature", "the refusal names the reason")?;
        facts["refused_by_wallet"] = json!(by_wallet);
        Ok(facts)
    }

    /// The wallet's genuine answer to a request, which never reached the portal.
    async fn held_answer(&self, link: &str) -> Result<HttpRequest, Failure> {
        self.recorder.set(Answers::Hold);
        let answered = self.answer(link, &self.wallet).await;
        self.recorder.set(Answers::Send);
        answered?.1.good()?;
        self.recorder.last().ok_or_else(|| Failure::new("nothing was recorded"))
    }

    /// Attack 3: a claim is changed in the answer on its way.
    async fn tamper(&self) -> Result<Value, Failure> {
        let (id, link) = self.request("direct_post").await?;
        let mut copy = self.held_answer(&link).await?;
        copy.body = attacks::with_other_birth_date(&copy.body)?;
        let refused = refusal(self.resend(&copy).await?)?;
        let state = self.state(&id).await?;
        expect(state["state"] != json!("verified"), "the portal's page is not green")?;
        Ok(json!({ "refused": refused, "state": state["state"] }))
    }

    /// Attack 4: a claim of a W3C credential is changed in the answer on its way.
    async fn tamper_w3c(&self) -> Result<Value, Failure> {
        let (id, link) = self.request_as("ldp_vc", "direct_post").await?;
        let mut copy = self.held_answer(&link).await?;
        copy.body = attacks::with_other_w3c_birth_date(&copy.body)?;
        let refused = refusal(self.resend(&copy).await?)?;
        let reason = "credential_signature_invalid";
        expect(refused == reason, &format!("the reason is {reason}, not {refused}"))?;
        let state = self.state(&id).await?;
        expect(state["state"] != json!("verified"), "the portal's page is not green")?;
        Ok(json!({ "refused": refused, "state": state["state"] }))
    }

    async fn refused(&self, id: &str, code: &str) -> Result<Value, Failure> {
        let state = self.state(id).await?;
        expect(state["state"] == json!("refused"), "the portal's page is red")?;
        let found = state["outcome"]["code"].as_str().unwrap_or_default();
        expect(found == code, &format!("the reason is {code}, not {found}"))?;
        Ok(json!({ "refused": code }))
    }

    async fn change_status(&self, action: &str) -> Result<usize, Failure> {
        let url = self.running.hospital.join("/api/credentials").map_err(Failure::new)?;
        let list =
            send(self.client.get(url).bearer_auth(self.running.hospital_token.expose())).await?.good()?;
        let mut changed = 0;
        for credential in list["credentials"].as_array().into_iter().flatten() {
            let path = format!("/api/credentials/{}/{action}", text(credential, "id")?);
            self.hospital(&path, &json!({})).await?.good()?;
            changed += 1;
        }
        // the portal may use its copy of the status list that long
        tokio::time::sleep(Duration::from_secs(STATUS_SECONDS + 1)).await;
        Ok(changed)
    }

    /// The desk suspends or revokes; the next presentation is refused with that reason.
    async fn after_status(&self, action: &str, code: &str) -> Result<Value, Failure> {
        let changed = self.change_status(action).await?;
        let (id, link) = self.request("direct_post.jwt").await?;
        let sent = self.answer(&link, &self.wallet).await?.1.good()?;
        expect(sent["accepted"] == json!(false), "the portal refuses")?;
        let mut facts = self.refused(&id, code).await?;
        facts["credentials"] = json!(changed);
        Ok(facts)
    }

    async fn reinstated(&self) -> Result<Value, Failure> {
        self.change_status("reinstate").await?;
        self.present("direct_post.jwt").await
    }

    async fn activity(&self) -> Result<Value, Failure> {
        let log = self.wallet.get("/api/activity").await?;
        let kinds: Vec<&str> = log["activity"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["kind"].as_str())
            .collect();
        let count = |kind: &str| kinds.iter().filter(|one| **one == kind).count();
        expect(count("declined") == 1 && count("received") == 2, "the wallet's log is complete")?;
        Ok(json!({ "sent": count("sent"), "refused": count("refused"), "declined": 1, "received": 2 }))
    }
}

fn expect(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(format!("not so: {what}"))) }
}

fn text(value: &Value, name: &str) -> Result<String, Failure> {
    let found = value.get(name).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Failure::new(format!("the answer has no {name}")))
}

/// The code of an answer that must be a refusal (4xx).
fn refusal(answer: Answer) -> Result<String, Failure> {
    expect((400..500).contains(&answer.status), "the attack is refused")?;
    let code = answer.code().or_else(|| answer.body.get("error").and_then(Value::as_str));
    Ok(code.unwrap_or("no code").to_owned())
}

/// Six other digits.
fn wrong_code(right: &str) -> String {
    right.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect()
}

fn es256() -> Result<SoftwareKey, Failure> {
    SoftwareKey::generate(SignatureAlgorithm::Es256).map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_code_is_another_code() {
        assert_eq!(wrong_code("104950"), "010001");
    }
}
