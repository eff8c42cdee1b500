//! A start, as the kernel sees it: when the service has done what, and on what the CPU time goes until
//! its first answer.

use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{said, watch};
use crate::rounds::{Spread, Stage};

/// How many starts are watched.
const STARTS: usize = 15;
/// What `perf` needs until it watches.
const BEFORE: Duration = Duration::from_millis(1500);
/// Before each start: what the last one left is done.
const CALM: Duration = Duration::from_millis(500);

/// What is noted: samples of the CPU time, and each event that tells how far a start is. Of writes those to
/// the standard output: `perf` itself writes all the time.
const WATCHED: [&str; 18] = [
    "-c",
    "1",
    "-e",
    "cpu-clock/freq=5000/",
    "-e",
    "sched:sched_process_fork",
    "-e",
    "sched:sched_process_exec",
    "-e",
    "syscalls:sys_enter_bind",
    "-e",
    "syscalls:sys_enter_connect",
    "-e",
    "syscalls:sys_enter_sendto",
    "-e",
    "syscalls:sys_enter_write",
    "--filter",
    "fd == 1",
];
const SAMPLES_PER_MS: f64 = 5.0;

/// What is told of a start, in milliseconds: when it has come how far, and the CPU time until its end.
const LINES: [&str; 9] = [
    "the kernel runs the program",
    "linked, settings read: listens",
    "asks PostgreSQL to connect",
    "PostgreSQL forked and greeted",
    "schema seen: says it is ready",
    "first answer",
    "CPU: service",
    "CPU: kernel for it",
    "CPU: PostgreSQL, with kernel",
];
type Start = [f64; LINES.len()];

/// Tells of some starts of the service.
pub fn tell(record: &Path, stage: &mut Stage, service: &Path) -> anyhow::Result<()> {
    let perf = watch(record, &WATCHED)?;
    sleep(BEFORE);
    let mut took = Vec::new();
    for _ in 0..STARTS {
        sleep(CALM);
        took.push(stage.start_once()?.as_secs_f64() * 1e3);
    }
    end(perf)?;
    let script = ["script", "-F", "comm,pid,time,event,ip,trace", "-i"];
    let seen = said(Command::new("perf").args(script).arg(record))?;
    let seen: Vec<_> = seen.lines().filter_map(Seen::read).collect();
    let starts = starts(&seen, &service.display().to_string(), &took)?;
    println!("\na start, milliseconds after its begin: min / median / max of {STARTS}");
    for (place, what) in LINES.iter().enumerate() {
        if let Some(Spread { min, median, max }) =
            Spread::of(starts.iter().map(|start| start[place]))
        {
            println!("  {what:<32} {min:>5.1} / {median:>5.1} / {max:>5.1}");
        }
    }
    Ok(())
}

/// `perf` writes what it has when it is interrupted.
fn end(perf: Child) -> anyhow::Result<()> {
    let asked = Command::new("kill").args(["-INT", &perf.id().to_string()]).status()?;
    ensure!(asked.success(), "kill: {asked}");
    let output = perf.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.contains("Captured"), "perf: {errors}");
    Ok(())
}

/// Something that happened.
#[derive(Debug)]
struct Seen<'a> {
    program: &'a str,
    process: &'a str,
    /// In milliseconds.
    at: f64,
    event: &'a str,
    /// Of a sample: where; else the arguments.
    what: &'a str,
}

impl<'a> Seen<'a> {
    /// Reads `program process seconds: event: what`; a program's name may have blanks.
    fn read(line: &'a str) -> Option<Self> {
        let (head, rest) = line.split_once(": ")?;
        let (head, seconds) = head.trim().rsplit_once(' ')?;
        let (program, process) = head.trim().rsplit_once(' ')?;
        let (event, what) = rest.trim().split_once(": ").unwrap_or((rest.trim(), ""));
        let at = seconds.parse::<f64>().ok()? * 1e3;
        let event = event.trim_end_matches(':');
        Some(Self { program: program.trim(), process, at, event, what: what.trim() })
    }

    fn is_sample(&self) -> bool {
        self.event.starts_with("cpu-clock")
    }

    fn is_kernel(&self) -> bool {
        self.what.starts_with("ffff")
    }
}

