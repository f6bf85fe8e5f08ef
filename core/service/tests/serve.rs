//! A server over real sockets: every refusal a problem, every bound kept, and a graceful end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::{get, post};
use carekey_core::clock::SystemClock;
use carekey_core::store::{CommitError, MemoryStore, Record, Store, Table, Write};
use carekey_core::{Error, UnixTime};
use carekey_service::auth::{self, BearerToken};
use carekey_service::extract::{Form, Json, OAuthForm, OAuthJson, Path, Query};
use carekey_service::limit::{self, LimitConfig, RateLimiter};
use carekey_service::metrics::Metrics;
use carekey_service::problem::{OAuthError, Problem};
use carekey_service::serve::{self, ServerConfig, TlsFiles};
use carekey_service::{config, health};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
    #[serde(default)]
    number: u8,
}

/// One route for each way to read a request, and a few that misbehave.
fn routes() -> Router {
    let management = Router::new().route("/manage", get(async || "managed"));
    let limited = Router::new().route("/limited", get(async || "in time"));
    Router::new()
        .route("/", get(async || ([("content-security-policy", "default-src 'self'")], "page")))
        .route("/json", post(async |Json(input): Json<Input>| format!("{} {}", input.name, input.number)))
        .route("/form", post(async |Form(input): Form<Input>| input.name))
        .route("/query", get(async |Query(input): Query<Input>| input.name))
        .route("/path/{number}", get(async |Path(number): Path<u8>| number.to_string()))
        .route("/oauth/form", post(async |OAuthForm(input): OAuthForm<Input>| input.name))
        .route("/oauth/json", post(async |OAuthJson(input): OAuthJson<Input>| input.name))
        .route("/plain", post(async |text: String| text))
        .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(700)).await))
        .route("/never", get(async || std::future::pending::<()>().await))
        .route("/panic", get(async || -> &'static str { panic!("patient Zoë Müller") }))
        .route("/refused", get(async || Problem::from(Error::refused("level_too_low", "not enough"))))
        .route("/broken", get(async || Problem::from(Error::misuse("x", "secret path /etc/x"))))
        .route(
            "/grant",
            post(async || OAuthError::from_core("invalid_grant", &Error::refused("code_used", "used"))),
        )
        .merge(auth::require(management, BearerToken::new(TOKEN.into()).unwrap()))
        .merge(limit::apply(limited, RateLimiter::new(LimitConfig { per_minute: 60, burst: 3 })))
}

struct Server {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: Option<oneshot::Sender<()>>,
    done: tokio::task::JoinHandle<io::Result<()>>,
}

fn quick() -> ServerConfig {
    ServerConfig { request_seconds: 1, shutdown_seconds: 1, body_bytes: 1000, ..ServerConfig::default() }
}

fn start_with(config: ServerConfig, store: Arc<dyn Store>) -> Server {
    let metrics = Metrics::new();
    let router = routes().merge(health::routes(store, Arc::new(SystemClock), Arc::clone(&metrics)));
    let bound = serve::bind(&config).unwrap();
    let address = bound.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let counted = Arc::clone(&metrics);
    let done = tokio::spawn(async move {
        let shutdown = async move {
            let _ = stopped.await;
        };
        serve::run(bound, router, &config, &counted, shutdown).await
    });
    Server { address, metrics, stop: Some(stop), done }
}

fn start() -> Server {
    start_with(quick(), Arc::new(MemoryStore::new()))
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.head, self.body))
    }

    /// The code of a problem, after checking its form.
    fn problem(&self) -> String {
        let json = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        assert_eq!(json["status"], self.status);
        let code = json["code"].as_str().unwrap().to_owned();
        assert_eq!(json["type"], format!("urn:carekey:problem:{code}"));
        assert!(json["title"].is_string() && json["detail"].is_string());
        assert_eq!(self.header("cache-control"), Some("no-store"));
        code
    }
}

/// Sends the bytes as they are and reads until the server closes.
async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut bytes)).await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn send(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    raw(address, &[head.as_bytes(), body].concat()).await
}

const JSON: &str = "content-type: application/json\r\n";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

