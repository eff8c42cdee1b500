//! How much of a request is read: a target of 32 KiB, 64 headers, a body of 64 KiB. One byte more is
//! refused with a documented body, before anything else is checked.

use super::placement::chunked;
use super::{FORM, HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::{Format, TOO_LARGE};
use crate::support::rest::{Key, Parameters, Reply, query};

const LONGEST_TARGET: usize = 32 * 1024;
const MOST_HEADERS: usize = 64;
const LARGEST_BODY: usize = 64 * 1024;

/// [`HISTORY`], signed and padded so that the query has this length.
fn padded(api: &Api, key: &Key, method: &str, format: &str, length: usize) -> String {
    let mut parameters = api.common(key, &format!("{HISTORY}&Format={format}"));
    // Signatures have one length, but different numbers of characters to escape: try several nonces.
    for number in 0.. {
        parameters.insert("SignatureNonce".to_owned(), format!("{}-{number:04}", key.id));
        parameters.insert("Padding".to_owned(), String::new());
        let unpadded = query(&api.sign(key, method, parameters.clone())).len();
        parameters.insert("Padding".to_owned(), "x".repeat(length - unpadded));
        let padded = query(&api.sign(key, method, parameters.clone()));
        if padded.len() == length {
            return padded;
        }
    }
    unreachable!("one of the signatures fits")
}

#[tokio::test]
async fn a_target_of_32_kib_is_read_and_no_more() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let longest = padded(&api, &key, "GET", "JSON", LONGEST_TARGET - "/?".len());
    api.send_get(&longest).await.says(Format::Json, HISTORY_JSON);
    for (requested, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
        let longer = padded(&api, &key, "GET", requested, LONGEST_TARGET - "/?".len() + 1);
        api.send_get(&longer).await.is(format, &TOO_LARGE);
        api.send_get(&format!("{longer}&More={}", "x".repeat(14_000))).await.is(format, &TOO_LARGE);
    }
    let long_query = Parameters::from([("Padding".to_owned(), "x".repeat(LONGEST_TARGET))]);
    for (accept, format) in [("application/json", Format::Json), ("text/xml", Format::Xml)] {
        let mut draft = api.draft("DescribeUserCdnStatus", "2018-05-10", "").with("accept", accept);
        draft.query.clone_from(&long_query);
        api.send_draft(&draft.signed(&key)).await.is(format, &TOO_LARGE);
    }
}

#[tokio::test]
async fn sixty_four_headers_are_read_and_no_more() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let names: Vec<_> = (0..90).map(|number| format!("X-Header-{number}")).collect();
    let with_headers = async |count: usize, format: &str| -> Reply {
        let given = format!("{HISTORY}&Format={format}");
        let target = format!("/?{}", query(&api.sign(&key, "GET", api.common(&key, &given))));
        // `Host` and `Connection` are added.
        let headers: Vec<_> =
            names[..count - 2].iter().map(|name| (name.as_str(), "value")).collect();
        api.send("GET", &target, &headers, b"").await
    };
    with_headers(MOST_HEADERS, "JSON").await.says(Format::Json, HISTORY_JSON);
    for count in [MOST_HEADERS + 1, 92] {
        with_headers(count, "JSON").await.is(Format::Json, &TOO_LARGE);
        with_headers(count, "XML").await.is(Format::Xml, &TOO_LARGE);
    }
}

/// Sends a POST whose body has a length, and one whose body is in chunks. Returns both replies.
async fn post_both_ways(api: &Api, target: &str, bodies: [&str; 2]) -> [Reply; 2] {
    let with_length = api.request("POST", target, &[FORM], bodies[0].as_bytes());
    let head = api.request("POST", target, &[FORM, ("Transfer-Encoding", "chunked")], b"");
    let head = String::from_utf8(head).expect("UTF-8").replace("Content-Length: 0\r\n", "");
    let in_chunks = [head.as_bytes(), &chunked(bodies[1].as_bytes(), 10_000)].concat();
    let with_length = api.exchange(&with_length).await.expect("an answer");
    [with_length, api.exchange(&in_chunks).await.expect("an answer")]
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_no_more() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let body = padded(&api, &key, "POST", "JSON", LARGEST_BODY);
    let [reply, _] = post_both_ways(&api, "/", [&body, ""]).await;
    reply.says(Format::Json, HISTORY_JSON);
    let other = api.key_of(key.account_id, "").await; // `padded` makes the same nonces
    let body = padded(&api, &other, "POST", "JSON", LARGEST_BODY);
    let [_, reply] = post_both_ways(&api, "/", ["", &body]).await;
    reply.says(Format::Json, HISTORY_JSON);

    // The format was in the body, which is not read.
    let body = padded(&api, &key, "POST", "JSON", LARGEST_BODY + 1);
    for reply in post_both_ways(&api, "/", [&body, &body]).await {
        reply.is(Format::Xml, &TOO_LARGE);
    }
    for length in [LARGEST_BODY + 1, 2 * LARGEST_BODY, 3_000_000] {
        let body = "x".repeat(length);
        for (requested, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let target = format!("/?Format={requested}");
            for reply in post_both_ways(&api, &target, [&body, &body]).await {
                reply.is(format, &TOO_LARGE);
            }
        }
    }
}

#[tokio::test]
async fn the_limit_applies_to_a_body_of_any_type() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let target = format!("/?{}", query(&api.sign(&key, "POST", api.common(&key, HISTORY))));
    let body = "x".repeat(LARGEST_BODY + 1);
    let headers = [("Content-Type", "application/octet-stream")];
    let request = api.request("POST", &target, &headers, body.as_bytes());
    api.exchange(&request).await.expect("an answer").is(Format::Json, &TOO_LARGE);
    let mut draft = api.draft("DescribeUserCdnStatus", "2018-05-10", "").with_form("");
    draft.body = body.into_bytes();
    api.send_draft(&draft.signed(&key)).await.is(Format::Json, &TOO_LARGE);
}
