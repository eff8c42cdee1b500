//! Rounds: each measures every row once, so that changes of the machine's speed affect all rows.

mod by_pgbench;
mod by_server;
pub mod measured;
pub mod rows;
mod stage;

use std::time::{Duration, Instant};

pub use measured::{Measured, Spread, counted};
pub use rows::{Action, Row, Subject, Wire};
pub use stage::{Setting, Stage};

/// How long each row runs before its window.
pub const WARM_UP: Duration = Duration::from_millis(300);

/// The figures of a row, by round.
#[derive(Clone, Debug)]
pub struct Result {
    /// The row.
    pub row: Row,
    /// The rounds.
    pub rounds: Vec<Measured>,
}

/// Measures a number of rounds.
pub fn run(stage: &mut Stage, rows: &[Row], number: usize) -> Vec<Result> {
    let mut rounds = Rounds::new(rows, number);
    for _ in 0..number {
        rounds.next(stage);
    }
    rounds.results
}

/// Rounds with a pause for other measurements in between.
pub struct Rounds {
    /// The figures so far.
    pub results: Vec<Result>,
    number: usize,
    done: usize,
    start: Instant,
}

impl Rounds {
    /// Prepares a number of rounds.
    pub fn new(rows: &[Row], number: usize) -> Self {
        let result = |row: &Row| Result { row: *row, rounds: Vec::with_capacity(number) };
        let results = rows.iter().map(result).collect();
        Self { results, number, done: 0, start: Instant::now() }
    }

    /// Measures the next round: every row once.
    pub fn next(&mut self, stage: &mut Stage) {
        let total = self.number * self.results.len();
        for result in &mut self.results {
            let measured = stage.measure(result.row).unwrap_or_else(|error| Measured {
                failed: 1,
                first_failure: Some(format!("{error:#}")),
                ..Measured::default()
            });
            self.done += 1;
            let left = self.start.elapsed().mul_f64(ratio(total - self.done, self.done));
            tell(result.rounds.len() + 1, result.row, &measured, left);
            result.rounds.push(measured);
        }
    }
}

fn tell(round: usize, row: Row, measured: &Measured, left: Duration) {
    let foreign = if measured.is_clean() { "" } else { "  other processes used the machine" };
    let failed = measured.first_failure.as_ref();
    let failed = failed.map(|what| format!("  {} FAILED: {what}", measured.failed));
    println!(
        "round {round}  {row:<34} {:>9.0}/s{foreign}{}  ({} s left)",
        measured.per_second,
        failed.unwrap_or_default(),
        left.as_secs(),
    );
}

#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
fn ratio(left: usize, done: usize) -> f64 {
    left as f64 / done as f64
}
