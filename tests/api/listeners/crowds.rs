//! More connections than the limit or the file descriptors allow: connections without a running
//! request are closed for new ones.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::server::{Bounds, descriptors};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ended;
use crate::support::connection::Connection;
use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::rest::{Key, query};
use crate::support::scratch::Scratch;
use crate::support::stored::{Held, LOCK_THE_ACCOUNT};
use crate::support::{Api, callers};

const STATUS: &str = "Action=DescribeUserCdnStatus";
/// Longer than any call here takes while hundreds of other tests run.
const SOON: Duration = Duration::from_secs(5);

/// Opens this number of connections that send nothing.
async fn silent(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(TcpStream::connect(address).await.expect("it listens"));
    }
    connections
}

fn files() -> (Scratch, String, [(&'static str, String); 2]) {
    let scratch = Scratch::new();
    let key = SealingKey::generate().expect("random bytes");
    let key = scratch.file("sealing-key", &format!("{}\n", key.as_str()));
    let callers = callers::files(&scratch.0);
    (scratch, key, callers)
}

fn serve(
    descriptors: u32,
    database: &Database,
    key: &str,
    [tokens, grants]: &[(&str, String); 2],
) -> Program {
    let variables = [
        ("DATABASE_URL", database.url.as_str()),
        ("SEALING_KEY_FILE", key),
        (tokens.0, tokens.1.as_str()),
        (grants.0, grants.1.as_str()),
        ("GRPC_ADDR", "127.0.0.1:0"),
        ("REST_ADDR", "127.0.0.1:0"),
        ("OPS_ADDR", "127.0.0.1:0"),
    ];
    Program::start_limited(descriptors, ["serve"], &variables)
}

#[tokio::test]
async fn more_silent_connections_than_descriptors_do_not_keep_others_out() {
    let (database, (_scratch, key, token)) = (Database::fresh().await, files());
    let mut program = serve(1024, &database, &key, &token);
    let api = program.ready().await;
    let key = api.account().await;
    // The test itself needs a descriptor for each, too.
    let many = Bounds { rest_connections: 8192, ..Bounds::default() };
    descriptors::fit(many, 100).expect("enough");
    let _rest = silent(api.addresses.rest, 1100).await;
    let _grpc = silent(api.addresses.grpc, 1100).await;
    let _ops = silent(api.addresses.ops, 1100).await;
    let begun = Instant::now();
    assert_eq!(api.page("/livez").await.status, 200);
    api.get(&key, STATUS).await.succeeded();
    api.open_cdn(&key).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    for (listener, most) in [("rest", 600.0), ("grpc", 300.0), ("ops", 80.0)] {
        ended(&api, listener, "crowded_out", 500.0).await;
        let open = api.metric(&format!(r#"connections_open{{listener="{listener}"}}"#)).await;
        assert!(open.is_some_and(|open| open <= most), "{listener}: {open:?}");
    }
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("could not be accepted"), "{ended:?}");
    assert!(ended.stderr.contains("lowered the connection limits"), "{ended:?}");
}

#[tokio::test]
async fn with_too_few_descriptors_the_program_exits_with_one_sentence() {
    let (database, (_scratch, key, token)) = (Database::fresh().await, files());
    let ended = serve(128, &database, &key, &token).end().await;
    let sentence = ended.sentence(1);
    assert!(sentence.starts_with("128 file descriptors are too few, and at least"), "{sentence}");
}

/// Opens a connection with a request whose last byte is missing. Returns when the service reads its
/// body.
async fn incomplete(address: SocketAddr) -> TcpStream {
    let mut incomplete = TcpStream::connect(address).await.expect("it listens");
    let head = "POST /?Format=JSON HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    incomplete.write_all(head.as_bytes()).await.expect("sent");
    let mut interim = [0; 25];
    incomplete.read_exact(&mut interim).await.expect("the service reads the body");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    incomplete.write_all(b"a").await.expect("sent");
    incomplete
}

/// Opens a connection with an opening that waits until the lock of the account is released.
async fn busy(api: &Api, key: &Key) -> (Connection, Held) {
    let held = api.database.hold(key.account_id, LOCK_THE_ACCOUNT).await;
    let signed = api.sign(key, "GET", api.common(key, "Action=OpenCdnService"));
    let mut busy = api.connect().await;
    busy.send(&api.request("GET", &format!("/?{}", query(&signed)), &[], b"")).await;
    api.database.wait_until_blocked(1).await;
    (busy, held)
}

/// Releases the lock, and checks that the opening succeeds.
async fn finish((mut busy, held): (Connection, Held)) {
    held.commit().await;
    busy.reply().await.expect("the connection is open").succeeded();
}

#[tokio::test]
async fn an_idle_connection_is_closed_for_a_new_one_and_a_busy_one_is_not() {
    let api = Api::start_with(|settings| settings.bounds.rest_connections = 2).await;
    let (key, other) = (api.account().await, api.account().await);
    let busy = busy(&api, &key).await;
    let mut idle = api.connect().await;
    idle.send(&api.request("GET", "/elsewhere", &[], b"")).await;
    assert_eq!(idle.reply().await.expect("an answer").status, 404);
    api.get(&other, STATUS).await.succeeded();
    assert!(idle.has_ended().await);
    ended(&api, "rest", "crowded_out", 1.0).await;
    finish(busy).await;
}

#[tokio::test]
async fn if_every_connection_is_busy_a_new_one_is_closed_at_once() {
    let api = Api::start_with(|settings| settings.bounds.rest_connections = 1).await;
    let key = api.account().await;
    let busy = busy(&api, &key).await;
    let mut new = TcpStream::connect(api.addresses.rest).await.expect("it listens");
    assert!(new.read(&mut [0]).await.map_or(true, |read| read == 0));
    ended(&api, "rest", "refused", 1.0).await;
    finish(busy).await;
}

#[tokio::test]
async fn a_connection_with_an_incomplete_request_is_closed_for_a_new_one() {
    let api = Api::start_with(|settings| settings.bounds.rest_connections = 1).await;
    let key = api.account().await;
    let mut incomplete = incomplete(api.addresses.rest).await;
    api.get(&key, STATUS).await.succeeded();
    assert!(incomplete.read(&mut [0]).await.map_or(true, |read| read == 0));
    ended(&api, "rest", "crowded_out", 1.0).await;
}
