//! Which engine the database is: `PostgreSQL`, or Citus, which is an extension of it. Both have the
//! same tables and statements. Citus has the accounts on several servers, wants the values of a
//! statement before it plans it, and locks rows of one account at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::PgConnection;

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

// Citus finds the server of an account by the value that is bound: a plan for any account has none.
const PLAN_FOR_CITUS: &str = "SET plan_cache_mode = auto";

/// What the connections of a store have found out. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::storage) struct Detected {
    setting: Engine,
    distributes: Arc<AtomicBool>,
}

impl Detected {
    pub fn new(setting: Engine) -> Self {
        Self { setting, distributes: Arc::default() }
    }

    /// Fits a new session to the engine, in a database with the extension or without.
    pub async fn fit(
        &self,
        session: &mut PgConnection,
        has_citus: bool,
    ) -> Result<(), sqlx::Error> {
        let distributes = has_citus && self.setting != Engine::Postgres;
        self.distributes.store(distributes, Ordering::Relaxed);
        if distributes {
            sqlx::raw_sql(PLAN_FOR_CITUS).execute(session).await?;
        }
        Ok(())
    }

    /// Whether accounts are distributed. False before the first connection, which no statement relies
    /// on: what suits `PostgreSQL` is slow on Citus, or refused and then done otherwise.
    pub fn distributes(&self) -> bool {
        self.distributes.load(Ordering::Relaxed)
    }

    /// Whether the setting names an engine that the database is not. It is known after a connection was
    /// made.
    pub fn is_another(&self) -> bool {
        self.setting == Engine::Citus && !self.distributes()
    }
}
