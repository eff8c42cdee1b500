//! The data: loaded once for each number of accounts, and kept as a database that runs are copied
//! from. Its name says what it was made of, so that another schema is loaded anew.

use std::time::Instant;

use cdn_activation::storage;
use sha2::{Digest, Sha256};
use sqlx::migrate::Migrator;

use super::{Database, Keys};
use crate::load::accounts::{FIRST, KEY_EVERY, has_key};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Every account may open everything and has opened DCDN; one in ten has a lock, one in twenty a change
/// that is pending as well. The rows of instances have copies of them, as the service writes them.
const LOAD: [(&str, &str); 5] = [
    (
        "accounts",
        "INSERT INTO accounts
        SELECT id, 'domestic', false, false, true, true, true, 100, false, 1,
            '2020-01-01', '2020-01-01', '2020-01-01'
        FROM generate_series({first}, {last}) AS ids (id)",
    ),
    (
        "instances",
        "INSERT INTO instances
        SELECT id, 'dcdn', 'FP-a' || id, 'PayByTraffic', 'websockettraffic', '2020-01-01',
            gen_random_uuid(), '2020-01-01'
        FROM generate_series({first}, {last}) AS ids (id)",
    ),
    (
        "changes",
        "INSERT INTO charge_type_changes
        SELECT id, gen_random_uuid(), 'dcdn', 'internet', 'PayByBandwidth', '2020-01-01', '2099-01-01',
            NULL, NULL, '2020-01-01'
        FROM generate_series({first}, {last}, 20) AS ids (id)",
    ),
    (
        "locks",
        "INSERT INTO operation_locks
        SELECT id, gen_random_uuid(), 'dcdn', 'financial', 'bench', '2020-01-01', NULL, '2020-01-01'
        FROM generate_series({first}, {last}, 10) AS ids (id)",
    ),
    (
        "copies of both",
        "UPDATE instances
        SET locks = jsonb_build_object(reason, jsonb_build_object('lock_id', lock_id, 'locked_by',
                locked_by, 'locked_at', locked_at)),
            changes = coalesce((
                SELECT jsonb_object_agg(change_id, jsonb_build_object('kind', kind, 'charge_type',
                    charge_type, 'submitted_at', submitted_at, 'effective_time', effective_time,
                    'settled', false))
                FROM charge_type_changes
                WHERE charge_type_changes.account_id = instances.account_id), '{}')
        FROM operation_locks
        WHERE operation_locks.account_id = instances.account_id",
    ),
];

impl Database {
    /// Loads data of this number of accounts if it is missing; returns the name of its database.
    pub fn base(&self, accounts: u64, keys: &Keys) -> anyhow::Result<String> {
        let name = format!("base_{accounts}_{}", fingerprint(keys));
        let is_there =
            format!("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = '{name}')");
        if self.value("postgres", &is_there)? {
            return Ok(name);
        }
        println!("loading {accounts} accounts; they are kept for later runs");
        let start = Instant::now();
        self.drop_others(accounts)?;
        // An interrupted load leaves no database with the final name.
        self.execute("postgres", "DROP DATABASE IF EXISTS loading")?;
        let admin = self.options("postgres")?;
        self.runtime.block_on(storage::create_database(&admin, "loading"))?;
        let loading = self.url("loading")?.parse()?;
        self.runtime.block_on(storage::migrate(&loading))?;
        self.load(accounts, keys)?;
        self.execute("postgres", &format!("ALTER DATABASE loading RENAME TO {name}"))?;
        println!("  loaded in {:.0} s", start.elapsed().as_secs_f64());
        Ok(name)
    }

    /// Drops data of another schema.
    fn drop_others(&self, accounts: u64) -> anyhow::Result<()> {
        let query = format!(
            "SELECT coalesce(string_agg(datname, ','), '') FROM pg_database
            WHERE datname LIKE 'base\\_{accounts}\\_%'"
        );
        let names: String = self.value("postgres", &query)?;
        for name in names.split(',').filter(|name| !name.is_empty()) {
            self.execute("postgres", &format!("DROP DATABASE {name}"))?;
        }
        Ok(())
    }

    fn load(&self, accounts: u64, keys: &Keys) -> anyhow::Result<()> {
        let last = FIRST + accounts - 1;
        for (what, statement) in LOAD {
            println!("  {what}");
            let statement = statement.replace("{first}", &FIRST.to_string());
            let statement = statement.replace("{last}", &last.to_string());
            // Foreign keys hold by construction; checking them would double the time.
            let session = "SET synchronous_commit = off; SET session_replication_role = replica";
            self.execute("loading", &format!("{session}; {statement}"))?;
        }
        println!("  access keys");
        self.with("loading", async |connection| {
            for account in (FIRST..=last).step_by(10_000) {
                let batch = account..(account + 10_000).min(last + 1);
                keys.insert(connection, batch.filter(|id| has_key(*id))).await?;
            }
            Ok(())
        })?;
        println!("  vacuum, analyze, checkpoint");
        self.execute("loading", "VACUUM (ANALYZE, FREEZE)")?;
        self.execute("loading", "CHECKPOINT")
    }
}

/// Returns a hash of what the data is made of: migrations, statements, keys.
fn fingerprint(keys: &Keys) -> String {
    use std::fmt::Write;

    let mut digest = Sha256::new();
    MIGRATIONS.iter().for_each(|migration| digest.update(&migration.checksum));
    for (_, statement) in LOAD {
        digest.update(statement);
    }
    digest.update(KEY_EVERY.to_be_bytes());
    digest.update(keys.fingerprint());
    let digest = digest.finalize();
    digest[..6].iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}
