//! Tables that are altered while the service runs. A statement that a connection has prepared no
//! longer fits the table then. It is prepared again on another connection, and no call fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cdn_activation::proto::operator::v1::GetAccountRequest;
use tokio::task::JoinSet;

use crate::support::Api;
use crate::support::wires::Wire;

const ALTERATIONS: [&str; 4] = [
    "ALTER TABLE accounts ALTER COLUMN site TYPE varchar(20)",
    "ALTER TABLE instances ALTER COLUMN instance_id TYPE varchar(80)",
    "ALTER TABLE access_keys ALTER COLUMN policy TYPE varchar(9000)",
    "ALTER TABLE instances ALTER COLUMN internet_charge_type TYPE varchar(80)",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_call_does_not_fail_when_the_type_of_a_column_changes_under_load() {
    let api = Arc::new(Api::start().await);
    let key = api.account().await;
    api.open_cdn(&key).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for number in 0..6 {
        let (api, key, ended) = (Arc::clone(&api), key.clone(), Arc::clone(&ended));
        callers.spawn(async move {
            let mut accounts = api.accounts().await;
            let mut calls = 0;
            while !ended.load(Ordering::Relaxed) {
                let wire = if number % 2 == 0 { Wire::V1Get } else { Wire::Grpc };
                let described = api.ask(wire, &key, "Action=DescribeCdnService").await;
                assert_eq!(described.code(), "OK", "{described:?}");
                let request = GetAccountRequest { account_id: key.account_id };
                accounts.get_account(request).await.expect("read");
                calls += 1;
            }
            calls
        });
    }
    for alteration in ALTERATIONS {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        api.database.execute(alteration).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    ended.store(true, Ordering::Relaxed);
    for calls in callers.join_all().await {
        assert!(calls > 0, "{calls}");
    }
}
