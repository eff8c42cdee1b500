//! An attack in which connections to the database stop passing bytes; alone, and with others.

use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

use super::Outcome;
use super::field::{DRAIN_TIMEOUT, Field, Serve};
use super::people::Caller;
use super::rows::{hold, wait_for_rows};
use super::wire::{BlindFollower, DEADLINE, get};

/// The longest time until a call succeeds.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// The longest time until `/readyz` answers 200.
const READY_WITHIN: Duration = Duration::from_secs(12);
/// How long the service is watched afterwards.
const LOOKED_AT: Duration = Duration::from_secs(3);

/// Freezes the connections that are there, some time into the attack.
pub async fn frozen(
    field: &Field,
    serve: &Serve,
    caller: &Caller,
    lasts: Duration,
) -> anyhow::Result<Outcome> {
    sleep(Duration::from_secs(1)).await;
    let mut outcome = freeze(field, serve, caller).await?;
    sleep(lasts.saturating_sub(READY_WITHIN)).await;
    outcome.sent = 1;
    Ok(outcome)
}

/// Freezes the path and waits until the service must have recovered.
async fn freeze(field: &Field, serve: &Serve, caller: &Caller) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    field.proxy.freeze();
    let mut outcome = Outcome { excused_until: Some(began + SERVED_WITHIN), ..Outcome::default() };
    match timeout(READY_WITHIN, first_success(caller)).await {
        Ok(()) => {
            let took = began.elapsed();
            outcome.note = format!("first success after {:.1} s", took.as_secs_f64());
            if took > SERVED_WITHIN {
                outcome.faults.push(outcome.note.clone());
            }
        }
        Err(_) => outcome.faults.push(format!("no success within {READY_WITHIN:?}")),
    }
    sleep_until((began + READY_WITHIN).into()).await;
    let ready = timeout(LOOKED_AT, get(serve.ops, "/readyz")).await;
    if !matches!(ready, Ok(Ok((200, _)))) {
        outcome.faults.push(format!("/readyz is not true after {READY_WITHIN:?}"));
    }
    sleep(LOOKED_AT).await;
    Ok(outcome)
}

/// Calls until a call that began after the freeze succeeds.
async fn first_success(caller: &Caller) {
    let (found, mut success) = mpsc::channel(1);
    sleep(Duration::from_millis(100)).await;
    while success.try_recv().is_err() {
        let (caller, found) = (caller.clone(), found.clone());
        tokio::spawn(async move {
            if caller.update_own().await.is_ok() {
                found.try_send(()).ok();
            }
        });
        sleep(Duration::from_millis(250)).await;
    }
}

/// A frozen path, two blind followers and a locked row, with a log that is not read.
pub struct AllAtOnce {
    _followers: Vec<BlindFollower>,
    _row: PgConnection,
    waiting: Vec<JoinHandle<()>>,
}

impl AllAtOnce {
    /// Begins all of these attacks.
    pub async fn begin(
        field: &Field,
        serve: &Serve,
        caller: &Caller,
        lasts: Duration,
    ) -> anyhow::Result<(Self, Outcome)> {
        let mut followers = Vec::new();
        for window in [0, 1] {
            let follower = BlindFollower::follow(serve.grpc, &field.token, window);
            followers.push(timeout(DEADLINE, follower).await.context("a blind follower")??);
        }
        let row = hold(field, 1).await?;
        let waiting = (0..8).map(|_| tokio::spawn(wait_for_rows(caller.clone(), 0))).collect();
        sleep(Duration::from_secs(1)).await;
        let mut outcome = freeze(field, serve, caller).await?;
        outcome.sent = 4;
        sleep(lasts.saturating_sub(READY_WITHIN)).await;
        Ok((Self { _followers: followers, _row: row, waiting }, outcome))
    }

    /// Sends SIGTERM while the attacks last.
    pub async fn end(self, serve: Serve, outcome: &mut Outcome) {
        let bound = DRAIN_TIMEOUT + Duration::from_secs(1);
        match serve.terminate().await {
            Ok(took) => {
                let ended = format!("ended {:.1} s after SIGTERM", took.as_secs_f64());
                outcome.note = [outcome.note.as_str(), &ended].join(", ");
                if took > bound {
                    outcome.faults.push(format!("ended later than {bound:?} after SIGTERM"));
                }
            }
            Err(why) => outcome.faults.push(format!("SIGTERM: {why:#}")),
        }
        self.waiting.iter().for_each(JoinHandle::abort);
    }
}
