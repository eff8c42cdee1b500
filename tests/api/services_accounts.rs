//! A calling service that is granted some accounts only. It does not learn whether any other account
//! exists.

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1 as wire;
use prost::Message;
use tonic::Code;

use crate::support::Api;
use crate::support::callers::{EVERYTHING, grants, line, tokens};
use crate::support::grpc::{next_account_id, refusal};
use crate::support::operators::{request_id, schedule};
use crate::support::raw_grpc::{RawGrpc, RawReply};
use crate::support::rest::Key;

const OPERATOR: &str = "/activation.operator.v1.";
const LIMITED: &str = "token-of-the-limited-service";
const SECOND: &str = "token-of-the-second-service";
const ALL_METHODS: &str =
    "actions = [\"*\"]\noperators = [\"*\"]\naudit = true\ncredentials = true";

/// A service with an account that the limited identity is granted, and one that it is not.
struct Two {
    api: Api,
    grpc: RawGrpc,
    own: Key,
    others: Key,
    /// An id that is granted, and that no account has.
    unknown: i64,
}

impl Two {
    async fn start() -> Self {
        let seed = Api::start().await;
        let (own, others, unknown) =
            (seed.account().await, seed.account().await, next_account_id());
        let accounts = format!("accounts = [{}, {unknown}]", own.account_id);
        let limited = grants("limited", &format!("{ALL_METHODS}\n{accounts}"));
        let second = grants("second", "operators = [\"*\"]\ncredentials = true");
        let files = [
            format!("{}{}{}", tokens(), line("limited", LIMITED), line("second", SECOND)),
            format!("{EVERYTHING}{limited}{second}"),
        ];
        let callers = ServiceDirectory::of(&files[0], &files[1]).expect("valid files");
        let (database, key, clock) =
            (seed.database.clone(), seed.sealing_key.clone(), seed.clock.clone());
        let api = Api::start_on(database, key, clock, |settings| settings.callers = callers).await;
        api.open_cdn(&own).await;
        api.open_cdn(&others).await;
        let grpc = api.raw_grpc().await;
        Self { api, grpc, own, others, unknown }
    }

    async fn call(&self, method: &str, message: &impl Message) -> RawReply {
        let metadata = [("grpc-timeout", "500m")];
        self.grpc.call_with(LIMITED, &format!("{OPERATOR}{method}"), &metadata, message).await
    }

    async fn act(&self, action: &str, account_id: i64) -> RawReply {
        let account_id = account_id.to_string();
        let metadata = [("x-account-id", account_id.as_str())];
        self.grpc.call_with(LIMITED, &format!("/activation.{action}"), &metadata, &()).await
    }
}

fn assert_not_granted(reply: &RawReply, what: &str) {
    let refused = refusal(&reply.status());
    let says = (refused.grpc, refused.code.as_str(), refused.message.as_str(), refused.http);
    let message = "The calling service is granted no such account.";
    assert_eq!(says, (Code::PermissionDenied, "AccountNotGranted", message, 403), "{what}");
}

impl Two {
    /// Checks that a method refuses every account that is not granted, and answers `unknown` for one
    /// that is granted and does not exist.
    async fn check<M: Message>(&self, method: &str, unknown: &str, request: impl Fn(i64) -> M) {
        for account_id in [self.others.account_id, next_account_id(), 0, -1] {
            assert_not_granted(&self.call(method, &request(account_id)).await, method);
        }
        let answered = self.call(method, &request(self.unknown)).await;
        assert_eq!(answered.code(), unknown, "{method}");
        let own = self.call(method, &request(self.own.account_id)).await.code();
        assert_ne!(own, "AccountNotGranted", "{method}");
    }
}

