//! The programs that are measured: our released service, the servers of this crate, and the peers.

mod guards;
mod peers;
pub mod pgbench;
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::callers;
use crate::database::Keys;
use crate::load::Address;
use crate::statements;
use crate::tls::Protocol;
pub use guards::Guards;
pub use peers::{Peer, prepare};
use process::Process;

/// Any free port. The server reports it on the line that it is ready.
const ANY_PORT: &str = "127.0.0.1:0";

/// A running server.
pub struct Server {
    process: Process,
    /// The address of gRPC.
    pub grpc: Address,
    /// The address of the query format, if the server has it.
    pub rest: Option<Address>,
}

/// The options of all servers.
pub struct Surroundings<'a> {
    /// The database.
    pub url: String,
    /// The secrets.
    pub keys: &'a Keys,
    /// The directory for their logs.
    pub logs: PathBuf,
    /// The program of our service.
    pub service: &'a Path,
    /// The directory for the profile that it records, if it does.
    pub notes: Option<&'a Path>,
}

impl Server {
    /// Starts our service with its defaults and authentication.
    pub fn ours(surroundings: &Surroundings<'_>, guards: Guards) -> anyhow::Result<Self> {
        let mut command = Command::new(surroundings.service);
        command
            .arg("serve")
            .env("DATABASE_URL", &surroundings.url)
            .env("SEALING_KEY_FILE", &surroundings.keys.sealing_key_file);
        callers::name_to(&mut command, &surroundings.keys.callers_dir);
        for variable in ["GRPC_ADDR", "REST_ADDR", "OPS_ADDR"] {
            command.env(variable, ANY_PORT);
        }
        for variable in OUR_SETTINGS {
            command.env_remove(variable);
        }
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"OTEL_") {
                command.env_remove(variable);
            }
        }
        // The load is beyond what one account, or one address, may send.
        command.env("QUOTAS", "false");
        if let Some(notes) = surroundings.notes {
            command.env("LLVM_PROFILE_FILE", notes.join("%p.profraw"));
        }
        let certificate = guards.set(&mut command, &surroundings.logs)?;
        let process = Process::start(command, &surroundings.logs.join(guards.log()))?;
        let address = |name: &str, protocol| {
            let word = process.ready.split(' ').find_map(|word| word.strip_prefix(name));
            let address = word.and_then(|text| text.parse().ok());
            let address = address.context("our service names no address")?;
            let tls = certificate.as_ref().map(|certificate| certificate.client(protocol));
            anyhow::Ok(Address { address, tls: tls.transpose()? })
        };
        let grpc = address("grpc=", Protocol::Http2)?;
        let rest = address("rest=", Protocol::Http1)?;
        Ok(Self { grpc, rest: Some(rest), process })
    }

    /// Starts a server of this program, by its verb.
    pub fn own(verb: &str, surroundings: &Surroundings<'_>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(verb);
        Self::told(command, verb, surroundings)
    }

    /// Starts a server in another language.
    pub fn peer(peer: Peer, surroundings: &Surroundings<'_>) -> anyhow::Result<Self> {
        let mut command = peer.script();
        command.arg("serve");
        Self::told(command, peer.name(), surroundings)
    }

    fn told(
        mut command: Command,
        name: &str,
        surroundings: &Surroundings<'_>,
    ) -> anyhow::Result<Self> {
        command
            .env("LISTEN", ANY_PORT)
            .env("DATABASE_URL", &surroundings.url)
            .env("DESCRIBE_SQL", statements::describe())
            .env("SERVICE_TOKEN", &surroundings.keys.service_token);
        let process = Process::start(command, &surroundings.logs.join(format!("{name}.log")))?;
        let address = process.ready.trim().strip_prefix("ready ");
        let address = address.and_then(|text| text.parse().ok());
        let address = address.with_context(|| format!("{name} says {:?}", process.ready))?;
        Ok(Self { grpc: Address { address, tls: None }, rest: None, process })
    }

    /// Sends SIGTERM, and waits for the end.
    pub fn end(self) -> anyhow::Result<()> {
        self.process.end()
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns when it was started.
    pub fn started(&self) -> Instant {
        self.process.started
    }
}

/// Settings of our service that the environment must not change: the defaults are measured.
pub const OUR_SETTINGS: [&str; 39] = [
    "LOG",
    "MINIMUM_BALANCE",
    "OVERDUE_GRACE",
    "TIMESTAMP_WINDOW",
    "ORDER_ENDPOINT",
    "ORDER_TIMEOUT",
    "ORDER_RECONCILE_AFTER",
    "EVENT_RETENTION",
    "EXPLORER",
    "EXPLORER_URL",
    "DRAIN_DELAY",
    "DRAIN_TIMEOUT",
    "TERMINATION_GRACE_PERIOD",
    "DATABASE_URL_FILE",
    "DB_CONNECTIONS",
    "REST_CONNECTIONS",
    "GRPC_CONNECTIONS",
    "KEEP_ALIVE",
    "REFLECTION",
    "ENGINE",
    "WORKERS",
    "CORES",
    "LOG_ONE_IN",
    "QUOTAS",
    "QUOTA_BURST",
    "PG_BIN",
    "DATA_DIR",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
    "TLS_CLIENT_CA_FILE",
    "INSECURE_PLAINTEXT",
    "TRUSTED_PROXIES",
    "PROXY_PROTOCOL",
    "CONNECTION_AGE",
    "GRPC_KEEPALIVE_INTERVAL",
    "GRPC_KEEPALIVE_TIMEOUT",
    "GRPC_STREAMS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// The longest time until a server is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
