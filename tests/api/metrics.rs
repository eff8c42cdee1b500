//! The metrics: which families there are, and that each counts what its name says.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use cdn_activation::metrics::Metrics;
use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::operator::v1::LockRequest;
use cdn_activation::storage::{Store, StoreOptions};
use cdn_activation::workers;
use tokio_util::sync::CancellationToken;

use crate::support::database::Database;
use crate::support::raw_grpc::framed;
use crate::support::rest::query;
use crate::support::{Api, eventually};

const PAGE: &str = include_str!("../../docs/operating.md");

/// The workers of a service without a commerce system.
const WORKERS: [&str; 12] = [
    "audit",
    "audit_retention",
    "backlog",
    "due_changes",
    "event_retention",
    "feed",
    "last_uses",
    "nonces",
    "numbering",
    "quota_counts",
    "quotas",
    "request_ids",
];

/// Returns the families of a page of metrics.
fn families(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.map(|line| line.split(' ').next().expect("a name").to_owned()).collect()
}

/// Returns the families that the documentation lists.
fn documented() -> BTreeSet<String> {
    let (_, section) = PAGE.split_once("\n## Metrics\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    // Another table of the section lists the workers.
    let names = names.filter(|name| !WORKERS.contains(name));
    // The type of a family names it without the ending of its samples.
    let family = |name: &str| {
        let name = name.strip_suffix("_total").unwrap_or(name);
        name.strip_suffix("_info").unwrap_or(name).to_owned()
    };
    names.filter(|name| *name != "reconciler").map(family).collect()
}

/// Returns the values of a label on a page of metrics.
fn values_of<'p>(page: &'p str, label: &str) -> BTreeSet<&'p str> {
    let label = format!("{label}=\"");
    let values = page.lines().filter_map(|line| line.split_once(&label));
    values.filter_map(|(_, rest)| rest.split('"').next()).collect()
}

/// Returns the value of a sample.
async fn value(api: &Api, name: &str) -> f64 {
    api.metric(name).await.unwrap_or_else(|| panic!("no {name}"))
}

/// Returns a store with one connection.
fn store_of(database: &Database) -> Store {
    let url = database.url.parse().expect("a URL");
    Store::connect_lazily(&StoreOptions::new(url, 1))
}

async fn assert_count(api: &Api, name: &str, count: f64) {
    assert_eq!(api.metric(name).await, Some(count), "{name}");
}

#[tokio::test]
async fn the_documentation_lists_every_family() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let mut listed = documented();
    let commerce = "order_circuits"; // only with a commerce system
    assert!(listed.remove(commerce), "{commerce}");
    eventually("the rows that wait are counted", async || {
        api.metric("event_outbox_waiting").await.is_some()
            && api.metric("order_intents_open").await.is_some()
    })
    .await;
    assert_eq!(families(&api.page("/metrics").await.body), listed);
}

#[tokio::test]
async fn a_call_that_is_refused_at_authentication_is_counted_under_its_method() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let path = "/activation.cdn.v1.CdnService/OpenCdnService";
    grpc.send(path, &[("authorization", "Bearer wrong")], framed(&[])).await;
    grpc.send("/activation.cdn.v1.CdnService/Nothing", &[], framed(&[])).await;
    let open = r#"grpc_type="unary",grpc_service="activation.cdn.v1.CdnService",grpc_method="OpenCdnService""#;
    let other = r#"grpc_type="unary",grpc_service="_OTHER",grpc_method="_OTHER""#;
    for labels in [open, other] {
        let code = r#"grpc_code="Unauthenticated""#;
        assert_count(&api, &format!("grpc_server_started_total{{{labels}}}"), 1.0).await;
        assert_count(&api, &format!("grpc_server_handled_total{{{labels},{code}}}"), 1.0).await;
    }
    let refused = r#"answers_total{listener="grpc",code="ServiceUnauthenticated"}"#;
    assert_count(&api, refused, 2.0).await;
}

#[tokio::test]
async fn a_replayed_nonce_is_counted_by_its_code() {
    let api = Api::start().await;
    let key = api.account().await;
    let replayed = r#"answers_total{listener="rest",code="SignatureNonceUsed"}"#;
    assert_count(&api, replayed, 0.0).await;
    let request = query(&api.sign(&key, "GET", api.common(&key, "Action=OpenCdnService")));
    for status in [200, 400] {
        assert_eq!(api.send_get(&request).await.status, status);
    }
    assert_count(&api, replayed, 1.0).await;
}

