//! The bill-type history: which charge types were in force during a span of time (docs/behaviour.md,
//! "Bill-type history").

use chrono::Duration;

use super::charge_type::{BillingCycle, Charge, ChargeKind};
use super::instance::Instance;
use super::refusal::Refusal;
use super::time::{self, Time};
use super::timeline::Timeline;

/// Longest span of a request, in days.
const LONGEST_DAYS: i64 = 31;

/// A half-open span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Start, inclusive.
    pub start: Time,
    /// End, exclusive.
    pub end: Time,
}

/// One charge type during a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Start, inclusive.
    pub start: Time,
    /// End, exclusive.
    pub end: Time,
    /// The charge type, as the history names it.
    pub bill_type: &'static str,
    /// How often it was billed.
    pub billing_cycle: BillingCycle,
    /// The kind of traffic.
    pub kind: ChargeKind,
}

impl Period {
    /// Parses `StartTime` and `EndTime`. Both are required, the start is before the end, and the
    /// span is at most 31 days.
    pub fn parse(start: &str, end: &str) -> Result<Self, Refusal> {
        for (text, parameter) in [(start, "StartTime"), (end, "EndTime")] {
            if text.is_empty() {
                return Err(Refusal::MissingParameter(parameter));
            }
        }
        let start = time::parse(start).ok_or(Refusal::InvalidParameter("StartTime"))?;
        let end = time::parse(end).ok_or(Refusal::InvalidParameter("EndTime"))?;
        if start >= end || end - start > Duration::days(LONGEST_DAYS) {
            return Err(Refusal::InvalidParameter("EndTime"));
        }
        Ok(Self { start, end })
    }
}

/// Returns what was charged during the period, oldest first. It is empty for an account that has
/// opened nothing.
#[must_use]
pub fn history(instance: Option<&Instance>, period: Period) -> Vec<Item> {
    let Some(instance) = instance else { return Vec::new() };
    let mut items = items(&instance.internet, instance.opening_time, period);
    if let Some(websocket) = &instance.websocket {
        items.extend(self::items(websocket, instance.opening_time, period));
    }
    items.sort_by_key(|item| item.start); // stable: at the same start, internet traffic is first
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
    fn a_period_has_a_start_before_its_end_and_at_most_31_days() {
        assert!(Period::parse("2018-03-01T00:00:00Z", "2018-04-01T00:00:00Z").is_ok());
        for (start, end, expected) in [
            ("", "2018-04-01T00:00:00Z", Refusal::MissingParameter("StartTime")),
            ("2018-03-01T00:00:00Z", "", Refusal::MissingParameter("EndTime")),
            ("2018-03-01", "2018-04-01T00:00:00Z", Refusal::InvalidParameter("StartTime")),
            ("2018-03-01T00:00:00Z", "yesterday", Refusal::InvalidParameter("EndTime")),
            ("2018-03-01T00:00:00Z", "2018-04-01T00:00:01Z", Refusal::InvalidParameter("EndTime")),
            ("2018-03-01T00:00:00Z", "2018-03-01T00:00:00Z", Refusal::InvalidParameter("EndTime")),
            ("2018-03-02T00:00:00Z", "2018-03-01T00:00:00Z", Refusal::InvalidParameter("EndTime")),
        ] {
            assert_eq!(Period::parse(start, end).expect_err("refused"), expected);
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
