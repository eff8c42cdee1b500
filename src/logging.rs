//! Where log lines go and in which form: `serve` writes JSON, on standard error until it has said
//! `ready` and on standard output from then on; the other commands write text on standard error,
//! for people. Nothing waits for a line to be written: see `queue.rs`.

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

use self::limit::Limit;
pub use self::queue::Output;

/// How often it is said, at the most, that lines are missing.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// How long the end of the process waits for its last lines. Below the second that a shutdown may take
/// beside its drain.
const LONGEST_FINISH: Duration = Duration::from_millis(300);

/// `ready` stands alone on standard output: what comes before it must go elsewhere.
static ON_STDOUT: AtomicBool = AtomicBool::new(false);

/// One in so many successful calls is logged.
static ONE_IN: AtomicU32 = AtomicU32::new(1);

static LIMIT: Limit = Limit::new();
/// Of its own, so that a flood of refusals hides no fault.
static FAULTS: Limit = Limit::new();
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Calls of this thread until the next that is logged.
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

/// Logging that runs. The end of it waits until the last lines are written, 300 ms at the
/// most.
#[derive(Debug)]
#[must_use]
pub struct Logging(());

/// Starts logging; the error says what is wrong with the filter or the outputs.
pub fn start(filter: &str, form: Form) -> Result<Logging, String> {
    let filter: Targets = filter.parse().map_err(|error| format!("LOG is no filter: {error}"))?;
    queue::start(SUMMARY_INTERVAL, tell_what_is_missing)
        .map_err(|error| format!("the log cannot be written: {error}"))?;
    let lines = fmt().with_max_level(LevelFilter::TRACE).with_writer(ToQueue(form));
    // It would tell standard error of a line that is lost, and panic where that is lost, too.
    let lines = lines.log_internal_errors(false);
    match form {
        Form::Json => {
            let lines = lines.json().flatten_event(true);
            lines.with_current_span(false).with_span_list(false).finish().with(filter).init();
        }
        Form::Text => lines.with_ansi(false).finish().with(filter).init(),
    }
    // Rust's own hook waits until standard error takes what it says.
    std::panic::set_hook(Box::new(|panic| {
        let (cause, location) = (panic.payload_as_str(), panic.location());
        let location = location.map(tracing::field::display);
        let backtrace = Backtrace::capture(); // where RUST_BACKTRACE asks for it
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

/// Says a text that is no log line, such as `ready`, without waiting until it is written. Before
/// logging has started it is written at once: nothing is served yet that would have to wait.
pub fn say(output: Output, text: &str) {
    if queue::push(output, text.as_bytes()) {
        return;
    }
    // An output that takes nothing cannot be told so.
    let _ = match output {
        Output::Stdout => io::stdout().write_all(text.as_bytes()),
        Output::Stderr => io::stderr().write_all(text.as_bytes()),
    };
}

/// From now on to standard output.
pub fn to_stdout() {
    ON_STDOUT.store(true, Ordering::Release);
}

/// Logs one in so many successful calls of actions. Refusals have a limit of their own, faults none.
pub fn sample_calls(one_in: u32) {
    ONE_IN.store(one_in, Ordering::Relaxed);
}

/// Whether the successful call that asks is one to log. The first of a thread is.
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

/// Whether one more line that a caller has caused, such as a refusal, is logged: of a flood there
/// are 50 a second, and one that says how many are missing.
#[must_use]
pub fn is_within_limit() -> bool {
    admits(&LIMIT)
}

/// The same of a line that tells of a fault, which a caller may have caused.
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

/// Lines that were not logged because callers caused too many.
#[must_use]
pub fn suppressed_lines() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Lines that were dropped: the queue was full, or they could not be written.
#[must_use]
pub fn dropped_lines() -> u64 {
    queue::dropped()
}

/// One line for all that are missing since the last one.
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

/// Takes one line at a time.
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
