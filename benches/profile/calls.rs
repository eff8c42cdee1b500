//! Where the time goes: the system's profiler (`perf`, as root) watches a few rows, and what it saw
//! is told as CPU time per call, by what it was spent for. The program must have its symbols, which
//! `make bench-profile` leaves in.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::Run;
use crate::rounds::{Action, Measured, Row, Stage, Subject};

/// How long a row is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// What runs before that: the start of `perf`, and the warm-up of the row.
const BEFORE: Duration = Duration::from_millis(1500);

/// Of a call, in CPU seconds of 100,000 calls.
const MICROSECONDS: f64 = 10.0;

const ROWS: [Row; 3] = [
    Row::grpc(Action::Describe, Subject::Ours, 64),
    Row::rest(Action::Describe, 64),
    Row::grpc(Action::Open, Subject::Ours, 64),
];

/// What the time of the service is spent for, by the first of these crates in a symbol.
const PARTS: [(&str, &[&str]); 5] = [
    ("HTTP", &["h2", "hyper", "hyper_util", "http", "http_body_util", "httparse"]),
    ("gRPC", &["tonic", "axum", "axum_core", "tower", "tower_http", "matchit", "prost"]),
    ("PostgreSQL client", &["sqlx_core", "sqlx_postgres"]),
    ("own code", &["cdn_activation"]),
    ("runtime", &["tokio", "tokio_util", "futures_util", "futures_core", "mio", "tracing"]),
];
/// How symbols begin that allocate, free and copy.
const MEMORY: [&str; 3] = ["mi_", "_mi_", "__mem"];
const OTHERS: [&str; 3] = ["kernel", "memory", "other"];

/// Functions of PostgreSQL that tell what it does, each with all that it calls.
const FUNCTIONS: [(&str, &str); 6] = [
    ("descents of indexes", "_bt_first"),
    ("rows fetched", "index_fetch_heap"),
    ("entries put into indexes", "btinsert"),
    ("statements started", "PortalStart"),
    ("commits", "CommitTransactionCommand"),
    ("plans made", "pg_plan_queries"),
];

/// Runs it.
pub fn run(run: &Run) -> anyhow::Result<()> {
    let mut rows = ROWS.to_vec();
    let mut setting = run.setting(run.accounts);
    setting.window = BEFORE + WATCHED + Duration::from_secs(1);
    let record = setting.work_dir.join("logs/perf.data");
    let mut stage = Stage::set_up(setting, &mut rows)?;
    for row in rows {
        let perf = watch(&record)?;
        let measured = stage.measure(row)?;
        let seen = perf.wait_with_output()?;
        ensure!(seen.status.success(), "perf: {}", String::from_utf8_lossy(&seen.stderr));
        println!("\n{row}, {:.0}/s, microseconds of CPU time per call", measured.per_second);
        tell(&record, &measured)?;
    }
    stage.tear_down()
}

fn watch(record: &Path) -> anyhow::Result<Child> {
    let delay = BEFORE.as_millis().to_string();
    let seconds = (BEFORE + WATCHED).as_secs_f64().to_string();
    Command::new("perf")
        .args(["record", "-a", "-g", "-F", "499", "-D", &delay, "-o"])
        .arg(record)
        .args(["--", "sleep", &seconds])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("perf is needed (Debian: linux-perf)")
}

fn tell(record: &Path, measured: &Measured) -> anyhow::Result<()> {
    let own = report(record, &["--no-children", "--sort", "comm,symbol"])?;
    let (service, others): (Vec<_>, Vec<_>) = own.into_iter().partition(|seen| {
        seen.program.starts_with("core-") || seen.program.starts_with("cdn-activation")
    });
    let cost = measured.service_cpu() * MICROSECONDS / sum(&service, |_| true);
    line("service", sum(&service, |_| true) * cost);
    for name in PARTS.iter().map(|(name, _)| *name).chain(OTHERS) {
        line(&format!("  {name}"), sum(&service, |seen| seen.part() == name) * cost);
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
    let report = Command::new("perf")
        .args(["report", "--stdio", "-g", "none", "-t", "|", "-i"])
        .arg(record)
        .args(how)
        .output()?;
    ensure!(report.status.success(), "perf: {}", String::from_utf8_lossy(&report.stderr));
    Ok(String::from_utf8_lossy(&report.stdout).lines().filter_map(Seen::read).collect())
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

    /// What it is part of; see [`PARTS`].
    fn part(&self) -> &'static str {
        if self.is_kernel {
            return "kernel";
        }
        if MEMORY.iter().any(|beginning| self.symbol.starts_with(beginning)) {
            return "memory";
        }
        let mut names = self.symbol.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let of = |name| PARTS.iter().find(|(_, crates)| crates.contains(&name));
        names.find_map(of).map_or("other", |(part, _)| part)
    }
}

/// What must hold; run before every measurement.
pub fn selftest() {
    let read = |line| Seen::read(line).expect("a line of a report");
    let seen = read(" 2.07%  |core-0   |[.] __memmove_avx_unaligned_erms   |-      -");
    assert_eq!((seen.program.as_str(), seen.part()), ("core-0", "memory"));
    assert_eq!(read("1%|core-0|[.] <tower::A<h2::B> as core::C>::call|-").part(), "gRPC");
    assert_eq!(read("1%|core-0|[.] core::ptr::drop_in_place<h2::B>|-").part(), "HTTP");
    assert_eq!(read("1%|core-0|[k] tcp_ack|-").part(), "kernel");
    assert_eq!(read("23.07%| 0.22%|[.] _bt_first|-").symbol, "_bt_first");
    assert!(Seen::read("# Samples: 3K").is_none());
}

fn sum<'a>(seen: impl IntoIterator<Item = &'a Seen>, counts: impl Fn(&Seen) -> bool) -> f64 {
    seen.into_iter().filter(|seen| counts(seen)).map(|seen| seen.share).sum()
}
