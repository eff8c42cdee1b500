//! The format of answers: V1 requests it with `Format`, otherwise it is XML; V3 requests it with
//! `Accept`, otherwise it is JSON. And the content type, request id and host id of replies.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{HISTORY, HISTORY_JSON, HISTORY_XML, cdn_account};
use crate::support::Api;
use crate::support::refusals::{Format, INVALID_FORMAT, missing};
use crate::support::rest::{Key, Parameters, query};

/// Signs [`HISTORY`] with this `Format`, or with none.
fn history(api: &Api, key: &Key, format: Option<&str>) -> Parameters {
    let mut parameters = api.common(key, HISTORY);
    match format {
        Some(format) => drop(parameters.insert("Format".to_owned(), format.to_owned())),
        None => drop(parameters.remove("Format")),
    }
    api.sign(key, "GET", parameters)
}

/// The official .NET SDK looks them up with a certain case.
#[tokio::test]
async fn header_names_are_in_title_case() {
    let api = Api::start().await;
    for address in [api.addresses.rest, api.addresses.ops] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = b"GET /livez?Format=JSON HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.expect("answered");
        let (head, _) = reply.split_once("\r\n\r\n").expect("a head");
        let names = head.lines().skip(1).map(|line| line.split(':').next().expect("a name"));
        let title = |name: &str| name.split('-').all(|part| part.starts_with(char::is_uppercase));
        let others: Vec<_> = names.filter(|name| !title(name)).collect();
        assert!(others.is_empty() && head.contains("\r\nContent-Type: "), "{head}");
    }
}

#[tokio::test]
async fn v1_is_answered_in_the_requested_format_and_otherwise_in_xml() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for (requested, format, body) in [
        (Some("JSON"), Format::Json, HISTORY_JSON),
        (Some("json"), Format::Json, HISTORY_JSON),
        (Some("Json"), Format::Json, HISTORY_JSON),
        (Some("XML"), Format::Xml, HISTORY_XML),
        (Some("xml"), Format::Xml, HISTORY_XML),
        (Some("None"), Format::Xml, HISTORY_XML), // the classic SDK's deprecated call
        (Some(""), Format::Xml, HISTORY_XML),
        (None, Format::Xml, HISTORY_XML),
    ] {
        let signed = history(&api, &key, requested);
        api.send_get(&query(&signed)).await.says(format, body);
        // Refusals come in the same format.
        let mut unsigned = signed;
        unsigned.remove("Signature");
        api.send_get(&query(&unsigned)).await.is(format, &missing("Signature"));
    }
}

#[tokio::test]
async fn an_unknown_format_is_refused_in_xml() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for requested in ["YAML", "none", "NONE", " JSON", "JSON ", "application/json", "JSON,XML", "0"]
    {
        let signed = history(&api, &key, Some(requested));
        api.send_get(&query(&signed)).await.is(Format::Xml, &INVALID_FORMAT);
    }
}

#[tokio::test]
async fn the_accept_header_is_ignored_in_v1() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for (requested, format, body) in
        [("JSON", Format::Json, HISTORY_JSON), ("XML", Format::Xml, HISTORY_XML)]
    {
        for accept in ["application/json", "application/xml", "*/*", "image/png"] {
            let target = format!("/?{}", query(&history(&api, &key, Some(requested))));
            let reply = api.send("GET", &target, &[("Accept", accept)], b"").await;
            reply.says(format, body);
        }
    }
}

