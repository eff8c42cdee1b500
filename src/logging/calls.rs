//! The log line of a call: the action, the caller, the account and access key, and how the call
//! ended. The number of lines about refusals is limited by [`is_within_limit`]; every fault is
//! logged.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::is_within_limit;
use crate::context::{FoundKey, Origin, Wire};
use crate::error::Error;
use crate::ids::RequestId;
use crate::traces::current_trace_id;

/// The part of the line that is known before the answer.
#[derive(Debug)]
pub struct CallLine<'a> {
    /// The action, or the path of the method.
    pub action: &'a str,
    /// The id of the request.
    pub request_id: RequestId,
    /// The wire on which the request arrived.
    pub wire: Wire,
    /// Where the request comes from.
    pub origin: Origin,
    /// The caller, account and access key of the call.
    pub subject: Subject,
}

/// The calling service, and the account and access key that a call is about.
#[derive(Debug, Default)]
pub struct Subject {
    /// The calling service of an operator's call.
    pub caller: Option<Arc<str>>,
    /// The account that the request names.
    pub account_id: Option<i64>,
    /// The access key that the request names.
    pub access_key_id: Option<String>,
    /// The access key that the call finds or creates, with its account.
    pub found_key: Option<Arc<OnceLock<FoundKey>>>,
}

impl Subject {
    fn found(&self) -> Option<&FoundKey> {
        self.found_key.as_ref().and_then(|found| found.get())
    }

    /// Returns the account of the key that the call has found, or else the account that the request
    /// names.
    #[must_use]
    pub fn account_id(&self) -> Option<i64> {
        self.found().map(|found| found.account_id.get()).or(self.account_id)
    }
}

impl CallLine<'_> {
    /// Writes the line, with the outcome of the call and the time that it took.
    pub fn write(&self, error: Option<&Error>, took: Duration) {
        let Self { action, request_id, wire, origin, subject } = self;
        let peer = origin.address.map(tracing::field::display);
        let correlation_id = origin.correlation_id.as_deref();
        let (wire, caller) = (wire.name(), subject.caller.as_deref());
        let (found, account_id) = (subject.found(), subject.account_id());
        let access_key_id = found.map(|found| &found.access_key_id);
        let access_key_id = access_key_id.or(subject.access_key_id.as_ref());
        let milliseconds = took.as_secs_f64() * 1e3;
        let trace_id = current_trace_id().map(tracing::field::display);
        // This is a macro because the macros of tracing need the level and the names of the fields
        // when they are compiled.
        macro_rules! line {
            ($level:ident, $($rest:tt)+) => {
                tracing::$level!(
                    action, %request_id, correlation_id, peer, wire, caller, account_id,
                    access_key_id, trace_id, milliseconds, $($rest)+
                )
            };
        }
        match error {
            None => line!(info, code = "OK"),
            Some(error) if error.is_our_fault() => {
                let (code, http_status) = (error.code(), error.http_status());
                let cause = std::error::Error::source(error).map(tracing::field::display);
                line!(error, %code, http_status, cause, "failed");
            }
            Some(error) if is_within_limit() => {
                let (code, http_status) = (error.code(), error.http_status());
                line!(info, %code, http_status, "refused");
            }
            Some(_) => {}
        }
    }
}

/// Logs an error of a request that did not reach its action, or that occurred after the answer.
/// The request arrived at `arrived`.
pub fn log_error(
    error: &Error,
    action: &str,
    request_id: &RequestId,
    origin: Origin,
    wire: Wire,
    arrived: Instant,
) {
    let (request_id, subject) = (request_id.clone(), Subject::default());
    let line = CallLine { action, request_id, wire, origin, subject };
    line.write(Some(error), arrived.elapsed());
}
