//! The figures in a file: one line for each row and round, each with what it was taken on.

use std::io;
use std::path::Path;

use super::write;
use crate::meters::machine::Machine;
use crate::rounds::{Measured, Result};

const COLUMNS: &str = "date,cpu,cores,memory_gib,kernel,postgresql,rustc,accounts,action,wire,callers,subject,\
    round,calls_per_s,p50_ms,p99_ms,p999_ms,service_cpu_us,database_cpu_us,client_cpu_us,\
    peak_rss_mib,own_share,foreign_share,failed";

/// Writes the file.
pub fn write_figures(
    path: &Path,
    machine: &Machine,
    accounts: u64,
    results: &[Result],
) -> io::Result<()> {
    let mut text = format!("{COLUMNS}\n");
    for result in results {
        for (round, measured) in result.rounds.iter().enumerate() {
            text.push_str(&line(machine, accounts, result, round + 1, measured));
            text.push('\n');
        }
    }
    write(path, text)
}

fn line(
    machine: &Machine,
    accounts: u64,
    result: &Result,
    round: usize,
    measured: &Measured,
) -> String {
    let row = result.row;
    let number = |value: f64| if value.is_finite() { format!("{value:.4}") } else { String::new() };
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    [
        machine.date.clone(),
        machine.cpu.replace(',', " "),
        machine.cores.to_string(),
        machine.memory_gib.to_string(),
        machine.kernel.clone(),
        machine.postgresql.clone(),
        machine.rustc.clone(),
        accounts.to_string(),
        row.action.to_string(),
        row.wire.to_string(),
        row.callers.to_string(),
        row.subject.to_string(),
        round.to_string(),
        number(measured.per_second),
        number(measured.p50_ms),
        optional(measured.p99_ms),
        optional(measured.p999_ms),
        number(measured.service_cpu()),
        number(measured.database_cpu()),
        number(measured.client_cpu()),
        optional(measured.rss_mib),
        number(measured.used.own_share()),
        number(measured.used.foreign_share()),
        measured.failed.to_string(),
    ]
    .join(",")
}
