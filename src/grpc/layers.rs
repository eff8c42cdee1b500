//! What every call passes on both wires, around the handlers: metrics, the deadline, panics, and
//! errors that tonic made itself. One layer around the services, of the listener as of the shim's
//! in-process calls; within them it would cost a box more for each call.

use std::any::Any;
use std::collections::HashSet;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::status;
use super::streams::HeldStream;
use crate::context::{Context, RequestId};
use crate::error::Error;
use crate::metrics::Metrics;

/// The deadline of a call that sets none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// The longest deadline that a call may set.
const LONGEST_DEADLINE: Duration = Duration::from_secs(30);

/// How tonic begins what it says of a message that does not decode, is absent or is cut off.
const NO_MESSAGE: [&str; 3] = [
    "failed to decode Protobuf message",
    "Missing request message.",
    "Unexpected EOF decoding stream.",
];
/// What every call is held to. A layer; see [`Hold`].
#[derive(Clone, Debug)]
pub struct Guard {
    metrics: Metrics,
    /// The paths of our methods that answer with a stream.
    streams: Arc<HashSet<String>>,
}

impl Guard {
    /// Counts calls here; those of the paths `streams` answer with a stream.
    #[must_use]
    pub fn new(metrics: Metrics, streams: HashSet<String>) -> Self {
        Self { metrics, streams: Arc::new(streams) }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Hold<S>;

    fn layer(&self, inner: S) -> Hold<S> {
        Hold { inner, guard: self.clone() }
    }
}

/// Counts the call, holds it to its deadline, answers where a handler panicked, and completes the
/// errors that no handler made.
///
/// A stream of ours is held to the deadline to its end. Those of health and reflection are not: they
/// are how the infrastructure watches us, they hold nothing but themselves, and a probe that is cut
/// off counts as a failure.
#[derive(Clone, Debug)]
pub struct Hold<S> {
    inner: S,
    guard: Guard,
}

impl<S> Service<Request<Body>> for Hold<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let context = request.extensions().get::<Context>();
        let request_id =
            context.map_or_else(RequestId::random, |context| context.request_id.clone());
        let arrived = context.map_or_else(Instant::now, |context| context.arrived);
        let call = self.guard.metrics.call_started(path, arrived);
        let is_stream = self.guard.streams.contains(path);
        let deadline = deadline(request.headers());
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            let until = arrived + deadline;
            let answer = pin!(answer);
            // Whoever is late is dropped; what it was writing goes on in a task of its own.
            let response = match within(answer, until).await {
                Some(Ok(Ok(response))) => response,
                Some(Err(panicked)) => answer_to_a_panic(panicked.as_ref()),
                None => {
                    tracing::warn!(%request_id, method = call.method(), ?deadline, "not answered within its deadline");
                    status::of(&Error::DeadlineExceeded, &request_id, None).into_http()
                }
            };
            let (response, code) = complete(response, &request_id);
            Ok(match code {
                Code::Ok if is_stream => response
                    .map(|body| Body::new(HeldStream::new(body, until.into(), call, request_id))),
                code => {
                    call.finished(code);
                    response
                }
            })
        })
    }
}

/// What the handler answers until an instant. Tonic has a timer of its own around this one, would
/// answer CANCELLED, and asks here before it does: so the time counts, not whose timer woke us.
async fn within<T>(mut answer: Pin<&mut impl Future<Output = T>>, until: Instant) -> Option<T> {
    let mut timer = pin!(tokio::time::sleep_until(until.into()));
    poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if Instant::now() >= until => Poll::Ready(None),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// How long a call with this metadata may take from its arrival on.
pub(super) fn deadline(headers: &http::HeaderMap) -> Duration {
    let asked =
        headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse_timeout);
    asked.unwrap_or(DEFAULT_DEADLINE).min(LONGEST_DEADLINE)
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 || !number.bytes().all(|digit| digit.is_ascii_digit())
    {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn answer_to_a_panic(cause: &(dyn Any + Send)) -> Response<Body> {
    let text = cause.downcast_ref::<&str>().copied();
    let text = text.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!(cause = text, "a handler panicked");
    Status::new(Code::Internal, "").into_http()
}

/// Gives an error that tonic or a panic made (no such method, a message too large or malformed) the
/// details that every error of ours carries. And the code that the answer begins with.
fn complete(response: Response<Body>, request_id: &RequestId) -> (Response<Body>, Code) {
    let Some(made) = Status::from_header_map(response.headers()) else {
        return (response, Code::Ok);
    };
    if made.code() == Code::Ok || !made.details().is_empty() {
        return (response, made.code());
    }
    let error = match made.code() {
        Code::Unimplemented => Error::ActionNotFound,
        Code::OutOfRange | Code::ResourceExhausted => Error::RequestTooLarge,
        // tonic says INTERNAL of what is no message, which is the caller's to mend.
        Code::Internal if NO_MESSAGE.iter().any(|start| made.message().starts_with(start)) => {
            Error::MalformedMessage
        }
        Code::InvalidArgument => Error::MalformedMessage,
        Code::NotFound => Error::ServiceNotFound, // the health service knows none of this name
        _ => Error::internal(made.message().to_owned()),
    };
    if error.is_our_fault() {
        tracing::error!(%request_id, code = ?made.code(), message = made.message(), "failed outside a handler");
    }
    let completed = status::of(&error, request_id, None);
    let code = completed.code();
    (completed.into_http(), code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_eight_digits_and_a_unit() {
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("2S"), Some(Duration::from_secs(2)));
        for wrong in ["", "S", "1", "123456789S", "-1S", "1x", "+1S", "１S"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }
}
