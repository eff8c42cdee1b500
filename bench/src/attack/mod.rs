//! `make attack`: attacks the service in each of the ways that its limits are for, one after another,
//! while well-behaved callers go on. `bench/README.md` lists the attacks and the bounds.

mod amplification;
mod beside;
mod connections;
mod field;
mod followers;
mod frames;
mod log;
mod memory;
mod path;
mod people;
mod proxy;
mod rows;
mod table;
mod wire;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;

use self::beside::{Beside, Tally};
use self::connections::PREFACE;
use self::field::{Field, Serve};
use self::path::AllAtOnce;
use self::people::Caller;
use self::table::Row;
use crate::Run;
use crate::meters::memory as meter;

/// How long each attack lasts.
const LASTS: f64 = 20.0;
const SHORT: f64 = 3.0;
/// From this length on, the p99 beside locked rows is compared with that without an attack.
const P99_AFTER: Duration = Duration::from_secs(20);
/// The number of events of the backlog.
const BACKLOG: i64 = 6400;
const SHORT_BACKLOG: i64 = 1600;
/// The number of descriptors that the attacker needs.
const DESCRIPTORS: u64 = 4096;
/// The names that `/metrics` must have at the end.
const METRICS: [&str; 6] = [
    "answers_total",
    "connections_open",
    "connections_ended_total",
    "streams_stalled_total",
    "log_lines_dropped_total",
    "log_lines_suppressed_total",
];

/// The outcome of an attack.
#[derive(Debug, Default)]
struct Outcome {
    /// Calls, connections or streams.
    sent: u64,
    answered: u64,
    note: String,
    /// Bounds that did not hold.
    faults: Vec<String>,
    /// Calls that began before this need not have been served.
    excused_until: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Attack {
    /// No attack: the latency of calls for comparison.
    Quiet,
    Refusals,
    FrozenPath,
    Followers,
    Streams,
    Heads,
    SlowReaders,
    SilentRest,
    SilentGrpc,
    SilentOps,
    Prefaces,
    Amplification,
    /// Rows of this number of accounts are locked.
    HeldRows(i64),
}

const QUIET: &str = "0 quiet";
const ATTACKS: [(&str, Attack); 14] = [
    (QUIET, Attack::Quiet),
    ("1 refused calls", Attack::Refusals),
    ("2 frozen path", Attack::FrozenPath),
    ("3 unread followers", Attack::Followers),
    ("4 large messages", Attack::Streams),
    ("4 endless heads", Attack::Heads),
    ("4 unread answers", Attack::SlowReaders),
    ("5 silent, REST", Attack::SilentRest),
    ("5 silent, gRPC", Attack::SilentGrpc),
    ("5 silent, ops", Attack::SilentOps),
    ("5 prefaces", Attack::Prefaces),
    ("6 repeated path", Attack::Amplification),
    ("8 held row", Attack::HeldRows(1)),
    ("8 held rows", Attack::HeldRows(people::MANY)),
];
const AT_THE_END: &str = "7 metrics";
const ALL: &str = "9 all at once, SIGTERM";

/// Runs the attacks; returns a failure if a bound does not hold.
pub fn run(run: &Run, short: bool) -> anyhow::Result<ExitCode> {
    with_enough_descriptors()?;
    let seconds = run.seconds.unwrap_or(if short { SHORT } else { LASTS });
    let backlog = if short { SHORT_BACKLOG } else { BACKLOG };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rows = runtime.block_on(attack(run, Duration::from_secs_f64(seconds), backlog))?;
    table::print(&rows);
    let has_passed = rows.iter().all(|row| row.faults.is_empty());
    println!("{}", if has_passed { "passed" } else { "FAILED: a bound does not hold" });
    Ok(if has_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts this program again with a higher limit of descriptors if the limit is too low.
fn with_enough_descriptors() -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    if limit.is_none_or(|limit: u64| limit >= DESCRIPTORS) {
        return Ok(());
    }
    let again = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    let mut arguments = std::env::args_os().skip(1);
    let program = std::env::current_exe()?;
    let mut command = Command::new("sh");
    command.args(["-c", &again]).arg(program).args(&mut arguments);
    Err(command.exec()).context("it cannot be started with more descriptors")
}

async fn attack(run: &Run, lasts: Duration, backlog: i64) -> anyhow::Result<Vec<Row>> {
    let is_wanted = |name: &str| {
        name == QUIET || run.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    };
    let field = Field::prepare(&run.service, run.pg_bin.clone()).await?;
    println!("preparing accounts and {backlog} events");
    let (serve, _) = field.serve_with_a_log().await?;
    let caller = Caller::settle(serve.grpc, &field.token, backlog).await?;
    serve.terminate().await?;
    let mut serve = field.serve()?;
    let mut rows: Vec<Row> = Vec::new();
    for (name, attack) in ATTACKS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let mut row = attack.row(name, &field, &serve, &caller, lasts).await;
        if !serve.has_recovered(&caller.at(serve.grpc)).await {
            row.faults.push("it did not recover, and was started anew".to_owned());
            serve = field.serve()?;
        }
        // The first wait for each of many rows takes a few hundred milliseconds in all: of a short
        // attack that is more than one call in a hundred.
        if let (Attack::HeldRows(_), Some(quiet), true) = (attack, rows.first(), lasts >= P99_AFTER)
        {
            row.hold_to(quiet.p99());
        }
        row.print();
        rows.push(row);
    }
    if is_wanted(AT_THE_END) {
        rows.push(metrics(&serve).await);
    }
    if is_wanted(ALL) {
        rows.push(all_at_once(&field, serve, &caller, lasts).await);
    }
    Ok(rows)
}

impl Attack {
    async fn row(
        self,
        name: &'static str,
        field: &Field,
        serve: &Serve,
        caller: &Caller,
        lasts: Duration,
    ) -> Row {
        println!("{name}");
        let caller = caller.at(serve.grpc);
        meter::forget_peaks(serve.pid());
        let mut beside = Beside::start(serve, &caller);
        if matches!(self, Self::Quiet | Self::HeldRows(_)) {
            let another = caller.clone();
            beside.call("CreateAccount and Open", move || {
                let another = another.clone();
                async move { another.another_opens().await }
            });
        }
        let outcome = self.begin(field, serve, &caller, lasts).await;
        let outcome = outcome.unwrap_or_else(|why| Outcome {
            faults: vec![format!("the attack ended: {why:#}")],
            ..Outcome::default()
        });
        let (calls, alive) = beside.end().await;
        Row::new(name, outcome, calls, alive, meter::peak(serve.pid()))
    }

