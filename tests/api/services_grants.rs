//! What a calling service is granted. What is not granted is refused, whatever the token is worth
//! elsewhere.

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::proto;
use tonic::Code;

use crate::support::Api;
use crate::support::callers::{grants, line};
use crate::support::grpc::refusal;
use crate::support::raw_grpc::{RawGrpc, framed};

const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const FORBIDDEN: &str = "The calling service is not granted this method.";

/// Returns `Service` and `Method` of every method of the service.
fn every_method() -> Vec<(String, String, String)> {
    let named = proto::methods().map(|method| {
        let service = method.parent_service().clone();
        (proto::path_of(&method), service.name().to_owned(), method.name().to_owned())
    });
    named.collect()
}

fn is_public(service: &str) -> bool {
    ["CdnService", "DcdnService"].contains(&service)
}

fn returns_secret(method: &str) -> bool {
    ["CreateAccessKey", "IssueSecurityToken"].contains(&method)
}

/// Calls every method with the token, and checks that exactly those that are granted are admitted.
async fn walk(grpc: &RawGrpc, token: &str, granted: impl Fn(&str, &str) -> bool) {
    for (path, service, method) in every_method() {
        let metadata = [("x-account-id", "1"), ("grpc-timeout", "300m")];
        let reply = grpc.call_with(token, &path, &metadata, &()).await;
        if granted(&service, &method) {
            let code = reply.code();
            assert!(code != "ServiceForbidden" && code != "ServiceUnauthenticated", "{path}");
            continue;
        }
        let refused = refusal(&reply.status());
        let says = (refused.grpc, refused.code.as_str(), refused.message.as_str(), refused.http);
        assert_eq!(says, (Code::PermissionDenied, "ServiceForbidden", FORBIDDEN, 403), "{path}");
    }
    assert_eq!(grpc.send(HEALTH, &[], framed(&[])).await.code(), "OK");
}

/// Starts a service with one identity, whose token is `token-of-NAME`.
async fn start(name: &str, grants: &str) -> (Api, RawGrpc, String) {
    let token = format!("token-of-{name}");
    let callers = ServiceDirectory::of(&line(name, &token), grants).expect("valid files");
    let api = Api::start_with(|settings| settings.callers = callers).await;
    let grpc = api.raw_grpc().await;
    (api, grpc, token)
}

#[tokio::test]
async fn a_stolen_token_of_a_read_only_operator_can_only_read() {
    let file = include_str!("../../deploy/grants/read-only-operator.toml");
    let (api, grpc, token) = start("console", file).await;
    let reads = |method: &str| ["Get", "List", "Watch"].iter().any(|verb| method.starts_with(verb));
    walk(&grpc, &token, |service, method| {
        !is_public(service) && service != "AuditService" && reads(method)
    })
    .await;
    let rows = "SELECT (SELECT count(*) FROM accounts) + (SELECT count(*) FROM event_outbox)";
    assert_eq!(api.database.count(rows).await, 0, "nothing was written");
}

#[tokio::test]
async fn a_full_operator_can_use_every_operator_service_and_no_action() {
    let file = include_str!("../../deploy/grants/full-operator.toml");
    let (_api, grpc, token) = start("billing", file).await;
    walk(&grpc, &token, |service, _| !is_public(service)).await;
}

#[tokio::test]
async fn a_caller_can_call_every_action_and_no_operator_service() {
    let file = include_str!("../../deploy/grants/caller.toml");
    let (_api, grpc, token) = start("shop", file).await;
    walk(&grpc, &token, |service, _| is_public(service)).await;
}

#[tokio::test]
async fn single_methods_are_granted_and_the_audit_is_a_grant_of_its_own() {
    let file = grants(
        "a",
        "actions = [\"DescribeCdnService\"]\noperators = [\"OperationLockService/*\", \"*/GetAccount\"]",
    );
    let (_api, grpc, token) = start("a", &file).await;
    walk(&grpc, &token, |service, method| {
        method == "DescribeCdnService"
            || service == "OperationLockService"
            || method == "GetAccount"
    })
    .await;
    let file = grants("a", "actions = [\"*\"]\noperators = [\"*\"]");
    let (_api, grpc, token) = start("a", &file).await;
    walk(&grpc, &token, |service, method| service != "AuditService" && !returns_secret(method))
        .await;
}

#[tokio::test]
async fn full_operators_without_the_grant_of_credentials_get_no_secret_of_an_account() {
    let file = grants("a", "operators = [\"*\", \"AccessKeyService/*\"]\naudit = true");
    let (_api, grpc, token) = start("a", &file).await;
    walk(&grpc, &token, |service, method| !is_public(service) && !returns_secret(method)).await;
    let file = grants("a", "credentials = true");
    let (_api, grpc, token) = start("a", &file).await;
    walk(&grpc, &token, |_, method| returns_secret(method)).await;
}

#[tokio::test]
async fn a_service_without_grants_can_call_nothing_but_health_and_reflection() {
    let others =
        grants("other", "actions = [\"*\"]\noperators = [\"*\"]\naudit = true\ncredentials = true");
    let (_api, grpc, token) = start("a", &others).await;
    walk(&grpc, &token, |_, _| false).await;
    for path in REFLECTION {
        let body = framed(&[]);
        assert_eq!(grpc.send(path, &[], body).await.code(), "ServiceUnauthenticated", "{path}");
        // An empty question reaches reflection, which refuses it.
        let status = grpc.call_with(&token, path, &[], &()).await.status();
        assert_eq!(status.code(), Code::InvalidArgument, "{path}");
        assert_eq!(status.message(), "invalid MessageRequest", "{path}");
    }
    // A method that does not exist cannot be granted, and says so.
    let reply = grpc.call_with(&token, "/activation.cdn.v1.CdnService/NoMethod", &[], &()).await;
    assert_eq!(reply.code(), "InvalidAction.NotFound");
}

#[tokio::test]
async fn without_reflection_its_services_do_not_exist_and_health_is_open() {
    let api = Api::start_with(|settings| settings.reflection = false).await;
    let grpc = api.raw_grpc().await;
    for path in REFLECTION {
        for metadata in [&[][..], &[("authorization", "Bearer token-of-the-test-services")]] {
            let reply = grpc.send(path, metadata, framed(&[])).await;
            let refused = refusal(&reply.status());
            let expected = (Code::Unimplemented, "InvalidAction.NotFound");
            assert_eq!((refused.grpc, refused.code.as_str()), expected, "{path}");
        }
    }
    let health = grpc.send(HEALTH, &[], framed(&[])).await;
    assert_eq!(health.status().code(), Code::Ok);
}
