//! The programs as people start and stop them: the demo, and the two servers by configuration.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A started program; killed when the test ends early.
struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carekey"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Reads up to the line that holds `mark`.
    fn until(&mut self, mark: &str) -> String {
        let mut text = String::new();
        loop {
            let before = text.len();
            assert!(self.stdout.read_line(&mut text).unwrap() > 0, "the program ended: {text}");
            if text[before..].contains(mark) {
                return text;
            }
        }
    }

    /// Ctrl-C; returns the exit status and what it said at last.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find(|line| line.contains(name)).unwrap();
    &line[line.find("http").unwrap()..]
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn the_demo_starts_stops_and_keeps_its_ports() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut demo = Program::start(&["demo", "--data", data]);
    let text = demo.until("Ctrl-C");
    let (desk, wallet) = (address(&text, "Hospital desk"), address(&text, "wallet"));
    let signed_in = client().get(desk).send().await.unwrap();
    assert_eq!(signed_in.status(), 303);
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    assert_eq!(client().get(wallet).send().await.unwrap().status(), 200);

    // one demo per data folder
    let second = Command::new(env!("CARGO_BIN_EXE_carekey")).args(["demo", "--data", data]).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8(second.stderr).unwrap().contains("another demo is running"));

    let (code, last) = demo.interrupt();
    assert!(code == Some(0) && last.contains("Stopped."), "{code:?} {last}");
    let mut again = Program::start(&["--data", data]);
    let text_again = again.until("Ctrl-C");
    assert_eq!(address(&text_again, "wallet"), wallet);
    assert_ne!(address(&text_again, "Hospital desk"), desk, "the link that signs in is of one run");
    assert_eq!(again.interrupt().0, Some(0));
}

#[tokio::test]
async fn the_demo_tells_programs_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Program::start(&["demo", "--json", "--data", folder.path().to_str().unwrap()]);
    let told: serde_json::Value = serde_json::from_str(&demo.until("\n")).unwrap();
    assert_eq!(told["app"]["client_id"], "carekey-demo-app");
    for (base, token, path) in
        [("hospital", "hospital_token", "api/credentials"), ("portal", "portal_token", "api/requests/none")]
    {
        let url = format!("{}{path}", told[base].as_str().unwrap());
        let bare = client().get(&url).send().await.unwrap();
        assert_eq!(bare.status(), 401, "{url}");
        let known = client().get(&url).bearer_auth(told[token].as_str().unwrap()).send().await.unwrap();
        assert_ne!(known.status(), 401, "{url}");
        assert!(told[format!("{base}_anchor")].as_str().unwrap().len() > 100);
    }
    assert_eq!(demo.interrupt(), (Some(0), String::new()));
}

async fn server_answers(kind: &str, config: &str, sign_in: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, config).unwrap();
    let mut server = Program::start(&[kind, "--config", file.to_str().unwrap()]);
    let text = server.until("Management token");
    let url = address(&text, "CareKey").split([',', ' ']).next().unwrap().trim_end_matches('/').to_owned();
    assert_eq!(client().get(format!("{url}/healthz")).send().await.unwrap().status(), 200);
    // staff sign in with the token from the data folder
    let token = std::fs::read_to_string(folder.path().join("data/management.token")).unwrap();
    for (token, status) in [("wrong", 403), (token.trim(), 303)] {
        let form =
            client().post(format!("{url}{sign_in}")).header("origin", &url).body(format!("token={token}"));
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(form.send().await.unwrap().status(), status);
    }
    let (code, _) = server.interrupt();
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn the_issuer_runs_by_configuration() {
    let config = "data_dir = 'data'\n[server]\nlisten = '127.0.0.1:0'\n[issuer]\nname = 'Hospital'\n";
    server_answers("issuer", config, "/desk/sign-in").await;
}

#[tokio::test]
async fn the_verifier_runs_by_configuration() {
    let config = "data_dir = 'data'\nname = 'Portal'\n[server]\nlisten = '127.0.0.1:0'\n";
    server_answers("verifier", config, "/portal/sign-in").await;
}

