//! pgbench, PostgreSQL's own load generator: the database with one statement per request.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

/// A running pgbench.
pub struct Pgbench {
    child: Child,
}

/// The summary of pgbench.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// Transactions for each second, without the time to connect.
    pub per_second: f64,
    /// Transactions in all.
    pub transactions: u64,
    /// Mean latency, in milliseconds.
    pub mean_ms: f64,
}

/// The program with the directory for its scripts.
#[derive(Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// The directory for scripts.
    pub scripts: PathBuf,
    /// The database.
    pub url: String,
}

/// The length of a run of pgbench.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// A number of seconds.
    Seconds(u64),
    /// A number of transactions for each client.
    Transactions(u64),
}

impl Program {
    /// Starts pgbench with a script.
    pub fn start(&self, script: &str, clients: usize, length: Length) -> anyhow::Result<Pgbench> {
        let path = self.scripts.join("pgbench.sql");
        fs::write(&path, script)?;
        let (flag, number) = match length {
            Length::Seconds(seconds) => ("-T", seconds),
            Length::Transactions(transactions) => ("-t", transactions),
        };
        let child = Command::new(&self.path)
            .args(["-M", "prepared", "-n", "-D", "done=0", flag, &number.to_string()])
            .args(["-c", &clients.to_string(), "-f"])
            .arg(&path)
            .arg(&self.url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        Ok(Pgbench { child })
    }
}

impl Pgbench {
    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, and reads a meter before the process and its CPU time are gone.
    pub fn finish<T>(mut self, last_reading: impl FnOnce() -> T) -> anyhow::Result<(Said, T)> {
        let (mut text, mut errors) = (String::new(), String::new());
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        out.context("no output")?.read_to_string(&mut text)?;
        err.context("no errors")?.read_to_string(&mut errors)?;
        let reading = last_reading();
        ensure!(self.child.wait()?.success(), "pgbench failed: {errors}");
        let said = read(&text).with_context(|| format!("pgbench said {text}"))?;
        Ok((said, reading))
    }
}

/// Returns the number of seconds that covers warm-up and window.
pub fn seconds_for(length: Duration) -> u64 {
    (length + Duration::from_millis(100)).as_secs() + 1
}

fn read(text: &str) -> Option<Said> {
    let after = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let first_word = |text: &str| text.split([' ', '/']).next().map(str::to_owned);
    let transactions = first_word(after("number of transactions actually processed: ")?)?;
    let per_second = first_word(after("tps = ")?)?;
    let mean = first_word(after("latency average = ")?)?;
    Some(Said {
        per_second: per_second.parse().ok()?,
        transactions: transactions.parse().ok()?,
        mean_ms: mean.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_pgbench_is_read() {
        let text = "number of transactions actually processed: 12/12\nlatency average = 0.217 ms\n\
                    initial connection time = 6.1 ms\ntps = 4612.5 (without initial connection time)\n";
        let said = Said { per_second: 4612.5, transactions: 12, mean_ms: 0.217 };
        assert_eq!(read(text), Some(said));
        assert_eq!(seconds_for(Duration::from_millis(1500)), 2);
    }
}
