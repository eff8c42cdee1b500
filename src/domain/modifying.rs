//! The conditions for a change of the charge type in the order in which they are reported, and the
//! decision.

use super::account::{Facts, Product};
use super::charge_type::{self, ChargeType, Requested};
use super::instance::{FINANCIAL, SECURITY};
use super::opening::Limits;
use super::refusal::Refusal;
use super::time::Time;
use super::timeline::Change;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the charge type is pending or in force already. The request succeeds.
    NothingToDo,
    /// A new change.
    Schedule {
        /// The new charge type.
        charge_type: ChargeType,
        /// When it takes effect.
        effective_time: Time,
        /// A change that has taken effect and must be settled first: storage admits one unsettled
        /// change for an instance and a kind of traffic.
        settle: Option<Change<ChargeType>>,
    },
}

/// Decides on a change of the charge type (docs/behaviour.md, "Changing the charge type").
pub fn decide(
    facts: &Facts,
    product: Product,
    requested: Requested<ChargeType>,
    limits: Limits,
    now: Time,
) -> Result<Decision, Refusal> {
    let requested = match requested {
        Requested::NotGiven => return Err(Refusal::MissingParameter("InternetChargeType")),
        Requested::Known(charge_type) if charge_type.is_public() => charge_type,
        _ => return Err(Refusal::InvalidParameter("InternetChargeType")),
    };
    let instance = facts.instance.as_ref().ok_or(Refusal::NotOpened(product))?;
    let in_force = instance.internet.in_force(now);
    let wanted_already = in_force.next.map_or(in_force.current, |pending| pending.charge_type);
    if wanted_already == requested {
        return Ok(Decision::NothingToDo);
    }
    if instance.lock(SECURITY).is_some() {
        return Err(Refusal::Suspended);
    }
    let profile = &facts.account.profile;
    if instance.lock(FINANCIAL).is_some() || profile.balance < limits.minimum_balance {
        return Err(Refusal::InsufficientBalance);
    }
    if !profile.payment_method_valid {
        return Err(Refusal::InvalidPaymentMethod);
    }
    if in_force.next.is_some() {
        return Err(Refusal::ChangePending);
    }
    Ok(Decision::Schedule {
        charge_type: requested,
        effective_time: charge_type::effective_time(in_force.current, now),
        settle: instance.internet.due(now).copied(),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::account::{Account, AccountId, Profile, Site};
    use super::super::instance::tests::instance;
    use super::super::time::parse;
    use super::super::timeline::Timeline;
    use super::*;

    const NOW: &str = "2018-03-20T00:00:00Z";

    /// The conditions that hold. Each makes one rule refuse.
    #[derive(Clone, Copy)]
    struct Wrong {
        security: bool,
        financial: bool,
        balance: bool,
        payment: bool,
        pending: bool,
    }

    fn facts(wrong: Wrong) -> Facts {
        let time = parse("2018-03-19T12:00:00Z").unwrap();
        let mut locks = Vec::new();
        if wrong.financial {
            locks.push((FINANCIAL, "2018-03-19T12:00:00Z"));
        }
        if wrong.security {
            locks.push((SECURITY, "2018-03-19T12:00:00Z"));
        }
        let mut instance = instance(&locks);
        if wrong.pending {
            let change = Change {
                change_id: Uuid::nil(),
                charge_type: ChargeType::PayByBandwidth95,
                submitted_at: time,
                effective_time: parse("2018-03-31T16:00:00Z").unwrap(),
                settled: false,
            };
            instance.internet = Timeline::new(ChargeType::PayByTraffic, vec![change]);
        }
        Facts {
            account: Account {
                account_id: AccountId::new(1).unwrap(),
                profile: Profile {
                    site: Site::Domestic,
                    intl_allowed: false,
                    bid_user: false,
                    real_name_verified: true,
                    profile_complete: true,
                    payment_method_valid: !wrong.payment,
                    balance: if wrong.balance { -1 } else { 0 },
                    orders_refused: false,
                },
                version: 1,
                created_at: time,
                updated_at: time,
            },
            instance: Some(instance),
        }
    }

    fn decide_at(
        facts: &Facts,
        requested: Requested<ChargeType>,
        now: &str,
    ) -> Result<Decision, Refusal> {
        let limits = Limits { minimum_balance: 0 };
        decide(facts, Product::Cdn, requested, limits, parse(now).unwrap())
    }

    #[test]
    fn the_first_rule_that_refuses_is_reported_in_every_combination() {
        for bits in 0..32u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            let wrong = Wrong {
                security: bit(0),
                financial: bit(1),
                balance: bit(2),
                payment: bit(3),
                pending: bit(4),
            };
            let mut facts = facts(wrong);
            let expected = match bits.trailing_zeros() {
                0 => Some(Refusal::Suspended),
                1 | 2 => Some(Refusal::InsufficientBalance),
                3 => Some(Refusal::InvalidPaymentMethod),
                4 => Some(Refusal::ChangePending),
                _ => None,
            };
            let requested = Requested::Known(ChargeType::PayByBandwidth);
            assert_eq!(decide_at(&facts, requested, NOW).err(), expected, "{bits:05b}");
            for (requested, expected) in [
                (Requested::NotGiven, Refusal::MissingParameter("InternetChargeType")),
                (Requested::Unknown, Refusal::InvalidParameter("InternetChargeType")),
                (
                    Requested::Known(ChargeType::PayByBandwidth95),
                    Refusal::InvalidParameter("InternetChargeType"),
                ),
            ] {
                assert_eq!(decide_at(&facts, requested, NOW).expect_err("the value"), expected);
            }
            facts.instance = None;
            let refusal = decide_at(&facts, requested, NOW).expect_err("not opened");
            assert_eq!(refusal, Refusal::NotOpened(Product::Cdn));
        }
    }

    #[test]
    fn a_request_for_the_type_in_force_succeeds_even_with_locks() {
        let locked =
            Wrong { security: true, financial: true, balance: true, payment: true, pending: false };
        let requested = Requested::Known(ChargeType::PayByTraffic);
        assert_eq!(decide_at(&facts(locked), requested, NOW).unwrap(), Decision::NothingToDo);
        // If another change is pending, the type in force is not the requested state: the pending
        // change cannot be undone.
        let free = Wrong {
            security: false,
            financial: false,
            balance: false,
            payment: false,
            pending: true,
        };
        let refusal = decide_at(&facts(free), requested, NOW).expect_err("pending");
        assert_eq!(refusal, Refusal::ChangePending);
    }

    #[test]
    fn a_change_that_took_effect_is_settled_before_the_next_is_scheduled() {
        let pending = Wrong {
            security: false,
            financial: false,
            balance: false,
            payment: false,
            pending: true,
        };
        let requested = Requested::Known(ChargeType::PayByTraffic);
        let decision = decide_at(&facts(pending), requested, "2018-04-02T00:00:00Z").unwrap();
        let Decision::Schedule { charge_type, effective_time, settle } = decision else {
            panic!("scheduled");
        };
        assert_eq!(charge_type, ChargeType::PayByTraffic);
        assert_eq!(super::super::time::format(effective_time), "2018-04-30T16:00:00Z"); // monthly type in force
        assert!(settle.is_some());
    }
}
