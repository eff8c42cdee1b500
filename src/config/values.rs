//! Parsers of the values of settings. The command line parser shows their errors after the flag.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::auth::secret::Secret;
use crate::auth::services::is_service_name;
use crate::domain::{Time, time};
use crate::storage::Engine;

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

/// Wraps a secret, so that it is not printed by accident.
#[expect(clippy::unnecessary_wraps, reason = "a parser returns a Result")]
pub(super) fn parse_secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// Parses a filter of the log. The parser of the filter takes a word that is not a level as the name
/// of a target, which has no lines: the log would be empty.
pub(super) fn parse_log(text: &str) -> Result<String, String> {
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    if let Some(word) = text.split(',').find(|word| !word.contains('=') && !is_level(word)) {
        return Err(format!(
            "{word:?} is not a level or TARGET=LEVEL; the levels are error, warn, info and off"
        ));
    }
    let filter: Result<Targets, _> = text.parse();
    filter.map_err(|error| format!("{text:?} is not a filter: {error}"))?;
    Ok(text.to_owned())
}

/// Returns a parser of durations from `least` to `most`, which are written as in a setting.
pub(super) fn between(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    let bound = |text| parse_duration(text).expect("a bound is a duration");
    let bounds = bound(least)..=bound(most);
    move |text| {
        let given = parse_duration(text)?;
        let fits = bounds.contains(&given);
        fits.then_some(given).ok_or_else(|| format!("{text:?} is not between {least} and {most}"))
    }
}

/// Returns a parser of numbers from `least` to `most`.
pub(super) fn number<N>(
    least: N,
    most: N,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| {
        let given = text.parse().ok().filter(|given| (least..=most).contains(given));
        given.ok_or_else(|| format!("{text:?} is not a number from {least} to {most}"))
    }
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
    }

    #[test]
    fn a_duration_and_a_number_have_bounds() {
        let parse = between("100ms", "5s");
        for (text, expected) in [
            ("100ms", Ok(Duration::from_millis(100))),
            ("5", Ok(Duration::from_secs(5))),
            ("99ms", Err("\"99ms\" is not between 100ms and 5s".to_owned())),
            ("5001ms", Err("\"5001ms\" is not between 100ms and 5s".to_owned())),
        ] {
            assert_eq!(parse(text), expected);
        }
        assert!(between("0s", "1s")("0").is_ok());
        let parse = number(2_u16, 65_535);
        assert_eq!((parse("2"), parse("65535")), (Ok(2), Ok(65_535)));
        for wrong in ["1", "65536", "-1", "", "two", "4294967297"] {
            let expected = format!("{wrong:?} is not a number from 2 to 65535");
            assert_eq!(parse(wrong), Err(expected));
        }
    }

    #[test]
    fn the_longest_window_of_timestamps_is_a_slot_of_nonces() {
        let longest = parse_duration("15m").unwrap().as_secs();
        assert_eq!(longest, crate::storage::SLOT_SECONDS.unsigned_abs());
    }

    #[test]
    fn a_filter_of_the_log_has_levels() {
        for right in ["info", "warn,cdn_activation=info", "OFF", "a=debug,b=off"] {
            assert_eq!(parse_log(right).as_deref(), Ok(right));
        }
        for wrong in ["verbose", "", "info,", "cdn_activation", "a=loud", "a=b=info", "info,cdn"] {
            assert!(parse_log(wrong).is_err(), "{wrong}");
        }
    }
}
