//! Log lines about a failure that repeats.

use std::borrow::Cow;

use crate::error::Error;

/// Logs a failure that repeats: one line when it begins and one line when it ends. An error with
/// another code counts as another failure.
pub struct FailureLog {
    what: &'static str,
    last: Option<Cow<'static, str>>,
}

impl FailureLog {
    /// Creates a log of this failure, which is a sentence.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// Logs the outcome of another attempt, if it begins or ends the failure.
    pub fn outcome(&mut self, outcome: Result<(), Error>) {
        let what = self.what;
        let Err(error) = outcome else {
            if self.last.take().is_some() {
                tracing::info!(failure = what, "recovered from a failure");
            }
            return;
        };
        if self.last.as_ref() != Some(&error.code()) {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause = cause.unwrap_or_default(), "{what}");
            self.last = Some(error.code());
        }
    }
}
