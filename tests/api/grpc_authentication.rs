//! Authentication over gRPC: a calling service sends the token, and names the account it acts for.

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::proto::operator::v1 as operator;
use prost::Message;
use tonic::Code;

use crate::support::Api;
use crate::support::TOKEN;
use crate::support::grpc::{GrpcRefusal, refusal};
use crate::support::raw_grpc::{RawGrpc, RawReply, framed};

/// A method of each kind of service, and a method that does not exist.
const PATHS: [&str; 6] = [
    "/activation.cdn.v1.CdnService/DescribeCdnService",
    "/activation.dcdn.v1.DcdnService/OpenDcdnService",
    "/activation.operator.v1.AccountService/GetAccount",
    "/activation.operator.v1.AccessKeyService/CreateAccessKey",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/activation.cdn.v1.CdnService/NoMethod",
];

/// Every method that acts for an account.
const ACCOUNT_PATHS: [&str; 9] = [
    "/activation.cdn.v1.CdnService/OpenCdnService",
    "/activation.cdn.v1.CdnService/DescribeCdnService",
    "/activation.cdn.v1.CdnService/ModifyCdnService",
    "/activation.cdn.v1.CdnService/DescribeUserCdnStatus",
    "/activation.cdn.v1.CdnService/DescribeCdnUserBillType",
    "/activation.dcdn.v1.DcdnService/OpenDcdnService",
    "/activation.dcdn.v1.DcdnService/DescribeDcdnService",
    "/activation.dcdn.v1.DcdnService/DescribeUserDcdnStatus",
    "/activation.dcdn.v1.DcdnService/DescribeDcdnUserBillType",
];

/// Calls a method with an empty message and with no other metadata than this.
async fn call(grpc: &RawGrpc, path: &str, metadata: &[(&str, &str)]) -> RawReply {
    grpc.send(path, metadata, framed(&[])).await
}

/// Returns the refusal of a caller that is not authenticated.
fn unauthenticated(reply: &RawReply) -> GrpcRefusal {
    GrpcRefusal {
        grpc: Code::Unauthenticated,
        code: "ServiceUnauthenticated".to_owned(),
        message:
            "The calling service is not authenticated: send its token in the metadata authorization."
                .to_owned(),
        http: 401,
        request_id: reply.request_id().to_owned(),
    }
}

#[tokio::test]
async fn without_the_token_a_service_can_call_only_health() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let wrong = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer another-token-of-services".to_owned(),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Bearer  {TOKEN}"),
        format!("Bearer {TOKEN} "),
        format!("Bearer {}", TOKEN.to_uppercase()),
        format!("Basic {TOKEN}"),
        format!("Bearer,{TOKEN}"),
        TOKEN.to_owned(),
        String::new(),
        "Bearer tökén".to_owned(),
    ];
    for path in PATHS {
        let missing = call(&grpc, path, &[]).await;
        assert_eq!(refusal(&missing.status()), unauthenticated(&missing), "{path}");
        for value in &wrong {
            let reply = call(&grpc, path, &[("authorization", value)]).await;
            assert_eq!(refusal(&reply.status()), unauthenticated(&reply), "{path} {value:?}");
        }
    }
    let health = call(&grpc, "/grpc.health.v1.Health/Check", &[]).await;
    assert_eq!(health.status().code(), Code::Ok);
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_unimplemented_also_without_a_token() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for path in ["/grpc.lb.v1.LoadBalancer/BalanceLoad", "/activation.cdn.v2.CdnService/Open", "/"]
    {
        let reply = call(&grpc, path, &[]).await;
        let refused = refusal(&reply.status());
        let expected = (Code::Unimplemented, "InvalidAction.NotFound");
        assert_eq!((refused.grpc, refused.code.as_str()), expected, "{path}");
    }
}

#[tokio::test]
async fn a_call_with_two_tokens_is_unauthenticated() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let right = format!("Bearer {TOKEN}");
    for other in [right.as_str(), "Bearer another-token-of-services"] {
        for sent in [[&*right, other], [other, &*right]] {
            let metadata = sent.map(|value| ("authorization", value));
            let reply = call(&grpc, PATHS[2], &metadata).await;
            assert_eq!(refusal(&reply.status()), unauthenticated(&reply));
        }
    }
}

