//! Opens connections to the host that accepts writes, among all hosts that `DATABASE_URL` names.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Error as SqlxError, PgConnection, Row};
use tokio::time::{sleep, timeout};

use super::connect::{ACQUIRE_TIMEOUT, CONNECT_TIMEOUT};
use super::detected::Detected;
use super::failure;
use super::url::{DatabaseUrl, place};

/// How long only the host that accepted writes last is tried. After that the other hosts are tried,
/// too.
const HEAD_START: Duration = Duration::from_millis(200);
/// The pause before a host is tried again. It doubles up to the longest pause, which bounds the
/// time until a promotion is noticed.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The query on each new connection. A standby answers reads but refuses writes, and every write
/// would fail for as long as the connection lives. The query also returns the engine. It is not
/// prepared, which saves a round trip.
const ABOUT_THE_SERVER: &str = "
    SELECT
        pg_is_in_recovery(),
        current_setting('transaction_read_only') = 'on',
        to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL";

/// The hosts of the database. Clones share which host accepted writes last.
#[derive(Clone)]
pub(in crate::storage) struct Hosts {
    url: DatabaseUrl,
    session: BeginSession,
    last: Arc<AtomicUsize>,
    engine: Detected,
}

/// Makes the options of a session from those of a host. The latter can change: see
/// [`DatabaseUrl::replace`].
type BeginSession = Arc<dyn Fn(&PgConnectOptions) -> PgConnectOptions + Send + Sync>;

/// No host gave a connection that accepts writes.
#[derive(Debug)]
pub(in crate::storage) struct NotConnected(pub Vec<HostFailure>);

/// Why one host gave no connection.
#[derive(Debug)]
pub(in crate::storage) struct HostFailure {
    /// The host and its port.
    pub place: String,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a host.
#[derive(Debug)]
pub(in crate::storage) enum Why {
    /// It is in recovery, or follows another server.
    Standby,
    /// The server, the database or the role is set to read-only.
    ReadOnly,
    /// It did not answer within [`CONNECT_TIMEOUT`].
    Silent,
    /// What the driver or the server said.
    Failed(SqlxError),
}

impl Hosts {
    /// Creates the set of the hosts of a URL, on each of which a session begins with the options
    /// that `session` makes.
    pub fn new(
        url: DatabaseUrl,
        session: impl Fn(&PgConnectOptions) -> PgConnectOptions + Send + Sync + 'static,
        engine: Detected,
    ) -> Self {
        Self { url, session: Arc::new(session), last: Arc::default(), engine }
    }

    /// Returns the options of a session on each host.
    fn all(&self) -> Vec<PgConnectOptions> {
        self.url.hosts().iter().map(|host| (self.session)(host)).collect()
    }

    /// Returns the engine of the database.
    pub fn engine(&self) -> &Detected {
        &self.engine
    }

    /// Returns the host that accepted writes last.
    pub fn last(&self) -> PgConnectOptions {
        (self.session)(&self.url.hosts()[self.last.load(Ordering::Relaxed)])
    }

    /// Returns all hosts as text.
    pub fn places(&self) -> String {
        self.url.hosts().iter().map(place).collect::<Vec<_>>().join(", ")
    }

    /// Opens a connection to the host that accepts writes. A host that does not accept them yet, for
    /// example because it starts or is about to be promoted, is tried again. The attempts end after
    /// [`ACQUIRE_TIMEOUT`] if every host has answered by then. If one has not, they end when it does,
    /// and after [`CONNECT_TIMEOUT`] at the latest.
    pub async fn connect(&self) -> Result<PgConnection, SqlxError> {
        let all = self.all();
        let failures: Vec<_> = all.iter().map(|_| Mutex::new(Why::Silent)).collect();
        let last = self.last.load(Ordering::Relaxed);
        let mut asked: FuturesUnordered<_> = all
            .iter()
            .enumerate()
            .map(|(index, host)| {
                let failures = &failures;
                async move {
                    if index != last {
                        sleep(HEAD_START).await;
                    }
                    self.ask_until_it_takes_writes(index, host, &failures[index]).await
                }
            })
            .collect();
        let first = async {
            while let Some(connection) = asked.next().await {
                if connection.is_some() {
                    return connection;
                }
            }
            None
        };
        let first = async {
            tokio::select! {
                connection = first => connection,
                () = all_have_answered(&failures) => None,
            }
        };
        if let Ok(Some(connection)) = timeout(CONNECT_TIMEOUT, first).await {
            return Ok(connection);
        }
        drop(asked);
        let whys = failures
            .into_iter()
            .map(|why| why.into_inner().unwrap_or_else(PoisonError::into_inner));
        let failures = all.iter().zip(whys);
        let failures = failures.map(|(host, why)| HostFailure { place: place(host), why });
        Err(SqlxError::Configuration(Box::new(NotConnected(failures.collect()))))
    }

    /// Tries one host repeatedly. Returns `None` if another attempt cannot succeed.
    async fn ask_until_it_takes_writes(
        &self,
        index: usize,
        host: &PgConnectOptions,
        failure: &Mutex<Why>,
    ) -> Option<PgConnection> {
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match self.ask(host).await {
                Ok(connection) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Some(connection);
                }
                Err(why) => why,
            };
            let may_pass = why.may_pass();
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = why;
            if !may_pass {
                return None;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(&self, host: &PgConnectOptions) -> Result<PgConnection, Why> {
        let mut connection = host.connect().await.map_err(Why::Failed)?;
        let row = sqlx::raw_sql(ABOUT_THE_SERVER).fetch_one(&mut connection).await;
        let row = row.map_err(Why::Failed)?;
        let said = |index| row.try_get::<bool, usize>(index).map_err(Why::Failed);
        match (said(0)?, said(1)?) {
            (true, _) => return Err(Why::Standby),
            (_, true) => return Err(Why::ReadOnly),
            _ => {}
        }
        self.engine.fit(&mut connection, said(2)?).await.map_err(Why::Failed)?;
        Ok(connection)
    }
}

/// Returns after [`ACQUIRE_TIMEOUT`], as soon as each host has answered at least once. A host that
/// answers and is not ready is not worth a longer wait; one that has not answered yet may be slow to
/// accept a connection.
async fn all_have_answered(failures: &[Mutex<Why>]) {
    sleep(ACQUIRE_TIMEOUT).await;
    let is_silent = |why: &Mutex<Why>| {
        matches!(*why.lock().unwrap_or_else(PoisonError::into_inner), Why::Silent)
    };
    while failures.iter().any(is_silent) {
        sleep(FIRST_PAUSE).await;
    }
}

impl Why {
    /// Returns whether the host may accept writes soon.
    fn may_pass(&self) -> bool {
        match self {
            Self::Standby | Self::ReadOnly | Self::Silent => true,
            Self::Failed(error) => failure::may_pass_while_connecting(error),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standby => formatter.write_str("a standby"),
            Self::ReadOnly => formatter.write_str("read-only"),
            Self::Silent => write!(formatter, "no answer within {CONNECT_TIMEOUT:?}"),
            Self::Failed(error) => formatter.write_str(&failure::sentence(error)),
        }
    }
}

impl fmt::Display for NotConnected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.0.iter().map(|failed| format!("{}: {}", failed.place, failed.why));
        formatter.write_str(&failures.collect::<Vec<_>>().join("; "))
    }
}

impl std::error::Error for NotConnected {}

impl fmt::Debug for Hosts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hosts({})", self.places())
    }
}
