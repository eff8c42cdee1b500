//! The setting `ENGINE`. If it is `citus` and the database does not have Citus, `migrate` fails
//! and the service is not ready. On Citus, the tables that accounts own are distributed.

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::server::ServerSettings;
use cdn_activation::storage::{self, Engine};

use crate::support::database::{Database, is_citus, left_out_on_citus};
use crate::support::{Api, SEALING_KEY, eventually};

const DISTRIBUTED: &str = "SELECT count(*) FROM pg_dist_partition WHERE partmethod = 'h'";

/// Sums the bytes that the tables of accounts have on the coordinator.
const LOCAL_BYTES: &str =
    "SELECT sum(pg_relation_size(logicalrelid))::bigint FROM pg_dist_partition";

fn sealing_key() -> SealingKey {
    SealingKey::parse(SEALING_KEY).expect("a key")
}

async fn migrate_on(database: &Database, engine: Engine) -> Result<(), String> {
    let migrated = storage::migrate_on(&database.url.parse().expect("a URL"), engine).await;
    migrated.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn migrate_and_readyz_report_that_citus_is_missing() {
    if left_out_on_citus("it needs a database without Citus").await {
        return;
    }
    let sentence = "ENGINE is citus, and the database has no extension citus: create it, or let ENGINE be auto";
    let empty = Database::empty().await;
    assert_eq!(migrate_on(&empty, Engine::Citus).await, Err(sentence.to_owned()));
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(empty.count(tables).await, 0);
    let set_engine = |settings: &mut ServerSettings| {
        settings.database.engine = Engine::Citus;
    };
    let database = Database::fresh().await;
    let (api, _announced) =
        Api::start_unready(database, sealing_key(), Clock::system(), set_engine).await;
    let expected = format!("not ready: {sentence}\n");
    eventually(sentence, async || api.page("/readyz").await.body == expected).await;
}

#[tokio::test]
async fn with_engine_postgres_the_tables_are_not_distributed() {
    let database = Database::empty().await;
    migrate_on(&database, Engine::Postgres).await.expect("migrated");
    let set_engine = |settings: &mut ServerSettings| {
        settings.database.engine = Engine::Postgres;
    };
    let api = Api::start_on(database, sealing_key(), Clock::system(), set_engine).await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    if is_citus().await {
        assert_eq!(api.database.count(DISTRIBUTED).await, 0);
    }
}

#[tokio::test]
async fn on_citus_the_tables_of_accounts_are_distributed_with_their_existing_rows() {
    if !is_citus().await {
        return;
    }
    let database = Database::empty().await;
    migrate_on(&database, Engine::Postgres).await.expect("migrated");
    let set_engine = |settings: &mut ServerSettings| {
        settings.database.engine = Engine::Postgres;
    };
    let api = Api::start_on(database.clone(), sealing_key(), Clock::system(), set_engine).await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.stop().await;
    for _ in 0..2 {
        migrate_on(&database, Engine::Citus).await.expect("repeatable");
        assert_eq!(database.count(DISTRIBUTED).await, 7);
        assert_eq!(database.count(LOCAL_BYTES).await, 0);
    }
    let api = Api::start_on(database, sealing_key(), Clock::system(), |_| {}).await;
    api.get(&key, "Action=DescribeCdnService").await.succeeded();
    api.open_dcdn(&key).await;
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 2);
}
