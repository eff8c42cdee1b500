//! The full run: every row in each round, a table, a file of figures and a plot.

use std::fs;
use std::time::Duration;

use anyhow::ensure;

use crate::Run;
use crate::meters::machine::Machine;
use crate::report::{csv, plot, results_file, table};
use crate::rounds::{Rounds, Spread, Stage, rows};
use crate::signature;

/// How often the start of the service is timed after each round.
const STARTS: usize = 2;
/// A pause before that: the database is still busy with what was written last.
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
    table::print(&rounds.results);
    between.print();
    println!("program, MB: {:.2}", megabytes(fs::metadata(&run.service)?.len()));
    println!("{}, {} accounts", machine.caption(), run.accounts);
    stage.missing.iter().for_each(|why| println!("left out: {why}"));
    let results = &rounds.results;
    let is_whole = run.is_whole();
    csv::write_figures(&results_file("latest.csv", is_whole), &machine, run.accounts, results)?;
    plot::write_plot(&results_file("latest.svg", is_whole), &machine, results)?;
    stage.tear_down()
}

/// What is measured of the service alone, after each round.
#[derive(Default)]
struct Between {
    /// From the start of the program to its first answer, in milliseconds.
    starts: Vec<f64>,
    /// The operations of a check of a signature, in nanoseconds, by round.
    signatures: Vec<Vec<(&'static str, f64)>>,
}

impl Between {
    fn measure(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        println!("timing {STARTS} starts, and signatures");
        std::thread::sleep(CALM);
        for _ in 0..STARTS {
            self.starts.push(stage.start_once()?.as_secs_f64() * 1e3);
        }
        self.signatures.push(signature::measure());
        Ok(())
    }

    fn print(&self) {
        println!("\nmin / median / max");
        print_spread("start to first answer, ms", Spread::of(self.starts.iter().copied()), 1);
        for (operation, _) in self.signatures.first().into_iter().flatten() {
            let all = self.signatures.iter().flatten();
            let taken = all.filter(|(name, _)| name == operation).map(|(_, taken)| *taken);
            print_spread(&format!("signature, {operation}, ns"), Spread::of(taken), 0);
        }
    }
}

fn print_spread(what: &str, spread: Option<Spread>, digits: usize) {
    if let Some(Spread { min, median, max }) = spread {
        println!("{what}: {min:.digits$} / {median:.digits$} / {max:.digits$}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "some millions")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
