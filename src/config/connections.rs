//! The settings of connections: how long they live, when a silent peer is given up, and how many
//! calls one of them may have.

use std::time::Duration;

use clap::Args;

use super::values::parse_duration;

/// Settings of connections.
#[derive(Args, Clone, Debug)]
pub struct ConnectionSettings {
    /// Age at which a connection of gRPC or of the RPC query format is asked to end, so that clients
    /// spread over new replicas: 10s to 1d. Each connection gets up to a tenth more, by chance.
    #[arg(long, env = "CONNECTION_AGE", default_value = "5m", value_parser = parse_age)]
    pub connection_age: Duration,
    /// How long a gRPC connection may be silent before the service sends a ping: 1s to 1h.
    #[arg(long, env = "GRPC_KEEPALIVE_INTERVAL", default_value = "30s", value_parser = parse_interval)]
    pub grpc_keepalive_interval: Duration,
    /// How long the answer to this ping may take before the connection is ended: 1s to 1m.
    #[arg(long, env = "GRPC_KEEPALIVE_TIMEOUT", default_value = "10s", value_parser = parse_timeout)]
    pub grpc_keepalive_timeout: Duration,
    /// Largest number of calls at once on a gRPC connection: 1 to 1000. Further calls wait at the
    /// client.
    #[arg(long, env = "GRPC_STREAMS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub grpc_streams: u32,
}

fn parse_between(
    text: &str,
    bounds: std::ops::RangeInclusive<u64>,
    written: &str,
) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    let shortest = Duration::from_secs(*bounds.start());
    if time < shortest || time > Duration::from_secs(*bounds.end()) {
        return Err(format!("the time is not between {written}"));
    }
    Ok(time)
}

fn parse_age(text: &str) -> Result<Duration, String> {
    parse_between(text, 10..=86_400, "10s and 1d")
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    parse_between(text, 1..=3600, "1s and 1h")
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    parse_between(text, 1..=60, "1s and 1m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_connections_have_bounds() {
        assert!(parse_age("10s").is_ok() && parse_age("1d").is_ok());
        assert!(parse_age("9s").is_err() && parse_age("86401s").is_err());
        assert!(parse_interval("1s").is_ok() && parse_interval("1h").is_ok());
        assert!(parse_interval("999ms").is_err() && parse_interval("3601s").is_err());
        assert!(parse_timeout("1m").is_ok() && parse_timeout("61s").is_err());
    }
}
