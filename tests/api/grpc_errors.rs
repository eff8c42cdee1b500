//! Every error over gRPC, also one that tonic produces, has the documented code, the domain, the
//! HTTP status and the request id. The tests of request ids are here, too.

use bytes::Bytes;
use cdn_activation::proto::{cdn, operator};
use prost::Message;
use tonic::Code;

use crate::support::Api;
use crate::support::grpc::{GrpcRefusal, refusal};
use crate::support::raw_grpc::{RawReply, framed, token};

const OPEN: &str = "/activation.cdn.v1.CdnService/OpenCdnService";
const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
const GET_ACCOUNT: &str = "/activation.operator.v1.AccountService/GetAccount";
const LOCK: &str = "/activation.operator.v1.OperationLockService/Lock";
const LARGEST_MESSAGE: usize = 64 * 1024;

/// Checks that a reply is exactly this refusal, and that its metadata and details have one request id.
fn assert_refused(reply: &RawReply, grpc: Code, code: &str, http: u16, message: &str) {
    let expected = GrpcRefusal {
        grpc,
        code: code.to_owned(),
        message: message.to_owned(),
        http,
        request_id: reply.request_id().to_owned(),
    };
    assert_eq!(refusal(&reply.status()), expected);
}

fn assert_malformed(reply: &RawReply) {
    assert_refused_by_tonic(reply, "MalformedMessage", 400);
}

/// Checks a refusal with a text of tonic, which knows what is wrong with the message.
fn assert_refused_by_tonic(reply: &RawReply, code: &str, http: u16) {
    let message = refusal(&reply.status()).message;
    let starts = [
        "failed to decode Protobuf message: ",
        "Missing request message.",
        "Unexpected EOF decoding stream.",
        "Error, decoded message length too large: found ",
        "protocol error: received message with ",
        "Error decompressing: ",
    ];
    assert!(starts.iter().any(|start| message.starts_with(start)), "{message}");
    assert_refused(reply, Code::InvalidArgument, code, http, &message);
}

/// Returns a message of this length, with a field that no method knows.
fn message_of(length: usize) -> Vec<u8> {
    let head = [0xfa, 0x01]; // field 31, with a length
    let padding = length - head.len() - 3; // the length itself takes three bytes
    let length = [(padding & 0x7f) | 0x80, (padding >> 7 & 0x7f) | 0x80, padding >> 14];
    let length = length.map(|group| u8::try_from(group).expect("seven bits"));
    [&head[..], &length, &vec![b'x'; padding]].concat()
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for path in [
        "/activation.cdn.v1.CdnService/NoMethod",
        "/activation.cdn.v1.CdnService/openCdnService",
        "/activation.cdn.v1.CdnService/OpenCdnService/more",
        "/activation.cdn.v2.CdnService/OpenCdnService",
        "/activation.operator.v1.AccountService/",
        "/NoService",
        "/",
    ] {
        let reply = grpc.call(path, &[], &[]).await;
        let message = "Specified api is not found, please check your url and method.";
        assert_refused(&reply, Code::Unimplemented, "InvalidAction.NotFound", 404, message);
    }
}

#[tokio::test]
async fn bytes_that_are_not_a_message_are_an_invalid_argument() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for (path, bytes) in [
        (OPEN, &[0xff][..]),                     // a tag that is cut off
        (OPEN, &[0x0a, 0x05, b'a']),             // a length beyond the end
        (OPEN, &[0x09, 0, 0, 0, 0, 0, 0, 0, 0]), // eight bytes where an enum belongs
        (OPEN, &[0x00, 0x01]),                   // a field without a number
        (GET_ACCOUNT, b"{\"account_id\":1}"),    // JSON
        (LOCK, &[0x1a, 0x02, 0xc3, 0x28]),       // a text that is not UTF-8
        (LOCK, &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x01]), // a number that is too long
    ] {
        assert_malformed(&grpc.call(path, &[("x-account-id", "1")], bytes).await);
    }
}

#[tokio::test]
async fn a_call_without_a_complete_message_is_an_invalid_argument() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let (name, token) = token();
    let whole = framed(&[0x08, 0x01]);
    for cut in [0, 1, 5, 6] {
        let body = whole.slice(..cut);
        let reply = grpc.send(OPEN, &[(name, &token), ("x-account-id", "1")], body).await;
        assert_malformed(&reply);
    }
}