#[tokio::test]
async fn v3_is_answered_in_json_unless_it_accepts_xml_and_not_json() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let given = "StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z";
    for (accept, format, body) in [
        (None, Format::Json, HISTORY_JSON),
        (Some("application/json"), Format::Json, HISTORY_JSON),
        (Some("*/*"), Format::Json, HISTORY_JSON),
        (Some(""), Format::Json, HISTORY_JSON),
        (Some("text/html"), Format::Json, HISTORY_JSON),
        (Some("application/xml"), Format::Xml, HISTORY_XML),
        (Some("text/xml"), Format::Xml, HISTORY_XML),
        (Some("text/xml; q=0.9, */*; q=0.1"), Format::Xml, HISTORY_XML),
        (Some("application/json, text/xml"), Format::Json, HISTORY_JSON),
        (Some("application/xml, application/json"), Format::Json, HISTORY_JSON),
    ] {
        let draft = || {
            let draft = api.draft("DescribeCdnUserBillType", "2018-05-10", given);
            accept.map_or(draft.clone(), |accept| draft.with("accept", accept))
        };
        api.send_draft(&draft().signed(&key)).await.says(format, body);
        // Refusals come in the same format, whether there is a signature or not.
        api.send_draft(&draft()).await.is(format, &missing("AccessKeyId"));
        let signed = draft().signed(&key).without("x-acs-signature-nonce");
        api.send_draft(&signed).await.is(format, &missing("SignatureNonce"));
    }
}

#[tokio::test]
async fn the_parameter_format_is_ignored_in_v3() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for requested in ["XML", "JSON", "YAML"] {
        let given = format!(
            "StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z&Format={requested}"
        );
        let draft = api.draft("DescribeCdnUserBillType", "2018-05-10", &given).signed(&key);
        api.send_draft(&draft).await.says(Format::Json, HISTORY_JSON);
    }
}

#[tokio::test]
async fn every_reply_has_its_own_request_id_in_header_and_body() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let mut seen = std::collections::HashSet::new();
    for given in [HISTORY, "Action=Nothing", "Action=ModifyCdnService", HISTORY] {
        for format in ["JSON", "XML"] {
            let reply = api.get(&key, &format!("{given}&Format={format}")).await;
            let id = reply.headers["x-acs-request-id"].clone();
            let groups: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
            assert!(id.bytes().all(|b| b"0123456789ABCDEF-".contains(&b)), "{id}");
            let in_body = match format {
                "JSON" => reply.text("RequestId"),
                _ => reply.body.split(['<', '>']).nth(6).expect("an element").to_owned(),
            };
            assert_eq!(in_body, id, "{reply:?}");
            assert!(seen.insert(id), "each request has another id");
        }
    }
}

#[tokio::test]
async fn the_host_id_is_the_addressed_host_without_the_port() {
    let api = Api::start().await;
    for (header, host_id) in [
        ("Host: cdn.aliyuncs.com\r\n", "cdn.aliyuncs.com"),
        ("Host: cdn.example.com:8080\r\n", "cdn.example.com"),
        ("Host: 127.0.0.1:45535\r\n", "127.0.0.1"),
        ("Host: [::1]:8080\r\n", "[::1]"),
        ("Host: [2001:db8::1]\r\n", "[2001:db8::1]"),
        ("host:localhost\r\n", "localhost"),
        ("Host: a<b>&\"c\"\r\n", "a<b>&\"c\""),
        ("Host:\r\n", ""),
        ("", ""),
    ] {
        for (name, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let request = format!(
                "GET /?Action=None&Version=2018-05-10&Format={name} HTTP/1.1\r\n\
                 Connection: close\r\n{header}\r\n"
            );
            let reply = api.send_raw(request.as_bytes()).await;
            reply.is_from(host_id, format, &crate::support::refusals::ACTION_NOT_FOUND);
        }
    }
}

/// Clients rely only on the content type; a reply is neither compressed nor chunked.
#[tokio::test]
async fn a_reply_is_uncompressed_and_has_a_length() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let target = format!("/?{}", query(&history(&api, &key, Some("JSON"))));
    let reply = api.send("GET", &target, &[("Accept-Encoding", "gzip, deflate, br")], b"").await;
    reply.says(Format::Json, HISTORY_JSON);
    assert_eq!(reply.headers["content-length"], reply.body.len().to_string());
    assert!(!reply.headers.contains_key("content-encoding"), "{reply:?}");
    assert!(!reply.headers.contains_key("transfer-encoding"), "{reply:?}");
}
