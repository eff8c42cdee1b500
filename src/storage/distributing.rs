//! Distributes the tables that accounts own by the account, which `migrate` does on Citus. All
//! other tables stay on the coordinator. It runs after the migrations, when all tables and foreign
//! keys exist, and distributes the tables that are not distributed yet. Tables that are distributed
//! already are altered by the migrations, each of which has one statement for that reason.

use sqlx::{Connection as _, PgConnection};

/// The tables that accounts own. Each table is listed after the tables that its foreign keys refer
/// to.
const OWNED_BY_ACCOUNTS: [&str; 8] = [
    "accounts",
    "instances",
    "orders",
    "charge_type_changes",
    "operation_locks",
    "event_outbox",
    "order_intents",
    "audit_records",
];

const UNDISTRIBUTED: &str = "
    SELECT name
    FROM unnest($1::text[]) WITH ORDINALITY AS owned (name, place)
    WHERE NOT EXISTS (
        SELECT 1
        FROM pg_dist_partition
        WHERE logicalrelid = to_regclass(name) AND partmethod = 'h')
    ORDER BY place";

// Foreign keys between tables that are distributed in one transaction need the shards to be changed
// one after the other. Without the second setting, a notice would list, for each table, the tables
// that its truncation includes.
const ONE_BY_ONE: &str = "
    SELECT set_config('citus.multi_shard_modify_mode', 'sequential', true),
        set_config('client_min_messages', 'warning', true)";

// All rows of an account are on one server, in every table.
const DISTRIBUTE: &str = "
    SELECT create_distributed_table($1::text::regclass, 'account_id', colocate_with => $2)";

// Rows that existed before have been copied to the shards.
const FORGET_LOCAL_ROWS: &str =
    "SELECT truncate_local_data_after_distributing_table($1::text::regclass)";

/// Distributes the tables that are not distributed yet: all of them or, if there is an error, none.
pub(super) async fn distribute(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let owned: Vec<_> = OWNED_BY_ACCOUNTS.map(str::to_owned).into();
    let undistributed: Vec<String> =
        sqlx::query_scalar(UNDISTRIBUTED).bind(owned).fetch_all(&mut *connection).await?;
    if undistributed.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query(ONE_BY_ONE).execute(&mut *transaction).await?;
    for table in &undistributed {
        let beside = if table == OWNED_BY_ACCOUNTS[0] { "none" } else { OWNED_BY_ACCOUNTS[0] };
        sqlx::query(DISTRIBUTE).bind(table).bind(beside).execute(&mut *transaction).await?;
    }
    // In this order, no remaining local row refers to a table that is emptied.
    for table in undistributed.iter().rev() {
        sqlx::query(FORGET_LOCAL_ROWS).bind(table).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    tracing::info!(tables = undistributed.join(", "), "distributed the tables by account");
    Ok(())
}
