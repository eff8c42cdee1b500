//! The figures in a file: one line for each row and round, each with what it was taken on.

use std::fs;
use std::io;
use std::path::Path;

use crate::meters::machine::Machine;
use crate::rounds::{Measured, Result};

const COLUMNS: &str = "date,cpu,cores,memory_gib,kernel,postgresql,rustc,accounts,state,action,wire,callers,subject,\
    round,calls_per_s,p50_ms,p99_ms,p999_ms,service_cpu_s_per_100k,database_cpu_s_per_100k,\
    client_cpu_s_per_100k,peak_rss_mib,own_share,foreign_share,failed";

/// Results with the data that they were taken on.
pub struct Section<'a> {
    /// How many accounts.
    pub accounts: u64,
    /// `warm` or `cold`.
    pub state: &'a str,
    /// The rows.
    pub results: &'a [Result],
}

/// Writes a file.
pub fn write(path: &Path, machine: &Machine, sections: &[Section<'_>]) -> io::Result<()> {
    let mut text = format!("{COLUMNS}\n");
    for section in sections {
        for result in section.results {
            for (round, measured) in result.rounds.iter().enumerate() {
                text.push_str(&line(machine, section, result, round + 1, measured));
                text.push('\n');
            }
        }
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)?;
    println!("written: {}", path.display());
    Ok(())
}

fn line(
    machine: &Machine,
    section: &Section<'_>,
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
        section.accounts.to_string(),
        section.state.to_owned(),
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
