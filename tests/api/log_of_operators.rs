//! The log line of every operator's call has the caller, the account and the access key.

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1 as wire;
use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::operators::schedule;
use crate::support::process::Program;
use crate::support::rest::Key;
use crate::support::serve_process::Deployment;
use crate::support::{Api, events};

/// Calls every method about an account, except those that create the account and its key.
async fn call_every_method(api: &Api, key: &Key) {
    let (account_id, product) = (key.account_id, Product::Cdn.into());
    let mut accounts = api.accounts().await;
    accounts.get_account(wire::GetAccountRequest { account_id }).await.expect("found");
    api.update_account(key, |account| account.balance = 1).await;
    accounts.list_accounts(wire::ListAccountsRequest::default()).await.expect("listed");

    let mut locks = api.operation_locks().await;
    api.lock(key, Product::Cdn, "financial").await;
    let list = wire::ListOperationLocksRequest { account_id, product, ..Default::default() };
    locks.list_operation_locks(list).await.expect("listed");
    api.unlock(key, Product::Cdn, "financial").await;

    let change = schedule(key, Product::Cdn, ChargeType::PayByBandwidth, None);
    let change = api.schedule(change).await.expect("scheduled");
    let list = wire::ListChargeTypeChangesRequest { account_id, product, ..Default::default() };
    api.changes().await.list_charge_type_changes(list).await.expect("listed");
    api.cancel(&change).await.expect("cancelled");

    let mut instances = api.instances().await;
    let get = wire::GetInstanceRequest { account_id, product };
    instances.get_instance(get).await.expect("found");
    let list = wire::ListInstancesRequest { account_id, ..Default::default() };
    instances.list_instances(list).await.expect("listed");

    let mut follower = api.events().await;
    let list = wire::ListEventsRequest { account_id, ..Default::default() };
    follower.list_events(list).await.expect("listed");
    let watch = wire::WatchEventsRequest { account_id, ..Default::default() };
    drop(events::watch_with(&mut follower, watch).await.expect("watched"));

    let mut keys = api.access_keys().await;
    let list = wire::ListAccessKeysRequest { account_id, ..Default::default() };
    keys.list_access_keys(list).await.expect("listed");
    let access_key_id = key.id.clone();
    let disable = wire::DisableAccessKeyRequest { access_key_id, ..Default::default() };
    keys.disable_access_key(disable).await.expect("disabled");
    let access_key_id = key.id.clone();
    let enable = wire::EnableAccessKeyRequest { access_key_id, ..Default::default() };
    keys.enable_access_key(enable).await.expect("enabled");
    let access_key_id = key.id.clone();
    let delete = wire::DeleteAccessKeyRequest { access_key_id, ..Default::default() };
    keys.delete_access_key(delete).await.expect("deleted");
}

/// Returns caller, account and key from the log lines of a method.
fn logged(lines: &[Value], method: &str) -> Vec<[Value; 3]> {
    let of_method = lines.iter().filter(|line| line["action"] == method);
    of_method
        .map(|line| ["caller", "account_id", "access_key_id"].map(|name| line[name].clone()))
        .collect()
}

#[tokio::test]
async fn the_log_line_of_an_operators_call_has_caller_account_and_key() {
    let database = Database::fresh().await;
    let deployment = Deployment::new(&database);
    let mut program = Program::spawn(deployment.serve(&[]));
    let api = program.ready().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    call_every_method(&api, &key).await;
    // Refused calls, too: for a key that was deleted, for one that exists, and for an unknown id.
    let mut keys = api.access_keys().await;
    let delete = |access_key_id: &str, etag: &str| wire::DeleteAccessKeyRequest {
        access_key_id: access_key_id.to_owned(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    keys.delete_access_key(delete(&key.id, "")).await.expect_err("it was deleted");
    let other = api.key_of(key.account_id, "").await;
    keys.delete_access_key(delete(&other.id, "\"9\"")).await.expect_err("the etag differs");
    keys.delete_access_key(delete(&"k€".repeat(9999), "")).await.expect_err("there is no such key");
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();

    let (account_id, none) = (json!(key.account_id), Value::Null);
    for method in [
        "CreateAccount",
        "GetAccount",
        "UpdateAccount",
        "Lock",
        "Unlock",
        "ListOperationLocks",
        "ScheduleChargeTypeChange",
        "CancelChargeTypeChange",
        "ListChargeTypeChanges",
        "GetInstance",
        "ListInstances",
        "ListEvents",
        "WatchEvents",
        "ListAccessKeys",
    ] {
        let lines = logged(&lines, method);
        assert!(!lines.is_empty(), "{method}");
        for line in lines {
            assert_eq!(line, [json!("tests"), account_id.clone(), none.clone()], "{method}");
        }
    }
    assert_eq!(logged(&lines, "ListAccounts"), [[json!("tests"), none.clone(), none.clone()]]);
    let about = |key: &Key| [json!("tests"), account_id.clone(), json!(key.id)];
    assert_eq!(logged(&lines, "CreateAccessKey"), [about(&key), about(&other)]);
    assert_eq!(logged(&lines, "DisableAccessKey"), [about(&key)]);
    assert_eq!(logged(&lines, "EnableAccessKey"), [about(&key)]);
    let unknown = |id: &str| [json!("tests"), none.clone(), json!(id)];
    assert_eq!(
        logged(&lines, "DeleteAccessKey"),
        [about(&key), unknown(&key.id), about(&other), unknown(&"k€".repeat(16))]
    );
    let open = lines.iter().find(|line| line["action"] == "OpenCdnService").expect("logged");
    assert_eq!([&open["account_id"], &open["caller"]], [&account_id, &json!("tests")]);
}
