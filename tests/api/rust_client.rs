//! The Rust client of this crate (feature `client`): what it repeats, what it sends, and how its
//! follower goes on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::client::{ActivationClient, CallError, ClientSettings, ClientTls};
use cdn_activation::clock::Clock;
use cdn_activation::domain::AccountId;
use cdn_activation::ids::new_id;
use cdn_activation::proto::cdn::v1::{
    DescribeUserCdnStatusRequest, ModifyCdnServiceRequest, OpenCdnServiceRequest,
};
use cdn_activation::proto::operator::v1::{
    Account, CreateAccountRequest, GetAccountRequest, LockRequest, WatchEventsRequest,
};
use cdn_activation::server::Listening;
use cdn_activation::workers::retention::forget_events;
use futures_util::StreamExt;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::support::callers::{EVERYTHING, grants, tokens};
use crate::support::database::Database;
use crate::support::events::{list_until, version, write_event};
use crate::support::grpc::next_account_id;
use crate::support::scratch::Scratch;
use crate::support::serve_process::Process;
use crate::support::tls::{Authority, ServerFiles};
use crate::support::{Api, TOKEN, eventually};

/// A service that answers every call with UNAVAILABLE, and records it.
struct Refusing {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

#[derive(Clone)]
struct Received {
    path: String,
    headers: HeaderMap,
    message: Bytes,
}

impl Refusing {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let records = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let records = Arc::clone(&records);
                let service = service_fn(move |request| refuse(request, Arc::clone(&records)));
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, received }
    }

    fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().expect("no panic"))
    }
}

async fn refuse(
    request: Request<Incoming>,
    records: Arc<Mutex<Vec<Received>>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    let path = head.uri.path().rsplit('/').next().expect("a method").to_owned();
    let received = Received { path, headers: head.headers, message: body.slice(5..) };
    records.lock().expect("no panic").push(received);
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", "14")
        .body(Empty::new());
    Ok(response.expect("a response"))
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible"))
    }
}

/// Returns a client of these addresses with the token of tests, and the directory of its file.
fn client(addresses: &[SocketAddr]) -> (ActivationClient, Scratch) {
    client_with(addresses, |_| {})
}

fn client_with(
    addresses: &[SocketAddr],
    change: impl FnOnce(&mut ClientSettings),
) -> (ActivationClient, Scratch) {
    let scratch = Scratch::new();
    let endpoints = addresses.iter().map(|address| format!("http://{address}"));
    let mut settings = ClientSettings {
        token_file: Some(scratch.file("token", &format!("{TOKEN}\n")).into()),
        ..ClientSettings::to(endpoints)
    };
    change(&mut settings);
    (ActivationClient::new(settings).expect("valid settings"), scratch)
}

fn account(number: i64) -> AccountId {
    AccountId::new(number).expect("positive")
}

#[tokio::test]
async fn the_client_repeats_reads_and_writes_with_one_request_id_and_no_other_write() {
    let refusing = Refusing::start().await;
    let (client, _scratch) = client(&[refusing.address]);
    let of_account = client.of_account(account(17));

    let status = of_account.call(DescribeUserCdnStatusRequest {}).await.expect_err("refused");
    assert_eq!(
        (status.code(), status.attempts(), refusing.take().len()),
        (Code::Unavailable, 5, 5)
    );

    let lock = LockRequest { account_id: 17, ..Default::default() };
    assert_eq!(client.call(lock.clone()).await.expect_err("refused").attempts(), 5);
    let received = refusing.take();
    let ids = |received: &[Received]| -> Vec<_> {
        let lock = |call: &Received| LockRequest::decode(call.message.clone()).expect("a Lock");
        received.iter().map(|call| lock(call).request_id).collect()
    };
    let first = ids(&received);
    assert_eq!(first, vec![first[0].clone(); 5], "one id for all attempts");
    assert!(uuid::Uuid::parse_str(&first[0]).is_ok(), "{first:?}");
    let own = LockRequest { request_id: new_id().to_string(), ..lock };
    client.call(own.clone()).await.expect_err("refused");
    assert_eq!(ids(&refusing.take()), vec![own.request_id; 5], "the id of the caller is kept");

    let open = of_account.call(OpenCdnServiceRequest::default()).await.expect_err("refused");
    let modify = of_account.call(ModifyCdnServiceRequest::default()).await.expect_err("refused");
    assert_eq!((open.attempts(), modify.attempts()), (1, 1));
    let paths: Vec<_> = refusing.take().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["OpenCdnService", "ModifyCdnService"]);
}

