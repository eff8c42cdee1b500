//! Instants and their format: UTC, whole seconds, `2018-03-19T11:16:11Z`.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

/// An instant, UTC, with the microsecond precision of the database.
pub type Time = DateTime<Utc>;

/// 9999-01-01T00:00:00Z, in seconds. An instant that is computed from a later one, such as the end
/// of a cycle, can have a year of more than four digits.
const TOO_LATE: i64 = 253_370_764_800;

/// Returns whether an instant can be the current time: every instant that is computed from it can
/// be stored and shown.
#[must_use]
pub fn may_be_now(time: Time) -> bool {
    time.timestamp() < TOO_LATE
}

/// Parses `yyyy-MM-ddTHH:mm:ssZ`. Returns `None` for any other text.
#[must_use]
pub fn parse(text: &str) -> Option<Time> {
    // chrono accepts fields without leading zeros and a signed year. The check of the length
    // excludes both.
    if text.len() != "yyyy-MM-ddTHH:mm:ssZ".len() || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ").ok()?.and_utc();
    (time.timestamp_subsec_nanos() == 0 && format(time) == text).then_some(time) // not second 60, no blanks
}

/// Parses the timestamp of a signed request. It has the format of [`parse`], or a fraction of a
/// second, which is cut off and after which the `Z` can be missing. Published clients send both
/// forms.
#[must_use]
pub fn parse_signed(text: &str) -> Option<Time> {
    let Some((seconds, fraction)) = text.split_once('.') else { return parse(text) };
    let digits = fraction.strip_suffix('Z').unwrap_or(fraction);
    let is_fraction =
        (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_fraction { parse(&format!("{seconds}Z")) } else { None }
}

/// Formats an instant. A fraction of a second is cut off.
#[must_use]
pub fn format(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_format_is_accepted() {
        assert_eq!(format(parse("2018-03-19T11:16:11Z").unwrap()), "2018-03-19T11:16:11Z");
        for wrong in [
            "",
            "2018-03-19 11:16:11Z",
            "2018-03-19T11:16:11",
            "2018-03-19T11:16:11z",
            "2018-03-19T11:16:60Z",
            "2018-13-19T11:16:11Z",
            "2018-3-019T11:16:11Z",
            "+018-03-19T11:16:11Z",
            "2018-03-19T11:16: 1Z",
            "2018-03-19T11:16:11+00:00",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_signed_timestamp_can_have_a_fraction_and_then_no_z() {
        let at = parse("2018-03-19T11:16:11Z");
        for text in [
            "2018-03-19T11:16:11Z",
            "2018-03-19T11:16:11.5Z",
            "2018-03-19T11:16:11.123Z",
            "2018-03-19T11:16:11.123456",
            "2018-03-19T11:16:11.999999999Z",
        ] {
            assert_eq!(parse_signed(text), at, "{text}");
        }
        for wrong in [
            "2018-03-19T11:16:11",
            "2018-03-19T11:16:11.",
            "2018-03-19T11:16:11.Z",
            "2018-03-19T11:16:11.1234567890Z",
            "2018-03-19T11:16:11.12z",
            "2018-03-19T11:16:11.12ZZ",
            "2018-03-19T11:16:11.1.2Z",
            "2018-03-19T11:16:11Z.12",
            "2018-03-19T11:16:11.12+00:00",
            "2018-03-19 11:16:11.12Z",
        ] {
            assert_eq!(parse_signed(wrong), None, "{wrong}");
        }
    }
}