#[tokio::test]
async fn every_bad_request_is_a_problem_with_a_code() {
    let server = start();
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let large = vec![b'x'; 1001];
    // method, path, headers, body, and the status and code that answer
    type Case<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, &'a str);
    let cases: [Case; 34] = [
        ("GET", "/nothing", "", b"", 404, "not_found"),
        ("GET", "/json", "", b"", 405, "method_not_allowed"),
        ("BREW", "/json", "", b"", 405, "method_not_allowed"),
        ("POST", "/json", "", b"{}", 415, "unsupported_media_type"),
        ("POST", "/json", "content-type: text/plain\r\n", b"{}", 415, "unsupported_media_type"),
        ("POST", "/json", FORM, b"name=a", 415, "unsupported_media_type"),
        ("POST", "/json", JSON, b"", 400, "json_syntax"),
        ("POST", "/json", JSON, b"{", 400, "json_syntax"),
        ("POST", "/json", JSON, b"{\"name\":\"\xff\"}", 400, "json_syntax"),
        ("POST", "/json", JSON, b"{\"name\":\"a\"} x", 400, "json_syntax"),
        ("POST", "/json", JSON, b"{\"name\":\"a\",\"name\":\"b\"}", 400, "json_duplicate_member"),
        ("POST", "/json", JSON, deep.as_bytes(), 400, "json_too_deep"),
        ("POST", "/json", JSON, b"{}", 400, "invalid_member"),
        ("POST", "/json", JSON, b"[]", 400, "invalid_member"),
        ("POST", "/json", JSON, b"{\"name\":1}", 400, "invalid_member"),
        ("POST", "/json", JSON, b"{\"name\":\"a\",\"number\":256}", 400, "invalid_member"),
        ("POST", "/json", JSON, b"{\"name\":\"a\",\"more\":1}", 400, "invalid_member"),
        ("POST", "/json", JSON, &large, 413, "payload_too_large"),
        ("POST", "/plain", "", &large, 413, "payload_too_large"),
        ("POST", "/plain", "", b"\xff", 400, "bad_request"),
        ("POST", "/form", JSON, b"{}", 415, "unsupported_media_type"),
        ("POST", "/form", FORM, b"", 400, "invalid_form"),
        ("POST", "/form", FORM, b"name=a&name=b", 400, "invalid_form"),
        ("POST", "/form", FORM, b"name=a&number=x", 400, "invalid_form"),
        ("GET", "/query", "", b"", 400, "invalid_query"),
        ("GET", "/query?name=a&name=b", "", b"", 400, "invalid_query"),
        ("GET", "/path/300", "", b"", 404, "not_found"),
        ("GET", "/path/%ff", "", b"", 404, "not_found"),
        ("GET", "/manage", "", b"", 401, "unauthorized"),
        ("GET", "/manage", "authorization: Bearer wrong\r\n", b"", 401, "unauthorized"),
        ("GET", "/never", "", b"", 408, "request_timeout"),
        ("GET", "/refused", "", b"", 403, "level_too_low"),
        ("GET", "/broken", "", b"", 500, "internal"),
        ("GET", "/panic", "", b"", 500, "internal"),
    ];
    for (method, path, headers, body, status, code) in cases {
        let answer = send(server.address, method, path, headers, body).await;
        assert_eq!(answer.status, status, "{method} {path} {}", answer.body);
        assert_eq!(answer.problem(), code, "{method} {path}");
        for secret in ["Müller", "/etc/x"] {
            assert!(!answer.body.contains(secret));
        }
    }
    let not_allowed = send(server.address, "GET", "/json", "", b"").await;
    assert_eq!(not_allowed.header("allow"), Some("POST"));
    let unauthorized = send(server.address, "GET", "/manage", "", b"").await;
    assert_eq!(unauthorized.header("www-authenticate"), Some("Bearer"));
    let member = send(server.address, "POST", "/json", JSON, b"{\"name\":\"a\",\"number\":[]}").await;
    assert!(member.json()["detail"].as_str().unwrap().starts_with("`number`: "), "{}", member.body);

    let good =
        send(server.address, "POST", "/json", "content-type: application/x+json\r\n", b"{\"name\":\"a\"}")
            .await;
    assert_eq!((good.status, good.body.as_str()), (200, "a 0"));
    let managed = format!("authorization: Bearer {TOKEN}\r\n");
    assert_eq!(send(server.address, "GET", "/manage", &managed, b"").await.body, "managed");
}

