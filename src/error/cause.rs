//! What lies beneath the errors that are ours to mend: kept for the log, never told.

use std::sync::Arc;

use super::Error;

/// The cause of a fault. Shared: callers whose statements were one fail together.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// The database cannot be reached or is too busy, and why.
    pub fn unavailable(cause: impl Into<AnyError>) -> Self {
        Self::Unavailable(Cause::from(cause.into()))
    }

    /// A write of which it is not known whether it happened, and why.
    pub fn outcome_unknown(cause: impl Into<AnyError>) -> Self {
        Self::OutcomeUnknown(Cause::from(cause.into()))
    }

    /// A fault with its cause.
    pub fn internal(cause: impl Into<AnyError>) -> Self {
        Self::Internal(Cause::from(cause.into()))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.code(), self.message())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(c) | Self::OutcomeUnknown(c) | Self::Internal(c) => Some(&**c),
            _ => None,
        }
    }
}
