//! Settings whose default depends on the command or on the machine. The service uses these values,
//! and `--print-config` shows them.

use std::thread::available_parallelism;
use std::time::Duration;

use super::{Command, SharedSettings};

/// Largest default number of cores. More are of no use beside a database.
const MOST_CORES: u16 = 4;
/// A quarter of the connections is for the background, so six are left to a core: two for nonces,
/// two for other writes, one for writes that wait for a locked row, and one that is reserved for
/// reads.
const CONNECTIONS_PER_CORE: u32 = 8;
/// `serve` logs one in so many successful calls. A log line is a system call for one request, while
/// requests share all other system calls.
const LOG_ONE_IN: u32 = 100;
/// How long `serve` waits until it closes its listeners. Endpoints and proxies stop sending requests
/// in that time.
const DRAIN_DELAY: Duration = Duration::from_secs(5);

/// A command that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingCommand {
    /// `serve`.
    Serve,
    /// `dev`.
    Dev,
}

/// The values of the settings that have such a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputedSettings {
    /// `CORES`.
    pub cores: u16,
    /// `DB_CONNECTIONS`.
    pub db_connections: u32,
    /// `DRAIN_DELAY`.
    pub drain_delay: Duration,
    /// `EXPLORER`.
    pub explorer: bool,
    /// `LOG_ONE_IN`.
    pub log_one_in: u32,
    /// `QUOTAS`.
    pub quotas: bool,
}

impl SharedSettings {
    /// Returns the values of the settings whose default depends on the command or on the machine.
    #[must_use]
    pub fn computed(&self, command: ServingCommand) -> ComputedSettings {
        let cores = self.cores.unwrap_or_else(all_cores);
        let connections = self.database_use.db_connections;
        let is_dev = command == ServingCommand::Dev;
        // A developer wants to see every call, and does not wait for a load balancer.
        let (drain_delay, log_one_in) =
            if is_dev { (Duration::ZERO, 1) } else { (DRAIN_DELAY, LOG_ONE_IN) };
        ComputedSettings {
            cores,
            db_connections: connections.unwrap_or(CONNECTIONS_PER_CORE * u32::from(cores)),
            drain_delay: self.draining.drain_delay.unwrap_or(drain_delay),
            explorer: self.explorer.unwrap_or(is_dev),
            log_one_in: self.log_one_in.unwrap_or(log_one_in),
            quotas: self.quotas.quotas.unwrap_or(!is_dev),
        }
    }
}

impl Command {
    /// Returns the variables and the values of the settings whose default depends on the command or
    /// on the machine.
    pub(super) fn computed(&self) -> Vec<(&'static str, String)> {
        let computed = match self {
            Self::Serve(serve) => serve.shared.computed(ServingCommand::Serve),
            Self::Dev(dev) => dev.shared.computed(ServingCommand::Dev),
            _ => return Vec::new(),
        };
        vec![
            ("CORES", computed.cores.to_string()),
            ("DB_CONNECTIONS", computed.db_connections.to_string()),
            ("DRAIN_DELAY", format!("{}s", computed.drain_delay.as_secs_f64())),
            ("EXPLORER", computed.explorer.to_string()),
            ("LOG_ONE_IN", computed.log_one_in.to_string()),
            ("QUOTAS", computed.quotas.to_string()),
        ]
    }
}

fn all_cores() -> u16 {
    let all = available_parallelism().map_or(1, usize::from);
    u16::try_from(all).map_or(MOST_CORES, |all| all.min(MOST_CORES))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Cli;

    fn computed(arguments: &[&str]) -> Vec<(&'static str, String)> {
        let arguments = [&["cdn-activation"], arguments].concat();
        Cli::try_parse_from(arguments).unwrap().command.computed()
    }

    #[test]
    fn a_default_follows_the_command_and_another_setting() {
        let value = |arguments: &[&str], variable: &str| {
            let computed = computed(arguments);
            computed.into_iter().find(|(name, _)| *name == variable).unwrap().1
        };
        for (variable, serve, dev) in [
            ("DRAIN_DELAY", "5s", "0s"),
            ("EXPLORER", "false", "true"),
            ("LOG_ONE_IN", "100", "1"),
            ("QUOTAS", "true", "false"),
        ] {
            assert_eq!(value(&["serve"], variable), serve, "{variable}");
            assert_eq!(value(&["dev"], variable), dev, "{variable}");
        }
        assert_eq!(value(&["serve", "--cores", "3"], "DB_CONNECTIONS"), "24");
        assert_eq!(value(&["serve", "--db-connections", "7"], "DB_CONNECTIONS"), "7");
        let cores: u16 = value(&["serve"], "CORES").parse().unwrap();
        assert!((1..=MOST_CORES).contains(&cores), "{cores}");
        assert_eq!(computed(&["migrate"]), []);
    }
}