#[tokio::test]
async fn a_message_may_have_64_kibibytes_and_no_more() {
    let api = Api::start().await;
    let key = api.account().await;
    let account_id = key.account_id.to_string();
    let grpc = api.raw_grpc().await;
    let named = [("x-account-id", account_id.as_str())];
    let largest = grpc.call(DESCRIBE, &named, &message_of(LARGEST_MESSAGE)).await;
    assert!(!largest.message::<cdn::v1::DescribeUserCdnStatusResponse>().enabled);
    let (name, token) = token();
    for body in [
        framed(&message_of(LARGEST_MESSAGE + 1)),
        framed(&message_of(2 * 1024 * 1024)),
        Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), // it announces four gibibytes
    ] {
        let reply = grpc.send(DESCRIBE, &[(name, &token), named[0]], body).await;
        assert_refused_by_tonic(&reply, "RequestTooLarge", 413);
    }
}

#[tokio::test]
async fn a_fault_does_not_show_its_cause_on_either_wire() {
    let api = Api::start().await;
    let key = api.account().await;
    api.database
        .execute(
            "ALTER TABLE accounts DROP CONSTRAINT accounts_site_is_known;
             UPDATE accounts SET site = 'mars'",
        )
        .await;
    let message = "The request processing has failed due to some unknown error.";
    let account_id = key.account_id.to_string();
    let metadata = [("x-account-id", account_id.as_str())];
    let reply = api.raw_grpc().await.call(OPEN, &metadata, &[]).await;
    assert_refused(&reply, Code::Internal, "InternalError", 500, message);
    assert!(!format!("{reply:?}").contains("mars"));
    let reply = api.get(&key, "Action=OpenCdnService").await;
    reply.refused(500, "InternalError", message);
}

#[tokio::test]
async fn a_caller_cannot_choose_the_request_id() {
    let api = Api::start().await;
    let key = api.account().await;
    let account_id = key.account_id.to_string();
    let grpc = api.raw_grpc().await;
    let given = "6B29FC40-CA47-1067-B31D-00DD010662DB";
    let mut seen = std::collections::HashSet::from([given.to_owned()]);
    for _ in 0..2 {
        let metadata = [("x-account-id", account_id.as_str()), ("x-request-id", given)];
        let reply = grpc.call(DESCRIBE, &metadata, &[]).await;
        let message = reply.message::<cdn::v1::DescribeUserCdnStatusResponse>();
        assert_eq!(reply.request_id(), message.request_id);
        assert!(seen.insert(message.request_id), "each request has its own id");
        // Refusals of the action, of the method and of the message, and below of the token.
        for (path, metadata, message) in [
            ("/activation.cdn.v1.CdnService/DescribeCdnService", &metadata[..], &[][..]),
            ("/activation.cdn.v1.CdnService/NoMethod", &metadata[1..], &[]),
            (GET_ACCOUNT, &metadata[1..], &[0xff]),
        ] {
            let reply = grpc.call(path, metadata, message).await;
            let id = refusal(&reply.status()).request_id;
            assert_eq!(reply.request_id(), id, "{path}");
            assert!(seen.insert(id), "{path}");
        }
        let reply = grpc.send(DESCRIBE, &[("x-request-id", given)], framed(&[])).await;
        let id = refusal(&reply.status()).request_id;
        assert_eq!(reply.request_id(), id);
        assert!(seen.insert(id), "each request has its own id");
    }
}

#[tokio::test]
async fn a_request_has_an_id_whatever_the_caller_sends_as_its_own() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let request = operator::v1::GetAccountRequest { account_id: 1 }.encode_to_vec();
    let mut seen = std::collections::HashSet::new();
    for given in ["", "42", "not-a-uuid", "6B29FC40-CA47-1067-B31D-00DD010662DAX", "ü", " "] {
        let reply = grpc.call(GET_ACCOUNT, &[("x-request-id", given)], &request).await;
        let id = refusal(&reply.status()).request_id;
        assert_eq!((id.len(), id.to_uppercase()), (36, id.clone()), "{given:?}");
        assert!(uuid::Uuid::try_parse(&id).is_ok(), "{id}");
        assert_eq!(reply.request_id(), id);
        assert!(seen.insert(id), "each request has its own id");
    }
    let reply = grpc.call(GET_ACCOUNT, &[], &request).await;
    assert!(seen.insert(reply.request_id().to_owned()), "a request without an id gets its own");
}
