//! Growth: what becomes of a few rows when there are a hundred and a thousand times as many
//! accounts, with everything in memory and with nothing in it.

use crate::Run;
use crate::meters::machine::Machine;
use crate::report::csv::{self, Section};
use crate::report::plot::{self, Chart, Series, rate};
use crate::report::results_file;
use crate::rounds::{self, Action, Measured, Result, Row, Spread, Stage, Subject, counted};

const SIZES: [u64; 2] = [10_000, 1_000_000];
const LARGEST: u64 = 10_000_000;

const ROWS: [Row; 4] = [
    Row::grpc(Action::Describe, Subject::Ours, 64),
    Row::grpc(Action::Describe, Subject::Textbook, 64),
    Row::grpc(Action::Open, Subject::Ours, 64),
    Row::grpc(Action::Open, Subject::Textbook, 64),
];

/// What was measured at a number of accounts.
struct Size {
    accounts: u64,
    warm: Vec<Result>,
    cold: Vec<Result>,
}

/// Runs it.
pub fn run(run: &Run, accounts_10m: bool) -> anyhow::Result<()> {
    let mut sizes = Vec::new();
    let mut machine = None;
    for accounts in SIZES.into_iter().chain(accounts_10m.then_some(LARGEST)) {
        println!("\n{accounts} accounts");
        let mut rows = ROWS.to_vec();
        let mut stage = Stage::set_up(run.setting(accounts), &mut rows)?;
        if machine.is_none() {
            machine = Some(Machine::this(&stage.database.version()?));
        }
        let warm = rounds::run(&mut stage, &rows, run.rounds);
        let cold = cold(&mut stage, &rows, run.rounds)?;
        stage.tear_down()?;
        sizes.push(Size { accounts, warm, cold });
    }
    let Some(machine) = machine else { return Ok(()) };
    println!("\n{}", machine.caption());
    sizes.iter().for_each(print);
    let sections = sizes.iter().flat_map(|Size { accounts, warm, cold }| {
        let section = |state, results| Section { accounts: *accounts, state, results };
        [section("warm", warm), section("cold", cold)]
    });
    csv::write(
        &results_file("growth.csv", run.is_whole()),
        &machine,
        &sections.collect::<Vec<_>>(),
    )?;
    Ok(plot::charts(&results_file("growth.svg", run.is_whole()), &machine, &charts(&sizes))?)
}

/// Each row after a restart of its own.
fn cold(stage: &mut Stage, rows: &[Row], rounds: usize) -> anyhow::Result<Vec<Result>> {
    let mut results: Vec<_> =
        rows.iter().map(|row| Result { row: *row, rounds: Vec::new() }).collect();
    println!("cold: {rounds} rounds, each row after a restart");
    let mut forgotten = true;
    for _ in 0..rounds {
        for result in &mut results {
            forgotten &= stage.go_cold(rows)?;
            let measured = rounds::run(stage, &[result.row], 1);
            result.rounds.extend(measured.into_iter().flat_map(|measured| measured.rounds));
        }
    }
    if !forgotten {
        println!(
            "the kernel's pages could not be dropped (that needs root): cold is only half cold"
        );
    }
    Ok(results)
}

fn print(size: &Size) {
    println!("\n{} accounts", size.accounts);
    for (state, results) in [("warm", &size.warm), ("cold", &size.cold)] {
        for result in results {
            let (Some(rate), Some(p99)) = (rate(result), p99(result)) else { continue };
            println!(
                "  {state}  {:<34} {:>8.0} / {:>8.0} / {:>8.0} /s   p99 {:.1} ms",
                result.row.to_string(),
                rate.min,
                rate.median,
                rate.max,
                p99.median
            );
        }
        for action in [Action::Describe, Action::Open] {
            print_ratio(state, action, results);
        }
    }
}

/// Ours to the textbook's.
fn print_ratio(state: &str, action: Action, results: &[Result]) {
    let of = |subject, value: fn(&Result) -> Option<Spread>| {
        let result = results.iter().find(|r| r.row.action == action && r.row.subject == subject)?;
        Some(value(result)?.median)
    };
    let ratio = |value| Some(of(Subject::Ours, value)? / of(Subject::Textbook, value)?);
    if let (Some(rates), Some(p99s)) = (ratio(rate), ratio(p99)) {
        println!(
            "  {state}  {action}: {rates:.2} × the textbook's throughput, {p99s:.2} × its p99"
        );
    }
}

fn p99(result: &Result) -> Option<Spread> {
    let rounds = counted(&result.rounds, Measured::is_clean);
    Spread::of(rounds.iter().filter_map(|round| round.p99_ms))
}

fn charts(sizes: &[Size]) -> Vec<Chart<'static>> {
    let chart = |title, action, value: fn(&Result) -> Option<Spread>| Chart {
        title,
        series: [
            (Subject::Ours, false),
            (Subject::Ours, true),
            (Subject::Textbook, false),
            (Subject::Textbook, true),
        ]
        .map(|(subject, is_cold)| series(sizes, Row::grpc(action, subject, 64), is_cold, value))
        .into(),
    };
    vec![
        chart("Describe, 64 callers: answers per second", Action::Describe, rate),
        chart("Describe, 64 callers: p99, ms", Action::Describe, p99),
        chart("Open, 64 callers: openings per second", Action::Open, rate),
        chart("Open, 64 callers: p99, ms", Action::Open, p99),
    ]
}

fn series(sizes: &[Size], row: Row, is_cold: bool, value: fn(&Result) -> Option<Spread>) -> Series {
    let points = sizes.iter().filter_map(|size| {
        let results = if is_cold { &size.cold } else { &size.warm };
        let result = results.iter().find(|result| result.row == row)?;
        Some((size.accounts, value(result)?))
    });
    let is_ours = row.subject == Subject::Ours;
    Series { is_ours, is_cold, points: points.collect() }
}
