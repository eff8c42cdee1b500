//! The layers around the handlers, if a handler panics or returns an undocumented status. The
//! handlers are the test's own; the layers and the authentication are those of the service.

use std::net::SocketAddr;
use std::sync::Arc;

use cdn_activation::audit::Audit;
use cdn_activation::auth::sealing::KeyRing;
use cdn_activation::clock::Clock;
use cdn_activation::context::Context;
use cdn_activation::events::{Cursors, Feed};
use cdn_activation::grpc::Actions;
use cdn_activation::grpc::authentication::ServiceAuthLayer;
use cdn_activation::grpc::layers::Guard;
use cdn_activation::grpc::operator::Events;
use cdn_activation::grpc::services::Services;
use cdn_activation::metrics::{CallType, Metrics};
use cdn_activation::orders::Orders;
use cdn_activation::proto;
use cdn_activation::proto::cdn::v1 as cdn;
use cdn_activation::proto::cdn::v1::cdn_service_server::{CdnService, CdnServiceServer};
use cdn_activation::proto::dcdn::v1::dcdn_service_server::DcdnServiceServer;
use cdn_activation::proto::operator::v1::access_key_service_server::AccessKeyServiceServer;
use cdn_activation::proto::operator::v1::account_service_server::AccountServiceServer;
use cdn_activation::proto::operator::v1::audit_service_server::AuditServiceServer;
use cdn_activation::proto::operator::v1::charge_type_change_service_server::ChargeTypeChangeServiceServer;
use cdn_activation::proto::operator::v1::event_service_server::EventServiceServer;
use cdn_activation::proto::operator::v1::instance_service_server::InstanceServiceServer;
use cdn_activation::proto::operator::v1::operation_lock_service_server::OperationLockServiceServer;
use cdn_activation::quotas::Quotas;
use cdn_activation::traces::Traces;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use crate::support::grpc::{GrpcRefusal, refusal};
use crate::support::raw_grpc::{RawGrpc, RawReply};
use crate::support::{Api, callers};

const OPEN: &str = "/activation.cdn.v1.CdnService/OpenCdnService";
const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeCdnService";
const MODIFY: &str = "/activation.cdn.v1.CdnService/ModifyCdnService";
const STATUS: &str = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
const BILL_TYPE: &str = "/activation.cdn.v1.CdnService/DescribeCdnUserBillType";

/// Handlers that do what the service's own handlers never do.
struct Misbehaving;

#[tonic::async_trait]
impl CdnService for Misbehaving {
    async fn open_cdn_service(
        &self,
        _: Request<cdn::OpenCdnServiceRequest>,
    ) -> Result<Response<cdn::OpenCdnServiceResponse>, Status> {
        panic!("a text of this panic");
    }

    async fn describe_cdn_service(
        &self,
        request: Request<cdn::DescribeCdnServiceRequest>,
    ) -> Result<Response<cdn::DescribeCdnServiceResponse>, Status> {
        tokio::task::yield_now().await;
        panic!("a text with a number: {}", request.metadata().len());
    }

    async fn modify_cdn_service(
        &self,
        _: Request<cdn::ModifyCdnServiceRequest>,
    ) -> Result<Response<cdn::ModifyCdnServiceResponse>, Status> {
        std::panic::panic_any(42);
    }

    async fn describe_user_cdn_status(
        &self,
        request: Request<cdn::DescribeUserCdnStatusRequest>,
    ) -> Result<Response<cdn::DescribeUserCdnStatusResponse>, Status> {
        let context = request.extensions().get::<Context>().expect("the listener adds it");
        let request_id = context.request_id.to_string();
        Ok(Response::new(cdn::DescribeUserCdnStatusResponse { request_id, ..Default::default() }))
    }

    async fn describe_cdn_user_bill_type(
        &self,
        _: Request<cdn::DescribeCdnUserBillTypeRequest>,
    ) -> Result<Response<cdn::DescribeCdnUserBillTypeResponse>, Status> {
        Err(Status::data_loss("a text that is not in the error table"))
    }
}

