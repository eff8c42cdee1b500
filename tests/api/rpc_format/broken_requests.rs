//! Invalid and incomplete requests: each gets a complete answer in time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Api;
use crate::support::leaves::{json_leaves, xml_leaves};
use crate::support::rest::Reply;
use crate::support::stored::LOCK_THE_ACCOUNT;

/// Sends these bytes and then closes its side. Returns the complete answer.
async fn answers(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(bytes).await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered, and closed");
    answer
}

fn assert_is_complete(reply: &Reply, request: &str) {
    let length: usize = reply.headers["content-length"].parse().expect("a number");
    assert_eq!(reply.body.len(), length, "{request:?}");
    let leaves = match reply.headers["content-type"].as_str() {
        "application/json;charset=utf-8" => json_leaves(&reply.json()),
        "text/xml;charset=utf-8" => xml_leaves(&reply.body),
        other => panic!("{other}: {request:?}"),
    };
    let names: Vec<_> = leaves.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Code", "HostId", "Message", "RequestId"], "{request:?}");
    let id = leaves.iter().find(|(name, _)| name == "RequestId").map(|(_, id)| id.as_str());
    assert_eq!(id, Some(reply.headers["x-acs-request-id"].as_str()), "{request:?}");
}

#[tokio::test]
async fn every_invalid_request_gets_a_complete_answer() {
    let api = Api::start().await;
    let long = "x".repeat(100 * 1024);
    let (long_uri, long_header) = (
        format!("GET /?A={long} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"),
    );
    let form = "POST /?Format=JSON HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let chunked = format!("{form}Transfer-Encoding: chunked\r\n\r\n");
    #[rustfmt::skip] // a table is easier to read with one row per line
    let requests: [(&str, u16, &str); 27] = [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "MissingAction"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "MissingAction"),
        ("GET / HTTP/1.0\r\n\r\n", 400, "MissingAction"),
        ("GET /?Format=JSON HTTP/1.1\r\nHost: h\r\n\r\n", 400, "MissingAction"),
        ("GET http://h/?Format=JSON HTTP/1.1\r\nHost: h\r\n\r\n", 400, "MissingAction"),
        ("GET /path HTTP/1.1\r\nHost: h\r\n\r\n", 404, "InvalidAction.NotFound"),
        ("PUT / HTTP/1.1\r\nHost: h\r\n\r\n", 405, "UnsupportedHTTPMethod"),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405, "UnsupportedHTTPMethod"),
        ("OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: http://o\r\nAccess-Control-Request-Method: POST\r\n\r\n", 405, "UnsupportedHTTPMethod"),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 405, "UnsupportedHTTPMethod"),
        ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 405, "UnsupportedHTTPMethod"),
        ("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 405, "UnsupportedHTTPMethod"),
        ("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 400, "MissingAction"),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: the unexpected\r\n\r\n", 400, "MissingAction"),
        ("GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "MalformedRequest"),
        ("GET / HTTP/1.1\r\n: nothing\r\n\r\n", 400, "MalformedRequest"),
        ("GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400, "MalformedRequest"),
        ("GET / HTTP/7.7\r\n\r\n", 400, "MalformedRequest"),
        ("GET /?\u{1} HTTP/1.1\r\n\r\n", 400, "MalformedRequest"),
        ("G\u{e9}T / HTTP/1.1\r\n\r\n", 400, "MalformedRequest"),
        ("hello\r\n\r\n", 400, "MalformedRequest"),
        (&long_uri, 413, "RequestTooLarge"),
        (&long_header, 413, "RequestTooLarge"),
        (&format!("{chunked}zz\r\n"), 400, "MalformedRequest"),
        (&format!("{chunked}5\r\nOwner"), 400, "MalformedRequest"),
        (&format!("{chunked}2\r\nOwner\r\n0\r\n\r\n"), 400, "MalformedRequest"),
        (&format!("{form}Content-Length: 50\r\n\r\nOwner=1"), 400, "MalformedRequest"),
    ];
    for (request, status, code) in requests {
        let answer = answers(api.addresses.rest, request.as_bytes()).await;
        let shown = &request[..request.len().min(80)];
        let reply = Reply::parse(answer.as_bytes());
        assert_is_complete(&reply, shown);
        assert_eq!(reply.status, status, "{shown:?}: {}", reply.body);
        assert!(reply.body.contains(code), "{shown:?}: {}", reply.body);
        assert_eq!(reply.headers.contains_key("allow"), status == 405, "{shown:?}");
    }
}

#[tokio::test]
async fn a_connection_without_a_complete_head_ends_without_an_answer() {
    let api = Api::start().await;
    for bytes in ["", "\r\n", "GET / HTTP/1.1\r\nHost: h\r\n"] {
        assert_eq!(answers(api.addresses.rest, bytes.as_bytes()).await, "", "{bytes:?}");
    }
}

#[tokio::test]
async fn a_client_that_has_closed_its_side_is_answered() {
    let api = Api::start().await;
    let key = api.account().await;
    let signed = api.sign(&key, "GET", api.common(&key, "Action=OpenCdnService"));
    let request =
        api.request("GET", &format!("/?{}", crate::support::rest::query(&signed)), &[], b"");
    // The row is locked, so that the client closes its side before the answer.
    let held = api.database.hold(key.account_id, LOCK_THE_ACCOUNT).await;
    let (answer, ()) = tokio::join!(answers(api.addresses.rest, &request), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        held.roll_back().await;
    });
    Reply::parse(answer.as_bytes()).succeeded();
    let page = answers(api.addresses.ops, b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(page.ends_with("ready\n"), "{page}");
    let page = answers(api.addresses.ops, b"GET /readyz HTTP/7.7\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 400 ") && page.ends_with("read as HTTP\n"), "{page}");
}

#[tokio::test]
async fn an_unreadable_parameter_does_not_hide_that_the_action_does_not_exist() {
    let api = Api::start().await;
    let key = api.account().await;
    for (given, status, code) in [
        ("Action=DescribeMoonService&Note=a%0Ab", 404, "InvalidAction.NotFound"),
        ("Action=DescribeMoonService&Note=%FF", 404, "InvalidAction.NotFound"),
        ("Action=DescribeCdnService&Version=2020-01-01&Note=a%0Ab", 400, "InvalidVersion"),
        ("Action=DescribeCdnService&Version=2018-05-10&Note=a%0Ab", 400, "InvalidParameter"),
        ("Action=Describe%0ACdnService&Version=2018-05-10", 400, "InvalidParameter"),
    ] {
        let version = if given.contains("Version") { "" } else { "&Version=2018-05-10" };
        let target = format!("/?{given}{version}&Format=JSON&AccessKeyId={}", key.id);
        let reply = Reply::of(
            api.addresses.rest,
            &api.request("GET", &target, &[("Connection", "close")], b""),
        )
        .await;
        assert_eq!((reply.status, reply.text("Code").as_str()), (status, code), "{given}");
    }
}
