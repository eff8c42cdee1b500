//! A database that answers with errors which a test selects: every SQLSTATE that the service
//! distinguishes, for a read, a write, a nonce and a group. No caller gets a fault of the service or
//! a false success, and when the errors end, everything works again.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use sqlx::Connection as _;

use crate::support::Api;
use crate::support::cutting_proxy::{Cut, Proxy};
use crate::support::database::left_out_on_citus;
use crate::support::rest::Key;
use crate::support::wires::Wire;

const OPEN: &str = "Action=OpenCdnService&InternetChargeType=PayByBandwidth";
const MODIFY: &str = "Action=ModifyCdnService&InternetChargeType=PayByBandwidth";
const DESCRIBE: &str = "Action=DescribeCdnService";
const READS_AN_INSTANCE: &str = "SELECT\n        instances.account_id";
const WRITES_A_CHANGE: &str = "INSERT INTO charge_type_changes";
const USES_A_NONCE: &str = "INSERT INTO used_nonces_";
const WRITES_A_GROUP: &str = "FOR SHARE SKIP LOCKED";

/// Each row of the table in `docs/database.md`, and whether the server then ends the connection.
const ANSWERS: [Cut; 23] = [
    Cut::AnswersAndEnds("08000"),
    Cut::AnswersAndEnds("08006"),
    Cut::AnswersAndEnds("08P01"),
    Cut::Answers("25006"),
    Cut::Answers("26000"),
    Cut::Answers("40001"),
    Cut::Answers("40003"),
    Cut::Answers("40P01"),
    Cut::Answers("42P05"),
    Cut::Answers("53000"),
    Cut::Answers("53100"),
    Cut::Answers("53200"),
    Cut::Answers("53300"),
    Cut::Answers("53400"),
    Cut::Answers("55P03"),
    Cut::Answers("57014"),
    Cut::AnswersAndEnds("57P01"),
    Cut::AnswersAndEnds("57P02"),
    Cut::AnswersAndEnds("57P03"),
    Cut::AnswersAndEnds("57P05"),
    Cut::Answers("58030"),
    Cut::Answers("58P01"),
    Cut::Garbage,
];

/// Number of error answers after which the service does not repeat a statement any more.
const ALWAYS: usize = 100;

/// Whether an attempt after this answer may succeed.
fn can_pass(answer: Cut) -> bool {
    !matches!(
        answer,
        Cut::Answers("53000" | "53100" | "53200" | "53400" | "57014" | "58030" | "58P01")
    )
}

fn is_temporary(code: &str) -> bool {
    ["ServiceUnavailable", "Unavailable", "Aborted", "DeadlineExceeded"].contains(&code)
}

/// Sends a request. Returns its code, which must be OK or a temporary failure.
async fn code_of(api: &Api, wire: Wire, key: &Key, given: &str, answer: Cut) -> String {
    let code = api.ask(wire, key, given).await.code().to_owned();
    assert!(code == "OK" || is_temporary(&code), "{answer:?} over {wire:?}: {code}");
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_succeeds_after_every_temporary_answer_and_is_unavailable_after_the_others() {
    let (api, proxy, _database) = Proxy::before_a_service().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    for answer in ANSWERS {
        for wire in [Wire::V1Get, Wire::Grpc] {
            proxy.cut(READS_AN_INSTANCE, answer);
            let code = code_of(&api, wire, &key, DESCRIBE, answer).await;
            assert!(proxy.has_cut(), "{answer:?}");
            assert_eq!(code == "OK", can_pass(answer), "{answer:?} over {wire:?}: {code}");
        }
    }
    api.get(&key, DESCRIBE).await.succeeded();
}

/// Answers after which the server itself ends the connection are not counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_used_again_only_if_the_server_works() {
    let (api, proxy, _database) = Proxy::before_a_service().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    for answer in ANSWERS {
        proxy.cut(READS_AN_INSTANCE, answer);
        code_of(&api, Wire::Grpc, &key, DESCRIBE, answer).await;
        for _ in 0..8 {
            code_of(&api, Wire::Grpc, &key, DESCRIBE, answer).await; // on either core
        }
    }
    let kept =
        ["40001", "40P01", "53000", "53100", "53200", "53400", "55P03", "57014", "58030", "58P01"];
    assert_eq!(BTreeSet::from_iter(proxy.used_again()), BTreeSet::from(kept));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_happens_once_or_not_at_all_after_every_answer() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    for answer in ANSWERS {
        for wire in [Wire::V1Get, Wire::Grpc] {
            let key = api.account().await;
            api.open_cdn(&key).await;
            proxy.cut(WRITES_A_CHANGE, answer);
            let code = code_of(&api, wire, &key, MODIFY, answer).await;
            assert!(proxy.has_cut(), "{answer:?}");
            let changes = "SELECT count(*) FROM charge_type_changes WHERE account_id = $1";
            let changes = database.count_of(key.account_id, changes).await;
            assert_eq!(changes, i64::from(code == "OK"), "{answer:?} over {wire:?}: {code}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_used_once_or_not_at_all_after_every_answer() {
    let (api, proxy, _database) = Proxy::before_a_service().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    for answer in ANSWERS {
        proxy.cut(USES_A_NONCE, answer);
        let code = code_of(&api, Wire::V1Get, &key, DESCRIBE, answer).await;
        assert!(proxy.has_cut(), "{answer:?}");
        if matches!(answer, Cut::Answers("53100" | "58030")) {
            assert_eq!(code, "ServiceUnavailable", "{answer:?}");
        }
        api.get(&key, DESCRIBE).await.succeeded();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_opens_each_of_its_members_once_or_not_at_all_after_every_answer() {
    if left_out_on_citus("it has no groups of openings").await {
        return;
    }
    let (api, proxy, database) = Proxy::before_a_service().await;
    for answer in ANSWERS {
        proxy.cut(WRITES_A_GROUP, answer);
        for _ in 0..20 {
            let keys = join_all((0..24).map(|_| api.account())).await;
            let codes = keys.iter().map(|key| code_of(&api, Wire::Grpc, key, OPEN, answer));
            let codes = join_all(codes).await;
            for (key, code) in keys.iter().zip(codes) {
                let opened = i64::from(code == "OK");
                let stored = database.openings(key.account_id).await;
                assert_eq!(stored, (opened, opened, opened), "{answer:?}: {code}");
            }
            if proxy.has_cut() {
                break; // two openings were a group
            }
        }
        assert!(proxy.has_cut(), "no two openings were a group: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_always_fails_is_unavailable_and_not_repeated_forever() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    for answer in ["08006", "25006", "40001", "53100", "57P01", "58030"].map(Cut::Answers) {
        for (statement, given) in
            [(READS_AN_INSTANCE, DESCRIBE), (WRITES_A_CHANGE, MODIFY), (USES_A_NONCE, DESCRIBE)]
        {
            let key = api.account().await;
            api.open_cdn(&key).await;
            (0..ALWAYS).for_each(|_| proxy.cut(statement, answer));
            let code = code_of(&api, Wire::V1Get, &key, given, answer).await;
            assert_ne!(code, "OK", "{answer:?} to {statement}");
            assert!(proxy.left() > 0, "{answer:?} to {statement}");
            proxy.forget();
            let changes = "SELECT count(*) FROM charge_type_changes WHERE account_id = $1";
            assert_eq!(database.count_of(key.account_id, changes).await, 0);
        }
    }
    let mut connection = database.connect().await;
    connection.ping().await.expect("the database worked all the time");
}
