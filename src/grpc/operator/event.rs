//! `EventService`: the events, for followers.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::{Request, Status};

use super::account_id;
use crate::context::{Context, Origin, Wire};
use crate::domain::AccountId;
use crate::error::{Error, status};
use crate::events::{Cursor, Cursors, Feed, Followed, Watched};
use crate::grpc::layers::deadline;
use crate::grpc::{Reply, operate};
use crate::ids::RequestId;
use crate::logging::log_error;
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::event_service_server::EventService;

/// The page size of a request that gives none.
const DEFAULT_PAGE_SIZE: usize = 50;
const LARGEST_PAGE_SIZE: usize = 1000;

/// The event service. Clones share the feed.
#[derive(Clone, Debug)]
pub struct Events {
    feed: Feed,
    cursors: Cursors,
}

/// The responses of a watch.
type Responses = Pin<Box<dyn Stream<Item = Result<wire::WatchEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Events {
    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Reply<wire::ListEventsResponse> {
        operate("ListEvents", request, async |context, message| {
            self.list(context.service_name()?, &message).await
        })
        .await
    }

    type WatchEventsStream = Responses;

    async fn watch_events(&self, request: Request<wire::WatchEventsRequest>) -> Reply<Responses> {
        let deadline = deadline(request.metadata().as_ref());
        operate("WatchEvents", request, async |context, message| {
            self.watch(&context, &message, context.arrived + deadline).await
        })
        .await
    }
}

impl Events {
    /// Creates the service of a feed. `cursors` writes and reads its cursors.
    #[must_use]
    pub fn new(feed: Feed, cursors: Cursors) -> Self {
        Self { feed, cursors }
    }

    async fn list(
        &self,
        caller: &str,
        message: &wire::ListEventsRequest,
    ) -> Result<wire::ListEventsResponse, Error> {
        let page_size = page_size(message.page_size)?;
        let account_id = followed(message.account_id)?;
        let cursor = self.start(caller, &message.cursor, account_id, false).await?;
        let page = self.feed.page(&cursor, page_size).await?;
        let events = page.events.iter().map(|numbered| numbered.event.clone()).collect();
        Ok(wire::ListEventsResponse {
            events,
            next_cursor: self.cursors.encode(caller, &page.cursor),
        })
    }

    async fn watch(
        &self,
        context: &Context,
        message: &wire::WatchEventsRequest,
        until: Instant,
    ) -> Result<Responses, Error> {
        let caller = context.service_name()?;
        let account_id = followed(message.account_id)?;
        if message.from_now && !message.cursor.is_empty() {
            return Err(Error::field("from_now", "requires an empty cursor"));
        }
        let cursor = self.start(caller, &message.cursor, account_id, message.from_now).await?;
        let followed = Followed::start(self.feed.clone(), cursor, until.into());
        let (cursors, request_id) = (self.cursors.clone(), context.request_id.clone());
        let (origin, caller, arrived) =
            (context.origin.clone(), Arc::clone(caller), context.arrived);
        // This is polled only while the client has room. It takes responses that are ready, and
        // reads nothing itself.
        let responses = unfold(followed, move |mut followed| {
            let (cursors, request_id) = (cursors.clone(), request_id.clone());
            let (origin, caller) = (origin.clone(), Arc::clone(&caller));
            async move {
                let told = followed.next().await?;
                let response = told.map(|told| response(&cursors, &caller, &told));
                let response =
                    response.map_err(|error| ended(&error, &request_id, origin, arrived));
                Some((response, followed))
            }
        });
        Ok(Box::pin(responses))
    }

    /// Returns the cursor at which a follower begins.
    async fn start(
        &self,
        caller: &str,
        text: &str,
        account_id: Option<AccountId>,
        from_now: bool,
    ) -> Result<Cursor, Error> {
        if text.is_empty() {
            if from_now {
                return self.feed.newest(account_id).await;
            }
            return self.feed.oldest(account_id).await;
        }
        let cursor = self.cursors.decode(caller, text)?;
        if cursor.account_id != account_id {
            // Such a cursor has no position for the events of the other account.
            return Err(Error::field("cursor", "was given for another account_id"));
        }
        self.feed.check(&cursor).await
    }
}

fn response(cursors: &Cursors, caller: &str, told: &Watched) -> wire::WatchEventsResponse {
    wire::WatchEventsResponse {
        event: told.event.as_ref().map(|numbered| numbered.event.clone()),
        cursor: cursors.encode(caller, &told.cursor),
    }
}

/// Returns the status with which a stream ends. The error is logged here, because the call was
/// answered long ago. A stream that ended in time has a log line of its own.
fn ended(error: &Error, request_id: &RequestId, origin: Origin, arrived: Instant) -> Status {
    if !matches!(error, Error::Draining | Error::DeadlineExceeded) {
        log_error(error, "WatchEvents", request_id, origin, Wire::Grpc, arrived);
    }
    status::of(error, request_id, None)
}

/// Returns the account that is followed; `None` for all accounts.
fn followed(number: i64) -> Result<Option<AccountId>, Error> {
    match number {
        0 => Ok(None),
        number => account_id(number).map(Some),
    }
}

fn page_size(number: i32) -> Result<usize, Error> {
    match usize::try_from(number) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(LARGEST_PAGE_SIZE)),
        Err(_) => Err(Error::field("page_size", "is negative")),
    }
}
