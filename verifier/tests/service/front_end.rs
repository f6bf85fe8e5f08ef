//! The portal's own pages over a socket: the answers that a browser brings, and who may bring them.

use carekey_core::protocol::openid4vp::digital_credentials::DigitalCredentialRequest;
use reqwest::header;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::portal::{Reply, Verifier};

/// A browser at the portal, signed in.
struct Browser<'a> {
    verifier: &'a Verifier,
    client: reqwest::Client,
    cookie: String,
    csrf: String,
    origin: String,
}

impl<'a> Browser<'a> {
    async fn open(verifier: &'a Verifier) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let link = verifier.app.pages().sign_in_link();
        let signed_in = client.get(link.as_str()).send().await.unwrap();
        let cookie = signed_in.headers()[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut browser = Self { verifier, client, cookie, csrf: String::new(), origin: verifier.origin() };
        let page = browser.get("/").await.text;
        page.split_once("name=\"csrf\" value=\"")
            .unwrap()
            .1
            .split('"')
            .next()
            .unwrap()
            .clone_into(&mut browser.csrf);
        browser
    }

    /// The same browser on a page of somebody else.
    fn elsewhere(&self) -> Self {
        Self {
            client: self.client.clone(),
            cookie: self.cookie.clone(),
            csrf: self.csrf.clone(),
            origin: "https://evil.example".into(),
            ..*self
        }
    }

    /// The same browser with another cookie.
    fn with_cookie(&self, cookie: &str) -> Self {
        let own = self.elsewhere();
        Self { cookie: cookie.into(), origin: self.origin.clone(), ..own }
    }

    async fn get(&self, path: &str) -> Reply {
        let request = self.client.get(format!("{}{path}", self.verifier.base));
        self.verifier.send(request.header(header::COOKIE, &self.cookie)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(format!("{}{path}", self.verifier.base)).body(body);
        let request = request.header(header::COOKIE, &self.cookie).header(header::ORIGIN, &self.origin);
        self.verifier.send(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")).await
    }

    /// Asks by the form of the page; the path of the request's page.
    async fn ask(&self, mode: &str, flow: &str) -> String {
        let fields = [
            ("csrf", self.csrf.as_str()),
            ("purpose", "Prove who you are"),
            ("min_level", "uv"),
            ("response_mode", mode),
            ("flow", flow),
        ];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(format!("{}/portal/requests", self.verifier.base)).body(body);
        let request = request.header(header::COOKIE, &self.cookie).header(header::ORIGIN, &self.origin);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303);
        answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
    }

    /// An attribute or text of a request's page between two marks.
    async fn part(&self, place: &str, before: &str) -> String {
        let page = self.get(place).await.text;
        let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}"));
        rest.split('"')
            .next()
            .unwrap()
            .replace("&#34;", "\"")
            .replace("&quot;", "\"")
            .replace("&#38;", "&")
            .replace("&amp;", "&")
    }

    async fn digital(&self, place: &str, answer: &str) -> Reply {
        self.post(&format!("{place}/digital"), &[("csrf", &self.csrf), ("answer", answer)]).await
    }

    async fn returns(&self, place: &str, fields: &[(&str, &str)]) -> Reply {
        self.post(&format!("{place}/return"), fields).await
    }

    async fn state(&self, place: &str) -> String {
        let outcome = self.get(&format!("{place}/outcome")).await.text;
        outcome.split_once("data-state=\"").unwrap().1.split('"').next().unwrap().to_owned()
    }
}

fn said(reply: &Reply) -> (u16, String) {
    let code = serde_json::from_str::<Value>(&reply.text).ok();
    (reply.status, code.and_then(|body| Some(body["code"].as_str()?.to_owned())).unwrap_or_default())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn an_answer_of_the_digital_credentials_api_is_taken_once_and_from_the_session_that_asked() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (browser, other) = (Browser::open(&verifier).await, Browser::open(&verifier).await);
    for mode in ["dc_api", "dc_api.jwt"] {
        let place = browser.ask(mode, "cross_device").await;
        let argument: Value = serde_json::from_str(&browser.part(&place, "data-digital=\"").await).unwrap();
        let requests: Vec<DigitalCredentialRequest> =
            serde_json::from_value(argument["requests"].clone()).unwrap();
        let answer = verifier.answer_digital(&requests, &verifier.origin(), &credentials).await.unwrap();
        let text = answer.to_string();

        // Nobody but the page of the session that asked.
        assert_eq!(said(&other.digital(&place, &text).await), refused(400, "session_mismatch"));
        assert_eq!(said(&browser.elsewhere().digital(&place, &text).await).0, 403, "another origin");
        let signed_out = browser.with_cookie("").digital(&place, &text).await;
        assert_eq!(signed_out.status, 401);
        let fields = [("csrf", other.csrf.as_str()), ("answer", text.as_str())];
        let forged = browser.post(&format!("{place}/digital"), &fields).await;
        assert_eq!(said(&forged), refused(403, "csrf"));
        assert_eq!(
            said(&browser.post(&format!("{place}/digital"), &[("answer", &text)]).await),
            refused(403, "csrf")
        );
        // What is no answer, or another request's.
        for broken in ["", "x", "{}", "[]", r#"{"protocol":"org-iso-mdoc","data":{}}"#] {
            assert_eq!(
                said(&browser.digital(&place, broken).await),
                refused(400, "response_form"),
                "{broken}"
            );
        }
        let second = browser.ask(mode, "cross_device").await;
        let foreign = browser.digital(&second, &text).await;
        assert_eq!(foreign.status, 400, "{}", foreign.text);
        assert_eq!(
            said(&browser.digital("/portal/requests/unknown", &text).await),
            refused(400, "request_unknown")
        );
        assert_eq!(
            (browser.state(&place).await, browser.state(&second).await),
            ("pending".into(), "pending".into())
        );

        assert_eq!(browser.digital(&place, &text).await.status, 204);
        assert_eq!(browser.state(&place).await, "verified");
        assert_eq!(said(&browser.digital(&place, &text).await), refused(400, "response_replayed"));
        assert_eq!(other.get(&place).await.status, 404, "nobody else sees the outcome");
        // The wallet says no.
        let refusal = json!({"protocol": requests[0].protocol, "data": {"error": "access_denied"}});
        assert_eq!(browser.digital(&second, &refusal.to_string()).await.status, 204);
        assert_eq!(browser.state(&second).await, "declined");
    }
}

#[tokio::test]
async fn a_response_code_counts_once_and_in_the_session_that_asked() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (browser, other) = (Browser::open(&verifier).await, Browser::open(&verifier).await);
    let coded = async || {
        let place = browser.ask("direct_post.jwt", "same_device").await;
        let link = browser.part(&place, "data-test=\"request-link-text\">").await;
        let link = link.split('<').next().unwrap().to_owned();
        let back = verifier.present(&link, &credentials).await.redirect_uri.unwrap();
        assert_eq!(back.path(), format!("{place}/return"));
        let code = back.query_pairs().find(|(name, _)| name == "response_code").unwrap().1.into_owned();
        (place, code)
    };
    let (place, code) = coded().await;
    assert_eq!(browser.state(&place).await, "received", "withheld until the code comes back");
    // The page to which the wallet sends the browser knows nobody, and shows nothing.
    let landing = browser.with_cookie("").get(&format!("{place}/return?response_code={code}")).await;
    assert_eq!(landing.status, 200);
    assert!(!landing.text.contains(&code) && !landing.text.contains("Testov"));
    for (fields, expected) in [
        (vec![], refused(400, "response_form")),
        (vec![("response_code", code.as_str()), ("fragment", "x")], refused(400, "response_form")),
        (vec![("fragment", "vp_token=%7B%7D")], refused(400, "response_replayed")),
    ] {
        assert_eq!(said(&browser.returns(&place, &fields).await), expected, "{fields:?}");
    }
    let fields = [("response_code", code.as_str())];
    assert_eq!(said(&browser.elsewhere().returns(&place, &fields).await).0, 403);
    assert_eq!(said(&browser.with_cookie("").returns(&place, &fields).await), refused(401, "signed_out"));
    let invented = browser.returns(&place, &[("response_code", "invented")]).await;
    assert_eq!(said(&invented).1, "response_code");
    assert_eq!(browser.returns(&place, &fields).await.status, 204);
    assert_eq!(browser.state(&place).await, "verified");
    assert_eq!(said(&browser.returns(&place, &fields).await).1, "response_code", "once");

