//! Why a client could not be created, and why a call failed.

use std::error::Error as StdError;

use tokio_rustls::rustls::Error as TlsError;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The settings of a client are wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientSettingsError(pub(super) String);

/// A call that failed. It has the status of the last attempt.
#[derive(Debug, thiserror::Error)]
#[error("{reason} after {attempts} attempts: {message}", reason = self.name(), message = self.status.message())]
pub struct CallError {
    status: Status,
    attempts: u32,
}

impl CallError {
    pub(super) fn new(status: Status, attempts: u32) -> Self {
        Self { status, attempts }
    }

    /// Returns the status. Its details have what the service says beside the message.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Returns the gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.status.code()
    }

    /// Returns the documented code of the refusal, for example `CursorExpired`. It is `None` if the
    /// service did not answer.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.status.get_details_error_info().map(|info| info.reason)
    }

    /// Returns the id of the request in the log of the service, if the service answered.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        let mut info = self.status.get_details_error_info()?;
        info.metadata.remove("request_id")
    }

    /// Returns how often the call was tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    fn name(&self) -> String {
        self.reason().unwrap_or_else(|| format!("{:?}", self.code()))
    }
}

/// Returns whether a status was made on this side, because the connection broke or because there was
/// none. A status that the service sent has no source.
pub(super) fn is_local(status: &Status) -> bool {
    status.source().is_some()
}

/// Returns whether a call with this status was certainly not sent.
pub(super) fn was_not_sent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        let canceled = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        if canceled || error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns whether the two sides could not agree on TLS: the certificate of one is not trusted by the
/// other, it is for another name, or the other side does not speak TLS.
pub(super) fn is_of_tls(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        // The source of an error of input and output is that of the error in it.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<TlsError>() || matches!(inner, Some(inner) if inner.is::<TlsError>()) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Returns whether the deadline passed on this side.
pub(super) fn has_timed_out(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() || error.is::<tokio::time::error::Elapsed>() {
            return true;
        }
        cause = error.source();
    }
    false
}
