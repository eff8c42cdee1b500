//! Quotas. They limit how often an account calls an action, how often a calling service calls, how
//! many requests of a caller run at the same time, and how many unknown access keys of one address
//! are looked up.
//!
//! Each process decides alone, with state that its cores share. Once a second it adds the calls that
//! it has admitted to rows that all processes share (`workers/quotas.rs`), and reads from the same
//! rows what the other processes have admitted. `bucket/` has the algorithm.

mod bucket;
mod calls;
mod in_flight;
mod running;
mod unknown_keys;

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::bucket::Limit;
use self::bucket::SharedCount;
use self::calls::{Calls, Report, Subject};
use self::running::{RunningRequest, RunningRequests};
use self::unknown_keys::UnknownKeys;
use crate::domain::{AccountId, CallRate};
use crate::error::{Error, FlowLimit};
use crate::metrics::QuotaRefusals;
use crate::storage::{QuotaCount, Store};

/// Largest number of rows in one statement.
const MOST_ROWS: usize = 1024;
/// The account in the rows of calling services. No account has this id.
const NO_ACCOUNT: i64 = 0;

/// The setting of the quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaOptions {
    /// How many seconds of its limit an account may use at once.
    pub burst: Duration,
}

/// How often an account may call an action.
#[derive(Clone, Debug)]
pub struct ActionQuota {
    /// The name of the action, which is the same in all API versions.
    pub action: Arc<str>,
    /// Calls per second.
    pub per_second: NonZeroU32,
}

/// The quotas of a process. Clones share them. Without options, nothing is limited.
#[derive(Clone, Debug, Default)]
pub struct Quotas(Option<Arc<QuotaState>>);

#[derive(Debug)]
struct QuotaState {
    burst: Duration,
    calls: Calls,
    running: RunningRequests,
    unknown_keys: UnknownKeys,
    refusals: QuotaRefusals,
}

/// A request that may run. Dropping it ends the request.
#[derive(Debug, Default)]
pub struct Admission(Option<Admitted>);

#[derive(Debug)]
struct Admitted {
    state: Arc<QuotaState>,
    request: RunningRequest,
    /// Which calls this one is counted with, and their limit.
    counts: Option<(Subject, Limit)>,
}

impl Quotas {
    /// Returns the quotas of a process; without options, nothing is limited. Refusals are counted in
    /// `refusals`.
    #[must_use]
    pub fn new(options: Option<QuotaOptions>, refusals: QuotaRefusals) -> Self {
        let state = |options: QuotaOptions| QuotaState {
            burst: options.burst,
            calls: Calls::default(),
            running: RunningRequests::default(),
            unknown_keys: UnknownKeys::default(),
            refusals,
        };
        Self(options.map(|options| Arc::new(state(options))))
    }

    /// Refuses to look up an access key if the address has sent too many keys that do not exist. If
    /// the address is not known, nothing is refused.
    pub fn before_look_up(&self, address: Option<IpAddr>, key: &str) -> Result<(), Error> {
        let (Some(state), Some(address)) = (&self.0, address) else { return Ok(()) };
        let looked = state.unknown_keys.look(address, key, Instant::now());
        looked.map_err(|retry_after| {
            state.refusals.unknown_key();
            Error::Throttled(FlowLimit::new(
                retry_after,
                "client",
                "too many requests with unknown access keys",
            ))
        })
    }

    /// Records whether an access key was found.
    pub fn after_look_up(&self, address: Option<IpAddr>, key: &str, is_found: bool) {
        if let (Some(state), Some(address)) = (&self.0, address) {
            state.unknown_keys.found(address, key, is_found, Instant::now());
        }
    }

    /// Lets a request of an account run, if its quota has room for it now. The request is not yet
    /// counted in the quota: [`Admission::take`] does that.
    pub fn admit(
        &self,
        account_id: AccountId,
        quota: Option<&ActionQuota>,
    ) -> Result<Admission, Error> {
        let Some(state) = &self.0 else { return Ok(Admission::default()) };
        let counts = quota.map(|quota| {
            let subject = Subject { account_id: account_id.get(), name: Arc::clone(&quota.action) };
            (subject, state.limit(quota.per_second))
        });
        let admitted = state.enter(RunningRequest::Account(account_id), counts)?;
        admitted.look()?;
        Ok(Admission(Some(admitted)))
    }

    /// Lets a call of a service run and, if the service has a limit, counts it there.
    /// `account_id` is the account that the service names, and `rate` the limit in its grants.
    pub fn admit_call(
        &self,
        name: &Arc<str>,
        account_id: Option<AccountId>,
        rate: Option<CallRate>,
    ) -> Result<Admission, Error> {
        self.admit_service(RunningRequest::Call(Arc::clone(name), account_id), rate)
    }

