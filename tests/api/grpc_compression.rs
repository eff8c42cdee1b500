//! Compressed requests and responses, and requests that are not gRPC.

use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use cdn_activation::proto::dcdn::v1::DescribeUserDcdnStatusResponse;
use cdn_activation::proto::operator::v1::WatchEventsResponse;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::database::Database;
use crate::support::grpc::refusal;
use crate::support::process::Program;
use crate::support::raw_grpc::{RawGrpc, RawReply, framed, token};
use crate::support::serve_process::Deployment;
use crate::support::{Api, eventually};

const STATUS: &str = "/activation.dcdn.v1.DcdnService/DescribeUserDcdnStatus";
const GET_ACCOUNT: &str = "/activation.operator.v1.AccountService/GetAccount";
const WATCH_EVENTS: &str = "/activation.operator.v1.EventService/WatchEvents";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

fn compressed(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("compressed");
    encoder.finish().expect("compressed")
}

/// Returns a framed message with this compression flag.
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
async fn compressed_requests_are_read_and_responses_are_compressed_on_request() {
    let api = Api::start().await;
    let key = api.account().await;
    let grpc = api.raw_grpc().await;
    let (name, token) = token();
    let id = key.account_id.to_string();
    let metadata = [
        (name, token.as_str()),
        ("x-account-id", &id),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "br, gzip"),
    ];
    let reply = grpc.send(STATUS, &metadata, flagged(1, &compressed(&[]))).await;
    assert_eq!((reply.status().code(), reply.body[0]), (Code::Ok, 1));
    assert_eq!(reply.headers["grpc-encoding"], "gzip");
    let mut message = Vec::new();
    GzDecoder::new(&reply.body[5..]).read_to_end(&mut message).expect("gzip");
    let response = DescribeUserDcdnStatusResponse::decode(message.as_slice()).expect("a message");
    assert!(!response.enabled && !response.request_id.is_empty());

    let plain = grpc.send(STATUS, &metadata[..3], flagged(1, &compressed(&[]))).await;
    assert!(!plain.message::<DescribeUserDcdnStatusResponse>().enabled);
    assert_eq!(plain.headers.get("grpc-encoding"), None);
    // Health needs no token, and reads compressed requests, too.
    let question = HealthCheckRequest::default().encode_to_vec();
    let healthy = grpc.send(CHECK, &metadata[2..3], flagged(1, &compressed(&question))).await;
    assert_eq!(healthy.message::<HealthCheckResponse>().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn an_unknown_encoding_is_named_and_the_known_ones_are_offered() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for path in [STATUS, GET_ACCOUNT, CHECK] {
        let reply = send(&grpc, path, "zstd", flagged(1, b"what")).await;
        let refused = refusal(&reply.status());
        assert_eq!(
            (refused.grpc, refused.code.as_str()),
            (Code::Unimplemented, "UnsupportedEncoding")
        );
        assert!(refused.message.contains("`zstd`"), "{}", refused.message);
        assert_eq!(reply.headers["grpc-accept-encoding"], "gzip,identity");
    }
}

