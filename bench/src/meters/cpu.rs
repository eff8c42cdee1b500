//! CPU time of groups of processes, in seconds.
//!
//! `/proc/*/task/*/schedstat` has nanoseconds, but only of living threads; the time of ended processes
//! is in the parent's sum of reaped children. Both are read, so the time of a backend that ends between
//! two readings is not lost. Time that none of the metered groups used is foreign: a round with much
//! of it does not count.

use std::fs;
use std::time::Instant;

use super::processes::{field, tree};

/// The unit of `/proc/PID/stat` and `/proc/stat`. It is the same on all machines (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the CPU time of the groups.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The server that is measured, if pgbench is not, and those that number its events.
    pub service: Vec<u32>,
    /// The first process of PostgreSQL.
    pub database: u32,
    /// A client in a process of its own.
    pub client: Option<u32>,
}

/// CPU seconds between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// The time between the readings, in seconds.
    pub elapsed: f64,
    /// The server that is measured, and those that number its events.
    pub service: f64,
    /// PostgreSQL.
    pub database: f64,
    /// The client: a process of its own, or the load generator.
    pub client: f64,
    /// All processes of the machine.
    pub busy: f64,
    /// The number of cores.
    pub cores: f64,
}

/// A reading.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: Instant,
    service: f64,
    database: f64,
    client: f64,
    busy: f64,
}

impl Meter {
    /// Reads the counts of all groups.
    pub fn read(&self) -> Reading {
        Reading {
            at: Instant::now(),
            service: self.service.iter().map(|pid| group(*pid)).sum(),
            database: group(self.database),
            client: self.client.map_or_else(own, group),
            busy: busy(),
        }
    }
}

impl Reading {
    /// Returns the same reading with another CPU time of the client.
    pub fn with_client(self, client: f64) -> Self {
        Self { client, ..self }
    }

    /// Returns the CPU time of the client.
    pub fn client(&self) -> f64 {
        self.client
    }

    /// Returns what was used between this reading and a later one.
    pub fn until(&self, later: &Self) -> Used {
        Used {
            elapsed: (later.at - self.at).as_secs_f64(),
            service: later.service - self.service,
            database: later.database - self.database,
            client: later.client - self.client,
            busy: later.busy - self.busy,
            cores: cores(),
        }
    }
}

impl Used {
    /// Counts the client as the service: pgbench is the client of the database, as a service is.
    pub fn with_client_as_service(self) -> Self {
        Self { service: self.service + self.client, client: 0.0, ..self }
    }

    /// Returns the share of the machine that the groups used.
    pub fn own_share(&self) -> f64 {
        self.share_of(self.service + self.database + self.client)
    }

    /// Returns the share of the machine that other processes used.
    pub fn foreign_share(&self) -> f64 {
        (self.share_of(self.busy) - self.own_share()).max(0.0)
    }

    fn share_of(&self, seconds: f64) -> f64 {
        if self.elapsed > 0.0 { seconds / (self.elapsed * self.cores) } else { 0.0 }
    }
}

/// Returns the CPU time of a process and its descendants, including ended ones that it has reaped.
fn group(root: u32) -> f64 {
    let living: f64 = tree(root).into_iter().map(process).sum();
    let reaped = field(root, 16).unwrap_or(0) + field(root, 17).unwrap_or(0);
    living + seconds(reaped)
}

/// Returns the CPU time of the living threads of a process.
fn process(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.map(|thread| schedstat(&thread.path().join("schedstat"))).sum()
}

/// Returns the CPU time of this thread: the load generator.
fn own() -> f64 {
    schedstat("/proc/thread-self/schedstat".as_ref())
}

fn schedstat(path: &std::path::Path) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let nanoseconds: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    nanoseconds / 1e9
}

/// Returns the CPU time of the machine that was not idle. Time that the hypervisor took counts as busy.
fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> = first.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system; not idle and iowait; irq, softirq, steal.
    let busy = fields.iter().take(3).chain(fields.iter().skip(5).take(3)).sum();
    seconds(busy)
}

#[expect(clippy::cast_precision_loss, reason = "ticks since the machine started")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

#[expect(clippy::cast_precision_loss, reason = "no machine has so many")]
fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1, usize::from) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_of_this_process_is_counted() {
        let meter = Meter { service: Vec::new(), database: std::process::id(), client: None };
        let before = meter.read();
        let mut spun = 0_u64;
        while before.at.elapsed().as_millis() < 50 {
            spun = std::hint::black_box(spun + 1);
        }
        let used = before.until(&meter.read());
        // The clock is read before the counts.
        assert!(used.client > 0.002 && used.client <= used.elapsed * 1.5, "{used:?}");
        assert!(used.database >= used.client * 0.9, "{used:?}");
    }
}