    /// The same for a call whose answer is a stream. The stream runs until the admission is dropped.
    pub fn admit_stream(
        &self,
        name: &Arc<str>,
        rate: Option<CallRate>,
    ) -> Result<Admission, Error> {
        self.admit_service(RunningRequest::Stream(Arc::clone(name)), rate)
    }

    fn admit_service(
        &self,
        call: RunningRequest,
        rate: Option<CallRate>,
    ) -> Result<Admission, Error> {
        let Some(state) = &self.0 else { return Ok(Admission::default()) };
        let counts = rate.map(|rate| {
            let name = call.to_string().into();
            let limit = state.limit(rate.calls_per_second);
            let burst = rate.burst.unwrap_or(limit.burst);
            (Subject { account_id: NO_ACCOUNT, name }, Limit { burst, ..limit })
        });
        let admission = Admission(Some(state.enter(call, counts)?));
        admission.take()?;
        Ok(admission)
    }

    /// Adds the calls that were admitted since the last report to the rows that all processes share,
    /// and corrects the buckets by the answers. If the counts cannot be added, they are dropped, and
    /// this process limits calls by its own buckets only.
    pub async fn report(&self, store: &Store) -> Result<(), Error> {
        let Some(state) = &self.0 else { return Ok(()) };
        let reports = state.calls.reports(Instant::now());
        let mut outcome = Ok(());
        for reports in reports.chunks(MOST_ROWS) {
            let counts = reports.iter().map(Report::row).collect();
            let rows = store.add_quota_counts(counts).await;
            let (rows, now) = (rows.map_err(|error| outcome = Err(error)), Instant::now());
            let rows = rows.unwrap_or_default();
            let by_subject: HashMap<_, _> =
                rows.iter().map(|row| ((row.account_id, row.action.as_str()), row)).collect();
            for report in reports {
                let Subject { account_id, name } = &report.subject;
                let row = by_subject.get(&(*account_id, &**name));
                let shared =
                    row.map(|row| SharedCount { ahead: row.ahead_seconds, asked: row.asked });
                state.calls.answered(report, shared, now);
            }
        }
        outcome
    }
}

impl QuotaState {
    /// Returns the limit of an action, with its burst.
    fn limit(&self, per_second: NonZeroU32) -> Limit {
        let burst = f64::from(per_second.get()) * self.burst.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of calls that is too large becomes the largest"
        )]
        let burst = NonZeroU32::new(burst.ceil() as u32).unwrap_or(NonZeroU32::MIN);
        Limit { per_second, burst }
    }

    /// Counts a request among those that run, unless too many run.
    fn enter(
        self: &Arc<Self>,
        request: RunningRequest,
        counts: Option<(Subject, Limit)>,
    ) -> Result<Admitted, Error> {
        self.running.enter(&request).inspect_err(|_| self.refusals.in_flight())?;
        Ok(Admitted { state: Arc::clone(self), request, counts })
    }
}

impl Admission {
    /// Counts the call in the quota. It is refused if other calls have used up the quota since the
    /// request was admitted.
    pub fn take(&self) -> Result<(), Error> {
        let Some(admitted) = &self.0 else { return Ok(()) };
        let Some((subject, limit)) = &admitted.counts else { return Ok(()) };
        let taken = admitted.state.calls.take(subject, *limit, Instant::now());
        taken.map_err(|retry_after| admitted.refused(subject, *limit, retry_after))
    }
}

impl Admitted {
    fn look(&self) -> Result<(), Error> {
        let Some((subject, limit)) = &self.counts else { return Ok(()) };
        let looked = self.state.calls.look(subject, *limit, Instant::now());
        looked.map_err(|retry_after| self.refused(subject, *limit, retry_after))
    }

    fn refused(&self, subject: &Subject, limit: Limit, retry_after: Duration) -> Error {
        let what = match &self.request {
            RunningRequest::Account(_) => {
                self.state.refusals.action();
                format!("calls of {} per second", subject.name)
            }
            RunningRequest::Call(..) | RunningRequest::Stream(_) => {
                self.state.refusals.service();
                "calls per second".to_owned()
            }
        };
        let description = format!("{what}: {}", limit.per_second);
        Error::ThrottledUser(FlowLimit::new(retry_after, self.request.to_string(), description))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.state.running.leave(&self.request);
    }
}

impl Report {
    fn row(&self) -> QuotaCount {
        QuotaCount {
            account_id: self.subject.account_id,
            action: self.subject.name.to_string(),
            calls_per_second: self.limit.per_second,
            admitted: self.counted.admitted,
            asked: self.counted.asked,
            over: self.counted.over,
        }
    }
}

#[cfg(test)]
mod tests;
