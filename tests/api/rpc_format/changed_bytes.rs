//! A signed request whose bytes are changed on the way is refused, or keeps its meaning. It never
//! breaks the server, never hangs, and never gets an answer that a client cannot read.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::{FORM, HISTORY, HISTORY_JSON, HISTORY_XML, cdn_account};
use crate::support::Api;
use crate::support::drafts::DraftV3;
use crate::support::rest::{Key, Reply, parameters, query};

/// Number of changed requests that a run sends.
const REQUESTS: usize = 120;

/// Returns one of the signed requests that are changed, with its own nonce.
fn original(api: &Api, key: &Key, number: usize) -> Vec<u8> {
    match number % 4 {
        0 => {
            let target = format!("/?{}", query(&api.sign(key, "GET", api.common(key, HISTORY))));
            api.request("GET", &target, &[], b"")
        }
        1 => {
            let body = query(&api.sign(key, "POST", api.common(key, HISTORY)));
            api.request("POST", "/", &[FORM], body.as_bytes())
        }
        either => {
            let times = "StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z";
            let draft = api.draft("DescribeCdnUserBillType", "2018-05-10", "");
            let draft = draft.with("accept", "application/json").with("user-agent", "Tool/1");
            let draft = if either == 2 {
                draft.with_form(times)
            } else {
                DraftV3 { query: parameters(times), ..draft }
            };
            let draft = draft.signed(key);
            let headers = draft.headers_without_host();
            api.request("POST", &format!("/?{}", query(&draft.query)), &headers, &draft.body)
        }
    }
}

/// Whether these bytes, in which no line ending was changed, are a valid HTTP request. In case of
/// doubt, they are not.
fn is_http(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let Ok(head) = std::str::from_utf8(&bytes[..end]) else { return false };
    let mut lines = head.split("\r\n");
    let line: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = line[..] else { return false };
    let is_token = |text: &str| {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(is_token)
    };
    let in_target = |byte: u8| byte.is_ascii_graphic() && !b"\"<>#".contains(&byte);
    let is_header = |line: &str| {
        line.split_once(':').is_some_and(|(name, value)| {
            let is_length = name.eq_ignore_ascii_case("content-length");
            let is_number = value.trim().bytes().all(|digit| digit.is_ascii_digit());
            is_token(name)
                && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
                && (!is_length || is_number)
        })
    };
    is_token(method)
        && (target == "/" || target.starts_with("/?"))
        && target.bytes().all(in_target)
        && ["HTTP/1.0", "HTTP/1.1"].contains(&version)
        && lines.all(is_header)
}

/// Whether a reply is a refusal that a client can read, in either format.
fn is_documented(reply: &Reply) -> bool {
    let Some(id) = reply.headers.get("x-acs-request-id") else { return false };
    let content_type = reply.headers.get("content-type").map_or("", String::as_str);
    let complete = match content_type {
        "application/json;charset=utf-8" => {
            serde_json::from_str::<HashMap<String, String>>(&reply.body).is_ok_and(|members| {
                members.len() == 4
                    && ["HostId", "Code", "Message"].iter().all(|name| members.contains_key(*name))
                    && members.get("RequestId") == Some(id)
            })
        }
        "text/xml;charset=utf-8" => {
            let start = format!(
                "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>{id}</RequestId><HostId>"
            );
            reply.body.starts_with(&start) && reply.body.ends_with("</Message></Error>")
        }
        _ => false,
    };
    complete && (400..500).contains(&reply.status)
}

/// Returns what is wrong with the answer to a changed request.
fn wrong(original: &[u8], changed: &[u8], reply: Option<&Reply>) -> Option<String> {
    let lines = |bytes: &[u8]| {
        let ends = bytes.iter().enumerate().filter(|(_, byte)| b"\r\n".contains(byte));
        ends.map(|(position, _)| position).collect::<Vec<_>>()
    };
    let is_http = lines(original) == lines(changed) && is_http(changed);
    match reply {
        None => is_http.then(|| "no answer".to_owned()),
        Some(reply) if reply.status == 200 => {
            let body = reply.body_without_request_id();
            (body != HISTORY_JSON && body != HISTORY_XML).then(|| format!("a success: {reply:?}"))
        }
        Some(reply) if is_documented(reply) => None,
        Some(reply) if !is_http && reply.body.is_empty() && (400..500).contains(&reply.status) => {
            None
        }
        Some(reply) => Some(format!("{reply:?}")),
    }
}

#[test]
fn a_request_that_was_changed_on_the_way_is_refused_or_keeps_its_meaning() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let api = Arc::new(runtime.block_on(Api::start()));
    let key = runtime.block_on(cdn_account(&api));
    // Any change, and as often a change of one low bit, which turns a digit into another digit.
    let change = prop_oneof![1u8.., (0u32..4).prop_map(|bit| 1 << bit)];
    let changes = prop::collection::vec((any::<Index>(), change), 1..=2);
    let requests = prop::collection::vec((0usize..4, changes), REQUESTS);
    // One case is the whole set, sent at once, because some requests get no answer for ten seconds.
    let config =
        Config { cases: 1, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let outcome = TestRunner::new(config).run(&requests, |requests| {
        let tries = requests.into_iter().map(|(number, changes)| {
            let api = Arc::clone(&api);
            let original = original(&api, &key, number);
            let mut bytes = original.clone();
            for (index, mask) in changes {
                *index.get_mut(&mut bytes) ^= mask;
            }
            runtime.spawn(async move {
                let reply = api.exchange(&bytes).await;
                let wrong = wrong(&original, &bytes, reply.as_ref())?;
                Some(format!("{wrong}\nto {:?}", String::from_utf8_lossy(&bytes)))
            })
        });
        let outcomes = runtime.block_on(join_all(tries));
        let wrong: Vec<_> = outcomes
            .into_iter()
            .filter_map(|outcome| outcome.expect("an answer or none"))
            .collect();
        prop_assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    // The unchanged requests succeed, and the server still works.
    for number in 0..4 {
        let reply = runtime.block_on(api.exchange(&original(&api, &key, number)));
        let body = reply.expect("an answer").body_without_request_id();
        assert_eq!(body, HISTORY_JSON);
    }
    assert_eq!(runtime.block_on(api.database.count("SELECT count(*) FROM instances")), 1);
}

/// Wherever the parameters are, the smallest change of any byte of their values is detected.
#[tokio::test]
async fn every_byte_of_a_value_is_signed() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for number in 0..4 {
        let original = original(&api, &key, number);
        let mut tried = 0;
        for times in ["2018-03-02T01%3A02%3A03Z", "2018-03-03T04%3A05%3A06Z"] {
            let is_here = |window: &[u8]| window == times.as_bytes();
            let start = original.windows(times.len()).position(is_here).expect("a time");
            for position in start..start + times.len() {
                let mut bytes = original.clone();
                bytes[position] ^= 1;
                let reply = api.exchange(&bytes).await.expect("an answer");
                let refused = (reply.status, reply.text("Code"));
                assert_eq!(refused, (400, "SignatureDoesNotMatch".to_owned()), "{reply:?}");
                tried += 1;
            }
        }
        assert_eq!(tried, 48);
        let reply = api.exchange(&original).await.expect("an answer");
        assert_eq!(reply.body_without_request_id(), HISTORY_JSON);
    }
}