#[tokio::test]
async fn the_scheme_may_be_written_in_any_case() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let authorization = format!("{scheme} {TOKEN}");
        let reply = call(&grpc, PATHS[0], &[("authorization", &authorization)]).await;
        assert_eq!(refusal(&reply.status()).code, "MissingAccountId", "{scheme}");
    }
}

#[tokio::test]
async fn if_no_token_is_configured_a_service_can_call_only_health() {
    let api = Api::start_with(|settings| settings.callers = ServiceDirectory::default()).await;
    let grpc = api.raw_grpc().await;
    for path in PATHS {
        for authorization in [format!("Bearer {TOKEN}"), "Bearer ".to_owned(), String::new()] {
            let reply = call(&grpc, path, &[("authorization", &authorization)]).await;
            assert_eq!(refusal(&reply.status()), unauthenticated(&reply), "{path}");
        }
    }
    let health = call(&grpc, "/grpc.health.v1.Health/Check", &[]).await;
    assert_eq!(health.status().code(), Code::Ok);
}

#[tokio::test]
async fn the_account_is_a_positive_64_bit_number_in_x_account_id() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    let not_a_number = (Code::InvalidArgument, "InvalidAccountId", 400);
    let wrong = "The account id is not a positive 64-bit number.";
    let rows = [
        ("0", not_a_number, wrong),
        ("-1", not_a_number, wrong),
        ("+1", not_a_number, wrong),
        ("abc", not_a_number, wrong),
        ("1.0", not_a_number, wrong),
        ("1 ", not_a_number, wrong),
        ("0x1", not_a_number, wrong),
        ("1,2", not_a_number, wrong),
        ("９", not_a_number, wrong),
        ("", not_a_number, wrong),
        ("9223372036854775808", not_a_number, wrong),
        ("18446744073709551617", not_a_number, wrong),
        (
            "9223372036854775807",
            (Code::NotFound, "AccountNotFound", 404),
            "There is no such account.",
        ),
    ];
    for path in ACCOUNT_PATHS {
        for (account_id, (grpc_code, code, http), message) in rows {
            let reply = grpc.call(path, &[("x-account-id", account_id)], &[]).await;
            let expected = GrpcRefusal {
                grpc: grpc_code,
                code: code.to_owned(),
                message: message.to_owned(),
                http,
                request_id: reply.request_id().to_owned(),
            };
            assert_eq!(refusal(&reply.status()), expected, "{path} {account_id:?}");
        }
    }
}

#[tokio::test]
async fn a_call_without_an_account_is_unauthenticated() {
    let api = Api::start().await;
    let grpc = api.raw_grpc().await;
    for path in ACCOUNT_PATHS {
        let reply = grpc.call(path, &[], &[]).await;
        let expected = GrpcRefusal {
            grpc: Code::Unauthenticated,
            code: "MissingAccountId".to_owned(),
            message: "The request names no account: send its id in the metadata x-account-id."
                .to_owned(),
            http: 401,
            request_id: reply.request_id().to_owned(),
        };
        assert_eq!(refusal(&reply.status()), expected, "{path}");
    }
}

#[tokio::test]
async fn operators_name_accounts_in_messages_and_the_account_in_metadata_is_ignored() {
    let api = Api::start().await;
    let key = api.account().await;
    let grpc = api.raw_grpc().await;
    let path = "/activation.operator.v1.AccountService/GetAccount";
    let request = operator::GetAccountRequest { account_id: key.account_id };
    for metadata in [&[][..], &[("x-account-id", "abc")], &[("x-account-id", "1")]] {
        let reply = grpc.call(path, metadata, &request.encode_to_vec()).await;
        let account = reply.message::<operator::GetAccountResponse>().account;
        assert_eq!(account.expect("an account").account_id, key.account_id);
    }
}
