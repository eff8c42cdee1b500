//! The CDN actions.

use tonic::Request;

use super::{Actions, Reply, act};
use crate::domain::bill_type::{self, Period};
use crate::domain::{Product, instance, opening};
use crate::proto::billing::v1::{BillTypeData, ChargeType, OperationLocks};
use crate::proto::cdn::v1 as wire;
use crate::proto::cdn::v1::cdn_service_server::CdnService;
use crate::proto::convert::{requested_charge_type, timestamp};

#[tonic::async_trait]
impl CdnService for Actions {
    async fn open_cdn_service(
        &self,
        request: Request<wire::OpenCdnServiceRequest>,
    ) -> Reply<wire::OpenCdnServiceResponse> {
        act("OpenCdnService", request, async |context, message| {
            let requested = requested_charge_type(message.internet_charge_type);
            self.open(&context, opening::Request::Cdn(requested)).await?;
            Ok(wire::OpenCdnServiceResponse { request_id: context.request_id.to_string() })
        })
        .await
    }

    async fn describe_cdn_service(
        &self,
        request: Request<wire::DescribeCdnServiceRequest>,
    ) -> Reply<wire::DescribeCdnServiceResponse> {
        act("DescribeCdnService", request, async |context, _| {
            let instance = self.instance(&context, Product::Cdn).await?;
            let says = instance.describe(context.now);
            let changing = says.internet.changing;
            Ok(wire::DescribeCdnServiceResponse {
                request_id: context.request_id.to_string(),
                instance_id: says.instance_id.to_owned(),
                internet_charge_type: ChargeType::from(says.internet.current).into(),
                opening_time: Some(timestamp(says.opening_time)),
                changing_charge_type: changing
                    .map(|change| ChargeType::from(change.charge_type).into()),
                changing_affect_time: changing.map(|change| timestamp(change.effective_time)),
                operation_locks: Some(OperationLocks::of(&says.lock_reasons)),
            })
        })
        .await
    }

    async fn modify_cdn_service(
        &self,
        request: Request<wire::ModifyCdnServiceRequest>,
    ) -> Reply<wire::ModifyCdnServiceResponse> {
        act("ModifyCdnService", request, async |context, message| {
            let requested = requested_charge_type(message.internet_charge_type);
            self.modify(&context, Product::Cdn, requested).await?;
            Ok(wire::ModifyCdnServiceResponse { request_id: context.request_id.to_string() })
        })
        .await
    }

    async fn describe_user_cdn_status(
        &self,
        request: Request<wire::DescribeUserCdnStatusRequest>,
    ) -> Reply<wire::DescribeUserCdnStatusResponse> {
        act("DescribeUserCdnStatus", request, async |context, _| {
            let facts = self.facts(&context, Product::Cdn).await?;
            let status =
                instance::user_status(facts.instance.as_ref(), context.now, self.overdue_grace);
            Ok(wire::DescribeUserCdnStatusResponse {
                request_id: context.request_id.to_string(),
                enabled: status.enabled,
                on_service: status.on_service,
                in_debt: status.in_debt,
                in_debt_overdue: status.in_debt_overdue,
            })
        })
        .await
    }

    async fn describe_cdn_user_bill_type(
        &self,
        request: Request<wire::DescribeCdnUserBillTypeRequest>,
    ) -> Reply<wire::DescribeCdnUserBillTypeResponse> {
        act("DescribeCdnUserBillType", request, async |context, message| {
            let account_id = self.facts(&context, Product::Cdn).await?.account.account_id;
            let period = Period::parse(&message.start_time, &message.end_time)?;
            let instance = self.store.instance_during(account_id, Product::Cdn, period).await?;
            let items = bill_type::history(instance.as_ref(), period);
            Ok(wire::DescribeCdnUserBillTypeResponse {
                request_id: context.request_id.to_string(),
                bill_type_data: Some(BillTypeData::of(Product::Cdn, items)),
            })
        })
        .await
    }
}
