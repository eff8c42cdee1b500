//! How traffic is charged: the charge types, their spellings, which of them an account can choose,
//! and when a change takes effect.

use chrono::{DateTime, Datelike, Days, FixedOffset, Months, NaiveTime};

use super::time::Time;

/// How internet traffic is charged (docs/behaviour.md, "Charge types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChargeType {
    /// By traffic, billed hourly.
    PayByTraffic,
    /// By the bandwidth peak of the day.
    PayByBandwidth,
    /// By the month's 95th percentile.
    PayByBandwidth95,
    /// By the month's mean of daily peaks.
    PayByBandwidthMonthavg,
    /// By the month's fourth highest daily peak.
    PayByBandwidthMonth4th,
    /// By the month's mean of daily 95th percentiles.
    PayByBandwidthMonthday95avg,
    /// By the month's 95th percentile, with night-time points counted at half.
    PayByBandwidthNighthalf95,
}

/// How WebSocket traffic is charged (docs/behaviour.md, "Charge types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebsocketChargeType {
    /// By traffic, billed hourly.
    Websockettraffic,
    /// By the bandwidth peak of the day.
    Websocketbps,
}

/// What is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChargeKind {
    /// Internet traffic.
    Internet,
    /// WebSocket traffic.
    Websocket,
}

/// How often a bill is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingCycle {
    /// Every hour.
    Hour,
    /// Every day.
    Day,
    /// Every month.
    Month,
}

/// What the charge types of both kinds of traffic have in common.
pub trait Charge: Copy + Eq + 'static {
    /// Every value.
    const ALL: &'static [Self];
    /// What it charges.
    const KIND: ChargeKind;

    /// Returns the documented spelling.
    fn name(self) -> &'static str;

    /// Returns the `BillType` of the bill-type history (docs/behaviour.md, "Bill-type history").
    fn bill_type(self) -> &'static str;

    /// Returns how often it is billed. A change away from it waits for the end of that cycle.
    fn billing_cycle(self) -> BillingCycle;

    /// Returns the charge type with this documented spelling.
    #[must_use]
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name)
    }
}

impl Charge for ChargeType {
    const ALL: &'static [Self] = &[
        Self::PayByTraffic,
        Self::PayByBandwidth,
        Self::PayByBandwidth95,
        Self::PayByBandwidthMonthavg,
        Self::PayByBandwidthMonth4th,
        Self::PayByBandwidthMonthday95avg,
        Self::PayByBandwidthNighthalf95,
    ];
    const KIND: ChargeKind = ChargeKind::Internet;

    fn name(self) -> &'static str {
        match self {
            Self::PayByTraffic => "PayByTraffic",
            Self::PayByBandwidth => "PayByBandwidth",
            Self::PayByBandwidth95 => "PayByBandwidth95",
            Self::PayByBandwidthMonthavg => "PayByBandwidth_monthavg",
            Self::PayByBandwidthMonth4th => "PayByBandwidth_month4th",
            Self::PayByBandwidthMonthday95avg => "PayByBandwidth_monthday95avg",
            Self::PayByBandwidthNighthalf95 => "PayByBandwidth_nighthalf95",
        }
    }

    fn bill_type(self) -> &'static str {
        match self {
            Self::PayByTraffic => "hour_flow",
            Self::PayByBandwidth => "day_bandwidth",
            Self::PayByBandwidth95 => "month_95",
            Self::PayByBandwidthMonthavg => "month_avg_day_bandwidth",
            Self::PayByBandwidthMonth4th => "month_4th_day_bandwidth",
            Self::PayByBandwidthMonthday95avg => "month_avg_day_95",
            Self::PayByBandwidthNighthalf95 => "month_95_night_half",
        }
    }

    fn billing_cycle(self) -> BillingCycle {
        match self {
            Self::PayByTraffic => BillingCycle::Hour,
            Self::PayByBandwidth => BillingCycle::Day,
            _ => BillingCycle::Month,
        }
    }
}

impl ChargeType {
    /// Returns whether an account can choose it. Monthly types are granted by contract.
    #[must_use]
    pub fn is_public(self) -> bool {
        self.billing_cycle() != BillingCycle::Month
    }
}

impl Charge for WebsocketChargeType {
    const ALL: &'static [Self] = &[Self::Websockettraffic, Self::Websocketbps];
    const KIND: ChargeKind = ChargeKind::Websocket;

