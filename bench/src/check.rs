//! The regression check: it fails if a Describe costs more CPU time than a bound.
//!
//! The CPU time is compared with that of a bare echo server in the same rounds. Other load on the
//! machine affects throughput, and affects this ratio much less.

use std::process::{Command, ExitCode};

use crate::Run;
use crate::rounds::{self, Action, Measured, Row, Spread, Stage, Subject, counted};

/// A small number, which is loaded in seconds.
const ACCOUNTS: u64 = 10_000;
/// How often each row is measured.
const ROUNDS: usize = 7;

/// The most CPU time of a call, as a multiple of the echo's.
struct Bounds {
    /// The service alone.
    service: f64,
    /// Service and PostgreSQL together.
    total: f64,
}

/// For a program with the profile of deploy/pgo. Medians of 0.84 and 1.21 were measured on a busy
/// machine.
const SHIPPED: Bounds = Bounds { service: 0.95, total: 1.5 };
/// For a program without the profile: the service takes 1.3 times the CPU time for a Describe.
const PLAIN: Bounds = Bounds { service: 1.25, total: 2.3 };

/// The compiler of the profile.
const MADE_BY: &str = include_str!("../../deploy/pgo/made-by");

const OURS: Row = Row::grpc(Action::Describe, Subject::Ours, 64);
const ECHO: Row = Row::grpc(Action::Describe, Subject::Echo, 64);

/// Runs the check, and repeats it once if it fails: the machine may have been busy.
pub fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let bounds = if has_profile() { SHIPPED } else { PLAIN };
    let mut rows = vec![OURS, ECHO];
    let mut stage = Stage::set_up(run.setting(ACCOUNTS), &mut rows)?;
    let mut passed = measure(&mut stage, &rows, &bounds);
    if !passed {
        println!("above a bound: measuring once more");
        passed = measure(&mut stage, &rows, &bounds);
    }
    stage.tear_down()?;
    println!(
        "{}",
        if passed { "passed" } else { "FAILED: a Describe costs more CPU time than it may" }
    );
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether the profile of deploy/pgo is of this compiler: `make release` then uses it.
fn has_profile() -> bool {
    let here = Command::new("rustc").arg("-vV").output().map(|output| output.stdout);
    let here = here.ok().and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
    let version = here.lines().next().unwrap_or_default();
    let host = here.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    MADE_BY.trim() == format!("{version} {host}")
}

fn measure(stage: &mut Stage, rows: &[Row], bounds: &Bounds) -> bool {
    let results = rounds::run(stage, rows, ROUNDS);
    let [ours, echo] = results.as_slice() else { return false };
    if results.iter().flat_map(|result| &result.rounds).any(|round| round.failed > 0) {
        println!("there were wrong answers");
        return false;
    }
    let pairs: Vec<_> = ours.rounds.iter().zip(&echo.rounds).collect();
    let pairs = counted(&pairs, |(a, b)| a.is_clean() && b.is_clean());
    let ratio = |cost: fn(&Measured) -> f64| {
        Spread::of(pairs.iter().map(|(ours, echo)| cost(ours) / echo.service_cpu()))
    };
    let service = within("service", ratio(Measured::service_cpu), bounds.service);
    let total = within("service and PostgreSQL", ratio(Measured::total_cpu), bounds.total);
    service && total
}

fn within(what: &str, ratio: Option<Spread>, bound: f64) -> bool {
    let Some(Spread { min, median, max }) = ratio else { return false };
    println!(
        "CPU time per Describe, {what} ÷ bare echo: {min:.2} / {median:.2} / {max:.2}, bound {bound}"
    );
    median <= bound
}
