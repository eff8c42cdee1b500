//! The context of a request: its id, its caller, and the two instants that all of its decisions
//! use. The clock is here, too: no other code reads the time or generates an id.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use crate::domain::{AccountId, Time};
use crate::error::Error;

/// The id of one request in its reply, the log and errors: a UUID in upper case, as in the vendor's
/// documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Returns a new random id.
    #[must_use]
    pub fn random() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is where request ids are made")]
        let id = Uuid::new_v4();
        Self::from(id)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for RequestId {
    fn from(id: Uuid) -> Self {
        Self(Arc::from(&*id.hyphenated().encode_upper(&mut Uuid::encode_buffer())))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The caller of a request.
#[derive(Clone, Debug)]
pub enum Caller {
    /// An account, which signed the request.
    Account(AccountId),
    /// A calling service, which can name the account that it acts for.
    Service {
        /// The metadata `x-account-id`, not parsed.
        account_id: Option<String>,
    },
}

/// The wire on which a request arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// The RPC query format.
    Rest,
    /// gRPC.
    Grpc,
}

impl Wire {
    /// Returns the name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
        }
    }
}

/// The context of a request. It is made when the request arrives, and carried in its extensions.
#[derive(Clone, Debug)]
pub struct Context {
    /// Id of the request.
    pub request_id: RequestId,
    /// The caller of a request.
    pub caller: Caller,
    /// The wire on which it arrived.
    pub wire: Wire,
    /// The API version that was requested. `None` over gRPC, which counts as the newest.
    pub api_version: Option<Arc<str>>,
    /// The instant of the business clock, in whole seconds. It decides what is in force, due and
    /// overdue.
    pub now: Time,
    /// The instant of the wire clock, for timestamps, nonces and times of creation.
    pub wire_now: Time,
    /// When the request arrived, for its deadline.
    pub arrived: Instant,
    /// Where an operator's call records the access key that it has found or created, for its log
    /// line.
    pub found_key: Option<Arc<OnceLock<FoundKey>>>,
}

/// An access key that an operator's call has found or created.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// The account that it signs for.
    pub account_id: AccountId,
    /// Its id.
    pub access_key_id: String,
}

impl Context {
    /// Returns the account that the request is about.
    pub fn account(&self) -> Result<AccountId, Error> {
        match &self.caller {
            Caller::Account(account_id) => Ok(*account_id),
            Caller::Service { account_id: None } => Err(Error::MissingAccountId),
            Caller::Service { account_id: Some(text) } => {
                AccountId::parse(text).ok_or(Error::InvalidAccountId(Vec::new()))
            }
        }
    }

    /// Returns the name of the calling service, and refuses an account. All services have the same
    /// token, and therefore the same name.
    pub fn service_name(&self) -> Result<&'static str, Error> {
        match self.caller {
            Caller::Service { .. } => Ok("service"),
            Caller::Account(_) => Err(Error::ServiceUnauthenticated),
        }
    }

    /// Records, for the log line of an operator's call, which access key it is about.
    pub fn note_key(&self, account_id: AccountId, access_key_id: &str) {
        if let Some(found) = &self.found_key {
            found.get_or_init(|| FoundKey { account_id, access_key_id: access_key_id.to_owned() });
        }
    }

    /// Returns a new id for a row or an event. Ids are ordered by time.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        new_id()
    }
}

/// Returns a new id (UUID version 7). Ids are ordered by time.
#[must_use]
pub fn new_id() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "this is where ids are made")]
    let id = Uuid::now_v7();
    id
}

/// The business clock and the wire clock. Clones share both, so that a test or `dev --at` can set
/// the business clock of a running server.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    business: Arc<Hand>,
    wire: Arc<Hand>,
}

/// The value of [`Hand::stands_at`] for a hand that runs.
const RUNS: i64 = i64::MIN;

#[derive(Debug)]
struct Hand {
    /// Microseconds by which a running hand is ahead of the system's clock.
    ahead: AtomicI64,
    /// The instant at which the hand is stopped, in microseconds, or [`RUNS`].
    stands_at: AtomicI64,
}

impl Default for Hand {
    fn default() -> Self {
        Self { ahead: AtomicI64::new(0), stands_at: AtomicI64::new(RUNS) }
    }
}

impl Hand {
    /// Returns the time of the hand when the system's clock shows `system` microseconds.
    fn read(&self, system: i64) -> Time {
        let micros = match self.stands_at.load(Ordering::Relaxed) {
            RUNS => system + self.ahead.load(Ordering::Relaxed),
            stands_at => stands_at,
        };
        DateTime::from_timestamp_micros(micros)
            .expect("a clock stays within the calendar of chrono")
    }
}

impl Clock {
    /// Returns a clock whose hands both show the system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Returns a clock whose business hand starts at `start` and runs. Its wire hand shows the
    /// system's time.
    #[must_use]
    pub fn starting_at(start: Time) -> Self {
        let clock = Self::default();
        clock.business.ahead.store(start.timestamp_micros() - system_micros(), Ordering::Relaxed);
        clock
    }

    /// Returns the instant of the business clock, in whole seconds, as both wires show it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now_at(system_micros())
    }

    fn now_at(&self, system: i64) -> Time {
        self.business.read(system).trunc_subsecs(0)
    }

    /// Returns the instant of the wire clock.
    #[must_use]
    pub fn wire_now(&self) -> Time {
        self.wire.read(system_micros())
    }

    /// Stops the business clock at an instant.
    pub fn set_now(&self, at: Time) {
        self.business.stands_at.store(at.timestamp_micros(), Ordering::Relaxed);
    }

    /// Stops the wire clock at an instant.
    pub fn set_wire_now(&self, at: Time) {
        self.wire.stands_at.store(at.timestamp_micros(), Ordering::Relaxed);
    }

    /// Runs the wire clock ahead of the system's clock, or behind it if `by` is negative.
    pub fn run_wire_ahead(&self, by: chrono::Duration) {
        self.wire.ahead.store(by.num_microseconds().unwrap_or_default(), Ordering::Relaxed);
        self.wire.stands_at.store(RUNS, Ordering::Relaxed);
    }

    /// Returns the context of a request that arrives now.
    #[must_use]
    pub fn context(&self, request_id: RequestId, caller: Caller, wire: Wire) -> Context {
        let system = system_micros();
        let (now, wire_now) = (self.now_at(system), self.wire.read(system));
        let arrived = Instant::now();
        let (api_version, found_key) = (None, None);
        Context { request_id, caller, wire, api_version, now, wire_now, arrived, found_key }
    }
}

fn system_micros() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = Utc::now();
    now.timestamp_micros()
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    #[test]
    fn clones_of_a_clock_share_their_hands() {
        let clock = Clock::system();
        let clone = clock.clone();
        let at = DateTime::from_timestamp(1_000_000, 0).unwrap();
        clock.set_now(at);
        assert_eq!(clone.now(), at);
        assert!(clone.wire_now() > at);
    }

    #[test]
    fn a_clock_that_starts_at_another_time_runs() {
        let at = DateTime::from_timestamp(1_521_504_000, 0).unwrap();
        let clock = Clock::starting_at(at);
        let first = clock.now();
        assert!(first >= at && first < at + Duration::minutes(1));
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(clock.now() > first);
        assert_eq!(clock.now().timestamp_subsec_nanos(), 0);
    }

    #[test]
    fn request_ids_are_upper_case_uuids() {
        let id = RequestId::from(Uuid::from_u128(0xabcd));
        assert_eq!(id.as_str(), "00000000-0000-0000-0000-00000000ABCD");
    }
}
