//! Only GET and POST to `/` are served.

use super::{HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::{ACTION_NOT_FOUND, Format, HTTP_METHOD};
use crate::support::rest::query;

#[tokio::test]
async fn another_method_is_not_supported() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "Post", "FETCH"] {
        for (requested, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let given = format!("{HISTORY}&Format={requested}");
            let signed = query(&api.sign(&key, method, api.common(&key, &given)));
            let reply = api.send(method, &format!("/?{signed}"), &[], b"").await;
            reply.is(format, &HTTP_METHOD);
        }
    }
    api.send("PUT", "/", &[], b"Action=OpenCdnService").await.is(Format::Xml, &HTTP_METHOD);
    let options = api.send("OPTIONS", "*", &[], b"").await;
    options.is(Format::Xml, &HTTP_METHOD);
    assert_eq!(options.headers["allow"], "GET, POST");
    let mut draft = api.draft("DescribeUserCdnStatus", "2018-05-10", "");
    draft.method = "DELETE".to_owned();
    api.send_draft(&draft.signed(&key)).await.is(Format::Json, &HTTP_METHOD);
}

/// The answer to HEAD has only a head.
#[tokio::test]
async fn head_is_not_supported_either_and_gets_no_body() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let signed = query(&api.sign(&key, "HEAD", api.common(&key, HISTORY)));
    let reply = api.send("HEAD", &format!("/?{signed}"), &[], b"").await;
    assert_eq!((reply.status, reply.body.as_str()), (405, ""));
    assert_eq!(reply.headers["content-type"], Format::Json.content_type());
    assert_eq!(reply.headers["x-acs-request-id"].len(), 36);
}

#[tokio::test]
async fn another_path_is_not_found() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    for path in [
        "/index.html",
        "//",
        "/.",
        "/./",
        "/%2F",
        "/OpenCdnService",
        "/2018-05-10",
        "/favicon.ico",
        "/metrics",
        "/readyz",
        "/activation.cdn.v1.CdnService/OpenCdnService",
        "/(b)&c",
    ] {
        for (requested, format) in [("JSON", Format::Json), ("XML", Format::Xml)] {
            let given = format!("{HISTORY}&Format={requested}");
            for method in ["GET", "POST"] {
                let signed = query(&api.sign(&key, method, api.common(&key, &given)));
                let reply = api.send(method, &format!("{path}?{signed}"), &[], b"").await;
                reply.is(format, &ACTION_NOT_FOUND);
            }
        }
        let reply = api.send("GET", path, &[], b"").await;
        reply.is(Format::Xml, &ACTION_NOT_FOUND);
    }
}

/// Clients behind a proxy write the target in this way.
#[tokio::test]
async fn the_target_may_name_the_host() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
    let target = format!("http://{}/?{signed}", api.addresses.rest);
    api.send("GET", &target, &[], b"").await.says(Format::Json, HISTORY_JSON);
}

#[tokio::test]
async fn http_1_0_is_served_too() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let signed = query(&api.sign(&key, "GET", api.common(&key, HISTORY)));
    let reply = api.send_raw(format!("GET /?{signed} HTTP/1.0\r\n\r\n").as_bytes()).await;
    reply.says(Format::Json, HISTORY_JSON);
}
