//! How a service stops: it first becomes unready, then finishes the calls that run, and does not wait
//! for idle connections.

use std::time::Duration;

use cdn_activation::proto::cdn::v1 as cdn;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::connection::Connection as Kept;
use crate::support::database::left_out_on_citus;
use crate::support::rest::{Reply, query};
use crate::support::{Api, eventually};

/// Opens a transaction that makes every writing statement wait until it ends.
async fn hold_writes(api: &Api) -> PgConnection {
    let mut connection = api.database.connect().await;
    let statement = "BEGIN; LOCK TABLE event_outbox IN EXCLUSIVE MODE";
    sqlx::raw_sql(statement).execute(&mut connection).await.expect("locked");
    connection
}

/// Waits until a statement of the service waits for a lock.
async fn statements_wait(api: &Api) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'cdn-activation' AND wait_event_type = 'Lock'";
    eventually("statements wait", async || api.database.count(waiting).await > 0).await;
}

#[tokio::test]
async fn a_service_that_drains_is_unready_and_answers() {
    let delay = Duration::from_secs(3); // readiness asks the database once a second
    let mut api = Api::start_with(|settings| settings.drain_delay = delay).await;
    let key = api.account().await;
    let ended = api.begin_stop();
    eventually("unready", async || api.page("/readyz").await.status == 503).await;
    assert_eq!(api.page("/livez").await.status, 200);
    assert_eq!(api.metric("cdn_activation_draining").await, Some(1.0));
    assert_eq!(api.metric("cdn_activation_ready").await, Some(0.0));
    let mut health = HealthClient::new(api.channel().await);
    let checked = health.check(HealthCheckRequest::default()).await.expect("answered");
    assert_eq!(checked.into_inner().status(), ServingStatus::NotServing);
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    api.open_dcdn(&key).await;
    let most_of_it = tokio::time::Instant::now() + delay / 2;
    while tokio::time::Instant::now() < most_of_it {
        assert_eq!(api.page("/readyz").await.status, 503, "it stays unready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!ended.is_finished());
    drop(health);
    ended.await.expect("the service ends in good order");
    for address in [api.addresses.grpc, api.addresses.rest, api.addresses.ops] {
        // A process that another test starts at this moment has the sockets of this one until it
        // runs its own program.
        let is_closed = async || TcpStream::connect(address).await.is_err();
        eventually("the listener is closed", is_closed).await;
    }
}

#[tokio::test]
async fn calls_that_run_when_the_service_stops_are_finished_on_both_wires() {
    let longest = Duration::from_secs(20);
    let mut api = Api::start_with(|settings| settings.drain_timeout = longest).await;
    let (over_rest, over_grpc) = (api.account().await, api.account().await);
    let lock = hold_writes(&api).await;
    let mut client = api.cdn(&over_grpc).await;
    let grpc = tokio::spawn(async move {
        client.open_cdn_service(cdn::OpenCdnServiceRequest::default()).await
    });
    let open = api.common(&over_rest, "Action=OpenCdnService");
    let open = query(&api.sign(&over_rest, "GET", open));
    let address = api.addresses.rest;
    let rest = tokio::spawn(async move {
        let request = format!("GET /?{open} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        Reply::of(address, request.as_bytes()).await
    });
    statements_wait(&api).await;
    let ended = api.begin_stop();
    eventually("closed", async || TcpStream::connect(address).await.is_err()).await;
    assert!(!ended.is_finished() && !rest.is_finished() && !grpc.is_finished());
    lock.close().await.expect("closed");
    let (rest, grpc) = (rest.await.expect("answered"), grpc.await.expect("answered"));
    rest.succeeded();
    grpc.expect("opened");
    ended.await.expect("the service ends in good order");
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 2);
    let left = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'cdn-activation'";
    eventually("no connection is left", async || api.database.count(left).await == 0).await;
}

#[tokio::test]
async fn a_write_whose_client_has_disconnected_is_finished_before_the_service_ends() {
    if left_out_on_citus("a lock of a table is not one of its shards").await {
        return;
    }
    let mut api = Api::start().await;
    let key = api.account().await;
    let held = api.database.hold_inserts_into("instances").await;
    let mut client = api.cdn(&key).await;
    let request = cdn::OpenCdnServiceRequest::default();
    let call = tokio::spawn(async move { client.open_cdn_service(request).await });
    statements_wait(&api).await;
    call.abort();
    let ended = api.begin_stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!ended.is_finished(), "the service waits for the write");
    held.commit().await;
    ended.await.expect("the service ends in good order");
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 1);
}

#[tokio::test]
async fn the_service_does_not_wait_for_idle_connections() {
    let longest = Duration::from_secs(20);
    let mut api = Api::start_with(|settings| settings.drain_timeout = longest).await;
    let key = api.account().await;
    let mut idle = Vec::new();
    // Each connection has had an answer and stays open.
    for (address, path) in [(api.addresses.rest, "/"), (api.addresses.ops, "/livez")] {
        let mut stream = TcpStream::connect(address).await.expect("the service listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut reply = [0; 4096];
        assert!(stream.read(&mut reply).await.expect("answered") > 0);
        idle.push(stream);
    }
    let client = api.cdn(&key).await;
    client
        .clone()
        .describe_user_cdn_status(cdn::DescribeUserCdnStatusRequest::default())
        .await
        .expect("answered");
    let begun = tokio::time::Instant::now();
    api.begin_stop().await.expect("the service ends in good order");
    assert!(begun.elapsed() < longest / 2, "{:?}", begun.elapsed());
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0, "it was closed");
    }
    drop(client);
}

