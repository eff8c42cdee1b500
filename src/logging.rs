//! Where log lines go and in which form: `serve` writes JSON, on standard error until it has said
//! `ready` and on standard output from then on; the other commands write text on standard error,
//! for people.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{EnvFilter, fmt};

/// `ready` stands alone on standard output: what comes before it must go elsewhere.
static ON_STDOUT: AtomicBool = AtomicBool::new(false);

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
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("LOG is no filter: {error}"))?;
    let lines = fmt().with_env_filter(filter).with_writer(Switch);
    match form {
        Form::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
        Form::Text => lines.with_ansi(false).init(),
    }
    Ok(())
}

/// From now on to standard output.
pub fn to_stdout() {
    ON_STDOUT.store(true, Ordering::Relaxed);
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
