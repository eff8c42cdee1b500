//! The full run: every row, five rounds, two tables, a file of figures and a picture.

use std::fs;
use std::time::Duration;

use anyhow::ensure;

use crate::Run;
use crate::meters::machine::Machine;
use crate::report::plot::{self, Group};
use crate::report::{Extras, csv, print_ratios, print_rows, ratios, results_file};
use crate::rounds::rows::{self, Action, Row, Subject};
use crate::rounds::{Result, Rounds, Spread, Stage};
use crate::signature;
use crate::subjects::Peer;

/// How often the start of the service is timed after each round.
const STARTS: usize = 2;
/// How long nothing happens before.
const CALM: Duration = Duration::from_secs(3);

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
    let mut rounds = Rounds::new(&rows, run.rounds);
    let mut between = Between::default();
    for _ in 0..run.rounds {
        rounds.next(&mut stage);
        between.measure(&mut stage)?;
    }
    let results = rounds.results;
    between.print_signatures();
    print_rows(&results);
    print_ratios(&ratios::lines(&results, &between.extras(run)?));
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

/// What is measured after each round, of the service alone.
#[derive(Default)]
struct Between {
    /// From the start of the program to its first answer, in milliseconds.
    starts: Vec<f64>,
    /// What the operations of a check of a signature take, in nanoseconds, round by round.
    signatures: Vec<Vec<(&'static str, f64)>>,
}

impl Between {
    fn measure(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        println!("timing {STARTS} starts, and signatures");
        // The database is still busy with what was written last.
        std::thread::sleep(CALM);
        for _ in 0..STARTS {
            self.starts.push(stage.start_once()?.as_secs_f64() * 1e3);
        }
        self.signatures.push(signature::measure());
        Ok(())
    }

    fn print_signatures(&self) {
        for (operation, _) in self.signatures.first().into_iter().flatten() {
            if let Some(Spread { min, median, max }) = self.signature(operation) {
                println!("  {operation}, ns: {min:.0} / {median:.0} / {max:.0}");
            }
        }
    }

    fn signature(&self, operation: &str) -> Option<Spread> {
        let all = self.signatures.iter().flatten();
        Spread::of(all.filter(|(name, _)| *name == operation).map(|(_, taken)| *taken))
    }

    fn extras(&self, run: &Run) -> anyhow::Result<Extras> {
        #[expect(clippy::cast_precision_loss, reason = "some millions")]
        let bytes = fs::metadata(&run.service)?.len() as f64;
        let in_us = |Spread { min, median, max }| Spread {
            min: min / 1e3,
            median: median / 1e3,
            max: max / 1e3,
        };
        Ok(Extras {
            start_ms: Spread::of(self.starts.iter().copied()),
            binary_mb: Some(bytes / 1e6),
            signature_us: self.signature(signature::WHOLE_CHECK).map(in_us),
        })
    }
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
