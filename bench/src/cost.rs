//! What the guards of the service cost: the CPU time of a call with quotas in proportion to that
//! without, with TLS in proportion to that without, and with traces in proportion to that without.
//!
//! The same program runs four times on one database. Identities, grants and the audit are in all of
//! them: they cannot be switched off. The calls are spread over so many accounts that no quota
//! refuses one; an answer that is wrong fails the run.

use std::process::ExitCode;

use crate::Run;
use crate::rounds::{
    self, Action, Measured, Result, Row, Setting, Spread, Stage, Subject, Wire, counted,
};
use crate::servers::collector;

/// So many that each of the keys signs a few calls a second.
const ACCOUNTS: u64 = 100_000;
const CALLERS: usize = 64;
/// The most CPU time of a Describe with quotas, as a multiple of that without.
const BOUND: f64 = 1.15;
/// The most CPU time of a Describe if one call in a hundred is recorded, as a multiple of that without.
const BOUND_OF_TRACES: f64 = 1.02;
/// What is compared, and whether it has a bound.
const CALLS: [(Action, Wire, bool); 3] = [
    (Action::Describe, Wire::Grpc, true),
    (Action::Describe, Wire::Rest, true),
    (Action::Open, Wire::Grpc, false),
];
const SUBJECTS: [Subject; 4] = [Subject::Ours, Subject::Quotas, Subject::Tls, Subject::Traces];

/// Measures the costs, and repeats that once if one is above its bound: the machine may have been
/// busy.
pub fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let mut rows: Vec<Row> = CALLS
        .into_iter()
        .flat_map(|(action, wire, _)| {
            SUBJECTS.map(|subject| Row { subject, action, wire, callers: CALLERS })
        })
        .collect();
    let setting = Setting { names_traces: true, ..run.setting(ACCOUNTS) };
    let mut stage = Stage::set_up(setting, &mut rows)?;
    let mut passed = measure(&mut stage, &rows, run.rounds);
    if !passed {
        println!("measuring once more");
        passed = measure(&mut stage, &rows, run.rounds);
    }
    stage.tear_down()?;
    anyhow::ensure!(collector::taken() > 0, "the service with traces has recorded no call");
    println!("{}", if passed { "passed" } else { "FAILED: above a bound, or wrong" });
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(stage: &mut Stage, rows: &[Row], number: usize) -> bool {
    let results = rounds::run(stage, rows, number);
    if results.iter().flat_map(|result| &result.rounds).any(|round| round.failed > 0) {
        println!("there were wrong answers");
        return false;
    }
    println!("\nCPU time of the service for a call, min / median / max");
    let mut passed = true;
    for ((.., is_bounded), results) in CALLS.iter().zip(results.chunks(SUBJECTS.len())) {
        let [fewest, quotas, tls, traces] = results else { continue };
        results.iter().for_each(print_cost);
        for (with, bound) in [(quotas, BOUND), (traces, BOUND_OF_TRACES)] {
            let shown = is_bounded.then_some(bound);
            let ratio = print_ratio(with, fewest, ("service", Measured::service_cpu), shown);
            passed &= !is_bounded || ratio.is_some_and(|ratio| ratio <= bound);
        }
        print_ratio(quotas, fewest, ("service and PostgreSQL", Measured::total_cpu), None);
        print_ratio(tls, quotas, ("service", Measured::service_cpu), None);
    }
    passed
}

fn print_cost(result: &Result) {
    let rounds = counted(&result.rounds, Measured::is_clean);
    let spread = Spread::of(rounds.into_iter().map(Measured::service_cpu));
    if let Some(Spread { min, median, max }) = spread {
        println!("{:<50} {min:>6.1} / {median:>6.1} / {max:>6.1} µs", result.row.to_string());
    }
}

/// Prints a ratio within the rounds; returns its median.
fn print_ratio(
    of: &Result,
    to: &Result,
    (whose, cost): (&str, fn(&Measured) -> f64),
    bound: Option<f64>,
) -> Option<f64> {
    let pairs: Vec<_> = of.rounds.iter().zip(&to.rounds).collect();
    let pairs = counted(&pairs, |(of, to)| of.is_clean() && to.is_clean());
    let ratios = pairs.iter().map(|(of, to)| cost(of) / cost(to));
    let Spread { min, median, max } = Spread::of(ratios)?;
    let name = format!("  {whose}, {} ÷ {}", of.row.subject, to.row.subject);
    let bound = bound.map(|bound| format!(", bound {bound}")).unwrap_or_default();
    println!("{name:<50} {min:>6.2} / {median:>6.2} / {max:>6.2}{bound}");
    Some(median)
}
