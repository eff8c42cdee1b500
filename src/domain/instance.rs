//! Instances, their locks, and the description of an instance at an instant.

use chrono::Duration;
use uuid::Uuid;

use super::charge_type::{Charge, ChargeType, WebsocketChargeType};
use super::refusal::Refusal;
use super::time::Time;
use super::timeline::{Change, Timeline};

/// The reason of a lock for overdue payment (docs/behaviour.md, "Operation locks").
pub const FINANCIAL: &str = "financial";
/// The reason of a lock that suspends the service.
pub const SECURITY: &str = "security";

/// Largest number of locks that hold on an instance at the same time.
pub const MOST_LOCKS: i64 = 100;

/// A hold on the operations of an instance. It has not been lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationLock {
    /// Its id.
    pub lock_id: Uuid,
    /// Its reason.
    pub reason: String,
    /// Who set it.
    pub locked_by: String,
    /// When it was set.
    pub locked_at: Time,
}

/// An opened product of an account.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its id, which is opaque.
    pub instance_id: String,
    /// When it was opened.
    pub opening_time: Time,
    /// The order of the opening.
    pub order_id: Uuid,
    /// How internet traffic is charged.
    pub internet: Timeline<ChargeType>,
    /// How WebSocket traffic is charged. `None` for CDN, and for openings older than WebSocket
    /// charging.
    pub websocket: Option<Timeline<WebsocketChargeType>>,
    /// The locks that are set, oldest first.
    pub locks: Vec<OperationLock>,
    /// Time of the newest event of the instance, its changes and its locks. It rises with each of
    /// them, so a decision about this instance is valid while the time is the same.
    pub event_time: Time,
}

/// How one kind of traffic is charged now, and what was submitted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged<T> {
    /// The charge type in force.
    pub current: T,
    /// The change that was submitted last, even if it has taken effect.
    pub changing: Option<Change<T>>,
}

/// What a Describe action returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description<'a> {
    /// Id of the instance.
    pub instance_id: &'a str,
    /// When it was opened.
    pub opening_time: Time,
    /// Internet traffic.
    pub internet: Charged<ChargeType>,
    /// WebSocket traffic.
    pub websocket: Option<Charged<WebsocketChargeType>>,
    /// Reasons of the locks that are set, oldest first.
    pub lock_reasons: Vec<&'a str>,
}

/// Whether a product can be used (docs/behaviour.md, "User status").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserStatus {
    /// It is opened.
    pub enabled: bool,
    /// It is opened, not suspended and not overdue.
    pub on_service: bool,
    /// A `financial` lock is set.
    pub in_debt: bool,
    /// The lock is older than the grace period.
    pub in_debt_overdue: bool,
}

impl Instance {
    /// Returns the description of the instance at `now`.
    #[must_use]
    pub fn describe(&self, now: Time) -> Description<'_> {
        Description {
            instance_id: &self.instance_id,
            opening_time: self.opening_time,
            internet: charged(&self.internet, now),
            websocket: self.websocket.as_ref().map(|timeline| charged(timeline, now)),
            lock_reasons: self.locks.iter().map(|lock| lock.reason.as_str()).collect(),
        }
    }

    /// Returns the lock with this reason, if it is set.
    #[must_use]
    pub fn lock(&self, reason: &str) -> Option<&OperationLock> {
        self.locks.iter().find(|lock| lock.reason == reason)
    }

    /// Refuses another lock if the largest number of locks holds.
    pub fn admit_lock(&self) -> Result<(), Refusal> {
        let has_room = i64::try_from(self.locks.len()).is_ok_and(|locks| locks < MOST_LOCKS);
        if has_room { Ok(()) } else { Err(Refusal::TooManyLocks) }
    }
}

fn charged<T: Charge>(timeline: &Timeline<T>, now: Time) -> Charged<T> {
    Charged {
        current: timeline.in_force(now).current,
        changing: timeline.last_submitted().copied(),
    }
}

/// Returns whether the product can be used at `now`, also for an account that has not opened it.
#[must_use]
pub fn user_status(instance: Option<&Instance>, now: Time, overdue_grace: Duration) -> UserStatus {
    let Some(instance) = instance else {
        return UserStatus {
            enabled: false,
            on_service: false,
            in_debt: false,
            in_debt_overdue: false,
        };
    };
    let financial = instance.lock(FINANCIAL);
    let in_debt_overdue = financial.is_some_and(|lock| now - lock.locked_at > overdue_grace);
    UserStatus {
        enabled: true,
        on_service: instance.lock(SECURITY).is_none() && !in_debt_overdue,
        in_debt: financial.is_some(),
        in_debt_overdue,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::time::parse;
    use super::*;

    /// Returns an instance that was opened with traffic charging at 2018-03-19T11:16:11Z, with
    /// these locks.
    pub fn instance(locks: &[(&str, &str)]) -> Instance {
        let opening_time = parse("2018-03-19T11:16:11Z").unwrap();
        Instance {
            instance_id: "id".to_owned(),
            opening_time,
            order_id: Uuid::nil(),
            internet: Timeline::new(ChargeType::PayByTraffic, Vec::new()),
            websocket: None,
            locks: locks
                .iter()
                .map(|(reason, since)| OperationLock {
                    lock_id: Uuid::nil(),
                    reason: (*reason).to_owned(),
                    locked_by: "test".to_owned(),
                    locked_at: parse(since).unwrap(),
                })
                .collect(),
            event_time: opening_time,
        }
    }

    #[test]
    fn a_financial_lock_is_overdue_only_after_the_grace_period() {
        let instance = instance(&[(FINANCIAL, "2018-03-19T12:00:00Z")]);
        let status =
            |now: &str| user_status(Some(&instance), parse(now).unwrap(), Duration::hours(24));
        let (in_grace, overdue) = (status("2018-03-20T12:00:00Z"), status("2018-03-20T12:00:01Z"));
        assert!(in_grace.in_debt && !in_grace.in_debt_overdue && in_grace.on_service);
        assert!(
            overdue.in_debt && overdue.in_debt_overdue && !overdue.on_service && overdue.enabled
        );
    }

    #[test]
    fn a_security_lock_takes_the_product_out_of_service_and_other_reasons_do_not() {
        let now = parse("2018-04-01T00:00:00Z").unwrap();
        let since = "2018-03-19T12:00:00Z";
        let status =
            |locks: &[(&str, &str)]| user_status(Some(&instance(locks)), now, Duration::hours(24));
        assert!(!status(&[(SECURITY, since)]).on_service);
        assert!(status(&[("maintenance", since)]).on_service);
        assert!(!user_status(None, now, Duration::hours(24)).enabled);
    }
}
