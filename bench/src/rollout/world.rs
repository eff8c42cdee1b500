//! The replicas, their database and their accounts.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::auth::services::ServiceToken;
use cdn_activation::proto::cdn::v1 as cdn;
use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use cdn_activation::proto::operator::v1 as operator;
use cdn_activation::proto::operator::v1::access_key_service_client::AccessKeyServiceClient;
use cdn_activation::proto::operator::v1::account_service_client::AccountServiceClient;
use cdn_activation::storage;
use private_postgres::{Durability, Options, PrivatePostgres};
use tokio::time::sleep;

use crate::Run;
use crate::attack::wire::{Key, channel, get, told};
use crate::callers;

/// The number of replicas.
pub const REPLICAS: usize = 2;
/// The number of accounts, each of which has a key and CDN.
const ACCOUNTS: i64 = 20;
const FIRST: i64 = 600_000_000;
/// The longest wait for a start or an end.
const PATIENCE: Duration = Duration::from_mins(1);

/// The addresses of a replica, which it keeps.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub grpc: SocketAddr,
    pub rest: SocketAddr,
    pub ops: SocketAddr,
}

/// The surroundings of a rollout.
pub struct World {
    // The replicas end before their database, and the database before its directory.
    replicas: Vec<Replica>,
    _postgres: PrivatePostgres,
    pub directory: Directory,
    pub token: String,
    /// The accounts and their keys.
    pub accounts: Vec<(i64, Key)>,
    url: String,
    service: PathBuf,
    /// `DRAIN_DELAY`, if it is not the default.
    delay: Option<Duration>,
}

/// A directory that is removed at the end.
pub struct Directory(pub PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A replica. It is killed at the end.
struct Replica {
    child: Child,
    addresses: Addresses,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl World {
    /// Starts PostgreSQL and the replicas.
    pub async fn prepare(run: &Run, delay: Option<Duration>) -> anyhow::Result<Self> {
        let name = format!("cdn-activation-rollout-{}", std::process::id());
        let directory = Directory(fs::canonicalize(std::env::temp_dir())?.join(name));
        fs::create_dir(&directory.0)?;
        // PostgreSQL may run as another user, which must be able to enter the directory.
        fs::set_permissions(&directory.0, Permissions::from_mode(0o755))?;
        let data_dir = directory.0.join("data");
        let options =
            Options { data_dir, durability: Durability::Throwaway, pg_bin: run.pg_bin.clone() };
        let postgres = PrivatePostgres::start(&options)?;
        let url = postgres.url("postgres");
        storage::migrate(&url.parse()?).await?;
        let token = ServiceToken::generate()?.expose().to_owned();
        callers::write(&directory.0, &token)?;
        callers::write_secret(&directory.0.join("sealing-key"), &SealingKey::generate()?)?;
        let service = fs::canonicalize(&run.service).context("the service is not built")?;
        let mut world = Self {
            replicas: Vec::new(),
            _postgres: postgres,
            directory,
            token,
            accounts: Vec::new(),
            url,
            service,
            delay,
        };
        for number in 0..REPLICAS {
            let addresses = Addresses { grpc: free()?, rest: free()?, ops: free()? };
            let child = world.start(number, addresses)?;
            world.replicas.push(Replica { child, addresses });
            world.wait_until_ready(number).await?;
        }
        Ok(world)
    }

    fn start(&self, number: usize, addresses: Addresses) -> anyhow::Result<Child> {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.directory.0.join(format!("replica-{number}.log")))?;
        let mut command = Command::new(&self.service);
        for variable in crate::subjects::OUR_SETTINGS {
            command.env_remove(variable);
        }
        command.arg("serve").stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        command
            .env("DATABASE_URL", &self.url)
            .env("SEALING_KEY_FILE", self.directory.0.join("sealing-key"))
            .env("GRPC_ADDR", addresses.grpc.to_string())
            .env("REST_ADDR", addresses.rest.to_string())
            .env("OPS_ADDR", addresses.ops.to_string())
            .env("QUOTAS", "false"); // the rollout is not about how often one account may call
        if let Some(delay) = self.delay {
            command.env("DRAIN_DELAY", format!("{}ms", delay.as_millis()));
        }
        callers::name_to(&mut command, &self.directory.0);
        command.spawn().context("the service does not start")
    }

    async fn wait_until_ready(&mut self, number: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let replica = &mut self.replicas[number];
            if let Some(status) = replica.child.try_wait()? {
                bail!("replica {number} ended with {status}: {}", self.log(number));
            }
            if matches!(get(replica.addresses.ops, "/readyz").await, Ok((200, _))) {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("replica {number} is not ready: {}", self.log(number))
    }

    fn log(&self, number: usize) -> String {
        let path = self.directory.0.join(format!("replica-{number}.log"));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Sends SIGTERM to a replica, waits for its end, and starts it again. Returns how long that
    /// took.
    pub async fn restart(&mut self, number: usize) -> anyhow::Result<Duration> {
        let asked = Instant::now();
        let replica = &mut self.replicas[number];
        let kill = Command::new("kill").arg(replica.child.id().to_string()).status()?;
        ensure!(kill.success(), "kill: {kill}");
        let status = loop {
            if let Some(status) = replica.child.try_wait()? {
                break status;
            }
            ensure!(asked.elapsed() < PATIENCE, "replica {number} does not end");
            sleep(Duration::from_millis(10)).await;
        };
        ensure!(status.success(), "replica {number} ended with {status}: {}", self.log(number));
        let addresses = self.replicas[number].addresses;
        self.replicas[number].child = self.start(number, addresses)?;
        self.wait_until_ready(number).await?;
        Ok(asked.elapsed())
    }

    /// Returns the addresses of the replicas.
    pub fn addresses(&self) -> impl Iterator<Item = Addresses> {
        self.replicas.iter().map(|replica| replica.addresses)
    }

    /// Makes the accounts.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        let channel = channel(self.replicas[0].addresses.grpc);
        for account_id in FIRST..FIRST + ACCOUNTS {
            let account = operator::Account {
                account_id,
                real_name_verified: true,
                profile_complete: true,
                payment_method_valid: true,
                balance: 10_000,
                ..Default::default()
            };
            let create =
                operator::CreateAccountRequest { account: Some(account), ..Default::default() };
            let mut accounts = AccountServiceClient::new(channel.clone());
            accounts.create_account(told(&self.token, None, create)).await?;
            let create = operator::CreateAccessKeyRequest { account_id, ..Default::default() };
            let mut keys = AccessKeyServiceClient::new(channel.clone());
            let created = keys.create_access_key(told(&self.token, None, create)).await?;
            let created = created.into_inner();
            let id = created.access_key.context("a key")?.access_key_id;
            self.accounts.push((account_id, Key { id, secret: created.access_key_secret }));
            let open = told(&self.token, Some(account_id), cdn::OpenCdnServiceRequest::default());
            CdnServiceClient::new(channel.clone()).open_cdn_service(open).await?;
        }
        Ok(())
    }
}

/// Returns an address that no process uses.
pub fn free() -> anyhow::Result<SocketAddr> {
    // A port below those that the system gives to clients, so that no client takes it while a
    // replica is restarted.
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const MANY: u16 = 10_000;
    let own = u16::try_from(std::process::id() % u32::from(MANY))?;
    for _ in 0..MANY {
        let port = FIRST + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % MANY;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free")
}
