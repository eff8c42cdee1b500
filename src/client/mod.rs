//! A client of the gRPC services (feature `client`). It repeats a call that the service did not
//! answer if repeating is safe, sets a deadline, follows events across restarts, and reads its
//! token and its certificates again when they change.
//!
//! ```no_run
//! use cdn_activation::client::{ActivationClient, ClientSettings};
//! use cdn_activation::domain::AccountId;
//! use cdn_activation::proto::cdn::v1::DescribeCdnServiceRequest;
//! use cdn_activation::proto::operator::v1::{LockRequest, WatchEventsRequest};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = ClientSettings {
//!     token_file: Some("/run/secrets/token".into()),
//!     ..ClientSettings::to(["https://a.example:50051", "https://b.example:50051"])
//! };
//! let client = ActivationClient::new(settings)?;
//!
//! // An action of an account.
//! let account = client.of_account(AccountId::new(1_000_000_000_000_002).expect("positive"));
//! let described = account.call(DescribeCdnServiceRequest {}).await?;
//!
//! // A write of an operator. The client makes the request id and repeats the call with it.
//! let lock = LockRequest { account_id: 1_000_000_000_000_002, ..Default::default() };
//! client.call(lock).await?;
//!
//! // Events, from the oldest that is kept. Store the cursor after an event is processed.
//! let mut events = client.follow(WatchEventsRequest::default());
//! loop {
//!     let next = events.next().await?;
//!     println!("{}: {}", next.event.subject, next.event.r#type);
//!     let _keep = next.cursor;
//! }
//! # }
//! ```

mod endpoints;
mod failure;
mod follow;
mod requests;
mod retry;
mod settings;
mod token;

use std::sync::Arc;

pub use self::failure::{CallError, ClientSettingsError};
pub use self::follow::{EventFollower, FollowedEvent};
pub use self::requests::{AccountRequest, OperatorRequest, Repeat, UnaryRequest};
pub use self::settings::{ClientSettings, ClientTls};

use self::endpoints::Endpoints;
use self::token::BearerFile;
use crate::domain::AccountId;
use crate::proto::operator::v1::WatchEventsRequest;

/// A client. Clones share the connections.
#[derive(Clone, Debug)]
pub struct ActivationClient(Arc<ClientState>);

#[derive(Debug)]
struct ClientState {
    settings: ClientSettings,
    endpoints: Endpoints,
    token: Option<BearerFile>,
}

impl ActivationClient {
    /// Reads the files of the settings. The client connects when it is first used. It must be created
    /// inside a Tokio runtime.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientSettingsError> {
        let endpoints = Endpoints::new(&settings)?;
        let token = settings.token_file.clone().map(BearerFile::open).transpose()?;
        Ok(Self(Arc::new(ClientState { settings, endpoints, token })))
    }

    /// Makes a call of an operator.
    pub async fn call<R: OperatorRequest>(&self, request: R) -> Result<R::Reply, CallError> {
        self.unary(None, request).await
    }

    /// Returns a client of the actions of one account.
    #[must_use]
    pub fn of_account(&self, account_id: AccountId) -> AccountClient {
        AccountClient { client: self.clone(), account_id }
    }

    /// Follows events. The request says where to begin, and of which account.
    #[must_use]
    pub fn follow(&self, request: WatchEventsRequest) -> EventFollower {
        EventFollower::new(self.clone(), request)
    }
}

/// A client of the actions of one account. Over gRPC, the metadata `x-account-id` names it.
#[derive(Clone, Debug)]
pub struct AccountClient {
    client: ActivationClient,
    account_id: AccountId,
}

impl AccountClient {
    /// Calls an action.
    pub async fn call<R: AccountRequest>(&self, request: R) -> Result<R::Reply, CallError> {
        self.client.unary(Some(self.account_id), request).await
    }
}
