//! Every setting: its flag, its variable, its default and its meaning. The doc comments are the
//! texts of `--help`.
#![expect(clippy::doc_markdown, reason = "these comments are shown as plain text in a terminal")]

mod audit;
mod commerce;
mod listening;
mod quotas;
mod sealing;
mod services;
mod tools;
mod traces;
mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use self::audit::AuditSettings;
pub use self::commerce::OrderIdentitySettings;
pub use self::listening::ListeningSettings;
pub use self::quotas::QuotaSettings;
pub use self::sealing::ResealSettings;
pub use self::services::{CallerSettings, NewTokenSettings, TokenCommand, TokenSettings};
pub use self::tools::{CallSettings, DescriptorsSettings, ExplainSettings};
pub use self::traces::{Concealed, TelemetrySettings};
use self::values::{
    parse_duration, parse_engine, parse_explorer_url, parse_keep_alive, parse_order_timeout,
    parse_retention, parse_time, parse_window,
};
use crate::domain::Time;
use crate::storage::Engine;

/// Opens CDN and DCDN for accounts, and says how each of them is charged. It is called over gRPC,
/// and over the signed RPC query format of existing SDKs.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// Filter of the log, for example "info" or "warn,cdn_activation=info". A release build has no
    /// level below info.
    #[arg(long, env = "LOG", default_value = "info", global = true)]
    pub log: String,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves with a PostgreSQL of its own, which it starts, and with demo accounts: for
    /// development and tests.
    Dev(DevSettings),
    /// Serves with the database at DATABASE_URL.
    Serve(ServeSettings),
    /// Brings the schema of the database up to date, and exits.
    Migrate(MigrateSettings),
    /// Encrypts the secrets of all access keys with the first sealing key, while the service serves,
    /// and exits.
    Reseal(ResealSettings),
    /// Signs one request, sends it to any endpoint, and prints the answer. Exit status: 0 if the
    /// server accepted the request, 1 if it refused it, 2 if it could not be reached.
    Call(CallSettings),
    /// Reads a signed URL, a curl command, a raw HTTP request, a string to sign or an error message
    /// from standard input, and says why its signature does not match. Exit status: 0 if the
    /// signature is right or a cause is named, 1 if no cause was found, 2 if the input cannot be
    /// read.
    Explain(ExplainSettings),
    /// Makes tokens for services that call over gRPC.
    Token(TokenSettings),
    /// Prints the descriptors of the API and of its error details as an encoded FileDescriptorSet,
    /// or the OpenAPI description of the RPC query format.
    Descriptors(DescriptorsSettings),
}

/// Settings of `dev`.
#[derive(Args, Debug)]
pub struct DevSettings {
    /// Directory of the state: the database, the sealing key, the service token. Default: .dev
    #[arg(long, env = "DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Instant at which the business clock starts (yyyy-MM-ddTHH:mm:ssZ). Signatures are checked
    /// against the real clock.
    #[arg(long, value_parser = parse_time)]
    pub at: Option<Time>,
    /// Directory of the PostgreSQL server programs. Default: the newest installed version.
    #[arg(long, env = "PG_BIN")]
    pub pg_bin: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub shared: SharedSettings,
}

/// Settings of `serve`.
#[derive(Args, Debug)]
pub struct ServeSettings {
    /// URL of the database: postgres://user:password@host/name. It may name several hosts, as in
    /// psql; the host that accepts writes is used.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub shared: SharedSettings,
}

/// Settings of `migrate`.
#[derive(Args, Debug)]
pub struct MigrateSettings {
    /// URL of the database: postgres://user:password@host/name
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        required_unless_present = "db_admin_url"
    )]
    pub database_url: Option<String>,
    /// URL of the same database, with the role that owns the tables. Takes precedence over
    /// DATABASE_URL.
    #[arg(long, env = "DB_ADMIN_URL", hide_env_values = true)]
    pub db_admin_url: Option<String>,
    /// The database engine: postgres, citus, or auto, which asks the database. On Citus, the tables
    /// that accounts own are distributed.
    #[arg(long, env = "ENGINE", default_value = "auto", value_parser = parse_engine)]
    pub engine: Engine,
}

