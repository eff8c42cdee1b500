//! Whether the time of a refusal tells how much of a signature or token is right. If it did, an
//! attacker could guess them piece by piece.
//!
//! Three classes of wrong credentials are checked in turn, in an order that changes: nothing is
//! right, the first half is right, all but the last byte is right. Welch's t compares their times,
//! as dudect does: a value above 4.5 is a leak. A check that leaks is measured in the same way,
//! and must be found.

mod statistics;
mod subjects;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use statistics::{Summary, quantile, welch};
use subjects::Subject;

/// The number of samples of each class.
const SAMPLES: usize = 10_000;
/// How many checks a sample takes: the clock is too coarse for one.
const CHECKS: u32 = 16;
/// How many credentials of each class there are, so that no single one counts.
const CREDENTIALS: usize = 64;
/// The part of the samples that counts. The slowest ones were interrupted.
const KEPT: f64 = 0.9;
/// The t from which a difference of the means is a leak.
const LEAK: f64 = 4.5;

/// How much of a credential is right.
const CLASSES: [&str; 3] = ["0 %", "50 %", "99 %"];

/// Measures and prints all rows. A row that fails is measured once more: the machine may have been
/// busy.
pub fn run() -> anyhow::Result<ExitCode> {
    println!(
        "{:<46} {:>8} {:>8} {:>8} {:>7} {:>6} {:>7} {:>6}",
        "ns of a refusal, right:", CLASSES[0], CLASSES[1], CLASSES[2], "50-0", "t", "99-0", "t"
    );
    let mut passed = true;
    for subject in subjects::all()? {
        let holds = row(&subject)? || {
            println!("once more:");
            row(&subject)?
        };
        passed &= holds;
    }
    println!("{}", if passed { "passed" } else { "FAILED: a time tells how much is right" });
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures and prints a row, and returns whether it is as it must be.
fn row(subject: &Subject) -> anyhow::Result<bool> {
    let [nothing, half, most] = measure(subject)?;
    let (half_t, most_t) = (welch(&half, &nothing), welch(&most, &nothing));
    println!(
        "{:<46} {:>8.1} {:>8.1} {:>8.1} {:>+7.2} {:>+6.1} {:>+7.2} {:>+6.1}",
        subject.name,
        nothing.mean,
        half.mean,
        most.mean,
        half.mean - nothing.mean,
        half_t,
        most.mean - nothing.mean,
        most_t
    );
    let leaks = half_t.abs() > LEAK || most_t.abs() > LEAK;
    Ok(leaks == subject.leaks)
}

/// Returns the times of each class.
fn measure(subject: &Subject) -> anyhow::Result<[Summary; 3]> {
    let length = subject.right.len();
    let classes = [
        credentials(subject, 0)?,
        credentials(subject, length / 2)?,
        credentials(subject, length - 1)?,
    ];
    assert!((subject.check)(&(subject.encode)(&subject.right)), "the right one is accepted");
    assert!(!classes.iter().flatten().any(|wrong| (subject.check)(wrong)), "no other one is");
    let mut order = vec![0; SAMPLES];
    getrandom::fill(&mut order)?;
    let mut times = [const { Vec::<f64>::new() }; 3];
    for (sample, turn) in order.iter().enumerate() {
        for place in 0..CLASSES.len() {
            let class = (place + usize::from(*turn)) % CLASSES.len();
            times[class].push(sample_of(subject, &classes[class][sample % CREDENTIALS]));
        }
    }
    let bound = quantile(times.concat(), KEPT);
    Ok(times.map(|times| Summary::of(times.into_iter().filter(|time| *time <= bound))))
}

/// Returns the nanoseconds of a check.
fn sample_of(subject: &Subject, credential: &str) -> f64 {
    let started = Instant::now();
    for _ in 0..CHECKS {
        black_box((subject.check)(black_box(credential)));
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKS)
}

/// Returns credentials whose first bytes are right, and no other byte.
fn credentials(subject: &Subject, right: usize) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::with_capacity(CREDENTIALS);
    for _ in 0..CREDENTIALS {
        let mut random = vec![0; subject.right.len()];
        getrandom::fill(&mut random)?;
        let bytes = subject.right.iter().zip(random).enumerate().map(|(place, (byte, random))| {
            if place < right { *byte } else { (subject.other)(*byte, random) }
        });
        all.push((subject.encode)(&bytes.collect::<Vec<_>>()));
    }
    Ok(all)
}
