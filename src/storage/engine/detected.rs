//! The engine of the database: `PostgreSQL`, or Citus, which is an extension of it. Both have the
//! same tables and statements. Citus stores the accounts on several servers, needs the values of a
//! statement before it plans it, and locks rows of only one account at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::PgConnection;

/// The setting `ENGINE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The database is asked for its engine.
    #[default]
    Auto,
    /// `PostgreSQL`, even if the extension is there.
    Postgres,
    /// Citus. A database without the extension is refused.
    Citus,
}

// Citus finds the server of an account by the bound value. A generic plan does not have the value.
const PLAN_FOR_CITUS: &str = "SET plan_cache_mode = auto";

/// What the connections of a store have detected. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::storage) struct Detected {
    setting: Engine,
    distributes: Arc<AtomicBool>,
}

impl Detected {
    pub fn new(setting: Engine) -> Self {
        Self { setting, distributes: Arc::default() }
    }

    /// Adapts a new session to the engine. `has_citus` says whether the database has the extension.
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

    /// Returns whether accounts are distributed. It is false before the first connection. No
    /// statement depends on that: the statements for `PostgreSQL` are slow on Citus, or are refused
    /// and then repeated in another way.
    pub fn distributes(&self) -> bool {
        self.distributes.load(Ordering::Relaxed)
    }

    /// Returns whether the setting names an engine that the database is not. This is known after a
    /// connection was made.
    pub fn is_another(&self) -> bool {
        self.setting == Engine::Citus && !self.distributes()
    }
}
