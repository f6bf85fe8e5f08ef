//! The guarded client over real sockets: what it fetches, and what it refuses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use carekey_core::clock::SystemClock;
use carekey_core::did::Did;
use carekey_core::did::resolver::DidResolver;
use carekey_core::holder::http::{HttpClient, HttpRequest};
use carekey_core::random::SystemRandom;
use carekey_service::dids::Dids;
use carekey_service::fetch::{FetchConfig, Fetcher, Lookup};
use carekey_service::keys;
use carekey_service::metrics::Metrics;
use carekey_service::serve::{self, ServerConfig, TlsFiles};
use http::{HeaderMap, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

/// A resolver that counts.
#[derive(Default)]
struct Names(HashMap<&'static str, Vec<IpAddr>>, AtomicUsize);

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.get(name).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn names() -> Arc<Names> {
    let entry =
        |name, addresses: &[&str]| (name, addresses.iter().map(|text| text.parse().unwrap()).collect());
    Arc::new(Names(
        HashMap::from([
            entry("good.example", &["127.0.0.1"]),
            entry("private.example", &["10.0.0.1"]),
            entry("loopback.example", &["127.0.0.1", "::1"]),
            entry("metadata.google.internal", &["169.254.169.254"]),
            entry("mapped.example", &["::ffff:192.168.0.1"]),
            entry("six.example", &["fe80::1", "fd00::1"]),
            entry("mixed.example", &["10.0.0.1", "127.0.0.1"]),
        ]),
        AtomicUsize::new(0),
    ))
}

/// Redirects, bodies and headers to order, with a counter of requests.
fn site(hits: Arc<AtomicUsize>) -> Router {
    let counted = Arc::clone(&hits);
    Router::new()
        .route("/ok", get(|| async { ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], "{}") }))
        .route(
            "/count",
            get(move |Query(query): Query<HashMap<String, String>>| async move {
                let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
                let control = query.get("control").cloned().unwrap_or_else(|| "max-age=600".into());
                ([(header::CACHE_CONTROL, control)], n.to_string())
            }),
        )
        .route(
            "/fail",
            get(move || async move {
                hits.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                http::StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .route(
            "/to",
            get(|Query(query): Query<HashMap<String, String>>| async move { Redirect::to(&query["url"]) })
                .post(|Query(query): Query<HashMap<String, String>>| async move {
                    Redirect::temporary(&query["url"]).into_response()
                }),
        )
        .route("/.well-known/did.json", get(|| async { did_document("did:web:good.example") }))
        .route("/loop", get(|| async { Redirect::to("/loop") }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(30)).await }))
        .route("/drip", get(drip))
        .route("/big", get(|| async { vec![b'x'; 20_001] }))
        .route("/chunked", get(|| async { Body::from_stream(futures_stream(300)) }))
        .route("/edge", get(|| async { vec![b'x'; 20_000] }))
        .route(
            "/auth",
            get(|headers: HeaderMap| async move { headers.contains_key("authorization").to_string() }),
        )
        .route(
            "/echo",
            post(|headers: HeaderMap, body: String| async move {
                format!("{} {body}", headers["content-type"].to_str().unwrap())
            }),
        )
}

fn did_document(id: &str) -> Response {
    let key = "zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv";
    let method = format!(
        r##"{{"id":"{id}#key","type":"Multikey","controller":"{id}","publicKeyMultibase":"{key}"}}"##
    );
    let document =
        format!(r##"{{"id":"{id}","verificationMethod":[{method}],"assertionMethod":["{id}#key"]}}"##);
    ([(header::CONTENT_TYPE, "application/did+json")], document).into_response()
}

fn futures_stream(chunks: usize) -> impl futures_util::Stream<Item = Result<Vec<u8>, io::Error>> {
    futures_util::stream::iter((0..chunks).map(|_| Ok(vec![b'x'; 100])))
}

/// One byte now and then: no single read is slow.
async fn drip() -> Response {
    let stream = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, io::Error>(vec![b'x']), ()))
    });
    Body::from_stream(stream).into_response()
}

