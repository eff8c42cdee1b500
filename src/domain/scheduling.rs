//! Changes of a charge type by an operator: to any type, at any future instant.

use super::account::{Facts, Product};
use super::charge_type::{Charge, effective_time};
use super::event::AnyChargeType;
use super::refusal::Refusal;
use super::time::Time;
use super::timeline::{Change, Timeline};

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When the new charge type takes effect.
    pub effective_time: Time,
    /// A change that has taken effect and must be settled first, with its charge type.
    pub settle: Option<Change<AnyChargeType>>,
}

/// Decides on a change. Without an instant, the type in force determines when it takes effect.
pub fn decide(
    facts: &Facts,
    product: Product,
    charge_type: AnyChargeType,
    asked: Option<Time>,
    now: Time,
) -> Result<Schedule, Refusal> {
    if asked.is_some_and(|asked| asked <= now) {
        return Err(Refusal::InvalidField {
            field: "effective_time",
            description: "is not in the future",
        });
    }
    let instance = facts.instance.as_ref().ok_or(Refusal::NotOpened(product))?;
    match charge_type {
        AnyChargeType::Internet(_) => {
            schedule(&instance.internet, asked, now, AnyChargeType::Internet)
        }
        AnyChargeType::Websocket(_) => {
            let none = || Refusal::InvalidField {
                field: "websocket_charge_type",
                description: "the instance has no charge type for WebSocket traffic",
            };
            let timeline = instance.websocket.as_ref().ok_or_else(none)?;
            schedule(timeline, asked, now, AnyChargeType::Websocket)
        }
    }
}

fn schedule<T: Charge>(
    timeline: &Timeline<T>,
    asked: Option<Time>,
    now: Time,
    any: fn(T) -> AnyChargeType,
) -> Result<Schedule, Refusal> {
    let in_force = timeline.in_force(now);
    if in_force.next.is_some() {
        return Err(Refusal::ChangePending);
    }
    let settle = timeline.due(now).map(|change| change.map(any));
    let effective_time = asked.unwrap_or_else(|| effective_time(in_force.current, now));
    Ok(Schedule { effective_time, settle })
}
