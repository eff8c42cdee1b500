//! Where log lines are written, and in which form. `serve` writes JSON: to standard error until it
//! has printed `ready`, then to standard output. The other commands write text for people to
//! standard error. No thread waits until a line is written: see `queue.rs`.

mod calls;
mod failures;
mod limit;
mod line;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use self::calls::{CallLine, Subject, log_error};
pub use self::failures::FailureLog;
pub use self::limit::Limit;
pub use self::queue::Output;

/// Shortest time between two lines that report missing lines.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// How long the process waits for its last lines when it ends. It is shorter than the second that a
/// shutdown may take in addition to its drain.
const LONGEST_FINISH: Duration = Duration::from_millis(300);

/// Whether lines go to standard output. `ready` is its first line, so earlier lines go to standard
/// error.
static ON_STDOUT: AtomicBool = AtomicBool::new(false);

/// One of this many successful calls is logged.
static ONE_IN: AtomicU32 = AtomicU32::new(1);

/// Lines a second of a limit, and lines at once.
const LINES: (u64, u64) = (50, 200);
static LIMIT: Limit = Limit::new(LINES.0, LINES.1);
/// A limit of its own, so that a flood of refusals does not hide a fault.
static FAULTS: Limit = Limit::new(LINES.0, LINES.1);
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Number of calls of this thread until the next one that is logged.
    static UNTIL_NEXT: Cell<u32> = const { Cell::new(0) };
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For machines.
    Json,
    /// For people.
    Text,
}

/// Running logging. When it is dropped, it waits at most 300 ms until the last lines are written.
#[derive(Debug)]
#[must_use]
pub struct Logging(());

/// Starts logging. The error says what is wrong with the filter or the outputs.
pub fn start(filter: &str, form: Form) -> Result<Logging, String> {
    let filter: Targets =
        filter.parse().map_err(|error| format!("LOG is not a valid filter: {error}"))?;
    queue::start(SUMMARY_INTERVAL, tell_what_is_missing)
        .map_err(|error| format!("the log cannot be written: {error}"))?;
    let lines = fmt().with_max_level(LevelFilter::TRACE).with_writer(ToQueue(form));
    // If this were true, tracing would report a lost line on standard error, and panic if that
    // failed, too.
    let lines = lines.log_internal_errors(false);
    match form {
        Form::Json => {
            let lines = lines.json().flatten_event(true);
            lines.with_current_span(false).with_span_list(false).finish().with(filter).init();
        }
        Form::Text => lines.with_ansi(false).finish().with(filter).init(),
    }
    // Rust's own hook blocks until standard error accepts its text.
    std::panic::set_hook(Box::new(|panic| {
        let (cause, location) = (panic.payload_as_str(), panic.location());
        let location = location.map(tracing::field::display);
        let backtrace = Backtrace::capture(); // if RUST_BACKTRACE is set
        let backtrace = (backtrace.status() == BacktraceStatus::Captured)
            .then(|| tracing::field::display(backtrace));
        tracing::error!(cause, location, backtrace, "panicked");
    }));
    Ok(Logging(()))
}

impl Drop for Logging {
    fn drop(&mut self) {
        tell_what_is_missing();
        queue::wait_until_written(LONGEST_FINISH);
    }
}

/// Writes a text that is not a log line, such as `ready`, without waiting until it is written.
/// Before logging is started, the text is written at once, because nothing is served yet that would
/// have to wait.
pub fn say(output: Output, text: &str) {
    if queue::push(output, text.as_bytes()) {
        return;
    }
    // If the output accepts nothing, the failure cannot be reported.
    let _ = match output {
        Output::Stdout => io::stdout().write_all(text.as_bytes()),
        Output::Stderr => io::stderr().write_all(text.as_bytes()),
    };
}

/// Writes all further lines to standard output.
pub fn to_stdout() {
    ON_STDOUT.store(true, Ordering::Release);
}

/// Logs one of this many successful calls of actions. Refusals and faults have limits of their own.
pub fn sample_calls(one_in: u32) {
    ONE_IN.store(one_in, Ordering::Relaxed);
}

/// Whether the current successful call is to be logged. The first of each thread is.
#[must_use]
pub fn is_in_sample() -> bool {
    UNTIL_NEXT.with(|until_next| match until_next.get() {
        0 => {
            until_next.set(ONE_IN.load(Ordering::Relaxed).saturating_sub(1));
            true
        }
        more => {
            until_next.set(more - 1);
            false
        }
    })
}

/// Whether another line that a caller has caused, such as a refusal, is to be logged. Of a flood,
/// 50 lines a second are logged, and one line that reports how many are missing.
#[must_use]
pub fn is_within_limit() -> bool {
    admits(&LIMIT)
}

/// The same for a line about a fault, which a caller may have caused.
#[must_use]
pub fn fault_is_within_limit() -> bool {
    admits(&FAULTS)
}

fn admits(limit: &Limit) -> bool {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let now = u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX);
    let is_within = limit.admits(now);
    if !is_within {
        SUPPRESSED.fetch_add(1, Ordering::Relaxed);
    }
    is_within
}

/// Returns the number of lines that were not logged because callers caused too many.
#[must_use]
pub fn suppressed_lines() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Returns the number of lines that were dropped because the queue was full or writing failed.
#[must_use]
pub fn dropped_lines() -> u64 {
    queue::dropped()
}

/// Returns the number of lines that are not written yet.
#[must_use]
pub fn waiting_lines() -> usize {
    queue::waiting()
}

/// Logs one line about all lines that are missing since the last such line.
fn tell_what_is_missing() {
    static TOLD_SUPPRESSED: AtomicU64 = AtomicU64::new(0);
    static TOLD_DROPPED: AtomicU64 = AtomicU64::new(0);
    let untold = |total: u64, told: &AtomicU64| total - told.swap(total, Ordering::Relaxed);
    let total = suppressed_lines();
    let lines = untold(total, &TOLD_SUPPRESSED);
    if lines > 0 {
        tracing::warn!(lines, total, "refusals and other lines of callers were not logged");
    }
    let total = dropped_lines();
    let lines = untold(total, &TOLD_DROPPED);
    if lines > 0 {
        tracing::warn!(lines, total, "log lines were dropped");
    }
}

/// A writer that accepts one line at a time.
struct ToQueue(Form);

impl MakeWriter<'_> for ToQueue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self(self.0)
    }
}

impl Write for ToQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let on_stdout = ON_STDOUT.load(Ordering::Acquire);
        let output = if on_stdout { Output::Stdout } else { Output::Stderr };
        queue::push(output, &line::cut(line, self.0));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_calls_is_logged_and_the_first_is() {
        let logged = |one_in, calls| {
            sample_calls(one_in);
            UNTIL_NEXT.set(0);
            (0..calls).map(|_| is_in_sample()).collect::<Vec<_>>()
        };
        assert_eq!(logged(3, 7), [true, false, false, true, false, false, true]);
        assert_eq!(logged(1, 3), [true; 3]);
    }
}
