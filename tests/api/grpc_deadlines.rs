//! Calls that take too long, and calls that their caller cancels: each ends cleanly, and no
//! connection to the database is lost. A lock of the test makes statements wait.

use std::time::Duration;

use cdn_activation::proto::cdn::v1 as cdn;
use sqlx::{Connection, PgConnection};
use tonic::Code;

use crate::support::database::left_out_on_citus;
use crate::support::grpc::{GrpcRefusal, refusal};
use crate::support::raw_grpc::RawReply;
use crate::support::rest::Key;
use crate::support::{Api, eventually};

const OPEN: &str = "/activation.cdn.v1.CdnService/OpenCdnService";
/// Largest number of connections to the database that the service opens.
const CONNECTIONS: usize = 8;

/// Statements that the test makes wait.
enum Waiting {
    /// All statements that read an account.
    Reads,
    /// Statements that write an event. Facts can still be read.
    Writes,
}

/// Opens a transaction that makes statements wait until it ends.
async fn hold(api: &Api, waiting: Waiting) -> PgConnection {
    let mut connection = api.database.connect().await;
    let statement = match waiting {
        Waiting::Reads => "BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE",
        Waiting::Writes => "BEGIN; LOCK TABLE event_outbox IN EXCLUSIVE MODE",
    };
    sqlx::raw_sql(statement).execute(&mut connection).await.expect("locked");
    connection
}

/// Ends the transaction, so that the statements run.
async fn release(connection: PgConnection) {
    connection.close().await.expect("closed");
}

/// Whether a statement of the service waits for a lock.
async fn a_statement_waits(api: &Api) -> bool {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'cdn-activation' AND wait_event_type = 'Lock'";
    api.database.count(waiting).await > 0
}

/// Checks that the service answers more calls at once than it has connections, and that no
/// connection is left in a transaction.
async fn assert_no_connection_is_lost(api: &Api, key: &Key) {
    let calls = (0..2 * CONNECTIONS).map(|_| api.get(key, "Action=DescribeUserCdnStatus"));
    for reply in futures_util::future::join_all(calls).await {
        reply.succeeded();
    }
    let left = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    // The numbering of events has short transactions. A transaction that was left open would stay.
    crate::support::eventually("no transaction is left", async || {
        api.database.count(left).await == 0
    })
    .await;
}

fn assert_late(reply: &RawReply) {
    let expected = GrpcRefusal {
        grpc: Code::DeadlineExceeded,
        code: "DeadlineExceeded".to_owned(),
        message: "The request was not answered within its deadline.".to_owned(),
        http: 504,
        request_id: reply.request_id().to_owned(),
    };
    assert_eq!(refusal(&reply.status()), expected);
}

#[tokio::test]
async fn a_late_call_ends_with_deadline_exceeded_and_loses_no_connection() {
    let api = Api::start().await;
    let key = api.account().await;
    let account_id = key.account_id.to_string();
    let grpc = api.raw_grpc().await;
    let lock = hold(&api, Waiting::Reads).await;
    for timeout in ["200m", "150000u", "99999999n", "0S", "1n"] {
        let metadata = [("x-account-id", account_id.as_str()), ("grpc-timeout", timeout)];
        assert_late(&grpc.call(OPEN, &metadata, &[]).await);
    }
    release(lock).await;
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
    assert_no_connection_is_lost(&api, &key).await;
}

#[tokio::test]
async fn many_late_calls_at_once_all_end_with_deadline_exceeded() {
    let api = Api::start().await;
    let key = api.account().await;
    let account_id = key.account_id.to_string();
    let grpc = api.raw_grpc().await;
    let lock = hold(&api, Waiting::Reads).await;
    let calls = (50..150).map(|milliseconds| {
        let (grpc, account_id) = (grpc.clone(), account_id.clone());
        async move {
            let timeout = format!("{milliseconds}m");
            let metadata = [("x-account-id", account_id.as_str()), ("grpc-timeout", &timeout)];
            grpc.call(OPEN, &metadata, &[]).await
        }
    });
    let replies = futures_util::future::join_all(calls).await;
    replies.iter().for_each(assert_late);
    release(lock).await;
    assert_no_connection_is_lost(&api, &key).await;
}

#[tokio::test]
async fn a_statement_of_a_late_call_is_still_written() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let api = Api::start().await;
    let key = api.account().await;
    let account_id = key.account_id.to_string();
    let held = api.database.hold_inserts_into("instances").await;
    let metadata = [("x-account-id", account_id.as_str()), ("grpc-timeout", "500m")];
    assert_late(&api.raw_grpc().await.call(OPEN, &metadata, &[]).await);
    assert!(a_statement_waits(&api).await, "the deadline passed while the statement ran");
    held.commit().await;
    eventually("the opening is written", async || {
        api.database.count("SELECT count(*) FROM instances").await == 1
    })
    .await;
    assert_eq!(api.database.count("SELECT count(*) FROM orders").await, 1);
    api.get(&key, "Action=OpenCdnService").await.refused(
        400,
        "CdnService.HasOpened",
        "Your cdn service has opened.",
    );
    assert_no_connection_is_lost(&api, &key).await;
}

#[tokio::test]
async fn a_hundred_cancelled_calls_lose_no_connection() {
    if left_out_on_citus("a lock of a table is not one of its shards").await {
        return;
    }
    let api = Api::start().await;
    for waiting in [Waiting::Reads, Waiting::Writes] {
        // Each round has its own account: a cancelled call may have opened it, and then no other call
        // would write.
        let key = api.account().await;
        let lock = hold(&api, waiting).await;
        let client = api.cdn(&key).await;
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let mut client = client.clone();
                let request = cdn::OpenCdnServiceRequest::default();
                tokio::spawn(async move { client.open_cdn_service(request).await })
            })
            .collect();
        eventually("a call waits", async || a_statement_waits(&api).await).await;
        for call in calls {
            call.abort(); // the stream is reset
            assert!(call.await.is_err_and(|error| error.is_cancelled()));
        }
        // The connection that carried the calls still works.
        let mut same = client.clone();
        let mut request = tonic::Request::new(cdn::DescribeUserCdnStatusRequest::default());
        request.set_timeout(Duration::from_secs(20));
        release(lock).await;
        same.describe_user_cdn_status(request).await.expect("answered");
        assert_no_connection_is_lost(&api, &key).await;
    }
    eventually("each instance has its order, and each order its instance", async || {
        let counts = "SELECT count(*) FROM instances i FULL JOIN orders o USING (order_id)
            WHERE i.order_id IS NULL OR o.order_id IS NULL";
        api.database.count(counts).await == 0
    })
    .await;
}