// The client must hear that the server says goodbye while the test waits for its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_by_certificate_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let path = file.to_str().unwrap();
    // The first start makes a certificate for localhost, which then serves as the operator's.
    std::fs::write(&file, "data_dir = 'data'\n[server]\nlisten = '127.0.0.1:0'\n").unwrap();
    let mut first = Program::start(&["issuer", "--config", path]);
    first.until("Management token");
    assert_eq!(first.interrupt().0, Some(0));
    let authority = std::fs::read(folder.path().join("data/ca.pem")).unwrap();
    for name in ["signing.pem", "signing.key"] {
        std::fs::copy(folder.path().join("data").join(name), folder.path().join(name)).unwrap();
    }
    let tls =
        "[server]\nlisten = '127.0.0.1:0'\ntls = { certificate = 'signing.pem', key = 'signing.key' }\n";
    for kind in ["issuer", "verifier"] {
        std::fs::write(&file, format!("data_dir = '{kind}-data'\n{tls}")).unwrap();
        let mut server = Program::start(&[kind, "--config", path]);
        let text = server.until("Management token");
        let url = address(&text, "CareKey").split([',', ' ']).next().unwrap();
        assert!(url.starts_with("https://localhost:"), "{text}");
        let authority = reqwest::Certificate::from_pem(&authority).unwrap();
        let trusting = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
        assert_eq!(trusting.get(format!("{url}healthz")).send().await.unwrap().status(), 200);
        assert!(client().get(format!("{url}healthz")).send().await.is_err(), "an unknown authority");
        assert_eq!(server.interrupt().0, Some(0));
    }
}

#[test]
fn a_wrong_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let run = |kind: &str, config: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carekey"));
        let output = command.args([kind, "--config"]).arg(config).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::write(&file, "[server]\nlistten = '127.0.0.1:0'\n").unwrap();
    for kind in ["issuer", "verifier"] {
        let said = run(kind, &file);
        assert!(said.contains("config.toml") && said.contains("server.listten"), "{said}");
        assert!(run(kind, &folder.path().join("absent.toml")).contains("absent.toml"));
    }
}

/// What the W3C suites do: issue, read the status list, verify; all over TLS and without a token.
#[tokio::test]
async fn conformance_serves_the_suites() {
    let mut program = Program::start(&["conformance"]);
    let described: serde_json::Value = serde_json::from_str(&program.until("{")).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
    let endpoints = &described["endpoints"];
    let post = async |url: &serde_json::Value, body: serde_json::Value| {
        let url = url.as_str().unwrap();
        assert!(url.starts_with("https://localhost:"), "{url}");
        let answer = client.post(url).header("accept", "application/ld+json, application/json").json(&body);
        let answer = answer.send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().contains("json"));
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    let names: Vec<&String> = endpoints["issuers"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 17, "{names:?}");
    let dids = [
        ("ed25519", "did:key:z6Mk"),
        ("P-256", "did:key:zDna"),
        ("P-384", "did:key:z82L"),
        ("bls", "did:key:zUC7"),
    ];
    for (key, prefix) in dids {
        let did = described[key].as_str().unwrap();
        assert!(did.starts_with(prefix));
        let credential = serde_json::json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential"],
            "id": "urn:uuid:7d29b9b4-2b62-4be4-8d0c-1d4a38f9a8aa", "issuer": did,
            "credentialSubject": {"id": "did:example:subject"},
        });
        let issuers = endpoints["issuers"].as_object().unwrap();
        let own = issuers.iter().filter(|(name, _)| name.ends_with(key)).map(|(_, url)| url);
        for url in own.chain([&endpoints["issue"]]) {
            let (status, issued) = post(url, serde_json::json!({"credential": credential})).await;
            assert_eq!(status, 201, "{url} {issued}");
            let mut secured = issued["verifiableCredential"].clone();
            if secured["proof"]["proofValue"].as_str().is_some_and(|value| value.starts_with('u')) {
                let options = serde_json::json!({"selectivePointers": ["/credentialSubject"]});
                let body = serde_json::json!({"verifiableCredential": secured, "options": options});
                let (status, derived) = post(&endpoints["derive"], body).await;
                assert_eq!(status, 201, "{derived}");
                secured = derived["verifiableCredential"].clone();
            }
            let body = serde_json::json!({"verifiableCredential": secured});
            let (status, answer) = post(&endpoints["verify"], body).await;
            assert_eq!((status, &answer["verified"]), (200, &serde_json::json!(true)), "{answer}");
            // the status list, fetched by the verifier over TLS
            if url == &endpoints["issue"] && key != "bls" {
                assert!(answer["checks"].as_array().unwrap().contains(&"status".into()));
                let list = secured["credentialStatus"]["statusListCredential"].as_str().unwrap();
                assert_eq!(client.get(list).send().await.unwrap().status(), 200);
            }
        }
        let resolver = endpoints["resolver"].as_str().unwrap();
        assert_eq!(client.get(format!("{resolver}/{did}")).send().await.unwrap().status(), 200);
    }
    assert_eq!(program.interrupt().0, Some(0));
}

