//! The connection limit of a listener. A place is the right to have one connection open; a listener
//! has a fixed number of them. Connections are counted, checked and ended by their places.
//!
//! If all places are taken, a connection without work is ended, and the new connection is accepted
//! instead of it (`choice.rs`). So a peer cannot keep others out by opening connections or by
//! beginning requests.
//!
//! The table shows the memory that a peer can make the service use for one connection. The product
//! with the number of places is the limit for the listener.
//!
//! | listener | held for each connection | KiB |
//! |---|---|---|
//! | REST, ops | the head while it is read; later a copy of the head, and the body | 48; 32 + 64 |
//! | gRPC | a frame and a head; 8 incomplete calls without a token and their tasks | 40 + 8 x 14 |
//! | with TLS | what was read and not decrypted, what is written; the state of the session | 18 + 64 + 4 |
//! | all | kernel buffers (not in the process): twice 64 KiB in each direction | 128 + 128 |

mod choice;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::state::{ConnectionState, Signal};
use crate::metrics::Listener;

/// Largest number of connections that were told to end and have not ended yet, in addition to those
/// with places. If there are more, a new connection waits.
pub const MOST_ENDING: usize = 16;
/// How long a new connection waits until others have ended.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often a new connection that waits looks whether another one has had its time to begin.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// A connection that has not sent anything for this long can be ended for a new one. If silent
/// connections have more than an eighth of all places, the oldest of them can be ended as soon as it
/// has had its time to begin.
const SILENCE: Duration = Duration::from_secs(1);

/// The limits for the connections of a listener.
#[derive(Clone, Copy, Debug)]
pub struct PlaceLimits {
    /// Largest number of open connections.
    pub places: usize,
    /// Time until the first request or the HTTP/2 handshake is complete.
    pub greeting: Duration,
    /// How long a new connection is not ended for another one, so that it can complete its TLS
    /// handshake and send its first request.
    pub beginning: Duration,
    /// The same for a connection whose peer has not begun a PROXY header or a TLS handshake.
    pub first_bytes: Duration,
    /// How long a write may wait for the peer to read.
    pub write: Duration,
    /// How long a connection may be without a running or new call before it is asked to end.
    pub idle: Duration,
    /// Age at which a connection is asked to end. A random time of up to a tenth is added for each.
    pub age: Duration,
    /// Whether it can be asked to end at any time (HTTP/2), or only with its next answer (HTTP/1).
    pub can_be_asked: bool,
    /// Time between asking a connection to end, for its age or because it is idle, and ending it.
    pub cut_off: Duration,
    /// How often the connections are checked.
    pub round: Duration,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The peer or the protocol ended it.
    Closed,
    /// It sent no complete request, or no handshake.
    Silent,
    /// The peer did not read.
    Stalled,
    /// No call ran or began for too long.
    Idle,
    /// It reached its age.
    Age,
    /// Another connection got its place.
    CrowdedOut,
    /// There was no place for it.
    Refused,
    /// The service drains.
    Drained,
}

impl Reason {
    /// Returns the value of the label in the metrics.
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
    pub(super) limits: PlaceLimits,
    pub(super) listener: Listener,
    table: Mutex<Table>,
    /// Notified when a connection has ended.
    pub(super) freed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// By number. The numbers rise in the order in which the places were taken.
    pub taken: BTreeMap<u64, Taken>,
    next: u64,
    /// How many of these connections were told to end.
    ending: usize,
    /// Whether every connection is old, however long it has lived.
    pub is_retired: bool,
    /// Whether the service drains; then no more places are given.
    pub is_closed: bool,
}

/// A place that is taken by a connection.
#[derive(Debug)]
pub(super) struct Taken {
    pub state: Arc<ConnectionState>,
    pub since: Instant,
    /// The age at which this connection is asked to end.
    pub age: Duration,
    pub seen: Seen,
    pub reason: Reason,
}

/// What the last check of a connection has seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub begun: u32,
    /// When the newest call began.
    pub begun_since: Instant,
    pub idle_since: Instant,
    pub written: u32,
    pub waits_since: Option<Instant>,
}

/// The place of one connection. Dropping it frees the place.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    number: u64,
    state: Arc<ConnectionState>,
}

/// Why no place can be given.
enum Full {
    /// Too many other connections are about to end, or have just begun.
    ForNow,
    /// Every connection has work.
    Busy,
}

impl Places {
    /// Creates places that are all free.
    #[must_use]
    pub fn new(limits: PlaceLimits, listener: Listener) -> Arc<Self> {
        let table = Mutex::default();
        Arc::new(Self { limits, listener, table, freed: Notify::new() })
    }

    /// Takes a place for a new connection. Returns `None` if the connection is refused.
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
            let freed = self.freed.notified(); // before the check, so that no notification is missed
            match self.try_take() {
                Err(Full::ForNow) => timeout(LOOK_AGAIN, freed).await.unwrap_or_default(),
                taken => return taken.ok(),
            }
        }
    }

    /// Ends a connection without work because another resource is short.
    pub fn make_room(&self) {
        self.table().make_room(Instant::now(), &self.limits).ok();
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
            table.make_room(now, &self.limits)?;
        }
        let number = table.next;
        table.next += 1;
        let state = Arc::<ConnectionState>::default();
        if table.is_retired {
            state.grew_old();
        }
        let seen =
            Seen { begun: 0, begun_since: now, idle_since: now, written: 0, waits_since: None };
        // A random part of the age, so that connections of the same second do not end together.
        let chance = u32::from(crate::ids::new_id().as_bytes()[15]);
        let age = self.limits.age + self.limits.age * chance / 2560;
        let reason = Reason::Closed;
        let taken = Taken { state: Arc::clone(&state), since: now, age, seen, reason };
        table.taken.insert(number, taken);
        drop(table);
        self.listener.opened();
        Ok(Place { places: Arc::clone(self), number, state })
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Tells a connection without work to end.
    fn make_room(&mut self, now: Instant, limits: &PlaceLimits) -> Result<(), Full> {
        let number = self.dispensable(now, limits)?;
        self.end(number, Reason::CrowdedOut);
        Ok(())
    }

    /// Tells a connection to end.
    pub fn end(&mut self, number: u64, reason: Reason) {
        if let Some(taken) = self.taken.get_mut(&number).filter(|taken| !taken.is_ending()) {
            taken.reason = reason;
            taken.state.tell(Signal::End);
            self.ending += 1;
        }
    }
}

impl Taken {
    /// Whether the connection was told to end.
    pub fn is_ending(&self) -> bool {
        self.state.order() == Signal::End
    }
}

impl Place {
    /// Returns the state of the connection.
    #[must_use]
    pub fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    /// Returns the counters of the listener.
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
