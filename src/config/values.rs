//! Parsers of the values of settings. The command line parser shows their errors after the flag.

use std::time::Duration;

use crate::domain::{Time, time};
use crate::storage::{Engine, SLOT_SECONDS};

pub(super) fn parse_time(text: &str) -> Result<Time, String> {
    let parsed = time::parse(text).ok_or_else(|| {
        format!("{text:?} is not an instant; expected a value such as 2018-03-20T00:00:00Z")
    })?;
    if time::may_be_now(parsed) {
        Ok(parsed)
    } else {
        Err(format!("{text:?} is not before the year 9999"))
    }
}

pub(super) fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("{text:?} is not Name=Value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn parse_engine(text: &str) -> Result<Engine, String> {
    match text {
        "auto" => Ok(Engine::Auto),
        "postgres" => Ok(Engine::Postgres),
        "citus" => Ok(Engine::Citus),
        _ => Err(format!("{text:?} is not an engine; expected auto, postgres or citus")),
    }
}

pub(super) fn parse_window(text: &str) -> Result<Duration, String> {
    let window = parse_duration(text)?;
    if window.as_secs() > SLOT_SECONDS.unsigned_abs() {
        return Err("the window is longer than 15m, for which used nonces are kept".to_owned());
    }
    Ok(window)
}

pub(super) fn parse_order_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    if !(Duration::from_millis(100)..=Duration::from_secs(5)).contains(&timeout) {
        return Err("the timeout is not between 100ms and 5s".to_owned());
    }
    Ok(timeout)
}

pub(super) fn parse_keep_alive(text: &str) -> Result<Duration, String> {
    let kept = parse_duration(text)?;
    if (2..=3600).contains(&kept.as_secs()) {
        Ok(kept)
    } else {
        Err("the time is not between 2s and 1h".to_owned())
    }
}

pub(super) fn parse_retention(text: &str) -> Result<Duration, String> {
    let retention = parse_duration(text)?;
    if (60..=3650 * 86_400).contains(&retention.as_secs()) {
        return Ok(retention);
    }
    Err("the time is not between 1m and 3650d".to_owned())
}

/// Parses a duration: `900s`, `15m`, `24h`, `250ms`, or a number without a unit, which is seconds.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u32 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a duration; expected a value such as 15m"))?;
    let number = u64::from(number);
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        "d" => Ok(Duration::from_secs(number * 86_400)),
        _ => Err(format!("{text:?} does not have a known unit; expected ms, s, m, h or d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_has_a_name() {
        assert_eq!(parse_engine("auto"), Ok(Engine::default()));
        assert_eq!(parse_engine("citus"), Ok(Engine::Citus));
        assert_eq!(parse_engine("postgres"), Ok(Engine::Postgres));
        assert!(parse_engine("Citus").is_err() && parse_engine("").is_err());
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        for wrong in ["15 m", "", "m", "-1s", "9223372036854775807d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_order_timeout("2s").is_ok());
        assert!(parse_order_timeout("99ms").is_err() && parse_order_timeout("6s").is_err());
        assert!(parse_window("15m").is_ok() && parse_window("901s").is_err());
        assert!(parse_keep_alive("2s").is_ok() && parse_keep_alive("1999ms").is_err());
        assert!(parse_retention("3650d").is_ok() && parse_retention("3651d").is_err());
        assert!(parse_retention("60").is_ok() && parse_retention("59s").is_err());
    }
}