/// Runs `carekey did …`; what it printed, or what it complained of.
fn did_command(arguments: &[&str]) -> Result<serde_json::Value, String> {
    json_command("did", arguments)
}

fn json_command(name: &str, arguments: &[&str]) -> Result<serde_json::Value, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carekey"));
    let output = command.arg(name).args(arguments).output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn a_did_is_made_shown_rotated_and_ended() {
    for (kind, prefix) in [("did_web", "did:web:id.hospital.example"), ("did_webvh", "did:webvh:Qm")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("issuer.toml");
        let config = ["--config", file.to_str().unwrap()];
        let write = |kind: &str| {
            let text = format!(
                "data_dir = 'data'\n[server]\npublic_url = 'https://id.hospital.example'\n[issuer]\nkey = '{kind}'\n"
            );
            std::fs::write(&file, text).unwrap();
        };
        let run = |command: &str, more: &[&str]| did_command(&[&[command], &config[..], more].concat());
        write("x5c");
        assert!(run("create", &[]).unwrap_err().contains("did_webvh"));
        write(kind);
        std::fs::remove_dir_all(folder.path().join("data")).unwrap();
        assert!(run("show", &[]).unwrap_err().contains("did create"));
        let made = run("create", &[]).unwrap();
        let did = made["did"].as_str().unwrap().to_owned();
        assert!(did.starts_with(prefix) && did.ends_with("id.hospital.example"), "{did}");
        assert_eq!(run("create", &[]).unwrap(), made, "made once");
        assert_eq!(run("show", &[]).unwrap(), made);
        assert_eq!(made["document"]["id"], did.as_str());

        let key = || std::fs::read(folder.path().join("data/signing.key")).unwrap();
        let before = key();
        // Versions of a history lie at least a second apart.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let rotated = run("rotate", &[]).unwrap();
        assert_eq!(rotated["keys"], serde_json::json!(["key-1", "key-2"]));
        assert_eq!(rotated["document"]["assertionMethod"].as_array().unwrap().len(), 2);
        assert_ne!(key(), before, "the old secret half is gone");
        assert!(run("rotate", &["--forget", "key-9"]).unwrap_err().contains("no key of that name"));

        let web = folder.path().join("data/did/did.json");
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&web).unwrap()).unwrap();
        assert_eq!(document["id"], "did:web:id.hospital.example", "the parallel did:web too");
        assert!(run("deactivate", &["--confirm", "did:web:other.example"]).unwrap_err().contains(&did));
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let ended = run("deactivate", &["--confirm", &did]).unwrap();
        assert_eq!((&ended["deactivated"], web.exists()), (&serde_json::json!(true), false));
        for command in [&["rotate"][..], &["deactivate", "--confirm", &did]] {
            assert!(run(command[0], &command[1..]).is_err(), "{command:?}");
        }
    }
}

#[test]
fn a_key_with_a_certificate_is_shown_rotated_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("issuer.toml");
    let write = |kind: &str| {
        let text = format!(
            "data_dir = 'data'\n[server]\npublic_url = 'https://id.hospital.example'\n[issuer]\nkey = '{kind}'\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let config = ["--config", file.to_str().unwrap()];
    let run = |command: &str, more: &[&str]| json_command("key", &[&[command], &config[..], more].concat());
    write("did_web");
    assert!(run("show", &[]).unwrap_err().contains("carekey did rotate"));
    write("x5c");
    let made = run("show", &[]).unwrap();
    assert_eq!(made["earlier"], serde_json::json!([]));
    let rotated = run("rotate", &[]).unwrap();
    assert_eq!(rotated["earlier"], serde_json::json!([made["current"]]));
    assert_ne!(rotated["current"], made["current"]);
    assert_eq!(run("show", &[]).unwrap(), rotated);
    assert!(run("forget", &["--name", "x"]).unwrap_err().contains("no earlier key"));
    let old = made["current"].as_str().unwrap();
    assert_eq!(run("forget", &["--name", old]).unwrap()["earlier"], serde_json::json!([]));
    // The hospital's own certificate: its key is not for this command.
    std::fs::remove_file(folder.path().join("data/ca.key")).unwrap();
    assert!(run("rotate", &[]).is_err());
}
