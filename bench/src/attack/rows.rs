//! Rows that a transaction locks, and callers that wait for them.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::time::sleep;

use super::Outcome;
use super::field::Field;
use super::people::{Caller, MANY, held};

/// Locks the rows of this number of accounts as long as the connection lives.
pub async fn hold(field: &Field, accounts: i64) -> anyhow::Result<PgConnection> {
    let mut connection = field.database.connect().await?;
    let (first, last) = (held(0), held(accounts - 1));
    let statement = format!(
        "BEGIN; SELECT FROM accounts WHERE account_id BETWEEN {first} AND {last} FOR UPDATE"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    Ok(connection)
}

/// Writes the account repeatedly; each write waits for its row until it is refused.
pub async fn wait_for_rows(caller: Caller, number: i64) {
    loop {
        if caller.update(held(number), 1).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Locks the rows of this number of accounts, with 64 callers that wait for them.
pub async fn held_rows(
    field: &Field,
    caller: &Caller,
    accounts: i64,
    lasts: Duration,
) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let rows = hold(field, accounts).await?;
    let wait = |number| tokio::spawn(wait_for_rows(caller.clone(), number % accounts));
    let waiting: Vec<_> = (0..MANY).map(wait).collect();
    sleep(lasts.saturating_sub(began.elapsed())).await;
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    drop(rows);
    let sent = u64::try_from(MANY)?;
    Ok(Outcome { sent, note: format!("callers for {accounts} rows"), ..Outcome::default() })
}
