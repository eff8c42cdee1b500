//! The calls beside an attack: well-behaved callers at a modest rate, and `/livez`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::field::Serve;
use super::people::Caller;
use super::wire::{DEADLINE, describe, get};

/// The interval of each kind of call.
const EVERY: Duration = Duration::from_millis(50);
/// The interval of `/livez`, and the longest time for its answer.
const ALIVE_EVERY: Duration = Duration::from_millis(200);
const ALIVE_WITHIN: Duration = Duration::from_secs(1);

/// The results of calls.
#[derive(Debug, Default)]
pub struct Tally {
    pub served: u64,
    /// The start of each call that was not served, and the reason.
    pub failed: Vec<(Instant, String)>,
    pub worst: Duration,
    /// The latencies of served calls.
    pub took: Vec<Duration>,
}

impl Tally {
    /// Returns the latency that 99 of 100 served calls did not exceed.
    pub fn p99(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// A shared tally: clones count together.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Tally>>);

impl Shared {
    fn add(&self, what: &str, began: Instant, outcome: anyhow::Result<()>) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let took = began.elapsed();
        tally.worst = tally.worst.max(took);
        match outcome {
            Ok(()) => {
                tally.served += 1;
                tally.took.push(took);
            }
            Err(why) => tally.failed.push((began, format!("{what}: {why:#}"))),
        }
    }

    /// Takes the counts.
    pub fn take(&self) -> Tally {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Calls that run until they are ended.
pub struct Beside {
    /// The well-behaved calls.
    pub calls: Shared,
    /// The calls of `/livez`.
    pub alive: Shared,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Beside {
    /// Starts the calls.
    pub fn start(serve: &Serve, caller: &Caller) -> Self {
        let (calls, alive) = (Shared::default(), Shared::default());
        let stop = CancellationToken::new();
        let mut beside = Self { calls, alive, stop, running: Vec::new() };
        let (rest, ops) = (serve.rest, serve.ops);
        let own = caller.clone();
        beside.call("gRPC Describe", move || {
            let own = own.clone();
            async move { own.describe().await }
        });
        let own = caller.clone();
        beside.call("UpdateAccount", move || {
            let own = own.clone();
            async move { own.update_own().await }
        });
        let key = caller.key().clone();
        beside.call("REST Describe", move || {
            let key = key.clone();
            async move { describe(rest, &key).await }
        });
        let livez = every(
            (ALIVE_EVERY, ALIVE_WITHIN),
            beside.stop.clone(),
            ("/livez", beside.alive.clone()),
            move || is_alive(ops),
        );
        beside.running.push(tokio::spawn(livez));
        beside
    }

    /// Starts a further call.
    pub fn call<F>(&mut self, what: &'static str, call: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let counted = (what, self.calls.clone());
        let calling = every((EVERY, DEADLINE), self.stop.clone(), counted, call);
        self.running.push(tokio::spawn(calling));
    }

    /// Stops, and waits for the calls that run.
    pub async fn end(self) -> (Tally, Tally) {
        self.stop.cancel();
        for running in self.running {
            running.await.ok();
        }
        (self.calls.take(), self.alive.take())
    }
}

async fn is_alive(ops: SocketAddr) -> anyhow::Result<()> {
    let (status, _) = get(ops, "/livez").await?;
    ensure!(status == 200, "{status}");
    Ok(())
}

/// Calls at a fixed rate, even if earlier calls are not answered.
async fn every<F>(
    (period, within): (Duration, Duration),
    stop: CancellationToken,
    (what, counted): (&'static str, Shared),
    call: impl Fn() -> F,
) where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let running = TaskTracker::new();
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => break,
        }
        let (call, counted, began) = (call(), counted.clone(), Instant::now());
        running.spawn(async move {
            let late = |_| Err(anyhow::anyhow!("no answer within {within:?}"));
            counted.add(what, began, timeout(within, call).await.unwrap_or_else(late));
        });
    }
    running.close();
    running.wait().await;
}
