//! Whether the time of a refusal tells how much of a signature or token is right. If it did, an
//! attacker could guess them piece by piece.
//!
//! Three classes of wrong credentials are checked in turn, in an order that changes: nothing is
//! right, the first half is right, all but the last byte is right. Welch's t compares their times,
//! as dudect does: a value above 4.5 is a leak. A check that leaks is measured in the same way, and
//! must be found.
//!
//! Each check has a secret of its own. With one secret, the credentials of a class would be the more
//! alike the more of them is right, and the processor would learn the branches of decoding them:
//! that shortens a V3 check by 2 %, and tells nothing about the secret.

mod statistics;
mod subjects;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use statistics::{Summary, quantile, welch};
use subjects::{Subject, Target};

/// The number of samples of each class.
const SAMPLES: usize = 10_000;
/// How many checks a sample takes: the clock is too coarse for one.
const CHECKS: u32 = 16;
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
    for subject in subjects::ALL {
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
    let mut order = vec![0; SAMPLES];
    getrandom::fill(&mut order)?;
    let mut times = [const { Vec::<f64>::new() }; 3];
    for turn in order {
        for place in 0..CLASSES.len() {
            let class = (place + usize::from(turn)) % CLASSES.len();
            let target = (subject.target)()?;
            let length = target.right.len();
            let right = [0, length / 2, length - 1][class];
            times[class].push(time_of(&target, &credential(&target, right)?));
        }
    }
    let bound = quantile(times.concat(), KEPT);
    Ok(times.map(|times| Summary::of(times.into_iter().filter(|time| *time <= bound))))
}

/// Returns the nanoseconds of a check that refuses a credential.
fn time_of(target: &Target, credential: &str) -> f64 {
    let started = Instant::now();
    for _ in 0..CHECKS {
        black_box((target.check)(black_box(credential)));
    }
    let elapsed = started.elapsed();
    assert!(!(target.check)(credential), "it is wrong");
    elapsed.as_secs_f64() * 1e9 / f64::from(CHECKS)
}

/// Returns a credential whose first bytes are right, and no other byte.
fn credential(target: &Target, right: usize) -> anyhow::Result<String> {
    let mut random = vec![0; target.right.len()];
    getrandom::fill(&mut random)?;
    let bytes = target.right.iter().zip(random).enumerate().map(|(place, (byte, random))| {
        if place < right { *byte } else { (target.other)(*byte, random) }
    });
    Ok((target.encode)(&bytes.collect::<Vec<_>>()))
}