#[tokio::test]
async fn unknown_paths_are_404_wherever_the_protected_routes_stand() {
    let protected = || {
        let routes = Router::new().route("/manage", get(async || "managed"));
        auth::require(routes, BearerToken::new(TOKEN.into()).unwrap())
    };
    let open = || Router::new().route("/open", get(async || "open"));
    for router in [protected(), protected().merge(open()), open().merge(protected())] {
        let bound = serve::bind(&quick()).unwrap();
        let address = bound.address();
        tokio::spawn(async move {
            serve::run(bound, router, &quick(), &Metrics::new(), std::future::pending()).await
        });
        assert_eq!(send(address, "GET", "/nothing", "", b"").await.problem(), "not_found");
        assert_eq!(send(address, "GET", "/manage", "", b"").await.problem(), "unauthorized");
        let posted = send(address, "POST", "/manage", "", b"").await;
        assert!([401, 405].contains(&posted.status));
    }
}

#[tokio::test]
async fn protocol_endpoints_answer_as_oauth_demands() {
    let server = start();
    for (path, headers, body, status, code) in [
        ("/oauth/form", JSON, "{}", 415, "unsupported_media_type"),
        ("/oauth/form", FORM, "", 400, "invalid_form"),
        ("/oauth/form", FORM, "name=a&name=b", 400, "invalid_form"),
        ("/oauth/json", JSON, "{", 400, "json_syntax"),
        ("/oauth/json", JSON, "{\"name\":\"a\",\"x\":\"\\\"\"}", 400, "invalid_member"),
        ("/grant", "", "", 400, "code_used"),
    ] {
        let answer = send(server.address, "POST", path, headers, body.as_bytes()).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let json = answer.json();
        let error = if path == "/grant" { "invalid_grant" } else { "invalid_request" };
        assert_eq!(json["error"], error);
        let description = json["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("{code}: ")), "{description}");
        assert!(description.chars().all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\'));
    }
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let server = start();
    let head = "POST /plain HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    // Announced too large: refused before it is sent.
    let announced = raw(server.address, format!("{head}content-length: 99999999\r\n\r\n").as_bytes()).await;
    assert_eq!((announced.status, announced.problem().as_str()), (413, "payload_too_large"));
    // Not announced.
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(11));
    let chunked = raw(server.address, chunked.as_bytes()).await;
    assert_eq!((chunked.status, chunked.problem().as_str()), (413, "payload_too_large"));
    // A body that never ends, and one that ends early.
    let slow = raw(server.address, format!("{head}content-length: 10\r\n\r\nabc").as_bytes()).await;
    assert_eq!((slow.status, slow.problem().as_str()), (408, "request_timeout"));
    // A head that never ends: the connection is closed without an answer or with 408.
    let begun = tokio::time::Instant::now();
    let head = raw(server.address, b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(head.status == 0 || head.status == 408, "{}", head.head);
    assert!(begun.elapsed() < Duration::from_secs(4));
    // What is not HTTP.
    assert_eq!(raw(server.address, b"\x16\x03\x01 hello\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn a_panic_costs_one_answer_only() {
    let server = start();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{}{path}", server.address);
    for _ in 0..3 {
        let answer = client.get(url("/panic")).send().await.unwrap();
        assert_eq!(answer.status(), 500);
        assert!(!answer.text().await.unwrap().contains("Müller"));
        assert_eq!(client.get(url("/")).send().await.unwrap().text().await.unwrap(), "page");
    }
}

#[tokio::test]
async fn security_headers_are_on_every_answer() {
    let server = start();
    for path in ["/", "/nothing", "/panic", "/healthz"] {
        let answer = send(server.address, "GET", path, "", b"").await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        let own = "default-src 'self'";
        assert!(
            if path == "/" { policy == own } else { policy.starts_with("default-src 'none'") },
            "{policy}"
        );
        assert!(answer.header("x-request-id").unwrap().len() >= 16);
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    let url = Some("https://hospital.example".parse().unwrap());
    let behind_tls = start_with(ServerConfig { public_url: url, ..quick() }, Arc::new(MemoryStore::new()));
    let answer = send(behind_tls.address, "GET", "/", "", b"").await;
    assert!(answer.header("strict-transport-security").is_some());
}

#[tokio::test]
async fn one_client_at_its_rate_and_headers_only_from_trusted_proxies() {
    let server = start();
    let mut statuses = Vec::new();
    for n in 0..6 {
        let forwarded = format!("x-forwarded-for: 1.2.3.{n}\r\n");
        let answer = send(server.address, "GET", "/limited", &forwarded, b"").await;
        statuses.push(answer.status);
        if answer.status == 429 {
            assert_eq!(answer.problem(), "too_many_requests");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429, 429]);
    assert_eq!(send(server.address, "GET", "/", "", b"").await.status, 200);

    let trusting = ServerConfig { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..quick() };
    let server = start_with(trusting, Arc::new(MemoryStore::new()));
    for n in 0..6 {
        let forwarded = format!("x-forwarded-for: 1.2.3.{n}\r\n");
        assert_eq!(send(server.address, "GET", "/limited", &forwarded, b"").await.status, 200);
    }
}

#[tokio::test]
async fn metrics_count_without_growing_by_what_clients_choose() {
    let server = start();
    for n in 0..50 {
        send(server.address, "GET", &format!("/nothing/{n}"), "", b"").await;
        send(server.address, "GET", &format!("/path/{n}"), "", b"").await;
        send(server.address, &format!("M{n}"), "/json", "", b"").await;
    }
    server.metrics.count("presentation", "verified");
    let page = send(server.address, "GET", "/metrics", "", b"").await;
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let requests: Vec<_> =
        page.body.lines().filter(|line| line.starts_with("carekey_http_requests_total")).collect();
    assert_eq!(requests.len(), 3, "{requests:#?}");
    for expected in [
        "{method=\"GET\",route=\"unmatched\",status=\"404\"} 50",
        "{method=\"GET\",route=\"/path/{number}\",status=\"200\"} 50",
        "{method=\"other\",route=\"/json\",status=\"405\"} 50",
    ] {
        assert!(requests.iter().any(|line| line.contains(expected)), "{expected} {requests:#?}");
    }
    assert!(page.body.contains("carekey_events_total{event=\"presentation\",outcome=\"verified\"} 1"));
    assert!(page.body.contains("carekey_http_requests_in_flight 1"), "only this one");
    // What a proxy passes on is not from this machine.
    let passed_on = send(server.address, "GET", "/metrics", "x-forwarded-for: 127.0.0.1\r\n", b"").await;
    assert_eq!((passed_on.status, passed_on.problem().as_str()), (403, "forbidden"));
}

/// A store whose disk is gone.
struct Broken;

#[async_trait]
impl Store for Broken {
    async fn read(&self, _: Table, _: &[u8]) -> Result<Option<Record>, Error> {
        Ok(None)
    }
    async fn scan(&self, _: Table, _: Option<&[u8]>, _: usize) -> Result<Vec<(Vec<u8>, Record)>, Error> {
        Ok(Vec::new())
    }
    async fn commit(&self, _: Vec<Write>) -> Result<(), CommitError> {
        Err(Error::unavailable("store_failed", "no disk sda1").into())
    }
    async fn purge_expired(&self, _: UnixTime, _: usize) -> Result<usize, Error> {
        Ok(0)
    }
}

#[tokio::test]
async fn ready_means_that_the_store_writes() {
    let good = start();
    assert_eq!(send(good.address, "GET", "/healthz", "", b"").await.json()["status"], "ok");
    assert_eq!(send(good.address, "GET", "/readyz", "", b"").await.json()["status"], "ready");
    let bad = start_with(quick(), Arc::new(Broken));
    assert_eq!(send(bad.address, "GET", "/healthz", "", b"").await.status, 200);
    let answer = send(bad.address, "GET", "/readyz", "", b"").await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "store_unavailable"));
    assert!(!answer.body.contains("sda1"));
}

#[tokio::test]
async fn a_stop_lets_running_requests_finish_in_bounded_time() {
    let mut server = start();
    let address = server.address;
    let running = tokio::spawn(async move { send(address, "GET", "/slow", "", b"").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.stop.take().unwrap().send(()).unwrap();
    assert_eq!(running.await.unwrap().status, 200, "it was being answered");
    tokio::time::timeout(Duration::from_secs(2), server.done).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");

    // One that never ends does not hold the server for ever.
    let mut server =
        start_with(ServerConfig { request_seconds: 60, ..quick() }, Arc::new(MemoryStore::new()));
    let address = server.address;
    let hanging = tokio::spawn(async move { send(address, "GET", "/never", "", b"").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(4), server.done).await.unwrap().unwrap().unwrap();
    hanging.abort();
}

#[tokio::test]
async fn tls_files_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    let config = ServerConfig { tls: Some(TlsFiles { certificate: certificate.clone(), key }), ..quick() };
    std::fs::write(&certificate, "not PEM").unwrap();
    let bound = serve::bind(&config).unwrap();
    let error = serve::run(bound, Router::new(), &config, &Metrics::new(), std::future::pending()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("c.pem") || error.contains("k.pem"), "{error}");
    let taken = serve::bind(&config).unwrap();
    let again = ServerConfig { listen: taken.address(), ..quick() };
    assert!(serve::bind(&again).unwrap_err().to_string().contains(&taken.address().to_string()));
}

#[test]
fn the_configuration_of_a_server_refuses_unknown_keys() {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Config {
        server: ServerConfig,
    }
    let read = |toml: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        config::load_from::<Config>(Some(file.path()), "CK", []).map_err(|error| error.to_string())
    };
    let full = "[server]\nlisten='127.0.0.1:1'\npublic_url='https://a.example'\ntrusted_proxies=['10.0.0.0/8']\n\
                tls={certificate='c',key='k'}\nrequest_seconds=1\nshutdown_seconds=2\nbody_bytes=3";
    let config = read(full).unwrap();
    assert_eq!(config.server.body_bytes, 3);
    for (toml, key) in [
        ("[server]\nlisten='nowhere'", "server.listen"),
        ("[server]\ntrusted_proxies=['10.0.0.0/99']", "server.trusted_proxies"),
        ("[server]\ntls={certificate='c'}", "server.tls"),
        ("[server]\ntls={certificate='c',key='k',chain='x'}", "server.tls.chain"),
        ("[server]\nport=1", "server.port"),
        ("[srever]\nport=1", "srever"),
    ] {
        let error = read(toml).unwrap_err();
        assert!(error.contains(&format!("`{key}")), "{error} / {key}");
    }
}

/// The log of one test, which runs on one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_routes_and_codes_and_nothing_of_a_person() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let server = start();
    send(server.address, "GET", "/query?name=Mueller-in-query", "x-a: Mueller-in-header\r\n", b"").await;
    send(server.address, "GET", "/path/77?code=Mueller-code", "", b"").await;
    send(server.address, "GET", "/nothing/Mueller-in-path", "", b"").await;
    send(server.address, "POST", "/json", JSON, b"{\"name\":[\"Mueller-in-body\"]}").await;
    send(server.address, "POST", "/json", JSON, b"{\"Mueller-member\":1}").await;
    send(server.address, "GET", "/manage", "authorization: Bearer Mueller-token\r\n", b"").await;
    send(server.address, "GET", "/panic", "", b"").await;
    drop(guard);
    let bytes = log.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let ours: Vec<_> = text.lines().filter(|line| line.contains("\"answered\"")).collect();
    assert_eq!(ours.len(), 7, "{text}");
    for expected in ["/path/{number}", "invalid_member", "unauthorized", "\"status\":500", "unmatched"] {
        assert!(text.contains(expected), "{expected} {text}");
    }
    for personal in ["Mueller", "Müller", "127.0.0.1"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let server = start_with(
        ServerConfig { request_seconds: 0, idle_seconds: 1, ..quick() },
        Arc::new(MemoryStore::new()),
    );
    let beginnings: [&[u8]; 5] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    ];
    let all = beginnings.map(|bytes| {
        tokio::spawn(async move {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            socket.write_all(bytes).await.unwrap();
            let mut rest = Vec::new();
            let closed = socket.read_to_end(&mut rest);
            assert!(tokio::time::timeout(Duration::from_secs(8), closed).await.is_ok(), "{bytes:?}");
        })
    });
    for one in all {
        one.await.unwrap();
    }
}
