//! Makes audit records. The record of a change is written by the statement of the change. The record
//! of a refused attempt is written later, so that the caller does not wait for it.
//!
//! Refused attempts wait in a queue of the process. A task writes them once a second, many with one
//! statement. A client can cause any number of refusals, so two limits hold: a rate, and the length
//! of the queue, which grows while the database is not available. An attempt above a limit is
//! counted and not recorded.
//!
//! Calling services, access keys and all other callers have one rate each. A flood of calls without
//! a valid token or signature therefore does not hide what services and keys do. Repeated and
//! throttled requests are counted with the other callers, because a client that has copied one
//! request of a key can repeat it without the secret of the key.

mod limits;
pub mod states;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use limits::Limits;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, Origin};
use crate::domain::{AccountId, Time};
use crate::error::Error;
use crate::ids::{RequestId, new_id};
use crate::logging::FailureLog;
use crate::metrics::Metrics;
use crate::proto;
use crate::storage::{AuditEntry, RecordedCall, Store};

/// Time between two writes of the queue.
const INTERVAL: Duration = Duration::from_secs(1);
/// Largest number of attempts that wait.
const MOST_WAITING: usize = 4096;
/// Largest number of attempts that one statement writes.
const BATCH: usize = 512;
/// Longest time that the last write takes at shutdown.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// Length at which a text of a caller is cut, in bytes.
const LONGEST_TEXT: usize = 160;
/// The same for the name of a caller: `service:` and the name of an identity, which has at most 255
/// bytes.
const LONGEST_PRINCIPAL: usize = 263;
/// The same for the id of an access key.
const LONGEST_ID: usize = 64;

/// The caller of a refused attempt.
#[derive(Clone, Debug)]
pub enum Principal<'a> {
    /// An authenticated caller, as [`Context::principal`] names it.
    Verified(String),
    /// The access key that a request names, if the signature is wrong or was not checked.
    UnverifiedKey(&'a str),
    /// A caller that names no key and has no valid token.
    Unknown,
}

/// A refused attempt, with what is known when it is refused.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// The name of the rpc.
    pub action: &'a str,
    /// Why it is refused.
    pub error: &'a Error,
    /// The API version, because some errors have another code in another version.
    pub api_version: Option<&'a str>,
    /// The caller.
    pub principal: Principal<'a>,
    /// The account that the attempt names.
    pub account_id: Option<AccountId>,
    /// What the attempt is about.
    pub resource: String,
    /// The id of the request.
    pub request_id: &'a RequestId,
    /// Where the request comes from.
    pub origin: &'a Origin,
    /// When the request arrived, by the wire clock.
    pub at: Time,
}

/// Takes refused attempts and writes them in the background. Clones share the queue.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    waiting: Mutex<VecDeque<RecordedCall>>,
    limits: Limits,
    started: Instant,
    metrics: Metrics,
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Audit(…)")
    }
}

impl AuditEntry {
    /// Returns the entry of a change that the request of this context makes.
    #[must_use]
    pub fn of(
        context: &Context,
        resource: impl Into<String>,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Self {
        let (address, correlation_id) = of_origin(&context.origin);
        Self {
            audit_id: context.new_id(),
            recorded_at: context.wire_now,
            principal: context.principal(),
            address,
            action: Cow::Borrowed(context.action),
            resource: resource.into(),
            request_id: context.request_id.as_str().to_owned(),
            correlation_id,
            before,
            after,
        }
    }
}

impl Refused<'_> {
    /// Returns whether the refusal is recorded. It is if the action writes, or if the reason is the
    /// caller: authentication, permission or quota. A fault of the service is not a refusal.
    fn is_recorded(&self) -> bool {
        let is_about_caller = self.error.is_about_the_caller();
        !self.error.is_our_fault() && (is_about_caller || proto::writes(self.action))
    }

    fn attempt(&self) -> RecordedCall {
        let (address, correlation_id) = of_origin(self.origin);
        let principal = match &self.principal {
            Principal::Verified(name) => visible(name, LONGEST_PRINCIPAL),
            Principal::UnverifiedKey(id) => format!("unverified-key:{}", visible(id, LONGEST_ID)),
            Principal::Unknown => "unverified".to_owned(),
        };
        let entry = AuditEntry {
            audit_id: new_id(),
            recorded_at: self.at,
            principal,
            address,
            action: Cow::Owned(visible(self.action, LONGEST_TEXT)),
            resource: visible(&self.resource, LONGEST_TEXT),
            request_id: self.request_id.as_str().to_owned(),
            correlation_id: correlation_id.map(|id| visible(&id, LONGEST_TEXT)),
            before: None,
            after: None,
        };
        let result = visible(&self.error.code_in(self.api_version), LONGEST_TEXT);
        RecordedCall { account_id: self.account_id, result, entry }
    }
}

