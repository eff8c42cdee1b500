//! A gRPC client of a running service: channels with the token and the account, and the details of
//! a status.

use std::collections::HashMap;

use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use cdn_activation::proto::dcdn::v1::dcdn_service_client::DcdnServiceClient;
use cdn_activation::proto::operator::v1 as operator;
use cdn_activation::proto::operator::v1::access_key_service_client::AccessKeyServiceClient;
use cdn_activation::proto::operator::v1::account_service_client::AccountServiceClient;
use cdn_activation::proto::operator::v1::operation_lock_service_client::OperationLockServiceClient;
use cdn_activation::proto::{billing, cdn, dcdn};
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::rest::Key;
use super::{Api, TOKEN};

/// Adds the token and, if there is one, the account.
#[derive(Clone)]
pub struct Calling {
    account_id: Option<String>,
}

impl tonic::service::Interceptor for Calling {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = MetadataValue::try_from(format!("Bearer {TOKEN}")).expect("visible characters");
        request.metadata_mut().insert("authorization", token);
        if let Some(account_id) = &self.account_id {
            let account_id =
                MetadataValue::try_from(account_id.as_str()).expect("visible characters");
            request.metadata_mut().insert("x-account-id", account_id);
        }
        Ok(request)
    }
}

/// A channel with or without an account.
pub type Caller = InterceptedService<Channel, Calling>;

/// A refusal over gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcRefusal {
    /// The status code.
    pub grpc: Code,
    /// The documented code: `ErrorInfo.reason`.
    pub code: String,
    /// The documented message.
    pub message: String,
    /// The documented HTTP status.
    pub http: u16,
    /// The request id.
    pub request_id: String,
}

/// Reads a status. Panics if it lacks the details that every error has.
pub fn refusal(status: &Status) -> GrpcRefusal {
    let info =
        status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "cdn-activation");
    let metadata: HashMap<_, _> = info.metadata;
    GrpcRefusal {
        grpc: status.code(),
        code: info.reason,
        message: status.message().to_owned(),
        http: metadata["http_status"].parse().expect("a number"),
        request_id: metadata["request_id"].clone(),
    }
}

/// Returns a channel for the account of a key.
pub fn calling(channel: &Channel, key: &Key) -> Caller {
    let account_id = Some(key.account_id.to_string());
    InterceptedService::new(channel.clone(), Calling { account_id })
}

