//! Parsers of the values of settings. The command line parser shows their errors after the flag.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::auth::services::is_service_name;
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

pub(super) fn parse_service_name(text: &str) -> Result<String, String> {
    if is_service_name(text) {
        return Ok(text.to_owned());
    }
    Err("the name is not 1 to 255 visible ASCII characters that do not begin with #".to_owned())
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

pub(super) fn parse_burst(text: &str) -> Result<Duration, String> {
    let burst = parse_duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_mins(1)).contains(&burst) {
        Ok(burst)
    } else {
        Err("the burst is not between 1s and 60s".to_owned())
    }
}

pub(super) fn parse_retention(text: &str) -> Result<Duration, String> {
    let retention = parse_duration(text)?;
    if (60..=3650 * 86_400).contains(&retention.as_secs()) {
        return Ok(retention);
    }
    Err("the time is not between 1m and 3650d".to_owned())
}

/// Parses how long audit records are kept.
pub(super) fn parse_audit_retention(text: &str) -> Result<Duration, String> {
    let retention = parse_duration(text)?;
    if (86_400..=3650 * 86_400).contains(&retention.as_secs()) {
        return Ok(retention);
    }
    Err("the time is not between 1d and 3650d".to_owned())
}

/// Largest length of the URL of an explorer, in bytes. It is part of gRPC metadata, of which clients
/// refuse more than 8 KiB.
const LONGEST_URL: usize = 512;

/// Parses the URL of an explorer, and adds the slash at its end if it is missing.
pub(super) fn parse_explorer_url(text: &str) -> Result<Arc<str>, String> {
    let is_plain = text.len() <= LONGEST_URL
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"?#@".contains(&byte));
    let uri = text.parse::<Uri>().ok().filter(|_| is_plain);
    let is_web = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    };
    if !uri.is_some_and(|uri| is_web(&uri)) {
        return Err(format!(
            "{text:?} is not the URL of an explorer; expected a value such as \
             https://cdn.example.com/explorer/, with at most {LONGEST_URL} bytes"
        ));
    }
    let slash = if text.ends_with('/') { "" } else { "/" };
    Ok(format!("{text}{slash}").into())
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
    fn the_url_of_an_explorer_ends_with_a_slash() {
        let of = |text: &str| parse_explorer_url(text).ok();
        assert_eq!(of("https://a.example").as_deref(), Some("https://a.example/"));
        assert_eq!(of("http://[::1]:80/x").as_deref(), Some("http://[::1]:80/x/"));
        assert_eq!(of("http://a/explorer/").as_deref(), Some("http://a/explorer/"));
        let long = format!("http://a/{}", "b".repeat(512));
        for wrong in [
            "",
            "a.example",
            "/explorer/",
            "ftp://a/",
            "http:///x",
            "http://a/?b",
            "http://a/#b",
            "http://u:p@a/",
            "http://a/]]><",
            "http://a/ä",
            "http://a /",
            &long,
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
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
        assert!(parse_burst("1s").is_ok() && parse_burst("999ms").is_err());
        assert!(parse_burst("60s").is_ok() && parse_burst("61s").is_err());
        assert!(parse_retention("3650d").is_ok() && parse_retention("3651d").is_err());
        assert!(parse_retention("60").is_ok() && parse_retention("59s").is_err());
        assert!(parse_audit_retention("1d").is_ok() && parse_audit_retention("23h").is_err());
        assert!(parse_audit_retention("3650d").is_ok() && parse_audit_retention("3651d").is_err());
    }
}
