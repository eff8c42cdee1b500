//! Clients of the operator services that only some tests need, and helpers for their requests.

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1 as wire;
use cdn_activation::proto::operator::v1::charge_type_change_service_client::ChargeTypeChangeServiceClient;
use cdn_activation::proto::operator::v1::instance_service_client::InstanceServiceClient;
use cdn_activation::proto::operator::v1::schedule_charge_type_change_request::ChargeType as Given;
use prost_types::Timestamp;
use tonic::Status;

use super::Api;
use super::grpc::Caller;
use super::rest::Key;

/// Returns an instant as a protobuf timestamp.
pub fn timestamp(text: &str) -> Timestamp {
    let seconds = cdn_activation::domain::time::parse(text).expect("an instant").timestamp();
    Timestamp { seconds, nanos: 0 }
}

/// Returns a request id that no other request has.
pub fn request_id() -> String {
    cdn_activation::ids::new_id().to_string()
}

/// Returns a request to schedule an internet charge type for a product.
pub fn schedule(
    key: &Key,
    product: Product,
    charge_type: ChargeType,
    effective_time: Option<&str>,
) -> wire::ScheduleChargeTypeChangeRequest {
    wire::ScheduleChargeTypeChangeRequest {
        account_id: key.account_id,
        product: product.into(),
        charge_type: Some(Given::InternetChargeType(charge_type.into())),
        effective_time: effective_time.map(timestamp),
        request_id: String::new(),
    }
}

impl Api {
    /// Returns a client of `ChargeTypeChangeService`.
    pub async fn changes(&self) -> ChargeTypeChangeServiceClient<Caller> {
        ChargeTypeChangeServiceClient::new(self.operator().await)
    }

    /// Returns a client of `InstanceService`.
    pub async fn instances(&self) -> InstanceServiceClient<Caller> {
        InstanceServiceClient::new(self.operator().await)
    }

    /// Schedules a change and returns it.
    pub async fn schedule(
        &self,
        request: wire::ScheduleChargeTypeChangeRequest,
    ) -> Result<wire::ChargeTypeChange, Status> {
        let reply = self.changes().await.schedule_charge_type_change(request).await?;
        Ok(reply.into_inner().charge_type_change.expect("a change"))
    }

    /// Cancels a change and returns it.
    pub async fn cancel(
        &self,
        change: &wire::ChargeTypeChange,
    ) -> Result<wire::ChargeTypeChange, Status> {
        let request = wire::CancelChargeTypeChangeRequest {
            account_id: change.account_id,
            change_id: change.change_id.clone(),
            request_id: String::new(),
        };
        let reply = self.changes().await.cancel_charge_type_change(request).await?;
        Ok(reply.into_inner().charge_type_change.expect("a change"))
    }
}