/// Settings that `dev` and `serve` share.
#[derive(Args, Clone, Debug)]
pub struct SharedSettings {
    /// Address of the gRPC listener: actions, operator services, health, reflection. Port 0 selects
    /// a free port.
    #[arg(long, env = "GRPC_ADDR", default_value = "127.0.0.1:50051")]
    pub grpc_addr: String,
    /// Address of the listener of the signed RPC query format. Port 0 selects a free port.
    #[arg(long, env = "REST_ADDR", default_value = "127.0.0.1:8080")]
    pub rest_addr: String,
    /// Address of /livez, /readyz and /metrics. Port 0 selects a free port.
    #[arg(long, env = "OPS_ADDR", default_value = "127.0.0.1:9090")]
    pub ops_addr: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub callers: CallerSettings,
    /// File with the keys that encrypt the secrets of access keys in the database, one a line: 32
    /// bytes in base64. The first key encrypts, all keys decrypt. A change is in force within 10
    /// s. `dev` creates a key.
    #[arg(long, env = "SEALING_KEY_FILE")]
    pub sealing_key_file: Option<PathBuf>,
    /// Lowest balance with which an account can open a product or change its charge type, in minor
    /// units of the currency.
    #[arg(long, env = "MINIMUM_BALANCE", default_value_t = 0, allow_negative_numbers = true)]
    pub minimum_balance: i64,
    /// How long a financial lock may hold before payment is overdue.
    #[arg(long, env = "OVERDUE_GRACE", default_value = "24h", value_parser = parse_duration)]
    pub overdue_grace: Duration,
    /// Largest difference between a signed timestamp and the clock, in either direction. At most
    /// 15m.
    #[arg(long, env = "TIMESTAMP_WINDOW", default_value = "15m", value_parser = parse_window)]
    pub timestamp_window: Duration,
    /// URL of the commerce system that takes the orders of openings: http://host:port, or
    /// https://host:port. It implements activation.order.v1.OrderService. Without this setting, orders are rows in the database, and orders that remain in the commerce system
    /// are not cancelled: unset it only when every row of order_intents is opened or cancelled.
    #[arg(long, env = "ORDER_ENDPOINT")]
    pub order_endpoint: Option<String>,
    /// Time limit for placing an order, retries included: 100ms to 5s, which is below the deadline
    /// of a request. After that, the opening is refused.
    #[arg(long, env = "ORDER_TIMEOUT", default_value = "2s", value_parser = parse_order_timeout)]
    pub order_timeout: Duration,
    /// Age at which a reconciler cancels an order whose opening did not complete, if the request
    /// could not cancel it. Must be longer than ORDER_TIMEOUT.
    #[arg(long, env = "ORDER_RECONCILE_AFTER", default_value = "60s", value_parser = parse_duration)]
    pub order_reconcile_after: Duration,
    /// How long events are kept for followers: 1m to 3650d.
    #[arg(long, env = "EVENT_RETENTION", default_value = "7d", value_parser = parse_retention)]
    pub event_retention: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub audit: AuditSettings,
    /// Time from SIGTERM until the listeners close. During that time, requests are served and
    /// /readyz answers 503.
    #[arg(long, env = "DRAIN_DELAY", default_value = "0s", value_parser = parse_duration)]
    pub drain_delay: Duration,
    /// Time that running requests have to finish after DRAIN_DELAY. `dev` waits at most 3s.
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "25s", value_parser = parse_duration)]
    pub drain_timeout: Duration,
    /// Largest number of database connections of this process: a quarter for the background
    /// workers, the rest shared by the cores. One more connection listens for events. Default: 8
    /// for each core.
    #[arg(long, env = "DB_CONNECTIONS", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub db_connections: Option<u32>,
    /// The database engine: postgres, citus, or auto, which asks the database.
    #[arg(long, env = "ENGINE", default_value = "auto", value_parser = parse_engine)]
    pub engine: Engine,
    /// Whether this process runs the background workers: numbering events, settling due changes,
    /// deleting what has expired. At least one replica must; the answers to requests do not depend
    /// on it.
    #[arg(long, env = "WORKERS", default_value_t = true, action = clap::ArgAction::Set)]
    pub workers: bool,
    /// Whether the listener of the RPC query format also has the API explorer and the error center,
    /// below /explorer/. Every peer that reaches the listener can read them. Default: no; `dev`: yes.
    #[arg(long, env = "EXPLORER", action = clap::ArgAction::Set)]
    pub explorer: Option<bool>,
    /// Logs one of this many successful calls of actions. Faults and operators' calls are always
    /// logged, refusals up to 50 a second. Default: 100; `dev`: 1.
    #[arg(long, env = "LOG_ONE_IN", value_parser = clap::value_parser!(u32).range(1..))]
    pub log_one_in: Option<u32>,
    /// Largest number of open connections of the RPC query format. If it is reached, a new
    /// connection replaces one that is silent or idle. It is lowered if the limit on file
    /// descriptors requires it.
    #[arg(long, env = "REST_CONNECTIONS", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(16..))]
    pub rest_connections: u16,
    /// The same for gRPC.
    #[arg(long, env = "GRPC_CONNECTIONS", default_value_t = 512, value_parser = clap::value_parser!(u16).range(16..))]
    pub grpc_connections: u16,
    /// How long a connection of the RPC query format, or of the ops pages, stays open without a
    /// request: 2s to 1h. The header Keep-Alive announces five seconds less, or half of the value
    /// if that is more.
    #[arg(long, env = "KEEP_ALIVE", default_value = "75s", value_parser = parse_keep_alive)]
    pub keep_alive: Duration,
    /// Number of cores that answer requests, each with one thread and its own connections. Default:
    /// all cores, at most 4.
    #[arg(long, env = "CORES", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub cores: Option<u16>,
    /// URL of an explorer, http or https, to whose pages about errors the errors of this service
    /// point. Without it, errors have no such address; `dev` uses its own explorer.
    #[arg(long, env = "EXPLORER_URL", value_parser = parse_explorer_url)]
    pub explorer_url: Option<Arc<str>>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub listening: ListeningSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub order_identity: OrderIdentitySettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub quotas: QuotaSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub telemetry: TelemetrySettings,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Returns the command, flag, variable and default of each setting of a command and of those
    /// below it, as `docs/settings.md` spells them.
    fn settings_of(name: &str, command: &clap::Command) -> Vec<[String; 4]> {
        let below = command
            .get_subcommands()
            .flat_map(|below| settings_of(&format!("{name} {}", below.get_name()), below));
        own_settings_of(name, command).into_iter().chain(below).collect()
    }

    fn own_settings_of(name: &str, command: &clap::Command) -> Vec<[String; 4]> {
        let cell = |text: Option<String>| text.map_or("–".to_owned(), |text| format!("`{text}`"));
        let settings = command.get_arguments().filter(|setting| setting.get_long().is_some());
        let rows = settings.map(|setting| {
            let flag = setting.get_long().filter(|_| !setting.is_hide_set());
            let variable = setting.get_env().map(|name| name.to_string_lossy().into_owned());
            let default = setting.get_default_values().first();
            let default = default.map(|value| value.to_string_lossy().into_owned());
            let flag = flag.map(|long| format!("--{long}"));
            [name.to_owned(), cell(flag), cell(variable), cell(default)]
        });
        rows.collect()
    }

    #[test]
    fn the_page_of_settings_equals_the_settings() {
        let mut commands = Vec::new();
        let mut page = BTreeSet::new();
        for line in include_str!("../../docs/settings.md").lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                commands = heading.split('`').skip(1).step_by(2).collect();
            } else if line.starts_with("| `") || line.starts_with("| –") {
                let cells: Vec<_> = line.trim_matches(['|', ' ']).split(" | ").collect();
                let [flag, variable, default, _] = cells[..] else { panic!("four cells: {line}") };
                let rows = commands.iter().map(|command| [command, flag, variable, default]);
                page.extend(rows.map(|row| row.map(str::to_owned)));
            }
        }
        let program = Cli::command();
        let below =
            program.get_subcommands().flat_map(|command| settings_of(command.get_name(), command));
        let settings: BTreeSet<_> =
            own_settings_of(program.get_name(), &program).into_iter().chain(below).collect();
        let missing: Vec<_> = settings.difference(&page).collect();
        let obsolete: Vec<_> = page.difference(&settings).collect();
        assert!(missing.is_empty(), "docs/settings.md lacks {missing:#?}");
        assert!(obsolete.is_empty(), "docs/settings.md has other settings: {obsolete:#?}");
    }
}
