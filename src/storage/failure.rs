//! What an error of the database means to a caller. Names and codes are matched, never message
//! text, and nothing of either reaches a reply.

use std::io::ErrorKind;

use sqlx::Error as SqlxError;
use sqlx::postgres::PgDatabaseError;

use super::requests::ONE_PER_ID;
use crate::error::Error;

/// A lock was not to be had in time: another transaction holds the row, or the table.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// SQLSTATEs after which a statement was rolled back for another's sake and may run again at once:
/// serialisation failure, deadlock, lock not available.
const LOST_TO_ANOTHER: [&str; 3] = ["40001", "40P01", LOCK_NOT_AVAILABLE];
/// The server goes away or cannot take a connection: shutdown, crash, starting up, too many
/// connections, a standby.
const SERVER_GONE: [&str; 7] = ["57P01", "57P02", "57P03", "53300", "08006", "08003", "25006"];
/// Cancelled, here by the statement's own time limit.
const QUERY_CANCELED: &str = "57014";
const UNDEFINED_TABLE: &str = "42P01";
/// The statement that this connection has prepared is not known to the server, or what it answers has
/// other types than when it was prepared: another connection prepares it anew. Nothing was run. The
/// second code is that of all that is not supported; the name of the server's function tells.
const UNKNOWN_STATEMENT: &str = "26000";
const NOT_SUPPORTED: &str = "0A000";
const FITS_NO_MORE: &str = "RevalidateCachedQuery";

fn sqlstate(error: &SqlxError) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

fn sqlstate_is_one_of(error: &SqlxError, codes: &[&str]) -> bool {
    sqlstate(error).is_some_and(|code| codes.contains(&code.as_str()))
}

fn was_never_sent(error: &SqlxError) -> bool {
    match error {
        SqlxError::PoolTimedOut | SqlxError::PoolClosed => true,
        SqlxError::Io(cause) => cause.kind() == ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// The database did not answer within our limit.
pub(super) fn silence() -> SqlxError {
    SqlxError::Io(std::io::Error::new(ErrorKind::TimedOut, "the database does not answer"))
}

pub(super) fn was_silent(error: &SqlxError) -> bool {
    matches!(error, SqlxError::Io(cause) if cause.kind() == ErrorKind::TimedOut)
}

pub(super) fn is_stale_plan(error: &SqlxError) -> bool {
    let routine = || {
        let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        error.routine()
    };
    sqlstate_is_one_of(error, &[UNKNOWN_STATEMENT])
        || (sqlstate_is_one_of(error, &[NOT_SUPPORTED]) && routine() == Some(FITS_NO_MORE))
}

pub(super) fn met_a_held_row(error: &SqlxError) -> bool {
    sqlstate_is_one_of(error, &[LOCK_NOT_AVAILABLE])
}

/// The connection may be used again after this error: the server has answered, and stays.
pub(super) fn leaves_connection(error: &SqlxError) -> bool {
    matches!(error, SqlxError::RowNotFound)
        || (error.as_database_error().is_some()
            && !sqlstate_is_one_of(error, &SERVER_GONE)
            && !is_stale_plan(error))
}

pub(super) fn is_undefined_table(error: &SqlxError) -> bool {
    sqlstate_is_one_of(error, &[UNDEFINED_TABLE])
}

pub(super) fn is_unique_violation(error: &SqlxError) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

pub(super) fn read_may_be_repeated(error: &SqlxError) -> bool {
    matches!(error, SqlxError::Io(_))
        || sqlstate_is_one_of(error, &LOST_TO_ANOTHER)
        || sqlstate_is_one_of(error, &SERVER_GONE)
        || is_stale_plan(error)
}

pub(super) fn write_may_be_repeated(error: &SqlxError) -> bool {
    sqlstate_is_one_of(error, &LOST_TO_ANOTHER) || is_stale_plan(error)
}

/// The server said that it did not run the statement, and that this is not for another's sake: one
/// of its rows is to blame.
pub(super) fn was_refused(error: &SqlxError) -> bool {
    error.as_database_error().is_some()
        && !sqlstate_is_one_of(error, &SERVER_GONE)
        && !sqlstate_is_one_of(error, &[QUERY_CANCELED])
}

pub(super) fn of_read(error: SqlxError) -> Error {
    if sqlstate_is_one_of(&error, &[QUERY_CANCELED]) {
        return Error::DeadlineExceeded;
    }
    if was_never_sent(&error) || read_may_be_repeated(&error) {
        return Error::unavailable(error);
    }
    Error::internal(error)
}

pub(super) fn of_write(error: SqlxError) -> Error {
    if error.as_database_error().and_then(|error| error.constraint()) == Some(ONE_PER_ID) {
        return Error::Contended; // the twin of this request was faster: its answer is there now
    }
    if write_may_be_repeated(&error) {
        return Error::Contended;
    }
    if was_never_sent(&error) {
        return Error::unavailable(error);
    }
    let lost = matches!(error, SqlxError::Io(_)) || sqlstate_is_one_of(&error, &SERVER_GONE);
    if lost || sqlstate_is_one_of(&error, &[QUERY_CANCELED]) {
        return Error::outcome_unknown(error);
    }
    Error::internal(error)
}

/// A stored value that the model does not know: a fault that names where it stands.
pub(super) fn contradiction(
    table: &str,
    column: &str,
    key: impl std::fmt::Display,
    value: &str,
) -> Error {
    Error::internal(format!(
        "{table}.{column} of {key} is {value:?}, which the model does not know"
    ))
}
