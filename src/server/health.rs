//! The health service. It differs from tonic's in two points. tonic refuses to watch a name that it
//! does not know; the protocol demands that the watch reports `SERVICE_UNKNOWN` and goes on. tonic's
//! watches end with the client only, so that they would hold the drain; these end when the listeners
//! close.

use std::pin::Pin;
use std::task::Poll;

use futures_util::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::HealthService;

/// The health service. Its watches end when the listeners close.
#[derive(Debug)]
pub(super) struct Watched {
    pub service: HealthService,
    pub shutdown: CancellationToken,
}

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Watched {
    type WatchStream = Statuses;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.service.check(request).await
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Statuses>, Status> {
        let until = self.shutdown.clone();
        match self.service.watch(request).await {
            Ok(known) => Ok(known.map(|statuses| ending(statuses, until))),
            // The services of a process do not change while it runs.
            Err(status) if status.code() == Code::NotFound => {
                let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
                let first = stream::once(async move { Ok(unknown) });
                Ok(Response::new(ending(first.chain(stream::pending()), until)))
            }
            Err(status) => Err(status),
        }
    }
}

/// Ends a stream of statuses at `shutdown`, after the last one was taken.
fn ending(
    statuses: impl Stream<Item = Result<HealthCheckResponse, Status>> + Send + 'static,
    shutdown: CancellationToken,
) -> Statuses {
    let mut statuses = Box::pin(statuses);
    let mut ended = Box::pin(shutdown.cancelled_owned());
    let next = stream::poll_fn(move |context| match statuses.poll_next_unpin(context) {
        Poll::Pending if ended.as_mut().poll(context).is_ready() => Poll::Ready(None),
        next => next,
    });
    next.boxed()
}
