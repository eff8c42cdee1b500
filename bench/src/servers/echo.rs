//! A bare tonic server: every DescribeDcdnService answers the same message as our service, without a
//! look-up, a check of the caller or any other work.

use std::net::SocketAddr;

use cdn_activation::proto::billing::v1::{ChargeType, OperationLocks, WebsocketChargeType};
use cdn_activation::proto::dcdn::v1 as wire;
use cdn_activation::proto::dcdn::v1::dcdn_service_server::{DcdnService, DcdnServiceServer};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{not_compared, request_id, serve_until_killed};

/// Serves on `address` until the process is killed.
pub fn serve(address: SocketAddr) -> anyhow::Result<()> {
    serve_until_killed(address, async |mut server| {
        Ok(server.add_service(DcdnServiceServer::new(Echo)))
    })
}

struct Echo;

#[tonic::async_trait]
impl DcdnService for Echo {
    async fn describe_dcdn_service(
        &self,
        _: Request<wire::DescribeDcdnServiceRequest>,
    ) -> Result<Response<wire::DescribeDcdnServiceResponse>, Status> {
        Ok(Response::new(wire::DescribeDcdnServiceResponse {
            request_id: request_id(),
            instance_id: "FP-aa1000000".to_owned(),
            internet_charge_type: ChargeType::PayByTraffic.into(),
            opening_time: Some(Timestamp { seconds: 1_577_836_800, nanos: 0 }),
            changing_charge_type: None,
            changing_affect_time: None,
            operation_locks: Some(OperationLocks::default()),
            websocket_type: Some(WebsocketChargeType::Websockettraffic.into()),
            websocket_changing_type: None,
            websocket_changing_time: None,
        }))
    }

    async fn open_dcdn_service(
        &self,
        _: Request<wire::OpenDcdnServiceRequest>,
    ) -> Result<Response<wire::OpenDcdnServiceResponse>, Status> {
        not_compared()
    }

    async fn describe_user_dcdn_status(
        &self,
        _: Request<wire::DescribeUserDcdnStatusRequest>,
    ) -> Result<Response<wire::DescribeUserDcdnStatusResponse>, Status> {
        not_compared()
    }

    async fn describe_dcdn_user_bill_type(
        &self,
        _: Request<wire::DescribeDcdnUserBillTypeRequest>,
    ) -> Result<Response<wire::DescribeDcdnUserBillTypeResponse>, Status> {
        not_compared()
    }
}
