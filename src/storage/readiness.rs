//! Checks whether the database can serve this program. Each problem is described by one sentence
//! that names what to change.

use super::engine::connect::STATEMENT_TIMEOUT;
use super::engine::connections::limited;
use super::engine::hosts::{NotConnected, Why};
use super::migrating::{APPLIED, Applied, newest_applied, newest_migration};
use super::sealing::{READ_SEALING_CHECKS, SealingCheckRow};
use super::{MIGRATIONS, SealingCheck, Store, failure};
use crate::error::Error;

/// Why the service is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// There is no connection, or a statement of the check failed.
    #[error("PostgreSQL at {place} does not answer: {cause}")]
    NoAnswer {
        /// Host and port, or the socket.
        place: String,
        /// What the driver or the server said.
        cause: String,
    },
    /// The server is in recovery or follows another one.
    #[error("PostgreSQL at {0} is a standby: DATABASE_URL must lead to the primary")]
    Standby(String),
    /// All of several hosts are standbys, read-only, or do not answer.
    #[error("no host of DATABASE_URL takes writes: {0}")]
    NoPrimary(String),
    /// The server, the database or the role is set to read-only.
    #[error("the database is read-only: default_transaction_read_only is on")]
    ReadOnly,
    /// The settings that a session sets when it begins are not in effect.
    #[error(
        "the settings of a session do not reach PostgreSQL: a connection pooler stands in between; \
         DATABASE_URL must lead to PostgreSQL itself"
    )]
    Pooler,
    /// The database stores text in another encoding.
    #[error(
        "the encoding of the database is {0}: make one with ENCODING 'UTF8' TEMPLATE template0"
    )]
    NotUtf8(String),
    /// The role lacks privileges that the service needs.
    #[error("the role {role} lacks {missing}: grant it, see docs/database-roles.md")]
    MissingGrants {
        /// The role of the session.
        role: String,
        /// A list such as `TRUNCATE on used_nonces_0`, separated by commas.
        missing: String,
    },
    /// The setting `ENGINE` names an engine that the database is not.
    #[error(
        "ENGINE is citus, and the database has no extension citus: create it, or let ENGINE be auto"
    )]
    NoCitus,
    /// There is no schema.
    #[error("the database has no schema yet: run migrate")]
    NoSchema,
    /// The schema lacks migrations that this program needs.
    #[error(
        "the schema is at version {found}, but this program needs version {needed}: run migrate"
    )]
    OlderSchema {
        /// The newest migration that was applied.
        found: i64,
        /// The newest migration of this program.
        needed: i64,
    },
    /// The schema was made neither by the migrations of this program nor by those of a newer one.
    #[error(
        "the schema was made by other migrations than those of this program: use an empty database"
    )]
    OtherSchema,
    /// The database has secrets that were encrypted with keys that this process does not have.
    #[error(
        "SEALING_KEY_FILE lacks a sealing key with which this database was used: its id is {0}"
    )]
    MissingSealingKey(String),
}

