//! What every call passes on both wires, outside the handlers: metrics, the deadline, panics, and
//! errors that tonic made. It is one layer around all services, for the listener and for the
//! in-process calls of the shim. A layer around each service would cost one more box for each call.

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

use super::bodies::{CountedAtItsEnd, Endless, Keeping, StreamCount};
use super::paced::Paced;
use super::streams::HeldStream;
use super::{answered, tokenless, traced};
use crate::audit::Audit;
use crate::context::{Context, Origin, Wire};
use crate::error::{Error, status};
use crate::ids::RequestId;
use crate::logging::{self, log_error};
use crate::metrics::{Call, Listener, Metrics};
use crate::traces::{self, Traces};

/// The deadline of a call that sets none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// The longest deadline that a call can set.
const LONGEST_DEADLINE: Duration = Duration::from_secs(30);

/// The calls of reflection, which are streams that last as long as their caller wants.
pub(super) const REFLECTION: &str = "/grpc.reflection.";

/// The beginnings of tonic's messages about a request message that does not decode, is missing or
/// is cut off.
const NO_MESSAGE: [&str; 5] = [
    "failed to decode Protobuf message",
    "Missing request message.",
    "Unexpected EOF decoding stream.",
    "protocol error: received message with",
    "Error decompressing: ",
];
/// The beginning of tonic's message about a message in an unknown compression.
const UNKNOWN_ENCODING: &str = "Content is compressed with ";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
/// The beginning of tonic's message, with any code, about a request that HTTP/2 broke off.
const BROKEN_OFF: &str = "h2 protocol error";

/// The rules for every call. It is a layer; see [`Hold`].
#[derive(Clone, Debug)]
pub struct Guard {
    metrics: Metrics,
    /// The paths of the service's methods that answer with a stream.
    streams: Arc<HashSet<String>>,
    /// Counts streams when they end.
    listener: Arc<Listener>,
    /// Permits for the health watches that may still be opened.
    watches: Arc<Semaphore>,
    /// Takes the refusals of actions, which find it in the extensions of their request.
    audit: Audit,
    traces: Traces,
}

impl Guard {
    /// Creates a guard that counts calls in `metrics`. The methods at the paths `streams` answer
    /// with a stream. `watches` health watches may be open at once.
    #[must_use]
    pub fn new(
        metrics: Metrics,
        streams: Arc<HashSet<String>>,
        watches: usize,
        audit: Audit,
        traces: Traces,
    ) -> Self {
        let listener = Arc::new(metrics.listener("grpc"));
        let watches = Arc::new(Semaphore::new(watches));
        Self { metrics, streams, listener, watches, audit, traces }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Hold<S>;

    fn layer(&self, inner: S) -> Hold<S> {
        Hold { inner, guard: self.clone() }
    }
}

/// Counts the call, ends it at its deadline, answers if a handler panics, and adds details to
/// errors that no handler made.
///
/// A stream of the service must end before the deadline. Streams of health and reflection need not:
/// the infrastructure uses them to watch the service, they hold no other resources, and a probe
/// that is cut off counts as a failure.
#[derive(Clone, Debug)]
pub struct Hold<S> {
    inner: S,
    guard: Guard,
}

impl<S> Hold<S> {
    /// Returns where the spans of calls go.
    pub fn traces(&self) -> &Traces {
        &self.guard.traces
    }
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let context = request.extensions().get::<Context>();
        let request_id =
            context.map_or_else(RequestId::random, |context| context.request_id.clone());
        let arrived = context.map_or_else(Instant::now, |context| context.arrived);
        let call = self.guard.metrics.call_started(path, arrived);
        let (reading, watch) =
            match tokenless::take(path, request.extensions(), &self.guard.watches) {
                Ok(tokenless::Taken { reading, watch }) => (reading, watch),
                Err(error) => {
                    let origin = context.map(|context| context.origin.clone());
                    let origin = origin.unwrap_or_default();
                    return Box::pin(ready(Ok(refuse(&error, call, &request_id, origin))));
                }
            };
        let is_stream = self.guard.streams.contains(path);
        let is_endless = watch.is_some() || path.starts_with(REFLECTION);
        let listener = is_stream.then(|| Arc::clone(&self.guard.listener));
        let deadline = deadline(request.headers());
        let (position, span) = traced::begin(&self.guard.traces, &request);
        request.extensions_mut().insert(self.guard.audit.clone());
        let answer = traces::within(position, self.inner.call(request));
        let answer = AssertUnwindSafe(answer).catch_unwind();
        Box::pin(async move {
            let until = (arrived + deadline).into();
            // A late call is dropped. A write of it continues in a task of its own.
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
            drop(reading); // the permit is held until the request is answered
            let (mut response, code) = complete(response, &request_id);
            if !is_endless {
                answered::until(until);
            }
            Ok(match (code, listener) {
                (Code::Ok, Some(listener)) => {
                    response.extensions_mut().insert(CountedAtItsEnd);
                    response.map(|body| {
                        let held = HeldStream::new(body, until, (call, span), request_id);
                        let count = StreamCount::new(listener);
                        Body::new(Keeping::new(Paced::new(held), count))
                    })
                }
                (Code::Ok, None) if is_endless => {
                    response.map(|body| Body::new(Keeping::new(body, Endless::new(call, watch))))
                }
                (code, _) => {
                    call.finished(code);
                    span.finished(code);
                    response
                }
            })
        })
    }
}

/// Returns the answer to a call that is refused before it begins.
fn refuse(error: &Error, call: Call, request_id: &RequestId, origin: Origin) -> Response<Body> {
    let status = status::of(error, request_id, None);
    log_error(error, call.method(), request_id, origin, Wire::Grpc, call.started());
    call.finished(status.code());
    status.into_http()
}

/// Returns how long a call with this metadata may take from its arrival.
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

/// Returns the response and the code of its first headers. If tonic or a panic made the error (no
/// such method, a message that is too large or malformed), the response gets the details that every
/// error of the service has.
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
        // tonic reports a request that does not decode as `INTERNAL`, but the error is the
        // caller's: it becomes `MalformedMessage`.
        Code::Internal if NO_MESSAGE.iter().any(|start| made.message().starts_with(start)) => {
            Error::MalformedMessage
        }
        Code::InvalidArgument => Error::MalformedMessage,
        Code::NotFound => Error::ServiceNotFound, // from the health service
        _ => Error::internal(made.message().to_owned()),
    };
    // These also include errors about bytes that are not gRPC, which a health check can send
    // without a token.
    if error.is_our_fault() && logging::fault_is_within_limit() {
        tracing::error!(%request_id, grpc_code = ?made.code(), cause = made.message(), "failed outside a handler");
    }
    let completed = match error {
        // tonic's message about the request says more than the message of the error.
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
