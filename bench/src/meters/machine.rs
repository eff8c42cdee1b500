//! The machine and the versions that the figures belong to.

use std::fs;
use std::process::Command;

use crate::clock;

/// The machine, and what runs on it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The time of the run, in UTC.
    pub date: String,
    /// The processor's name.
    pub cpu: String,
    /// The number of cores that may be used.
    pub cores: usize,
    /// Memory, in GiB.
    pub memory_gib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The version of PostgreSQL.
    pub postgresql: String,
    /// The version of the compiler.
    pub rustc: String,
}

impl Machine {
    /// Describes this machine.
    pub fn this(postgresql: &str) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        let kibibytes = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            date: clock::timestamp(clock::second()),
            cpu: after(&read("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| "unknown CPU".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kibibytes.unwrap_or(0).div_ceil(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            postgresql: postgresql.to_owned(),
            rustc: rustc().unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// Returns one line for a caption.
    pub fn caption(&self) -> String {
        let Self { date, cpu, cores, memory_gib, kernel, postgresql, rustc } = self;
        format!(
            "{date}, {cpu}, {cores} cores, {memory_gib} GiB, Linux {kernel}, PostgreSQL \
             {postgresql}, rustc {rustc}"
        )
    }
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split(' ').nth(1).map(str::to_owned)
}
