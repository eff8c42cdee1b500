//! `make attack`: attacks the service in each of the ways that its limits are for, one after another,
//! while well-behaved callers go on; and then once more with TLS. `bench/README.md` lists the attacks
//! and the bounds.

mod amplification;
mod beside;
mod connections;
mod field;
mod followers;
mod frames;
mod handshakes;
mod kinds;
mod log;
mod memory;
mod path;
mod people;
mod proxy;
mod rows;
mod table;
pub mod wire;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::{Builder, Handle};
use tokio::time::sleep;

use self::beside::{Beside, Tally};
use self::field::{Field, Over, Serve};
use self::kinds::Attack;
use self::path::AllAtOnce;
use self::people::Caller;
use self::table::Row;
use crate::Run;
use crate::meters::memory as meter;

/// How long each attack lasts.
const LASTS: f64 = 20.0;
const SHORT: f64 = 3.0;
/// The same for an attack over TLS: most have been tried without.
const SHORT_OVER_TLS: f64 = 2.0;
/// From this length on, the p99 beside locked rows is compared with that without an attack.
const P99_AFTER: Duration = Duration::from_secs(20);
/// The number of events of the backlog.
const BACKLOG: i64 = 6400;
const SHORT_BACKLOG: i64 = 1600;
/// The number of descriptors that the attacker needs: behind a forwarder, three for a connection.
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

const AT_THE_END: &str = "7 metrics";
const ALL: &str = "9 all at once, SIGTERM";

/// Runs the attacks; returns a failure if a bound does not hold.
pub fn run(run: &Run, short: bool) -> anyhow::Result<ExitCode> {
    with_enough_descriptors()?;
    let runtime = || Builder::new_multi_thread().worker_threads(2).enable_all().build();
    // The forwarders have threads of their own: their work must not delay the calls that are timed.
    let forwarding = runtime()?;
    let rows = runtime()?.block_on(attack(run, short, forwarding.handle().clone()))?;
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

async fn attack(run: &Run, short: bool, forwarding: Handle) -> anyhow::Result<Vec<Row>> {
    let field = Field::prepare(run, forwarding).await?;
    let backlog = if short { SHORT_BACKLOG } else { BACKLOG };
    println!("preparing accounts and {backlog} events");
    let (serve, _) = field.serve_with_a_log(Over::Plaintext).await?;
    let caller = Caller::settle(serve.grpc, &field.token, backlog).await?;
    serve.terminate().await?;
    let mut rows = Vec::new();
    for over in [Over::Plaintext, Over::Tls] {
        let series = Series::new(over, run, short);
        if !series.is_empty() {
            rows.extend(series.run(&field, &caller).await?);
        }
    }
    Ok(rows)
}

/// The attacks on one process.
struct Series {
    over: Over,
    lasts: Duration,
    attacks: Vec<(String, Attack)>,
    /// The names of the last rows.
    metrics: Option<String>,
    all_at_once: Option<String>,
}

impl Series {
    /// Returns the attacks that are wanted, and the calls without one if there are any.
    fn new(over: Over, run: &Run, short: bool) -> Self {
        let seconds = match over {
            _ if !short => LASTS,
            Over::Plaintext => SHORT,
            Over::Tls => SHORT_OVER_TLS,
        };
        let lasts = Duration::from_secs_f64(run.seconds.unwrap_or(seconds));
        let is_wanted =
            |name: &String| run.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
        let mut attacks = kinds::all(over, short);
        attacks.retain(|(name, attack)| *attack == Attack::Quiet || is_wanted(name));
        let last = |name| Some(kinds::name_of(over, name)).filter(is_wanted);
        // The names of the metrics do not depend on TLS.
        let metrics = last(AT_THE_END).filter(|_| over == Over::Plaintext);
        Self { over, lasts, attacks, metrics, all_at_once: last(ALL) }
    }

    fn is_empty(&self) -> bool {
        self.attacks.len() <= 1 && self.metrics.is_none() && self.all_at_once.is_none()
    }

    async fn run(self, field: &Field, caller: &Caller) -> anyhow::Result<Vec<Row>> {
        let lasts = self.lasts;
        let mut serve = field.serve(self.over)?;
        let mut rows: Vec<Row> = Vec::new();
        for (name, attack) in self.attacks {
            let mut row = attack.row(name, field, &serve, caller, lasts).await;
            if !serve.has_recovered(&caller.at(serve.grpc)).await {
                row.faults.push("it did not recover, and was started anew".to_owned());
                serve = field.serve(self.over)?;
            }
            // The first wait for each of many rows takes a few hundred milliseconds in all: of a short
            // attack that is more than one call in a hundred.
            if let (Attack::HeldRows(_), Some(quiet), true) =
                (attack, rows.first(), lasts >= P99_AFTER)
            {
                row.hold_to(quiet.p99());
            }
            row.print();
            rows.push(row);
        }
        if let Some(name) = self.metrics {
            rows.push(metrics(name, &serve).await);
        }
        if let Some(name) = self.all_at_once {
            rows.push(all_at_once(name, field, serve, caller, lasts).await);
        }
        Ok(rows)
    }
}

/// Runs the last attack, in which the service ends.
async fn all_at_once(
    name: String,
    field: &Field,
    serve: Serve,
    caller: &Caller,
    lasts: Duration,
) -> Row {
    println!("{name}");
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
    let row = Row::new(name, outcome, calls, alive, peak);
    row.print();
    row
}

/// Checks the names of the metrics.
async fn metrics(name: String, serve: &Serve) -> Row {
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
    Row::of(name, outcome)
}
