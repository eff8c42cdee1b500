//! What an error of the database means to a caller. Names and codes are matched, never message
//! text, and nothing of either reaches a reply.

use std::io::ErrorKind;

use sqlx::Error as SqlxError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use super::hosts::NotConnected;
use crate::error::Error;
use crate::storage::requests::ONE_PER_ID;

/// A lock was not to be had in time: another transaction holds the row, or the table.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// Cancelled, here by the statement's own time limit.
const QUERY_CANCELED: &str = "57014";
const UNDEFINED_TABLE: &str = "42P01";
/// What a prepared statement answers has other types than when it was prepared. The code is that of
/// all that is not supported; the name of the server's function tells.
const NOT_SUPPORTED: &str = "0A000";
const FITS_NO_MORE: &str = "RevalidateCachedQuery";

/// What the server's answer means for the statement and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Rolled back for the sake of another transaction: it may run again at once.
    LostToAnother,
    /// Nothing was run, and this connection cannot run it; another one can.
    WrongConnection,
    /// The server goes away: whether the statement was run is not known.
    ServerGone,
    /// The statement was cancelled: whether it was run is not known.
    Cancelled,
    /// The server lacks something that no other attempt would find: memory, disk, a file. Nothing
    /// was written.
    ServerLacks,
}

/// The meaning of SQLSTATEs and of their classes, the first that fits. `docs/database.md` has the
/// same rows.
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

fn sqlstate(error: &SqlxError) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

fn sqlstate_is_one_of(error: &SqlxError, codes: &[&str]) -> bool {
    sqlstate(error).is_some_and(|code| codes.contains(&code.as_str()))
}

fn was_never_sent(error: &SqlxError) -> bool {
    matches!(error, SqlxError::PoolTimedOut | SqlxError::PoolClosed)
        || not_connected(error).is_some()
}

/// Why there is no connection, where there is none.
pub(in crate::storage) fn not_connected(error: &SqlxError) -> Option<&NotConnected> {
    let SqlxError::Configuration(cause) = error else { return None };
    cause.downcast_ref()
}

/// A host that could not be connected to may let us in soon: it starts, stops, or is full.
pub(in crate::storage) fn may_pass_while_connecting(error: &SqlxError) -> bool {
    // A server that closes at once, instead of answering whether it has TLS, is a protocol error.
    matches!(error, SqlxError::Io(_) | SqlxError::Protocol(_))
        || meaning(error) == Some(Meaning::ServerGone)
}

/// What an error says, once, with its SQLSTATE where the server sent one. Never a password.
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

/// The database did not answer within our limit.
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

/// The connection is of no use, and others that are as old are of none either: what they have
/// prepared does not fit any more, or their server takes no writes.
pub(in crate::storage) fn is_of_old_connections(error: &SqlxError) -> bool {
    meaning(error) == Some(Meaning::WrongConnection)
}

/// The connection broke: by the network, by the server's leave, or by bytes that are no answer.
fn connection_was_lost(error: &SqlxError) -> bool {
    matches!(error, SqlxError::Io(_) | SqlxError::Protocol(_) | SqlxError::Tls(_))
        || meaning(error) == Some(Meaning::ServerGone)
}

pub(in crate::storage) fn met_a_held_row(error: &SqlxError) -> bool {
    sqlstate_is_one_of(error, &[LOCK_NOT_AVAILABLE])
}

/// The connection may be used again after this error: the server has answered, and stays.
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

/// The server said that it did not run the statement, and each of its rows may be tried alone: one
/// of them is to blame, or another transaction.
pub(in crate::storage) fn was_refused(error: &SqlxError) -> bool {
    let may_be_divided =
        |meaning| matches!(meaning, None | Some(Meaning::LostToAnother | Meaning::WrongConnection));
    error.as_database_error().is_some() && may_be_divided(meaning(error))
}

pub(in crate::storage) fn of_read(error: &SqlxError) -> Error {
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
    if error.as_database_error().and_then(|error| error.constraint()) == Some(ONE_PER_ID) {
        return Error::Contended; // the twin of this request was faster: its answer is there now
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

/// A stored value that the model does not know: a fault that names where it stands.
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
    fn the_page_about_the_database_has_the_rows_of_the_table() {
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
