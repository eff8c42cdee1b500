//! Every answer is counted by listener and code, also if the request did not reach an action.

use std::time::Duration;

use cdn_activation::proto::operator::v1::WatchEventsRequest;
use futures_util::future::join_all;
use tonic::{Code, Request};

use super::answers;
use crate::support::raw_grpc::framed;
use crate::support::{Api, eventually};

/// Checks that exactly these answers of a listener were counted.
async fn assert_counted(api: &Api, listener: &str, expected: &[(&str, f64)]) {
    for (code, count) in expected {
        let what = format!("{listener} answered {code} {count} times");
        eventually(&what, async || answers(api, listener, code).await.to_bits() == count.to_bits())
            .await;
    }
    let page = api.page("/metrics").await.body;
    let start = format!(r#"answers_total{{listener="{listener}""#);
    let counted = page.lines().filter(|line| line.starts_with(&start) && !line.ends_with(" 0"));
    let codes = counted.count();
    assert_eq!(codes, expected.len(), "{page}");
}

#[tokio::test]
async fn answers_of_the_signed_format_are_counted_by_code() {
    let api = Api::start().await;
    let key = api.account().await;
    api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
    api.get(&key, "Action=DescribeCdnService").await;
    for _ in 0..2 {
        api.send("GET", "/?Action=DescribeCdnService", &[], b"").await;
    }
    api.send("GET", "/elsewhere", &[], b"").await;
    for garbage in [&b"what is this\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        assert_eq!(api.exchange(garbage).await.expect("an answer").status, 400);
    }
    let expected = [
        ("OK", 1.0),
        ("CdnServiceNotFound", 1.0),
        ("MissingVersion", 2.0),
        ("InvalidAction.NotFound", 1.0),
        ("malformed", 2.0),
    ];
    assert_counted(&api, "rest", &expected).await;
}

#[tokio::test]
async fn answers_of_grpc_are_counted_by_code() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let status = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
    grpc.send(status, &[], framed(&[])).await;
    grpc.call(status, &[], &[]).await;
    grpc.call("/no.Service/Method", &[], &[]).await;
    grpc.send("/grpc.health.v1.Health/Check", &[], framed(&[])).await;
    let mut request = Request::new(WatchEventsRequest::default());
    request.set_timeout(Duration::from_millis(200));
    let mut watch = api.events().await.watch_events(request).await.expect("watched").into_inner();
    let end = loop {
        match watch.message().await {
            Ok(message) => assert!(message.is_some(), "a watch ends with a status"),
            Err(end) => break end,
        }
    };
    assert_eq!(end.code(), Code::DeadlineExceeded);
    let request = Request::new(WatchEventsRequest::default());
    drop(api.events().await.watch_events(request).await.expect("watched"));
    let expected = [
        ("OK", 1.0),
        ("ServiceUnauthenticated", 1.0),
        ("MissingAccountId", 1.0),
        ("InvalidAction.NotFound", 1.0),
        ("DeadlineExceeded", 1.0),
        ("abandoned", 1.0),
    ];
    assert_counted(&api, "grpc", &expected).await;
}

#[tokio::test]
async fn answers_of_the_ops_pages_and_open_connections_are_counted() {
    let api = Api::start().await;
    api.page("/livez").await;
    for _ in 0..3 {
        api.page("/nothing").await;
    }
    assert_eq!(answers(&api, "ops", "404").await.to_bits(), 3_f64.to_bits());
    assert!(answers(&api, "ops", "OK").await >= 2.0);
    let open = r#"connections_open{listener="rest"}"#;
    assert_eq!(api.metric(open).await, Some(0.0));
    let connections = [api.connect().await, api.connect().await];
    eventually("both are open", async || api.metric(open).await == Some(2.0)).await;
    drop(connections);
    eventually("both have ended", async || api.metric(open).await == Some(0.0)).await;
    super::ended(&api, "rest", "closed", 2.0).await;
}

#[tokio::test]
async fn a_connection_works_after_thousands_of_refused_calls() {
    let api = Api::start_without_workers().await;
    let grpc = api.raw_grpc().await;
    let metadata = [("authorization", "Bearer not-the-token")];
    let path = "/activation.cdn.v1.CdnService/DescribeCdnService";
    for _ in 0..150 {
        let calls = (0..20).map(|_| grpc.send(path, &metadata, framed(b"")));
        for reply in join_all(calls).await {
            assert_eq!(reply.status().code(), Code::Unauthenticated);
        }
    }
}
