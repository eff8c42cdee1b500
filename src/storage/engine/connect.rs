//! How the service meets PostgreSQL: how many connections, and what a session begins with.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection as _};

use super::connections::{Connections, Distrust};
use super::detected::{Detected, Engine};
use super::hosts::Hosts;
use super::url::DatabaseUrl;
use crate::storage::Store;

/// How many connections, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the database is.
    pub url: DatabaseUrl,
    /// Most connections at once.
    pub connections: u32,
    /// How long a statement waits for a row or a table that another transaction holds, before it is
    /// tried again on whatever connection is free.
    pub lock_timeout: Duration,
    /// Which engine it is.
    pub engine: Engine,
}

impl Options {
    /// A database and how many connections to it.
    #[must_use]
    pub fn new(url: DatabaseUrl, connections: u32) -> Self {
        Self { url, connections, lock_timeout: LOCK_TIMEOUT, engine: Engine::Auto }
    }

    /// The same database with another number of connections.
    #[must_use]
    pub fn with_connections(&self, connections: u32) -> Self {
        Self { connections, ..self.clone() }
    }

    /// What a session of the service begins with.
    fn session_at(&self, host: &PgConnectOptions) -> PgConnectOptions {
        let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
        session(host.clone())
            .application_name("cdn-activation")
            .options([
                ("statement_timeout", milliseconds(STATEMENT_TIMEOUT).as_str()),
                ("lock_timeout", milliseconds(self.lock_timeout).as_str()),
                ("idle_in_transaction_session_timeout", "10s"),
                ("default_transaction_isolation", "read committed"),
                // The server, too, must find out that we are gone without a word.
                ("tcp_keepalives_idle", "30"),
                ("tcp_keepalives_interval", "10"),
                ("tcp_keepalives_count", "3"),
                // A statement is prepared for any number of accounts. Planning it anew for each set,
                // which is what the server does as long as the sets are small, costs twice what running
                // it does.
                ("plan_cache_mode", "force_generic_plan"),
                // No statement here wants a whole table. Planned while a table is empty, as the outbox
                // is most of the time, reading all of it looks free, and is not when it has filled.
                ("enable_seqscan", "off"),
            ])
            .disable_statement_logging()
    }
}

/// A request waits this long for a connection, and that for the server; it is below any deadline.
pub(in crate::storage) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the server works at a statement. A dropped query goes on there: this is its only brake.
pub(in crate::storage) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a commit takes as a rule, and short, because a connection that waits for a row serves
/// nobody else meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_millis(10);

impl Store {
    /// A store that connects when it is first used: the service starts whether the database is
    /// there or not.
    #[must_use]
    pub fn connect_lazily(options: &Options) -> Self {
        Self::connect_trusting(options, Distrust::default())
    }

    fn connect_trusting(options: &Options, distrust: Distrust) -> Self {
        let sessions = options.url.hosts().iter().map(|host| options.session_at(host));
        let hosts = Hosts::new(sessions, Detected::new(options.engine));
        Self::new(Connections::new(hosts, options.connections, distrust))
    }

    /// Another store for another core. Those that wait for events that were written hear of the
    /// events of either, and when the path to the database is silent both know.
    #[must_use]
    pub fn beside(&self, options: &Options) -> Self {
        let store = Self::connect_trusting(options, self.connections.distrust());
        Self { written: Arc::clone(&self.written), ..store }
    }
}

/// How a session begins. Nobody listens on the way to a socket in the file system: TLS is not asked
/// for there, as in libpq, which saves a round trip.
pub(in crate::storage) fn session(url: PgConnectOptions) -> PgConnectOptions {
    let is_local = url.get_socket().is_some() || url.get_host().starts_with('/');
    if is_local { url.ssl_mode(PgSslMode::Disable) } else { url }
}

/// Makes a database, unless it is there.
pub async fn create_database(admin: &PgConnectOptions, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = admin.connect().await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        // A name cannot be bound; ours are constants, quoted all the same.
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    connection.close().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_asked_for_on_networks_only() {
        let mode = |url: &str| session(url.parse().unwrap()).get_ssl_mode();
        assert!(matches!(mode("postgres://db.example/cdn"), PgSslMode::Prefer));
        let required = "postgres://db.example/cdn?sslmode=verify-full";
        assert!(matches!(mode(required), PgSslMode::VerifyFull));
        for local in ["postgres:///cdn?host=/run/db", "postgres://%2Frun%2Fdb/cdn?sslmode=require"]
        {
            assert!(matches!(mode(local), PgSslMode::Disable), "{local}");
        }
    }
}
