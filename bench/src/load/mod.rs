//! The load generator: callers that wait for the answer before they send the next call (a closed
//! loop). All callers run in one thread, because they share the cores with the measured program.
//!
//! Every answer is checked: see [`record`].

pub mod accounts;
mod grpc;
mod histogram;
mod record;
mod rest;
mod stream;
mod work;

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{timeout, timeout_at};

use accounts::Source;
pub use grpc::{Expected, Template};
pub use record::Outcome;
pub use rest::{Action, Signer};
pub use stream::Address;
use work::Work;

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server that is called.
pub enum Target {
    /// gRPC: streams on connections.
    Grpc { address: Address, template: Template, expected: Expected },
    /// The signed query format: a connection for each caller.
    Rest { address: Address, signer: Signer },
}

/// How many callers call, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections; over the query format each is one caller.
    pub connections: usize,
    /// Callers for each connection.
    pub streams: usize,
    /// How long the callers run before the window.
    pub warm_up: Duration,
    /// The window also opens after this number of calls.
    pub warm_up_calls: u64,
    /// How long the window is.
    pub window: Duration,
}

/// Reads meters when the window opens and when it closes.
pub trait Watch {
    /// The window opens now.
    fn opens(&mut self);
    /// The window closes now.
    fn closes(&mut self);
}

/// Returns the `traceparent` of a caller that does not record its trace, which has this number. The
/// bits that a ratio looks at are spread.
fn traceparent(number: u64) -> String {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1);
    format!("00-{number:016x}{spread:016x}-{spread:016x}-00")
}

/// Puts a load on a server.
pub fn run(
    target: &Target,
    load: Load,
    source: Source<'_>,
    watch: &mut dyn Watch,
) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let work = Work::new(source, load.warm_up_calls);
        match target {
            Target::Grpc { address, template, expected } => {
                let connecting = grpc::connect(address, load, template, *expected);
                let callers = timeout(CONNECT_WITHIN, connecting).await??;
                let calls = callers.into_iter().map(|caller| caller.run(&work)).collect();
                call(load, calls, &work, watch).await;
            }
            Target::Rest { address, signer } => {
                let connecting = rest::connect(address, load.connections, signer);
                let callers = timeout(CONNECT_WITHIN, connecting).await??;
                let calls = callers.into_iter().map(|caller| caller.run(&work)).collect();
                call(load, calls, &work, watch).await;
            }
        }
        Ok(work.outcome())
    })
}

/// Runs the callers through the window, and waits for the last answers.
async fn call<C: Future<Output = ()>>(
    load: Load,
    mut callers: FuturesUnordered<C>,
    work: &Work<'_>,
    watch: &mut dyn Watch,
) {
    let window = async {
        work.until_warm(load.warm_up).await;
        watch.opens();
        let opened = Instant::now();
        work.open(opened);
        let exhausted = work.until_exhausted();
        timeout_at((opened + load.window).into(), exhausted).await.ok();
        work.close(Instant::now());
        watch.closes();
    };
    let answers = async { while callers.next().await.is_some() {} };
    tokio::pin!(window, answers);
    let mut is_answered = false;
    loop {
        tokio::select! {
            biased;
            () = &mut window => break,
            () = &mut answers, if !is_answered => is_answered = true,
        }
    }
    if !is_answered && timeout(PATIENCE, answers).await.is_err() {
        let left = work.waiting();
        work.wrong(left, || format!("{left} calls have no answer after {PATIENCE:?}"));
    }
}