#[tokio::test]
async fn health_and_reflection_are_counted_under_their_names() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    grpc.call("/grpc.health.v1.Health/Check", &[], &[]).await;
    let check = r#"grpc_type="unary",grpc_service="grpc.health.v1.Health",grpc_method="Check""#;
    let handled = format!(r#"grpc_server_handled_total{{{check},grpc_code="OK"}}"#);
    assert_count(&api, &handled, 1.0).await;
    let page = api.page("/metrics").await.body;
    for expected in
        ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
    {
        assert!(values_of(&page, "grpc_service").contains(expected), "{expected}");
    }
    let types = values_of(&page, "grpc_type");
    assert_eq!(types, ["bidi_stream", "server_stream", "unary"].into());
}

#[tokio::test]
async fn a_statement_is_counted_under_the_name_of_its_function() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.get(&key, "Action=DescribeCdnService").await.succeeded();
    let page = api.page("/metrics").await.body;
    let names = values_of(&page, "statement");
    for expected in ["access_keys", "create_account", "facts", "instances", "nonces", "lanes"] {
        assert!(names.contains(expected), "{expected}: {names:?}");
    }
    // Each is a batch or a function of the storage, so no caller can choose it.
    let batches = values_of(&page, "batch");
    assert_eq!(batches, ["access_keys", "facts", "instances", "nonces", "openings"].into());
    let functions = storage_functions();
    for name in names {
        let is_known = batches.contains(name) || functions.contains(name) || name == "other";
        assert!(is_known, "{name}");
    }
    let describe = r#"{batch="instances"}"#;
    assert_count(&api, &format!("db_batch_questions_count{describe}"), 1.0).await;
    assert_count(&api, &format!("db_batch_waiting{describe}"), 0.0).await;
    let durations = "db_client_operation_duration_seconds";
    assert_count(&api, &format!(r#"{durations}_count{{statement="instances"}}"#), 1.0).await;
    assert!(value(&api, &format!(r#"{durations}_sum{{statement="instances"}}"#)).await > 0.0);
}

/// Returns the names of the functions in `src/storage`.
fn storage_functions() -> BTreeSet<String> {
    let mut directories = vec![std::path::PathBuf::from("src/storage")];
    let mut names = BTreeSet::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).expect("UTF-8");
            let after = text.split("fn ").skip(1);
            names.extend(after.filter_map(|rest| rest.split(['(', '<']).next().map(str::to_owned)));
        }
    }
    names
}

#[tokio::test]
async fn a_statement_that_the_database_refuses_is_counted_as_an_error() {
    let api = Api::start().await;
    let key = api.account().await;
    let errors = r#"db_client_operation_errors_total{statement="instances"}"#;
    assert_eq!(api.metric(errors).await, None);
    api.database.execute("ALTER TABLE instances RENAME TO elsewhere").await;
    assert_eq!(api.get(&key, "Action=DescribeCdnService").await.status, 500);
    assert!(value(&api, errors).await >= 1.0);
}

#[tokio::test]
async fn the_last_success_of_each_worker_is_shown() {
    let api = Api::start().await;
    let page = api.page("/metrics").await.body;
    assert_eq!(values_of(&page, "worker"), WORKERS.into());
    let last = r#"worker_last_success_timestamp_seconds{worker="numbering"}"#;
    let before = value(&api, last).await;
    eventually("a turn succeeds", async || value(&api, last).await > before).await;
    // While the table of the outbox is missing, the turns of that worker fail.
    let failures = r#"worker_failures_total{worker="numbering"}"#;
    assert_count(&api, failures, 0.0).await;
    api.database.execute("ALTER TABLE event_outbox RENAME TO elsewhere").await;
    eventually("a turn fails", async || value(&api, failures).await >= 1.0).await;
}

#[tokio::test]
async fn rows_that_wait_for_a_worker_are_counted_with_the_age_of_the_oldest() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    api.open_cdn(&key).await; // its events wait, because no worker numbers them
    let intent = "INSERT INTO order_intents (account_id, order_id, product, internet_charge_type,
        created_at, due_at, attempts) VALUES (7, gen_random_uuid(), 'cdn', 'PayByTraffic',
        now() - interval '1 hour', now() + interval '1 hour', 0)";
    api.database.execute(intent).await;
    // Each replica counts them, also one without workers.
    let replica = Api::start_on(
        api.database.clone(),
        api.sealing_key.clone(),
        api.clock.clone(),
        |settings| settings.workers = false,
    )
    .await;
    eventually("the rows are counted", async || {
        replica.metric("event_outbox_waiting").await.is_some_and(|waiting| waiting >= 2.0)
            && replica.metric("order_intents_open").await == Some(1.0)
    })
    .await;
    assert!(value(&replica, "event_outbox_oldest_seconds").await > 0.0);
    let hour = value(&replica, "order_intents_oldest_seconds").await;
    assert!((3600.0..3700.0).contains(&hour), "{hour}");
}

