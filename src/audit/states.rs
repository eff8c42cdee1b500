//! The states before and after a change, as JSON. A state has the fields that the action can change,
//! and never a secret.

use serde_json::{Map, Value, json};

use crate::domain::event::{AnyChargeType, ChangeNotice};
use crate::domain::instance::OperationLock;
use crate::domain::opening::Terms;
use crate::domain::{Charge, Instance, Product, Profile, Time, time};

/// Largest state that is recorded, in bytes. The largest ones are a policy of 6 KiB and the reasons
/// of 100 locks, which are less than 7 KiB.
const LARGEST: usize = 8 * 1024;

/// Returns a state, or a note of its size if it is too large.
fn bounded(state: Value) -> Value {
    let bytes = state.to_string().len();
    if bytes <= LARGEST { state } else { json!({ "left_out": "too large", "bytes": bytes }) }
}

/// Returns the state of an account.
#[must_use]
pub fn account(profile: &Profile) -> Value {
    json!({
        "site": profile.site.name(),
        "intl_allowed": profile.intl_allowed,
        "bid_user": profile.bid_user,
        "real_name_verified": profile.real_name_verified,
        "profile_complete": profile.profile_complete,
        "payment_method_valid": profile.payment_method_valid,
        // A text, as in the JSON of Protobuf, because many readers of JSON round large numbers.
        "balance": profile.balance.to_string(),
        "orders_refused": profile.orders_refused,
    })
}

/// Returns the state of an access key.
#[must_use]
pub fn access_key(disabled: bool, policy: &str) -> Value {
    bounded(json!({ "disabled": disabled, "policy": as_value(policy) }))
}

/// Returns the state of a temporary credential: its id, when it expires, and its session policy.
#[must_use]
pub fn temporary_credential(id: &str, expires_at: Time, policy: Option<&str>) -> Value {
    bounded(json!({
        "access_key_id": id,
        "expire_time": time::format(expires_at),
        "policy": policy.map(as_value),
    }))
}

/// Returns a policy, which is a text of JSON, as a part of the state instead of a text in it.
fn as_value(policy: &str) -> Value {
    serde_json::from_str(policy).unwrap_or_else(|_| Value::from(policy))
}

/// Returns the state of a new instance.
#[must_use]
pub fn opened(terms: Terms, instance_id: &str) -> Value {
    let mut state = Map::new();
    state.insert("product".to_owned(), terms.product.name().into());
    state.insert("instance_id".to_owned(), instance_id.into());
    state.insert("internet_charge_type".to_owned(), terms.internet.name().into());
    if let Some(websocket) = terms.websocket {
        state.insert("websocket_charge_type".to_owned(), websocket.name().into());
    }
    Value::Object(state)
}

/// Returns the states of an instance without and with a pending change. Each has the charge type in
/// force.
#[must_use]
pub fn without_and_with(change: &ChangeNotice, instance: &Instance, now: Time) -> (Value, Value) {
    let (kind, charge_type) = match change.charge_type {
        AnyChargeType::Internet(charge_type) => ("internet", charge_type.name()),
        AnyChargeType::Websocket(charge_type) => ("websocket", charge_type.name()),
    };
    let in_force = match (change.charge_type, &instance.websocket) {
        (AnyChargeType::Internet(_), _) => Some(instance.internet.in_force(now).current.name()),
        (AnyChargeType::Websocket(_), timeline) => {
            timeline.as_ref().map(|timeline| timeline.in_force(now).current.name())
        }
    };
    let state = |pending: Value| {
        json!({
            "product": change.product.name(),
            "kind": kind,
            "charge_type_in_force": in_force,
            "pending_change": pending,
        })
    };
    let pending = json!({
        "change_id": change.change_id,
        "charge_type": charge_type,
        "effective_time": time::format(change.effective_time),
    });
    (state(Value::Null), state(pending))
}

/// Returns the states of an instance without and with a lock. The statement adds the reasons of all
/// locks that hold.
#[must_use]
pub fn unlocked_and_locked(product: Product, lock: &OperationLock) -> (Value, Value) {
    let product = product.name();
    let locked_at = time::format(lock.locked_at);
    let lock =
        json!({ "reason": lock.reason, "locked_by": lock.locked_by, "lock_time": locked_at });
    (json!({ "product": product }), json!({ "product": product, "lock": lock }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_key_has_its_policy_as_json() {
        let state = access_key(true, r#"{"Version":"1","Statement":[]}"#);
        let policy = json!({ "Version": "1", "Statement": [] });
        assert_eq!(state, json!({ "disabled": true, "policy": policy }));
        assert_eq!(access_key(false, "{")["policy"], "{");
    }

    #[test]
    fn the_state_of_a_temporary_credential_has_its_end_and_its_session_policy() {
        let state = |policy| temporary_credential("STS.a", Time::UNIX_EPOCH, policy);
        let expected = |policy: Value| {
            let end = "1970-01-01T00:00:00Z";
            json!({ "access_key_id": "STS.a", "expire_time": end, "policy": policy })
        };
        assert_eq!(state(None), expected(Value::Null));
        assert_eq!(state(Some(r#"{"Version":"1"}"#)), expected(json!({ "Version": "1" })));
    }

    #[test]
    fn a_state_that_is_too_large_is_left_out() {
        let policy = |length: usize| format!("\"{}\"", "a".repeat(length));
        assert_eq!(
            access_key(false, &policy(6 * 1024))["policy"].as_str().unwrap().len(),
            6 * 1024
        );
        assert_eq!(access_key(false, &policy(LARGEST))["left_out"], "too large");
    }
}
