//! The target of the attacks: the service on a private PostgreSQL that it reaches through a proxy,
//! with a low limit of file descriptors and an output that is not read. If it takes TLS only, the
//! attacks reach it through forwarders.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::auth::services::ServiceToken;
use cdn_activation::storage;
use private_postgres::{Durability, Options, PrivatePostgres};
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::people::Caller;
use super::proxy::Proxy;
use super::wire;
use crate::Run;
use crate::callers;
use crate::tls::{Certificate, Forwarder, Protocol, TlsClient};

/// `DRAIN_TIMEOUT` of the service.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
const DATABASE: &str = "attacked";
/// The longest wait for a start or an end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest time after an attack until all calls are served again.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// How the listeners of gRPC and of the query format are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Without TLS.
    Plaintext,
    /// With TLS, to which a forwarder brings those attacks that have none.
    Tls,
}

/// The surroundings of the service, for a whole run.
pub struct Field {
    // The server ends before its directory goes.
    _postgres: PrivatePostgres,
    /// The database, without the proxy.
    pub database: PgConnectOptions,
    /// The path of the service to the database.
    pub proxy: Proxy,
    /// The token of calling services.
    pub token: String,
    certificate: Certificate,
    /// The runtime of the forwarders.
    forwarding: Handle,
    directory: Directory,
    service: PathBuf,
    url: String,
}