#[tokio::test]
async fn the_client_sends_the_account_the_deadline_and_the_newest_token() {
    let refusing = Refusing::start().await;
    let (client, scratch) = client(&[refusing.address]);
    let open = async || {
        let of_account = client.of_account(account(17));
        of_account.call(OpenCdnServiceRequest::default()).await.expect_err("refused");
        refusing.take().remove(0)
    };
    let received = open().await;
    assert_eq!(received.header("x-account-id"), "17");
    assert_eq!(received.header("authorization"), format!("Bearer {TOKEN}"));
    let timeout = received.header("grpc-timeout");
    let (number, unit) = timeout.split_at(timeout.len() - 1);
    let number: u64 = number.parse().expect("a number");
    let in_milliseconds = match unit {
        "u" => number / 1000,
        "m" => number,
        other => panic!("{other}"),
    };
    assert!((9000..=10_000).contains(&in_milliseconds), "{timeout}");

    scratch.file("token", "another-token");
    eventually("the new token is sent", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        open().await.header("authorization") == "Bearer another-token"
    })
    .await;
    std::fs::remove_file(scratch.0.join("token")).expect("it is ours");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(open().await.header("authorization"), "Bearer another-token", "the last one");

    let get = client.call(GetAccountRequest::default()).await.expect_err("refused");
    assert_eq!(get.to_string(), "Unavailable after 5 attempts: ");
    assert!(refusing.take().iter().all(|call| call.header("x-account-id").is_empty()));
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline_and_the_next_one_goes_to_another_endpoint() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addresses = [silent.local_addr().expect("bound"), api.addresses.grpc];
    let deadline = Duration::from_millis(500);
    let (client, _scratch) = client_with(&addresses, |settings| settings.deadline = deadline);
    let client = client.of_account(account(key.account_id));
    let began = Instant::now();
    let late = client.call(DescribeUserCdnStatusRequest {}).await.expect_err("no answer");
    assert_eq!((late.code(), late.attempts(), late.reason()), (Code::DeadlineExceeded, 1, None));
    assert!(began.elapsed() >= deadline && began.elapsed() < 10 * deadline);
    for _ in 0..2 {
        client.call(DescribeUserCdnStatusRequest {}).await.expect("answered by the other one");
    }
}

/// Returns a socket whose port refuses connections, and which nobody else can get.
fn closed_port() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    socket
}

#[tokio::test]
async fn a_write_that_could_not_be_sent_is_repeated_at_another_endpoint() {
    let api = Api::start_without_workers().await;
    let closed = closed_port();
    let addresses = [closed.local_addr().expect("bound"), api.addresses.grpc];
    let (client, _scratch) = client(&addresses);
    let key = api.account().await;
    let client = client.of_account(account(key.account_id));
    client.call(OpenCdnServiceRequest::default()).await.expect("opened at the second endpoint");
    let twice = client.call(OpenCdnServiceRequest::default()).await.expect_err("refused");
    assert_eq!((twice.reason().as_deref(), twice.attempts()), (Some("CdnService.HasOpened"), 1));
    assert!(twice.request_id().is_some_and(|id| uuid::Uuid::parse_str(&id).is_ok()));
}

/// Creates accounts until it is told to stop. Returns their ids.
async fn create_accounts(
    client: ActivationClient,
    stop: Arc<AtomicBool>,
) -> Result<Vec<i64>, CallError> {
    let mut created = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let account_id = next_account_id();
        let account = Some(Account { account_id, ..Default::default() });
        client.call(CreateAccountRequest { account, request_id: String::new() }).await?;
        created.push(account_id);
        client.call(GetAccountRequest { account_id }).await?;
    }
    Ok(created)
}

#[tokio::test]
async fn no_call_fails_and_no_event_is_missing_or_twice_while_replicas_are_killed_and_restarted() {
    let database = Database::fresh().await;
    let start =
        async |address: &str| Process::start(&database.url, &[("GRPC_ADDR", address)]).await;
    let mut replicas = [start("127.0.0.1:0").await, start("127.0.0.1:0").await];
    let addresses = replicas.each_ref().map(|replica| replica.grpc().to_owned());
    let parsed = addresses.each_ref().map(|address| address.parse().expect("an address"));
    let watch_deadline = Duration::from_millis(700); // so that it ends often
    let (client, _scratch) =
        client_with(&parsed, |settings| settings.watch_deadline = watch_deadline);

    let seen = Arc::<Mutex<BTreeMap<i64, usize>>>::default();
    let mut events = client.follow(WatchEventsRequest::default());
    let follower = tokio::spawn({
        let seen = Arc::clone(&seen);
        async move {
            loop {
                let next = events.next().await.expect("the follower goes on");
                *seen.lock().expect("no panic").entry(next.event.account_id).or_default() += 1;
            }
        }
    });
    let stop = Arc::<AtomicBool>::default();
    let creating = tokio::spawn(create_accounts(client.clone(), Arc::clone(&stop)));
    for index in [0, 1, 0, 1] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        replicas[index].kill();
        replicas[index] = start(&addresses[index]).await;
    }
    stop.store(true, Ordering::Relaxed);
    let created = creating.await.expect("no panic").expect("no call failed");
    assert!(created.len() > 20, "{} accounts", created.len());
    let stored = database.count("SELECT count(*) FROM accounts").await;
    assert_eq!(stored, i64::try_from(created.len()).expect("few"));
    let all = || seen.lock().expect("no panic").clone();
    eventually("every event has arrived", async || all().len() >= created.len()).await;
    assert_eq!(all(), created.iter().map(|account_id| (*account_id, 1)).collect());
    follower.abort();
}

