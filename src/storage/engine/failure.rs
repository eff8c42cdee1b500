//! What an error of the database means for a caller. Errors are recognised by names and codes,
//! never by message texts. Neither reaches a reply.

use std::io::ErrorKind;

use sqlx::Error as SqlxError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use super::hosts::NotConnected;
use crate::error::Error;
use crate::storage::requests::ONE_PER_ID;
use crate::traces;

/// A lock was not obtained in time: another transaction holds the row, or the table.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// The statement was cancelled, here by its own time limit.
const QUERY_CANCELED: &str = "57014";
const UNDEFINED_TABLE: &str = "42P01";
/// The columns of a prepared statement have other types than when it was prepared. The SQLSTATE is
/// that of everything that is not supported, so the name of the function of the server is compared,
/// too.
const NOT_SUPPORTED: &str = "0A000";
const FITS_NO_MORE: &str = "RevalidateCachedQuery";

/// What an error of the server means for the statement and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Another transaction caused the rollback. The statement can be repeated at once.
    LostToAnother,
    /// The statement was not run. This connection cannot run it; another one can.
    WrongConnection,
    /// The server ends the connection. It is not known whether the statement was run.
    ServerGone,
    /// The statement was cancelled. It is not known whether it was run.
    Cancelled,
    /// The server lacks memory, disk space or a file, and a retry would not change that. Nothing
    /// was written.
    ServerLacks,
}

/// The meaning of SQLSTATEs and of their classes. The first row that matches is used.
/// `docs/database.md` has the same rows.
const MEANINGS: [(&str, Meaning); 12] = [
    ("08", Meaning::ServerGone),
    ("25006", Meaning::WrongConnection),
    ("26000", Meaning::WrongConnection),
    ("40003", Meaning::ServerGone),
    ("40", Meaning::LostToAnother),
    ("42P05", Meaning::WrongConnection),
    ("53300", Meaning::ServerGone),
    ("53", Meaning::ServerLacks),
    (LOCK_NOT_AVAILABLE, Meaning::LostToAnother),
    (QUERY_CANCELED, Meaning::Cancelled),
    ("57", Meaning::ServerGone),
    ("58", Meaning::ServerLacks),
];

fn meaning(error: &SqlxError) -> Option<Meaning> {
    if fits_no_more(error) {
        return Some(Meaning::WrongConnection);
    }
    let code = sqlstate(error)?;
    let row = MEANINGS.iter().find(|(prefix, _)| code.starts_with(prefix));
    row.map(|(_, meaning)| *meaning)
}

pub(super) fn sqlstate(error: &SqlxError) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

fn sqlstate_is_one_of(error: &SqlxError, codes: &[&str]) -> bool {
    sqlstate(error).is_some_and(|code| codes.contains(&code.as_str()))
}

/// Records the failure in the span of the statement, if its call is sampled.
pub(in crate::storage) fn note(error: &SqlxError) {
    traces::note_failure(|| sqlstate(error));
}

fn was_never_sent(error: &SqlxError) -> bool {
    matches!(error, SqlxError::PoolTimedOut | SqlxError::PoolClosed)
        || not_connected(error).is_some()
}

/// Returns why there is no connection, if that is the error.
pub(in crate::storage) fn not_connected(error: &SqlxError) -> Option<&NotConnected> {
    let SqlxError::Configuration(cause) = error else { return None };
    cause.downcast_ref()
}

/// Returns whether a host that refused a connection may accept one soon: it starts, stops, or has
/// no free connection.
pub(in crate::storage) fn may_pass_while_connecting(error: &SqlxError) -> bool {
    // If a server closes the connection instead of answering whether it supports TLS, sqlx reports
    // a protocol error.
    matches!(error, SqlxError::Io(_) | SqlxError::Protocol(_))
        || meaning(error) == Some(Meaning::ServerGone)
}

