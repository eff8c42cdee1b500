//! The bill-type history: which charge types were in force during a span of time (docs/behaviour.md,
//! "Bill-type history").

use chrono::Duration;

use super::charge_type::{BillingCycle, Charge, ChargeKind};
use super::instance::Instance;
use super::time::{self, Time};
use super::timeline::Timeline;
use crate::error::Error;

/// The longest span that may be asked for, in days.
const LONGEST_DAYS: i64 = 31;

/// A half-open span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// From when, inclusive.
    pub start: Time,
    /// Until when, exclusive.
    pub end: Time,
}

/// One charge type during a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// From when, inclusive.
    pub start: Time,
    /// Until when, exclusive.
    pub end: Time,
    /// What was charged, in the words of the history.
    pub bill_type: &'static str,
    /// How often it was billed.
    pub billing_cycle: BillingCycle,
    /// The kind of traffic.
    pub kind: ChargeKind,
}

impl Period {
    /// Reads `StartTime` and `EndTime`: both required, start before end, at most 31 days.
    pub fn parse(start: &str, end: &str) -> Result<Self, Error> {
        for (text, parameter) in [(start, "StartTime"), (end, "EndTime")] {
            if text.is_empty() {
                return Err(Error::missing(parameter));
            }
        }
        let start = time::parse(start).ok_or_else(|| Error::invalid("StartTime"))?;
        let end = time::parse(end).ok_or_else(|| Error::invalid("EndTime"))?;
        if start >= end || end - start > Duration::days(LONGEST_DAYS) {
            return Err(Error::invalid("EndTime"));
        }
        Ok(Self { start, end })
    }
}

/// What was charged during the period, oldest first; empty for an account that opened nothing.
#[must_use]
pub fn history(instance: Option<&Instance>, period: Period) -> Vec<Item> {
    let Some(instance) = instance else { return Vec::new() };
    let mut items = items(&instance.internet, instance.opening_time, period);
    if let Some(websocket) = &instance.websocket {
        items.extend(self::items(websocket, instance.opening_time, period));
    }
    items.sort_by_key(|item| item.start); // stable: internet traffic first where both begin at once
    items
}

fn items<T: Charge>(timeline: &Timeline<T>, opened: Time, period: Period) -> Vec<Item> {
    timeline
        .spans(opened, period.start, period.end)
        .into_iter()
        .map(|span| Item {
            start: span.start,
            end: span.end,
            bill_type: span.charge_type.bill_type(),
            billing_cycle: span.charge_type.billing_cycle(),
            kind: T::KIND,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::instance::tests::instance;
    use super::*;

    #[test]
    fn a_period_has_both_ends_in_order_and_at_most_31_days() {
        let parse = |start, end| {
            Period::parse(start, end).map_err(|refusal| refusal.message().into_owned())
        };
        assert!(parse("2018-03-01T00:00:00Z", "2018-04-01T00:00:00Z").is_ok());
        for (start, end, parameter) in [
            ("", "2018-04-01T00:00:00Z", "StartTime is mandatory"),
            ("2018-03-01T00:00:00Z", "", "EndTime is mandatory"),
            ("2018-03-01", "2018-04-01T00:00:00Z", "\"StartTime\""),
            ("2018-03-01T00:00:00Z", "yesterday", "\"EndTime\""),
            ("2018-03-01T00:00:00Z", "2018-04-01T00:00:01Z", "\"EndTime\""),
            ("2018-03-01T00:00:00Z", "2018-03-01T00:00:00Z", "\"EndTime\""),
            ("2018-03-02T00:00:00Z", "2018-03-01T00:00:00Z", "\"EndTime\""),
        ] {
            let refusal = parse(start, end).expect_err(parameter);
            assert!(refusal.contains(parameter), "{refusal}");
        }
    }

    #[test]
    fn nothing_is_charged_before_the_opening() {
        let period = Period::parse("2018-03-01T00:00:00Z", "2018-03-20T00:00:00Z").unwrap();
        let items = history(Some(&instance(&[])), period);
        assert_eq!(items.len(), 1);
        assert_eq!(time::format(items[0].start), "2018-03-19T11:16:11Z");
        assert_eq!((items[0].bill_type, items[0].end), ("hour_flow", period.end));
        assert_eq!(history(None, period), []);
    }
}
