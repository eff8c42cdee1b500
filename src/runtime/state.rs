//! The state of a connection: atomics that hold what the connection is doing, and whether it was
//! ordered to end. The connection updates its state as it runs. `rounds` checks it once a second
//! and gives the order. So the limits of a connection cost a call neither a timer nor a reading of
//! the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// What a connection is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Continue.
    Stay,
    /// Finish running calls and accept no more.
    Leave,
    /// End now.
    End,
}

/// The state of one connection, and the order that it was given.
#[derive(Debug, Default)]
pub struct ConnectionState {
    has_spoken: AtomicBool,
    is_old: AtomicBool,
    running: AtomicU32,
    arriving: AtomicU32,
    begun: AtomicU32,
    is_entering: AtomicBool,
    write_waits: AtomicBool,
    written: AtomicU32,
    order: AtomicU8,
    task: AtomicWaker,
}

/// Counts a running call of a connection until it is dropped.
#[derive(Debug)]
pub struct Running(Arc<ConnectionState>);

/// Counts a call whose request is incomplete until it is dropped.
#[derive(Debug)]
pub struct Arriving(Arc<ConnectionState>);

impl ConnectionState {
    /// Records that the first request or the handshake is complete.
    pub fn spoke(&self) {
        self.has_spoken.store(true, Relaxed);
    }

    /// Whether the first request or the handshake is complete.
    pub fn has_spoken(&self) -> bool {
        self.has_spoken.load(Relaxed)
    }

    /// Records that a call begins.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Running {
        self.spoke();
        self.running.fetch_add(1, Relaxed);
        self.begun.fetch_add(1, Relaxed);
        Running(Arc::clone(self))
    }

    /// Records that the request of a call begins to arrive.
    #[must_use]
    pub fn arrives(self: &Arc<Self>) -> Arriving {
        self.arriving.fetch_add(1, Relaxed);
        Arriving(Arc::clone(self))
    }

    /// Whether at least one call runs whose request is complete.
    pub fn works(&self) -> bool {
        self.running.load(Relaxed) > self.arriving.load(Relaxed)
    }

    /// Records that the peer begins a PROXY header or a TLS handshake.
    pub fn enters(&self) {
        self.is_entering.store(true, Relaxed);
    }

    /// Records that the PROXY header and the TLS handshake are complete. The time in which the first
    /// request must begin starts again.
    pub fn entered(&self) {
        self.begun.fetch_add(1, Relaxed);
        self.is_entering.store(false, Relaxed);
    }

    /// Whether the peer has begun a PROXY header or a TLS handshake that is not complete.
    pub fn is_entering(&self) -> bool {
        self.is_entering.load(Relaxed)
    }

    /// Returns how many calls have begun, modulo 2^32. The end of the entrance counts as one.
    pub fn begun(&self) -> u32 {
        self.begun.load(Relaxed)
    }

    /// Whether no call runs.
    pub fn is_idle(&self) -> bool {
        self.running.load(Relaxed) == 0
    }

    /// Records that a write waits because the peer does not read.
    pub fn write_waits(&self) {
        self.write_waits.store(true, Relaxed);
    }

    /// Records that a write that had to wait has made progress.
    pub fn write_went_on(&self) {
        self.written.fetch_add(1, Relaxed);
        self.write_waits.store(false, Relaxed);
    }

    /// Returns whether a write waits, and how many waiting writes have made progress.
    pub fn writing(&self) -> (bool, u32) {
        (self.write_waits.load(Relaxed), self.written.load(Relaxed))
    }

    /// Records that the connection has reached its age limit, or that the service was asked to stop.
    /// Over HTTP/1, the next answer then closes it.
    pub fn grew_old(&self) {
        self.is_old.store(true, Relaxed);
    }

    /// Whether the connection has reached its age limit.
    pub fn is_old(&self) -> bool {
        self.is_old.load(Relaxed)
    }

    /// Gives the connection an order and wakes its task. An order that is weaker than an earlier
    /// one has no effect.
    pub fn tell(&self, order: Signal) {
        self.order.fetch_max(order as u8, Relaxed);
        self.task.wake(); // synchronizes with `hear`
    }

    /// Returns the strongest order that was given.
    pub fn order(&self) -> Signal {
        match self.order.load(Relaxed) {
            0 => Signal::Stay,
            1 => Signal::Leave,
            _ => Signal::End,
        }
    }

    /// Returns the order and registers the task of the connection to be woken when the order
    /// changes.
    pub fn hear(&self, waker: &Waker) -> Signal {
        self.task.register(waker);
        self.order()
    }
}

impl Running {
    /// Whether the connection has reached its age limit.
    #[must_use]
    pub fn is_on_an_old_connection(&self) -> bool {
        self.0.is_old()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.arriving.fetch_sub(1, Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}
