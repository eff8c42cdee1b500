//! The bench compares the CPU time of a call with that of other programs that do the same work, on
//! the same machine in the same minutes. `docs/performance.md` describes the method and the results.
//!
//! The targets of the Makefile run it with the released program.

mod attack;
mod callers;
mod check;
mod clock;
mod cost;
mod database;
mod full;
mod load;
mod meters;
mod report;
mod rollout;
mod rounds;
mod servers;
mod signature;
mod statements;
mod subjects;
mod timing;
mod tls;
mod train;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use rounds::Setting;

/// Compares the service with the database alone and with other services.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: Run,
}

/// The options of a run.
#[derive(Args, Clone, Debug)]
struct Run {
    /// How often each row is measured.
    #[arg(long, default_value_t = WHOLE.0, global = true)]
    rounds: usize,
    /// How long each row is measured, after a warm-up. Default: 1.2, and 20 for an attack.
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// The number of accounts.
    #[arg(long, default_value_t = WHOLE.1, global = true)]
    accounts: u64,
    /// Measures only rows whose name contains this text.
    #[arg(long, global = true)]
    only: Option<String>,
    /// Directory of the `PostgreSQL` server binaries. Default: the newest installed.
    #[arg(long, env = "PG_BIN", global = true)]
    pg_bin: Option<PathBuf>,
    /// The service.
    #[arg(long, global = true, default_value = "target/release/cdn-activation")]
    service: PathBuf,
    /// The directory for the profile that the service records.
    #[arg(long, hide = true, global = true)]
    notes: Option<PathBuf>,
}

/// What to do instead of measuring all rows.
#[derive(Subcommand)]
enum Verb {
    /// Fails if the CPU time of a call is above a bound.
    Check,
    /// Measures what quotas, TLS and traces cost; fails if quotas or traces cost more CPU time than
    /// they may.
    Cost,
    /// Puts the service under load, so that it records a profile for the compiler.
    #[command(hide = true)]
    Train,
    /// Attacks the service; fails if a bound does not hold.
    Attack {
        /// Attacks for three seconds each.
        #[arg(long)]
        short: bool,
    },
    /// Restarts two replicas in turn under load; fails if a call fails.
    Rollout(rollout::RolloutOptions),
    /// Fails if the time of a refusal tells how much of a signature or token is right.
    Timing,
    #[command(hide = true)]
    ServeEcho(Listen),
    #[command(hide = true)]
    ServeTextbook(Textbook),
}

/// The address of a server of this bench.
#[derive(Args)]
struct Listen {
    #[arg(env = "LISTEN")]
    listen: SocketAddr,
}

/// The options of the textbook service.
#[derive(Args)]
struct Textbook {
    #[command(flatten)]
    listen: Listen,
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    #[arg(long, env = "SERVICE_TOKEN", hide_env_values = true)]
    service_token: String,
}

/// How many seconds each row is measured.
const WINDOW: f64 = 1.2;
/// Rounds and accounts of a run whose results are kept.
const WHOLE: (usize, u64) = (5, 1_000_000);

impl Run {
    /// Returns whether all rows are measured, often enough.
    fn is_whole(&self) -> bool {
        self.only.is_none() && self.rounds >= WHOLE.0 && self.accounts >= WHOLE.1
    }

    /// Returns the setting of this run with a number of accounts.
    fn setting(&self, accounts: u64) -> Setting {
        Setting {
            work_dir: work_dir(),
            pg_bin: self.pg_bin.clone(),
            accounts,
            window: Duration::from_secs_f64(self.seconds.unwrap_or(WINDOW)),
            service: self.service.clone(),
            notes: self.notes.clone(),
            names_traces: false,
        }
    }
}

/// Returns the directory for data, logs and results that are not kept: `target/bench`.
fn work_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).unwrap_or(&program).join("bench")
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.verb {
        Some(Verb::ServeEcho(listen)) => servers::echo::serve(listen.listen)?,
        Some(Verb::ServeTextbook(textbook)) => serve_textbook(textbook)?,
        Some(Verb::Attack { short }) => return attack::run(&cli.run, short),
        Some(Verb::Rollout(options)) => return rollout::run(&cli.run, &options),
        Some(Verb::Check) => return check::run(&cli.run),
        Some(Verb::Timing) => return timing::run(),
        Some(Verb::Cost) => return cost::run(&cli.run),
        Some(Verb::Train) => train::run(&cli.run)?,
        None => full::run(&cli.run)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn serve_textbook(textbook: Textbook) -> anyhow::Result<()> {
    let settings = servers::textbook::Settings {
        database_url: textbook.database_url,
        describe_sql: statements::describe(),
        service_token: textbook.service_token,
    };
    servers::textbook::serve(textbook.listen.listen, &settings)
}
