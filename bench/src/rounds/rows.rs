//! The rows of the table: a program, an action, a protocol and a number of callers.

use std::fmt;

use crate::subjects::Peer;

/// The program that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The service.
    Ours,
    /// The service with quotas.
    Quotas,
    /// The service with quotas and TLS.
    Tls,
    /// The service with traces of one call in a hundred.
    Traces,
    /// A gRPC server in Rust that does nothing else.
    Echo,
    /// A service in Rust with one query per request.
    Textbook,
    /// A service in another language.
    Peer(Peer),
    /// The database, without a service.
    Pgbench,
}

impl Subject {
    /// Returns whether it is our service.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::Quotas | Self::Tls | Self::Traces)
    }
}

/// The action that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `DescribeDcdnService`.
    Describe,
    /// `OpenCdnService`.
    Open,
}

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// gRPC with a token.
    Grpc,
    /// The signed query format.
    Rest,
    /// PostgreSQL's.
    Postgres,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The program.
    pub subject: Subject,
    /// The action.
    pub action: Action,
    /// The protocol.
    pub wire: Wire,
    /// The number of callers.
    pub callers: usize,
}

impl Row {
    /// Returns a row of a server over gRPC.
    pub const fn grpc(action: Action, subject: Subject, callers: usize) -> Self {
        Self { subject, action, wire: Wire::Grpc, callers }
    }

    /// Returns a row of our service over the signed query format.
    pub const fn rest(action: Action, callers: usize) -> Self {
        Self { subject: Subject::Ours, action, wire: Wire::Rest, callers }
    }

    /// Returns a row of pgbench.
    pub const fn pgbench(action: Action, callers: usize) -> Self {
        Self { subject: Subject::Pgbench, action, wire: Wire::Postgres, callers }
    }

    /// Returns the number of connections, and of streams on each.
    pub fn connections(self) -> (usize, usize) {
        match (self.wire, self.callers) {
            (Wire::Grpc, callers) if callers >= 8 => (8, callers / 8),
            (_, callers) => (callers, 1),
        }
    }
}

/// The numbers of pgbench's clients.
pub const PGBENCH_DESCRIBE: [usize; 4] = [1, 8, 16, 64];
/// The numbers of its clients for Open, which waits for the disk.
pub const PGBENCH_OPEN: [usize; 5] = [1, 8, 16, 32, 64];

/// Returns all rows, in the order of a round.
pub fn all() -> Vec<Row> {
    use Action::{Describe, Open};
    use Subject::{Echo, Ours, Textbook};

    let mut rows = Vec::new();
    for callers in [1, 64, 256] {
        for subject in [Ours, Textbook, Echo] {
            rows.push(Row::grpc(Describe, subject, callers));
        }
    }
    rows.extend([1, 64, 256].map(|callers| Row::rest(Describe, callers)));
    rows.extend(PGBENCH_DESCRIBE.map(|clients| Row::pgbench(Describe, clients)));
    rows.extend(Peer::ALL.map(|peer| Row::grpc(Describe, Subject::Peer(peer), 64)));
    for callers in [1, 64, 256] {
        for subject in [Ours, Textbook] {
            rows.push(Row::grpc(Open, subject, callers));
        }
    }
    rows.extend([1, 64, 256].map(|callers| Row::rest(Open, callers)));
    rows.extend(PGBENCH_OPEN.map(|clients| Row::pgbench(Open, clients)));
    rows.extend(Peer::ALL.map(|peer| Row::grpc(Open, Subject::Peer(peer), 64)));
    rows
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ours => "ours",
            Self::Quotas => "quotas",
            Self::Tls => "quotas+TLS",
            Self::Traces => "traces",
            Self::Echo => "echo",
            Self::Textbook => "textbook",
            Self::Pgbench => "pgbench",
            Self::Peer(peer) => peer.name(),
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Describe => "Describe",
            Self::Open => "Open",
        })
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Grpc => "gRPC",
            Self::Rest => "signed REST",
            Self::Postgres => "SQL",
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{} {} {} {}", self.action, self.wire, self.callers, self.subject))
    }
}
