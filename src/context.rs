//! The context of a request: its id, its caller, and the two instants that all of its decisions
//! use.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::HeaderMap;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::{AccountId, Identity, Time};
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
        /// The id of the access key, or of the temporary credential, that signed.
        access_key_id: Arc<str>,
        /// The access key for which a temporary credential was issued; `None` for an access key.
        parent: Option<Arc<str>>,
    },
    /// A calling service, which can name the account that it acts for.
    Service {
        /// Who the service is, and what it is granted.
        identity: Arc<Identity>,
        /// The metadata `x-account-id`, not parsed.
        account_id: Option<String>,
    },
}

impl Caller {
    /// Returns who calls: `service:NAME`, `key:ID` with the id of the access key, or
    /// `key:PARENT/ID` with those of a temporary credential and of the key for which it was issued.
    #[must_use]
    pub fn principal(&self) -> String {
        match self {
            Self::Service { identity, .. } => format!("service:{}", identity.name()),
            Self::Account { access_key_id, parent: None, .. } => format!("key:{access_key_id}"),
            Self::Account { access_key_id, parent: Some(parent), .. } => {
                format!("key:{parent}/{access_key_id}")
            }
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
    /// Whether the connection has TLS.
    pub has_tls: bool,
}

impl Peer {
    /// Returns a peer at this address without TLS.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self { address, certificate_names: Arc::default(), has_tls: false }
    }
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
    /// Returns the account that the request is about. A calling service must be granted it.
    pub fn account(&self) -> Result<AccountId, Error> {
        let account_id = self.named_account()?;
        self.check_grant(Some(account_id))?;
        Ok(account_id)
    }

    /// Returns the account that the request names, granted or not, for its log line.
    pub fn named_account(&self) -> Result<AccountId, Error> {
        match &self.caller {
            Caller::Account { account_id, .. } => Ok(*account_id),
            Caller::Service { account_id: None, .. } => Err(Error::MissingAccountId),
            Caller::Service { account_id: Some(text), .. } => {
                AccountId::parse(text).ok_or(Error::InvalidAccountId(Vec::new()))
            }
        }
    }

    /// Refuses an account that the calling service is not granted. `None` stands for a request that
    /// is not about one valid account, which a service may send only if it is granted all.
    pub fn check_grant(&self, account_id: Option<AccountId>) -> Result<(), Error> {
        let Caller::Service { identity, .. } = &self.caller else { return Ok(()) };
        let is_granted = match account_id {
            Some(account_id) => identity.may_act_for(account_id),
            None => !identity.is_limited_to_accounts(),
        };
        if is_granted { Ok(()) } else { Err(Error::AccountNotGranted) }
    }

    /// Returns whether the caller must not learn which accounts exist. To such a caller, an account
    /// or access key that does not exist is [`Error::AccountNotGranted`].
    #[must_use]
    pub fn hides_accounts(&self) -> bool {
        matches!(&self.caller, Caller::Service { identity, .. } if identity.is_limited_to_accounts())
    }

    /// Returns the name of the calling service, and refuses an account.
    pub fn service_name(&self) -> Result<&Arc<str>, Error> {
        match &self.caller {
            Caller::Service { identity, .. } => Ok(identity.name()),
            Caller::Account { .. } => Err(Error::ServiceUnauthenticated),
        }
    }

    /// Returns who calls, as [`Caller::principal`].
    #[must_use]
    pub fn principal(&self) -> String {
        self.caller.principal()
    }

    /// Records, for the log line of an operator's call, which access key it is about. Refuses the
    /// key of an account that the calling service is not granted.
    pub fn note_key(&self, account_id: AccountId, access_key_id: &str) -> Result<(), Error> {
        if let Some(found) = &self.found_key {
            found.get_or_init(|| FoundKey { account_id, access_key_id: access_key_id.to_owned() });
        }
        self.check_grant(Some(account_id))
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
