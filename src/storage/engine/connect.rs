//! How the service connects to PostgreSQL: the number of connections, and the settings of a
//! session.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection as _};

use super::connections::{DatabaseConnections, Distrust};
use super::detected::{Detected, Engine};
use super::failure;
use super::hosts::Hosts;
use super::url::DatabaseUrl;
use crate::storage::Store;

/// Options of the connections of a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The address of the database.
    pub url: DatabaseUrl,
    /// Largest number of open connections.
    pub connections: u32,
    /// How long a statement waits for a row or a table that another transaction holds. After that
    /// it is repeated, on any free connection.
    pub lock_timeout: Duration,
    /// The engine of the database.
    pub engine: Engine,
}

impl StoreOptions {
    /// Returns options for a database, with this number of connections and the default lock
    /// timeout.
    #[must_use]
    pub fn new(url: DatabaseUrl, connections: u32) -> Self {
        Self { url, connections, lock_timeout: LOCK_TIMEOUT, engine: Engine::Auto }
    }

    /// Returns the same options with another number of connections.
    #[must_use]
    pub fn with_connections(&self, connections: u32) -> Self {
        Self { connections, ..self.clone() }
    }

    /// Returns the options with which a session of the service begins.
    fn session_at(&self, host: &PgConnectOptions) -> PgConnectOptions {
        let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
        session(host.clone())
            .application_name("cdn-activation")
            .options([
                ("statement_timeout", milliseconds(STATEMENT_TIMEOUT).as_str()),
                ("lock_timeout", milliseconds(self.lock_timeout).as_str()),
                ("idle_in_transaction_session_timeout", "10s"),
                ("default_transaction_isolation", "read committed"),
                // Keepalives let the server, too, detect a peer that has disappeared.
                ("tcp_keepalives_idle", "30"),
                ("tcp_keepalives_interval", "10"),
                ("tcp_keepalives_count", "3"),
                // A statement is prepared once for any number of accounts. As long as the sets of
                // accounts are small, the server would by default plan it anew for each set, which
                // costs twice as much as running it.
                ("plan_cache_mode", "force_generic_plan"),
                // No statement here reads a whole table. A plan that is made while a table is
                // empty, as the outbox is most of the time, would read all of it, and would be slow
                // after the table has filled.
                ("enable_seqscan", "off"),
            ])
            .disable_statement_logging()
    }
}

/// How long a request waits for a free connection, and how long it tries again to connect to a server
/// that refuses connections. It is shorter than the default deadline of a request.
pub(in crate::storage) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a new connection waits for a server that does not answer. Name resolution, TLS and the
/// check of the password may take longer than a wait for a free connection should. It is shorter than
/// the default deadline of a request.
pub(in crate::storage) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server runs a statement. If a caller drops a query, the server continues to run it;
/// only this limit ends it.
pub(in crate::storage) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of a connection that was only tried may take.
const GOODBYE: Duration = Duration::from_millis(200);
/// The default of [`StoreOptions::lock_timeout`]. It is longer than a commit usually takes. It is short,
/// because a connection that waits for a row cannot serve another caller.
const LOCK_TIMEOUT: Duration = Duration::from_millis(10);

impl Store {
    /// Creates a store that connects when it is first used, so that the service starts even if the
    /// database is not available.
    #[must_use]
    pub fn connect_lazily(options: &StoreOptions) -> Self {
        Self::connect_trusting(options, Distrust::default())
    }

    fn connect_trusting(options: &StoreOptions, distrust: Distrust) -> Self {
        let (url, engine) = (options.url.clone(), Detected::new(options.engine));
        let begun_with = options.clone();
        let hosts = Hosts::new(url, move |host| begun_with.session_at(host), engine);
        Self::new(DatabaseConnections::new(hosts, options.connections, distrust))
    }

    /// Creates another store for another core. The two share the notification of written events,
    /// and the knowledge of connections that cannot be trusted.
    #[must_use]
    pub fn beside(&self, options: &StoreOptions) -> Self {
        let store = Self::connect_trusting(options, self.connections.distrust());
        Self { written: Arc::clone(&self.written), ..store }
    }
}

/// Opens a connection with a URL, as the service does, within 5 s, and closes it. The error says
/// why there is no connection; it has no password.
pub async fn try_to_connect(url: &DatabaseUrl) -> Result<(), String> {
    let options = StoreOptions::new(url.clone(), 1);
    let begin = move |host: &PgConnectOptions| options.session_at(host);
    let hosts = Hosts::new(url.clone(), begin, Detected::new(Engine::Auto));
    let connection = hosts.connect().await.map_err(|error| failure::sentence(&error))?;
    // Whether the server hears of the end does not matter.
    drop(tokio::time::timeout(GOODBYE, connection.close()).await);
    Ok(())
}

/// Returns the options of a session. Over a Unix socket, TLS is not requested, because the
/// connection does not leave the machine; libpq does the same. This saves a round trip.
pub(in crate::storage) fn session(url: PgConnectOptions) -> PgConnectOptions {
    let is_local = url.get_socket().is_some() || url.get_host().starts_with('/');
    if is_local { url.ssl_mode(PgSslMode::Disable) } else { url }
}

/// Creates a database if it does not exist.
pub async fn create_database(admin: &PgConnectOptions, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = admin.connect().await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        // A name cannot be bound as a parameter. The names here are constants and are quoted
        // nevertheless.
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    connection.close().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_requested_over_a_network_and_not_over_a_unix_socket() {
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
