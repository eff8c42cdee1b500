//! The running requests of all callers of a process, and how many each caller may have.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::NO_ACCOUNT;
use super::in_flight::InFlight;
use crate::domain::AccountId;
use crate::error::{Error, FlowLimit};

/// Largest number of running requests of an account over the RPC query format: an eighth of the
/// default number of connections.
const MOST_OF_ACCOUNT: usize = 128;
/// Largest number of running calls of a calling service for one account: an eighth of a queue for
/// the database.
const MOST_OF_SERVICE_FOR_ACCOUNT: usize = 1024;
/// Largest number of running calls of a calling service. One service may have the load of all
/// accounts, so it is half of a queue for the database.
const MOST_OF_SERVICE: usize = 4096;
/// Largest number of running streams of a calling service. Each may hold a page of events and
/// lasts for up to 30 s, so they have a bound of their own and take no places of calls.
const MOST_STREAMS: usize = 256;
/// What a caller with too many running requests is told to wait.
const WAIT_FOR_REQUESTS: Duration = Duration::from_millis(100);
/// What a caller with too many running streams is told to wait.
const WAIT_FOR_STREAMS: Duration = Duration::from_secs(1);

/// Whose request runs.
#[derive(Debug)]
pub enum RunningRequest {
    /// A request of an account.
    Account(AccountId),
    /// A call of a service for an account, if it names one.
    Call(Arc<str>, Option<AccountId>),
    /// A stream of a service.
    Stream(Arc<str>),
}

/// The running requests.
#[derive(Debug)]
pub struct RunningRequests {
    accounts: InFlight<AccountId>,
    services: InFlight<Arc<str>>,
    /// The account is the one that the service names, or 0.
    services_for_accounts: InFlight<(Arc<str>, i64)>,
    streams: InFlight<Arc<str>>,
}

impl Default for RunningRequests {
    fn default() -> Self {
        Self {
            accounts: InFlight::new(MOST_OF_ACCOUNT),
            services: InFlight::new(MOST_OF_SERVICE),
            services_for_accounts: InFlight::new(MOST_OF_SERVICE_FOR_ACCOUNT),
            streams: InFlight::new(MOST_STREAMS),
        }
    }
}

impl RunningRequests {
    /// Counts a request that begins, unless its caller has too many.
    pub fn enter(&self, request: &RunningRequest) -> Result<(), Error> {
        let entered = match request {
            RunningRequest::Account(account_id) => self.accounts.enter(*account_id),
            RunningRequest::Stream(name) => self.streams.enter(Arc::clone(name)),
            RunningRequest::Call(name, account_id) => {
                let for_account = (Arc::clone(name), number(*account_id));
                self.services.enter(Arc::clone(name)).and_then(|()| {
                    let entered = self.services_for_accounts.enter(for_account);
                    entered.inspect_err(|_| self.services.leave(Arc::clone(name)))
                })
            }
        };
        entered.map_err(|most| {
            let (what, wait) = match request {
                RunningRequest::Stream(_) => ("streams", WAIT_FOR_STREAMS),
                _ => ("requests", WAIT_FOR_REQUESTS),
            };
            let description = format!("{what} at the same time: {most}");
            Error::ThrottledUser(FlowLimit::new(wait, request.to_string(), description))
        })
    }

    /// Counts a request that has ended.
    pub fn leave(&self, request: &RunningRequest) {
        match request {
            RunningRequest::Account(account_id) => self.accounts.leave(*account_id),
            RunningRequest::Stream(name) => self.streams.leave(Arc::clone(name)),
            RunningRequest::Call(name, account_id) => {
                self.services.leave(Arc::clone(name));
                self.services_for_accounts.leave((Arc::clone(name), number(*account_id)));
            }
        }
    }
}

fn number(account_id: Option<AccountId>) -> i64 {
    account_id.map_or(NO_ACCOUNT, AccountId::get)
}

/// Writes the caller, as errors name it.
impl fmt::Display for RunningRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account_id) => write!(formatter, "account:{account_id}"),
            Self::Call(name, _) | Self::Stream(name) => write!(formatter, "service:{name}"),
        }
    }
}