/// Returns the text of an error, with its SQLSTATE if the server sent one. It never contains a
/// password.
pub(in crate::storage) fn sentence(error: &SqlxError) -> String {
    match error {
        SqlxError::Database(said) => match said.code() {
            Some(code) => format!("{} (SQLSTATE {code})", said.message()),
            None => said.message().to_owned(),
        },
        SqlxError::Io(cause) => cause.to_string(),
        SqlxError::Tls(cause) => format!("TLS: {cause}"),
        SqlxError::Configuration(cause) => cause.to_string(),
        SqlxError::PoolTimedOut => "all connections to it are in use".to_owned(),
        SqlxError::Migrate(cause) => match &**cause {
            MigrateError::Execute(error) => sentence(error),
            MigrateError::ExecuteMigration(error, version) => {
                format!("migration {version}: {}", sentence(error))
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// Returns the error for a database that did not answer within the limit.
pub(in crate::storage) fn silence() -> SqlxError {
    SqlxError::Io(std::io::Error::new(ErrorKind::TimedOut, "the database does not answer"))
}

pub(in crate::storage) fn was_silent(error: &SqlxError) -> bool {
    matches!(error, SqlxError::Io(cause) if cause.kind() == ErrorKind::TimedOut)
}

fn fits_no_more(error: &SqlxError) -> bool {
    let routine = || {
        let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        error.routine()
    };
    sqlstate_is_one_of(error, &[NOT_SUPPORTED]) && routine() == Some(FITS_NO_MORE)
}

/// Returns whether this connection and all older ones are unusable: their prepared statements do
/// not fit the tables any more, or their server does not accept writes.
pub(in crate::storage) fn is_of_old_connections(error: &SqlxError) -> bool {
    meaning(error) == Some(Meaning::WrongConnection)
}

/// Returns whether the connection was lost: by a failure of the network, by the server, or by bytes
/// that are not an answer of PostgreSQL.
fn connection_was_lost(error: &SqlxError) -> bool {
    matches!(error, SqlxError::Io(_) | SqlxError::Protocol(_) | SqlxError::Tls(_))
        || meaning(error) == Some(Meaning::ServerGone)
}

pub(in crate::storage) fn met_a_held_row(error: &SqlxError) -> bool {
    sqlstate_is_one_of(error, &[LOCK_NOT_AVAILABLE])
}

/// Returns whether the connection can be used after this error: the server has answered and keeps
/// the connection.
pub(in crate::storage) fn leaves_connection(error: &SqlxError) -> bool {
    let is_gone = || {
        let meaning = meaning(error);
        matches!(meaning, Some(Meaning::ServerGone | Meaning::WrongConnection))
    };
    matches!(error, SqlxError::RowNotFound) || (error.as_database_error().is_some() && !is_gone())
}

pub(in crate::storage) fn is_undefined_table(error: &SqlxError) -> bool {
    sqlstate_is_one_of(error, &[UNDEFINED_TABLE])
}

pub(in crate::storage) fn read_may_be_repeated(error: &SqlxError) -> bool {
    connection_was_lost(error) || write_may_be_repeated(error)
}

pub(in crate::storage) fn write_may_be_repeated(error: &SqlxError) -> bool {
    matches!(meaning(error), Some(Meaning::LostToAnother | Meaning::WrongConnection))
}

/// Returns whether the server refused the statement without running it, and each of its rows can be
/// retried alone: one of the rows caused the error, or another transaction did.
pub(in crate::storage) fn was_refused(error: &SqlxError) -> bool {
    let may_be_divided =
        |meaning| matches!(meaning, None | Some(Meaning::LostToAnother | Meaning::WrongConnection));
    error.as_database_error().is_some() && may_be_divided(meaning(error))
}

pub(in crate::storage) fn of_read(error: &SqlxError) -> Error {
    note(error);
    let meaning = meaning(error);
    if meaning == Some(Meaning::Cancelled) {
        return Error::DeadlineExceeded;
    }
    let is_passing = meaning.is_some() || connection_was_lost(error);
    if is_passing || was_never_sent(error) {
        return Error::unavailable(sentence(error));
    }
    Error::internal(sentence(error))
}

pub(in crate::storage) fn of_write(error: &SqlxError) -> Error {
    note(error);
    if error.as_database_error().and_then(|error| error.constraint()) == Some(ONE_PER_ID) {
        return Error::Contended; // the same request was written concurrently: its answer exists now
    }
    match meaning(error) {
        Some(Meaning::LostToAnother) => Error::Contended,
        Some(Meaning::WrongConnection | Meaning::ServerLacks) => {
            Error::unavailable(sentence(error))
        }
        Some(Meaning::Cancelled) => Error::outcome_unknown(sentence(error)),
        _ if was_never_sent(error) => Error::unavailable(sentence(error)),
        _ if connection_was_lost(error) => Error::outcome_unknown(sentence(error)),
        _ => Error::internal(sentence(error)),
    }
}

/// Returns the error for a stored value that is not in the model. It names the table, the column
/// and the key.
pub(in crate::storage) fn contradiction(
    table: &str,
    column: &str,
    key: impl std::fmt::Display,
    value: &str,
) -> Error {
    Error::internal(format!(
        "{table}.{column} of {key} is {value:?}, which the model does not know"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_database_equals_the_table_of_sqlstates() {
        let page = include_str!("../../../docs/database.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let rows: Vec<_> = rows
            .filter_map(|row| {
                let mut cells = row.split('|').map(str::trim);
                let code = cells.next()?.split('`').next()?;
                let word = cells.next()?;
                word.starts_with(char::is_uppercase).then_some((code, word))
            })
            .collect();
        let table: Vec<_> =
            MEANINGS.iter().map(|(code, meaning)| (*code, format!("{meaning:?}"))).collect();
        let table: Vec<_> = table.iter().map(|(code, word)| (*code, word.as_str())).collect();
        assert_eq!(rows, table);
    }
}
