//! Checks `deploy/service-config.json` against the descriptors: each method is in it, and only those
//! that can be repeated are retried.

use std::collections::BTreeSet;
use std::fs;

use cdn_activation::proto::{methods, writes};
use serde_json::Value;

/// The largest number of attempts that gRPC allows.
const MOST_ATTEMPTS: u64 = 5;

fn service_config() -> Value {
    let text = fs::read_to_string("deploy/service-config.json").expect("the service config");
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the names of the methods of an entry of `methodConfig`.
fn names(entry: &Value) -> Vec<(String, String)> {
    let names = entry["name"].as_array().expect("names");
    let part = |name: &Value, of: &str| name[of].as_str().expect("a name").to_owned();
    names.iter().map(|name| (part(name, "service"), part(name, "method"))).collect()
}

#[test]
fn the_service_config_retries_reads_and_writes_with_a_request_id_and_names_every_method() {
    let config = service_config();
    let entries = config["methodConfig"].as_array().expect("entries");
    let (mut retried, mut alone) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        let found = if entry["retryPolicy"].is_null() { &mut alone } else { &mut retried };
        for name in names(entry) {
            assert!(found.insert(name.clone()), "{name:?} is there twice");
        }
    }
    let (mut repeatable, mut others) = (BTreeSet::new(), BTreeSet::new());
    for method in methods() {
        let has_request_id = method.input().get_field_by_name("request_id").is_some();
        let name = (method.parent_service().full_name().to_owned(), method.name().to_owned());
        let repeats = has_request_id || !writes(method.name());
        if repeats { &mut repeatable } else { &mut others }.insert(name);
    }
    assert!(repeatable.len() > 20 && others.len() > 3);
    assert_eq!(retried, repeatable);
    assert_eq!(alone, others);
}

#[test]
fn the_service_config_stays_within_what_grpc_and_the_service_allow() {
    let config = service_config();
    assert_eq!(config["loadBalancingConfig"][0]["round_robin"], serde_json::json!({}));
    assert!(config["retryThrottling"]["maxTokens"].as_u64().is_some_and(|tokens| tokens <= 1000));
    for entry in config["methodConfig"].as_array().expect("entries") {
        let streams = names(entry).iter().any(|(_, method)| method == "WatchEvents");
        assert_eq!(entry["timeout"], if streams { "30s" } else { "10s" });
        let policy = &entry["retryPolicy"];
        if !policy.is_null() {
            assert!((2..=MOST_ATTEMPTS).contains(&policy["maxAttempts"].as_u64().expect("there")));
            assert_eq!(policy["retryableStatusCodes"], serde_json::json!(["UNAVAILABLE"]));
        }
    }
}