struct Site {
    address: SocketAddr,
    hits: Arc<AtomicUsize>,
    names: Arc<Names>,
    authority: PathBuf,
    _folder: tempfile::TempDir,
}

impl Site {
    /// An https server on loopback that calls itself good.example.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = Url::parse("https://good.example").unwrap();
        keys::load_or_create(folder.path(), &name, &SystemRandom, &SystemClock).unwrap();
        let tls = TlsFiles {
            certificate: folder.path().join("signing.pem"),
            key: folder.path().join("signing.key"),
        };
        let config = ServerConfig { tls: Some(tls), ..ServerConfig::default() };
        let hits = Arc::new(AtomicUsize::new(0));
        let address = start(site(Arc::clone(&hits)), config);
        let authority = folder.path().join("ca.pem");
        Self { address, hits, names: names(), authority, _folder: folder }
    }

    fn config(&self) -> FetchConfig {
        FetchConfig {
            seconds: 2,
            max_bytes: 20_000,
            networks: vec!["127.0.0.1".parse().unwrap()],
            authorities: vec![self.authority.clone()],
            ..FetchConfig::default()
        }
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::with_lookup(self.config(), self.names.clone()).unwrap()
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("https://good.example:{}{path}", self.address.port())).unwrap()
    }

    fn redirect(&self, to: &str) -> Url {
        let mut url = self.url("/to");
        url.query_pairs_mut().append_pair("url", to);
        url
    }
}

fn start(router: Router, config: ServerConfig) -> SocketAddr {
    let bound = serve::bind(&config).unwrap();
    let address = bound.address();
    tokio::spawn(async move {
        let shutdown = std::future::pending();
        serve::run(bound, router, &config, &Metrics::new(), shutdown).await.unwrap();
    });
    address
}

#[tokio::test]
async fn fetches_over_tls_what_it_asked_for() {
    let site = Site::start().await;
    let fetched = site.fetcher().get(&site.url("/ok"), &["application/json"]).await.unwrap();
    assert_eq!((&*fetched.bytes, fetched.media_type.as_str()), (&b"{}"[..], "application/json"));
    let wrong = site.fetcher().get(&site.url("/ok"), &["application/statuslist+jwt"]).await.unwrap_err();
    assert_eq!(wrong.code(), "fetch_media_type");
    let missing = site.fetcher().get(&site.url("/nothing"), &[]).await.unwrap_err();
    assert_eq!(missing.code(), "fetch_status");

    // Without the authority the certificate is not trusted; under another name neither.
    let strange = FetchConfig { authorities: Vec::new(), ..site.config() };
    let strange = Fetcher::with_lookup(strange, site.names.clone()).unwrap();
    assert_eq!(strange.get(&site.url("/ok"), &[]).await.unwrap_err().code(), "fetch_failed");
    let other = Url::parse(&format!("https://loopback.example:{}/ok", site.address.port())).unwrap();
    let allowed = FetchConfig { networks: vec!["127.0.0.0/8".parse().unwrap()], ..site.config() };
    let allowed = Fetcher::with_lookup(allowed, site.names.clone()).unwrap();
    assert_eq!(allowed.get(&other, &[]).await.unwrap_err().code(), "fetch_failed");
}

