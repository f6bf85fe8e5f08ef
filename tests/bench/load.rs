//! Load: whole journeys against `carekey issuer` and `carekey verifier` in processes of their own, on loopback, their
//! records on disk. A journey is an offer of the desk collected by a wallet with a second key, then a step-up request of
//! the portal answered and judged. `cargo xtask load` builds and starts it.
//!
//! Wallets, desk and portal staff run here, on the same cores as the services: the figures are those of the whole.
#![allow(clippy::disallowed_methods)] // it measures

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carekey_core::clock::SystemClock;
use carekey_core::holder::http::{HttpClient as _, HttpRequest, Method};
use carekey_core::store::{Store as _, Table};
use carekey_core::trust::{IssuerRule, IssuerTrust, VerifierTrust};
use carekey_core::x509::TrustAnchor;
use carekey_service::fetch::{FetchConfig, Fetcher};
use carekey_storage::SledStore;
use carekey_tests::world::{WALLET, Wallet, body, patient, text};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use url::Url;

/// Wallets at once.
const WALLETS: usize = 16;
/// Of ten journeys, this many garbage requests are sent beside.
const GARBAGE_PER_TEN: usize = 1;

/// One service in a process of its own.
struct Service {
    child: Child,
    url: Url,
    token: String,
}

impl Service {
    fn start(program: &Path, role: &str, folder: &Path, port: u16, config: &str) -> Self {
        let file = folder.join(format!("{role}.toml"));
        let url = format!("http://localhost:{port}");
        let head = format!(
            "data_dir = \"{role}\"\n{config}\n[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"{url}\"\n\
             [limit]\nper_minute = 0\n[log]\nfilter = \"error\"\n"
        );
        fs::write(&file, head).expect("a folder of ours");
        let mut command = Command::new(program);
        command.arg(role).arg("--config").arg(&file).current_dir(folder);
        let child = command.stdout(Stdio::null()).spawn().expect("the program starts");
        Self { child, url: Url::parse(&url).expect("a URL"), token: String::new() }
    }

    async fn ready(&mut self, http: &Fetcher, token: &Path) {
        let probe = self.url.join("/readyz").expect("a path");
        for _ in 0..200 {
            if http
                .send(HttpRequest::get(probe.clone(), "*/*"))
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                fs::read_to_string(token)
                    .expect("made at the first start")
                    .trim()
                    .clone_into(&mut self.token);
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} is not ready", self.url);
    }

    async fn post(&self, http: &Fetcher, path: &str, sent: &Value) -> Value {
        let url = self.url.join(path).expect("a path");
        let answer =
            http.send(HttpRequest::post_json(url, sent).bearer(&self.token)).await.expect("an answer");
        assert_eq!(answer.status, 201, "{path}: {}", String::from_utf8_lossy(&answer.body));
        body(&answer)
    }

    /// Resident memory now and at its highest, MiB.
    fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
        };
        (kib("VmRSS:") / 1024, kib("VmHWM:") / 1024)
    }

    fn stop(mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        self.child.wait().expect("it ends");
    }
}

/// Times of one kind of flow.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn print(&mut self, name: &str, elapsed: Duration) {
        self.0.sort_unstable();
        let at = |part: usize| self.0.get(self.0.len() * part / 100).copied().unwrap_or_default();
        println!(
            "{name:<24} {:>7} {:>8.1}/s   p50 {:>7.1} ms   p99 {:>7.1} ms",
            self.0.len(),
            self.0.len() as f64 / elapsed.as_secs_f64(),
            at(50).as_secs_f64() * 1e3,
            at(99).as_secs_f64() * 1e3
        );
    }
}

struct Load {
    hospital: Service,
    portal: Service,
    http: Arc<Fetcher>,
    anchors: (TrustAnchor, TrustAnchor),
    journeys: AtomicUsize,
    garbage: AtomicUsize,
}

