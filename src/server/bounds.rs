//! What connections, and calls without a token, are held to.

use std::sync::Arc;
use std::time::Duration;

use super::Addresses;
use crate::metrics::Metrics;
use crate::runtime::places::{Limits, Places};

/// Places of the ops listener, beside all others: probes and scrapers are served whatever callers do.
pub(super) const OPS_CONNECTIONS: usize = 64;

/// Bounds of a deployment. The defaults are what is shipped; all but the connections are the same
/// everywhere, and can be set for tests.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections of gRPC that may be open at once.
    pub grpc_connections: usize,
    /// The same of the RPC query format.
    pub rest_connections: usize,
    /// How long until the first request or the handshake of HTTP/2 has come.
    pub greeting: Duration,
    /// How long until the next request has come, over HTTP/1.
    pub keep_alive: Duration,
    /// How long a write may wait for the peer to read.
    pub write: Duration,
    /// How long no call may run or begin over HTTP/2.
    pub idle: Duration,
    /// How old a connection becomes before it is asked to end, so that clients spread over new
    /// replicas; and up to a tenth more, by chance.
    pub age: Duration,
    /// How long after that it is cut off: longer than the longest deadline.
    pub cut_off: Duration,
    /// How often connections are looked at.
    pub round: Duration,
    /// Health watches, which need no token, in the whole process.
    pub watches: usize,
    /// How long after a call's deadline its answer is reset where the client does not take it.
    pub stall: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            grpc_connections: 512,
            rest_connections: 1024,
            greeting: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write: Duration::from_secs(10),
            idle: Duration::from_mins(5),
            age: Duration::from_mins(5),
            cut_off: Duration::from_secs(35),
            round: Duration::from_secs(1),
            watches: 256,
            stall: Duration::from_secs(1),
        }
    }
}

impl Bounds {
    /// The places of each listener.
    pub(super) fn places(&self, metrics: &Metrics) -> Addresses<Arc<Places>> {
        let Addresses { grpc, rest, ops } = self.limits();
        Addresses {
            grpc: Places::new(grpc, metrics.listener("grpc")),
            rest: Places::new(rest, metrics.listener("rest")),
            ops: Places::new(ops, metrics.listener("ops")),
        }
    }

    /// What the connections of each listener are held to.
    fn limits(&self) -> Addresses<Limits> {
        let Self { greeting, write, idle, age, cut_off, round, .. } = *self;
        let places = self.grpc_connections;
        let grpc =
            Limits { places, greeting, write, idle, age, can_be_asked: true, cut_off, round };
        let rest = Limits {
            places: self.rest_connections,
            idle: self.keep_alive,
            can_be_asked: false,
            // The last answer before it came of age may have told that the connection is kept.
            cut_off: self.keep_alive + cut_off,
            ..grpc
        };
        Addresses { grpc, rest, ops: Limits { places: OPS_CONNECTIONS, ..rest } }
    }
}
