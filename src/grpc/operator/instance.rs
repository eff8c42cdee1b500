//! `InstanceService`: the instances of accounts as they are now.

use std::collections::HashMap;

use tonic::Request;

use super::{account_id, product, product_filter};
use crate::domain::{AccountId, Facts, Product, Refusal, Time};
use crate::error::{Error, both};
use crate::grpc::{Actions, Reply, operate};
use crate::proto::billing::v1 as billing;
use crate::proto::convert::timestamp;
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::instance_service_server::InstanceService;

#[tonic::async_trait]
impl InstanceService for Actions {
    async fn get_instance(
        &self,
        request: Request<wire::GetInstanceRequest>,
    ) -> Reply<wire::GetInstanceResponse> {
        operate("GetInstance", request, async |context, message| {
            context.service_name()?;
            let (account_id, product) =
                both(account_id(message.account_id), product(message.product))?;
            let facts =
                self.store.facts(account_id, product).await?.ok_or(Error::AccountNotFound)?;
            let instance =
                shown(&facts, product, context.now).ok_or(Refusal::NotOpened(product))?;
            Ok(wire::GetInstanceResponse { instance: Some(instance) })
        })
        .await
    }

    async fn list_instances(
        &self,
        request: Request<wire::ListInstancesRequest>,
    ) -> Reply<wire::ListInstancesResponse> {
        operate("ListInstances", request, async |context, message| {
            let caller = context.service_name()?;
            let given = Some(message.account_id).filter(|given| *given != 0);
            let list = format!("instances of {given:?} {}", message.product);
            let page = self.page_tokens.page(caller, &list, message.page_size, &message.page_token);
            let account = given.map(account_id).transpose();
            let checked = both(account, product_filter(message.product));
            let ((account, product), page) = both(checked, page)?;
            let after = page_key(page.after.as_deref())?;
            let mut keys =
                self.store.instances_after(after, account, product, page.read_size()).await?;
            let end =
                page.cut(&mut keys, |(account, product)| format!("{account}/{}", product.name()));
            Ok(wire::ListInstancesResponse {
                instances: self.instances(&keys, context.now).await?,
                next_page_token: self.page_tokens.next(caller, &list, end),
            })
        })
        .await
    }
}

impl Actions {
    /// Returns the instances with these keys in their order. It runs one statement for each
    /// product.
    async fn instances(
        &self,
        keys: &[(AccountId, Product)],
        now: Time,
    ) -> Result<Vec<wire::Instance>, Error> {
        let mut found = HashMap::new();
        for product in Product::ALL {
            let accounts =
                keys.iter().filter(|(_, of)| *of == product).map(|(account, _)| *account);
            let accounts: Vec<_> = accounts.collect();
            if accounts.is_empty() {
                continue;
            }
            for facts in self.store.facts_of(&accounts, product).await? {
                let account_id = facts.account.account_id;
                found.extend(
                    shown(&facts, product, now).map(|shown| ((account_id, product), shown)),
                );
            }
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }
}

/// Returns where a page begins: after `account/product`.
fn page_key(after: Option<&str>) -> Result<(i64, String), Error> {
    let Some(after) = after else { return Ok((0, String::new())) };
    let parsed = after
        .split_once('/')
        .and_then(|(account, product)| Some((account.parse().ok()?, product.to_owned())));
    parsed.ok_or_else(|| Error::field("page_token", "is not a token of this list"))
}

fn shown(facts: &Facts, product: Product, now: Time) -> Option<wire::Instance> {
    let instance = facts.instance.as_ref()?;
    let says = instance.describe(now);
    let websocket = says.websocket.map(|websocket| websocket.current);
    Some(wire::Instance {
        account_id: facts.account.account_id.get(),
        product: billing::Product::from(product).into(),
        instance_id: says.instance_id.to_owned(),
        opening_time: Some(timestamp(says.opening_time)),
        order_id: instance.order_id.to_string(),
        internet_charge_type: billing::ChargeType::from(says.internet.current).into(),
        websocket_charge_type: websocket
            .map(|charge_type| billing::WebsocketChargeType::from(charge_type).into()),
        lock_reasons: says.lock_reasons.into_iter().map(str::to_owned).collect(),
    })
}