impl Audit {
    /// Creates an empty queue. Attempts that are not recorded are counted in `metrics`.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let (waiting, started) = (Mutex::default(), Instant::now());
        Self(Arc::new(Shared { waiting, limits: Limits::new(), started, metrics }))
    }

    /// Puts a refused attempt into the queue, if such attempts are recorded. Does not wait.
    pub fn refused(&self, refused: &Refused<'_>) {
        if !refused.is_recorded() {
            return;
        }
        let now = u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if !self.0.limits.of(refused).admits(now) || !self.push(|| refused.attempt()) {
            self.0.metrics.audit_refusal_dropped();
        }
    }

    /// Adds an attempt, unless the queue is full.
    fn push(&self, attempt: impl FnOnce() -> RecordedCall) -> bool {
        let mut waiting = self.waiting();
        let has_room = waiting.len() < MOST_WAITING;
        if has_room {
            waiting.push_back(attempt());
        }
        has_room
    }

    /// Writes the queue once a second until `shutdown`, and then once more.
    pub async fn run(self, store: Store, shutdown: CancellationToken) {
        let mut turns = self.0.metrics.worker("audit", "refused attempts are not recorded");
        let mut dropped = FailureLog::new("the database refuses the record of a refused attempt");
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.cancelled() => break,
            }
            tokio::select! {
                written = self.write(&store, &mut dropped) => turns.outcome(written),
                () = shutdown.cancelled() => break,
            }
        }
        let left = tokio::time::timeout(LAST_WRITE, self.write(&store, &mut dropped)).await;
        turns.outcome(left.unwrap_or_else(|late| Err(Error::unavailable(late))));
    }

    /// Writes all attempts in the queue. An attempt leaves the queue when it is written.
    async fn write(&self, store: &Store, dropped: &mut FailureLog) -> Result<(), Error> {
        loop {
            let batch = self.first(BATCH);
            let count = batch.len();
            if count == 0 {
                return Ok(());
            }
            match store.record_calls(batch).await {
                Ok(()) => {
                    self.waiting().drain(..count);
                    self.0.metrics.audit_refusals_written(count);
                    dropped.outcome(Ok(()));
                }
                Err(error) if is_passing(&error) => return Err(error),
                Err(_) => self.write_each(count, store, dropped).await?,
            }
        }
    }

    /// Writes this number of attempts one by one, and drops those that the database refuses.
    /// Otherwise, one refused row would stop all others of its batch for ever.
    async fn write_each(
        &self,
        count: usize,
        store: &Store,
        dropped: &mut FailureLog,
    ) -> Result<(), Error> {
        for _ in 0..count {
            match store.record_calls(self.first(1)).await {
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => {
                    self.0.metrics.audit_refusal_dropped();
                    dropped.outcome(Err(error));
                }
                Ok(()) => self.0.metrics.audit_refusals_written(1),
            }
            self.waiting().pop_front();
        }
        Ok(())
    }

    /// Returns the oldest attempts in the queue, at most this number.
    fn first(&self, at_most: usize) -> Vec<RecordedCall> {
        self.waiting().iter().take(at_most).cloned().collect()
    }

    /// Returns a function that reads how many attempts wait until they are written. The metrics keep
    /// this function, and the queue keeps the metrics. So the function has a weak reference to the
    /// queue: otherwise neither would ever be freed.
    pub fn waiting_count(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let shared = Arc::downgrade(&self.0);
        move || shared.upgrade().map_or(0, |shared| Self(shared).waiting().len())
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<RecordedCall>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the same rows can perhaps be written later.
fn is_passing(error: &Error) -> bool {
    use Error::{Contended, DeadlineExceeded, Draining, OutcomeUnknown, Unavailable};
    matches!(error, Contended | DeadlineExceeded | Draining | OutcomeUnknown(_) | Unavailable(_))
}

/// Returns the address and the correlation id.
fn of_origin(origin: &Origin) -> (Option<String>, Option<String>) {
    let address = origin.address.map(|address| address.to_string());
    (address, origin.correlation_id.as_deref().map(str::to_owned))
}

/// Returns a text of a caller without control characters, cut to a length in bytes. PostgreSQL
/// refuses a text with NUL.
fn visible(text: &str, longest: usize) -> String {
    let text = &text[..text.floor_char_boundary(longest)];
    text.chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests;
