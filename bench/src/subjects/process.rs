//! A process that reports on a line that it is ready, and is killed at the end.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::READY_WITHIN;

/// The interval at which the line is looked for: the resolution of start times.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// The process.
pub struct Process {
    child: Child,
    /// When it was started.
    pub started: Instant,
    /// The line.
    pub ready: String,
}

impl Process {
    /// Starts the process and waits for the line. The output goes to a file, so that no thread has
    /// to read it during a measurement.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = out.try_clone()?;
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut process = Self { child, started, ready: String::new() };
        while started.elapsed() < READY_WITHIN {
            let text = fs::read_to_string(log).unwrap_or_default();
            let mut whole_lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = whole_lines.find(|line| line.starts_with("ready ")) {
                line.trim_end().clone_into(&mut process.ready);
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                bail!("ended with {status}: see {}", log.display());
            }
            sleep(LOOK_EVERY);
        }
        bail!("not ready after {READY_WITHIN:?}: see {}", log.display())
    }

    /// Sends SIGTERM, and waits for the end.
    pub fn end(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg(self.pid().to_string()).status()?;
        ensure!(asked.success(), "kill: {asked}");
        let status = self.child.wait()?;
        ensure!(status.success(), "ended with {status}");
        Ok(())
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
