//! Where the time of a call goes: `perf` watches a few rows, and what it saw is told as CPU time per
//! call, by what it was spent for.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::{parts, said, watch};
use crate::rounds::{Action, Measured, Row, Stage, Subject};

/// How long a row is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// What runs before that: the start of `perf`, and the warm-up of the row.
const BEFORE: Duration = Duration::from_millis(1500);

/// A row's window, with some room.
pub const WINDOW: Duration = BEFORE.saturating_add(WATCHED).saturating_add(Duration::from_secs(1));

/// Of a call, in CPU seconds of 100,000 calls.
const MICROSECONDS: f64 = 10.0;

/// What is watched.
pub const ROWS: [Row; 3] = [
    Row::grpc(Action::Describe, Subject::Ours, 64),
    Row::rest(Action::Describe, 64),
    Row::grpc(Action::Open, Subject::Ours, 64),
];

/// What the service makes the kernel do.
const KERNEL: &str = "kernel";

/// Functions of PostgreSQL that tell what it does, each with all that it calls.
const FUNCTIONS: [(&str, &str); 6] = [
    ("descents of indexes", "_bt_first"),
    ("rows fetched", "index_fetch_heap"),
    ("entries put into indexes", "btinsert"),
    ("statements started", "PortalStart"),
    ("commits", "CommitTransactionCommand"),
    ("plans made", "pg_plan_queries"),
];

/// Measures a row, and tells of it.
pub fn tell(record: &Path, stage: &mut Stage, row: Row) -> anyhow::Result<()> {
    let delay = BEFORE.as_millis().to_string();
    let seconds = (BEFORE + WATCHED).as_secs_f64().to_string();
    let perf = watch(record, &["-g", "-F", "499", "-D", &delay, "--", "sleep", &seconds])?;
    let measured = stage.measure(row)?;
    let seen = perf.wait_with_output()?;
    ensure!(seen.status.success(), "perf: {}", String::from_utf8_lossy(&seen.stderr));
    println!("\n{row}, {:.0}/s, microseconds of CPU time per call", measured.per_second);
    print(record, &measured)
}

fn print(record: &Path, measured: &Measured) -> anyhow::Result<()> {
    let own = report(record, &["--no-children", "--sort", "comm,symbol"])?;
    let (service, others): (Vec<_>, Vec<_>) = own.into_iter().partition(|seen| {
        seen.program.starts_with("core-") || seen.program.starts_with("cdn-activation")
    });
    let cost = measured.service_cpu() * MICROSECONDS / sum(&service, |_| true);
    line("service", sum(&service, |_| true) * cost);
    let parts = parts::PARTS.iter().map(|(name, _)| *name);
    for name in parts.chain([KERNEL, parts::MEMORY_PART, parts::OTHER_PART]) {
        let time = sum(&service, |seen| seen.part() == name) * cost;
        if time > 0.0 {
            line(&format!("  {name}"), time);
        }
    }
    let is_database = |seen: &Seen| seen.program == "postgres";
    let cost = measured.database_cpu() * MICROSECONDS / sum(&others, is_database);
    line("PostgreSQL", sum(&others, is_database) * cost);
    line("  kernel", sum(&others, |seen| is_database(seen) && seen.is_kernel) * cost);
    let inclusive = report(record, &["--children", "--comms", "postgres", "--sort", "symbol"])?;
    for (name, function) in FUNCTIONS {
        line(&format!("  {name}"), sum(&inclusive, |seen| seen.symbol == function) * cost);
    }
    Ok(())
}

fn line(what: &str, microseconds: f64) {
    println!("  {what:<28} {:>6.1}", microseconds + 0.0); // of nothing the sum is -0.0
}

fn report(record: &Path, how: &[&str]) -> anyhow::Result<Vec<Seen>> {
    let how_to_print = ["report", "--stdio", "-g", "none", "-t", "|", "-i"];
    let report = said(Command::new("perf").args(how_to_print).arg(record).args(how))?;
    Ok(report.lines().filter_map(Seen::read).collect())
}

/// A line of a report.
struct Seen {
    /// Of all samples, in percent.
    share: f64,
    program: String,
    symbol: String,
    is_kernel: bool,
}

impl Seen {
    /// Reads `share|program|[k] symbol|…`; of inclusive reports the second is another share.
    fn read(line: &str) -> Option<Self> {
        let mut columns = line.split('|').map(str::trim);
        let share = columns.next()?.trim_end_matches('%').parse().ok()?;
        let program = columns.next()?.to_owned();
        let (place, symbol) = columns.next()?.split_once(' ')?;
        Some(Self { share, program, symbol: symbol.trim().to_owned(), is_kernel: place == "[k]" })
    }

    fn part(&self) -> &'static str {
        if self.is_kernel { KERNEL } else { parts::of(&self.symbol) }
    }
}

/// What must hold; run before every measurement.
pub fn selftest() {
    let read = |line| Seen::read(line).expect("a line of a report");
    let seen = read(" 2.07%  |core-0   |[.] __memmove_avx_unaligned_erms   |-      -");
    assert_eq!((seen.program.as_str(), seen.part()), ("core-0", "memory"));
    assert_eq!(read("1%|core-0|[k] tcp_ack|-").part(), "kernel");
    assert_eq!(read("23.07%| 0.22%|[.] _bt_first|-").symbol, "_bt_first");
    assert!(Seen::read("# Samples: 3K").is_none());
}

fn sum<'a>(seen: impl IntoIterator<Item = &'a Seen>, counts: impl Fn(&Seen) -> bool) -> f64 {
    seen.into_iter().filter(|seen| counts(seen)).map(|seen| seen.share).sum()
}
