//! Simultaneous openings: exactly one of several succeeds, an opening is decided again if the
//! account changes between reading and writing, and a client that disconnects leaves no partial
//! opening. Transactions of the tests lock rows to control the order.

use std::time::{Duration, Instant};

use cdn_activation::proto::cdn::v1::{DescribeUserCdnStatusRequest, OpenCdnServiceRequest};
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::Api;
use crate::support::action_refusals::{
    BALANCE, BID_USER, CDN_HAS_OPENED, INTL, NO_REAL_NAME, ORDER, PAYMENT_METHOD, PROFILE,
    UNAVAILABLE,
};
use crate::support::database::left_out_on_citus;
use crate::support::grpc::refusal;
use crate::support::rest::{Key, query};
use crate::support::stored::{LOCK_THE_ACCOUNT, OPENED_BY_ANOTHER};
use crate::support::wires::{Answer, Refusal, Wire};

const OPEN: &str = "Action=OpenCdnService";
const OPEN_DCDN: &str =
    "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=websocketbps";
/// A change of an account that affects no decision. Others see it when it is committed.
const TOUCH: &str =
    "UPDATE accounts SET balance = balance + 1, version = version + 1 WHERE account_id = $1";

/// Sends all requests at once. Returns how many succeeded, and the distinct codes of the others.
async fn all_at_once(requests: &[(&Api, Wire, &str)], key: &Key) -> (usize, Vec<String>) {
    let calls = requests.iter().map(|(api, wire, given)| api.ask(*wire, key, given));
    let answers: Vec<Answer> = join_all(calls).await;
    let succeeded = answers.iter().filter(|answer| answer.http == 200).count();
    let mut codes: Vec<_> = answers.iter().map(|answer| answer.code().to_owned()).collect();
    codes.retain(|code| code != "OK");
    codes.sort();
    codes.dedup();
    (succeeded, codes)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_simultaneous_openings_exactly_one_succeeds() {
    let api = Api::start().await;
    let other = api.replica().await;
    for (here, there) in [
        ((&api, Wire::V1Get), (&api, Wire::V1Get)),
        ((&api, Wire::Grpc), (&api, Wire::Grpc)),
        ((&api, Wire::V3), (&api, Wire::Grpc)),
        ((&api, Wire::V1Post), (&other, Wire::V1Post)),
        ((&api, Wire::Grpc), (&other, Wire::Grpc)),
        ((&api, Wire::V3), (&other, Wire::Grpc)),
    ] {
        for (given, has_opened) in
            [(OPEN, "CdnService.HasOpened"), (OPEN_DCDN, "DcdnService.HasOpened")]
        {
            let key = api.account().await;
            let requests = [(here.0, here.1, given), (there.0, there.1, given)];
            let outcome = all_at_once(&requests, &key).await;
            assert_eq!(outcome, (1, vec![has_opened.to_owned()]), "{:?} {:?}", here.1, there.1);
            assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_simultaneous_openings_of_each_product_exactly_one_succeeds() {
    let api = Api::start().await;
    let other = api.replica().await;
    for _ in 0..4 {
        let key = api.account().await;
        let wires = [Wire::V1Get, Wire::V3Xml, Wire::Grpc, Wire::Grpc].iter().cycle().take(8);
        let requests = |wire: &Wire| {
            [
                (&api, *wire, OPEN),
                (&other, *wire, OPEN),
                (&api, *wire, OPEN_DCDN),
                (&other, *wire, OPEN_DCDN),
            ]
        };
        let both: Vec<_> = wires.flat_map(requests).collect();
        let has_opened = ["CdnService.HasOpened".to_owned(), "DcdnService.HasOpened".to_owned()];
        assert_eq!(all_at_once(&both, &key).await, (2, has_opened.to_vec()));
        assert_eq!(api.database.openings(key.account_id).await, (2, 2, 2));
        for action in ["DescribeCdnService", "DescribeDcdnService"] {
            api.call(&key, &format!("Action={action}")).await.expect("it is open");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_openings_that_are_written_at_the_same_moment_one_succeeds_and_none_is_a_fault() {
    let api = Api::start().await;
    let other = api.replica().await;
    let mut quick_rounds = 0;
    for _ in 0..24 {
        let key = api.account().await;
        let held = api.database.hold(key.account_id, LOCK_THE_ACCOUNT).await;
        let mut calls = JoinSet::new();
        let clients = [api.cdn(&key).await, other.cdn(&key).await];
        let started = Instant::now();
        for mut client in clients.iter().cycle().take(16).cloned() {
            calls.spawn(async move {
                let reply = client.open_cdn_service(OpenCdnServiceRequest::default()).await;
                reply.map_err(|status| refusal(&status).code)
            });
        }
        api.database.wait_until_blocked(1).await; // the others are queued
        held.commit().await;
        let (opened, refused): (Vec<_>, Vec<_>) =
            calls.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(opened.len(), 1);
        assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
        // A write is queued for two seconds at most.
        let was_quick = started.elapsed() < Duration::from_secs(2);
        quick_rounds += usize::from(was_quick);
        for outcome in refused {
            let code = outcome.expect_err("refused");
            let gave_up = !was_quick && code == UNAVAILABLE.code; // correct after such a delay
            assert!(gave_up || code == CDN_HAS_OPENED.code, "{code}");
        }
    }
    assert!(quick_rounds >= 20, "{quick_rounds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_changes_between_reading_and_writing_is_decided_again() {
    let api = Api::start().await;
    for (change, refusal) in [
        (
            "UPDATE accounts SET bid_user = true, version = version + 1 WHERE account_id = $1",
            BID_USER,
        ),
        ("UPDATE accounts SET site = 'intl', version = version + 1 WHERE account_id = $1", INTL),
        (
            "UPDATE accounts SET real_name_verified = false, version = version + 1 WHERE account_id = $1",
            NO_REAL_NAME,
        ),
        (
            "UPDATE accounts SET profile_complete = false, version = version + 1 WHERE account_id = $1",
            PROFILE,
        ),
        (
            "UPDATE accounts SET payment_method_valid = false, version = version + 1 WHERE account_id = $1",
            PAYMENT_METHOD,
        ),
        ("UPDATE accounts SET balance = -1, version = version + 1 WHERE account_id = $1", BALANCE),
        (
            "UPDATE accounts SET orders_refused = true, version = version + 1 WHERE account_id = $1",
            ORDER,
        ),
    ] {
        for wire in [Wire::V1Get, Wire::Grpc] {
            let key = api.account().await;
            let held = api.database.hold(key.account_id, change).await;
            let commit = async {
                api.database.wait_until_blocked(1).await;
                held.commit().await;
            };
            let (answer, ()) = tokio::join!(api.ask(wire, &key, OPEN), commit);
            assert_eq!((answer.http, answer.code()), (refusal.http, refusal.code));
            assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_irrelevant_or_rolled_back_change_of_the_account_does_not_stop_an_opening() {
    let api = Api::start().await;
    let bid_user =
        "UPDATE accounts SET bid_user = true, version = version + 1 WHERE account_id = $1";
    for (change, commits) in [(TOUCH, true), (bid_user, false)] {
        let key = api.account().await;
        let held = api.database.hold(key.account_id, change).await;
        let end = async {
            api.database.wait_until_blocked(1).await;
            if commits { held.commit().await } else { held.roll_back().await }
        };
        let (answer, ()) = tokio::join!(api.ask(Wire::V3, &key, OPEN), end);
        assert_eq!(answer.code(), "OK");
        assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_waits_for_another_sees_whether_that_one_is_committed() {
    let api = Api::start().await;
    for (commits, code) in [(true, CDN_HAS_OPENED.code), (false, "OK")] {
        let key = api.account().await;
        let held = api.database.hold(key.account_id, OPENED_BY_ANOTHER).await;
        let end = async {
            api.database.wait_until_blocked(1).await;
            if commits { held.commit().await } else { held.roll_back().await }
        };
        let (answer, ()) = tokio::join!(api.ask(Wire::Grpc, &key, OPEN), end);
        assert_eq!(answer.code(), code);
        let orders = i64::from(!commits);
        assert_eq!(api.database.openings(key.account_id).await, (1, orders, orders));
    }
}

#[tokio::test]
async fn an_opening_that_loses_every_race_is_unavailable_and_writes_nothing() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let api = Api::start().await;
    let key = api.account().await;
    // Nothing is inserted, as if another request was always faster.
    api.database
        .execute(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER lose BEFORE INSERT ON instances FOR EACH ROW EXECUTE FUNCTION lose()",
        )
        .await;
    let contended = Refusal { grpc: tonic::Code::Aborted, ..UNAVAILABLE };
    api.refuses_everywhere(&key, OPEN, &contended).await;
    api.refuses_everywhere(&key, OPEN_DCDN, &contended).await;
    assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0));
    api.database.execute("DROP TRIGGER lose ON instances").await;
    api.get(&key, OPEN).await.succeeded();
}

/// Sends a signed opening and disconnects while it waits for a lock. The service cannot detect that:
/// a client that has closed its side may still read.
async fn open_and_disconnect(api: &Api, key: &Key) {
    let signed = api.sign(key, "GET", api.common(key, OPEN));
    let mut stream = TcpStream::connect(api.addresses.rest).await.expect("the service listens");
    let head = format!("GET /?{} HTTP/1.1\r\nHost: {}\r\n\r\n", query(&signed), api.addresses.rest);
    stream.write_all(head.as_bytes()).await.expect("sent");
    api.database.wait_until_blocked(1).await;
}

/// Calls an opening and cancels the call while it waits for a lock.
async fn open_and_cancel(api: &Api, key: &Key) {
    let mut client = api.cdn(key).await;
    let request = OpenCdnServiceRequest::default();
    tokio::select! {
        reply = client.open_cdn_service(request) => panic!("not while it waits: {reply:?}"),
        () = api.database.wait_until_blocked(1) => {}
    }
    // The service reads the cancellation before it reads the next call.
    let request = DescribeUserCdnStatusRequest::default();
    client.describe_user_cdn_status(request).await.expect("the connection stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_whose_client_disconnects_happens_once_or_not_at_all() {
    let api = Api::start().await;
    for hold in [LOCK_THE_ACCOUNT, TOUCH] {
        for over_grpc in [false, true] {
            // If a cancelled call over gRPC has to be decided again, it is not retried.
            let opens = i64::from(!(over_grpc && hold == TOUCH));
            let key = api.account().await;
            let held = api.database.hold(key.account_id, hold).await;
            if over_grpc {
                open_and_cancel(&api, &key).await;
            } else {
                open_and_disconnect(&api, &key).await;
            }
            held.commit().await;
            api.database.wait_until_idle().await;
            let (opened, ordered, events) = api.database.openings(key.account_id).await;
            assert!(opened <= opens && (ordered, events) == (opened, opened));
            let again = api.ask(Wire::V1Get, &key, OPEN).await;
            // The first opening may still have been running when the database was idle for a moment.
            let is_first = again.code() == "OK" && opened == 0;
            assert!(is_first || again.code() == CDN_HAS_OPENED.code, "{again:?}");
            assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_disconnect_do_not_use_up_the_connections() {
    let api = Api::start().await;
    let keys = join_all((0..8).map(|_| api.account())).await;
    let mut held = api.database.hold(keys[0].account_id, TOUCH).await;
    for key in &keys[1..] {
        held.execute(key.account_id, TOUCH).await;
    }
    let mut calls = JoinSet::new();
    for key in &keys {
        let mut client = api.cdn(key).await;
        let request = OpenCdnServiceRequest::default();
        calls.spawn(async move { client.open_cdn_service(request).await });
    }
    api.database.wait_until_blocked(1).await; // the others are queued
    calls.shutdown().await;
    held.roll_back().await;
    api.database.wait_until_idle().await;
    // A call that was cancelled in the queue opened nothing, and its account can open now.
    let calls = keys.iter().map(|key| api.ask(Wire::Grpc, key, "Action=DescribeCdnService"));
    let calls = tokio::time::timeout(Duration::from_secs(5), join_all(calls));
    let answers = calls.await.expect("there are connections");
    for (key, answer) in keys.iter().zip(answers) {
        assert!(["OK", "CdnServiceNotFound"].contains(&answer.code()), "{answer:?}");
        let opened = api.ask(Wire::Grpc, key, OPEN).await;
        assert!(["OK", CDN_HAS_OPENED.code].contains(&opened.code()), "{opened:?}");
        assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
    }
}
