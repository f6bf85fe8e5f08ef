//! Requests per second over loopback: the verifier's response endpoint against an axum endpoint that only verifies three
//! P-256 signatures. Each server runs on one thread; the load comes from another.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use carekey_core::Result;
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse, Method};
use carekey_core::key::{PublicKey, Signer as _};
use carekey_service::fetch::Fetcher;
use carekey_tests::story::key;
use carekey_tests::world::{Records, Wallet, World, text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Answers that are sent: each request takes one answer only.
const ANSWERS: usize = 3_000;
const CONNECTIONS: usize = 32;

/// Passes everything on but the answer itself, which it keeps.
struct Keeping {
    inner: Arc<Fetcher>,
    kept: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl HttpClient for Keeping {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        if request.method == Method::Post && request.url.path().starts_with("/oid4vp/responses/") {
            self.kept.lock().unwrap().push(request);
            let (content_type, body) = (Some("application/json".into()), b"{}".to_vec());
            return Ok(HttpResponse { status: 200, content_type, headers: Vec::new(), body });
        }
        self.inner.send(request).await
    }
}

fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// `POST` as bytes.
fn http(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends all requests over keep-alive connections; requests per second, all of which must be answered with 200.
fn load(address: SocketAddr, requests: Vec<Vec<u8>>) -> f64 {
    let count = requests.len();
    let queue = Arc::new(Mutex::new(requests.into_iter()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let queue = Arc::clone(&queue);
            tasks.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    let Some(request) = queue.lock().unwrap().next() else { return };
                    stream.write_all(&request).await.unwrap();
                    read_answer(&mut stream, &mut buffer).await;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    count as f64 / start.elapsed().as_secs_f64()
}

/// Reads one answer to its end.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut read = 0;
    loop {
        let more = stream.read(&mut buffer[read..]).await.unwrap();
        assert!(more > 0, "the server closed the connection");
        read += more;
        let Some(head) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&buffer[..head]).unwrap().to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().unwrap();
        if read >= head + 4 + length {
            return;
        }
    }
}

/// Answers of a wallet to as many requests, ready to be sent.
async fn answers(world: &World, count: usize) -> Vec<Vec<u8>> {
    let keeping = Arc::new(Keeping { inner: Arc::clone(&world.http), kept: Mutex::default() });
    let mut wallet = Wallet::new(world);
    let offer = world.offer(&["patient_identity"], false).await;
    wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
    // One answer goes the whole way: the portal then has keys and status list at hand.
    let request = world.ask_identity("direct_post").await;
    assert!(wallet.answer(text(&request, "request_uri")).await.unwrap().accepted);
    let wallet = wallet.with_http(keeping.clone());
    for _ in 0..count {
        let request = world.ask_identity("direct_post").await;
        wallet.answer(text(&request, "request_uri")).await.unwrap();
    }
    let kept = std::mem::take(&mut *keeping.kept.lock().unwrap());
    kept.iter()
        .map(|request| http(request.url.path(), "application/x-www-form-urlencoded", &request.body))
        .collect()
}

fn verifier(records: Records) -> f64 {
    let runtime = one_thread();
    let (world, requests) = runtime.block_on(async {
        let world = World::start(records).await;
        let requests = answers(&world, ANSWERS).await;
        (world, requests)
    });
    let address = SocketAddr::from(([127, 0, 0, 1], world.portal.port().unwrap()));
    let rate = load(address, requests);
    runtime.shutdown_timeout(Duration::from_secs(1));
    rate
}

type Signatures = Arc<(PublicKey, Vec<u8>)>;

async fn three_signatures(
    State(signature): State<Signatures>,
    body: axum::body::Bytes,
) -> (StatusCode, &'static str) {
    let (key, signature) = &*signature;
    for _ in 0..3 {
        if key.verify(&body, signature).is_err() {
            return (StatusCode::BAD_REQUEST, "");
        }
    }
    (StatusCode::OK, "{}")
}

fn floor(size: usize) -> f64 {
    let runtime = one_thread();
    let body = vec![b'a'; size];
    let signature = key(1).sign(&body).unwrap();
    let state: Signatures = Arc::new((key(1).public_key().clone(), signature));
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(three_signatures)).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    });
    let request = http("/", "application/octet-stream", &body);
    let rate = load(address, vec![request; ANSWERS * 2]);
    runtime.shutdown_timeout(Duration::from_secs(1));
    rate
}

/// Measures and prints.
pub fn run() {
    let floor = floor(3_500);
    println!("\n{:<28} {:>9}  one thread per server, {CONNECTIONS} connections", "HTTP", "req/s");
    println!("{:<28} {floor:>9.0}  axum, three P-256 verifications of aws-lc-rs", "floor");
    for (name, records) in [("verifier, memory", Records::Memory), ("verifier, disk", Records::Disk)] {
        let rate = verifier(records);
        println!(
            "{name:<28} {rate:>9.0}  step-up presentation by direct_post: {:.2} x the floor",
            rate / floor
        );
    }
}