#[tokio::test]
async fn connections_without_a_call_and_health_watches_end_with_the_listeners() {
    let longest = Duration::from_secs(20);
    let mut api = Api::start_with(|settings| settings.drain_timeout = longest).await;
    let mut without_a_call = Vec::new();
    for address in [api.addresses.grpc, api.addresses.rest, api.addresses.ops] {
        without_a_call.push(TcpStream::connect(address).await.expect("the service listens"));
        let mut half = TcpStream::connect(address).await.expect("the service listens");
        half.write_all(b"GET / HT").await.expect("sent");
        without_a_call.push(half);
    }
    let mut deaf = TcpStream::connect(api.addresses.grpc).await.expect("the service listens");
    let handshake = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    deaf.write_all(handshake).await.expect("sent"); // it never answers a ping
    without_a_call.push(deaf);
    let mut health = HealthClient::new(api.channel().await);
    let mut watches = Vec::new();
    for (service, last) in [
        ("", ServingStatus::NotServing),
        ("activation.cdn.v1.CdnService", ServingStatus::NotServing),
        ("liveness", ServingStatus::Serving),
        ("no.Service", ServingStatus::ServiceUnknown),
    ] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let watch = health.watch(request).await.expect("watched").into_inner();
        watches.push((watch, last));
    }
    // All of them have been accepted, because a later request is answered.
    assert_eq!(api.page("/livez").await.status, 200);
    let begun = tokio::time::Instant::now();
    api.begin_stop().await.expect("the service ends in good order");
    assert!(begun.elapsed() < longest / 2, "{:?}", begun.elapsed());
    for (mut watch, expected) in watches {
        let mut last = None;
        while let Some(status) = watch.message().await.expect("it ends in good order") {
            last = Some(status.status());
        }
        assert_eq!(last, Some(expected));
    }
    drop(without_a_call);
}

#[tokio::test]
async fn calls_that_hang_are_cut_off_at_the_end_of_the_drain() {
    let longest = Duration::from_secs(1);
    let mut api = Api::start_with(|settings| settings.drain_timeout = longest).await;
    let key = api.account().await;
    let lock = hold_writes(&api).await;
    let mut client = api.cdn(&key).await;
    let request = cdn::OpenCdnServiceRequest::default();
    let call = tokio::spawn(async move { client.open_cdn_service(request).await });
    statements_wait(&api).await;
    let begun = tokio::time::Instant::now();
    api.begin_stop().await.expect("the service ends in good order");
    assert!(begun.elapsed() >= longest && begun.elapsed() < 5 * longest, "{:?}", begun.elapsed());
    call.await.expect("no panic").expect_err("it was cut off");
    lock.close().await.expect("closed");
}

/// Returns whether the answer to a request closes its connection.
async fn is_closed_by_an_answer(address: std::net::SocketAddr, path: &str) -> bool {
    let mut connection = Kept::to(address).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    connection.send(request.as_bytes()).await;
    let reply = connection.reply().await.expect("answered");
    let closes = reply.headers.get("connection").is_some_and(|value| value == "close");
    assert_ne!(closes, reply.headers.contains_key("keep-alive"), "{:?}", reply.headers);
    if closes {
        assert!(connection.has_ended().await);
    }
    closes
}

#[tokio::test]
async fn from_the_request_to_stop_on_each_answer_over_http_1_closes_its_connection() {
    let mut api = Api::start_with(|settings| settings.drain_delay = Duration::from_secs(3)).await;
    let key = api.account().await;
    let mut kept = api.connect().await;
    let signed = || {
        let parameters = api.common(&key, "Action=DescribeUserCdnStatus");
        let target = format!("/?{}", query(&api.sign(&key, "GET", parameters)));
        api.request("GET", &target, &[], b"")
    };
    kept.send(&signed()).await;
    let reply = kept.reply().await.expect("answered");
    assert_eq!((reply.status, reply.headers.contains_key("keep-alive")), (200, true));
    let last = signed();
    let pages = [(api.addresses.rest, "/"), (api.addresses.ops, "/readyz")];
    for (address, path) in pages {
        assert!(!is_closed_by_an_answer(address, path).await, "{path}");
    }
    let ended = api.begin_stop();
    eventually("it drains", async || api.page("/readyz").await.status == 503).await;
    for (address, path) in pages {
        assert!(is_closed_by_an_answer(address, path).await, "{path}");
    }
    kept.send(&last).await;
    let reply = kept.reply().await.expect("answered");
    assert_eq!((reply.status, reply.headers["connection"].as_str()), (200, "close"));
    assert!(kept.has_ended().await);
    assert!(!ended.is_finished(), "the listeners were open all the time");
    ended.await.expect("the service ends in good order");
}

#[tokio::test]
async fn the_ops_listener_answers_until_the_last_call_has_ended() {
    let longest = Duration::from_secs(20);
    let mut api = Api::start_with(|settings| settings.drain_timeout = longest).await;
    let key = api.account().await;
    let lock = hold_writes(&api).await;
    let mut client = api.cdn(&key).await;
    let request = cdn::OpenCdnServiceRequest::default();
    let call = tokio::spawn(async move { client.open_cdn_service(request).await });
    statements_wait(&api).await;
    let ended = api.begin_stop();
    let address = api.addresses.rest;
    eventually("closed", async || TcpStream::connect(address).await.is_err()).await;
    for (path, status) in [("/livez", 200), ("/readyz", 503), ("/metrics", 200)] {
        assert_eq!(api.page(path).await.status, status, "{path}");
    }
    assert!(!ended.is_finished());
    lock.close().await.expect("closed");
    call.await.expect("no panic").expect("opened");
    ended.await.expect("the service ends in good order");
    assert!(TcpStream::connect(api.addresses.ops).await.is_err(), "it is closed");
}