    async fn begin(
        self,
        field: &Field,
        serve: &Serve,
        caller: &Caller,
        lasts: Duration,
    ) -> anyhow::Result<Outcome> {
        match self {
            Self::Quiet => {
                sleep(lasts).await;
                Ok(Outcome::default())
            }
            Self::Refusals => log::refusals(serve, lasts).await,
            Self::FrozenPath => path::frozen(field, serve, caller, lasts).await,
            Self::Followers => followers::unread(field, serve, lasts).await,
            Self::Streams => memory::streams(serve, lasts).await,
            Self::Heads => memory::heads(serve, lasts).await,
            Self::SlowReaders => memory::slow_readers(serve, lasts).await,
            Self::SilentRest => connections::silent(serve.rest, b"", lasts).await,
            Self::SilentGrpc => connections::silent(serve.grpc, b"", lasts).await,
            Self::SilentOps => connections::silent(serve.ops, b"", lasts).await,
            Self::Prefaces => connections::silent(serve.grpc, PREFACE, lasts).await,
            Self::Amplification => amplification::run(field, serve.grpc, lasts).await,
            Self::HeldRows(accounts) => rows::held_rows(field, caller, accounts, lasts).await,
        }
    }
}

/// Runs the last attack, in which the service ends.
async fn all_at_once(field: &Field, serve: Serve, caller: &Caller, lasts: Duration) -> Row {
    println!("{ALL}");
    let caller = caller.at(serve.grpc);
    meter::forget_peaks(serve.pid());
    let beside = Beside::start(&serve, &caller);
    let begun = AllAtOnce::begin(field, &serve, &caller, lasts).await;
    let (calls, alive) = beside.end().await;
    let peak = meter::peak(serve.pid());
    let outcome = match begun {
        Ok((all, mut outcome)) => {
            all.end(serve, &mut outcome).await;
            outcome
        }
        Err(why) => {
            let faults = vec![format!("the attack ended: {why:#}")];
            Outcome { faults, ..Outcome::default() }
        }
    };
    let row = Row::new(ALL, outcome, calls, alive, peak);
    row.print();
    row
}

/// Checks the names of the metrics.
async fn metrics(serve: &Serve) -> Row {
    sleep(Duration::from_secs(1)).await;
    let shown = wire::get(serve.ops, "/metrics").await.map(|(_, text)| text).unwrap_or_default();
    // A counter without a value may only have the line of its type.
    let is_there = |name: &str| {
        let family = format!("# TYPE {} ", name.trim_end_matches("_total"));
        shown.lines().any(|line| line.starts_with(name) || line.starts_with(&family))
    };
    let missing = METRICS.iter().filter(|name| !is_there(name));
    let faults = missing.map(|name| format!("there is no {name}")).collect();
    let outcome = Outcome { sent: 1, answered: 1, faults, ..Outcome::default() };
    Row::of(AT_THE_END, outcome)
}
