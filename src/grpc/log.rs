//! The log line of a call: the action, the caller, the account and key it is about, and how it ended. Of refusals the log
//! has as many as [`logging::is_within_limit`] says; faults of ours are all there.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::operator::names::Names;
use crate::context::{Context, FoundKey, RequestId};
use crate::domain::AccountId;
use crate::error::Error;
use crate::logging;
use crate::proto::POOL;

/// How much is shown of an id that a caller made up, in bytes; ours are shorter.
const LONGEST_ID: usize = 64;
/// What stands for a path that is none of our methods, as in the metrics.
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
    /// The calling service, of an operator's call.
    caller: Option<&'static str>,
    account_id: Option<i64>,
    access_key_id: Option<String>,
    /// What the call finds out.
    found_key: Option<Arc<OnceLock<FoundKey>>>,
}

impl Subject {
    /// Of an action: the account that it is for.
    pub fn of_action(context: &Context) -> Self {
        Self { account_id: context.account().ok().map(AccountId::get), ..Self::default() }
    }

    /// Of an operator's call: what its request names, and the key that it will have found or made.
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
    /// Writes it, with how the call ended.
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

/// What a line says.
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
        // A macro, because each line is one call of tracing's.
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

/// The log line of an error that an action had no part in, or that came after its answer.
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

/// The log line of a request that no action has seen.
pub(crate) fn log_refused_at_the_door(request_id: &RequestId, path: &str, error: &Error) {
    log_error(error, of_ours(path), request_id, "grpc");
}

/// The log line of a signed request that no action has seen.
pub(crate) fn log_refused_at_the_gateway(request_id: &RequestId, action: &str, error: &Error) {
    log_error(error, action, request_id, "rest");
}

/// The path where it is that of a method of ours. Any other is a text of the caller's, of any
/// length.
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
    fn a_path_is_shown_where_it_is_that_of_a_method() {
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
