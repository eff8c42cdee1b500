//! A trial of the build: another program of the same source beside the one that is shipped, row by
//! row in the same rounds, so that a setting of the build has a measured reason.

use std::fs;
use std::path::Path;

use crate::Run;
use crate::report::print_rows;
use crate::rounds::rows::Wire;
use crate::rounds::{self, Action, Measured, Result, Row, Spread, Stage, Subject, counted};

const CALLS: [(Action, Wire); 3] =
    [(Action::Describe, Wire::Grpc), (Action::Describe, Wire::Rest), (Action::Open, Wire::Grpc)];
const CALLERS: usize = 64;

/// What is compared of a row.
type Cost = fn(&Measured) -> f64;
const COSTS: [(&str, Cost); 3] = [
    ("CPU of the service", Measured::service_cpu),
    ("CPU of all", Measured::total_cpu),
    ("calls/s", |measured| measured.per_second),
];

/// Runs it.
pub fn run(run: &Run, program: &Path) -> anyhow::Result<()> {
    let row = |subject, (action, wire)| Row { subject, action, wire, callers: CALLERS };
    // The one that comes second finds the database warmer, so that each comes first once.
    let subjects = [Subject::Ours, Subject::Trial, Subject::Trial, Subject::Ours];
    let mut rows: Vec<Row> =
        CALLS.into_iter().flat_map(|call| subjects.map(|subject| row(subject, call))).collect();
    let mut setting = run.setting(run.accounts);
    setting.trial = Some(program.to_owned());
    let mut stage = Stage::set_up(setting, &mut rows)?;
    let results = rounds::run(&mut stage, &rows, run.rounds);
    stage.tear_down()?;
    print_rows(&results);
    println!("\n{:<49} min / median / max", "shipped ÷ trial");
    for (call, rows) in CALLS.into_iter().zip(results.chunks(subjects.len())) {
        let name = row(Subject::Ours, call).to_string();
        for (what, cost) in COSTS {
            let ratios = rows.chunks(2).flat_map(|pair| ratios(pair, cost));
            if let Some(Spread { min, median, max }) = Spread::of(ratios) {
                println!("{name:<28} {what:<20} {min:.2} / {median:.2} / {max:.2}");
            }
        }
    }
    let (shipped, trial) = (fs::metadata(&run.service)?.len(), fs::metadata(program)?.len());
    println!("bytes of the program: shipped {shipped}, trial {trial}");
    Ok(())
}

/// Of two rows that were measured one after the other, in each round.
fn ratios(pair: &[Result], cost: Cost) -> Vec<f64> {
    let [one, other] = pair else { return Vec::new() };
    let rounds: Vec<_> = one.rounds.iter().zip(&other.rounds).collect();
    let counted = counted(&rounds, |(one, other)| one.is_clean() && other.is_clean());
    let shipped_is_first = one.row.subject == Subject::Ours;
    let ratio = |(one, other): &&(&Measured, &Measured)| {
        let ratio = cost(one) / cost(other);
        if shipped_is_first { ratio } else { 1.0 / ratio }
    };
    counted.iter().map(ratio).collect()
}
