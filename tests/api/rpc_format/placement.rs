//! Where parameters may be: query and form are one set, whatever the method, and each official client
//! divides them in its own way (docs/protocol.md, "Where parameters sit").

use super::{FORM, HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::{Format, invalid};
use crate::support::rest::{Key, Parameters, Reply, query};

/// Returns a body in chunks of this size, as clients that do not know the length send it.
pub(super) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Signs [`HISTORY`] and divides it: the parameters for which `in_form` holds go into the form.
fn divided(
    api: &Api,
    key: &Key,
    method: &str,
    in_form: impl Fn(&str) -> bool,
) -> (String, Vec<u8>) {
    let signed = api.sign(key, method, api.common(key, HISTORY));
    let (form, in_query): (Parameters, Parameters) =
        signed.into_iter().partition(|(name, _)| in_form(name));
    let target =
        if in_query.is_empty() { "/".to_owned() } else { format!("/?{}", query(&in_query)) };
    (target, query(&form).into_bytes())
}

async fn send_divided(api: &Api, key: &Key, method: &str, in_form: impl Fn(&str) -> bool) -> Reply {
    let (target, body) = divided(api, key, method, in_form);
    api.send(method, &target, &[FORM], &body).await
}

fn is_business(name: &str) -> bool {
    ["StartTime", "EndTime"].contains(&name)
}

#[tokio::test]
async fn query_and_form_are_one_set_whatever_the_method() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for method in ["GET", "POST"] {
        // All in the query: typed requests of the Python and Tea SDKs.
        let reply = send_divided(&api, &key, method, |_| false).await;
        reply.says(Format::Json, HISTORY_JSON);
        // All in the form, the signature too: pop-core.
        let reply = send_divided(&api, &key, method, |_| true).await;
        reply.says(Format::Json, HISTORY_JSON);
        // Business parameters in the form: the Go client of terraform, generic requests of Tea.
        let reply = send_divided(&api, &key, method, is_business).await;
        reply.says(Format::Json, HISTORY_JSON);
        // And the other way round.
        let reply = send_divided(&api, &key, method, |name| !is_business(name)).await;
        reply.says(Format::Json, HISTORY_JSON);
        // Each parameter alone in the form.
        for alone in ["Action", "Version", "Format", "Signature", "AccessKeyId", "Timestamp"] {
            let reply = send_divided(&api, &key, method, |name| name == alone).await;
            reply.says(Format::Json, HISTORY_JSON);
        }
    }
}

#[tokio::test]
async fn a_post_may_come_without_body_content_type_and_length() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let (target, _) = divided(&api, &key, "POST", |_| false);
    let host = api.addresses.rest;
    let request = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    api.send_raw(request.as_bytes()).await.says(Format::Json, HISTORY_JSON);
}

/// Node Tea sends forms in this way.
#[tokio::test]
async fn a_form_may_come_in_chunks_without_a_length() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for size in [1, 7, 100_000] {
        let (target, body) = divided(&api, &key, "POST", |_| true);
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n",
            api.addresses.rest
        );
        let request = [head.as_bytes(), &chunked(&body, size)].concat();
        api.send_raw(&request).await.says(Format::Json, HISTORY_JSON);
    }
    // The same with V3, whose signature covers the bytes of the body and not those of the chunks.
    let form = "StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z";
    let draft = api.draft("DescribeCdnUserBillType", "2018-05-10", "").with_form(form).signed(&key);
    let head = format!(
        "POST / HTTP/1.1\r\nConnection: close\r\n{}Transfer-Encoding: chunked\r\n\r\n",
        draft.lines()
    );
    let request = [head.as_bytes(), &chunked(&draft.body, 5)].concat();
    api.send_raw(&request).await.says(Format::Json, HISTORY_JSON);
}

/// curl sends larger bodies in this way: it waits for `100 Continue`.
#[tokio::test]
async fn a_client_may_wait_for_100_continue() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let (target, body) = divided(&api, &key, "POST", |_| true);
    let mut connection = api.connect().await;
    let length = body.len().to_string();
    let head = api.request("POST", &target, &[FORM, ("Expect", "100-continue")], b"");
    let head =
        String::from_utf8(head).expect("UTF-8").replace("Length: 0", &format!("Length: {length}"));
    connection.send(head.as_bytes()).await;
    assert_eq!(connection.reply().await.expect("an interim answer").status, 100);
    connection.send(&body).await;
    connection.reply().await.expect("an answer").says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn the_content_type_of_a_form_may_have_a_charset_and_any_case() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for content_type in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded ; charset=\"utf-8\"",
        "Application/X-WWW-Form-Urlencoded",
    ] {
        let (target, body) = divided(&api, &key, "POST", is_business);
        let reply = api.send("POST", &target, &[("Content-Type", content_type)], &body).await;
        reply.says(Format::Json, HISTORY_JSON);
    }
}