#[tokio::test]
async fn rows_that_cannot_be_counted_have_no_old_number() {
    let database = Database::fresh().await;
    let store = store_of(&database);
    let metrics = Metrics::new(HashMap::new());
    let count = async || {
        let (shutdown, backlog) = (CancellationToken::new(), workers::backlog::run);
        shutdown.cancel(); // one turn
        backlog(store.clone(), metrics.clone(), shutdown).await;
        families(&metrics.render())
    };
    let counted = ["event_outbox_oldest_seconds", "event_outbox_waiting", "order_intents_open"];
    assert!(count().await.is_superset(&counted.map(str::to_owned).into()));
    database.execute("ALTER TABLE event_outbox RENAME TO elsewhere").await;
    let left = count().await;
    let has = |name: &str| left.contains(name);
    assert_eq!(counted.map(has), [false, false, true]);
    assert!(metrics.render().contains("worker_failures_total{worker=\"backlog\"} 1"));
}

#[tokio::test]
async fn the_number_of_counted_rows_is_bounded() {
    let database = Database::fresh().await;
    let intents = "INSERT INTO order_intents (account_id, order_id, product, internet_charge_type,
        created_at, due_at, attempts) SELECT 7, gen_random_uuid(), 'cdn', 'PayByTraffic', now(),
        now() + interval '1 hour', 0 FROM generate_series(1, 100001)";
    database.execute(intents).await;
    let store = store_of(&database);
    assert_eq!(store.open_intents().await.expect("counted").rows, 100_000);
    assert_eq!(store.waiting_events().await.expect("counted").rows, 0);
}

#[tokio::test]
async fn followers_are_counted_while_they_follow() {
    let api = Api::start().await;
    let mut events = api.events().await;
    assert_count(&api, "events_followers", 0.0).await;
    let following = crate::support::events::watch(&mut events, "").await;
    eventually("it follows", async || api.metric("events_followers").await == Some(1.0)).await;
    drop(following);
    eventually("it left", async || api.metric("events_followers").await == Some(0.0)).await;
}

#[tokio::test]
async fn numbered_events_and_written_audit_records_are_counted() {
    let api = Api::start().await;
    let key = api.account().await;
    eventually("numbered", async || value(&api, "events_numbered_total").await >= 2.0).await;
    let (product, reason) = (Product::Cdn.into(), "security".to_owned());
    let account_id = key.account_id;
    let lock = LockRequest { account_id, product, reason, ..LockRequest::default() };
    api.operation_locks().await.lock(lock).await.expect_err("not opened");
    eventually("written", async || api.metric("audit_refusals_written_total").await == Some(1.0))
        .await;
    assert_count(&api, "audit_refusals_waiting", 0.0).await;
}

#[tokio::test]
async fn the_process_says_what_it_is_and_what_it_uses() {
    let api = Api::start().await;
    let version = env!("CARGO_PKG_VERSION");
    assert_count(&api, &format!("cdn_activation_build_info{{version=\"{version}\"}}"), 1.0).await;
    assert_count(&api, "cdn_activation_ready", 1.0).await;
    assert_count(&api, "cdn_activation_draining", 0.0).await;
    let open = value(&api, "process_open_fds").await;
    assert!(open > 3.0 && open < value(&api, "process_max_fds").await, "{open}");
    let started = value(&api, "process_start_time_seconds").await;
    let cpu = value(&api, "process_cpu_seconds_total").await;
    assert!(value(&api, "process_resident_memory_bytes").await > 1e6 && started > 1.7e9);
    let until = std::time::Instant::now() + Duration::from_millis(50);
    while std::time::Instant::now() < until {}
    assert!(value(&api, "process_cpu_seconds_total").await > cpu);
}
