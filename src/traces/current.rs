//! The position of the running call in its trace.

use std::sync::{Arc, OnceLock};

use futures_util::future::Either;
use http::{HeaderMap, HeaderValue};
use tokio::task::futures::TaskLocalFuture;

use super::export::Recorder;
use super::ids::{SpanId, TraceId};
use super::otlp::{Link, flags};
use super::parent::{TRACEPARENT, TRACESTATE, traceparent};

tokio::task_local! {
    static CURRENT: Position;
}

/// A position in a trace.
#[derive(Clone, Debug)]
pub struct Position {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// The `tracestate` of the caller.
    pub(super) state: Option<HeaderValue>,
    /// `None` if the call is not sampled.
    pub(super) sampled: Option<Arc<Sampled>>,
}

/// What the parts of a sampled call share.
#[derive(Debug)]
pub(super) struct Sampled {
    pub recorder: Arc<Recorder>,
    /// How the statement of the span failed: its SQLSTATE, or `None` if the database did not answer.
    /// There is no place for that in a span that is not about a statement.
    pub failure: Option<OnceLock<Option<String>>>,
}

impl Position {
    pub(super) fn new(
        trace_id: TraceId,
        span_id: SpanId,
        state: Option<HeaderValue>,
        recorder: Option<Arc<Recorder>>,
    ) -> Self {
        let sampled = recorder.map(|recorder| Arc::new(Sampled { recorder, failure: None }));
        Self { trace_id, span_id, state, sampled }
    }

    /// Returns the position if it is sampled.
    pub(super) fn sampled(&self) -> Option<Self> {
        self.sampled.is_some().then(|| self.clone())
    }

    /// Returns the `tracestate` as text.
    pub(super) fn trace_state(&self) -> String {
        let state = self.state.as_ref().and_then(|state| state.to_str().ok());
        state.unwrap_or_default().to_owned()
    }

    /// Returns a link to the span at this position.
    pub(super) fn link(&self) -> Link {
        Link {
            trace_id: self.trace_id.bytes(),
            span_id: self.span_id.bytes(),
            trace_state: self.trace_state(),
            flags: flags(false),
        }
    }
}

/// Returns the position of the running call if it is sampled.
pub(super) fn current() -> Option<Position> {
    CURRENT.try_with(Position::sampled).ok().flatten()
}

/// Looks at the position of the running call if it is sampled.
pub(super) fn with_current(look: impl FnOnce(&Sampled)) {
    CURRENT.try_with(|position| position.sampled.as_deref().map(look)).ok();
}

/// Returns the id of the trace of the running call if it is sampled, for its log line.
#[must_use]
pub fn current_trace_id() -> Option<TraceId> {
    CURRENT.try_with(|position| position.sampled.is_some().then_some(position.trace_id)).ok()?
}

/// Writes the position of the running call to the headers of a call that it makes.
pub fn inject(headers: &mut HeaderMap) {
    let add = |position: &Position| {
        let Position { trace_id, span_id, state, sampled } = position;
        headers.insert(TRACEPARENT, traceparent(*trace_id, *span_id, sampled.is_some()));
        if let Some(state) = state {
            headers.insert(TRACESTATE, state.clone());
        }
    };
    CURRENT.try_with(add).ok();
}

/// Runs a future at this position, if there is one.
pub fn within<F: Future>(
    position: Option<Position>,
    work: F,
) -> Either<TaskLocalFuture<Position, F>, F> {
    match position {
        Some(position) => Either::Left(CURRENT.scope(position, work)),
        None => Either::Right(work),
    }
}

/// Runs a future of another task at the position of the running call.
pub fn carried<F: Future>(work: F) -> Either<TaskLocalFuture<Position, F>, F> {
    within(CURRENT.try_with(Position::clone).ok(), work)
}
