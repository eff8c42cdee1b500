//! The signals of the process. They are received on a thread of its own, so that the process ends in
//! time whatever hangs on the other threads.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::STOP_SLACK;

/// How long the last log line may take to be written.
const LAST_LINE: Duration = Duration::from_millis(50);
/// How much longer than its settings say a stop may take before that line.
const SLACK: Duration = STOP_SLACK.checked_sub(LAST_LINE).expect("the line is short");

/// The signals that the process receives.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
    user_2: Signal,
}

/// Starts to receive signals. The token is cancelled when the process is asked to stop. A second
/// request, or a stop that takes longer than `longest` and [`STOP_SLACK`], exits the process at once.
pub(super) fn follow_signals(longest: Option<Duration>) -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (stopped, runtime) =
        (stop.clone(), tokio::runtime::Builder::new_current_thread().enable_all().build()?);
    let (report, reported) = mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let mut signals = match Signals::receive() {
                Ok(signals) => signals,
                Err(error) => return report.send(Err(error)).unwrap_or_default(),
            };
            report.send(Ok(())).ok();
            signals.stop_requested().await;
            stopped.cancel();
            tokio::select! {
                () = signals.stop_requested() => exit(),
                () = too_long(longest) => {
                    tracing::error!("the stop takes too long; the process exits");
                    sleep(LAST_LINE).await;
                    exit();
                }
            }
        });
    })?;
    reported.recv()??;
    Ok(stop)
}

impl Signals {
    fn receive() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Returns at the next request to stop. Signals that ask other programs to read their settings
    /// again are ignored: without a handler, they would end the process.
    async fn stop_requested(&mut self) {
        let mut is_told = false;
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => "SIGHUP",
                _ = self.user_1.recv() => "SIGUSR1",
                _ = self.user_2.recv() => "SIGUSR2",
            };
            if !is_told {
                tracing::info!(signal = ignored, "ignored a signal; files are followed without it");
                is_told = true;
            }
        }
    }
}

async fn too_long(longest: Option<Duration>) {
    match longest {
        Some(longest) => sleep(longest + SLACK).await,
        None => std::future::pending().await,
    }
}

fn exit() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a second request to stop, and a stop that hangs, must not wait for anything"
    )]
    std::process::exit(1);
}
