//! The bench: what the service can do, as ratios to what else can be had on the same machine in the
//! same minutes. How it measures, and how to read it: `benches/README.md`.
//!
//! The targets of the Makefile run it with the program as it is shipped; `cargo bench --locked -- VERB`
//! runs it with the one that cargo builds along.

mod attack;
mod check;
mod clock;
mod database;
mod full;
mod growth;
mod load;
mod meters;
mod profile;
mod report;
mod rounds;
mod servers;
mod signature;
mod statements;
mod subjects;
mod train;
mod trial;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use meters::cgroup::Group;
use rounds::Setting;

/// What cargo builds along with the bench.
const BUILT_ALONG: &str = env!("CARGO_BIN_EXE_cdn-activation");

/// Measures the service against the database alone, and against other services.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: Run,
    /// What cargo adds.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

/// How a run is made.
#[derive(Args, Clone, Debug)]
struct Run {
    /// How often each row is measured.
    #[arg(long, default_value_t = WHOLE.0, global = true)]
    rounds: usize,
    /// How long each row is measured, after a warm-up. Default: 1.2; of an attack 20.
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// How many accounts there are.
    #[arg(long, default_value_t = WHOLE.1, global = true)]
    accounts: u64,
    /// Only rows whose name contains this.
    #[arg(long, global = true)]
    only: Option<String>,
    /// Directory of the `PostgreSQL` server binaries. Default: the newest installed.
    #[arg(long, env = "PG_BIN", global = true)]
    pg_bin: Option<PathBuf>,
    /// Leave PostgreSQL's memory in pages of the usual size.
    #[arg(long, global = true)]
    small_pages: bool,
    /// The service. Without it: what cargo builds along with the bench, which is not what is shipped.
    #[arg(long, global = true, default_value = BUILT_ALONG)]
    service: PathBuf,
    /// Where a service that was built to take notes for the compiler writes them.
    #[arg(long, hide = true, global = true)]
    notes: Option<PathBuf>,
}

/// What to do instead of measuring all rows.
#[derive(Subcommand)]
enum Verb {
    /// Measures a few rows at 10,000 and at 1,000,000 accounts, warm and cold.
    Growth {
        /// At 10,000,000, too: that takes some minutes to load and 6 GB.
        #[arg(long)]
        accounts_10m: bool,
    },
    /// Fails when the CPU time per call has risen above a bound.
    Check,
    /// Shows what the time of a call is spent for, as the system's profiler sees it.
    Profile,
    /// Measures another build of the service beside this one.
    Trial {
        /// The other program. Default: what cargo builds along with the bench.
        #[arg(default_value = BUILT_ALONG)]
        program: PathBuf,
    },
    /// Puts the service under load for the compiler to learn from.
    #[command(hide = true)]
    Train,
    /// Attacks the service in every way that its bounds are against; fails where one does not hold.
    Attack {
        /// A few seconds for each attack.
        #[arg(long)]
        short: bool,
    },
    /// Checks the parts of the bench that need no database.
    Selftest,
    #[command(hide = true)]
    ServeEcho(Listen),
    #[command(hide = true)]
    ServeTextbook(Textbook),
}

/// Where a server of this bench listens.
#[derive(Args)]
struct Listen {
    #[arg(env = "LISTEN")]
    listen: SocketAddr,
}

/// What the textbook service is told.
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
/// Of a run whose results are kept.
const WHOLE: (usize, u64) = (5, 1_000_000);

impl Run {
    /// Whether it measures all there is, often enough.
    fn is_whole(&self) -> bool {
        self.only.is_none() && self.rounds >= WHOLE.0 && self.accounts >= WHOLE.1
    }

    /// The same run on another number of accounts.
    fn setting(&self, accounts: u64) -> Setting {
        Setting {
            work_dir: work_dir(),
            pg_bin: self.pg_bin.clone(),
            accounts,
            small_pages: self.small_pages,
            window: Duration::from_secs_f64(self.seconds.unwrap_or(WINDOW)),
            service: self.service.clone(),
            notes: self.notes.clone(),
            trial: None,
        }
    }
}

/// Below the build directory.
fn work_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench")
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.verb {
        Some(Verb::ServeEcho(listen)) => servers::echo::serve(listen.listen)?,
        Some(Verb::ServeTextbook(textbook)) => serve_textbook(textbook)?,
        Some(Verb::Selftest) => selftest(),
        Some(Verb::Attack { short }) => return attack::run(&cli.run, short),
        Some(Verb::Check) => return grouped(|| check::run(&cli.run)),
        Some(Verb::Profile) => grouped(|| profile::run(&cli.run))?,
        Some(Verb::Trial { program }) => grouped(|| trial::run(&cli.run, &program))?,
        Some(Verb::Train) => grouped(|| train::run(&cli.run))?,
        Some(Verb::Growth { accounts_10m }) => grouped(|| growth::run(&cli.run, accounts_10m))?,
        None => grouped(|| full::run(&cli.run))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures in a CPU group of its own.
fn grouped<T>(measure: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    selftest();
    let group = Group::enter();
    println!("{}", group.describe());
    measure()
}

fn serve_textbook(textbook: Textbook) -> anyhow::Result<()> {
    let settings = servers::textbook::Settings {
        database_url: textbook.database_url,
        describe_sql: statements::describe(),
        service_token: textbook.service_token,
    };
    servers::textbook::serve(textbook.listen.listen, &settings)
}

/// Cargo runs no tests of a bench without its harness, so that they run before it measures.
fn selftest() {
    load::selftest();
    meters::cpu::selftest();
    profile::selftest();
    rounds::measured::selftest();
    statements::selftest();
    subjects::pgbench::selftest();
}
