//! Which engine the database is: `PostgreSQL`, or Citus, which is an extension of it. Both have the
//! same tables and statements. Citus has the accounts on several servers, wants the values of a
//! statement before it plans it, and locks rows of one account at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::PgConnection;

use super::readiness::NotReady;

/// The engine, as a deployment names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The database is asked.
    #[default]
    Auto,
    /// `PostgreSQL`, whatever extensions there are.
    Postgres,
    /// Citus. A database without the extension is refused.
    Citus,
}

const HAS_CITUS: &str = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')";

// Citus finds the server of an account by the value that is bound: a plan for any account has none.
// One round trip, and no row on PostgreSQL.
const PLAN_FOR_CITUS: &str =
    "SELECT set_config('plan_cache_mode', 'auto', false) FROM pg_extension WHERE extname = 'citus'";

impl Engine {
    /// Whether tables are distributed in the database of this connection.
    pub(super) async fn distributes(
        self,
        connection: &mut PgConnection,
    ) -> Result<Result<bool, NotReady>, sqlx::Error> {
        if self == Self::Postgres {
            return Ok(Ok(false));
        }
        let has_citus: bool = sqlx::query_scalar(HAS_CITUS).fetch_one(connection).await?;
        Ok(if self == Self::Citus && !has_citus { Err(NotReady::NoCitus) } else { Ok(has_citus) })
    }
}

/// What the connections of a store have found out. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Detected {
    setting: Engine,
    has_citus: Arc<AtomicBool>,
}

impl Detected {
    pub fn new(setting: Engine) -> Self {
        Self { setting, has_citus: Arc::default() }
    }

    /// Fits a new session to the engine.
    pub async fn fit(&self, session: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.setting == Engine::Postgres {
            return Ok(());
        }
        // Not prepared: once for each connection.
        let planned = sqlx::raw_sql(PLAN_FOR_CITUS).fetch_optional(session).await?;
        self.has_citus.store(planned.is_some(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether accounts are distributed. False before the first connection, which no statement relies
    /// on: what suits `PostgreSQL` is slow on Citus, or refused and then done otherwise.
    pub fn distributes(&self) -> bool {
        self.has_citus.load(Ordering::Relaxed)
    }

    /// The statement for this engine, of two that answer the same.
    pub fn choose(&self, plain: &'static str, distributed: &'static str) -> &'static str {
        if self.distributes() { distributed } else { plain }
    }

    /// Whether the database is the engine that was named. Asked on a connection, or after there was one.
    pub fn check(&self) -> Result<(), NotReady> {
        let is_missing = self.setting == Engine::Citus && !self.distributes();
        if is_missing { Err(NotReady::NoCitus) } else { Ok(()) }
    }
}
