//! The load: callers that wait for their answer before they send their next call (a closed loop),
//! all of them in one thread, because they share the cores with what is measured.
//!
//! A call over gRPC is bytes made ahead with two numbers put in. Every answer is checked: see
//! [`record`].

pub mod accounts;
mod buffers;
pub mod frames;
mod grpc;
mod histogram;
pub mod hpack;
mod record;
mod rest;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use accounts::Source;
pub use frames::Template;
pub use grpc::Expected;
use grpc::GrpcCaller;
pub use record::Outcome;
use record::Record;
use rest::RestCaller;
pub use rest::{Action, Signer};

/// How long the last answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is called.
pub enum Target {
    /// gRPC: streams on connections.
    Grpc { address: SocketAddr, template: Template, expected: Expected },
    /// The signed query format: a connection for each caller.
    Rest { address: SocketAddr, signer: Signer },
}

/// How many call, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections; over the query format each is one caller.
    pub connections: usize,
    /// Callers for each connection.
    pub streams: usize,
    /// How long before the window.
    pub warm_up: Duration,
    /// The window opens after so many calls, too.
    pub warm_up_calls: u64,
    /// How long the window is.
    pub window: Duration,
}

/// Who reads meters when the window opens and when it closes.
pub trait Watch {
    /// The window opens now.
    fn opens(&mut self);
    /// The window closes now.
    fn closes(&mut self);
}

/// The callers of one connection.
trait Caller {
    /// Sends the first calls.
    fn begin(&mut self, now: Instant, work: &mut Work<'_>) -> io::Result<()>;
    /// Reads, checks, and sends what follows from it.
    fn proceed(&mut self, work: &mut Work<'_>) -> io::Result<()>;
    /// How many calls have no answer yet.
    fn waiting(&self) -> usize;
    /// Waits for no answer any more.
    fn abandon(&mut self);
}

/// What the callers share.
struct Work<'a> {
    source: Source<'a>,
    record: Record,
    goes_on: bool,
    begun: u64,
}

impl Work<'_> {
    /// The account of the next call; `None` when there shall be none.
    fn next_account(&mut self) -> Option<u64> {
        let account = if self.goes_on { self.source.next() } else { None };
        self.goes_on = account.is_some();
        self.begun += u64::from(self.goes_on);
        account
    }
}

/// Puts a load on a server.
pub fn run(
    target: &Target,
    load: Load,
    source: Source<'_>,
    watch: &mut dyn Watch,
) -> anyhow::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut callers = connect(target, load, &poll)?;
    let mut work = Work { source, record: Record::new(), goes_on: true, begun: 0 };
    let start = Instant::now();
    for caller in &mut callers {
        caller.begin(start, &mut work)?;
    }
    let mut events = Events::with_capacity(1024);
    let mut until = start + load.warm_up;
    loop {
        let now = Instant::now();
        let warm = now >= until || work.begun >= load.warm_up_calls;
        if work.record.opened().is_none() && warm {
            watch.opens();
            let opened = Instant::now();
            work.record.open(opened);
            until = opened + load.window;
        } else if now >= until || !work.goes_on {
            break;
        }
        poll.poll(&mut events, Some(until.saturating_duration_since(now)))?;
        proceed(&mut callers, &events, &mut work);
    }
    work.record.close(Instant::now());
    work.goes_on = false;
    watch.closes();
    drain(&mut poll, &mut events, &mut callers, &mut work)?;
    Ok(work.record.outcome())
}

fn connect(target: &Target, load: Load, poll: &Poll) -> io::Result<Vec<Box<dyn Caller>>> {
    let registry = poll.registry();
    let connect = |number| -> io::Result<Box<dyn Caller>> {
        Ok(match target {
            Target::Grpc { address, template, expected } => {
                let call = (template, *expected);
                Box::new(GrpcCaller::connect(*address, registry, number, load.streams, call)?)
            }
            Target::Rest { address, signer } => {
                Box::new(RestCaller::connect(*address, registry, number, signer)?)
            }
        })
    };
    (0..load.connections).map(connect).collect()
}

/// Lets those proceed that have something to read or room to write.
fn proceed(callers: &mut [Box<dyn Caller>], events: &Events, work: &mut Work<'_>) {
    for event in events {
        let caller = &mut callers[event.token().0];
        if let Err(error) = caller.proceed(work) {
            let waiting = caller.waiting().max(1);
            work.record.wrong(waiting, || format!("the connection ended: {error}"));
            work.goes_on = false;
            caller.abandon();
        }
    }
}

/// Waits for the last answers.
fn drain(
    poll: &mut Poll,
    events: &mut Events,
    callers: &mut [Box<dyn Caller>],
    work: &mut Work<'_>,
) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let waiting = |callers: &[Box<dyn Caller>]| callers.iter().map(|caller| caller.waiting()).sum();
    let mut left: usize = waiting(callers);
    while left > 0 && Instant::now() < deadline {
        poll.poll(events, Some(Duration::from_millis(100)))?;
        proceed(callers, events, work);
        left = waiting(callers);
    }
    work.record.wrong(left, || format!("{left} calls have no answer after {PATIENCE:?}"));
    Ok(())
}

/// What must hold; run by the verb `selftest`.
pub fn selftest() {
    accounts::selftest();
    frames::selftest();
    grpc::selftest();
    histogram::selftest();
    hpack::selftest();
    rest::selftest();
}