    fn name(self) -> &'static str {
        match self {
            Self::Websockettraffic => "websockettraffic",
            Self::Websocketbps => "websocketbps",
        }
    }

    fn bill_type(self) -> &'static str {
        match self {
            Self::Websockettraffic => "hour_flow",
            Self::Websocketbps => "day_bandwidth",
        }
    }

    fn billing_cycle(self) -> BillingCycle {
        match self {
            Self::Websockettraffic => BillingCycle::Hour,
            Self::Websocketbps => BillingCycle::Day,
        }
    }
}

impl ChargeKind {
    /// Returns the name in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Websocket => "websocket",
        }
    }

    /// Returns the `Dimension` of the bill-type history (docs/behaviour.md, "Bill-type history").
    #[must_use]
    pub fn dimension(self) -> &'static str {
        match self {
            Self::Internet => "flow",
            Self::Websocket => "websocket",
        }
    }
}

impl BillingCycle {
    /// Returns the `BillingCycle` of the bill-type history (docs/behaviour.md, "Bill-type
    /// history").
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What a request has as a charge type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested<T> {
    /// Nothing, or empty text.
    NotGiven,
    /// A known charge type.
    Known(T),
    /// A value that is not a charge type of this kind.
    Unknown,
}

/// Returns when a change that is submitted at `submitted_at` takes effect. It depends on the type
/// in force, not on the new one: the end of the day in UTC+8, or of the month for a monthly type.
#[must_use]
pub fn effective_time(in_force: impl Charge, submitted_at: Time) -> Time {
    let zone = FixedOffset::east_opt(8 * 3600).expect("an offset of eight hours is valid");
    let today = submitted_at.with_timezone(&zone).date_naive();
    let boundary = match in_force.billing_cycle() {
        BillingCycle::Hour | BillingCycle::Day => today.checked_add_days(Days::new(1)),
        BillingCycle::Month => {
            today.with_day(1).and_then(|first| first.checked_add_months(Months::new(1)))
        }
    };
    let midnight = boundary.map(|day| day.and_time(NaiveTime::MIN).and_local_timezone(zone));
    let midnight = midnight.and_then(chrono::LocalResult::single).as_ref().map(DateTime::to_utc);
    midnight.expect("the calendar of chrono ends 260,000 years after any clock")
}

#[cfg(test)]
mod tests {
    use super::super::time::{format, parse};
    use super::*;

    #[test]
    fn a_change_takes_effect_at_the_end_of_the_cycle_in_force() {
        use ChargeType::{PayByBandwidth, PayByBandwidth95, PayByTraffic};
        for (in_force, submitted, effective) in [
            (PayByTraffic, "2019-11-27T02:00:00Z", "2019-11-27T16:00:00Z"),
            (PayByBandwidth, "2019-11-27T15:59:59Z", "2019-11-27T16:00:00Z"),
            (PayByTraffic, "2019-11-27T16:00:00Z", "2019-11-28T16:00:00Z"),
            (PayByTraffic, "2019-11-27T17:00:00Z", "2019-11-28T16:00:00Z"),
            (PayByBandwidth95, "2018-03-19T12:00:00Z", "2018-03-31T16:00:00Z"),
            (PayByBandwidth95, "2018-03-31T16:00:00Z", "2018-04-30T16:00:00Z"),
            (PayByBandwidth95, "2018-12-31T15:59:59Z", "2018-12-31T16:00:00Z"),
            (PayByTraffic, "2020-02-28T16:00:00Z", "2020-02-29T16:00:00Z"),
        ] {
            let got = effective_time(in_force, parse(submitted).unwrap());
            assert_eq!(format(got), effective, "{in_force:?} at {submitted}");
        }
        let websocket = effective_time(
            WebsocketChargeType::Websocketbps,
            parse("2019-11-27T02:00:00Z").unwrap(),
        );
        assert_eq!(format(websocket), "2019-11-27T16:00:00Z");
    }

    #[test]
    fn a_name_parses_to_its_charge_type() {
        for value in ChargeType::ALL {
            assert_eq!(ChargeType::from_name(value.name()), Some(*value));
        }
        for value in WebsocketChargeType::ALL {
            assert_eq!(WebsocketChargeType::from_name(value.name()), Some(*value));
        }
        assert_eq!(ChargeType::from_name("paybytraffic"), None);
    }
}
