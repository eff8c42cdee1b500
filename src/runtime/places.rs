//! The places of a listener: as many as connections may be open at once. Each open connection has one,
//! by which it is counted, seen to and ended. When all are taken, a new connection gets the place of
//! one on which there is no work: the longest-waiting that has not said anything yet, or else the
//! longest idle, or else one of whose requests none has come whole. So no peer keeps others out by
//! connecting, or by beginning requests.
//!
//! Bytes that a peer can make us hold, for each connection; times the places this bounds the memory.
//!
//! | listener | of each connection | KiB |
//! |---|---|---|
//! | REST, ops | a head while it is read, or a copy of it and the body | 48, or 32 + 64 |
//! | gRPC | a frame and a head, 8 calls without a token that have not come, with what reads them | 40 + 8 x 14 |
//! | all | in the kernel: twice what is set, either way; no part of the process | 128 + 128 |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::signs::{Order, Signs};
use crate::metrics::Listener;

/// Connections that have been told to end and have not yet, beyond those that have places. A new one
/// waits while there are more.
pub const MOST_ENDING: usize = 16;
/// How long a new connection waits for others to end.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A new connection may take so long to say something before another gets its place, unless an eighth
/// of all are silent.
const SILENCE: Duration = Duration::from_secs(1);

/// What the connections of a listener are held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that may be open at once.
    pub places: usize,
    /// How long until the first request or the handshake of HTTP/2 has come.
    pub greeting: Duration,
    /// How long a write may wait for the peer to read.
    pub write: Duration,
    /// How long no call may run or begin before it is asked to end.
    pub idle: Duration,
    /// How old a connection becomes before it is asked to end; and up to a tenth more.
    pub age: Duration,
    /// Whether it can be asked to end at any time (HTTP/2), or only by its next answer (HTTP/1).
    pub can_be_asked: bool,
    /// How long after it was asked it is cut off.
    pub cut_off: Duration,
    /// How often all this is looked at.
    pub round: Duration,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The peer or the protocol ended it.
    Closed,
    /// It sent no whole request, or no handshake.
    Silent,
    /// The peer did not read.
    Stalled,
    /// No call ran or began.
    Idle,
    /// It was old.
    Age,
    /// Another one got its place.
    CrowdedOut,
    /// There was no place for it.
    Refused,
    /// The service drains.
    Drained,
}

impl Reason {
    /// The name in the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::Idle => "idle",
            Self::Age => "age",
            Self::CrowdedOut => "crowded_out",
            Self::Refused => "refused",
            Self::Drained => "drained",
        }
    }
}

/// The places of a listener.
#[derive(Debug)]
pub struct Places {
    pub(super) limits: Limits,
    pub(super) listener: Listener,
    table: Mutex<Table>,
    /// Told when a connection has ended.
    pub(super) freed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// By number: in the order in which they were taken.
    pub taken: BTreeMap<u64, Taken>,
    next: u64,
    /// How many of them have been told to end.
    ending: usize,
    /// The service drains: there are no more places.
    pub is_closed: bool,
}

/// A place that a connection has.
#[derive(Debug)]
pub(super) struct Taken {
    pub signs: Arc<Signs>,
    pub since: Instant,
    /// The age at which this one is asked to end.
    pub age: Duration,
    pub seen: Seen,
    pub reason: Reason,
}

/// What the last look at a connection has seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub begun: u32,
    /// When a call began last.
    pub begun_since: Instant,
    pub idle_since: Instant,
    pub written: u32,
    pub waits_since: Option<Instant>,
}

/// The place of one connection, which is free when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    number: u64,
    signs: Arc<Signs>,
}

/// Why there is no place.
enum Full {
    /// Others are about to end.
    ForNow,
    /// There is work on every connection.
    Busy,
}

impl Places {
    /// Free ones.
    #[must_use]
    pub fn new(limits: Limits, listener: Listener) -> Arc<Self> {
        let table = Mutex::default();
        Arc::new(Self { limits, listener, table, freed: Notify::new() })
    }

