//! Rounds: every row once, then every row again, so that whatever happens on the machine meanwhile
//! meets all of them alike.

mod by_pgbench;
mod by_server;
pub mod measured;
pub mod rows;
mod stage;

use std::time::{Duration, Instant};

pub use measured::{Measured, Spread, counted};
pub use rows::{Action, Row, Subject};
pub use stage::{Setting, Stage};

/// How long each row runs before its window.
pub const WARM_UP: Duration = Duration::from_millis(300);

/// What was measured of a row, by round.
#[derive(Clone, Debug)]
pub struct Result {
    /// The row.
    pub row: Row,
    /// The rounds.
    pub rounds: Vec<Measured>,
}

/// Measures rows, interleaved.
pub fn run(stage: &mut Stage, rows: &[Row], rounds: usize) -> Vec<Result> {
    let mut results: Vec<_> =
        rows.iter().map(|row| Result { row: *row, rounds: Vec::with_capacity(rounds) }).collect();
    let start = Instant::now();
    let total = rounds * rows.len();
    for round in 0..rounds {
        for (index, result) in results.iter_mut().enumerate() {
            let measured = stage.measure(result.row).unwrap_or_else(|error| Measured {
                failed: 1,
                first_failure: Some(format!("{error:#}")),
                ..Measured::default()
            });
            let done = round * rows.len() + index + 1;
            let left = start.elapsed().mul_f64(ratio(total - done, done));
            tell(round + 1, result.row, &measured, left);
            result.rounds.push(measured);
        }
    }
    results
}

fn tell(round: usize, row: Row, measured: &Measured, left: Duration) {
    let foreign = if measured.is_clean() { "" } else { "  others were on the box" };
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