#[tokio::test]
async fn another_account_and_an_unknown_one_answer_alike_to_operators() {
    let two = Two::start().await;
    let none = "AccountNotGranted";
    let (product, reason) = (i32::from(Product::Cdn), || "security".to_owned());
    two.check("AccountService/GetAccount", none, |account_id| wire::GetAccountRequest {
        account_id,
    })
    .await;
    two.check("AccessKeyService/CreateAccessKey", none, |account_id| {
        wire::CreateAccessKeyRequest { account_id, ..Default::default() }
    })
    .await;
    two.check("AccessKeyService/ListAccessKeys", none, |account_id| wire::ListAccessKeysRequest {
        account_id,
        ..Default::default()
    })
    .await;
    two.check("InstanceService/GetInstance", none, |account_id| wire::GetInstanceRequest {
        account_id,
        product,
    })
    .await;
    two.check("OperationLockService/Lock", none, |account_id| wire::LockRequest {
        account_id,
        product,
        reason: reason(),
        ..Default::default()
    })
    .await;
    two.check("OperationLockService/Unlock", none, |account_id| wire::UnlockRequest {
        account_id,
        product,
        reason: reason(),
        ..Default::default()
    })
    .await;
    two.check("OperationLockService/ListOperationLocks", none, |account_id| {
        wire::ListOperationLocksRequest { account_id, ..Default::default() }
    })
    .await;
    two.check("ChargeTypeChangeService/ListChargeTypeChanges", none, |account_id| {
        wire::ListChargeTypeChangesRequest { account_id, ..Default::default() }
    })
    .await;
    // An account that the service is granted has no such change, whether or not it exists.
    two.check("ChargeTypeChangeService/CancelChargeTypeChange", "ChangeNotFound", |account_id| {
        wire::CancelChargeTypeChangeRequest {
            account_id,
            change_id: request_id(),
            ..Default::default()
        }
    })
    .await;
    // These lists are empty for an account that does not exist.
    two.check("InstanceService/ListInstances", "OK", |account_id| wire::ListInstancesRequest {
        account_id,
        ..Default::default()
    })
    .await;
    two.check("EventService/ListEvents", "OK", |account_id| wire::ListEventsRequest {
        account_id,
        ..Default::default()
    })
    .await;
    for account in [two.others.account_id, next_account_id(), 0] {
        let account = wire::Account { account_id: account, ..Default::default() };
        let update =
            wire::UpdateAccountRequest { account: Some(account.clone()), ..Default::default() };
        assert_eq!(two.call("AccountService/UpdateAccount", &update).await.code(), none);
        let create = wire::CreateAccountRequest { account: Some(account), ..Default::default() };
        assert_eq!(two.call("AccountService/CreateAccount", &create).await.code(), none);
    }
    let nobody = wire::CreateAccountRequest::default();
    assert_not_granted(&two.call("AccountService/CreateAccount", &nobody).await, "no account");
    assert_eq!(
        two.call("AccountService/ListAccounts", &wire::ListAccountsRequest::default()).await.code(),
        none
    );
    let watch = |account_id| wire::WatchEventsRequest { account_id, ..Default::default() };
    for account_id in [0, two.others.account_id, next_account_id()] {
        assert_not_granted(
            &two.call("EventService/WatchEvents", &watch(account_id)).await,
            "a watch",
        );
    }
    assert_ne!(two.call("EventService/WatchEvents", &watch(two.own.account_id)).await.code(), none);
    let locked = "SELECT count(DISTINCT account_id) FROM operation_locks";
    assert_eq!(two.api.database.count(locked).await, 1, "its own account");
}

#[tokio::test]
async fn a_change_is_scheduled_for_a_granted_account_only() {
    let two = Two::start().await;
    let of = |account_id| Key { account_id, id: String::new(), secret: String::new() };
    two.check("ChargeTypeChangeService/ScheduleChargeTypeChange", "AccountNotGranted", |account| {
        schedule(&of(account), Product::Cdn, ChargeType::PayByBandwidth, None)
    })
    .await;
    let changed = "SELECT count(DISTINCT account_id) FROM charge_type_changes";
    assert_eq!(two.api.database.count(changed).await, 1, "its own account");
}

#[tokio::test]
async fn another_account_and_an_unknown_one_answer_alike_to_actions() {
    let two = Two::start().await;
    for action in [
        "cdn.v1.CdnService/OpenCdnService",
        "cdn.v1.CdnService/DescribeCdnService",
        "cdn.v1.CdnService/DescribeUserCdnStatus",
        "dcdn.v1.DcdnService/OpenDcdnService",
        "dcdn.v1.DcdnService/DescribeDcdnService",
        "dcdn.v1.DcdnService/DescribeUserDcdnStatus",
    ] {
        for account_id in [two.others.account_id, two.unknown, next_account_id()] {
            assert_not_granted(&two.act(action, account_id).await, action);
        }
        assert_ne!(
            two.act(action, two.own.account_id).await.code(),
            "AccountNotGranted",
            "{action}"
        );
    }
    let described = two.act("cdn.v1.CdnService/DescribeCdnService", two.own.account_id).await;
    assert_eq!(described.code(), "OK");
}

