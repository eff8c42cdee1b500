//! Bytes that are not HTTP are refused with a complete answer, and the connection ends. The service
//! still works.

use super::{HISTORY, HISTORY_JSON, cdn_account};
use crate::support::Api;
use crate::support::refusals::Format;

#[tokio::test]
async fn bytes_that_are_not_http_are_refused_and_end_the_connection() {
    let api = Api::start().await;
    let key = cdn_account(&api).await;
    let long_target = format!("GET /?x={} HTTP/1.1\r\n\r\n", "x".repeat(66_000));
    let many_headers: Vec<_> = (0..101).map(|number| format!("X-{number}: 1\r\n")).collect();
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", many_headers.concat());
    let garbage: [(&[u8], u16); 17] = [
        (b"what is this\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400), // TLS
        (b"\x00\x00\x00\x00\r\n\r\n", 400),
        (b"\xff\xfe\xfd\xfc", 400),
        (b"{\"Action\":\"OpenCdnService\"}\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400), // HTTP/0.9
        (b"GET / HTTP/3.0\r\n\r\n", 400),
        (b"GET / http/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET /?a=\"<>\x01 HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad name: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX-A: \x00\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (long_target.as_bytes(), 413),
        (many_headers.as_bytes(), 413),
    ];
    for (bytes, status) in garbage {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let mut connection = api.connect().await;
        connection.send(bytes).await;
        let reply = connection.reply().await.unwrap_or_else(|| panic!("no answer: {shown}"));
        assert_eq!(reply.status, status, "{shown}");
        let code = if status == 413 { "RequestTooLarge" } else { "MalformedRequest" };
        assert!(reply.body.contains(&format!("<Code>{code}</Code>")), "{shown}: {}", reply.body);
        assert!(connection.has_ended().await, "{shown}");
    }
    api.get(&key, HISTORY).await.says(Format::Json, HISTORY_JSON);
}

/// A gRPC client that uses the wrong port sends HTTP/2 at once.
#[tokio::test]
async fn http_2_is_not_supported() {
    let api = Api::start().await;
    let mut connection = api.connect().await;
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    match connection.reply().await {
        Some(reply) => assert!((400..500).contains(&reply.status), "{reply:?}"),
        None => assert!(connection.has_ended().await),
    }
}