impl Load {
    fn wallet(&self) -> Wallet {
        let (hospital, portal) = self.anchors.clone();
        let rule = IssuerRule { anchors: vec![hospital], ..IssuerRule::default() };
        let verifiers = VerifierTrust::new(vec![portal], Vec::new());
        Wallet::trusting(
            IssuerTrust::new(vec![rule]),
            verifiers,
            Arc::new(SystemClock),
            Arc::clone(&self.http),
        )
    }

    /// One patient: collects the credential, then answers the portal.
    async fn journey(&self) -> (Duration, Duration) {
        let offer = json!({ "credential_configuration_ids": ["patient_identity"], "fhir": patient(), "tx_code": true });
        let start = Instant::now();
        let offer = self.hospital.post(&self.http, "/api/offers", &offer).await;
        let mut wallet = self.wallet();
        let link = text(&offer, "credential_offer_uri");
        wallet.accept(link, Some(text(&offer, "tx_code"))).await.expect("a credential");
        let issued = start.elapsed();
        let start = Instant::now();
        let asked = json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv",
            "response_mode": "direct_post.jwt" });
        let request = self.portal.post(&self.http, "/api/requests", &asked).await;
        let delivery = wallet.answer(text(&request, "request_uri")).await.expect("an answer");
        assert!(delivery.accepted, "the portal refused");
        (issued, start.elapsed())
    }

    /// One request that no honest client sends: the answer is the caller's fault.
    async fn garbage(&self, number: usize) {
        let form = "application/x-www-form-urlencoded";
        let cases: [(&Service, &str, &str, Vec<u8>); 6] = [
            (&self.hospital, "/oid4vci/token", form, b"grant_type=nonsense&x=%ff%00".to_vec()),
            (&self.hospital, "/oid4vci/token", form, b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code&pre-authorized_code=guess".to_vec()),
            (&self.hospital, "/oid4vci/credential", "application/json", b"[".repeat(5_000)),
            (&self.portal, "/oid4vp/responses/nobody", form, b"vp_token=%7B%7D&state=x".to_vec()),
            (&self.portal, "/oid4vp/responses/nobody", form, b"response=a.b.c.d.e".to_vec()),
            (&self.portal, "/oid4vp/responses/nobody", form, vec![b'a'; 2 << 20]),
        ];
        let (service, path, media_type, sent) = &cases[number % cases.len()];
        let url = service.url.join(path).expect("a path");
        let mut request = HttpRequest::get(url, "application/json");
        request.method = Method::Post;
        request.headers.push(("content-type".to_owned(), (*media_type).to_owned()));
        request.body.clone_from(sent);
        // A body over the limit may end in a closed connection: also an answer.
        if let Ok(answer) = self.http.send(request).await {
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        }
    }

    async fn run(self: Arc<Self>, time: Duration, with_garbage: bool) -> (Times, Times, Duration) {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..WALLETS {
            let load = Arc::clone(&self);
            tasks.spawn(async move {
                let (mut issuance, mut presentation) = (Times::default(), Times::default());
                while start.elapsed() < time {
                    let number = load.journeys.fetch_add(1, Ordering::Relaxed);
                    if with_garbage && number % 10 < GARBAGE_PER_TEN {
                        load.garbage(load.garbage.fetch_add(1, Ordering::Relaxed)).await;
                    }
                    let (issued, presented) = load.journey().await;
                    issuance.0.push(issued);
                    presentation.0.push(presented);
                }
                (issuance, presentation)
            });
        }
        let (mut issuance, mut presentation) = (Times::default(), Times::default());
        while let Some(done) = tasks.join_next().await {
            let (issued, presented) = done.expect("no journey fails");
            issuance.0.extend(issued.0);
            presentation.0.extend(presented.0);
        }
        (issuance, presentation, start.elapsed())
    }
}