#[tokio::test]
async fn the_access_key_of_another_account_and_an_unknown_one_answer_alike() {
    let two = Two::start().await;
    for id in [two.others.id.as_str(), "LTAI-unknown", "a\0b"] {
        let id = || id.to_owned();
        let disable = wire::DisableAccessKeyRequest { access_key_id: id(), ..Default::default() };
        let enable = wire::EnableAccessKeyRequest { access_key_id: id(), ..Default::default() };
        // A wrong etag must not reveal that the key exists.
        let etag = "\"7\"".to_owned();
        let delete =
            wire::DeleteAccessKeyRequest { access_key_id: id(), etag, ..Default::default() };
        assert_not_granted(
            &two.call("AccessKeyService/DisableAccessKey", &disable).await,
            "disable",
        );
        assert_not_granted(&two.call("AccessKeyService/EnableAccessKey", &enable).await, "enable");
        assert_not_granted(&two.call("AccessKeyService/DeleteAccessKey", &delete).await, "delete");
    }
    let keys = "SELECT count(*) FROM access_keys WHERE NOT disabled";
    assert_eq!(two.api.database.count(keys).await, 2);
    let access_key_id = two.own.id.clone();
    let disable = wire::DisableAccessKeyRequest { access_key_id, ..Default::default() };
    assert_eq!(two.call("AccessKeyService/DisableAccessKey", &disable).await.code(), "OK");
    // A service that is granted every account learns which ones exist.
    let path = format!("{OPERATOR}AccessKeyService/DisableAccessKey");
    let unknown =
        wire::DisableAccessKeyRequest { access_key_id: "LTAI-x".into(), ..Default::default() };
    let reply = two.grpc.call_with(SECOND, &path, &[], &unknown).await;
    assert_eq!(reply.code(), "AccessKeyNotFound");
}

#[tokio::test]
async fn audit_records_are_listed_for_a_granted_account_only() {
    let two = Two::start().await;
    two.check("AuditService/ListAuditRecords", "OK", |account_id| wire::ListAuditRecordsRequest {
        account_id,
        ..Default::default()
    })
    .await;
    let own = wire::ListAuditRecordsRequest {
        account_id: two.own.account_id,
        principal: "service:tests".to_owned(),
        ..Default::default()
    };
    let reply = two.call("AuditService/ListAuditRecords", &own).await;
    let records = reply.message::<wire::ListAuditRecordsResponse>().audit_records;
    let of: Vec<_> = records.iter().map(|record| record.account_id).collect();
    assert_eq!(of, [two.own.account_id; 3], "its account, its key and its opening");
    // Another filter does not stand in for the account.
    let all = wire::ListAuditRecordsRequest { account_id: 0, ..own };
    assert_not_granted(&two.call("AuditService/ListAuditRecords", &all).await, "all accounts");
}

#[tokio::test]
async fn credentials_are_made_for_a_granted_account_only() {
    let two = Two::start().await;
    let create = |account_id| wire::CreateAccessKeyRequest { account_id, ..Default::default() };
    let issue = |key: &str| wire::IssueSecurityTokenRequest {
        access_key_id: key.to_owned(),
        ..Default::default()
    };
    for account_id in [two.others.account_id, next_account_id(), 0] {
        let reply = two.call("AccessKeyService/CreateAccessKey", &create(account_id)).await;
        assert_not_granted(&reply, "a key");
    }
    for id in [two.others.id.as_str(), "LTAI-unknown"] {
        let reply = two.call("AccessKeyService/IssueSecurityToken", &issue(id)).await;
        assert_not_granted(&reply, "a temporary credential");
    }
    let keys = "SELECT count(*) FROM access_keys";
    assert_eq!(two.api.database.count(keys).await, 2, "no key was created");

    let reply = two.call("AccessKeyService/CreateAccessKey", &create(two.own.account_id)).await;
    let created: wire::CreateAccessKeyResponse = reply.message();
    let id = created.access_key.expect("a key").access_key_id;
    let key = Key { id, secret: created.access_key_secret, ..two.own.clone() };
    two.api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
    let reply = two.call("AccessKeyService/IssueSecurityToken", &issue(&key.id)).await;
    let issued: wire::IssueSecurityTokenResponse = reply.message();
    let (id, secret) = (issued.access_key_id, issued.access_key_secret);
    let temporary = Key { id, secret, ..two.own.clone() };
    let given = format!("Action=DescribeUserCdnStatus&SecurityToken={}", issued.security_token);
    two.api.get(&temporary, &given).await.succeeded();
}

#[tokio::test]
async fn a_service_does_not_continue_the_request_of_another_one() {
    let two = Two::start().await;
    let lock = |reason: &str, request_id: &str| wire::LockRequest {
        account_id: two.own.account_id,
        product: Product::Cdn.into(),
        reason: reason.to_owned(),
        locked_by: String::new(),
        request_id: request_id.to_owned(),
    };
    let path = format!("{OPERATOR}OperationLockService/Lock");
    let id = request_id();
    let call = async |token, reason| {
        let reply = two.grpc.call_with(token, &path, &[], &lock(reason, &id)).await;
        reply.code()
    };
    assert_eq!(call(LIMITED, "first").await, "OK");
    assert_eq!(call(LIMITED, "second").await, "InvalidFields", "its own id, with another request");
    assert_eq!(call(SECOND, "second").await, "OK", "the id of another service is a new request");
    assert_eq!(call(LIMITED, "first").await, "OK", "the first answer again");
    let records = "SELECT count(DISTINCT caller) FROM repeatable_requests";
    assert_eq!(two.api.database.count(records).await, 2);
}
