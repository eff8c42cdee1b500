//! The position of the running call in its trace.

use std::sync::{Arc, OnceLock};

use futures_util::future::Either;
use http::HeaderMap;
use opentelemetry::trace::{Link, SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tokio::task::futures::TaskLocalFuture;

use super::headers;
use super::recorder::Recorder;

tokio::task_local! {
    static CURRENT: Position;
}

/// A position in a trace.
#[derive(Clone, Debug)]
pub struct Position {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// The `tracestate` of the caller. Shared, because a position is copied for each task.
    pub(super) state: Option<Arc<TraceState>>,
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
    /// Returns the position of a request, which is in the trace of its sender or else in one with the
    /// id `own_id`, and the span of the sender.
    pub(super) fn of_request(
        own_id: TraceId,
        parent: Option<SpanContext>,
        (is_sampled, recorder): (bool, &Arc<Recorder>),
    ) -> (Self, Option<SpanId>) {
        let (trace_id, state) = match &parent {
            Some(parent) => (parent.trace_id(), shared(parent.trace_state())),
            None => (own_id, None),
        };
        let span_id = recorder.new_span_id();
        let sampled =
            is_sampled.then(|| Arc::new(Sampled { recorder: Arc::clone(recorder), failure: None }));
        let position = Self { trace_id, span_id, state, sampled };
        (position, parent.map(|parent| parent.span_id()))
    }

    /// Returns the position as the SDK has it.
    pub(super) fn context(&self) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(self.sampled.is_some());
        let state = self.state.as_deref().cloned().unwrap_or_default();
        SpanContext::new(self.trace_id, self.span_id, flags, false, state)
    }

    /// Returns the position if it is sampled.
    pub(super) fn sampled(&self) -> Option<Self> {
        self.sampled.is_some().then(|| self.clone())
    }

    /// Returns a link to the span at this position.
    pub(super) fn link(&self) -> Link {
        Link::with_context(self.context())
    }
}

/// Returns a `tracestate` that positions share, or `None` if it is empty.
fn shared(state: &TraceState) -> Option<Arc<TraceState>> {
    (*state != TraceState::NONE).then(|| Arc::new(state.clone()))
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
    let of_sampled = |position: &Position| position.sampled.is_some().then_some(position.trace_id);
    CURRENT.try_with(of_sampled).ok()?
}

/// Writes the position of the running call to the headers of a call that it makes.
pub fn inject(headers: &mut HeaderMap) {
    CURRENT.try_with(|position| headers::write(&position.context(), headers)).ok();
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
