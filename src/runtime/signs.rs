//! What a connection shows of itself, and what it is told: a few atomics that it writes as it goes
//! along, and that are looked at once a second. So a call needs no timer and no clock for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing yet.
    Stay,
    /// Finish what runs and begin nothing more.
    Leave,
    /// End now.
    End,
}

/// The signs of one connection.
#[derive(Debug, Default)]
pub struct Signs {
    has_spoken: AtomicBool,
    is_old: AtomicBool,
    running: AtomicU32,
    arriving: AtomicU32,
    begun: AtomicU32,
    write_waits: AtomicBool,
    written: AtomicU32,
    order: AtomicU8,
    told: AtomicWaker,
}

/// A call that runs on a connection, until this is dropped.
#[derive(Debug)]
pub struct Running(Arc<Signs>);

/// A call whose request has not come whole, until this is dropped.
#[derive(Debug)]
pub struct Arriving(Arc<Signs>);

impl Signs {
    /// The first request or the handshake has come.
    pub fn spoke(&self) {
        self.has_spoken.store(true, Relaxed);
    }

    /// Whether it has.
    pub fn has_spoken(&self) -> bool {
        self.has_spoken.load(Relaxed)
    }

    /// A call begins.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Running {
        self.spoke();
        self.running.fetch_add(1, Relaxed);
        self.begun.fetch_add(1, Relaxed);
        Running(Arc::clone(self))
    }

    /// The request of a call begins to come.
    #[must_use]
    pub fn arrives(self: &Arc<Self>) -> Arriving {
        self.arriving.fetch_add(1, Relaxed);
        Arriving(Arc::clone(self))
    }

    /// Whether there is a call whose request has come whole.
    pub fn works(&self) -> bool {
        self.running.load(Relaxed) > self.arriving.load(Relaxed)
    }

    /// How many calls have begun, modulo 2^32.
    pub fn begun(&self) -> u32 {
        self.begun.load(Relaxed)
    }

    /// Whether there is no call that runs.
    pub fn is_idle(&self) -> bool {
        self.running.load(Relaxed) == 0
    }

    /// A write waits until the peer reads.
    pub fn write_waits(&self) {
        self.write_waits.store(true, Relaxed);
    }

    /// A write that had to wait went on.
    pub fn write_went_on(&self) {
        self.written.fetch_add(1, Relaxed);
        self.write_waits.store(false, Relaxed);
    }

    /// Whether a write waits, and how many that had to wait have gone on.
    pub fn writing(&self) -> (bool, u32) {
        (self.write_waits.load(Relaxed), self.written.load(Relaxed))
    }

    /// The connection has come of age: the next answer may be its last.
    pub fn grew_old(&self) {
        self.is_old.store(true, Relaxed);
    }

    /// Whether it has.
    pub fn is_old(&self) -> bool {
        self.is_old.load(Relaxed)
    }

    /// Tells the connection something.
    pub fn tell(&self, order: Order) {
        self.order.fetch_max(order as u8, Relaxed);
        self.told.wake(); // synchronizes
    }

    /// What it was told.
    pub fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::Stay,
            1 => Order::Leave,
            _ => Order::End,
        }
    }

    /// The same, for the task of the connection, which is woken when that changes.
    pub fn hear(&self, waker: &Waker) -> Order {
        self.told.register(waker);
        self.order()
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
