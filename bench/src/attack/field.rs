//! The target of the attacks: the service on a private PostgreSQL that it reaches through a proxy,
//! with a low limit of file descriptors and an output that is not read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cdn_activation::auth::secret::{SealingKey, ServiceToken};
use cdn_activation::storage;
use private_postgres::{Durability, Options, PrivatePostgres};
use sqlx::postgres::PgConnectOptions;
use tokio::time::{sleep, timeout};

use super::people::Caller;
use super::proxy::Proxy;
use super::wire;

/// `DRAIN_TIMEOUT` of the service.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
const DATABASE: &str = "attacked";
/// The longest wait for a start or an end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest time after an attack until all calls are served again.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

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
    pub async fn prepare(service: &Path, pg_bin: Option<PathBuf>) -> anyhow::Result<Self> {
        let name = format!("cdn-activation-attack-{}", std::process::id());
        let directory = Directory(fs::canonicalize(std::env::temp_dir())?.join(name));
        fs::create_dir(&directory.0)?;
        // PostgreSQL may run as another user, which must be able to enter the directory.
        fs::set_permissions(&directory.0, Permissions::from_mode(0o755))?;
        let data_dir = directory.0.join("data");
        let options = Options { data_dir, durability: Durability::Throwaway, pg_bin };
        let postgres = PrivatePostgres::start(&options)?;
        let admin = PgConnectOptions::from_str(&postgres.url("postgres"))?;
        storage::create_database(&admin, DATABASE).await?;
        let database = PgConnectOptions::from_str(&postgres.url(DATABASE))?;
        storage::migrate(&postgres.url(DATABASE).parse()?).await?;
        let socket = database.get_socket().context("it listens on a Unix socket")?;
        let proxy = Proxy::before(socket.join(format!(".s.PGSQL.{}", database.get_port()))).await?;
        let url = format!("postgres://postgres@{}/{DATABASE}?sslmode=disable", proxy.address);
        let token = ServiceToken::generate()?.to_string();
        secret(&directory.0.join("token"), &token)?;
        secret(&directory.0.join("sealing-key"), SealingKey::generate()?.as_ref())?;
        let service = fs::canonicalize(service).context("the service is not built")?;
        Ok(Self { _postgres: postgres, database, proxy, token, directory, service, url })
    }

    /// Starts the service with an output that is not read.
    pub fn serve(&self) -> anyhow::Result<Serve> {
        let mut child = self.command().stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            ensure!(output.read_line(&mut line)? > 0, "it has ended before it was ready");
        }
        Serve::ready(child, Some(output), &line)
    }

    /// Starts the service with its log in a file.
    pub async fn serve_with_a_log(&self) -> anyhow::Result<(Serve, PathBuf)> {
        let path = self.directory.0.join("log");
        let child = self.command().stdout(File::create(&path)?).spawn()?;
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
        Ok((Serve::ready(child, None, &line)?, path))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("sh");
        let script = "ulimit -n 1024; exec \"$0\" serve 2>&1";
        command.args(["-c", script]).arg(&self.service).stdin(Stdio::null());
        command
            .env("DATABASE_URL", &self.url)
            .env("SERVICE_TOKEN_FILE", self.directory.0.join("token"))
            .env("SEALING_KEY_FILE", self.directory.0.join("sealing-key"))
            .env("DRAIN_TIMEOUT", format!("{}s", DRAIN_TIMEOUT.as_secs()));
        for variable in ["GRPC_ADDR", "REST_ADDR", "OPS_ADDR"] {
            command.env(variable, "127.0.0.1:0");
        }
        for variable in crate::subjects::OUR_SETTINGS {
            if variable != "DRAIN_TIMEOUT" {
                command.env_remove(variable);
            }
        }
        // The attacks are about what a peer can take up, not about how often it calls.
        command.env("QUOTAS", "false");
        command
    }
}

/// A running service. It is killed if it has not ended.
pub struct Serve {
    child: Child,
    /// The output, which is not read.
    _output: Option<BufReader<ChildStdout>>,
    /// The addresses of its listeners.
    pub grpc: SocketAddr,
    pub rest: SocketAddr,
    pub ops: SocketAddr,
}

impl Serve {
    fn ready(
        child: Child,
        output: Option<BufReader<ChildStdout>>,
        line: &str,
    ) -> anyhow::Result<Self> {
        let address = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.and_then(|text| text.parse().ok())
                .with_context(|| format!("{line:?} lacks {name}"))
        };
        let (grpc, rest, ops) = (address("grpc=")?, address("rest=")?, address("ops=")?);
        Ok(Self { child, _output: output, grpc, rest, ops })
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

fn secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}
