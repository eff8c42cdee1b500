//! Every setting: its flag, its variable, its default and its meaning. The doc comments are the
//! texts of `--help`.
#![expect(clippy::doc_markdown, reason = "these comments are shown as plain text in a terminal")]

mod arguments;
mod audit;
mod commerce;
mod computed;
mod connections;
mod database;
mod draining;
mod generation;
mod grace;
mod listening;
mod near_misses;
mod print;
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

pub use self::arguments::{Arguments, StartRefused, named, read};
pub use self::audit::AuditSettings;
pub use self::commerce::OrderIdentitySettings;
pub use self::computed::{ComputedSettings, ServingCommand};
pub use self::connections::ConnectionSettings;
pub use self::database::{DatabaseSettings, DatabaseUseSettings, MigrateSettings, UrlSource};
pub use self::draining::{DrainSettings, STOP_SLACK};
pub use self::generation::NewGenerationSettings;
pub use self::grace::GraceSettings;
pub use self::listening::ListeningSettings;
pub use self::near_misses::NearMiss;
pub use self::quotas::QuotaSettings;
pub use self::sealing::ResealSettings;
pub use self::services::{CallerSettings, NewTokenSettings, TokenCommand, TokenSettings};
pub use self::tools::{CallSettings, DescriptorsSettings, ExplainSettings};
pub use self::traces::{Concealed, TelemetrySettings};
use self::values::{between, number, parse_explorer_url, parse_log, parse_time};
use crate::domain::Time;