#[tokio::test]
async fn refuses_hostile_urls_without_connecting() {
    let site = Site::start().await;
    let port = site.address.port();
    let fetcher = Fetcher::with_lookup(
        FetchConfig { seconds: 2, authorities: vec![site.authority.clone()], ..FetchConfig::default() },
        site.names.clone(),
    )
    .unwrap();
    let long = format!("https://good.example/{}", "a".repeat(3000));
    let hostile = [
        "http://good.example/",
        "ftp://good.example/",
        "file:///etc/passwd",
        "data:text/plain,x",
        "gopher://10.0.0.1/",
        "https://user@good.example/",
        "https://user:password@good.example/",
        &long,
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://a.localhost/",
        "http://localhost/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://[ff02::1]/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://168.63.129.16/",
        "https://１２７.０.０.１/",
        "https://192.0.2.1/",
        "https://198.18.0.1/",
    ];
    for text in hostile {
        let mut url = Url::parse(text).unwrap();
        let _ = url.set_port(Some(port));
        let error = fetcher.get(&url, &[]).await.unwrap_err();
        assert_eq!(error.code(), "fetch_url", "{text}: {error}");
    }
    assert_eq!(site.names.1.load(Ordering::SeqCst), 0, "nothing was looked up");
    for name in [
        "good.example",
        "private.example",
        "loopback.example",
        "metadata.google.internal",
        "mapped.example",
        "six.example",
        "mixed.example",
        "private.example.",
    ] {
        let url = Url::parse(&format!("https://{name}:{port}/ok")).unwrap();
        let error = fetcher.get(&url, &[]).await.unwrap_err();
        let expected = if name.ends_with('.') { "fetch_unknown_host" } else { "fetch_address" };
        assert_eq!(error.code(), expected, "{name}: {error}");
    }
    assert_eq!(site.hits.load(Ordering::SeqCst), 0);
    assert!(hostile.len() >= 30);
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_are_used() {
    // mixed.example is 10.0.0.1 and 127.0.0.1: the private one is dropped, the name of the certificate then fails.
    let site = Site::start().await;
    let url = Url::parse(&format!("https://mixed.example:{}/ok", site.address.port())).unwrap();
    let error = site.fetcher().get(&url, &[]).await.unwrap_err();
    assert_eq!(error.code(), "fetch_failed", "it reached the server, whose name is another: {error}");
    assert_eq!(site.names.1.load(Ordering::SeqCst), 1, "looked up once: what was checked is what is used");
}

#[tokio::test]
async fn redirects_are_judged_like_the_first_url() {
    let site = Site::start().await;
    let fetcher = site.fetcher();
    let fetched = fetcher.get(&site.redirect("/ok"), &[]).await.unwrap();
    assert_eq!(fetched.url, site.url("/ok"));
    for (to, code) in [
        ("https://10.0.0.1/", "fetch_url"),
        ("https://169.254.169.254/latest/meta-data/", "fetch_url"),
        ("http://good.example/", "fetch_url"),
        ("http://127.0.0.1/", "fetch_url"),
        ("https://localhost/", "fetch_url"),
        ("https://[::1]/", "fetch_url"),
        ("//user@good.example/", "fetch_url"),
        ("file:///etc/passwd", "fetch_url"),
        ("https://private.example/", "fetch_address"),
        ("https://six.example/", "fetch_address"),
        ("https://", "fetch_redirects"),
    ] {
        let error = fetcher.get(&site.redirect(to), &[]).await.unwrap_err();
        assert_eq!(error.code(), code, "{to}: {error}");
    }
    assert_eq!(fetcher.get(&site.url("/loop"), &[]).await.unwrap_err().code(), "fetch_redirects");
    // Four hops are one too many, three are not.
    let three = site.redirect(site.redirect(site.redirect("/ok").as_str()).as_str());
    fetcher.get(&three, &[]).await.unwrap();
    let four = site.redirect(three.as_str());
    assert_eq!(fetcher.get(&four, &[]).await.unwrap_err().code(), "fetch_redirects");
}

#[tokio::test]
async fn size_and_time_are_bounded() {
    let site = Site::start().await;
    let fetcher = site.fetcher();
    assert_eq!(fetcher.get(&site.url("/edge"), &[]).await.unwrap().bytes.len(), 20_000);
    for path in ["/big", "/chunked"] {
        assert_eq!(fetcher.get(&site.url(path), &[]).await.unwrap_err().code(), "fetch_too_large", "{path}");
    }
    for path in ["/slow", "/drip"] {
        let outcome = tokio::time::timeout(Duration::from_secs(4), fetcher.get(&site.url(path), &[])).await;
        assert_eq!(outcome.unwrap().unwrap_err().code(), "fetch_timeout", "{path}");
    }
}

#[tokio::test]
async fn a_server_that_lies_or_hangs_up_is_a_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
    let answers: [&[u8]; 4] = [
        b"",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
    ];
    tokio::spawn(async move {
        for answer in answers.iter().cycle() {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 1024]).await;
            let _ = socket.write_all(answer).await;
        }
    });
    let config = FetchConfig { seconds: 2, loopback: true, ..FetchConfig::default() };
    let fetcher = Fetcher::with_lookup(config, names()).unwrap();
    for _ in 0..4 {
        let error = fetcher.get(&url, &[]).await.unwrap_err();
        assert!(["fetch_failed", "fetch_too_large"].contains(&error.code()), "{error}");
        assert!(!error.to_string().contains("localhost"), "no URL in errors: {error}");
    }
}