/// Records per table of a stopped service.
async fn tables(store: &Path, names: &[&'static str]) {
    let store = SledStore::open(store).expect("the service has let go");
    for name in names {
        let (mut count, mut after) = (0, None::<Vec<u8>>);
        loop {
            let page = store.scan(Table::new(name), after.as_deref(), 1_000).await.expect("a readable store");
            count += page.len();
            match page.last() {
                Some((key, _)) => after = Some(key.clone()),
                None => break,
            }
        }
        println!("  {name:<22} {count:>8}");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

async fn start(program: &Path, folder: &TempDir) -> Load {
    let folder = folder.path();
    let (issuer_port, verifier_port) = (free_port(), free_port());
    let wallet = format!(
        "[[wallets]]\nclient_id = \"{WALLET}\"\nname = \"Load\"\nrp_id = \"localhost\"\norigins = [\"{WALLET}\"]\n\
         client = \"browser\"\n[lifetimes]\noffer = 10\ntoken = 10\nnonce = 10\nproof = 10"
    );
    let portal = format!(
        "name = \"Load\"\nrequest_seconds = 10\nstate_seconds = 10\n[fetch]\nloopback = true\n[types]\n\
         patient_identity = [\"http://localhost:{issuer_port}/vct/patient-identity\"]\n\
         [[trust]]\nanchors = [\"issuer/ca.pem\"]"
    );
    let fetch = FetchConfig { loopback: true, ..FetchConfig::default() };
    let http = Arc::new(Fetcher::new(fetch).expect("a client"));
    let mut hospital = Service::start(program, "issuer", folder, issuer_port, &wallet);
    hospital.ready(&http, &folder.join("issuer/management.token")).await;
    let mut portal = Service::start(program, "verifier", folder, verifier_port, &portal);
    portal.ready(&http, &folder.join("verifier/management.token")).await;
    let anchor = |path: &str| {
        let pem = fs::read(folder.join(path)).expect("made at the first start");
        TrustAnchor::from_pem(&pem).expect("PEM").swap_remove(0)
    };
    let anchors = (anchor("issuer/ca.pem"), anchor("verifier/keys/ca.pem"));
    Load { hospital, portal, http, anchors, journeys: AtomicUsize::new(0), garbage: AtomicUsize::new(0) }
}

fn main() {
    let program = std::env::var_os("CAREKEY").expect("CAREKEY names the program; `cargo xtask load` sets it");
    let seconds = std::env::args().nth(1).map_or(30, |text| text.parse().expect("seconds"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        println!("{WALLETS} wallets, {seconds} s each, services and wallets on the same cores");
        for with_garbage in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let load = Arc::new(start(Path::new(&program), &folder).await);
            let run = Arc::clone(&load).run(Duration::from_secs(seconds), with_garbage).await;
            let (mut issuance, mut presentation, elapsed) = run;
            println!("\n{}", if with_garbage { "with 10 % garbage requests" } else { "honest requests" });
            issuance.print("issuance", elapsed);
            presentation.print("presentation, step-up", elapsed);
            if with_garbage {
                println!("{:<24} {:>7} refused", "garbage", load.garbage.load(Ordering::Relaxed));
            }
            // Everything short-lived has ended by then, and the services have tidied up (every 30 s).
            tokio::time::sleep(Duration::from_secs(55)).await;
            let Ok(load) = Arc::try_unwrap(load) else { panic!("all journeys have ended") };
            for (name, service) in [("issuer", &load.hospital), ("verifier", &load.portal)] {
                let (now, peak) = service.memory();
                println!("{name:<24} {now:>7} MiB resident, {peak} at most");
            }
            load.hospital.stop();
            load.portal.stop();
            println!("records left 55 s later");
            tables(
                &folder.path().join("issuer/store"),
                &["offers", "offer_codes", "datasets", "access_tokens", "used_nonces"],
            )
            .await;
            tables(
                &folder.path().join("verifier/store"),
                &["vp_requests", "vp_outcomes", "vp_response_codes"],
            )
            .await;
        }
    });
}
