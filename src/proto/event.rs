//! Events in the form in which followers receive them: `activation.event.v1.EventData`.

use prost::Message;

use super::billing::v1 as billing;
use super::convert::timestamp;
use super::events::v1 as wire;
use crate::domain::event::{AnyChargeType, ChangeNotice, Event};

/// Encodes an event as `EventData`.
#[must_use]
pub fn encode(event: &Event) -> Vec<u8> {
    wire::EventData { data: Some(data(event)) }.encode_to_vec()
}

/// Decodes the payload of an event. If a newer version of the program wrote it, it may have a kind
/// that this version does not know: it then has no data.
pub fn decode(data: &[u8]) -> Result<wire::EventData, prost::DecodeError> {
    wire::EventData::decode(data)
}

fn data(event: &Event) -> wire::event_data::Data {
    use wire::event_data::Data;
    match event {
        Event::InstanceOpened { terms, instance_id, order_id, opening_time } => {
            let websocket =
                terms.websocket.map(billing::WebsocketChargeType::from).unwrap_or_default();
            Data::InstanceOpened(wire::InstanceOpened {
                product: billing::Product::from(terms.product).into(),
                instance_id: instance_id.clone(),
                order_id: order_id.to_string(),
                internet_charge_type: billing::ChargeType::from(terms.internet).into(),
                websocket_charge_type: websocket.into(),
                opening_time: Some(timestamp(*opening_time)),
            })
        }
        Event::ChargeTypeChangeScheduled(notice) => {
            let change = Some(change(notice));
            Data::ChargeTypeChangeScheduled(wire::ChargeTypeChangeScheduled { change })
        }
        Event::ChargeTypeChangeCancelled(notice) => {
            let change = Some(change(notice));
            Data::ChargeTypeChangeCancelled(wire::ChargeTypeChangeCancelled { change })
        }
        Event::ChargeTypeChangeInForce(notice) => {
            let change = Some(change(notice));
            Data::ChargeTypeChangeInForce(wire::ChargeTypeChangeInForce { change })
        }
        Event::OperationLocked { product, reason, locked_by } => {
            Data::OperationLocked(wire::OperationLocked {
                product: billing::Product::from(*product).into(),
                reason: reason.clone(),
                locked_by: locked_by.clone(),
            })
        }
        Event::OperationUnlocked { product, reason } => {
            let product = billing::Product::from(*product).into();
            Data::OperationUnlocked(wire::OperationUnlocked { product, reason: reason.clone() })
        }
        Event::AccountChanged { version } => {
            Data::AccountChanged(wire::AccountChanged { version: *version })
        }
        Event::AccessKeyChanged { access_key_id, disabled, deleted } => {
            let access_key_id = access_key_id.clone();
            Data::AccessKeyChanged(wire::AccessKeyChanged {
                access_key_id,
                disabled: *disabled,
                deleted: *deleted,
            })
        }
    }
}

fn change(notice: &ChangeNotice) -> wire::ChargeTypeChange {
    use wire::charge_type_change::ChargeType;
    let charge_type = match notice.charge_type {
        AnyChargeType::Internet(charge_type) => {
            ChargeType::InternetChargeType(billing::ChargeType::from(charge_type).into())
        }
        AnyChargeType::Websocket(charge_type) => {
            ChargeType::WebsocketChargeType(billing::WebsocketChargeType::from(charge_type).into())
        }
    };
    wire::ChargeTypeChange {
        change_id: notice.change_id.to_string(),
        product: billing::Product::from(notice.product).into(),
        charge_type: Some(charge_type),
        effective_time: Some(timestamp(notice.effective_time)),
    }
}
