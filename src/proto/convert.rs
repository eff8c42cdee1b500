//! Conversion between values of messages and values of the domain.

use chrono::Datelike;
use prost_types::Timestamp;

use super::billing::v1 as billing;
use crate::domain::bill_type::Item;
use crate::domain::{ChargeKind, ChargeType, Product, Requested, Time, WebsocketChargeType};

/// Returns an instant as a protobuf timestamp.
#[must_use]
pub fn timestamp(time: Time) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: time.timestamp(), nanos }
}

/// Returns the instant of a protobuf timestamp, or `None` if it is not valid or outside the years 1
/// to 9999.
#[must_use]
pub fn time_of(timestamp: &Timestamp) -> Option<Time> {
    Time::from_timestamp(timestamp.seconds, u32::try_from(timestamp.nanos).ok()?)
        .filter(|time| (1..=9999).contains(&time.year()))
}

/// Returns what was given for an internet charge type. An unknown number is not refused here: the
/// action refuses it by its own first rule, on both wires.
#[must_use]
pub fn requested_charge_type(number: i32) -> Requested<ChargeType> {
    use billing::ChargeType as Wire;
    let Ok(wire) = Wire::try_from(number) else { return Requested::Unknown };
    match wire {
        Wire::Unspecified => Requested::NotGiven,
        Wire::PayByTraffic => Requested::Known(ChargeType::PayByTraffic),
        Wire::PayByBandwidth => Requested::Known(ChargeType::PayByBandwidth),
        Wire::PayByBandwidth95 => Requested::Known(ChargeType::PayByBandwidth95),
        Wire::PayByBandwidthMonthavg => Requested::Known(ChargeType::PayByBandwidthMonthavg),
        Wire::PayByBandwidthMonth4th => Requested::Known(ChargeType::PayByBandwidthMonth4th),
        Wire::PayByBandwidthMonthday95avg => {
            Requested::Known(ChargeType::PayByBandwidthMonthday95avg)
        }
        Wire::PayByBandwidthNighthalf95 => Requested::Known(ChargeType::PayByBandwidthNighthalf95),
    }
}

/// Returns what was given for a WebSocket charge type.
#[must_use]
pub fn requested_websocket_charge_type(number: i32) -> Requested<WebsocketChargeType> {
    use billing::WebsocketChargeType as Wire;
    let Ok(wire) = Wire::try_from(number) else { return Requested::Unknown };
    match wire {
        Wire::Unspecified => Requested::NotGiven,
        Wire::Websockettraffic => Requested::Known(WebsocketChargeType::Websockettraffic),
        Wire::Websocketbps => Requested::Known(WebsocketChargeType::Websocketbps),
    }
}

/// Returns what was given for a product.
#[must_use]
pub fn requested_product(number: i32) -> Requested<Product> {
    let Ok(wire) = billing::Product::try_from(number) else { return Requested::Unknown };
    match wire {
        billing::Product::Unspecified => Requested::NotGiven,
        billing::Product::Cdn => Requested::Known(Product::Cdn),
        billing::Product::Dcdn => Requested::Known(Product::Dcdn),
    }
}

impl From<ChargeType> for billing::ChargeType {
    fn from(charge_type: ChargeType) -> Self {
        match charge_type {
            ChargeType::PayByTraffic => Self::PayByTraffic,
            ChargeType::PayByBandwidth => Self::PayByBandwidth,
            ChargeType::PayByBandwidth95 => Self::PayByBandwidth95,
            ChargeType::PayByBandwidthMonthavg => Self::PayByBandwidthMonthavg,
            ChargeType::PayByBandwidthMonth4th => Self::PayByBandwidthMonth4th,
            ChargeType::PayByBandwidthMonthday95avg => Self::PayByBandwidthMonthday95avg,
            ChargeType::PayByBandwidthNighthalf95 => Self::PayByBandwidthNighthalf95,
        }
    }
}

impl From<WebsocketChargeType> for billing::WebsocketChargeType {
    fn from(charge_type: WebsocketChargeType) -> Self {
        match charge_type {
            WebsocketChargeType::Websockettraffic => Self::Websockettraffic,
            WebsocketChargeType::Websocketbps => Self::Websocketbps,
        }
    }
}

impl From<Product> for billing::Product {
    fn from(product: Product) -> Self {
        match product {
            Product::Cdn => Self::Cdn,
            Product::Dcdn => Self::Dcdn,
        }
    }
}

impl billing::OperationLocks {
    /// Returns the message around the reasons, which the documented reply has even if there are
    /// none.
    #[must_use]
    pub fn of(reasons: &[&str]) -> Self {
        let reasons =
            reasons.iter().map(|&reason| billing::LockReason { lock_reason: reason.to_owned() });
        Self { lock_reason: reasons.collect() }
    }
}

impl billing::BillTypeData {
    /// Returns the message with the items of a bill-type history.
    #[must_use]
    pub fn of(product: Product, items: Vec<Item>) -> Self {
        let items = items.into_iter().map(|item| billing::BillTypeDataItem {
            start_time: Some(timestamp(item.start)),
            end_time: Some(timestamp(item.end)),
            bill_type: item.bill_type.to_owned(),
            billing_cycle: item.billing_cycle.name().to_owned(),
            product: product.name().to_owned(),
            dimension: ChargeKind::dimension(item.kind).to_owned(),
        });
        Self { bill_type_data_item: items.collect() }
    }
}