/// Serves services behind the layers of the service, with or without its authentication.
async fn serve(services: Services, authenticate: bool) -> SocketAddr {
    let metrics = Metrics::new([(OPEN.to_owned(), CallType::Unary)].into());
    let audit = Audit::new(metrics.clone());
    let guard = Guard::new(metrics.clone(), Arc::default(), 0, audit.clone(), Traces::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let incoming = TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder();
    if authenticate {
        let (callers, quotas) = (callers::directory(), Quotas::default());
        let (clock, names) = (Clock::system(), services.names());
        let layer =
            ServiceAuthLayer::new(clock, callers, names, Arc::default(), quotas, audit, metrics);
        tokio::spawn(server.layer(layer).layer(guard).serve_with_incoming(services, incoming));
    } else {
        tokio::spawn(server.layer(guard).serve_with_incoming(services, incoming));
    }
    address
}

/// Returns the refusal of a fault.
fn fault(reply: &RawReply) -> GrpcRefusal {
    GrpcRefusal {
        grpc: Code::Internal,
        code: "InternalError".to_owned(),
        message: "The request processing has failed due to some unknown error.".to_owned(),
        http: 500,
        request_id: reply.request_id().to_owned(),
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_connection_stays_open() {
    let address = serve(Services::default().with(CdnServiceServer::new(Misbehaving)), true).await;
    let grpc = RawGrpc::connect(address).await;
    for path in [OPEN, DESCRIBE, MODIFY, OPEN] {
        let reply = grpc.call(path, &[], &[]).await;
        assert_eq!(refusal(&reply.status()), fault(&reply), "{path}");
        let printed = format!("{reply:?}");
        assert!(!printed.contains("panic") && !printed.contains("number"), "{printed}");
    }
    // A call on the same connection, at the same time as one that panics.
    let (answered, panicked) =
        tokio::join!(grpc.call(STATUS, &[], &[]), grpc.call(DESCRIBE, &[], &[]));
    let message = answered.message::<cdn::DescribeUserCdnStatusResponse>();
    assert_eq!(message.request_id, answered.request_id());
    assert_eq!(refusal(&panicked.status()), fault(&panicked));
}

#[tokio::test]
async fn the_error_of_a_panic_has_the_request_id_of_its_request() {
    let address = serve(Services::default().with(CdnServiceServer::new(Misbehaving)), true).await;
    let grpc = RawGrpc::connect(address).await;
    let reply = grpc.call(OPEN, &[], &[]).await;
    assert_eq!(refusal(&reply.status()).request_id, reply.request_id());
}

#[tokio::test]
async fn a_status_that_is_not_in_the_error_table_is_a_fault() {
    let address = serve(Services::default().with(CdnServiceServer::new(Misbehaving)), true).await;
    let reply = RawGrpc::connect(address).await.call(BILL_TYPE, &[], &[]).await;
    assert_eq!(refusal(&reply.status()), fault(&reply));
}

#[tokio::test]
async fn a_handler_that_is_called_without_authentication_refuses() {
    let api = Api::start().await;
    let key = api.account().await;
    let store = api.store();
    let limits = cdn_activation::domain::opening::Limits { minimum_balance: 0 };
    let grace = chrono::Duration::hours(24);
    let actions =
        Actions::new(store, Orders::Embedded, limits, grace, KeyRing::of(api.sealing_key.clone()));
    let feed = Feed::new(api.store(), CancellationToken::new());
    let events = Events::new(feed, Cursors::new(KeyRing::of(api.sealing_key.clone())));
    let services = Services::default()
        .with(CdnServiceServer::new(actions.clone()))
        .with(DcdnServiceServer::new(actions.clone()))
        .with(AccountServiceServer::new(actions.clone()))
        .with(AccessKeyServiceServer::new(actions.clone()))
        .with(InstanceServiceServer::new(actions.clone()))
        .with(ChargeTypeChangeServiceServer::new(actions.clone()))
        .with(OperationLockServiceServer::new(actions.clone()))
        .with(AuditServiceServer::new(actions))
        .with(EventServiceServer::new(events));
    let grpc = RawGrpc::connect(serve(services, false).await).await;
    let account_id = key.account_id.to_string();
    for path in every_method() {
        let status = grpc.call(&path, &[("x-account-id", &account_id)], &[]).await.status();
        let refused = refusal(&status);
        assert_eq!(
            (refused.grpc, refused.code.as_str()),
            (Code::Unauthenticated, "ServiceUnauthenticated"),
            "{path}"
        );
    }
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}

/// Returns the path of every method in `proto/`.
fn every_method() -> Vec<String> {
    proto::methods().map(|method| proto::path_of(&method)).collect()
}
