//! The table of the attacks.

use std::time::Duration;

use super::{Outcome, Tally};

/// The most memory that the program may take, in MiB.
const MOST_MEMORY: f64 = 160.0;
/// The largest p99 of other calls while rows are locked, as a multiple of the p99 without an attack;
/// and the lowest p99 that it is compared with, because the machine may be busy.
const SLOWER: u32 = 5;
const QUIET: Duration = Duration::from_millis(10);
/// The number of characters of a reason that are shown.
const SHOWN: usize = 160;

/// One attack.
pub struct Row {
    name: String,
    outcome: Outcome,
    calls: Tally,
    alive: Tally,
    memory: f64,
    /// Bounds that did not hold.
    pub faults: Vec<String>,
}

impl Row {
    /// Checks the bounds for an attack and the calls beside it.
    pub fn new(
        name: String,
        mut outcome: Outcome,
        mut calls: Tally,
        alive: Tally,
        memory: f64,
    ) -> Self {
        let mut faults = std::mem::take(&mut outcome.faults);
        faults.dedup();
        let excused = outcome.excused_until;
        calls.failed.retain(|(began, _)| excused.is_none_or(|until| *began > until));
        if let Some((_, why)) = calls.failed.first() {
            let why: String = why.chars().take(SHOWN).collect();
            faults.push(format!("{} calls were not served: {why}", calls.failed.len()));
        }
        if let Some((_, why)) = alive.failed.first() {
            faults.push(format!("{} times it was not alive: {why}", alive.failed.len()));
        }
        if calls.served == 0 {
            faults.push("no call was served".to_owned());
        }
        if memory > MOST_MEMORY {
            faults.push(format!("{memory:.0} MiB of memory"));
        }
        Self { name, outcome, calls, alive, memory, faults }
    }

    /// Returns a row without calls beside the attack.
    pub fn of(name: String, mut outcome: Outcome) -> Self {
        let faults = std::mem::take(&mut outcome.faults);
        let (calls, alive) = (Tally::default(), Tally::default());
        Self { name, outcome, calls, alive, memory: 0.0, faults }
    }

    /// Checks the p99 beside this attack against that without an attack.
    pub fn hold_to(&mut self, quiet: Duration) {
        let (p99, bound) = (self.p99(), SLOWER * quiet.max(QUIET));
        if p99 > bound {
            self.faults.push(format!("p99 is {p99:?}, in quiet it was {quiet:?}"));
        }
    }

    /// Returns the p99 of the calls beside the attack.
    pub fn p99(&self) -> Duration {
        self.calls.p99()
    }

    /// Prints the bounds that do not hold.
    pub fn print(&self) {
        for fault in &self.faults {
            println!("  {fault}");
        }
    }
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    println!();
    println!(
        "{:27} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>8}  verdict",
        "attack",
        "sent",
        "answered",
        "served",
        "failed",
        "p99 ms",
        "worst ms",
        "livez ms",
        "RSS MiB"
    );
    for row in rows {
        let Row { name, outcome, calls, alive, memory, faults } = row;
        let verdict = if faults.is_empty() { "ok" } else { "FAILED" };
        println!(
            "{name:27} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {memory:>8.0}  {verdict} {}",
            outcome.sent,
            outcome.answered,
            calls.served,
            calls.failed.len(),
            milliseconds(calls.p99()),
            milliseconds(calls.worst),
            milliseconds(alive.worst),
            outcome.note,
        );
    }
    for row in rows.iter().filter(|row| !row.faults.is_empty()) {
        println!("{}: {}", row.name, row.faults.join("; "));
    }
}

fn milliseconds(duration: Duration) -> u128 {
    duration.as_millis()
}
