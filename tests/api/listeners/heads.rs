//! How much of a request is kept in memory before it is refused.

use bytes::Bytes;
use tonic::Code;

use crate::support::Api;
use crate::support::grpc::refusal;
use crate::support::raw_grpc::{framed, token};

/// Largest number of bytes of a head that are kept.
const LARGEST_HEAD: usize = 48 * 1024;

#[tokio::test]
async fn a_head_is_refused_after_48_kib() {
    let api = Api::start().await;
    for start in ["GET /?Padding=", "GET / HTTP/1.1\r\nX-Padding: "] {
        let mut connection = api.connect().await;
        // The head does not end: an answer shows that the service does not wait for its end.
        let head = format!("{start}{}", "x".repeat(LARGEST_HEAD));
        connection.send(head.as_bytes()).await;
        let reply = connection.reply().await.expect("an answer");
        assert_eq!(reply.status, 413);
        assert!(reply.body.contains("<Code>RequestTooLarge</Code>"), "{}", reply.body);
        assert!(connection.has_ended().await);
    }
}

#[tokio::test]
async fn health_and_reflection_read_short_messages_only() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let check = "/grpc.health.v1.Health/Check";
    let watch = "/grpc.health.v1.Health/Watch";
    let largest = [&[0x0a, 0xfd, 0x07][..], &[b'x'; 1021]].concat(); // the name of a service
    assert_eq!(grpc.send(check, &[], framed(&largest)).await.status().code(), Code::NotFound);
    for body in [
        framed(&[0; 1025]),
        framed(&vec![0; 4 * 1024 * 1024]),
        Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), // it announces four gibibytes
    ] {
        for path in [check, watch] {
            let mut status = grpc.send(path, &[], body.clone()).await;
            let id = status.headers.remove("x-request-id").expect("a request id");
            let mut refused = status.status();
            let id = id.to_str().expect("visible").parse().expect("visible");
            refused.metadata_mut().insert("x-request-id", id);
            let refused = refusal(&refused);
            assert_eq!(
                (refused.grpc, refused.code.as_str()),
                (Code::InvalidArgument, "RequestTooLarge")
            );
        }
    }
    let (name, token) = token();
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let question = framed(&vec![0; 16 * 1024 + 1]);
        let reply = grpc.send(&path, &[(name, &token)], question).await;
        assert!(reply.body.is_empty(), "{reply:?}");
    }
}
