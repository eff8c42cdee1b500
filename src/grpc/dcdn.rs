//! The DCDN actions.

use tonic::Request;

use super::{Actions, Reply, act};
use crate::domain::bill_type::{self, Period};
use crate::domain::{Product, instance, opening};
use crate::proto::billing::v1::{BillTypeData, ChargeType, OperationLocks, WebsocketChargeType};
use crate::proto::convert::{requested_charge_type, requested_websocket_charge_type, timestamp};
use crate::proto::dcdn::v1 as wire;
use crate::proto::dcdn::v1::dcdn_service_server::DcdnService;

#[tonic::async_trait]
impl DcdnService for Actions {
    async fn open_dcdn_service(
        &self,
        request: Request<wire::OpenDcdnServiceRequest>,
    ) -> Reply<wire::OpenDcdnServiceResponse> {
        act("OpenDcdnService", request, async |context, message| {
            let internet = requested_charge_type(message.bill_type);
            let websocket = requested_websocket_charge_type(message.websocket_bill_type);
            self.open(&context, opening::Request::Dcdn(internet, websocket)).await?;
            Ok(wire::OpenDcdnServiceResponse { request_id: context.request_id.to_string() })
        })
        .await
    }

    async fn describe_dcdn_service(
        &self,
        request: Request<wire::DescribeDcdnServiceRequest>,
    ) -> Reply<wire::DescribeDcdnServiceResponse> {
        act("DescribeDcdnService", request, async |context, _| {
            let instance = self.instance(&context, Product::Dcdn).await?;
            let says = instance.describe(context.now);
            let changing = says.internet.changing;
            let websocket_changing = says.websocket.and_then(|websocket| websocket.changing);
            Ok(wire::DescribeDcdnServiceResponse {
                request_id: context.request_id.to_string(),
                instance_id: says.instance_id.to_owned(),
                internet_charge_type: ChargeType::from(says.internet.current).into(),
                opening_time: Some(timestamp(says.opening_time)),
                changing_charge_type: changing
                    .map(|change| ChargeType::from(change.charge_type).into()),
                changing_affect_time: changing.map(|change| timestamp(change.effective_time)),
                operation_locks: Some(OperationLocks::of(&says.lock_reasons)),
                websocket_type: says
                    .websocket
                    .map(|websocket| WebsocketChargeType::from(websocket.current).into()),
                websocket_changing_type: websocket_changing
                    .map(|change| WebsocketChargeType::from(change.charge_type).into()),
                websocket_changing_time: websocket_changing
                    .map(|change| timestamp(change.effective_time)),
            })
        })
        .await
    }

    async fn describe_user_dcdn_status(
        &self,
        request: Request<wire::DescribeUserDcdnStatusRequest>,
    ) -> Reply<wire::DescribeUserDcdnStatusResponse> {
        act("DescribeUserDcdnStatus", request, async |context, _| {
            let facts = self.facts(&context, Product::Dcdn).await?;
            let status =
                instance::user_status(facts.instance.as_ref(), context.now, self.overdue_grace);
            Ok(wire::DescribeUserDcdnStatusResponse {
                request_id: context.request_id.to_string(),
                enabled: status.enabled,
                on_service: status.on_service,
                in_debt: status.in_debt,
                in_debt_overdue: status.in_debt_overdue,
            })
        })
        .await
    }

    async fn describe_dcdn_user_bill_type(
        &self,
        request: Request<wire::DescribeDcdnUserBillTypeRequest>,
    ) -> Reply<wire::DescribeDcdnUserBillTypeResponse> {
        act("DescribeDcdnUserBillType", request, async |context, message| {
            let account_id = self.facts(&context, Product::Dcdn).await?.account.account_id;
            let period = Period::parse(&message.start_time, &message.end_time)?;
            let instance = self.store.instance_during(account_id, Product::Dcdn, period).await?;
            let items = bill_type::history(instance.as_ref(), period);
            Ok(wire::DescribeDcdnUserBillTypeResponse {
                request_id: context.request_id.to_string(),
                bill_type_data: Some(BillTypeData::of(Product::Dcdn, items)),
            })
        })
        .await
    }
}