/// The starts among what happened, of a program.
fn starts(seen: &[Seen<'_>], program: &str, took: &[f64]) -> anyhow::Result<Vec<Start>> {
    let executed = |seen: &Seen<'_>| {
        seen.event == "sched:sched_process_exec"
            && seen.what.starts_with(&format!("filename={program} "))
    };
    let places: Vec<_> = (0..seen.len()).filter(|place| executed(&seen[*place])).collect();
    ensure!(places.len() == took.len(), "perf saw {} of {} starts", places.len(), took.len());
    places.iter().zip(took).map(|(place, took)| start(seen, *place, *took)).collect()
}

fn start(seen: &[Seen<'_>], executed: usize, took: f64) -> anyhow::Result<Start> {
    let process = seen[executed].process;
    let child = format!("child_pid={process}");
    let is_fork = |seen: &&Seen<'_>| {
        seen.event == "sched:sched_process_fork"
            && seen.what.split_whitespace().any(|word| word == child)
    };
    let begin = seen[..executed].iter().rfind(is_fork).context("nobody forked it")?.at;
    let during = &seen[executed..];
    let during = &during[..during.partition_point(|seen| seen.at < begin + took)];
    let of_it = || during.iter().filter(|seen| seen.process == process);
    let of = |event| of_it().filter(move |seen| seen.event == event);
    let at = |seen: Option<&Seen<'_>>, what| seen.map(|seen| seen.at - begin).context(what);
    // The first thing that it says to PostgreSQL is who it is, the second is a statement.
    let out = of("syscalls:sys_enter_write").find(|seen| seen.what.starts_with("fd: 0x00000001,"));
    let samples =
        |kernel| of_it().filter(move |seen| seen.is_sample() && seen.is_kernel() == kernel);
    let database = during.iter().filter(|seen| seen.is_sample() && seen.program == "postgres");
    Ok([
        seen[executed].at - begin,
        at(of("syscalls:sys_enter_bind").next(), "it does not listen")?,
        at(of("syscalls:sys_enter_connect").next(), "it does not connect")?,
        at(of("syscalls:sys_enter_sendto").nth(1), "it says nothing to PostgreSQL")?,
        at(out, "it does not say that it is ready")?,
        took,
        in_ms(samples(false).count()),
        in_ms(samples(true).count()),
        in_ms(database.count()),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "some hundreds")]
fn in_ms(samples: usize) -> f64 {
    samples as f64 / SAMPLES_PER_MS
}

/// What must hold; run before every measurement.
pub fn selftest() {
    let text = "bench   7  1.000000: sched:sched_process_fork: comm=bench pid=7 child_comm=bench child_pid=9
 ours   9  1.002000: sched:sched_process_exec: filename=/p pid=9 old_pid=9
 ours   9  1.002200: cpu-clock/freq=5000/:  ffffffff81000000
 ours   9  1.002400: cpu-clock/freq=5000/:  55f0a1b2c3d4
 ours   9  1.003000: syscalls:sys_enter_bind: fd: 0x0000000b, umyaddr: 0x7ffc91e28780
 core 0   9  1.004000: syscalls:sys_enter_connect: fd: 0x0000000e, uservaddr: 0x7ffc91e2bd10
 core 0   9  1.004100: syscalls:sys_enter_sendto: fd: 0x0000000e, buff: 0x560b0d9981c8
 postgres   5  1.004200: cpu-clock/freq=5000/:  55f0a1b2c3d4
 core 0   9  1.008000: syscalls:sys_enter_sendto: fd: 0x0000000e, buff: 0x560b0d9981c8
 ours   9  1.009000: syscalls:sys_enter_write: fd: 0x00000005, buf: 0x7ffc91e37360
 ours   9  1.010000: syscalls:sys_enter_write: fd: 0x00000001, buf: 0x7ffc91e37360
 postgres   5  1.020000: cpu-clock/freq=5000/:  55f0a1b2c3d4
";
    let seen: Vec<_> = text.lines().filter_map(Seen::read).collect();
    assert_eq!((seen.len(), seen[5].program), (12, "core 0"));
    let starts = starts(&seen, "/p", &[12.0]).expect("one start");
    let told = starts[0].map(|value| format!("{value:.1}"));
    assert_eq!(told, ["2.0", "3.0", "4.0", "8.0", "10.0", "12.0", "0.2", "0.2", "0.2"]);
}
