//! The full run: every row, five rounds, two tables, a file of figures and a picture.

use std::fs;
use std::time::Duration;

use anyhow::ensure;

use crate::Run;
use crate::meters::machine::Machine;
use crate::report::plot::{self, Group};
use crate::report::{Extras, csv, print_ratios, print_rows, ratios, results_file};
use crate::rounds::rows::{self, Action, Row, Subject};
use crate::rounds::{self, Result, Spread, Stage};
use crate::signature;
use crate::subjects::Peer;

/// How often the start of the service is timed.
const STARTS: usize = 10;
/// How long nothing happens before.
const CALM: Duration = Duration::from_secs(3);
/// How often the check of a signature is.
const SIGNATURE_ROUNDS: usize = 5;

/// Runs it.
pub fn run(run: &Run) -> anyhow::Result<()> {
    let mut rows = rows::all();
    if let Some(only) = &run.only {
        rows.retain(|row| row.to_string().contains(only.as_str()));
        ensure!(!rows.is_empty(), "no row's name contains {only:?}");
    }
    let mut stage = Stage::set_up(run.setting(run.accounts), &mut rows)?;
    let machine = Machine::this(&stage.database.version()?);
    println!("{}\n{} accounts, {} rounds", machine.caption(), run.accounts, run.rounds);
    let results = rounds::run(&mut stage, &rows, run.rounds);
    let extras = extras(run, &mut stage)?;
    print_rows(&results);
    print_ratios(&ratios::lines(&results, &extras));
    println!(
        "\n{}; {} accounts; signed REST uses 10,000 keys, spread over all",
        machine.caption(),
        run.accounts
    );
    stage.missing.iter().for_each(|why| println!("left out: {why}"));
    let section = csv::Section { accounts: run.accounts, state: "warm", results: &results };
    csv::write(&results_file("latest.csv", run.is_whole()), &machine, &[section])?;
    plot::bars(&results_file("latest.svg", run.is_whole()), &machine, &groups(&results))?;
    stage.tear_down()
}

fn extras(run: &Run, stage: &mut Stage) -> anyhow::Result<Extras> {
    println!("timing {STARTS} starts");
    // The database is still busy with what was written last.
    std::thread::sleep(CALM);
    let mut starts = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        starts.push(stage.start_once()?.as_secs_f64() * 1e3);
    }
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    let bytes = fs::metadata(&run.service)?.len() as f64;
    Ok(Extras {
        start_ms: Spread::of(starts),
        binary_mb: Some(bytes / 1e6),
        signature_us: signature(),
    })
}

/// What it costs to check a signature, from the query off the wire on, in microseconds.
fn signature() -> Option<Spread> {
    let mut whole = Vec::new();
    for round in 0..SIGNATURE_ROUNDS {
        for (what, nanoseconds) in signature::measure() {
            if round == 0 {
                println!("  {what}: {nanoseconds:.0} ns");
            }
            if what == signature::WHOLE_CHECK {
                whole.push(nanoseconds / 1e3);
            }
        }
    }
    Spread::of(whole)
}

/// The bars of the picture.
fn groups(results: &[Result]) -> Vec<Group<'_>> {
    let titles = [
        (Action::Describe, "Describe: answers per second, read from PostgreSQL for each"),
        (Action::Open, "Open: durable openings per second"),
    ];
    titles
        .map(|(action, title)| {
            let bar = |(name, row, is_ours): (String, Row, bool)| {
                let result = results.iter().find(|result| result.row == row)?;
                Some((name, result, is_ours))
            };
            Group { title, bars: bar_rows(results, action).into_iter().filter_map(bar).collect() }
        })
        .into()
}

fn bar_rows(results: &[Result], action: Action) -> Vec<(String, Row, bool)> {
    let ours = |callers| Row::grpc(action, Subject::Ours, callers);
    let mut bars = vec![
        ("cdn-activation, gRPC, 64 callers".to_owned(), ours(64), true),
        ("cdn-activation, gRPC, 256 callers".to_owned(), ours(256), true),
        ("cdn-activation, signed REST, 64".to_owned(), Row::rest(action, 64), true),
    ];
    if action == Action::Describe {
        let echo = Row::grpc(action, Subject::Echo, 64);
        bars.push(("tonic, no database at all, 64".to_owned(), echo, false));
    }
    if let Some(best) = ratios::best_pgbench(results, action) {
        bars.push((format!("pgbench, prepared, {} clients", best.callers), best, false));
    }
    let textbook = Row::grpc(action, Subject::Textbook, 64);
    bars.push(("tonic + sqlx, textbook, 64".to_owned(), textbook, false));
    for (peer, name) in
        Peer::ALL.into_iter().zip(["Go, pgx, 64", "Node.js, pg, 64", "Python, asyncpg, 64"])
    {
        bars.push((name.to_owned(), Row::grpc(action, Subject::Peer(peer), 64), false));
    }
    bars
}
