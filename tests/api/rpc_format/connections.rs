//! Connections that stay open serve one request after the other, also after refusals.

use super::{FORM, HISTORY, HISTORY_JSON, HISTORY_XML, cdn_account};
use crate::support::Api;
use crate::support::refusals::{
    ACTION_NOT_FOUND, Format, HAS_OPENED, HTTP_METHOD, INVALID_FORMAT, NONCE_USED, TOO_LARGE,
    invalid, missing,
};
use crate::support::rest::query;

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other_also_after_refusals() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let mut connection = api.connect().await;
    let signed =
        |method: &str, given: &str| query(&api.sign(&key, method, api.common(&key, given)));
    let get = |query: &str| api.request("GET", &format!("/?{query}"), &[], b"");
    let first = signed("GET", HISTORY);
    let too_long = format!("/?Format=JSON&Padding={}", "x".repeat(40_000));
    let form = signed("POST", HISTORY);
    let draft = api.draft("OpenCdnService", "2018-05-10", "").signed(&key);
    let v3 = draft.headers_without_host();

    for _ in 0..2 {
        let fresh = signed("GET", HISTORY);
        connection.send(&get(&fresh)).await;
        connection.reply().await.expect("an answer").says(Format::Json, HISTORY_JSON);
    }
    connection.send(&get(&first)).await;
    connection.reply().await.expect("an answer").says(Format::Json, HISTORY_JSON);
    connection.send(&get(&first)).await;
    connection.reply().await.expect("an answer").is(Format::Json, &NONCE_USED);
    connection.send(&api.request("POST", "/", &[FORM], form.as_bytes())).await;
    connection.reply().await.expect("an answer").says(Format::Json, HISTORY_JSON);
    connection.send(&api.request("POST", "/", &v3, b"")).await;
    connection.reply().await.expect("an answer").is(Format::Json, &HAS_OPENED);
    connection.send(&get("Format=YAML")).await;
    connection.reply().await.expect("an answer").is(Format::Xml, &INVALID_FORMAT);
    connection.send(&get("Format=JSON&a=1&a=2")).await;
    connection.reply().await.expect("an answer").is(Format::Json, &invalid("a"));
    connection.send(&get("Format=JSON")).await;
    connection.reply().await.expect("an answer").is(Format::Json, &missing("Action"));
    connection.send(&api.request("GET", "/elsewhere", &[], b"")).await;
    connection.reply().await.expect("an answer").is(Format::Xml, &ACTION_NOT_FOUND);
    connection.send(&api.request("DELETE", "/?Format=JSON", &[], b"")).await;
    connection.reply().await.expect("an answer").is(Format::Json, &HTTP_METHOD);
    connection.send(&api.request("GET", &too_long, &[], b"")).await;
    connection.reply().await.expect("an answer").is(Format::Json, &TOO_LARGE);
    connection.send(&get(&signed("GET", &format!("{HISTORY}&Format=XML")))).await;
    connection.reply().await.expect("an answer").says(Format::Xml, HISTORY_XML);
}

#[tokio::test]
async fn the_server_ends_a_connection_when_the_client_asks_for_it() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let mut connection = api.connect().await;
    let target = format!("/?{}", query(&api.sign(&key, "GET", api.common(&key, HISTORY))));
    connection.send(&api.request("GET", &target, &[("Connection", "close")], b"")).await;
    connection.reply().await.expect("an answer").says(Format::Json, HISTORY_JSON);
    assert!(connection.has_ended().await);
}

/// The rest of a body that is too large is not read as the next request.
#[tokio::test]
async fn the_rest_of_a_refused_body_is_not_a_request() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let target = format!("/?{}", query(&api.sign(&key, "GET", api.common(&key, HISTORY))));
    let inner = api.request("GET", &target, &[], b"");
    let body = [vec![b'x'; 64 * 1024], inner].concat();
    let requests = [
        api.request("POST", "/?Format=JSON", &[FORM], &body),
        api.request("PUT", "/?Format=JSON", &[FORM], &body),
        api.request("POST", "/elsewhere?Format=JSON", &[FORM], &body),
        api.request("POST", &format!("/?{}", "x".repeat(40_000)), &[FORM], &body),
    ];
    for request in requests {
        let mut connection = api.connect().await;
        connection.send(&request).await;
        let first = connection.reply().await.expect("an answer");
        assert!([404, 405, 413].contains(&first.status), "{first:?}");
        // The connection has ended, or the next answer is for the next request.
        connection.send(&api.request("GET", "/?Format=JSON", &[], b"")).await;
        if let Some(next) = connection.reply().await {
            next.is(Format::Json, &missing("Action"));
        }
    }
    // The request in the body was never served: its nonce is not used.
    let reply = api.send("GET", &target, &[], b"").await;
    reply.says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn many_connections_are_served_at_once() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(api.connect().await);
    }
    for connection in &mut connections {
        let target = format!("/?{}", query(&api.sign(&key, "GET", api.common(&key, HISTORY))));
        connection.send(&api.request("GET", &target, &[], b"")).await;
    }
    for connection in &mut connections {
        connection.reply().await.expect("an answer").says(Format::Json, HISTORY_JSON);
    }
}