#[tokio::test]
async fn wrong_flags_and_bytes_are_invalid_arguments() {
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
            let refused = refusal(&send(&grpc, path, encoding, body.clone()).await.status());
            let expected = (Code::InvalidArgument, "MalformedMessage", 400);
            assert_eq!(
                (refused.grpc, refused.code.as_str(), refused.http),
                expected,
                "{path} {body:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_decompressed_message_has_the_same_size_limit_as_an_uncompressed_one() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let bomb = compressed(&vec![0; 10 * 1024 * 1024]);
    assert!(bomb.len() < 16 * 1024);
    for path in [STATUS, GET_ACCOUNT] {
        let refused = refusal(&send(&grpc, path, "gzip", flagged(1, &bomb)).await.status());
        let expected = (Code::InvalidArgument, "RequestTooLarge", 413);
        assert_eq!((refused.grpc, refused.code.as_str(), refused.http), expected, "{path}");
    }
    let small = compressed(&vec![0; 60 * 1024]);
    let refused = refusal(&send(&grpc, CHECK, "gzip", flagged(1, &small)).await.status());
    assert_eq!(refused.code, "RequestTooLarge");
    let reflected = send(&grpc, REFLECT, "gzip", flagged(1, &bomb)).await;
    assert!(reflected.body.is_empty(), "{reflected:?}");
}

#[tokio::test]
async fn a_request_that_is_not_a_call_is_refused_by_its_http_status() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for (method, content_type, status) in [
        ("GET", "application/grpc", 405),
        ("OPTIONS", "application/grpc", 405),
        ("POST", "application/json", 415),
        ("POST", "application/grpc-web+proto", 415),
        ("POST", "", 415),
    ] {
        let (found, reply) = grpc.send_as(method, content_type, STATUS, &[], framed(&[])).await;
        assert_eq!(found, status, "{method} {content_type}");
        assert_eq!(reply.headers.contains_key("allow"), status == 405);
    }
    for content_type in ["application/grpc+proto", "application/grpc;charset=utf-8"] {
        let (found, reply) = grpc.send_as("POST", content_type, CHECK, &[], framed(&[])).await;
        assert_eq!((found, reply.status().code()), (200, Code::Ok), "{content_type}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http_2_gets_one_sentence() {
    let api = Api::start().await;
    let large = vec![b'x'; 300_000];
    let cases: [&[&[u8]]; 5] = [
        &[b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"],
        &[b"POST /activation.cdn.v1.CdnService/OpenCdnService HTTP/1.1\r\n\r\n"],
        &[b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n", &large],
        &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], // TLS
        &[b"P", b"UT"],
    ];
    for pieces in cases {
        let mut stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
        for piece in pieces {
            stream.write_all(piece).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("closed without a reset");
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer:?}");
        assert!(answer.ends_with("This port speaks gRPC, by HTTP/2 directly.\n"), "{answer:?}");
    }
    let counted = r#"answers_total{listener="grpc",code="malformed"}"#;
    assert_eq!(api.metric(counted).await.map(f64::to_bits), Some(5_f64.to_bits()));
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http_2_and_stays_is_disconnected() {
    let api = Api::start().await;
    let mut stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
    let open = r#"connections_open{listener="grpc"}"#;
    eventually("the connection is closed", async || api.metric(open).await == Some(0.0)).await;
    drop(stream);
}

#[tokio::test]
async fn nothing_is_sent_before_the_preface_is_complete() {
    let api = Api::start().await;
    let mut stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    stream.set_nodelay(true).expect("connected");
    let mut frame = [0; 9];
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        let sent = tokio::time::timeout(Duration::from_millis(10), stream.peek(&mut frame)).await;
        assert!(sent.is_err(), "{sent:?}");
        stream.write_all(&[*byte]).await.expect("sent");
    }
    stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.expect("sent");
    stream.read_exact(&mut frame).await.expect("a frame");
    assert_eq!(frame[3], 4, "the frame is SETTINGS");
}

#[tokio::test]
async fn streams_are_compressed_on_request() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let grpc = api.raw_grpc().await;
    let (name, token) = token();
    let metadata =
        [(name, token.as_str()), ("grpc-accept-encoding", "gzip"), ("grpc-timeout", "2S")];
    let reply = grpc.send(WATCH_EVENTS, &metadata, framed(&[])).await;
    assert_eq!(reply.headers["grpc-encoding"], "gzip");
    assert_eq!(reply.status().code(), Code::DeadlineExceeded);
    let (mut rest, mut events) = (&reply.body[..], 0);
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let [flag, length @ ..] = *head;
        assert_eq!(flag, 1, "the message is compressed");
        let length = usize::try_from(u32::from_be_bytes(length)).expect("short");
        let mut message = Vec::new();
        GzDecoder::new(&after[..length]).read_to_end(&mut message).expect("gzip");
        let response = WatchEventsResponse::decode(message.as_slice()).expect("a message");
        events += u32::from(response.event.is_some());
        rest = &after[length..];
    }
    assert!(events > 0, "{reply:?}");
}

#[tokio::test]
async fn a_flood_of_compression_bombs_takes_no_memory_and_logs_no_error() {
    let bomb = flagged(1, &compressed(&vec![0; 32 * 1024 * 1024]));
    assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
    let database = Database::fresh().await;
    let deployment = Deployment::new(&database);
    let mut program = Program::spawn(deployment.serve(&[]));
    let api = program.ready().await;
    let grpc = api.raw_grpc().await;
    let flood = async |times: usize| {
        let calls = (0..times).map(|_| async {
            let large = send(&grpc, GET_ACCOUNT, "gzip", bomb.clone()).await;
            assert_eq!(refusal(&large.status()).code, "RequestTooLarge");
            let wrong = send(&grpc, CHECK, "gzip", flagged(7, b"")).await;
            assert_eq!(refusal(&wrong.status()).code, "MalformedMessage");
        });
        futures_util::future::join_all(calls).await;
    };
    flood(5).await;
    let before = program.peak_kilobytes();
    for _ in 0..40 {
        flood(5).await;
    }
    let grown = program.peak_kilobytes() - before;
    assert!(grown < 16 * 1024, "{grown} KiB, of {before}");
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains("ERROR"), "{}", ended.stdout);
}
