//! The log line of a call: the action, the caller, the account and access key, and how the call
//! ended. The number of lines about refusals is limited by [`logging::is_within_limit`]; every
//! fault is logged.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::operator::names::Names;
use crate::context::{Context, FoundKey};
use crate::domain::AccountId;
use crate::error::Error;
use crate::ids::RequestId;
use crate::logging;
use crate::proto::POOL;

/// Largest part of an id from a caller that is logged, in bytes. Ids of the service are shorter.
const LONGEST_ID: usize = 64;
/// The name of a path that is not a method of the service, as in the metrics.
const OTHER: &str = "_OTHER";

/// The part of a log line that is known before the answer.
pub(super) struct LogLine {
    pub action: &'static str,
    pub request_id: RequestId,
    pub wire: &'static str,
    pub subject: Subject,
}

/// The calling service, and the account and access key that the call is about.
#[derive(Default)]
pub(super) struct Subject {
    /// The calling service of an operator's call.
    caller: Option<&'static str>,
    account_id: Option<i64>,
    access_key_id: Option<String>,
    /// The access key that the call finds or creates.
    found_key: Option<Arc<OnceLock<FoundKey>>>,
}

impl Subject {
    /// Returns the subject of an action: its account.
    pub fn of_action(context: &Context) -> Self {
        Self { account_id: context.account().ok().map(AccountId::get), ..Self::default() }
    }

    /// Returns the subject of an operator's call: what its request names. The call adds the access
    /// key that it finds or creates.
    pub fn of_operator(context: &mut Context, message: &impl Names) -> Self {
        let found_key = Arc::default();
        context.found_key = Some(Arc::clone(&found_key));
        let access_key_id = message.access_key_id();
        Self {
            caller: context.service_name().ok(),
            account_id: message.account_id().filter(|account_id| *account_id != 0),
            access_key_id: access_key_id
                .map(|id| id[..id.floor_char_boundary(LONGEST_ID)].to_owned()),
            found_key: Some(found_key),
        }
    }
}

impl LogLine {
    /// Writes the line, with the outcome of the call.
    pub fn write(&self, error: Option<&Error>, arrived: Instant) {
        let Self { action, request_id, wire, subject } = self;
        let milliseconds = arrived.elapsed().as_secs_f64() * 1e3;
        let found = subject.found_key.as_ref().and_then(|found| found.get());
        let facts = Facts {
            action,
            request_id,
            wire,
            caller: subject.caller,
            account_id: found.map(|found| found.account_id.get()).or(subject.account_id),
            access_key_id: found
                .map(|found| found.access_key_id.as_str())
                .or(subject.access_key_id.as_deref()),
            milliseconds,
        };
        facts.write(error);
    }
}

/// The fields of a line.
struct Facts<'a> {
    action: &'a str,
    request_id: &'a RequestId,
    wire: &'static str,
    caller: Option<&'static str>,
    account_id: Option<i64>,
    access_key_id: Option<&'a str>,
    milliseconds: f64,
}

impl Facts<'_> {
    fn write(&self, error: Option<&Error>) {
        let Self { action, request_id, wire, caller, account_id, access_key_id, milliseconds } =
            self;
        // This is a macro because each line is one call of a tracing macro.
        macro_rules! line {
            ($level:ident, $($rest:tt)+) => {
                tracing::$level!(
                    action, %request_id, wire, caller, account_id, access_key_id, milliseconds, $($rest)+
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
            Some(error) if logging::is_within_limit() => {
                let (code, http_status) = (error.code(), error.http_status());
                line!(info, %code, http_status, "refused");
            }
            Some(_) => {}
        }
    }
}

/// Logs an error that is not the outcome of an action, or that occurred after the answer.
pub(super) fn log_error(error: &Error, action: &str, request_id: &RequestId, wire: &'static str) {
    let facts = Facts {
        action,
        request_id,
        wire,
        caller: None,
        account_id: None,
        access_key_id: None,
        milliseconds: 0.0,
    };
    facts.write(Some(error));
}

/// Logs a gRPC request that was refused before it reached an action.
pub(crate) fn log_refused_at_the_door(request_id: &RequestId, path: &str, error: &Error) {
    log_error(error, of_ours(path), request_id, "grpc");
}

/// Logs a signed request that was refused before it reached an action.
pub(crate) fn log_refused_at_the_gateway(request_id: &RequestId, action: &str, error: &Error) {
    log_error(error, action, request_id, "rest");
}

/// Returns the path if it is that of a method of the service. Any other path is a text of the
/// caller, of any length, and is replaced.
fn of_ours(path: &str) -> &str {
    let is_ours = || {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        POOL.get_service_by_name(service)?.methods().find(|known| known.name() == method)
    };
    if is_ours().is_some() { path } else { OTHER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_a_method_is_logged() {
        for path in [
            "/activation.cdn.v1.CdnService/OpenCdnService",
            "/activation.operator.v1.EventService/WatchEvents",
        ] {
            assert_eq!(of_ours(path), path);
        }
        for path in [
            "/activation.cdn.v1.CdnService/OpenCdnService/",
            "/activation.cdn.v1.CdnService/Open",
            "/activation.cdn.v1/CdnService/OpenCdnService",
            "activation.cdn.v1.CdnService/OpenCdnService",
            "/a/b",
            "/",
            "",
        ] {
            assert_eq!(of_ours(path), OTHER);
        }
    }
}
