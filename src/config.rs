//! Every setting: its flag, its variable, its default and what it means. This is `--help`.
#![expect(clippy::doc_markdown, reason = "these comments are shown as plain text in a terminal")]

mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use self::values::{
    parse_duration, parse_engine, parse_keep_alive, parse_order_timeout, parse_parameter,
    parse_retention, parse_time, parse_window,
};
use crate::domain::Time;
use crate::storage::Engine;

/// Opens CDN and DCDN for accounts and tells how each is charged: over gRPC, and over the signed
/// RPC query format that existing SDKs speak.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What is logged, as a filter: "info", "warn,cdn_activation=info", … A release build has nothing below info.
    #[arg(long, env = "LOG", default_value = "info", global = true)]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves on a private PostgreSQL that it starts itself, with demo accounts: for trying out and
    /// for tests.
    Dev(DevSettings),
    /// Serves on DATABASE_URL.
    Serve(ServeSettings),
    /// Brings the schema of the database up to date, and ends.
    Migrate(MigrateSettings),
    /// Signs and sends one request to any endpoint, and prints the answer. Exit status: 0 answered,
    /// 1 refused, 2 unreachable.
    Call(CallSettings),
    /// Prints the descriptors of the API and of its error details, an encoded FileDescriptorSet.
    Descriptors,
}

/// Settings of `dev`.
#[derive(Args, Debug)]
pub struct DevSettings {
    /// Where the state is kept: the database, the sealing key, the service token. Default: .dev
    #[arg(long, env = "DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Starts the business clock at this instant (yyyy-MM-ddTHH:mm:ssZ); it runs on from there.
    /// Signatures are judged by the real clock.
    #[arg(long, value_parser = parse_time)]
    pub at: Option<Time>,
    /// Directory of the PostgreSQL server binaries. Default: the newest installed.
    #[arg(long, env = "PG_BIN")]
    pub pg_bin: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub shared: SharedSettings,
}

/// Settings of `serve`.
#[derive(Args, Debug)]
pub struct ServeSettings {
    /// The database: postgres://user:password@host/name. Of several hosts, as in psql's URLs, the one
    /// that takes writes is used.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub shared: SharedSettings,
}

/// Settings of `migrate`.
#[derive(Args, Debug)]
pub struct MigrateSettings {
    /// The database: postgres://user:password@host/name
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        required_unless_present = "db_admin_url"
    )]
    pub database_url: Option<String>,
    /// The same database for migrations, as a role that may change tables.
    #[arg(long, env = "DB_ADMIN_URL", hide_env_values = true)]
    pub db_admin_url: Option<String>,
    /// What the database is: auto, postgres, citus. On Citus the tables that accounts own are distributed.
    #[arg(long, env = "ENGINE", default_value = "auto", value_parser = parse_engine)]
    pub engine: Engine,
}

/// Settings that `dev` and `serve` share.
#[derive(Args, Clone, Debug)]
pub struct SharedSettings {
    /// Where gRPC listens: actions, operators, health, reflection. Port 0: any free one.
    #[arg(long, env = "GRPC_ADDR", default_value = "127.0.0.1:50051")]
    pub grpc_addr: String,
    /// Where the RPC query format listens.
    #[arg(long, env = "REST_ADDR", default_value = "127.0.0.1:8080")]
    pub rest_addr: String,
    /// Where /livez, /readyz and /metrics are.
    #[arg(long, env = "OPS_ADDR", default_value = "127.0.0.1:9090")]
    pub ops_addr: String,
    /// File with the token that calling services send as "authorization: Bearer …". Without it
    /// `serve` lets nobody in over gRPC but health checks; `dev` makes one.
    #[arg(long, env = "SERVICE_TOKEN_FILE")]
    pub service_token_file: Option<PathBuf>,
    /// File with the key that seals access key secrets at rest: 32 bytes in base64. `dev` makes
    /// one.
    #[arg(long, env = "SEALING_KEY_FILE")]
    pub sealing_key_file: Option<PathBuf>,
    /// Least balance for opening and changing, in minor units of the currency.
    #[arg(long, env = "MINIMUM_BALANCE", default_value_t = 0, allow_negative_numbers = true)]
    pub minimum_balance: i64,
    /// How long a financial lock may hold before payment counts as overdue.
    #[arg(long, env = "OVERDUE_GRACE", default_value = "24h", value_parser = parse_duration)]
    pub overdue_grace: Duration,
    /// How far a signed timestamp may be from the clock, either way; at most 15m.
    #[arg(long, env = "TIMESTAMP_WINDOW", default_value = "15m", value_parser = parse_window)]
    pub timestamp_window: Duration,
    /// The commerce system that takes the orders of openings: http://host:port, or https://host:port,
    /// trusted by the certificates of the operating system (or SSL_CERT_FILE). It implements
    /// activation.order.v1.OrderService. Without it orders are rows of our own, and nobody cancels
    /// what was left over there: take it away only when every row of order_intents is opened or cancelled.
    #[arg(long, env = "ORDER_ENDPOINT")]
    pub order_endpoint: Option<String>,
    /// How long placing an order may take there, repeats included; then the opening is refused. From
    /// 100ms to 5s, below the deadline of a request.
    #[arg(long, env = "ORDER_TIMEOUT", default_value = "2s", value_parser = parse_order_timeout)]
    pub order_timeout: Duration,
    /// How long after its request an order that was not opened is cancelled by a reconciler, where the
    /// request could not. Longer than ORDER_TIMEOUT.
    #[arg(long, env = "ORDER_RECONCILE_AFTER", default_value = "60s", value_parser = parse_duration)]
    pub order_reconcile_after: Duration,
    /// How long events are kept for those who follow them: 1m to 3650d.
    #[arg(long, env = "EVENT_RETENTION", default_value = "7d", value_parser = parse_retention)]
    pub event_retention: Duration,
    /// How long to go on serving, unready, after SIGTERM before the listeners close.
    #[arg(long, env = "DRAIN_DELAY", default_value = "0s", value_parser = parse_duration)]
    pub drain_delay: Duration,
    /// How long running requests may take to finish after that. `dev` waits 3s at most.
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "25s", value_parser = parse_duration)]
    pub drain_timeout: Duration,
    /// Most connections of this process to the database: a quarter for the background, the rest shared by
    /// the cores. One more listens for events. Default: 8 for each core.
    #[arg(long, env = "DB_CONNECTIONS", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub db_connections: Option<u32>,
    /// What the database is: auto, which asks it, postgres, or citus.
    #[arg(long, env = "ENGINE", default_value = "auto", value_parser = parse_engine)]
    pub engine: Engine,
    /// Whether this process does the work of the background, too: numbering events, settling due changes,
    /// forgetting what has expired. Some replica must; what requests answer does not depend on it.
    #[arg(long, env = "WORKERS", default_value_t = true, action = clap::ArgAction::Set)]
    pub workers: bool,
    /// One in so many successful calls of actions is logged; faults and operators' calls always are, refusals up to 50 a second.
    /// Default: 100; `dev`: every one.
    #[arg(long, env = "LOG_ONE_IN", value_parser = clap::value_parser!(u32).range(1..))]
    pub log_one_in: Option<u32>,
    /// Most open connections of the RPC query format; beyond them a new one takes the place of one that is
    /// silent or idle. Fewer where the limit on file descriptors allows no more.
    #[arg(long, env = "REST_CONNECTIONS", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(16..))]
    pub rest_connections: u16,
    /// The same of gRPC.
    #[arg(long, env = "GRPC_CONNECTIONS", default_value_t = 512, value_parser = clap::value_parser!(u16).range(16..))]
    pub grpc_connections: u16,
    /// How long a connection of the RPC query format, or of the ops pages, is kept without a request: 2s to
    /// 1h. Answers tell five seconds less in `Keep-Alive`, or half of it.
    #[arg(long, env = "KEEP_ALIVE", default_value = "75s", value_parser = parse_keep_alive)]
    pub keep_alive: Duration,
    /// How many cores answer requests, each with a thread and connections of its own. Default: all, at most 4.
    #[arg(long, env = "CORES", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub cores: Option<u16>,
}

