//! The causes of faults. They are logged and never sent to a caller.

use std::sync::Arc;

use super::Error;

/// The cause of a fault. It is shared, because all requests of one batch fail together.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// Returns the error for a database that cannot be reached or is too busy, with its cause.
    pub fn unavailable(cause: impl Into<AnyError>) -> Self {
        Self::Unavailable(Cause::from(cause.into()))
    }

    /// Returns the error for a write with an unknown outcome, with its cause.
    pub fn outcome_unknown(cause: impl Into<AnyError>) -> Self {
        Self::OutcomeUnknown(Cause::from(cause.into()))
    }

    /// Returns a fault with its cause.
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
