//! What every call passes on both wires, around the handlers: metrics, the deadline, panics, and
//! errors that tonic made itself. One layer around the services, of the listener as of the shim's
//! in-process calls; within them it would cost a box more for each call.

use std::any::Any;
use std::collections::HashSet;
use std::convert::Infallible;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::bodies::{CountedAtItsEnd, Keeping, StreamCount};
use super::paced::Paced;
use super::streams::HeldStream;
use super::{answered, status, tokenless};
use crate::context::{Context, RequestId};
use crate::error::Error;
use crate::logging;
use crate::metrics::{Call, Listener, Metrics};

/// The deadline of a call that sets none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// The longest deadline that a call may set.
const LONGEST_DEADLINE: Duration = Duration::from_secs(30);

/// The calls of reflection: streams that go on for as long as their caller wants.
const REFLECTION: &str = "/grpc.reflection.";

/// How tonic begins what it says of a message that does not decode, is absent or is cut off.
const NO_MESSAGE: [&str; 5] = [
    "failed to decode Protobuf message",
    "Missing request message.",
    "Unexpected EOF decoding stream.",
    "protocol error: received message with",
    "Error decompressing: ",
];
/// How tonic begins what it says of a message that is compressed in a way that it does not know.
const UNKNOWN_ENCODING: &str = "Content is compressed with ";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
/// How tonic begins what it says, by any code, of a request that HTTP/2 breaks off.
const BROKEN_OFF: &str = "h2 protocol error";

/// What every call is held to. A layer; see [`Hold`].
#[derive(Clone, Debug)]
pub struct Guard {
    metrics: Metrics,
    /// The paths of our methods that answer with a stream.
    streams: Arc<HashSet<String>>,
    /// The listener that has streams, which are counted when they end.
    listener: Arc<Listener>,
    /// Health watches that may still be opened.
    watches: Arc<Semaphore>,
}

impl Guard {
    /// Counts calls here; those of the paths `streams` answer with a stream. So many health watches may
    /// be open.
    #[must_use]
    pub fn new(metrics: Metrics, streams: HashSet<String>, watches: usize) -> Self {
        let listener = Arc::new(metrics.listener("grpc"));
        let watches = Arc::new(Semaphore::new(watches));
        Self { metrics, streams: Arc::new(streams), listener, watches }
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
        let (reading, watch) =
            match tokenless::take(path, request.extensions(), &self.guard.watches) {
                Ok(tokenless::Taken { reading, watch }) => (reading, watch),
                Err(error) => return Box::pin(ready(Ok(refuse(&error, call, &request_id)))),
            };
        let is_stream = self.guard.streams.contains(path);
        let is_endless = watch.is_some() || path.starts_with(REFLECTION);
        let listener = is_stream.then(|| Arc::clone(&self.guard.listener));
        let deadline = deadline(request.headers());
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            let until = (arrived + deadline).into();
            // Whoever is late is dropped; what it was writing goes on in a task of its own.
            let response = match timeout_at(until, answer).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(panicked)) => answer_to_a_panic(panicked.as_ref()),
                Err(_) => {
                    if logging::fault_is_within_limit() {
                        tracing::warn!(%request_id, method = call.method(), ?deadline, "not answered within its deadline");
                    }
                    status::of(&Error::DeadlineExceeded, &request_id, None).into_http()
                }
            };
            drop(reading); // held to here
            let (mut response, code) = complete(response, &request_id);
            if !is_endless {
                answered::until(until);
            }
            Ok(match (code, listener) {
                (Code::Ok, Some(listener)) => {
                    response.extensions_mut().insert(CountedAtItsEnd);
                    response.map(|body| {
                        let held = HeldStream::new(body, until, call, request_id);
                        Body::new(Keeping::new(Paced::new(held), StreamCount::new(listener)))
                    })
                }
                (code, _) => {
                    call.finished(code);
                    match watch {
                        None => response,
                        watch => response.map(|body| Body::new(Keeping::new(body, watch))),
                    }
                }
            })
        })
    }
}

/// The answer to a call that does not begin.
fn refuse(error: &Error, call: Call, request_id: &RequestId) -> Response<Body> {
    let status = status::of(error, request_id, None);
    if logging::is_within_limit() {
        tracing::info!(%request_id, method = call.method(), code = %error.code(), "refused");
    }
    call.finished(status.code());
    status.into_http()
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
        _ if made.message().starts_with(BROKEN_OFF) => Error::MalformedMessage,
        Code::Unimplemented if made.message().starts_with(UNKNOWN_ENCODING) => {
            Error::UnsupportedEncoding
        }
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
    // Also what tonic says of bytes that are no gRPC, which a health check may send without a token.
    if error.is_our_fault() && logging::fault_is_within_limit() {
        tracing::error!(%request_id, code = ?made.code(), message = made.message(), "failed outside a handler");
    }
    let completed = match error {
        // What tonic says of a message tells more than we know.
        Error::RequestTooLarge | Error::UnsupportedEncoding => {
            status::saying(&error, made.message(), request_id)
        }
        Error::MalformedMessage if !made.message().starts_with(BROKEN_OFF) => {
            status::saying(&error, made.message(), request_id)
        }
        error => status::of(&error, request_id, None),
    };
    let code = completed.code();
    let mut completed = completed.into_http();
    if let Some(known) = response.headers().get(ACCEPT_ENCODING) {
        completed.headers_mut().insert(ACCEPT_ENCODING, known.clone());
    }
    (completed, code)
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
