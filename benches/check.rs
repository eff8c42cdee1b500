//! The regression check: has a Describe become dearer?
//!
//! What is compared is CPU time and not throughput, and with a bare echo server in the same rounds
//! and not with yesterday: what else happens on a machine slows both, and neither's CPU time much.

use std::process::ExitCode;

use crate::Run;
use crate::rounds::{self, Action, Measured, Row, Spread, Stage, Subject, counted};

/// Few, so that the data is loaded in no time.
const ACCOUNTS: u64 = 10_000;
/// How often each row is measured.
const ROUNDS: usize = 7;
/// CPU time per call of the service alone must not be more than so many times the echo's. Medians of
/// 0.7 were measured; 0.9 to 1.2 of a plain build, and 6 of a statement for each call on a shared
/// runtime.
const SERVICE_BOUND: f64 = 1.1;
/// The same of service and PostgreSQL together: 1.1 were measured, 2.0 to 2.5, and 20.
const TOTAL_BOUND: f64 = 2.3;

const OURS: Row = Row::grpc(Action::Describe, Subject::Ours, 64);
const ECHO: Row = Row::grpc(Action::Describe, Subject::Echo, 64);

/// Runs it, a second time where the first says no: a bad minute of the machine is no regression.
pub fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let mut rows = vec![OURS, ECHO];
    let mut stage = Stage::set_up(run.setting(ACCOUNTS), &mut rows)?;
    let mut passed = measure(&mut stage, &rows);
    if !passed {
        println!("above a bound: measuring once more");
        passed = measure(&mut stage, &rows);
    }
    stage.tear_down()?;
    println!(
        "{}",
        if passed { "passed" } else { "FAILED: a Describe costs more CPU time than it may" }
    );
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(stage: &mut Stage, rows: &[Row]) -> bool {
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
    let service = within("service", ratio(Measured::service_cpu), SERVICE_BOUND);
    let total = within("service and PostgreSQL", ratio(Measured::total_cpu), TOTAL_BOUND);
    service && total
}

fn within(what: &str, ratio: Option<Spread>, bound: f64) -> bool {
    let Some(Spread { min, median, max }) = ratio else { return false };
    println!(
        "CPU time per Describe, {what} ÷ bare echo: {min:.2} / {median:.2} / {max:.2}, bound {bound}"
    );
    median <= bound
}
