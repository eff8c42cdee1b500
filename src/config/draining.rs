//! The settings of the stop of the service.

use std::time::Duration;

use clap::Args;

use super::values::parse_duration;

/// Settings of the stop of the service.
#[derive(Args, Clone, Debug)]
pub struct DrainSettings {
    /// Time from SIGTERM until the listeners close: at most 5m. During that time, requests are
    /// served, /readyz answers 503, and each answer over HTTP/1 closes its connection. Default: 5s;
    /// `dev`: 0s.
    #[arg(long, env = "DRAIN_DELAY", value_parser = parse_drain)]
    pub drain_delay: Option<Duration>,
    /// Time that running requests have to finish after DRAIN_DELAY: at most 5m. `dev` waits at most
    /// 3s.
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "25s", value_parser = parse_drain)]
    pub drain_timeout: Duration,
}

/// Longest part of a stop.
const LONGEST: Duration = Duration::from_mins(5);

fn parse_drain(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time <= LONGEST { Ok(time) } else { Err("the time is longer than 5m".to_owned()) }
}

impl DrainSettings {
    /// Returns the delay of `serve`. Endpoints and proxies stop sending requests in that time.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.drain_delay.unwrap_or(Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_stop_takes_at_most_five_minutes() {
        assert!(parse_drain("5m").is_ok() && parse_drain("0s").is_ok());
        assert!(parse_drain("301s").is_err());
    }
}