    /// A place for a new connection; `None` where it is refused.
    pub async fn take(self: &Arc<Self>) -> Option<Place> {
        let taken = match self.try_take() {
            Err(Full::ForNow) => timeout(LONGEST_WAIT, self.wait()).await.ok().flatten(),
            taken => taken.ok(),
        };
        if taken.is_none() {
            self.listener.ended(Reason::Refused.name());
        }
        taken
    }

    async fn wait(self: &Arc<Self>) -> Option<Place> {
        loop {
            let freed = self.freed.notified(); // before the look: none is missed
            match self.try_take() {
                Err(Full::ForNow) => freed.await,
                taken => return taken.ok(),
            }
        }
    }

    /// Ends a connection that nobody works on, where something else is scarce.
    pub fn make_room(&self) {
        self.table().make_room(Instant::now(), self.limits.places);
    }

    fn try_take(self: &Arc<Self>) -> Result<Place, Full> {
        let (mut table, now) = (self.table(), Instant::now());
        if table.is_closed {
            return Err(Full::Busy);
        }
        if table.taken.len() - table.ending >= self.limits.places {
            if table.ending >= MOST_ENDING {
                return Err(Full::ForNow);
            }
            if !table.make_room(now, self.limits.places) {
                return Err(Full::Busy);
            }
        }
        let number = table.next;
        table.next += 1;
        let signs = Arc::<Signs>::default();
        let seen =
            Seen { begun: 0, begun_since: now, idle_since: now, written: 0, waits_since: None };
        // The replicas' connections must not come of age together.
        let chance = u32::from(crate::context::new_id().as_bytes()[15]);
        let age = self.limits.age + self.limits.age * chance / 2560;
        let reason = Reason::Closed;
        let taken = Taken { signs: Arc::clone(&signs), since: now, age, seen, reason };
        table.taken.insert(number, taken);
        drop(table);
        self.listener.opened();
        Ok(Place { places: Arc::clone(self), number, signs })
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Tells a connection to end that nobody works on, where there is one.
    fn make_room(&mut self, now: Instant, places: usize) -> bool {
        let staying = || self.taken.iter().filter(|(_, taken)| !taken.is_ending());
        let mut silent = staying().filter(|(_, taken)| !taken.signs.has_spoken());
        let first = silent.next();
        let longest = first.filter(|(_, taken)| {
            now - taken.since >= SILENCE || silent.by_ref().count() + 1 > places / 8
        });
        let idle = staying().filter(|(_, taken)| taken.signs.is_idle());
        let longest = longest.or_else(|| idle.min_by_key(|(_, taken)| taken.seen.idle_since));
        let arriving = staying()
            .filter(|(_, taken)| !taken.signs.works())
            .min_by_key(|(_, taken)| taken.seen.begun_since);
        let Some(number) = longest.or(first).or(arriving).map(|(number, _)| *number) else {
            return false;
        };
        self.end(number, Reason::CrowdedOut);
        true
    }

    /// Tells a connection to end.
    pub fn end(&mut self, number: u64, reason: Reason) {
        if let Some(taken) = self.taken.get_mut(&number).filter(|taken| !taken.is_ending()) {
            taken.reason = reason;
            taken.signs.tell(Order::End);
            self.ending += 1;
        }
    }
}

impl Taken {
    /// Whether it has been told to end.
    pub fn is_ending(&self) -> bool {
        self.signs.order() == Order::End
    }
}

impl Place {
    /// What the connection shows of itself.
    #[must_use]
    pub fn signs(&self) -> &Arc<Signs> {
        &self.signs
    }

    /// What its listener counts.
    #[must_use]
    pub fn listener(&self) -> &Listener {
        &self.places.listener
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        if let Some(taken) = table.taken.remove(&self.number) {
            table.ending -= usize::from(taken.is_ending());
            drop(table);
            self.places.listener.closed(taken.reason.name());
        }
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
pub(super) mod tests;