#[tokio::test]
async fn a_follower_gets_an_expired_cursor_as_an_error_and_its_stream_ends() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut connection = api.database.connect().await;
    let mut write = async |number| {
        write_event(&mut connection, account_id, api.clock.wire_now(), number).await;
    };
    write(1).await;
    let (client, _scratch) = client(&[api.addresses.grpc]);
    let request = WatchEventsRequest { account_id, ..Default::default() };
    let mut events = Box::pin(client.follow(request.clone()).into_stream());
    let first = events.next().await.expect("it goes on").expect("an event");
    write(2).await;
    let second = events.next().await.expect("it goes on").expect("an event");
    assert_eq!((version(&first.event), version(&second.event)), (1, 2));

    list_until(&mut api.events().await, 2).await;
    let (store, retention) = (api.store(), chrono::Duration::zero());
    let never = CancellationToken::new();
    forget_events(&store, &Clock::system(), new_id(), retention, &never).await.expect("forgotten");
    let replica = api.replica().await; // it has not read the events
    let (client, _scratch) = self::client(&[replica.addresses.grpc]);
    let request = WatchEventsRequest { cursor: first.cursor, ..request };
    let mut events = Box::pin(client.follow(request.clone()).into_stream());
    let expired = events.next().await.expect("an error").expect_err("expired");
    assert_eq!(
        (expired.code(), expired.reason().as_deref()),
        (Code::OutOfRange, Some("CursorExpired"))
    );
    assert!(events.next().await.is_none());
    let mut events = client.follow(WatchEventsRequest { cursor: second.cursor, ..request });
    let waited = tokio::time::timeout(Duration::from_millis(300), events.next()).await;
    assert!(waited.is_err(), "a cursor after the deleted events goes on");
}

#[tokio::test]
async fn the_client_trusts_its_authority_and_shows_a_certificate_that_it_reads_again() {
    const SHOP: &str = "spiffe://example.org/shop";
    let authority = Authority::new("the authority");
    let plain = Api::start_without_workers().await;
    let key = plain.account().await;
    let served = ServerFiles::new(&authority.issue(&[]), &authority.pem());
    let grants = [EVERYTHING.to_owned(), grants(SHOP, "actions = [\"*\"]")].concat();
    let secure = plain
        .replica_with(|settings| {
            let tls = Some(served.tls(true));
            settings.listening = Listening { tls, ..Listening::default() };
            settings.callers = ServiceDirectory::of(&tokens(), &grants).expect("valid files");
        })
        .await;
    let mut own = ServerFiles::new(&authority.issue(&[SHOP]), &authority.pem());
    let settings = ClientSettings {
        tls: ClientTls {
            ca_file: Some(own.path("ca.crt").into()),
            certificate_and_key: Some((own.path("tls.crt").into(), own.path("tls.key").into())),
        },
        ..ClientSettings::to([format!("https://{}", secure.addresses.grpc)])
    };
    let client = ActivationClient::new(settings.clone()).expect("valid settings");
    let client = client.of_account(account(key.account_id));
    client.call(DescribeUserCdnStatusRequest {}).await.expect("the certificate is the identity");

    own.put(&authority.issue(&["spiffe://example.org/another"]), &authority.pem());
    eventually("the new certificate is shown", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let outcome = client.call(DescribeUserCdnStatusRequest {}).await;
        outcome.is_err_and(|error| error.reason().as_deref() == Some("ServiceForbidden"))
    })
    .await;

    let stranger = Authority::new("another authority");
    own.put(&authority.issue(&[SHOP]), &stranger.pem());
    let client =
        ActivationClient::new(ClientSettings { deadline: Duration::from_secs(1), ..settings });
    let client = client.expect("valid settings").of_account(account(key.account_id));
    let refused = client.call(DescribeUserCdnStatusRequest {}).await.expect_err("not trusted");
    assert_eq!((refused.code(), refused.reason()), (Code::Unavailable, None));
}

/// Starts a service without TLS, and a replica of it with a certificate of this authority.
async fn with_and_without_tls(authority: &Authority) -> (Api, Api) {
    let served = ServerFiles::new(&authority.issue(&[]), &authority.pem());
    let plain = Api::start_without_workers().await;
    let secure = plain
        .replica_with(|settings| {
            settings.listening = Listening { tls: Some(served.tls(false)), ..Listening::default() };
        })
        .await;
    (plain, secure)
}

