//! Events: what followers receive about every change of state.

use uuid::Uuid;

use super::account::{AccountId, Product};
use super::charge_type::{ChargeType, WebsocketChargeType};
use super::opening::Terms;
use super::time::Time;
use super::timeline::Change;

/// Number of lanes in which events get their positions.
pub const LANES: usize = 16;

/// A charge type of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyChargeType {
    /// Internet traffic.
    Internet(ChargeType),
    /// WebSocket traffic.
    Websocket(WebsocketChargeType),
}

/// A charge-type change, as an event contains it.
#[derive(Clone, Copy, Debug)]
pub struct ChangeNotice {
    /// Id of the change.
    pub change_id: Uuid,
    /// The product of the instance.
    pub product: Product,
    /// The new charge type.
    pub charge_type: AnyChargeType,
    /// When it takes effect.
    pub effective_time: Time,
}

impl ChangeNotice {
    /// Returns the notice of a change of a product.
    #[must_use]
    pub fn of(product: Product, change: Change<AnyChargeType>) -> Self {
        let Change { change_id, charge_type, effective_time, .. } = change;
        Self { change_id, product, charge_type, effective_time }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// An account opened a product.
    InstanceOpened {
        /// What it opened with.
        terms: Terms,
        /// Id of the instance.
        instance_id: String,
        /// Id of the order.
        order_id: Uuid,
        /// When it was opened.
        opening_time: Time,
    },
    /// Another charge type was submitted.
    ChargeTypeChangeScheduled(ChangeNotice),
    /// A submitted charge type was cancelled before it took effect.
    ChargeTypeChangeCancelled(ChangeNotice),
    /// A submitted charge type took effect.
    ChargeTypeChangeInForce(ChangeNotice),
    /// A lock was set.
    OperationLocked {
        /// The product of the instance.
        product: Product,
        /// The reason of the lock.
        reason: String,
        /// Who set it.
        locked_by: String,
    },
    /// A lock was lifted.
    OperationUnlocked {
        /// The product of the instance.
        product: Product,
        /// The reason with which it was set.
        reason: String,
    },
    /// An account was created or changed.
    AccountChanged {
        /// Its new version.
        version: i64,
    },
    /// An access key was created, disabled, enabled or deleted.
    AccessKeyChanged {
        /// Id of the key.
        access_key_id: String,
        /// Whether it is disabled now.
        disabled: bool,
        /// Whether it was deleted.
        deleted: bool,
    },
}

impl Event {
    /// Returns the CloudEvents `type`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::InstanceOpened { .. } => "activation.instance.opened",
            Self::ChargeTypeChangeScheduled(_) => "activation.charge_type_change.scheduled",
            Self::ChargeTypeChangeCancelled(_) => "activation.charge_type_change.cancelled",
            Self::ChargeTypeChangeInForce(_) => "activation.charge_type_change.in_force",
            Self::OperationLocked { .. } => "activation.operation.locked",
            Self::OperationUnlocked { .. } => "activation.operation.unlocked",
            Self::AccountChanged { .. } => "activation.account.changed",
            Self::AccessKeyChanged { .. } => "activation.access_key.changed",
        }
    }
}

/// Returns the lane in which the events of an account get their positions.
#[must_use]
pub fn lane(account_id: AccountId) -> i16 {
    let lanes = i64::try_from(LANES).expect("16 fits an i64");
    i16::try_from(account_id.get() % lanes).expect("a number below 16 fits an i16")
}
