//! Messages that are compressed, by the caller or for the caller; and what is no gRPC at all.

use std::io::{Read, Write};

use bytes::Bytes;
use cdn_activation::proto::dcdn::v1::DescribeUserDcdnStatusResponse;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::Api;
use crate::support::grpc::refusal;
use crate::support::raw_grpc::{RawGrpc, RawReply, framed, token};

const STATUS: &str = "/activation.dcdn.v1.DcdnService/DescribeUserDcdnStatus";
const GET_ACCOUNT: &str = "/activation.operator.v1.AccountService/GetAccount";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("compressed");
    encoder.finish().expect("compressed")
}

/// A message with this flag before it.
fn flagged(flag: u8, message: &[u8]) -> Bytes {
    let mut bytes = framed(message).to_vec();
    bytes[0] = flag;
    bytes.into()
}

async fn send(grpc: &RawGrpc, path: &str, encoding: &str, body: Bytes) -> RawReply {
    let (name, token) = token();
    let metadata = [(name, token.as_str()), ("x-account-id", "1"), ("grpc-encoding", encoding)];
    grpc.send(path, &metadata, body).await
}

#[tokio::test]
async fn compressed_messages_are_read_and_answered_by_such_where_the_caller_asks() {
    let api = Api::start().await;
    let key = api.account().await;
    let grpc = api.raw_grpc().await;
    let (name, token) = token();
    let id = key.account_id.to_string();
    let asks = [
        (name, token.as_str()),
        ("x-account-id", &id),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "br, gzip"),
    ];
    let reply = grpc.send(STATUS, &asks, flagged(1, &compressed(&[]))).await;
    assert_eq!((reply.status().code(), reply.body[0]), (Code::Ok, 1));
    assert_eq!(reply.headers["grpc-encoding"], "gzip");
    let mut message = Vec::new();
    GzDecoder::new(&reply.body[5..]).read_to_end(&mut message).expect("gzip");
    let said = DescribeUserDcdnStatusResponse::decode(message.as_slice()).expect("a message");
    assert!(!said.enabled && !said.request_id.is_empty());

    let plain = grpc.send(STATUS, &asks[..3], flagged(1, &compressed(&[]))).await;
    assert!(!plain.message::<DescribeUserDcdnStatusResponse>().enabled);
    assert_eq!(plain.headers.get("grpc-encoding"), None);
    // Health needs no token, and may be asked so, too.
    let question = HealthCheckRequest::default().encode_to_vec();
    let healthy = grpc.send(CHECK, &asks[2..3], flagged(1, &compressed(&question))).await;
    assert_eq!(healthy.message::<HealthCheckResponse>().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn another_encoding_is_named_and_a_known_one_offered() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for path in [STATUS, GET_ACCOUNT, CHECK] {
        let reply = send(&grpc, path, "zstd", flagged(1, b"what")).await;
        let said = refusal(&reply.status());
        assert_eq!((said.grpc, said.code.as_str()), (Code::Unimplemented, "UnsupportedEncoding"));
        assert!(said.message.contains("`zstd`"), "{}", said.message);
        assert_eq!(reply.headers["grpc-accept-encoding"], "gzip,identity");
    }
}

#[tokio::test]
async fn flags_and_bytes_that_are_wrong_are_the_callers_mistake() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for (encoding, body) in [
        ("identity", flagged(1, &compressed(b""))),
        ("identity", flagged(2, b"")),
        ("gzip", flagged(255, b"")),
        ("gzip", flagged(1, b"no gzip")),
        ("gzip", flagged(1, &compressed(&[0xff]))),
    ] {
        for path in [STATUS, GET_ACCOUNT, CHECK] {
            let said = refusal(&send(&grpc, path, encoding, body.clone()).await.status());
            let expected = (Code::InvalidArgument, "MalformedMessage", 400);
            assert_eq!((said.grpc, said.code.as_str(), said.http), expected, "{path} {body:?}");
        }
    }
}

#[tokio::test]
async fn what_becomes_of_a_compressed_message_is_bounded_as_a_plain_one_is() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let bomb = compressed(&vec![0; 10 * 1024 * 1024]);
    assert!(bomb.len() < 16 * 1024);
    for path in [STATUS, GET_ACCOUNT] {
        let said = refusal(&send(&grpc, path, "gzip", flagged(1, &bomb)).await.status());
        let expected = (Code::InvalidArgument, "RequestTooLarge", 413);
        assert_eq!((said.grpc, said.code.as_str(), said.http), expected, "{path}");
    }
    let small = compressed(&vec![0; 60 * 1024]);
    let said = refusal(&send(&grpc, CHECK, "gzip", flagged(1, &small)).await.status());
    assert_eq!(said.code, "RequestTooLarge");
    let reflected = send(&grpc, REFLECT, "gzip", flagged(1, &bomb)).await;
    assert!(reflected.body.is_empty(), "{reflected:?}");
}

#[tokio::test]
async fn what_is_no_call_is_refused_as_http() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for (method, content_type, status) in [
        ("GET", "application/grpc", 405),
        ("OPTIONS", "application/grpc", 405),
        ("POST", "application/json", 415),
        ("POST", "application/grpc-web+proto", 415),
        ("POST", "", 415),
    ] {
        let (said, reply) = grpc.send_as(method, content_type, STATUS, &[], framed(&[])).await;
        assert_eq!(said, status, "{method} {content_type}");
        assert_eq!(reply.headers.contains_key("allow"), status == 405);
    }
    for content_type in ["application/grpc+proto", "application/grpc;charset=utf-8"] {
        let (said, reply) = grpc.send_as("POST", content_type, CHECK, &[], framed(&[])).await;
        assert_eq!((said, reply.status().code()), (200, Code::Ok), "{content_type}");
    }
}

#[tokio::test]
async fn what_is_not_http_2_is_told_so_in_words() {
    let api = Api::start().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..],
        b"POST /activation.cdn.v1.CdnService/OpenCdnService HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // TLS
        b"P",
    ] {
        let mut stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
        stream.write_all(bytes).await.expect("sent");
        if bytes == b"P" {
            stream.write_all(b"UT").await.expect("sent");
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok(); // what was not read ends in a reset
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer:?}");
        assert!(answer.ends_with("This port speaks gRPC, by HTTP/2 directly.\n"), "{answer:?}");
    }
}
