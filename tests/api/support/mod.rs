//! A running service for a test: its own database, accounts and keys, and a clock that the test can
//! set.

pub mod action_refusals;
pub mod audit;
pub mod call;
pub mod callers;
pub mod captures;
pub mod collector;
pub mod commerce;
pub mod connection;
pub mod cutting_proxy;
pub mod database;
pub mod denials;
pub mod drafts;
pub mod events;
pub mod follower;
pub mod grpc;
pub mod keys;
pub mod leaves;
pub mod openings;
pub mod operators;
pub mod outbox;
pub mod own_server;
pub mod pages;
pub mod pooler;
pub mod process;
pub mod proxy;
pub mod raw_grpc;
pub mod refusals;
pub mod rest;
pub mod scratch;
pub mod seed;
pub mod serve_process;
pub mod setup;
pub mod standby;
pub mod stopped_thread;
pub mod stored;
pub mod tls;
pub mod upstream;
pub mod wires;

use std::time::Duration;

use cdn_activation::auth::sealing::{KeyRing, SealingKey};
use cdn_activation::clock::Clock;
use cdn_activation::domain::opening::Limits;
use cdn_activation::domain::time;
use cdn_activation::server::{Addresses, Bounds, Listening, Server, ServerSettings};
use cdn_activation::storage;
use cdn_activation::traces::Traces;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::database::Database;
use self::rest::Key;

/// The token of the calling service of most tests, which may do everything. It is the identity
/// [`callers::NAME`].
pub const TOKEN: &str = "token-of-the-test-services";

/// The sealing key of services in tests, as the text of a key file. Services and processes with the
/// same database need the same key.
pub const SEALING_KEY: &str = "dGVzdCBzZWFsIGJ5IHRoaXMga2V5IG9mIDMyIGJ5dGU=";

/// A running service.
pub struct Api {
    /// The addresses of its listeners.
    pub addresses: Addresses<std::net::SocketAddr>,
    /// Its clock. Clones can be set together.
    pub clock: Clock,
    /// Its database.
    pub database: Database,
    /// The key that encrypts its secrets.
    pub sealing_key: SealingKey,
    workers: bool,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Api {
    /// Starts a service on a new database.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same without workers: what is in force at an instant must not depend on a worker.
    pub async fn start_without_workers() -> Self {
        Self::start_with(|settings| settings.workers = false).await
    }

    /// The same with other settings.
    pub async fn start_with(change: impl FnOnce(&mut ServerSettings)) -> Self {
        let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
        Self::start_on(Database::fresh().await, sealing_key, Clock::system(), change).await
    }

    /// Starts another replica on the same database, with the same clock.
    pub async fn replica(&self) -> Self {
        let clock = self.clock.clone();
        let workers = self.workers;
        let key = self.sealing_key.clone();
        Self::start_on(self.database.clone(), key, clock, |settings| settings.workers = workers)
            .await
    }

    /// Starts a service on this database.
    pub async fn start_on(
        database: Database,
        sealing_key: SealingKey,
        clock: Clock,
        change: impl FnOnce(&mut ServerSettings),
    ) -> Self {
        let (api, announced) = Self::start_unready(database, sealing_key, clock, change).await;
        announced.await.expect("the service becomes ready");
        api
    }

    /// Starts a service on a database that may not be ready. The receiver is notified when the
    /// service is ready.
    pub async fn start_unready(
        database: Database,
        sealing_key: SealingKey,
        clock: Clock,
        change: impl FnOnce(&mut ServerSettings),
    ) -> (Self, oneshot::Receiver<()>) {
        let mut settings = settings(&database, sealing_key.clone(), clock.clone());
        change(&mut settings);
        let workers = settings.workers;
        let server = Server::bind(settings).await.expect("free ports");
        let addresses = server.addresses().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let (announce, announced) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let stop = async {
                stopped.await.ok();
            };
            server.run(stop, move || announce.send(()).unwrap_or_default()).await.expect("threads");
        });
        let (stop, serving) = (Some(stop), Some(serving));
        (Self { addresses, clock, database, sealing_key, workers, stop, serving }, announced)
    }

    /// Stops the business clock at an instant, `2018-03-31T16:00:00Z`.
    pub fn at(&self, instant: &str) {
        self.clock.set_now(time::parse(instant).expect("an instant"));
    }

    /// Returns a store for this database, for workers that tests run.
    pub fn store(&self) -> storage::Store {
        let url = self.database.url.parse().expect("a URL");
        storage::Store::connect_lazily(&storage::StoreOptions::new(url, 2))
    }

    /// Stops the service as SIGTERM does, and waits until it has ended.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            serving.await.expect("the service ends in good order");
        }
    }

    /// Creates, as operators do, an account that may open everything, and a key that may call every
    /// action.
    pub async fn account(&self) -> Key {
        self.account_with(|_| {}).await
    }

    /// Asks the service to stop, as SIGTERM does, without waiting. The handle ends with the
    /// service.
    pub fn begin_stop(&mut self) -> JoinHandle<()> {
        drop(self.stop.take());
        self.serving.take().expect("it runs")
    }
}

/// Returns the settings of a service on this database: any free ports, a drain without a delay, and
/// defaults otherwise.
pub fn settings(database: &Database, sealing_key: SealingKey, clock: Clock) -> ServerSettings {
    let any = || "127.0.0.1:0".to_owned();
    ServerSettings {
        addresses: Addresses { grpc: any(), rest: any(), ops: any() },
        database: storage::StoreOptions::new(database.url.parse().expect("a URL"), 16),
        database_file: None,
        listening: Listening::default(),
        orders: None,
        event_retention: chrono::Duration::days(7),
        audit_retention: chrono::Duration::days(400),
        key_ring: KeyRing::of(sealing_key),
        callers: callers::directory(),
        reflection: true,
        timestamp_window: chrono::Duration::minutes(15),
        limits: Limits { minimum_balance: 0 },
        overdue_grace: chrono::Duration::hours(24),
        workers: true,
        cores: 2,
        bounds: Bounds::default(),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::from_secs(1),
        explorer: None,
        explorer_url: None,
        quotas: None,
        traces: Traces::default(),
        clock,
    }
}

/// Waits until a condition holds. Panics after five minutes, which a busy machine may need for what
/// usually takes seconds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(5);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "still not so after five minutes: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