#[tokio::test]
async fn loopback_is_for_the_demo_and_names_only_the_machine() {
    let hits = Arc::new(AtomicUsize::new(0));
    let address = start(site(hits), ServerConfig::default());
    let config = FetchConfig { seconds: 2, loopback: true, ..FetchConfig::default() };
    let fetcher = Fetcher::with_lookup(config.clone(), names()).unwrap();
    for host in ["localhost", "127.0.0.1", "wallet.localhost"] {
        let url = Url::parse(&format!("http://{host}:{}/ok", address.port())).unwrap();
        fetcher.get(&url, &["application/json"]).await.unwrap();
    }
    for (host, code) in [("loopback.example", "fetch_url"), ("10.0.0.1", "fetch_url")] {
        let url = Url::parse(&format!("http://{host}:{}/ok", address.port())).unwrap();
        assert_eq!(fetcher.get(&url, &[]).await.unwrap_err().code(), code, "{host}");
    }
    let url = Url::parse(&format!("https://loopback.example:{}/ok", address.port())).unwrap();
    assert_eq!(fetcher.get(&url, &[]).await.unwrap_err().code(), "fetch_address");
    let strict = Fetcher::with_lookup(FetchConfig { loopback: false, ..config }, names()).unwrap();
    let url = Url::parse(&format!("http://localhost:{}/ok", address.port())).unwrap();
    assert_eq!(strict.get(&url, &[]).await.unwrap_err().code(), "fetch_url");
}

#[tokio::test]
async fn the_cache_outlives_nobodys_word() {
    let site = Site::start().await;
    let fetcher = site.fetcher();
    let minute = Duration::from_secs(60);
    let body = async |control: &str, max_age: Duration| {
        let url = site.url(&format!("/count?control={control}"));
        let fetched = fetcher.cached_get(&url, &[], max_age).await.unwrap();
        String::from_utf8(fetched.bytes.to_vec()).unwrap().parse::<usize>().unwrap()
    };
    let first = body("max-age=600", minute).await;
    assert_eq!(body("max-age=600", minute).await, first);
    assert_eq!(body("max-age=600", Duration::ZERO).await, first + 1, "zero means: ask");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(body("max-age=600", Duration::from_millis(200)).await, first + 2, "the caller's word");
    assert_eq!(body("max-age=600", minute).await, first + 2);
    for control in ["no-store", "no-cache", "max-age=0", "max-age=x", "public,max-age=60,no-store"] {
        let one = body(control, minute).await;
        assert_eq!(body(control, minute).await, one + 1, "the server's word: {control}");
    }
    let none = fetcher.cached_get(&site.url("/count?control=no-store"), &["text/html"], minute).await;
    assert_eq!(none.unwrap_err().code(), "fetch_media_type");
}

#[tokio::test]
async fn many_askers_cause_one_request_and_share_its_failure() {
    let site = Site::start().await;
    let fetcher = site.fetcher();
    let ask = async |path: &str| {
        let all = (0..50).map(|_| {
            let (fetcher, url) = (fetcher.clone(), site.url(path));
            tokio::spawn(async move { fetcher.cached_get(&url, &[], Duration::from_secs(9)).await.is_ok() })
        });
        let mut good = 0;
        for task in all.collect::<Vec<_>>() {
            good += usize::from(task.await.unwrap());
        }
        (good, site.hits.swap(0, Ordering::SeqCst))
    };
    assert_eq!(ask("/count").await, (50, 1));
    assert_eq!(ask("/fail").await, (0, 1));
    assert_eq!(ask("/fail").await, (0, 1), "a failure is not kept");
}