#[tokio::test]
async fn a_follower_whose_endpoints_fail_in_tls_ends_with_an_error_and_one_that_waits_says_why() {
    let authority = Authority::new("the authority");
    let (api, secure) = with_and_without_tls(&authority).await;
    let trusting = |ca: &Authority, endpoints: &[String]| {
        let scratch = Scratch::new();
        let tls = ClientTls {
            ca_file: Some(scratch.file("ca.crt", &ca.pem()).into()),
            certificate_and_key: None,
        };
        let settings = ClientSettings { tls, ..ClientSettings::to(endpoints) };
        let client = ActivationClient::new(settings).expect("valid settings");
        (client.follow(WatchEventsRequest::default()), scratch)
    };
    let right = format!("https://{}", secure.addresses.grpc);
    let plain = format!("https://{}", api.addresses.grpc);
    let patience = Duration::from_mins(5);
    let stranger = Authority::new("another authority");
    for (ca, endpoints) in [
        (&stranger, vec![right.clone()]),
        (&stranger, vec![right.clone(), right.clone()]),
        (&authority, vec![plain.clone(), plain]),
    ] {
        let (mut events, _scratch) = trusting(ca, &endpoints);
        let ended = tokio::time::timeout(patience, events.next()).await.expect("an end");
        let error = ended.expect_err("not trusted");
        let tried = u32::try_from(endpoints.len()).expect("few");
        assert!(error.attempts() >= tried && error.reason().is_none(), "{error}");
    }
    // The service answers here, and refuses the caller.
    let (mut events, _scratch) = trusting(&authority, &[right]);
    let ended = tokio::time::timeout(patience, events.next()).await.expect("an end");
    assert_eq!(ended.expect_err("no token").code(), Code::Unauthenticated);

    let nowhere = closed_port();
    let address = nowhere.local_addr().expect("bound");
    let client = ActivationClient::new(ClientSettings::to([format!("http://{address}")]));
    let mut events = client.expect("valid settings").follow(WatchEventsRequest::default());
    assert!(events.last_failure().is_none());
    let is_seen = async || {
        let waited = tokio::time::timeout(Duration::from_millis(200), events.next()).await;
        assert!(waited.is_err(), "it goes on: {waited:?}");
        let failure = events.last_failure();
        failure.is_some_and(|failure| {
            failure.attempts() > 1
                && (failure.code(), failure.reason()) == (Code::Unavailable, None)
        })
    };
    eventually("the failure is seen", is_seen).await;
}

/// Closes its first connection, and forwards all later ones to `to`.
async fn first_closed(listener: TcpListener, to: SocketAddr) {
    drop(listener.accept().await.expect("a connection"));
    while let Ok((mut near, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut far = TcpStream::connect(to).await.expect("the service");
            tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
        });
    }
}

#[tokio::test]
async fn a_follower_goes_on_if_tls_failed_at_one_endpoint_and_the_other_one_was_only_unavailable() {
    let authority = Authority::new("the authority");
    let (api, secure) = with_and_without_tls(&authority).await;
    let unsteady = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoints = [unsteady.local_addr().expect("bound"), api.addresses.grpc];
    tokio::spawn(first_closed(unsteady, secure.addresses.grpc));
    let scratch = Scratch::new();
    let tls = ClientTls {
        ca_file: Some(scratch.file("ca.crt", &authority.pem()).into()),
        certificate_and_key: None,
    };
    let endpoints = endpoints.map(|address| format!("https://{address}"));
    let client = ActivationClient::new(ClientSettings { tls, ..ClientSettings::to(endpoints) });
    let mut events = client.expect("valid settings").follow(WatchEventsRequest::default());
    let ended = tokio::time::timeout(Duration::from_mins(5), events.next()).await.expect("an end");
    let error = ended.expect_err("no token");
    assert_eq!(error.code(), Code::Unauthenticated, "the first endpoint answers at last: {error}");
    assert!(error.attempts() >= 3, "{error}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_the_file_and_without_its_content() {
    let scratch = Scratch::new();
    let open = |settings| ActivationClient::new(settings).expect_err("refused").to_string();
    let to = || ClientSettings::to(["http://127.0.0.1:1"]);
    let secret = scratch.file("token", "two secrets");
    for path in [secret.clone(), scratch.file("empty", "\n"), "/none/such".to_owned()] {
        let sentence = open(ClientSettings { token_file: Some(path.clone().into()), ..to() });
        assert!(sentence.contains(&path) && !sentence.contains("two secrets"), "{sentence}");
    }
    let tls = ClientTls { ca_file: Some("/none/such".into()), ..ClientTls::default() };
    assert!(open(ClientSettings { tls, ..to() }).contains("/none/such"));
}