/// Settings of `call`.
#[derive(Args, Debug)]
pub struct CallSettings {
    /// The action, for example DescribeDcdnService.
    pub action: String,
    /// Its parameters, each as Name=Value.
    #[arg(value_parser = parse_parameter)]
    pub parameters: Vec<(String, String)>,
    /// Where to send it.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub endpoint: String,
    /// The API version. Default: the newest that has the action.
    #[arg(long)]
    pub api_version: Option<String>,
    /// The access key that signs.
    #[arg(long, env = "ALIBABA_CLOUD_ACCESS_KEY_ID")]
    pub access_key_id: String,
    /// File with its secret.
    #[arg(long, required_unless_present = "access_key_secret")]
    pub access_key_secret_file: Option<PathBuf>,
    /// Its secret, from the variable only: a flag could be seen by others on this machine.
    #[arg(env = "ALIBABA_CLOUD_ACCESS_KEY_SECRET", long, hide = true, hide_env_values = true)]
    pub access_key_secret: Option<String>,
    /// Signs with ACS3-HMAC-SHA256 instead of HMAC-SHA1.
    #[arg(long)]
    pub v3: bool,
    /// Asks for XML instead of JSON.
    #[arg(long)]
    pub xml: bool,
    /// Prints the signed URL instead of sending the request (not with --v3, which signs headers).
    #[arg(long, conflicts_with_all = ["v3", "print_curl"])]
    pub print_url: bool,
    /// Prints a curl command instead of sending the request.
    #[arg(long)]
    pub print_curl: bool,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::iter;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    /// The command, flag, variable and default of each setting, as `docs/settings.md` spells them.
    fn settings_of(command: &clap::Command) -> Vec<[String; 4]> {
        let cell = |text: Option<String>| text.map_or("–".to_owned(), |text| format!("`{text}`"));
        let settings = command.get_arguments().filter(|setting| setting.get_long().is_some());
        let rows = settings.map(|setting| {
            let flag = setting.get_long().filter(|_| !setting.is_hide_set());
            let variable = setting.get_env().map(|name| name.to_string_lossy().into_owned());
            let default = setting.get_default_values().first();
            let default = default.map(|value| value.to_string_lossy().into_owned());
            let flag = flag.map(|long| format!("--{long}"));
            [command.get_name().to_owned(), cell(flag), cell(variable), cell(default)]
        });
        rows.collect()
    }

    #[test]
    fn the_page_of_settings_equals_the_settings() {
        let mut commands = Vec::new();
        let mut page = BTreeSet::new();
        for line in include_str!("../docs/settings.md").lines() {
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
        let commands = iter::once(&program).chain(program.get_subcommands());
        let settings: BTreeSet<_> = commands.flat_map(settings_of).collect();
        let missing: Vec<_> = settings.difference(&page).collect();
        let obsolete: Vec<_> = page.difference(&settings).collect();
        assert!(missing.is_empty(), "docs/settings.md lacks {missing:#?}");
        assert!(obsolete.is_empty(), "docs/settings.md has other settings: {obsolete:#?}");
    }
}
