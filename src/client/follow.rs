//! A follower of events. It keeps the cursor, and opens its watch again when that has ended.

use std::time::Duration;

use futures_util::{Stream, stream};
use http::uri::PathAndQuery;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use super::ActivationClient;
use super::failure::{CallError, is_local, is_of_tls};
use super::retry::{late, pause, ready};
use crate::proto::events::v1::Event;
use crate::proto::operator::v1::{WatchEventsRequest, WatchEventsResponse};

const WATCH: &str = "/activation.operator.v1.EventService/WatchEvents";
/// How long a watch may be silent. The service sends a response every few seconds, so the connection
/// of one that is silent for longer is broken.
const SILENCE: Duration = Duration::from_secs(15);

/// An event, and the cursor after it.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowedEvent {
    /// The event.
    pub event: Event,
    /// The cursor to continue with once the event is processed.
    pub cursor: String,
}

/// Follows events. The deadline of a watch, a replica that stops, a broken connection and a host that
/// cannot be reached are not failures: the follower goes on with its last cursor, at the next endpoint.
#[derive(Debug)]
pub struct EventFollower {
    client: ActivationClient,
    request: WatchEventsRequest,
    watch: Option<Streaming<WatchEventsResponse>>,
    /// How many watches have ended since the last response.
    fruitless: u32,
    /// How many of the last of them in a row failed in TLS.
    tls_failures: usize,
    /// Why the last of them ended.
    failure: Option<CallError>,
}

impl EventFollower {
    pub(super) fn new(client: ActivationClient, request: WatchEventsRequest) -> Self {
        Self { client, request, watch: None, fruitless: 0, tls_failures: 0, failure: None }
    }

    /// Returns the cursor after the event that was returned last, or a later one if the service has
    /// sent one without an event. It is empty before the first response.
    #[must_use]
    pub fn cursor(&self) -> &str {
        &self.request.cursor
    }

    /// Returns why there is no response: the status with which the last watch ended, if there was no
    /// response since. [`CallError::attempts`] is how many watches have ended since the last
    /// response. One is usual, because a watch ends at its deadline. A caller that wants to report a
    /// host that cannot be reached waits for [`EventFollower::next`] with a time limit, looks here, and
    /// goes on waiting.
    #[must_use]
    pub fn last_failure(&self) -> Option<&CallError> {
        self.failure.as_ref()
    }

    /// Waits for the next event, for as long as it takes. No event is lost if the caller stops
    /// waiting and calls again.
    ///
    /// The error is one that waiting does not change: the service refused the request, for example
    /// because of the token or because the cursor has expired (`CursorExpired`; the caller then reads
    /// the state that it keeps anew and follows with an empty cursor), or TLS failed at the endpoints.
    /// After an error, the caller may call again, for example when it has replaced a file.
    pub async fn next(&mut self) -> Result<FollowedEvent, CallError> {
        loop {
            let response = match self.response().await {
                Ok(response) => response,
                Err(status) => {
                    self.ended(status).await?;
                    continue;
                }
            };
            (self.fruitless, self.tls_failures, self.failure) = (0, 0, None);
            self.request.from_now = false; // allowed with an empty cursor only
            self.request.cursor = response.cursor;
            if let Some(event) = response.event {
                return Ok(FollowedEvent { event, cursor: self.request.cursor.clone() });
            }
        }
    }

    /// Returns a stream of the events. It ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<FollowedEvent, CallError>> + Send {
        stream::try_unfold(self, |mut follower| async move {
            follower.next().await.map(|next| Some((next, follower)))
        })
    }

    /// Returns the next response. Opens a watch if there is none.
    async fn response(&mut self) -> Result<WatchEventsResponse, Status> {
        let watch = if let Some(watch) = &mut self.watch {
            watch
        } else {
            let opened = self.client.watch(self.request.clone()).await?;
            self.watch.insert(opened)
        };
        let response = timeout(SILENCE, watch.message()).await.map_err(late)??;
        response.ok_or_else(|| Status::unavailable("the watch ended without a status"))
    }

    /// Decides what the end of a watch means, and waits before the next one if several in a row had
    /// no response.
    async fn ended(&mut self, status: Status) -> Result<(), CallError> {
        self.watch = None;
        self.fruitless = self.fruitless.saturating_add(1);
        self.tls_failures =
            if is_of_tls(&status) { self.tls_failures.saturating_add(1) } else { 0 };
        let goes_on = self.may_pass(&status);
        let failure = CallError::new(status, self.fruitless);
        if !goes_on {
            return Err(failure);
        }
        self.failure = Some(failure);
        if self.fruitless > 1 {
            sleep(pause(self.fruitless - 1)).await;
        }
        Ok(())
    }

    /// Returns whether the reason why a watch ended may pass. TLS may have failed at one endpoint
    /// only, so each is tried: the reason does not pass if TLS has failed as often in a row as there
    /// are endpoints.
    fn may_pass(&self, status: &Status) -> bool {
        if self.tls_failures > 0 {
            return self.tls_failures < self.client.0.endpoints.count();
        }
        is_local(status) || matches!(status.code(), Code::DeadlineExceeded | Code::Unavailable)
    }
}

impl ActivationClient {
    /// Opens a watch.
    async fn watch(
        &self,
        message: WatchEventsRequest,
    ) -> Result<Streaming<WatchEventsResponse>, Status> {
        let until = Instant::now() + self.0.settings.watch_deadline;
        let request = self.request(message, until).await;
        let picked = self.0.endpoints.pick().await;
        let opening = async {
            let mut grpc = ready(&picked).await?;
            let path = PathAndQuery::from_static(WATCH);
            let codec = ProstCodec::<WatchEventsRequest, WatchEventsResponse>::default();
            grpc.server_streaming(request, path, codec).await
        };
        let soonest = until.min(Instant::now() + SILENCE);
        let opened =
            timeout_at(soonest, opening).await.unwrap_or_else(|elapsed| Err(late(elapsed)));
        self.note(&picked, opened.as_ref().err());
        opened.map(tonic::Response::into_inner)
    }
}
