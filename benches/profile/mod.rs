//! Where the time goes, and the bytes: of a call and of a start, as the system's profiler (`perf`, as
//! root) sees them, and of the program. That must have its symbols, which `make bench-profile` leaves
//! in.

mod calls;
mod parts;
mod size;
mod start;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::Run;
use crate::rounds::Stage;

/// Runs it.
pub fn run(run: &Run) -> anyhow::Result<()> {
    size::tell(&run.service)?;
    let mut rows = calls::ROWS.to_vec();
    let mut setting = run.setting(run.accounts);
    setting.window = calls::WINDOW;
    let record = setting.work_dir.join("logs/perf.data");
    let mut stage = Stage::set_up(setting, &mut rows)?;
    start::tell(&record, &mut stage, &run.service)?;
    for row in rows {
        calls::tell(&record, &mut stage, row)?;
    }
    stage.tear_down()
}

/// Has `perf` watch the whole machine.
fn watch(record: &Path, how: &[&str]) -> anyhow::Result<Child> {
    Command::new("perf")
        .args(["record", "-a", "-o"])
        .arg(record)
        .args(how)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("perf is needed (Debian: linux-perf)")
}

/// What a command says.
fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What must hold; run before every measurement.
pub fn selftest() {
    calls::selftest();
    parts::selftest();
    size::selftest();
    start::selftest();
}
