//! The reflection service. It reads a stream of requests that the caller may never end, so that it
//! would hold the drain: its requests end when the listeners close, and its answers with them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_reflection::server::Builder;
use tower::Service;

use crate::grpc::services::{Answer, Answers};
use crate::proto::COMMENTED_DESCRIPTORS;

/// Returns a builder of the service. It describes the API and the types of error details, so that a
/// client can decode both without proto files.
pub(super) fn reflection() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(COMMENTED_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// A service whose requests end at `shutdown`.
#[derive(Clone, Debug)]
pub(super) struct Ending<S> {
    pub service: S,
    pub shutdown: CancellationToken,
}

impl<S: NamedService> NamedService for Ending<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Answers> Service<Request<Body>> for Ending<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let ended = || Box::pin(self.shutdown.clone().cancelled_owned());
        self.service.answer(request.map(|body| Body::new(EndingBody { body, ended: ended() })))
    }
}

/// The body of a request that ends at the shutdown, after what has been received.
struct EndingBody {
    body: Body,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl HttpBody for EndingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending if self.ended.as_mut().poll(context).is_ready() => Poll::Ready(None),
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default() // it may end earlier
    }
}
