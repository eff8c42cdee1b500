//! Where log lines go and in which form: `serve` writes JSON, on standard error until it has said
//! `ready` and on standard output from then on; the other commands write text on standard error,
//! for people.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// `ready` stands alone on standard output: what comes before it must go elsewhere.
static ON_STDOUT: AtomicBool = AtomicBool::new(false);

/// One in so many successful calls is logged.
static ONE_IN: AtomicU32 = AtomicU32::new(1);

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

/// Starts logging; the error says what is wrong with the filter.
pub fn start(filter: &str, form: Form) -> Result<(), String> {
    let filter: Targets = filter.parse().map_err(|error| format!("LOG is no filter: {error}"))?;
    let lines = fmt().with_max_level(LevelFilter::TRACE).with_writer(Switch);
    match form {
        Form::Json => {
            let lines = lines.json().flatten_event(true);
            lines.with_current_span(false).with_span_list(false).finish().with(filter).init();
        }
        Form::Text => lines.with_ansi(false).finish().with(filter).init(),
    }
    Ok(())
}

/// From now on to standard output.
pub fn to_stdout() {
    ON_STDOUT.store(true, Ordering::Relaxed);
}

/// Logs one in so many successful calls of actions; refusals and faults are logged in any case.
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

struct Switch;

impl<'a> MakeWriter<'a> for Switch {
    type Writer = Box<dyn Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        if ON_STDOUT.load(Ordering::Relaxed) {
            Box::new(io::stdout())
        } else {
            Box::new(io::stderr())
        }
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
