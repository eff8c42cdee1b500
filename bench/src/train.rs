//! The load for the profile of a release: all rows of our service, and its starts. `deploy/pgo/train`
//! builds the service so that it records a profile, which it writes when it ends.

use anyhow::ensure;

use crate::Run;
use crate::rounds::rows::{self, Row};
use crate::rounds::{self, Stage, Subject};

/// How often the service is started, besides the start that serves the load.
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
