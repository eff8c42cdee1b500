//! The context of a request: its id, its caller, and the two instants that all of its decisions
//! use.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::HeaderMap;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::{AccountId, Time};
use crate::error::Error;
use crate::ids::{RequestId, new_id};

/// The header with the caller's own id of a request, on both wires. Over gRPC, answers carry the
/// request id in the metadata of the same name.
pub const REQUEST_ID: &str = "x-request-id";

/// Largest part of a correlation id that is kept, in bytes.
const LONGEST_CORRELATION_ID: usize = 64;

/// The caller of a request.
#[derive(Clone, Debug)]
pub enum Caller {
    /// An account, one of whose access keys signed the request.
    Account {
        /// The account.
        account_id: AccountId,
        /// The id of the access key that signed.
        access_key_id: Arc<str>,
    },
    /// A calling service, which can name the account that it acts for.
    Service {
        /// The name of the service, as it has authenticated.
        name: Arc<str>,
        /// The metadata `x-account-id`, not parsed.
        account_id: Option<String>,
    },
}

impl Caller {
    /// Returns who calls: `service:NAME`, or `key:ID` with the id of the access key.
    #[must_use]
    pub fn principal(&self) -> String {
        match self {
            Self::Service { name, .. } => format!("service:{name}"),
            Self::Account { access_key_id, .. } => format!("key:{access_key_id}"),
        }
    }
}

/// The peer of a connection. It is carried in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address of the client.
    pub address: IpAddr,
    /// The names in the certificate that the client has shown: its URI and DNS names. Empty without
    /// one.
    pub certificate_names: Arc<[String]>,
}

/// Where a request comes from. It is logged, and decides nothing.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address of the client. `None` for a request that no client has sent.
    pub address: Option<IpAddr>,
    /// The caller's own id of the request, as it is spelt: the header `x-request-id`.
    pub correlation_id: Option<Box<str>>,
}

impl Origin {
    /// Reads the origin of a request. A correlation id with characters that are not visible is
    /// ignored, and a long one is cut.
    #[must_use]
    pub fn of(headers: &HeaderMap, extensions: &http::Extensions) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let given = given.filter(|given| !given.is_empty());
        let cut = |given: &str| given[..given.len().min(LONGEST_CORRELATION_ID)].into();
        Self {
            address: extensions.get::<Peer>().map(|peer| peer.address),
            correlation_id: given.map(cut),
        }
    }
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
    /// Where the request comes from.
    pub origin: Origin,
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
    /// The name of the rpc, for audit. Empty until its action begins.
    pub action: &'static str,
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
            Caller::Account { account_id, .. } => Ok(*account_id),
            Caller::Service { account_id: None, .. } => Err(Error::MissingAccountId),
            Caller::Service { account_id: Some(text), .. } => {
                AccountId::parse(text).ok_or(Error::InvalidAccountId(Vec::new()))
            }
        }
    }

    /// Returns the name of the calling service, and refuses an account.
    pub fn service_name(&self) -> Result<&Arc<str>, Error> {
        match &self.caller {
            Caller::Service { name, .. } => Ok(name),
            Caller::Account { .. } => Err(Error::ServiceUnauthenticated),
        }
    }

    /// Returns who calls, as [`Caller::principal`].
    #[must_use]
    pub fn principal(&self) -> String {
        self.caller.principal()
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

impl Clock {
    /// Returns the context of a request that arrives now.
    #[must_use]
    pub fn context(
        &self,
        request_id: RequestId,
        caller: Caller,
        origin: Origin,
        wire: Wire,
    ) -> Context {
        let (now, wire_now) = self.both();
        let arrived = Instant::now();
        let (api_version, action, found_key) = (None, "", None);
        Context {
            request_id,
            caller,
            origin,
            wire,
            api_version,
            now,
            wire_now,
            arrived,
            action,
            found_key,
        }
    }
}
