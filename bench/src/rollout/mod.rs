//! `make rollout`: two replicas are restarted in turn under load, as a rollout does it, and no call
//! may fail. The clients are those of `cases.rs`; they reach the replicas directly and through
//! haproxy, which removes a replica whose `/readyz` answers 503. No client over HTTP/1 retries.

mod cases;
mod grpc;
mod grpcio;
mod haproxy;
mod rest;
mod tally;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::time::sleep;

use self::cases::Cases;
use self::haproxy::Haproxy;
use self::tally::Tally;
use self::world::World;
use crate::Run;

/// How often a replica is restarted.
const RESTARTS: usize = 6;
/// `DRAIN_DELAY` of a long run is the default; of a short one it is this.
const SHORT_DELAY: Duration = Duration::from_millis(1500);
/// How long the load runs before the first restart, and after the last one.
const QUIET: Duration = Duration::from_secs(1);
/// How long a replica that is ready has before the next one is restarted: haproxy looks at it every
/// 200 ms.
const SETTLED: Duration = Duration::from_millis(700);
/// The fewest calls a second of a long run with the released program.
const FEWEST: f64 = 2000.0;

/// The options of a rollout.
#[derive(Args, Clone, Debug)]
pub struct RolloutOptions {
    /// Takes 20 seconds instead of 60, with a shorter drain and any number of calls a second.
    #[arg(long)]
    short: bool,
    /// A Python with grpcio. Without it, its cases are left out.
    #[arg(long)]
    python: Option<PathBuf>,
    /// The service config with which half of the cases of grpcio run.
    #[arg(long, default_value = "deploy/service-config.json")]
    service_config: PathBuf,
}

/// Restarts the replicas; returns a failure if a call failed.
pub fn run(run: &Run, options: &RolloutOptions) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(roll(run, options))
}

async fn roll(run: &Run, options: &RolloutOptions) -> anyhow::Result<ExitCode> {
    let delay = options.short.then_some(SHORT_DELAY);
    let mut world = World::prepare(run, delay).await?;
    let proxy = Haproxy::start(&world)?;
    world.settle().await?;
    proxy.wait_until_it_serves(&world).await?;
    let begun = Instant::now();
    let cases = Cases::start(&world, &proxy, options)?;
    sleep(QUIET).await;
    for restart in 0..RESTARTS {
        let replica = restart % world::REPLICAS;
        let took = world.restart(replica).await?;
        println!("restarted replica {replica}, which took {:.1} s", took.as_secs_f64());
        sleep(SETTLED).await;
    }
    sleep(QUIET).await;
    let tallies = cases.end().await?;
    Ok(verdict(&tallies, begun.elapsed(), options))
}

fn verdict(tallies: &[Tally], took: Duration, options: &RolloutOptions) -> ExitCode {
    println!("\n{:<52} {:>8} {:>7}", "client", "calls", "failed");
    for tally in tallies {
        println!("{:<52} {:>8} {:>7}", tally.name, tally.calls, tally.failed);
        if let Some(first) = &tally.first_failure {
            println!("    the first failure: {first}");
        }
    }
    if options.python.is_none() {
        println!("left out without --python: grpcio");
    }
    let calls: u64 = tallies.iter().map(|tally| tally.calls).sum();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = calls as f64 / took.as_secs_f64();
    println!("{RESTARTS} restarts, {calls} calls, {rate:.0} a second");
    let is_busy = options.short || rate >= FEWEST;
    if !is_busy {
        println!("fewer than {FEWEST} calls a second");
    }
    let has_passed = is_busy && tallies.iter().all(|tally| tally.failed == 0 && tally.calls > 0);
    println!("{}", if has_passed { "passed" } else { "FAILED" });
    if has_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