    // In the session of somebody else the code is spent, and shows nothing to anybody.
    let (place, code) = coded().await;
    let fields = [("response_code", code.as_str())];
    assert_eq!(said(&other.returns(&place, &fields).await).1, "session_mismatch");
    assert_eq!(said(&browser.returns(&place, &fields).await).1, "response_code");
    assert_eq!(browser.state(&place).await, "received");
    assert_eq!(other.get(&place).await.status, 404);
}

#[tokio::test]
async fn a_fragment_is_taken_once_and_in_the_session_that_asked() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (browser, other) = (Browser::open(&verifier).await, Browser::open(&verifier).await);
    let place = browser.ask("fragment", "same_device").await;
    let link = browser.part(&place, "data-test=\"request-link-text\">").await;
    let back = verifier.present(link.split('<').next().unwrap(), &credentials).await.redirect_uri.unwrap();
    assert_eq!(back.path(), format!("{place}/return"));
    let fragment = back.fragment().unwrap();
    let fields = [("fragment", fragment)];
    assert_eq!(said(&other.returns(&place, &fields).await), refused(400, "session_mismatch"));
    assert_eq!(said(&browser.elsewhere().returns(&place, &fields).await).0, 403);
    assert_eq!(said(&browser.with_cookie("").returns(&place, &fields).await), refused(401, "signed_out"));
    let other_state = fragment.replace("state=", "state=x");
    assert_eq!(
        said(&browser.returns(&place, &[("fragment", &other_state)]).await),
        refused(400, "state_mismatch")
    );
    assert_eq!(said(&browser.digital(&place, "{}").await), refused(400, "response_form"));
    assert_eq!(browser.state(&place).await, "opened");
    assert_eq!(browser.returns(&place, &fields).await.status, 204);
    assert_eq!(browser.state(&place).await, "verified");
    assert_eq!(said(&browser.returns(&place, &fields).await), refused(400, "response_replayed"));
}