#[tokio::test]
async fn as_client_of_the_holder_engine() {
    let site = Site::start().await;
    let fetcher = site.fetcher();
    let response = fetcher.send(HttpRequest::post_form(site.url("/echo"), &[("a", "b c")])).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.body, b"application/x-www-form-urlencoded a=b+c");
    let missing = fetcher.send(HttpRequest::get(site.url("/nothing"), "*/*")).await.unwrap();
    assert_eq!(missing.status, 404);
    assert_eq!(missing.content_type.as_deref(), Some("application/problem+json"));
    // A POST is not redirected: it may carry a presentation.
    let moved = fetcher.send(HttpRequest::post_form(site.redirect("/echo"), &[("a", "b")])).await.unwrap();
    assert_eq!(moved.status, 307);
    let forbidden = HttpRequest::post_form(Url::parse("https://10.0.0.1/").unwrap(), &[]);
    assert_eq!(fetcher.send(forbidden).await.unwrap_err().code(), "fetch_url");

    let same = HttpRequest::get(site.redirect("/auth"), "*/*").bearer("secret");
    assert_eq!(fetcher.send(same).await.unwrap().body, b"true");
    let elsewhere = start(site_router(), ServerConfig::default());
    let open = FetchConfig { loopback: true, ..site.config() };
    let open = Fetcher::with_lookup(open, site.names.clone()).unwrap();
    let away = site.redirect(&format!("http://localhost:{}/auth", elsewhere.port()));
    assert_eq!(open.send(HttpRequest::get(away, "*/*").bearer("secret")).await.unwrap().body, b"false");
}

#[tokio::test]
async fn dids_of_the_web() {
    let site = Site::start().await;
    let port = site.address.port();
    let dids = Dids::new(Arc::new(site.fetcher()), Arc::new(SystemClock), false);
    let did = |text: String| Did::parse(&text).unwrap();
    let code = async |text: String| dids.resolve(&did(text)).await.unwrap_err().code();
    // The document names did:web:good.example, without the port that this test needs.
    assert_eq!(code(format!("did:web:good.example%3A{port}")).await, "did_document");
    assert_eq!(code(format!("did:web:good.example%3A{port}:nothing")).await, "did_not_found");
    assert_eq!(code(format!("did:web:nowhere.example%3A{port}")).await, "did_not_found");
    assert_eq!(code(format!("did:web:private.example%3A{port}")).await, "fetch_address");
    assert_eq!(code(format!("did:web:localhost%3A{port}")).await, "did_web");
    assert_eq!(code("did:example:1".into()).await, "did_method");
    let offline = did("did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv".into());
    assert_eq!(dids.resolve(&offline).await.unwrap().id, offline);

    // Names of this computer only where that is allowed; by TLS too.
    let (sender, receiver) = tokio::sync::oneshot::channel::<String>();
    let id = futures_util::future::FutureExt::shared(receiver);
    let router = Router::new().route(
        "/hospital/did.json",
        get(move || {
            let id = id.clone();
            async move { did_document(&id.await.unwrap()) }
        }),
    );
    let address = start(router, ServerConfig::default());
    let local = did(format!("did:web:localhost%3A{}:hospital", address.port()));
    sender.send(local.to_string()).unwrap();
    let fetcher = Fetcher::with_lookup(FetchConfig { loopback: true, ..site.config() }, site.names.clone());
    let open = Dids::new(Arc::new(fetcher.unwrap()), Arc::new(SystemClock), true);
    assert_eq!(open.resolve(&local).await.unwrap().id, local);
    assert_eq!(dids.resolve(&local).await.unwrap_err().code(), "did_web");
}

fn site_router() -> Router {
    site(Arc::new(AtomicUsize::new(0)))
}

#[test]
fn an_unusable_authority_is_named() {
    let config =
        FetchConfig { authorities: vec![Path::new("/nowhere/ca.pem").into()], ..FetchConfig::default() };
    assert!(Fetcher::new(config).unwrap_err().to_string().contains("/nowhere/ca.pem"));
}
