//! What the program's bytes are: its sections, and its code by what it is part of.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::{parts, said};

/// Sections that are loaded, by what they are for. What debuggers read is not: a release has none of it.
const SECTIONS: [(&str, &[&str]); 5] = [
    ("code", &[".text", ".plt", ".init", ".fini"]),
    ("constants", &[".rodata"]),
    ("unwinding", &[".eh_frame", ".eh_frame_hdr", ".gcc_except_table"]),
    ("tables of addresses", &[".data.rel.ro", ".got", ".got.plt"]),
    ("how to move them", &[".rela.dyn", ".rela.plt", ".relr.dyn"]),
];

/// Tells of a program that has its symbols.
pub fn tell(program: &Path) -> anyhow::Result<()> {
    let said_of_sections = said(Command::new("size").arg("-A").arg(program))?;
    let sections = sections(&said_of_sections);
    let symbols = said(Command::new("nm").args(["-S", "--demangle"]).arg(program))?;
    let parts = code_by_part(&symbols);
    ensure!(!parts.is_empty(), "{} has no symbols", program.display());
    println!("\nthe program, kB");
    for (what, names) in SECTIONS {
        line(what, names.iter().filter_map(|name| sections.get(*name)).sum());
        if what == "code" {
            let mut parts: Vec<_> = parts.iter().collect();
            parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(**bytes));
            for (part, bytes) in parts {
                line(&format!("  {part}"), *bytes);
            }
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "some millions")]
fn line(what: &str, bytes: u64) {
    println!("  {what:<28} {:>6.0}", bytes as f64 / 1e3);
}

/// Reads what `size -A` says: `.name bytes address`.
fn sections(text: &str) -> HashMap<&str, u64> {
    let read = |line: &'_ str| -> Option<(usize, u64)> {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| name.starts_with('.'))?;
        Some((name.len(), words.next()?.parse().ok()?))
    };
    text.lines().filter_map(|line| read(line).map(|(name, bytes)| (&line[..name], bytes))).collect()
}

/// Adds up what `nm -S` says of functions: `address bytes t symbol`.
fn code_by_part(text: &str) -> HashMap<&'static str, u64> {
    let mut sums = HashMap::new();
    for (symbol, bytes) in text.lines().filter_map(|line| function(line).ok()) {
        *sums.entry(parts::of(symbol)).or_default() += bytes;
    }
    sums
}

fn function(line: &str) -> anyhow::Result<(&str, u64)> {
    let mut words = line.splitn(4, ' ');
    let (_address, bytes) = (words.next(), words.next().context("no size")?);
    let kind = words.next().context("no kind")?;
    ensure!(["t", "T", "w", "W"].contains(&kind), "no function");
    Ok((words.next().context("no name")?, u64::from_str_radix(bytes, 16)?))
}

/// What must hold; run before every measurement.
pub fn selftest() {
    let text = "cdn-activation  :\nsection   size   addr\n.text   8699058  2707520\nTotal  9\n";
    assert_eq!(sections(text), HashMap::from([(".text", 8_699_058)]));
    let text = "0000000000295040 00000000000000ff t h2::frame::Data::new\n\
                0000000000295140 0000000000000001 t <h2::A as core::fmt::Debug>::fmt\n\
                0000000000295140 0000000000000001 r h2::TABLE\n\
                0000000000b21000 D __data_start\n";
    assert_eq!(code_by_part(text), HashMap::from([("HTTP", 256)]));
}
