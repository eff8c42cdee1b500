//! The training of a release build: what the compiler learns from is our service under the load of
//! all its rows, and its starts. The program must have been built to take notes; it writes them when it
//! ends. `deploy/pgo/train` builds it so.

use anyhow::ensure;

use crate::Run;
use crate::rounds::rows::{self, Row};
use crate::rounds::{self, Stage, Subject};

/// How often it is started, beside the start that serves the load.
const STARTS: usize = 10;

/// Runs it.
pub fn run(run: &Run) -> anyhow::Result<()> {
    let mut rows: Vec<Row> =
        rows::all().into_iter().filter(|row| row.subject == Subject::Ours).collect();
    let mut stage = Stage::set_up(run.setting(run.accounts), &mut rows)?;
    let results = rounds::run(&mut stage, &rows, 1);
    let failed = results.iter().flat_map(|result| &result.rounds).any(|round| round.failed > 0);
    ensure!(!failed, "there were wrong answers");
    for _ in 0..STARTS {
        stage.start_once()?;
    }
    stage.retire()
}
