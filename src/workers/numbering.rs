//! Gives events their positions. Every replica does it, all lanes at once: whoever finds a lane taken
//! leaves it to the other. Woken by this process's own writes, and by a timer for everybody else's.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Told;
use crate::context::Clock;
use crate::error::Error;
use crate::storage::{Numbered, Store};

/// How often the outbox is read when this process writes nothing.
const POLL: Duration = Duration::from_millis(200);
/// A pause after a write for those that come with it: they are numbered together.
const GATHER: Duration = Duration::from_millis(5);
/// The same while so many come at once that the statements, one for each lane, would cost more than
/// what they move.
const GATHER_MANY: (i64, Duration) = (64, Duration::from_millis(100));

/// Numbers events until shutdown.
pub async fn run(store: Store, clock: Clock, shutdown: CancellationToken) {
    let mut told = Told::new("events are not numbered");
    let mut notify = None;
    loop {
        let numbered = number(&store, &clock, &mut notify, &shutdown).await;
        let many = numbered.as_ref().is_ok_and(|count| *count >= GATHER_MANY.0);
        let gather = if many { GATHER_MANY.1 } else { GATHER };
        told.outcome(numbered.map(drop));
        tokio::select! {
            () = store.written() => tokio::time::sleep(gather).await,
            () = tokio::time::sleep(POLL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Numbers what waits, in turns: no lane waits for another that is longer. How many that was.
async fn number(
    store: &Store,
    clock: &Clock,
    notify: &mut Option<bool>,
    shutdown: &CancellationToken,
) -> Result<i64, Error> {
    let mut lanes = store.waiting_lanes().await?;
    if lanes.is_empty() {
        return Ok(0);
    }
    let notify = match *notify {
        Some(known) => known,
        None => *notify.insert(store.has_notify().await?),
    };
    let mut outcome = Ok(());
    let mut count = 0;
    while !lanes.is_empty() && !shutdown.is_cancelled() {
        let together = store.number_events(lanes.clone(), clock.wire_now(), notify).await;
        let Numbered { events, longer } = match together {
            Ok(numbered) => numbered,
            Err(error) => {
                outcome = Err(error);
                one_by_one(store, clock, notify, lanes).await
            }
        };
        count += events;
        lanes = longer;
    }
    outcome.map(|()| count)
}

/// A lane that fails does not hold up the others. What that lane's error is was told before.
async fn one_by_one(store: &Store, clock: &Clock, notify: bool, lanes: Vec<i16>) -> Numbered {
    let mut all = Numbered::default();
    for lane in lanes {
        if let Ok(numbered) = store.number_events(vec![lane], clock.wire_now(), notify).await {
            all.events += numbered.events;
            all.longer.extend(numbered.longer);
        }
    }
    all
}
