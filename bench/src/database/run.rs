//! The database of a run: a copy of the data, which is dropped at the end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Database, RUN};

/// The longest wait until the events of a row are numbered.
const NUMBERED_WITHIN: Duration = Duration::from_mins(2);

impl Database {
    /// Copies the data for a run.
    pub fn copy(&self, base: &str) -> anyhow::Result<()> {
        self.drop_run()?;
        let version: i32 =
            self.value("postgres", "SELECT current_setting('server_version_num')::int")?;
        // Since version 15, the default strategy writes every page to the log.
        let strategy = if version >= 150_000 { " STRATEGY FILE_COPY" } else { "" };
        self.execute("postgres", &format!("CREATE DATABASE {RUN} TEMPLATE {base}{strategy}"))?;
        self.warm_up();
        Ok(())
    }

    /// Drops the copy.
    pub fn drop_run(&self) -> anyhow::Result<()> {
        self.execute("postgres", &format!("DROP DATABASE IF EXISTS {RUN} WITH (FORCE)"))
    }

    /// Reads all tables and indexes into memory if the extension for it is installed.
    fn warm_up(&self) {
        let prewarm = "CREATE EXTENSION IF NOT EXISTS pg_prewarm;
            SELECT sum(pg_prewarm(oid)) FROM pg_class
            WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace";
        if self.execute(RUN, prewarm).is_err() {
            println!("pg_prewarm is not installed: the first round is colder than the others");
        }
    }

    /// Returns how many accounts from `first` to before `end` have opened CDN.
    pub fn opened(&self, first: u64, end: u64) -> anyhow::Result<u64> {
        let count: i64 = self.value(
            RUN,
            &format!(
                "SELECT count(*) FROM instances
                WHERE account_id >= {first} AND account_id < {end} AND product = 'cdn'"
            ),
        )?;
        Ok(count.try_into()?)
    }

    /// Closes CDN for all accounts.
    pub fn close_all(&self) -> anyhow::Result<()> {
        self.execute(
            RUN,
            "TRUNCATE orders, event_outbox, event_log;
            DELETE FROM instances WHERE product = 'cdn'",
        )?;
        self.execute(RUN, "VACUUM ANALYZE instances")?;
        self.execute(RUN, "CHECKPOINT")
    }

    /// Waits until our service has numbered all events.
    pub fn wait_until_numbered(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + NUMBERED_WITHIN;
        self.with(RUN, async |connection| {
            loop {
                let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM event_outbox)")
                    .fetch_one(&mut *connection)
                    .await?;
                if !left {
                    return Ok(());
                }
                ensure!(Instant::now() < deadline, "the events of a row are still not numbered");
                sleep(Duration::from_millis(20));
            }
        })
    }
}
