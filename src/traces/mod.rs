//! Traces of OpenTelemetry: which calls are sampled, their spans, and the export of the spans to a
//! collector. `docs/operating.md` ("Traces") says what a span contains.
//!
//! The decision whether a call is sampled is made before a span is built ([`Traces::begin`]). A call
//! that is not sampled costs a look at its headers and a random number; without a collector, it costs
//! nothing. The spans are built here, without the tracer of the SDK, because the tracer builds a span
//! before it asks its sampler.
//!
//! The position of a call in its trace is local to its task ([`within`]). What the call starts in
//! another task has to carry the position along ([`carried`]).

mod collector;
mod current;
mod export;
mod ids;
pub mod otlp;
mod parent;
mod rpc;
mod sampler;
mod span;
mod statements;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

pub use self::collector::CollectorSettings;
pub use self::current::{Position, carried, current_trace_id, inject, within};
use self::export::Recorder;
pub use self::export::TraceSettings;
use self::ids::SpanId;
pub use self::otlp::SpanKind;
use self::parent::Parent;
pub use self::rpc::{RPC_METHOD, RPC_STATUS, RPC_SYSTEM, code_name, is_error_of_server};
pub use self::sampler::Sampler;
pub use self::span::{OpenSpan, child};
pub use self::statements::{
    Asking, note_failure, of_one_statement, of_questions, of_statement, spanned,
};

/// Whether the service trusts the sampling decision of the sender of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// An authenticated service. Its decision is followed if the sampler follows parents.
    Service,
    /// A client from anywhere. It may name its trace, but not decide that the service records it.
    Anyone,
}

/// Starts spans and exports them. Clones share it. The default records nothing.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Recorder>>);

/// A request whose sampling decision is made.
#[derive(Debug)]
pub struct Begun {
    position: Position,
    /// The span of the sender.
    parent: Option<SpanId>,
}

impl Traces {
    /// Starts the export to the collector of these settings. It must be called on a runtime of tokio
    /// that runs until [`Traces::end`].
    #[must_use]
    pub fn start(settings: &TraceSettings) -> Self {
        Self(Some(Arc::new(Recorder::start(settings))))
    }

    /// Decides whether a request is sampled. `None` if nothing is.
    #[must_use]
    pub fn begin(&self, headers: &HeaderMap, sender: Sender) -> Option<Begun> {
        let recorder = self.0.as_ref()?;
        let parent = Parent::of(headers);
        let random = ids::Random::new();
        let sampler = recorder.sampler();
        let is_sampled = match (&parent, sender) {
            (Some(parent), Sender::Service) => sampler.samples_child(parent),
            // The sender may have chosen the id of its trace so that the sampler would take it.
            (_, Sender::Anyone) | (None, _) => sampler.samples_root(random.low()),
        };
        let trace_id = parent.as_ref().map(|parent| parent.trace_id);
        let trace_id = trace_id.unwrap_or_else(|| random.trace_id(is_sampled));
        let span_id = parent.as_ref().map(|parent| parent.span_id);
        let state = parent.and_then(|parent| parent.state);
        let recorder = is_sampled.then(|| Arc::clone(recorder));
        let position = Position::new(trace_id, random.span_id(), state, recorder);
        Some(Begun { position, parent: span_id })
    }

    /// Exports what is recorded, for at most this long, and ends.
    pub async fn end(&self, limit: Duration) {
        if let Some(recorder) = &self.0 {
            recorder.end(limit).await;
        }
    }
}

impl Begun {
    /// Returns the position that calls made for this request have.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position.clone()
    }

    /// Returns the span of the request if it is sampled.
    pub fn span(&self, kind: SpanKind, name: impl FnOnce() -> String) -> Option<OpenSpan> {
        let position = self.position.sampled()?;
        Some(OpenSpan::new(position, self.parent.map(|id| (id, true)), kind, name()))
    }
}