/// Opens CDN and DCDN for accounts, and says how each of them is charged. It is called over gRPC,
/// and over the signed RPC query format of existing SDKs.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// Filter of the log, for example "info" or "warn,cdn_activation=info". A release build has no
    /// level below info.
    #[arg(long, env = "LOG", default_value = "info", global = true, value_parser = parse_log)]
    pub log: String,
    /// Prints every setting of the command with its value and where the value is from (flag,
    /// variable, default), and exits. Secrets are hidden. Nothing is connected to or changed.
    #[arg(long, global = true)]
    pub print_config: bool,
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
    /// Serves with the database at DATABASE_URL or DATABASE_URL_FILE.
    Serve(ServeSettings),
    /// Brings the schema of the database up to date, and exits.
    Migrate(MigrateSettings),
    /// Encrypts the secrets of all access keys with the first sealing key, while the service serves,
    /// and exits.
    Reseal(ResealSettings),
    /// Begins a generation of the event log, and exits: every follower that has seen an event gets
    /// CursorExpired and starts over. Needed only if the log was set back without a start, promotion
    /// or restore of PostgreSQL.
    NewGeneration(NewGenerationSettings),
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
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub database: DatabaseSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub shared: SharedSettings,
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
    /// How long a financial lock may hold before payment is overdue: 0s to 3650d.
    #[arg(long, env = "OVERDUE_GRACE", default_value = "24h", value_parser = between("0s", "3650d"))]
    pub overdue_grace: Duration,
    /// Largest difference between a signed timestamp and the clock, in either direction: 1s to 15m.
    #[arg(long, env = "TIMESTAMP_WINDOW", default_value = "15m", value_parser = between("1s", "15m"))]
    pub timestamp_window: Duration,
    /// URL of the commerce system that takes the orders of openings: http://host:port, or
    /// https://host:port. It implements activation.order.v1.OrderService. Without this setting, orders are rows in the database, and orders that remain in the commerce system
    /// are not cancelled: unset it only when every row of order_intents is opened or cancelled.
    #[arg(long, env = "ORDER_ENDPOINT")]
    pub order_endpoint: Option<String>,
    /// Time limit for placing an order, retries included: 100ms to 5s, which is below the deadline
    /// of a request. After that, the opening is refused.
    #[arg(long, env = "ORDER_TIMEOUT", default_value = "2s", value_parser = between("100ms", "5s"))]
    pub order_timeout: Duration,
    /// Age at which a reconciler cancels an order whose opening did not complete, if the request
    /// could not cancel it: 1s to 1d. Must be longer than ORDER_TIMEOUT.
    #[arg(long, env = "ORDER_RECONCILE_AFTER", default_value = "60s", value_parser = between("1s", "1d"))]
    pub order_reconcile_after: Duration,
    /// How long events are kept for followers: 1m to 3650d.
    #[arg(long, env = "EVENT_RETENTION", default_value = "7d", value_parser = between("1m", "3650d"))]
    pub event_retention: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub audit: AuditSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub draining: DrainSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub grace: GraceSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub database_use: DatabaseUseSettings,
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
    /// logged, refusals up to 50 a second. 1 to 1000000. Default: 100; `dev`: 1.
    #[arg(long, env = "LOG_ONE_IN", value_parser = number(1_u32, 1_000_000))]
    pub log_one_in: Option<u32>,
    /// Largest number of open connections of the RPC query format. If it is reached, a new
    /// connection replaces one that is silent or idle. It is lowered if the limit on file
    /// descriptors requires it. 16 to 65535.
    #[arg(long, env = "REST_CONNECTIONS", default_value_t = 1024, value_parser = number(16_u16, 65_535))]
    pub rest_connections: u16,
    /// The same for gRPC.
    #[arg(long, env = "GRPC_CONNECTIONS", default_value_t = 512, value_parser = number(16_u16, 65_535))]
    pub grpc_connections: u16,
    /// How long a connection of the RPC query format, or of the ops pages, stays open without a
    /// request: 2s to 1h. The header Keep-Alive announces five seconds less, or half of the value
    /// if that is more.
    #[arg(long, env = "KEEP_ALIVE", default_value = "75s", value_parser = between("2s", "1h"))]
    pub keep_alive: Duration,
    /// Number of cores that answer requests, each with one thread and its own connections. Default:
    /// all cores, at most 4. 1 to 256.
    #[arg(long, env = "CORES", value_parser = number(1_u16, 256))]
    pub cores: Option<u16>,
    /// URL of an explorer, http or https, to whose pages about errors the errors of this service
    /// point. Without it, errors have no such address; `dev` uses its own explorer.
    #[arg(long, env = "EXPLORER_URL", value_parser = parse_explorer_url)]
    pub explorer_url: Option<Arc<str>>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub connections: ConnectionSettings,
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

    /// Calls `check` with each setting of a command and of those below it, and with the arguments
    /// that name its command.
    fn each_setting(
        path: &[&str],
        command: &clap::Command,
        check: &mut impl FnMut(&[&str], &clap::Arg),
    ) {
        for setting in command.get_arguments() {
            check(path, setting);
        }
        for below in command.get_subcommands() {
            each_setting(&[path, &[below.get_name()]].concat(), below, check);
        }
    }

    /// Returns the bounds "A to B" that the error of a setting names if its value is too large.
    fn bounds_of(path: &[&str], setting: &clap::Arg, too_large: &str) -> Option<String> {
        let flag = format!("--{}={too_large}", setting.get_long()?);
        let refused = Cli::try_parse_from([path, &[&flag]].concat()).err()?;
        let sentence = std::error::Error::source(&refused)?.to_string();
        let bounds = sentence.split_once("between ").or(sentence.split_once("number from "))?.1;
        Some(bounds.replace(" and ", " to "))
    }

    #[test]
    fn every_duration_and_every_count_has_bounds_that_the_page_of_settings_names() {
        use std::any::TypeId;
        let page = include_str!("../../docs/settings.md");
        let (mut durations, mut counts) = (0, 0);
        each_setting(&["cdn-activation"], &Cli::command(), &mut |path, setting| {
            let holds = |types: &[TypeId]| {
                let own = setting.get_value_parser().type_id();
                types.iter().any(|one| own == *one)
            };
            let too_large = if holds(&[TypeId::of::<Duration>()]) {
                durations += 1;
                "4294967295d"
            } else if holds(&[TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()]) {
                counts += 1;
                "4294967295"
            } else {
                return;
            };
            let name = setting.get_id();
            let bounds = bounds_of(path, setting, too_large);
            let bounds = bounds.unwrap_or_else(|| panic!("{name} has no bounds"));
            let flag = format!("| `--{}` |", setting.get_long().unwrap());
            let is_its_row = |row: &&str| row.starts_with(&flag);
            let has_bounds = page.lines().filter(is_its_row).all(|row| row.contains(&bounds));
            assert!(has_bounds, "docs/settings.md: {name} is {bounds}");
        });
        assert!(durations >= 10 && counts >= 5, "{durations} durations, {counts} counts");
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