impl Api {
    /// Returns a channel to the gRPC listener without token and account.
    pub async fn channel(&self) -> Channel {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.addresses.grpc)).expect("an address");
        endpoint.connect().await.expect("the service listens")
    }

    /// Returns a channel with the token and, if given, an account.
    pub async fn caller(&self, account_id: Option<String>) -> Caller {
        InterceptedService::new(self.channel().await, Calling { account_id })
    }

    /// Returns a channel with the token, for operators.
    pub async fn operator(&self) -> Caller {
        self.caller(None).await
    }

    /// Returns a client of the CDN actions for an account.
    pub async fn cdn(&self, key: &Key) -> CdnServiceClient<Caller> {
        CdnServiceClient::new(self.caller(Some(key.account_id.to_string())).await)
    }

    /// Returns a client of the DCDN actions for an account.
    pub async fn dcdn(&self, key: &Key) -> DcdnServiceClient<Caller> {
        DcdnServiceClient::new(self.caller(Some(key.account_id.to_string())).await)
    }

    /// Returns a client of the CDN actions whose account is this text.
    pub async fn cdn_for(&self, account_id: Option<&str>) -> CdnServiceClient<Caller> {
        CdnServiceClient::new(self.caller(account_id.map(str::to_owned)).await)
    }

    /// Returns a client of `AccountService`.
    pub async fn accounts(&self) -> AccountServiceClient<Caller> {
        AccountServiceClient::new(self.caller(None).await)
    }

    /// Returns a client of `AccessKeyService`.
    pub async fn access_keys(&self) -> AccessKeyServiceClient<Caller> {
        AccessKeyServiceClient::new(self.caller(None).await)
    }

    /// Returns a client of `OperationLockService`.
    pub async fn operation_locks(&self) -> OperationLockServiceClient<Caller> {
        OperationLockServiceClient::new(self.caller(None).await)
    }

    /// Creates an account that differs in some fields from one that may open everything, and a key
    /// that may call every action.
    pub async fn account_with(&self, change: impl FnOnce(&mut operator::Account)) -> Key {
        self.account_and_policy(change, "").await
    }

    /// The same with a policy for the key.
    pub async fn account_and_policy(
        &self,
        change: impl FnOnce(&mut operator::Account),
        policy: &str,
    ) -> Key {
        let mut account = operator::Account {
            account_id: next_account_id(),
            real_name_verified: true,
            profile_complete: true,
            payment_method_valid: true,
            balance: 10_000,
            ..Default::default()
        };
        change(&mut account);
        let account_id = account.account_id;
        let create =
            operator::CreateAccountRequest { account: Some(account), request_id: String::new() };
        self.accounts().await.create_account(create).await.expect("created");
        self.key_of(account_id, policy).await
    }

    /// Creates another key of an account.
    pub async fn key_of(&self, account_id: i64, policy: &str) -> Key {
        let create = operator::CreateAccessKeyRequest {
            account_id,
            policy: policy.to_owned(),
            request_id: String::new(),
        };
        let created =
            self.access_keys().await.create_access_key(create).await.expect("created").into_inner();
        Key {
            account_id,
            id: created.access_key.expect("a key").access_key_id,
            secret: created.access_key_secret,
        }
    }

    /// Opens CDN for an account, charged by traffic.
    pub async fn open_cdn(&self, key: &Key) {
        let request = cdn::v1::OpenCdnServiceRequest::default();
        self.cdn(key).await.open_cdn_service(request).await.expect("opened");
    }

    /// Opens DCDN for an account, charged by traffic, with WebSocket.
    pub async fn open_dcdn(&self, key: &Key) {
        let request = dcdn::v1::OpenDcdnServiceRequest {
            bill_type: billing::v1::ChargeType::PayByTraffic.into(),
            websocket_bill_type: billing::v1::WebsocketChargeType::Websockettraffic.into(),
        };
        self.dcdn(key).await.open_dcdn_service(request).await.expect("opened");
    }

    /// Locks a product of an account.
    pub async fn lock(&self, key: &Key, product: billing::v1::Product, reason: &str) {
        let lock = operator::LockRequest {
            account_id: key.account_id,
            product: product.into(),
            reason: reason.to_owned(),
            locked_by: String::new(),
            request_id: String::new(),
        };
        self.operation_locks().await.lock(lock).await.expect("locked");
    }
}

/// Returns an id that no other test of this run uses.
pub fn next_account_id() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NEXT: AtomicI64 = AtomicI64::new(2_000_000_000_000_001);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Checks that the status is exactly this refusal, with the request id in its metadata.
pub fn assert_refusal(status: &Status, grpc: Code, code: &str, http: u16, message: &str) {
    let request_id = status.metadata().get("x-request-id").expect("a request id");
    let request_id = request_id.to_str().expect("visible characters").to_owned();
    let (code, message) = (code.to_owned(), message.to_owned());
    assert_eq!(refusal(status), GrpcRefusal { grpc, code, message, http, request_id });
}

/// Checks that the status reports this field of an operator's request, and no other.
pub fn assert_field_is_wrong(status: &Status, field: &str, description: &str) {
    let message = format!("{field}: {description}");
    assert_refusal(status, Code::InvalidArgument, "InvalidFields", 400, &message);
    let violations = status.get_details_bad_request().expect("a BadRequest").field_violations;
    let said: Vec<_> =
        violations.iter().map(|wrong| (wrong.field.as_str(), wrong.description.as_str())).collect();
    assert_eq!(said, [(field, description)]);
}
