//! The settings of connections: how long they live, when a silent peer is given up, and how many
//! calls one of them may have.

use std::time::Duration;

use clap::Args;

use super::values::{between, number};

/// Settings of connections.
#[derive(Args, Clone, Debug)]
pub struct ConnectionSettings {
    /// Age at which a connection of gRPC or of the RPC query format is asked to end, so that clients
    /// spread over new replicas: 10s to 1d. Each connection gets up to a tenth more, by chance.
    #[arg(long, env = "CONNECTION_AGE", default_value = "5m", value_parser = between("10s", "1d"))]
    pub connection_age: Duration,
    /// How long a gRPC connection may be silent before the service sends a ping: 1s to 1h.
    #[arg(long, env = "GRPC_KEEPALIVE_INTERVAL", default_value = "30s", value_parser = between("1s", "1h"))]
    pub grpc_keepalive_interval: Duration,
    /// How long the answer to this ping may take before the connection is ended: 1s to 1m.
    #[arg(long, env = "GRPC_KEEPALIVE_TIMEOUT", default_value = "10s", value_parser = between("1s", "1m"))]
    pub grpc_keepalive_timeout: Duration,
    /// Largest number of calls at once on a gRPC connection: 1 to 1000. Further calls wait at the
    /// client.
    #[arg(long, env = "GRPC_STREAMS", default_value_t = 200, value_parser = number(1_u32, 1000))]
    pub grpc_streams: u32,
}