/// A directory that is removed at the end of the run.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Field {
    /// Starts PostgreSQL and the proxy, and migrates the database.
    pub async fn prepare(run: &Run, forwarding: Handle) -> anyhow::Result<Self> {
        let name = format!("cdn-activation-attack-{}", std::process::id());
        let directory = Directory(fs::canonicalize(std::env::temp_dir())?.join(name));
        fs::create_dir(&directory.0)?;
        // PostgreSQL may run as another user, which must be able to enter the directory.
        fs::set_permissions(&directory.0, Permissions::from_mode(0o755))?;
        let data_dir = directory.0.join("data");
        let options =
            Options { data_dir, durability: Durability::Throwaway, pg_bin: run.pg_bin.clone() };
        let postgres = PrivatePostgres::start(&options)?;
        let admin = PgConnectOptions::from_str(&postgres.url("postgres"))?;
        storage::create_database(&admin, DATABASE).await?;
        let database = PgConnectOptions::from_str(&postgres.url(DATABASE))?;
        storage::migrate(&postgres.url(DATABASE).parse()?).await?;
        let socket = database.get_socket().context("it listens on a Unix socket")?;
        let proxy = Proxy::before(socket.join(format!(".s.PGSQL.{}", database.get_port()))).await?;
        let url = format!("postgres://postgres@{}/{DATABASE}?sslmode=disable", proxy.address);
        let token = ServiceToken::generate()?.expose().to_owned();
        callers::write(&directory.0, &token)?;
        let sealing_key = SealingKey::generate()?;
        callers::write_secret(&directory.0.join("sealing-key"), &sealing_key)?;
        let certificate = Certificate::make(&directory.0)?;
        let service = fs::canonicalize(&run.service).context("the service is not built")?;
        Ok(Self {
            _postgres: postgres,
            database,
            proxy,
            token,
            certificate,
            forwarding,
            directory,
            service,
            url,
        })
    }

    /// Starts the service with an output that is not read.
    pub fn serve(&self, over: Over) -> anyhow::Result<Serve> {
        let mut child = self.command(over).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            ensure!(output.read_line(&mut line)? > 0, "it has ended before it was ready");
        }
        self.ready(over, child, Some(output), &line)
    }

    /// Starts the service with its log in a file.
    pub async fn serve_with_a_log(&self, over: Over) -> anyhow::Result<(Serve, PathBuf)> {
        let path = self.directory.0.join("log");
        let child = self.command(over).stdout(File::create(&path)?).spawn()?;
        let written = async {
            loop {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let line = text.lines().find(|line| line.starts_with("ready "));
                if let Some(line) = line.filter(|_| text.ends_with('\n')) {
                    return line.to_owned();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let line = timeout(PATIENCE, written).await.context("it is not ready")?;
        Ok((self.ready(over, child, None, &line)?, path))
    }

    fn command(&self, over: Over) -> Command {
        let mut command = Command::new("sh");
        let script = "ulimit -n 1024; exec \"$0\" serve 2>&1";
        command.args(["-c", script]).arg(&self.service).stdin(Stdio::null());
        command
            .env("DATABASE_URL", &self.url)
            .env("SEALING_KEY_FILE", self.directory.0.join("sealing-key"))
            .env("DRAIN_DELAY", "0s") // no proxy has to notice the end
            .env("DRAIN_TIMEOUT", format!("{}s", DRAIN_TIMEOUT.as_secs()));
        callers::name_to(&mut command, &self.directory.0);
        for variable in ["GRPC_ADDR", "REST_ADDR", "OPS_ADDR"] {
            command.env(variable, "127.0.0.1:0");
        }
        for variable in crate::subjects::OUR_SETTINGS {
            if !variable.starts_with("DRAIN_") {
                command.env_remove(variable);
            }
        }
        // The attacks are about what a peer can take up, not about how often it calls.
        command.env("QUOTAS", "false");
        if over == Over::Tls {
            command.envs(self.certificate.settings());
        }
        command
    }

    /// Reads the addresses of a service that is ready, and starts the forwarders.
    fn ready(
        &self,
        over: Over,
        child: Child,
        output: Option<BufReader<ChildStdout>>,
        line: &str,
    ) -> anyhow::Result<Serve> {
        let address = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.and_then(|text| text.parse().ok())
                .with_context(|| format!("{line:?} lacks {name}"))
        };
        let (grpc, rest, ops) = (address("grpc=")?, address("rest=")?, address("ops=")?);
        let mut serve = Serve { child, _output: output, over, grpc, rest, ops, behind: None };
        if over == Over::Tls {
            let grpc = self.secured(grpc, Protocol::Http2)?;
            let rest = self.secured(rest, Protocol::Http1)?;
            (serve.grpc, serve.rest) = (grpc.forwarder.address, rest.forwarder.address);
            serve.behind = Some(Behind { grpc, rest });
        }
        Ok(serve)
    }

    fn secured(&self, address: SocketAddr, protocol: Protocol) -> anyhow::Result<Secured> {
        let client = self.certificate.client(protocol)?;
        let forwarder = Forwarder::before(address, client.clone(), &self.forwarding)?;
        Ok(Secured { address, client, forwarder })
    }
}

/// A listener that takes TLS only.
pub struct Secured {
    /// Its own address.
    pub address: SocketAddr,
    /// A client that it takes.
    pub client: TlsClient,
    forwarder: Forwarder,
}

/// The listeners behind the forwarders.
pub struct Behind {
    pub grpc: Secured,
    pub rest: Secured,
}

/// A running service. It is killed if it has not ended.
pub struct Serve {
    child: Child,
    /// The output, which is not read.
    _output: Option<BufReader<ChildStdout>>,
    pub over: Over,
    /// The addresses of its listeners, or of the forwarders before them.
    pub grpc: SocketAddr,
    pub rest: SocketAddr,
    pub ops: SocketAddr,
    behind: Option<Behind>,
}

impl Serve {
    /// Returns the listeners that take TLS only.
    pub fn behind(&self) -> anyhow::Result<&Behind> {
        self.behind.as_ref().context("it takes no TLS")
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether calls are served again soon after an attack.
    pub async fn has_recovered(&self, caller: &Caller) -> bool {
        let serving = async {
            loop {
                let ready = wire::get(self.ops, "/readyz").await;
                let signed = wire::describe(self.rest, caller.key()).await;
                let operated = caller.update_own().await;
                if matches!(ready, Ok((200, _))) && signed.is_ok() && operated.is_ok() {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(RECOVERED_WITHIN, serving).await.is_ok()
    }

    /// Sends SIGTERM; returns the time until the end.
    pub async fn terminate(mut self) -> anyhow::Result<Duration> {
        let asked = Instant::now();
        let kill = Command::new("kill").arg(self.pid().to_string()).status()?;
        ensure!(kill.success(), "kill: {kill}");
        while asked.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(asked.elapsed());
            }
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("it has not ended after {PATIENCE:?}")
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