/// The privileges that the service needs on its tables.
pub const GRANTS: [(&str, &[&str]); 21] = [
    ("_sqlx_migrations", &["SELECT"]),
    ("access_keys", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("accounts", &["SELECT", "INSERT", "UPDATE"]),
    // No UPDATE: a record is never changed.
    ("audit_records", &["SELECT", "INSERT", "DELETE"]),
    ("charge_type_changes", &["SELECT", "INSERT", "UPDATE"]),
    ("event_generations", &["SELECT", "INSERT", "DELETE"]),
    ("event_lanes", &["SELECT", "UPDATE"]),
    ("event_log", &["SELECT", "INSERT", "DELETE"]),
    ("event_outbox", &["SELECT", "INSERT", "DELETE"]),
    ("instances", &["SELECT", "INSERT", "UPDATE"]),
    ("leases", &["SELECT", "INSERT", "UPDATE"]),
    ("operation_locks", &["SELECT", "INSERT", "UPDATE"]),
    ("order_intents", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("orders", &["SELECT", "INSERT"]),
    ("quota_counts", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("repeatable_requests", &["SELECT", "INSERT", "DELETE"]),
    ("sealing_checks", &["SELECT", "INSERT", "DELETE"]),
    ("used_nonces_0", NONCES),
    ("used_nonces_1", NONCES),
    ("used_nonces_2", NONCES),
    ("used_nonces_3", NONCES),
];
/// Functions with which the log finds out whether it was set back. Every role may execute them,
/// unless that was revoked from PUBLIC.
const FUNCTIONS: [&str; 3] =
    ["pg_current_wal_lsn()", "pg_postmaster_start_time()", "pg_walfile_name(pg_lsn)"];
/// A table of the ring is emptied with TRUNCATE.
const NONCES: &[&str] = &["SELECT", "INSERT", "TRUNCATE"];

// The statement is not prepared, because a pooler may run another prepared statement instead.
const SESSION: &str = "
    SELECT current_setting('statement_timeout') AS statement_timeout,
        current_setting('enable_seqscan') AS enable_seqscan,
        pg_is_in_recovery() AS is_standby,
        current_setting('transaction_read_only') AS read_only,
        current_setting('server_encoding') AS encoding,
        current_user::text AS role";

// A table that does not exist yet is not a missing grant: has_table_privilege returns NULL for it.
const MISSING_GRANTS: &str = "
    SELECT name, privilege
    FROM unnest($1::text[], $2::text[]) AS needed (name, privilege)
    WHERE NOT has_table_privilege(to_regclass(name), privilege)
    UNION ALL
    SELECT name, 'EXECUTE'
    FROM unnest($3::text[]) AS needed (name)
    WHERE NOT has_function_privilege(to_regprocedure(name), 'EXECUTE')
    ORDER BY name, privilege";

/// The SQLSTATE with which a pooler refuses options of a session that it does not know.
/// `PostgreSQL` accepts the options of the service.
const PROTOCOL_VIOLATION: &str = "08P01";

/// The first query of the check.
#[derive(sqlx::FromRow)]
struct Session {
    statement_timeout: String,
    enable_seqscan: String,
    is_standby: bool,
    read_only: String,
    encoding: String,
    role: String,
}

impl Store {
    /// Checks whether the database can serve this program. `checks` are those of the sealing keys,
    /// the key that seals first. The first process that becomes ready with a key that seals records
    /// it in the database.
    pub async fn check_ready(&self, checks: &[SealingCheck]) -> Result<(), NotReady> {
        let session = self.session().await.map_err(|error| self.no_answer(&error))?;
        self.check_session(&session)?;
        if self.engine().is_another() {
            return Err(NotReady::NoCitus);
        }
        self.check_grants(session.role).await?;
        self.check_schema().await?;
        self.check_sealing_keys(checks).await
    }

    fn check_session(&self, session: &Session) -> Result<(), NotReady> {
        let is_ours = session.statement_timeout == format!("{}s", STATEMENT_TIMEOUT.as_secs())
            && session.enable_seqscan == "off";
        if !is_ours {
            return Err(NotReady::Pooler);
        }
        if session.is_standby {
            return Err(NotReady::Standby(self.place()));
        }
        if session.read_only == "on" {
            return Err(NotReady::ReadOnly);
        }
        if session.encoding != "UTF8" {
            return Err(NotReady::NotUtf8(session.encoding.clone()));
        }
        Ok(())
    }

    async fn session(&self) -> Result<Session, sqlx::Error> {
        let mut connection = self.connections.take().await?;
        let row = limited(sqlx::raw_sql(SESSION).fetch_one(&mut *connection)).await;
        sqlx::FromRow::from_row(&connection.answered(row)?)
    }

    async fn check_grants(&self, role: String) -> Result<(), NotReady> {
        let needed = GRANTS.iter().flat_map(|(table, privileges)| {
            privileges.iter().map(|privilege| (table.to_string(), privilege.to_string()))
        });
        let (tables, privileges): (Vec<String>, Vec<String>) = needed.unzip();
        let missing =
            sqlx::query_as(MISSING_GRANTS).bind(tables).bind(privileges).bind(&FUNCTIONS[..]);
        let missing = missing.fetch_all(&self.connections).await;
        let missing: Vec<(String, String)> = missing.map_err(|error| self.no_answer(&error))?;
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<_> =
            missing.iter().map(|(table, privilege)| format!("{privilege} on {table}")).collect();
        Err(NotReady::MissingGrants { role, missing: missing.join(", ") })
    }

    async fn check_schema(&self) -> Result<(), NotReady> {
        let needed = newest_migration(&MIGRATIONS);
        let applied = match self.applied_migrations().await {
            Ok(applied) => applied,
            Err(error) if failure::is_undefined_table(&error) => return Err(NotReady::NoSchema),
            Err(error) => return Err(self.no_answer(&error)),
        };
        match newest_applied(&MIGRATIONS, &applied)? {
            found if found >= needed => Ok(()),
            found => Err(NotReady::OlderSchema { found, needed }),
        }
    }

    async fn applied_migrations(&self) -> Result<Vec<Applied>, sqlx::Error> {
        // The statement is not prepared, because the table may not exist yet.
        let mut connection = self.connections.take().await?;
        let rows = limited(sqlx::raw_sql(APPLIED).fetch_all(&mut *connection)).await;
        connection.answered(rows)?.iter().map(sqlx::FromRow::from_row).collect()
    }

    async fn check_sealing_keys(&self, checks: &[SealingCheck]) -> Result<(), NotReady> {
        let known = self.known_sealing_keys().await?;
        missing_key(&known, checks)?;
        let is_known = |check: &SealingCheck| known.iter().any(|row| row.key_id == check.key_id);
        let Some(first) = checks.first().filter(|first| !is_known(first)) else { return Ok(()) };
        self.record_sealing_key(*first).await.map_err(|error| self.failed(&error))?;
        // Another process with another key may have become ready at the same time.
        missing_key(&self.known_sealing_keys().await?, checks)
    }

    async fn known_sealing_keys(&self) -> Result<Vec<SealingCheckRow>, NotReady> {
        let rows = sqlx::query_as(READ_SEALING_CHECKS).fetch_all(&self.connections).await;
        rows.map_err(|error| self.no_answer(&error))
    }

    fn place(&self) -> String {
        self.connections.hosts().places()
    }

    fn no_answer(&self, error: &sqlx::Error) -> NotReady {
        match failure::not_connected(error) {
            Some(not_connected) => not_connected.into(),
            None => NotReady::NoAnswer { place: self.place(), cause: failure::sentence(error) },
        }
    }

    fn failed(&self, error: &Error) -> NotReady {
        let cause =
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        NotReady::NoAnswer { place: self.place(), cause }
    }
}

/// Refuses keys that the database knows and the process does not have.
fn missing_key(known: &[SealingCheckRow], checks: &[SealingCheck]) -> Result<(), NotReady> {
    let is_ours = |row: &SealingCheckRow| {
        checks.iter().any(|check| row.key_id == check.key_id && row.value == check.value)
    };
    let missing = known.iter().find(|row| !is_ours(row));
    missing.map_or(Ok(()), |row| Err(NotReady::MissingSealingKey(hex::encode(&row.key_id))))
}

impl From<&NotConnected> for NotReady {
    fn from(not_connected: &NotConnected) -> Self {
        let NotConnected(failures) = not_connected;
        if failures.iter().any(|failed| is_of_a_pooler(&failed.why)) {
            return Self::Pooler;
        }
        let [failed] = failures.as_slice() else {
            return Self::NoPrimary(not_connected.to_string());
        };
        match &failed.why {
            Why::Standby => Self::Standby(failed.place.clone()),
            Why::ReadOnly => Self::ReadOnly,
            why => Self::NoAnswer { place: failed.place.clone(), cause: why.to_string() },
        }
    }
}

fn is_of_a_pooler(why: &Why) -> bool {
    let Why::Failed(error) = why else { return false };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == PROTOCOL_VIOLATION)
}