#[tokio::test]
async fn a_body_of_another_type_than_a_form_is_refused_unless_it_is_empty() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let unread = invalid("Content-Type");
    for content_type in
        ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "none"]
    {
        let headers = [("Content-Type", content_type)];
        let headers = if content_type == "none" { &[][..] } else { &headers };
        let (target, body) = divided(&api, &key, "POST", |_| true);
        api.send("POST", &target, headers, &body).await.is(Format::Xml, &unread);
        // Also if the query has all parameters, because the body may have a different meaning.
        let (target, _) = divided(&api, &key, "POST", |_| false);
        let body = br#"{"InternetChargeType":"PayByBandwidth"}"#;
        api.send("POST", &target, headers, body).await.is(Format::Json, &unread);
        api.send("POST", &target, headers, b"").await.says(Format::Json, HISTORY_JSON);
    }
}

#[tokio::test]
async fn a_signed_body_of_another_type_than_a_form_opens_nothing() {
    let api = Api::start().await;
    let key = api.account().await;
    let mut draft = api.draft("OpenCdnService", "2018-05-10", "").with_form("x");
    draft.body = br#"{"InternetChargeType":"PayByBandwidth"}"#.to_vec();
    let draft = draft.with("content-type", "application/json").signed(&key);
    api.send_draft(&draft).await.is(Format::Json, &invalid("Content-Type"));
    assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0));
}

#[tokio::test]
async fn v3_takes_business_parameters_from_query_and_form() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let (start, end) = ("StartTime=2018-03-02T01:02:03Z", "EndTime=2018-03-03T04:05:06Z");
    let both = format!("{start}&{end}");
    for (in_query, form) in
        [(both.as_str(), None), ("", Some(both.as_str())), (start, Some(end)), (end, Some(start))]
    {
        for method in ["GET", "POST"] {
            let mut draft = api.draft("DescribeCdnUserBillType", "2018-05-10", in_query);
            draft.method = method.to_owned();
            let draft = form.map_or(draft.clone(), |form| draft.with_form(form));
            let reply = api.send_draft(&draft.signed(&key)).await;
            reply.says(Format::Json, HISTORY_JSON);
        }
    }
}

#[tokio::test]
async fn the_order_of_parameters_does_not_matter() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for rotation in 0..10 {
        let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
        let mut pairs: Vec<_> = signed.split('&').collect();
        pairs.rotate_left(rotation);
        if rotation % 2 == 1 {
            pairs.reverse();
        }
        api.send_get(&pairs.join("&")).await.says(Format::Json, HISTORY_JSON);
    }
}

#[tokio::test]
async fn unknown_parameters_are_signed_and_ignored() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let extra = "&RegionId=cn-hangzhou&OwnerId=1&SourceIp=192.0.2.1&SecureTransport=false&Z=&z=1\
                 &request_id=x&RequestId=y&start_time=2001-01-01T00:00:00Z&starttime=now";
    let given = format!("{HISTORY}{extra}");
    api.get(&key, &given).await.says(Format::Json, HISTORY_JSON);
    api.post(&key, &given).await.says(Format::Json, HISTORY_JSON);
    let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
    let reply = api.send_get(&format!("{signed}&Later=1")).await;
    assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
}

/// The classic Python SDK sends and signs `SignatureType=`.
#[tokio::test]
async fn empty_values_are_signed() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let given = format!("{HISTORY}&SignatureType=&RegionId=&Empty=");
    api.get(&key, &given).await.says(Format::Json, HISTORY_JSON);
    api.post(&key, &given).await.says(Format::Json, HISTORY_JSON);
    // Without its equals sign, it is the same parameter.
    let signed = query(&api.sign(&key, "GET", api.common(&key, &given)));
    let bare = signed.replace("SignatureType=", "SignatureType").replace("Empty=", "Empty");
    assert_ne!(bare, signed);
    api.send_get(&bare).await.says(Format::Json, HISTORY_JSON);
    // If it is removed after signing, the signature is wrong.
    let signed = query(&api.sign(&key, "GET", api.common(&key, &given)));
    let reply = api.send_get(&signed.replace("&SignatureType=", "")).await;
    assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
}
