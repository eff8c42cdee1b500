//! The span of a statement of a sampled call, named after the operation and the table. The values
//! that are bound are never recorded.

use std::sync::{Arc, OnceLock};

use sqlx::postgres::{PgArguments, PgStatement};
use sqlx::{Error as SqlxError, Execute, Postgres, SqlStr};

use super::connections::DatabaseConnections;
use super::failure;
use crate::traces::{self, OpenSpan};

/// Operations, and the word before their table.
const OPERATIONS: [(&str, &str); 4] =
    [("INSERT", "INTO"), ("UPDATE", "UPDATE"), ("DELETE", "FROM"), ("TRUNCATE", "TRUNCATE")];
const READ: (&str, &str) = ("SELECT", "FROM");

/// A query whose text is looked at when it is run, if its call is sampled.
pub(super) struct WatchedQuery<E> {
    query: E,
    summary: Option<Arc<OnceLock<String>>>,
}

/// The span of a running statement; empty if its call is not sampled.
pub(super) struct StatementWatch(Option<(OpenSpan, Arc<OnceLock<String>>)>);

impl<E> WatchedQuery<E> {
    /// Begins the span of this query.
    pub fn new(query: E, connections: &DatabaseConnections) -> (Self, StatementWatch) {
        let namespace = || connections.hosts().last().get_database().map(str::to_owned);
        let span = traces::of_one_statement(namespace);
        let watch = span.map(|span| (span, Arc::default()));
        let summary = watch.as_ref().map(|(_, summary)| Arc::clone(summary));
        (Self { query, summary }, StatementWatch(watch))
    }
}

impl StatementWatch {
    /// Ends the span with the outcome.
    pub fn ended<T>(self, outcome: Result<T, SqlxError>) -> Result<T, SqlxError> {
        if let Some((mut span, summary)) = self.0 {
            let summary = summary.get().cloned();
            let failure = outcome.as_ref().err().map(failure::sqlstate);
            span.of_statement(summary, failure);
        }
        outcome
    }
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for WatchedQuery<E> {
    fn sql(self) -> SqlStr {
        let sql = self.query.sql();
        if let Some(noted) = self.summary {
            noted.get_or_init(|| summary(sql.as_str()));
        }
        sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(
        &mut self,
    ) -> Result<Option<PgArguments>, Box<dyn std::error::Error + Send + Sync>> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.query.persistent()
    }
}

/// Returns the first operation that changes a table, or else that reads one, and the table.
fn summary(sql: &str) -> String {
    let found = |operation| Some((operation, table(sql, operation)?));
    let changed = OPERATIONS.into_iter().filter_map(found);
    let first = changed.min_by_key(|(_, (at, _))| *at);
    match first.or_else(|| found(READ)) {
        Some(((operation, _), (_, table))) => format!("{operation} {table}"),
        None => sql.split_whitespace().next().unwrap_or_default().to_owned(),
    }
}

/// Returns the table of an operation, and the number of the word that names it.
fn table<'s>(sql: &'s str, (operation, before): (&str, &str)) -> Option<(usize, &'s str)> {
    let mut is_in_operation = false;
    let mut is_next = false;
    for (number, word) in sql.split_whitespace().enumerate() {
        let is_name = word.starts_with(|first: char| first.is_ascii_lowercase());
        if is_next && is_in_operation && is_name && !word.contains('(') {
            return Some((number, word.trim_end_matches([',', ')', ';'])));
        }
        is_in_operation |= word.trim_start_matches('(') == operation;
        is_next = word.trim_start_matches('(') == before;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_operation_and_the_table() {
        for (sql, expected) in [
            ("SELECT a FROM accounts WHERE account_id = $1", "SELECT accounts"),
            ("SELECT EXISTS (SELECT 1 FROM used_nonces_0)", "SELECT used_nonces_0"),
            ("SELECT x FROM unnest($1) AS y (z) JOIN b USING (c)", "SELECT"),
            ("INSERT INTO quotas (a) SELECT b FROM c", "INSERT quotas"),
            ("WITH done AS (\n DELETE FROM keys\n WHERE a = $1) SELECT 1", "DELETE keys"),
            ("WITH a AS (SELECT 1 FROM b FOR UPDATE), c AS (UPDATE d SET e = $1)", "UPDATE d"),
            (
                "WITH done AS (UPDATE d SET e = $1), f AS (INSERT INTO outbox (a) VALUES ($2))",
                "UPDATE d",
            ),
            ("TRUNCATE used_nonces_0", "TRUNCATE used_nonces_0"),
            ("LISTEN events", "LISTEN"),
        ] {
            assert_eq!(summary(sql), expected, "{sql}");
        }
    }
}
