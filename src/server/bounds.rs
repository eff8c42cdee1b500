//! The limits for connections and for calls without a token.

use std::sync::Arc;
use std::time::Duration;

use super::Addresses;
use crate::files;
use crate::metrics::Metrics;
use crate::runtime::places::{PlaceLimits, Places};

/// Places of the ops listener. Callers of the other listeners cannot take them, so probes and
/// scrapers are always served.
pub(super) const OPS_CONNECTIONS: usize = 64;

/// The bounds of a deployment. The settings decide the numbers of connections and of calls on one,
/// their age and their keepalives; the other fields always have their defaults, except in tests.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Largest number of open gRPC connections.
    pub grpc_connections: usize,
    /// Largest number of open connections of the RPC query format.
    pub rest_connections: usize,
    /// Time until the first request or the HTTP/2 handshake is complete.
    pub greeting: Duration,
    /// Time that each new connection has for its first request while all places are taken. Others
    /// wait in that time.
    pub beginning: Duration,
    /// The same for the TLS handshake and the first request.
    pub beginning_with_tls: Duration,
    /// The same for a connection whose peer has not begun the TLS handshake. A core that computes
    /// many handshakes may take some time to see that it has.
    pub first_bytes: Duration,
    /// Time until the next request is complete, over HTTP/1.
    pub keep_alive: Duration,
    /// How long a write may wait for the peer to read.
    pub write: Duration,
    /// How long an HTTP/2 connection may be without a running or new call.
    pub idle: Duration,
    /// Age at which a connection is asked to end, so that clients spread over new replicas. Each
    /// connection gets up to a tenth more, by chance.
    pub age: Duration,
    /// How long an HTTP/2 connection may be silent before it is asked for a sign of life.
    pub keepalive_interval: Duration,
    /// How long this sign may take.
    pub keepalive_timeout: Duration,
    /// Largest number of calls at once on an HTTP/2 connection.
    pub streams: u32,
    /// How long after the age a connection is cut off; longer than the longest deadline.
    pub cut_off: Duration,
    /// How often connections are checked.
    pub round: Duration,
    /// Largest number of health watches, which need no token, in the process.
    pub watches: usize,
    /// How long after a call's deadline its answer is reset if the client does not take it.
    pub stall: Duration,
    /// Interval between two looks at the files that are followed.
    pub look_at_files: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            grpc_connections: 512,
            rest_connections: 1024,
            greeting: Duration::from_secs(10),
            beginning: Duration::from_millis(20),
            beginning_with_tls: Duration::from_millis(500),
            first_bytes: Duration::from_millis(100),
            keep_alive: Duration::from_secs(75),
            write: Duration::from_secs(10),
            idle: Duration::from_mins(5),
            age: Duration::from_mins(5),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            streams: 200,
            cut_off: Duration::from_secs(35),
            round: Duration::from_secs(1),
            watches: 256,
            stall: Duration::from_secs(1),
            look_at_files: files::LOOK,
        }
    }
}

impl Bounds {
    /// Creates the places of each listener. `with_tls` says whether those of callers use TLS.
    pub(super) fn places(&self, metrics: &Metrics, with_tls: bool) -> Addresses<Arc<Places>> {
        let Addresses { grpc, rest, ops } = self.limits(with_tls);
        Addresses {
            grpc: Places::new(grpc, metrics.listener("grpc")),
            rest: Places::new(rest, metrics.listener("rest")),
            ops: Places::new(ops, metrics.listener("ops")),
        }
    }

    /// Returns the limits for the connections of each listener.
    fn limits(&self, with_tls: bool) -> Addresses<PlaceLimits> {
        let Self { greeting, first_bytes, write, idle, age, cut_off, round, .. } = *self;
        let places = self.grpc_connections;
        let beginning = if with_tls { self.beginning_with_tls } else { self.beginning };
        let grpc = PlaceLimits {
            places,
            greeting,
            beginning,
            first_bytes,
            write,
            idle,
            age,
            can_be_asked: true,
            cut_off,
            round,
        };
        let rest = PlaceLimits {
            places: self.rest_connections,
            idle: self.keep_alive,
            can_be_asked: false,
            // The last answer before this age may have announced that the connection is kept.
            cut_off: self.keep_alive + cut_off,
            ..grpc
        };
        let ops = PlaceLimits { places: OPS_CONNECTIONS, beginning: self.beginning, ..rest };
        Addresses { grpc, rest, ops }
    }
}
