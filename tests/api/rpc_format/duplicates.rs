//! A parameter that occurs twice is refused, wherever it occurs; so is a header that a signature or a
//! reply depends on. It is not known which of the two was signed and which is meant.

use super::{FORM, HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::{Format, invalid};
use crate::support::rest::{Parameters, query};

#[tokio::test]
async fn a_parameter_that_occurs_twice_in_the_query_is_refused() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for name in ["StartTime", "Action", "Version", "AccessKeyId", "Signature", "SignatureNonce"] {
        for (requested, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let given = format!("{HISTORY}&Format={requested}");
            let signed = api.sign(&key, "GET", api.common(&key, &given));
            for second in [signed[name].clone(), String::new(), "another".to_owned()] {
                let second = query(&Parameters::from([(name.to_owned(), second)]));
                for twice in
                    [format!("{}&{second}", query(&signed)), format!("{second}&{}", query(&signed))]
                {
                    api.send_get(&twice).await.is(format, &invalid(name));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_parameter_that_occurs_twice_in_a_form_or_in_query_and_form_is_refused() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for name in ["EndTime", "Action", "Signature", "Unknown"] {
        let given = format!("{HISTORY}&Unknown=1");
        let signed = api.sign(&key, "POST", api.common(&key, &given));
        let one = query(&Parameters::from([(name.to_owned(), signed[name].clone())]));
        let all = query(&signed);
        let in_form = format!("{all}&{one}");
        for (target, body) in [
            ("/".to_owned(), in_form.as_str()),
            (format!("/?{one}"), all.as_str()),
            (format!("/?{all}"), one.as_str()),
        ] {
            let reply = api.send("POST", &target, &[FORM], body.as_bytes()).await;
            reply.is(Format::Json, &invalid(name));
        }
    }
}

#[tokio::test]
async fn two_encodings_of_a_name_are_one_name_and_two_cases_are_two_names() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
    for second in ["%41ction=x", "Act%69on", "Action"] {
        api.send_get(&format!("{signed}&{second}")).await.is(Format::Json, &invalid("Action"));
    }
    for second in ["a+b=1&a%20b=2", "%C3%A9=1&%c3%a9=1"] {
        let name = if second.starts_with('a') { "a b" } else { "é" };
        api.send_get(&format!("{signed}&{second}")).await.is(Format::Json, &invalid(name));
    }
    api.send_get(&format!("{signed}&=1&=2")).await.is(Format::Json, &invalid(""));
    let given = format!("{HISTORY}&action=OpenCdnService&ACTION=OpenCdnService");
    api.get(&key, &given).await.says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn if_the_format_occurs_twice_the_answer_has_the_first_one() {
    let api = Api::start().await;
    for (given, format) in [
        ("Action=OpenCdnService&Format=JSON&Format=XML", Format::Json),
        ("Action=OpenCdnService&Format=XML&Format=JSON", Format::Xml),
    ] {
        api.send_get(given).await.is(format, &invalid("Format"));
    }
}

#[tokio::test]
async fn a_parameter_that_occurs_twice_in_a_v3_request_is_refused() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let given = "StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z";
    for (accept, format) in [("application/json", Format::Json), ("text/xml", Format::Xml)] {
        let draft =
            api.draft("DescribeCdnUserBillType", "2018-05-10", given).with("accept", accept);
        let draft = draft.with_form("StartTime=2018-03-02T01:02:03Z").signed(&key);
        api.send_draft(&draft).await.is(format, &invalid("StartTime"));
    }
}

#[tokio::test]
async fn a_significant_header_that_occurs_twice_is_refused() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for name in [
        "host",
        "accept",
        "authorization",
        "content-type",
        "content-md5",
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-content-sha256",
        "x-acs-anything",
    ] {
        let draft = api
            .draft("DescribeCdnUserBillType", "2018-05-10", "")
            .with("x-acs-anything", "1")
            .with("accept", "application/json")
            .with_form("StartTime=2018-03-02T01:02:03Z&EndTime=2018-03-03T04:05:06Z");
        let digest = super::content_md5::digest(&draft.body);
        let draft = draft.with("content-md5", &digest).signed(&key);
        let line = |name: &str| format!("{name}: {}\r\n", draft.headers[name]);
        let mut headers: String = draft.headers.keys().map(|name| line(name)).collect();
        let length = draft.body.len();
        let head = format!("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n");
        let once = [head.as_bytes(), headers.as_bytes(), b"\r\n", &draft.body].concat();
        headers += &line(name);
        let twice = [head.as_bytes(), headers.as_bytes(), b"\r\n", &draft.body].concat();
        api.send_raw(&twice).await.is(Format::Json, &invalid(name));
        api.send_raw(&once).await.says(Format::Json, HISTORY_JSON); // nothing else was wrong
    }
}

#[tokio::test]
async fn other_headers_may_occur_twice() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let target = format!("/?{}", query(&api.sign(&key, "GET", api.common(&key, HISTORY))));
    let headers = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-For", "192.0.2.2"),
        ("Via", "1.1 a"),
        ("Via", "1.1 b"),
    ];
    api.send("GET", &target, &headers, b"").await.says(Format::Json, HISTORY_JSON);
}
